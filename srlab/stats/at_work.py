"""Is attention at work? What networks lose when their weights are altered, beside what attention gains them."""

from __future__ import annotations

import pandas as pd

from srlab.analysis.at_work import CHANGES, UNIFORM, experiments
from srlab.stats.frames import ALL, MARGIN, count, differences, quality
from srlab.stats.judging import FEW
from srlab.stats.statistics import SEEDS, Estimate, equivalent, matrix, seed_difference
from srlab.study.study import Study


def losses(drops: pd.DataFrame) -> pd.DataFrame:
    """What each network loses by each change, with 95 % intervals over seeds.

    The intervals of one experiment and change hold all at once; see `srlab.stats.statistics.seed_difference`.

    Parameters
    ----------
    drops : DataFrame
        Of :func:`srlab.analysis.at_work.measure`.

    Returns
    -------
    DataFrame
        experiment, model, change, drop_db (mean over images and seeds), low_db, high_db (its interval; infinite of
        one seed), images, seeds, told_apart (the interval leaves out zero), equal (it lies within ±`MARGIN`), run.
        `told_apart` and `equal` need `SEEDS` seeds or more.
    """
    rows = []
    for (experiment, change), together in drops.groupby(["experiment", "change"], sort=False):
        networks = list(together.groupby("model", sort=False))
        for model, own in networks:
            found = matrix(own, "drop_db")
            drop, enough = seed_difference(found, len(networks)), len(found) >= SEEDS
            rows.append(
                {
                    "experiment": experiment,
                    "model": model,
                    "change": change,
                    "drop_db": drop.value,
                    "low_db": drop.low,
                    "high_db": drop.high,
                    "images": found.shape[1],
                    "seeds": len(found),
                    "told_apart": drop.excludes_zero and enough,
                    "equal": equivalent(drop, MARGIN) and enough,
                    "run": " ".join(own["run"].unique()),
                }
            )
    return pd.DataFrame(rows)


def beside(gains: pd.DataFrame, drops: pd.DataFrame, by: str = "model") -> pd.DataFrame:
    """Gains, and beside each what uniform weights cost that network.

    Parameters
    ----------
    gains : DataFrame
        Of :func:`srlab.stats.differences`, or with its columns.
    drops : DataFrame
        Of :func:`srlab.analysis.at_work.measure`, of the same experiment.
    by : str
        The column of `gains` that names the network.

    Returns
    -------
    DataFrame
        `gains` with uniform_cost_db, uniform_low_db, uniform_high_db before the last column; NaN of networks without
        attention.
    """
    found = losses(drops[drops["change"] == UNIFORM])
    columns = {"drop_db": "uniform_cost_db", "low_db": "uniform_low_db", "high_db": "uniform_high_db"}
    cost = found.rename(columns=columns).set_index("model")[[*columns.values()]]
    joined = gains.join(cost, on=by)
    return joined[[*gains.columns[:-1], *cost.columns, gains.columns[-1]]]


def gains(study: Study, drops: pd.DataFrame) -> pd.DataFrame:
    """What attention gains over the trunk without it, all benchmarks together, beside what uniform weights cost.

    Returns
    -------
    DataFrame
        experiment and the columns of :func:`beside`. Experiments without that trunk have no rows.
    """
    tables = []
    for experiment, runs in experiments(study).items():
        images = quality([study.obtain(run) for run in runs])
        images = images.assign(model=images["run"].map({run.hash: study.label(run) for run in runs}))
        if "no_attention" in set(images["model"]):
            found = differences(images)
            found = found[found["benchmark"] == (ALL if images["benchmark"].nunique() > 1 else found["benchmark"][0])]
            joined = beside(found, drops[drops["experiment"] == experiment])
            joined.insert(0, "experiment", experiment)
            tables.append(joined)
    return pd.concat(tables, ignore_index=True)


def answer(losses: pd.DataFrame) -> str:
    """Which networks lose something when their weights become uniform, which nothing, and which are undecided."""
    parts = ["Y-PSNR that networks lose at test time, in dB; in brackets 95 % intervals over seeds, simultaneous."]
    for experiment, own in losses.groupby("experiment", sort=False):
        seeds, images = int(own["seeds"].min()), int(own["images"].iloc[0])
        uniform = own[own["change"] == UNIFORM]
        over = f"{count(images, 'crop')}, {count(seeds, 'seed')}"
        lines = [f"**{experiment.capitalize()}**, {over}. What altered weights cost:", ""]
        if seeds < SEEDS:
            lines.append(f"- {UNIFORM}: {_span(uniform)}. With {count(seeds, 'seed')} no verdict is drawn.")
        else:
            lines += _verdicts(uniform)
        lines += [f"- {change}: {_span(own[own['change'] == change])}." for change in CHANGES if change != UNIFORM]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _verdicts(uniform: pd.DataFrame) -> list[str]:
    apart, equal, drop = uniform["told_apart"], uniform["equal"], uniform["drop_db"]
    parts = {
        "something is lost": apart & ~equal & (drop > 0),
        "something is gained": apart & ~equal & (drop < 0),
        f"nothing is lost beyond ±{MARGIN:g} dB": equal,
        "undecided": ~apart & ~equal,
    }
    return [f"- {UNIFORM}, {words}: {_listed(uniform[chosen])}." for words, chosen in parts.items() if chosen.any()]


def _listed(rows: pd.DataFrame) -> str:
    """Each with its interval, if they are few; the intervals of all are in the table."""
    if len(rows) > FEW:
        return f"{len(rows)} networks, {_span(rows)}"
    return ", ".join(
        f"`{row.model}` {Estimate(row.drop_db, row.low_db, row.high_db):+.3f}" for row in rows.itertuples()
    )


def _span(rows: pd.DataFrame) -> str:
    least, most = rows.loc[rows["drop_db"].idxmin()], rows.loc[rows["drop_db"].idxmax()]
    return f"{least['drop_db']:+.3f} (`{least['model']}`) to {most['drop_db']:+.3f} dB (`{most['model']}`)"
