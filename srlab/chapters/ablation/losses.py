"""Tables of the ablation: what each change costs on every image, with intervals, and beside what attention gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import nn

from srlab.chapters.ablation.altered import CHANGES, UNIFORM, altered
from srlab.data.layouts import ImageRef
from srlab.data.sources import evenly
from srlab.measure.evaluation import evaluate
from srlab.stats.gains import MARGIN, differences, pooled
from srlab.stats.intervals import SEEDS, equivalent, matrix, over_seeds, seed_difference
from srlab.study.records import Record

#: Benchmark images that are measured, and the side in LR pixels of the middle of each. The plain formula costs the
#: square of a crop's area: 13 networks of three seeds take 80 s of one core.
IMAGES, SIDE = 8, 32
#: The network without attention, over which gains are computed.
PLAIN = "no_attention"


def crops(benchmarks: Mapping[str, Sequence[ImageRef]], scale: int) -> dict[str, list[ImageRef]]:
    """Return the middles, `SIDE` LR pixels a side, of at most `IMAGES` HR images evenly spaced over all benchmarks."""
    chosen = set(evenly([ref for refs in benchmarks.values() for ref in refs], IMAGES))
    found = {name: [ref.middle(scale * SIDE) for ref in refs if ref in chosen] for name, refs in benchmarks.items()}
    return {name: refs for name, refs in found.items() if refs}


def lost(network: nn.Module, benchmarks: Mapping[str, Sequence[ImageRef]], scale: int) -> pd.DataFrame:
    """Measure what a network with attention loses by each change, an image and change a row.

    Columns: benchmark, name, change, psnr_y (dB, unchanged network), drop_db (psnr_y less that with altered weights).
    """
    rows = []
    for benchmark, refs in benchmarks.items():
        whole = evaluate(network, refs, scale)[["name", "psnr_y"]].assign(benchmark=benchmark)
        for change in CHANGES:
            with altered(network, change):
                changed = evaluate(network, refs, scale)
            rows.append(whole.assign(change=change, drop_db=whole["psnr_y"] - changed["psnr_y"]))
    return pd.concat(rows, ignore_index=True)[["benchmark", "name", "change", "psnr_y", "drop_db"]]


def seeds(drops: pd.DataFrame) -> pd.DataFrame:
    """Average the losses of images: experiment, model, seed, run, change, drop_db."""
    keys = ["experiment", "model", "seed", "run", "change"]
    return drops.groupby(keys, as_index=False, sort=False)["drop_db"].mean()


def losses(drops: pd.DataFrame) -> pd.DataFrame:
    """Average what each network loses by each change, with 95 % intervals over seeds, simultaneous for a change.

    Columns: experiment, model, change, drop_db (mean over images and seeds), low_db, high_db (`seed_difference`;
    infinite for one seed), images, seeds, significant (the interval excludes zero), equal (it lies within ±`MARGIN`),
    run. `significant` and `equal` need `SEEDS` seeds.
    """
    rows = []
    for (experiment, change), together in drops.groupby(["experiment", "change"], sort=False):
        networks = list(together.groupby("model", sort=False))
        for model, own in networks:
            found = matrix(own, "drop_db")
            drop, enough = seed_difference(found, len(networks)), len(found) >= SEEDS
            row = {"experiment": experiment, "model": model, "change": change}
            row |= {"drop_db": drop.value, "low_db": drop.low, "high_db": drop.high}
            row |= {"images": found.shape[1], "seeds": len(found), "significant": drop.excludes_zero and enough}
            rows.append(row | {"equal": equivalent(drop, MARGIN) and enough, "run": " ".join(own["run"].unique())})
    return pd.DataFrame(rows)


def gains(quality: Mapping[str, pd.DataFrame], losses: pd.DataFrame) -> pd.DataFrame:
    """Put what uniform weights cost beside what attention gains over the trunk without it, all benchmarks together.

    `quality` holds evaluated images by experiment; model is the label. Columns: experiment, those of
    `srlab.stats.gains.differences`, and before run uniform_cost_db, uniform_low_db, uniform_high_db. Experiments
    without `PLAIN` have no rows.
    """
    names = {"drop_db": "uniform_cost_db", "low_db": "uniform_low_db", "high_db": "uniform_high_db"}
    keys, last = ["experiment", "model"], [*names.values(), "run"]
    uniform = losses[losses["change"] == UNIFORM].rename(columns=names)[[*keys, *names.values()]]
    found = [
        pooled(differences(images, reference=PLAIN)).assign(experiment=experiment)
        for experiment, images in quality.items()
        if PLAIN in set(images["model"])
    ]
    joined = pd.concat(found or [pd.DataFrame(columns=[*keys, "run"])]).merge(uniform, how="left", on=keys)
    return joined[["experiment", *joined.columns.drop(["experiment", *last]), *last]]


def released(records: Sequence[Record]) -> pd.DataFrame:
    """Average what each released network loses by each change, with 95 % intervals over images, simultaneous for all.

    Columns: network, benchmark (with its scale), change, drop_db (mean over images), low_db, high_db (Student's t),
    images, significant (the interval excludes zero), equal (it lies within ±`MARGIN`), run.
    """
    drops = pd.concat(
        record.table("images").assign(network=record.run.network, scale=record.run.scale, run=record.run.hash)
        for record in records
    )
    cells, rows = list(drops.groupby(["network", "benchmark", "scale", "change"], sort=False)), []
    for (network, benchmark, scale, change), own in cells:
        drop = over_seeds(own["drop_db"].to_numpy(), len(cells))
        row = {"network": network, "benchmark": f"{benchmark} ×{scale}", "change": change}
        row |= {"drop_db": drop.value, "low_db": drop.low, "high_db": drop.high, "images": len(own)}
        row |= {"significant": drop.excludes_zero, "equal": equivalent(drop, MARGIN)}
        rows.append(row | {"run": " ".join(own["run"].unique())})
    return pd.DataFrame(rows)
