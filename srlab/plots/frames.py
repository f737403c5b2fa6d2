"""Records become tidy frames, and frames summaries of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd

from srlab.errors import InputError
from srlab.plots.style import NO_RUN
from srlab.runs import Record


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


def timings(record: Record) -> pd.DataFrame:
    """The same of a timing run, whose labels are called models here."""
    return record.profile.rename(columns={"label": "model"}).assign(run=record.run.hash)


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


def paired(quality: pd.DataFrame, by: str, reference: object) -> pd.DataFrame:
    """What each image gains against the reference trained from the same seed.

    Returns
    -------
    DataFrame
        The rows of `quality` that are not the reference's, with `gain_db`, the difference in psnr_y.
    """
    keys = ["benchmark", "name", "seed"]
    others, own = quality[quality[by] != reference], quality[quality[by] == reference]
    joined = others.merge(own[[*keys, "psnr_y"]], on=keys, suffixes=("", "_reference"))
    return joined.assign(gain_db=joined["psnr_y"] - joined["psnr_y_reference"])


def differences(quality: pd.DataFrame, by: str = "model", reference: object = "edsr_like") -> pd.DataFrame:
    """Mean gains against a reference, and whether the seeds' spread tells the two apart.

    Returns
    -------
    DataFrame
        benchmark, `by`, gain_db (mean over images and seeds), images, images_higher (images whose mean over
        seeds is higher), seeds, told_apart, run. `told_apart` needs ranges of the runs' mean psnr_y that do
        not overlap, and so many seeds that this is not mere `luck`: three or more.
    """
    gains = paired(quality, by, reference)
    image = gains.groupby(["benchmark", by, "name"], sort=False)["gain_db"].mean()
    summary = means(quality, by).set_index(["benchmark", by])
    rows = []
    for (benchmark, value), each in image.groupby(level=[0, 1], sort=False):
        ours, theirs = summary.loc[benchmark, value], summary.loc[benchmark, reference]
        apart = ours["lowest_db"] > theirs["highest_db"] or ours["highest_db"] < theirs["lowest_db"]
        rows.append(
            {
                "benchmark": benchmark,
                by: value,
                "gain_db": each.mean(),
                "images": len(each),
                "images_higher": int((each > 0).sum()),
                "seeds": ours["seeds"],
                "told_apart": bool(apart and luck(min(int(ours["seeds"]), int(theirs["seeds"]))) <= LUCK),
                "run": ours["run"],
            }
        )
    return pd.DataFrame(rows)


#: How often equal networks may be told apart.
LUCK = 0.1


def luck(seeds: int) -> float:
    """How often ranges of two equal networks do not overlap: 1 for one seed, 1/3 for two, 1/10 for three."""
    return 2 / comb(2 * seeds, seeds)


def growth(costs: pd.DataFrame) -> pd.DataFrame:
    """How cost grows with the number of pixels L, between the two largest sizes: cost ∝ L^exponent.

    Returns
    -------
    DataFrame
        model, part, from_px, to_px (sides), time_exponent, memory_exponent, run.
    """
    rows = []
    for (model, part), each in costs.groupby(["model", "part"], sort=False):
        last = each.sort_values("size").tail(2)
        if len(last) < 2:
            continue
        small, large = (row for _, row in last.iterrows())
        pixels = 2 * np.log(large["size"] / small["size"])
        rows.append(
            {
                "model": model,
                "part": part,
                "from_px": small["size"],
                "to_px": large["size"],
                "time_exponent": np.log(large["median_ms"] / small["median_ms"]) / pixels,
                "memory_exponent": np.log(large["peak_mib"] / small["peak_mib"]) / pixels,
                "run": large["run"],
            }
        )
    return pd.DataFrame(rows)


def images_in(evenness: pd.DataFrame) -> int:
    return len(evenness) // evenness["run"].nunique()


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
