"""Records of training become tidy frames, and frames summaries of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from srlab.errors import InputError
from srlab.stats.statistics import SEEDS, equivalent, matrix, seed_difference
from srlab.study.records import Record
from srlab.study.rules import rules

#: The `run` of rows that no run made: bicubic enlargement.
NO_RUN = "none"


def _tidy(records: Sequence[Record], table: str, options: Sequence[str]) -> pd.DataFrame:
    """One table of several training runs, with run, model, seed and the options in front."""
    if not records:
        raise InputError("there is no run to show: this profile names none for it")
    frames = []
    for record in records:
        run = record.run
        known = {option: run.network.options[option] for option in options}
        facts = {"run": run.hash, "model": run.network.model, "seed": run.seed, **known}
        rows = getattr(record, table)
        frames.append(pd.DataFrame(facts, index=rows.index).join(rows))
    return pd.concat(frames, ignore_index=True)


def curves(records: Sequence[Record]) -> pd.DataFrame:
    """Training curves: run, model, seed and the columns of `Record.curve`."""
    return _tidy(records, "curve", ())


def quality(records: Sequence[Record], *options: str) -> pd.DataFrame:
    """An evaluated image a row: run, model, seed, the named options, and the columns of `Record.images`."""
    return _tidy(records, "images", options)


def costs(records: Sequence[Record], timed: Record, *options: str) -> pd.DataFrame:
    """What training runs' networks and their non-local layers cost, measured in turn by one timing run.

    A row for each network and part, whatever the number of seeds: seeds do not change what is computed.
    """
    frames = []
    for record in {timed.run.label_of(r.run.network): r for r in records}.values():
        network = record.run.network
        label = timed.run.label_of(network)
        rows = timed.profile[timed.profile["label"] == label].drop(columns="label")
        known = {option: network.options[option] for option in options}
        facts = {"run": timed.run.hash, "model": network.model, **known}
        frames.append(rows.assign(**facts, parameters=timed.facts["parameters"][label]))
    return pd.concat(frames, ignore_index=True)


def over_bicubic(quality: pd.DataFrame, bicubic: pd.DataFrame) -> pd.DataFrame:
    """The rows of `quality` with `gain_db`: psnr_y less that of the bicubic enlargement of the same image."""
    keys = ["benchmark", "name"]
    both = quality.merge(bicubic[[*keys, "psnr_y"]], on=keys, suffixes=("", "_bicubic"))
    return both.assign(gain_db=both["psnr_y"] - both["psnr_y_bicubic"])


def elsewhere(record: Record, other: Record) -> pd.DataFrame:
    """What networks cost by a timing run, and by that of another machine: equal networks on equal inputs.

    Returns
    -------
    DataFrame
        network, size, here_ms, other_ms, time_ratio (here / other), here_mib, other_mib, run (both).
    """
    networks = record.run.networks
    same = [label for label in networks if networks[label] == other.run.networks.get(label)]
    here, there = (
        each.profile[each.profile["label"].isin(same) & (each.profile["part"] == "network")] for each in (record, other)
    )
    both = here.merge(there, on=["label", "size"], suffixes=("", "_other"))
    return pd.DataFrame(
        {
            "network": both["label"],
            "size": both["size"],
            "here_ms": both["median_ms"],
            "other_ms": both["median_ms_other"],
            "time_ratio": both["median_ms"] / both["median_ms_other"],
            "here_mib": both["peak_mib"],
            "other_mib": both["peak_mib_other"],
            "run": f"{record.run.hash} {other.run.hash}",
        }
    )


def means(quality: pd.DataFrame, by: str = "model") -> pd.DataFrame:
    """Quality per benchmark: of each run the mean over images, then mean, lowest and highest over seeds.

    Parameters
    ----------
    quality : DataFrame
        As of the function `quality`.
    by : str
        What tells the rows apart: "model" or an option.

    Returns
    -------
    DataFrame
        benchmark, `by`, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, run (hashes).
    """
    keys = ["benchmark", by]
    runs = quality.groupby([*keys, "run"], sort=False)
    each = runs.agg(psnr_y=("psnr_y", "mean"), ssim_y=("ssim_y", "mean"), images=("name", "size"))
    return (
        each.reset_index()
        .groupby(keys, sort=False)
        .agg(
            images=("images", "first"),
            seeds=("run", lambda runs: (runs != NO_RUN).sum()),
            psnr_y=("psnr_y", "mean"),
            lowest_db=("psnr_y", "min"),
            highest_db=("psnr_y", "max"),
            ssim_y=("ssim_y", "mean"),
            run=("run", " ".join),
        )
        .reset_index()
    )


def paired(quality: pd.DataFrame, by: str, reference: object, within: str | None = None) -> pd.DataFrame:
    """What each image gains against the reference trained from the same seed.

    Parameters
    ----------
    within : str, optional
        A column, each value of which has a reference of its own.

    Returns
    -------
    DataFrame
        The rows of `quality` that are not the reference's, with `gain_db`, the difference in psnr_y, and
        run_reference.
    """
    keys = ["benchmark", "name", "seed", *([within] if within else [])]
    others, own = quality[quality[by] != reference], quality[quality[by] == reference]
    joined = others.merge(own[[*keys, "psnr_y", "run"]], on=keys, suffixes=("", "_reference"))
    return joined.assign(gain_db=joined["psnr_y"] - joined["psnr_y_reference"])


#: The name of all benchmarks together.
ALL = "all"
#: Differences within ± this are no effect, dB.
MARGIN = rules().quality.margin_db


def differences(
    quality: pd.DataFrame,
    by: str = "model",
    reference: object = "no_attention",
    within: str | None = None,
    margin: float = MARGIN,
) -> pd.DataFrame:
    """Mean gains against a reference, paired by image and seed, with 95 % intervals over seeds.

    The intervals of one benchmark hold all at once; see `srlab.stats.statistics.seed_difference`.

    Parameters
    ----------
    within : str, optional
        A column, each value of which has a reference of its own.
    margin : float
        dB; gains within ± this are no effect.

    Returns
    -------
    DataFrame
        benchmark (and, of several, "all"), `within`, `by`, gain_db (mean over images and seeds), low_db, high_db
        (its interval; infinite of one seed), spread_db (standard deviation over seeds of the mean over images;
        NaN of one seed), images, images_higher (images whose mean over seeds is higher), seeds, told_apart
        (the interval leaves out zero), equal (it lies within ±margin), run_reference, run. `told_apart` and `equal` need
        `SEEDS` seeds or more; a gain may be both.
    """
    gains = paired(quality, by, reference, within)
    if gains["benchmark"].nunique() > 1:
        gains = pd.concat([gains, gains.assign(name=gains["benchmark"] + " " + gains["name"], benchmark=ALL)])
    arm = [within, by] if within else [by]
    rows = []
    for benchmark, all_arms in gains.groupby("benchmark", sort=False):
        arms = list(all_arms.groupby(arm, sort=False))
        for values, own in arms:
            found = matrix(own)
            gain, seeds = seed_difference(found, len(arms)), len(found)
            image = own.groupby("name")["gain_db"].mean()
            rows.append(
                {
                    "benchmark": benchmark,
                    **dict(zip(arm, values, strict=True)),
                    "gain_db": gain.value,
                    "low_db": gain.low,
                    "high_db": gain.high,
                    "spread_db": found.mean(1).std(ddof=1) if seeds > 1 else np.nan,
                    "images": len(image),
                    "images_higher": int((image > 0).sum()),
                    "seeds": seeds,
                    "told_apart": gain.excludes_zero and seeds >= SEEDS,
                    "equal": equivalent(gain, margin) and seeds >= SEEDS,
                    "run_reference": " ".join(own["run_reference"].unique()),
                    "run": " ".join(own["run"].unique()),
                }
            )
    return pd.DataFrame(rows)


def late_gains(curves: pd.DataFrame) -> pd.DataFrame:
    """What each run still gained in the last quarter of its steps.

    Returns
    -------
    DataFrame
        run, model, seed, late_db (RGB-PSNR of held-out patches, dB).
    """
    rows = []
    for (run, model, seed), each in curves.groupby(["run", "model", "seed"], sort=False):
        psnr = each.set_index("step")["validation_psnr"]
        before = psnr[psnr.index <= 0.75 * psnr.index.max()]
        late = psnr.iloc[-1] - (before.iloc[-1] if len(before) else psnr.iloc[0])
        rows.append({"run": run, "model": model, "seed": seed, "late_db": late})
    return pd.DataFrame(rows)


def pareto(table: pd.DataFrame, cost: str, quality: str = "gain_db") -> pd.DataFrame:
    """The rows that no other row beats in both: less of the cost, more of the quality; by rising cost."""
    order = table.sort_values([cost, quality], ascending=[True, False])
    return order[order[quality] > order[quality].cummax().shift(fill_value=-np.inf)]


def images_in(evenness: pd.DataFrame) -> int:
    return len(evenness) // evenness["run"].nunique()


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
