"""Tables of released networks: quality beside costs, reach by place, and gains against self-similarity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from srlab.errors import InputError
from srlab.measure.published import PUBLISHED_AS, SOURCE, published, published_costs
from srlab.stats.gains import ALL
from srlab.stats.intervals import over_seeds, spearman
from srlab.study.records import Record

BICUBIC = "bicubic"
#: The columns of `field` from the measurement of costs, and of `reach_places` from that of reach.
COSTS = ["median_ms", "q25_ms", "q75_ms", "repeats", "peak_mib", "gflops", "parameters"]
REACH = ["diffusion_index", "lam_50", "lam_90", "erf_50", "erf_90", "gain_db", "side", "steps"]
#: What `reach_pairs` compares: the measure of the paper on local attribution maps.
INDEX = "diffusion_index"
#: A data set with fewer images has no correlation of its own, and with fewer than `LEAST` there is no interval.
FEWEST, LEAST = 30, 4
#: What is held equal when a lead is correlated.
NOTHING, GAIN = "nothing", "gain of the other"


def rows_of(records: Sequence[Record], table: str) -> pd.DataFrame:
    """Return a table of all records: model (`BICUBIC` without weights), its columns, and run."""
    frames = []
    for record in records:
        rows = record.table(table)
        rows.insert(0, "model", next(iter(record.run.weights), BICUBIC))
        frames.append(rows.assign(run=record.run.hash))
    return pd.concat(frames, ignore_index=True)


def quality(images: pd.DataFrame, scale: int) -> pd.DataFrame:
    """Average quality per network and data set, beside the published numbers.

    Columns: model, dataset, scale, images, psnr_y (dB), ssim_y, psnr_rgb, ssim_rgb, published_psnr_y, published_ssim_y
    (NaN where the table of published numbers has none), run.
    """
    metrics = ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]
    groups = images.groupby(["model", "dataset"], sort=False)
    found = groups.agg(images=("name", "size"), **{name: (name, "mean") for name in metrics}, run=("run", "first"))
    known = published().query("scale == @scale").set_index(["method", "dataset"])
    keys = [(PUBLISHED_AS.get(model), dataset.lower()) for model, dataset in found.index]
    for metric in ("psnr_y", "ssim_y"):
        found[f"published_{metric}"] = known[metric].reindex(pd.MultiIndex.from_tuples(keys)).to_numpy()
    found.insert(0, "scale", scale)
    return found.assign(run=found.pop("run")).reset_index()


def field(quality: pd.DataFrame, costs: Record) -> pd.DataFrame:
    """Put PSNR on the last data set beside the costs that were measured with the same weights.

    A row a network and output size: model, dataset, images, psnr_y (dB), output (px), `COSTS`, kind (cpu, cuda), name
    (of the processor), threads, run.
    """
    scale, environment = costs.run.scale, costs.facts["environment"]
    table = costs.table("profile").rename(columns={"label": "model"})
    table["output"] = [output(row.height, row.width, scale) for row in table.itertuples()]
    table["parameters"] = table["model"].map(costs.facts["parameters"])
    table = table.assign(**{key: environment[key] for key in ("kind", "name", "threads")}, run=costs.run.hash)
    last = quality[quality["dataset"] == quality["dataset"].iloc[-1]]
    found = last[["model", "dataset", "images", "psnr_y"]].merge(table, on="model")
    return found[["model", "dataset", "images", "psnr_y", "output", *COSTS, "kind", "name", "threads", "run"]]


def output(height: int, width: int, scale: int) -> str:
    """Name the SR image of an LR image, width first."""
    return f"{scale * width}×{scale * height}"


def elsewhere(dataset: str, scale: int) -> pd.DataFrame:
    """Return published costs: method, psnr_y, latency_ms, memory_mb, parameters, dataset, source."""
    return published_costs(dataset, scale).assign(dataset=dataset, source=SOURCE)


def places(reach: pd.DataFrame, quality: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return reach at the places that all networks share, networks by falling PSNR on the whole data set.

    Columns: model, dataset, dataset_psnr (dB), name (of the image), `REACH` (see
    :func:`srlab.chapters.released.reach.measure_reach`), run.
    """
    whole = quality[quality["dataset"] == dataset].set_index("model")["psnr_y"]
    shared = reach.groupby("name")["model"].transform("nunique") == reach["model"].nunique()
    found = reach[shared].assign(dataset=dataset, dataset_psnr=lambda rows: rows["model"].map(whole))
    found = found.sort_values(["dataset_psnr", "name"], ascending=[False, True], ignore_index=True)
    return found[["model", "dataset", "dataset_psnr", "name", *REACH, "run"]]


