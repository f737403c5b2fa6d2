"""Frames of the comparison: quality beside cost, the spread between seeds, and the parts of a run's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from srlab.stats.gains import NO_RUN, means, over_bicubic, paired
from srlab.study.records import Record

#: Costs of a whole network, as axes name them.
COSTS = {"median_ms": "latency (ms)", "peak_mib": "peak memory (MiB)", "kparameters": "parameters (thousands)"}
#: The parts of a run's time in seconds, and their names in `run.json`.
PARTS = {
    "training_s": "seconds",
    "validation_s": "log_seconds",
    "start_s": "startup_seconds",
    "reading_s": "loading_seconds",
    "evaluation_s": "evaluation_seconds",
}


def overview(quality: pd.DataFrame, costs: pd.DataFrame, bicubic: pd.DataFrame) -> pd.DataFrame:
    """Put quality per benchmark beside the cost of the whole network, bicubic enlargement first.

    Columns: benchmark, model, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, median_ms, peak_mib, gflops,
    Mparameters (millions), run.
    """
    whole = costs[costs["part"] == "network"].assign(Mparameters=costs["parameters"] / 1e6)
    cost = whole.groupby("model", sort=False)[["median_ms", "peak_mib", "gflops", "Mparameters"]].mean()
    baseline = means(bicubic.assign(model="bicubic", run=NO_RUN))
    both = pd.concat([baseline, means(quality).merge(cost, on="model")], ignore_index=True)
    order = {name: number for number, name in enumerate(baseline["benchmark"])}
    both = both.sort_values("benchmark", key=lambda names: names.map(order), kind="stable")
    return both.assign(run=both.pop("run"))


def summary(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each model's mean gain over bicubic (gain_db, lowest and highest seed) and the whole network's costs."""
    gains = over_bicubic(tables["comparison_images"], tables["bicubic_images"])
    seeds = gains.groupby(["model", "seed"], sort=False)["gain_db"].mean()
    seeds = seeds.groupby("model", sort=False).agg(gain_db="mean", lowest_db="min", highest_db="max")
    costs = tables["comparison_costs"]
    whole = costs[costs["part"] == "network"].set_index("model")
    return seeds.join(whole.assign(kparameters=whole["parameters"] / 1e3))


def spreads(quality: pd.DataFrame, reference: str = "no_attention") -> pd.DataFrame:
    """Compare the spread of a network's results between seeds with that of its differences to a reference.

    Networks of one seed start from the same trunk and train on the same patches, so a difference excludes both.
    Columns: model, seeds, spread_db (standard deviation over seeds of the mean Y-PSNR), paired_spread_db (of the
    difference to the reference of the same seed), run; NaN for one seed.
    """
    rows = []
    for model, own in paired(quality, "model", reference).groupby("model", sort=False):
        spread = own.groupby("seed")[["psnr_y", "gain_db"]].mean().std()
        facts = {"model": model, "seeds": own["seed"].nunique(), "spread_db": spread["psnr_y"]}
        rows.append(facts | {"paired_spread_db": spread["gain_db"], "run": " ".join(own["run"].unique())})
    return pd.DataFrame(rows)


def spent(records: Sequence[Record]) -> pd.DataFrame:
    """Average the time of training runs by part, over the runs of each network.

    Columns: model, steps_per_s, training_s, validation_s (with logs and checkpoints), start_s (Python and packages,
    once per process), reading_s (images), evaluation_s, training_percent (of all these), run (hashes).
    """
    rows = []
    for record in records:
        facts, run = record.facts, record.run
        parts = {part: float(facts[name]) for part, name in PARTS.items()}
        share = 100 * parts["training_s"] / sum(parts.values())
        speed = {"steps_per_s": run.budget.steps / facts["seconds"]}
        rows.append({"model": run.network.model, **speed, **parts, "training_percent": share, "run": run.hash})
    networks = pd.DataFrame(rows).groupby("model", sort=False)
    return networks.mean(numeric_only=True).assign(run=networks["run"].agg(" ".join)).reset_index()
