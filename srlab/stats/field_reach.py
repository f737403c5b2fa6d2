"""How far released networks reach, in tables: place by place, in pairs, and against what they gain there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import factorial

import pandas as pd

from srlab.errors import InputError
from srlab.stats.frames import count
from srlab.stats.statistics import over_seeds, spearman

#: What is compared between networks and set against gains: the measure of the paper on local attribution maps, chosen
#: when two places had been tried. Radii say in pixels how far it is.
MEASURE = "diffusion_index"
#: Columns of reach.csv that are shown.
SHOWN = ("name", MEASURE, "lam_50", "lam_90", "erf_50", "erf_90", "gain_db", "side", "steps")


def places(records: Sequence[dict], reach: pd.DataFrame) -> pd.DataFrame:
    """What every network draws on, at the places where all were measured, beside its PSNR on the whole data set.

    Parameters
    ----------
    records : sequence of dict
    reach : DataFrame
        As of `srlab.analysis.field_reach.measure_reach`.

    Returns
    -------
    DataFrame
        A row a network and place, networks by falling PSNR: model, dataset, dataset_psnr (dB, of all its images), and
        `SHOWN`.

    Raises
    ------
    InputError
        If no network was measured with the weights of its record.
    """
    dataset = reach["dataset"].iloc[0]
    tested = pd.DataFrame(
        {"model": r["model"], "sha256": r["weights"]["sha256"], "dataset": dataset, "dataset_psnr": r["psnr_y"]}
        for r in records
        if r["dataset"] == dataset and "weights" in r
    )
    if tested.empty or (found := reach.merge(tested, on=["model", "sha256", "dataset"])).empty:
        raise InputError(
            f"reaches of none of the networks with records on {dataset}; `srlab field reach` measures them"
        )
    everywhere = found.groupby("name")["model"].transform("nunique") == found["model"].nunique()
    found = found[everywhere].sort_values(["dataset_psnr", "name"], ascending=[False, True], ignore_index=True)
    return found[["model", "dataset", "dataset_psnr", *SHOWN]]


def pairs(found: pd.DataFrame) -> pd.DataFrame:
    """How much wider one network draws than another at the same places, and whether it gains more where it does.

    Returns
    -------
    DataFrame
        model and against (the one with less PSNR), places, wider (the share of them), difference (mean, of `MEASURE`),
        low, high: its interval by Student's t over places; rho, rho_low, rho_high: rank correlation over places of that
        difference with the difference in PSNR. Intervals of all pairs hold at once.
    """
    wide, gain = (found.pivot(index="name", columns="model", values=column) for column in (MEASURE, "gain_db"))
    wide = wide[list(found["model"].unique())]
    chosen = list(combinations(wide.columns, 2))
    rows = []
    for model, against in chosen:
        apart = (wide[model] - wide[against]).to_numpy()
        mean = over_seeds(apart, len(chosen))
        rho = spearman(apart, gain[model] - gain[against], len(chosen))
        told = {"model": model, "against": against, "places": len(apart), "wider": (apart > 0).mean()}
        numbers = ("difference", "low", "high", "rho", "rho_low", "rho_high")
        rows.append(told | dict(zip(numbers, (*mean, *rho), strict=True)))
    return pd.DataFrame(rows)


def within(found: pd.DataFrame) -> pd.DataFrame:
    """Whether a network gains more over bicubic at places where it draws more widely: ρ over its places.

    Returns
    -------
    DataFrame
        model, places, rho, low, high; intervals hold all at once.
    """
    rows = []
    for model, own in found.groupby("model", sort=False):
        rho = spearman(own[MEASURE], own["gain_db"], found["model"].nunique())
        rows.append({"model": model, "places": len(own), **dict(zip(("rho", "low", "high"), rho, strict=True))})
    return pd.DataFrame(rows)


def middles(found: pd.DataFrame) -> pd.DataFrame:
    """Medians over places, a row a network, the widest first, beside dataset_psnr."""
    numbers = [name for name in ("dataset_psnr", *SHOWN) if name not in ("name", "side", "steps")]
    table = found.groupby("model", sort=False)[numbers].median()
    return table.sort_values(MEASURE, ascending=False).reset_index()


def answer(found: pd.DataFrame) -> str:
    """What may be said of reach and quality."""
    middle, apart, rho = middles(found), pairs(found), within(found)
    told = "; ".join(
        f"`{row.model}` {row.diffusion_index:.1f} ({row.lam_50:.0f} and {row.lam_90:.0f} px)"
        for row in middle.itertuples()
    )
    parts = [
        f"Diffusion index, median of {count(found['name'].nunique(), 'place')} of {found['dataset'].iloc[0]}, and radii that "
        f"hold 50 and 90 % of what is attributed: {told}."
    ]
    alike = [f"`{row.model}` and `{row.against}`" for row in apart.itertuples() if row.low <= 0 <= row.high]
    if len(apart):
        parts.append(
            f"Of {count(len(apart), 'pair')} of networks, compared place by place, "
            + (f"{', '.join(alike)} are not told apart." if alike else "all are told apart.")
        )
        more, less = (apart["rho_low"] > 0).sum(), (apart["rho_high"] < 0).sum()
        parts.append(
            f"Where one draws wider by more than elsewhere, it also leads by more in {more} pairs, by less in {less}, "
            f"not told in {len(apart) - more - less}."
        )
    parts.append(f"{_order(middle)} {_gains(rho)}")
    return " ".join(parts)


def _order(middle: pd.DataFrame) -> str:
    """How the order of networks by reach and that by PSNR agree."""
    by_psnr = middle.sort_values("dataset_psnr", ascending=False)
    number = len(middle)
    same = list(by_psnr["model"]) == list(middle["model"])
    told = "is" if same else "is not"
    order = " > ".join(f"`{model}`" for model in by_psnr["model"])
    return (
        f"The order by reach {told} that by PSNR ({order}). Networks differ in much else, and even a perfect order of "
        f"{number} has probability 1 in {factorial(number)} by chance, so that nothing is told of reach as a cause."
    )


def _gains(rho: pd.DataFrame) -> str:
    """Within networks."""
    each = ", ".join(f"`{row.model}` {row.rho:+.2f} [{row.low:+.2f}, {row.high:+.2f}]" for row in rho.itertuples())
    return f"Within a network, rank correlation over places of reach with its gain over bicubic there: {each}."