def pairs(places: pd.DataFrame) -> pd.DataFrame:
    """Compare the diffusion index of any two networks place by place.

    Columns: model, against (the network with less PSNR), places, wider (share of places), difference (mean), low, high
    (95 % interval by Student's t over places, simultaneous for all pairs).
    """
    wide = places.pivot(index="name", columns="model", values=INDEX)[list(places["model"].unique())]
    chosen, rows = list(combinations(wide.columns, 2)), []
    for one, other in chosen:
        apart = (wide[one] - wide[other]).to_numpy()
        rows.append((one, other, len(apart), (apart > 0).mean(), *over_seeds(apart, len(chosen))))
    return pd.DataFrame(rows, columns=["model", "against", "places", "wider", "difference", "low", "high"])


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Subtract bicubic enlargement, with self_similarity, image by image.

    Columns: model, dataset, name, gain_db, self_similarity, run; networks by falling mean gain.
    """
    keys = ["dataset", "name"]
    base = rows.loc[rows["model"] == BICUBIC, [*keys, "psnr_y", "self_similarity"]].rename(columns={"psnr_y": BICUBIC})
    found = rows[rows["model"] != BICUBIC].drop(columns="self_similarity").merge(base, on=keys)
    found["gain_db"] = found["psnr_y"] - found[BICUBIC]
    found["mean"] = found.groupby("model")["gain_db"].transform("mean")
    found = found.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
    return found[["model", *keys, "gain_db", "self_similarity", "run"]]


def correlations(gains: pd.DataFrame) -> pd.DataFrame:
    """Correlate self-similarity with each network's gain, and with its lead over each network that gains less.

    Where all networks gain much, leads are large too. So each lead stands twice: as it is, and with the gain of the
    other network held equal, which leaves what self-similarity explains beyond that. This control was added after a
    first look. Columns: model, against (`BICUBIC`, or another network), control (`NOTHING` or `GAIN`), dataset (`ALL`
    together, and of several those with `FEWEST` images), images, gain_db (mean), rho (Spearman's), low, high (95 %,
    simultaneous for the gains of a data set, and for its leads of each control). Raises InputError if there are fewer
    than `LEAST` images.
    """
    models = list(gains["model"].unique())
    sets = gains.drop_duplicates(["dataset", "name"])["dataset"].value_counts(sort=False)
    if sets.sum() < LEAST:
        raise InputError(f"images are {sets.sum()}; a correlation with self-similarity needs {LEAST}")
    large = sets.index[sets >= FEWEST] if len(sets) > 1 else []
    groups = [(ALL, gains), *((name, gains[gains["dataset"] == name]) for name in large)]
    leads, rows = list(combinations(models, 2)), []
    for dataset, own in groups:
        wide = own.pivot(index=["dataset", "name", "self_similarity"], columns="model", values="gain_db")
        similar = wide.index.get_level_values("self_similarity").to_numpy()
        compared = [(model, BICUBIC, NOTHING, wide[model], None, len(models)) for model in models]
        for one, other in leads:
            lead = wide[one] - wide[other]
            compared.append((one, other, NOTHING, lead, None, len(leads)))
            compared.append((one, other, GAIN, lead, wide[other], len(leads)))
        for *names, gain, given, family in compared:
            rows.append((*names, dataset, len(gain), gain.mean(), *spearman(similar, gain, family, given)))
    columns = ["model", "against", "control", "dataset", "images", "gain_db", "rho", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
