"""Who finds the other tile? Recall of each network, dial by dial, its groups, and what their queries see."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srlab.stats.frames import count
from srlab.stats.statistics import LEVEL, SEEDS, over_seeds
from srlab.study.study import Study

#: Where networks are put into groups: copies this many LR pixels away, a place that was chosen before the runs.
DIAL, VALUE = "distance", 16.0
#: From this share on queries are said to see their copy, and it to have most of their weight that a tile can have.
SEES = 0.5
#: What recall is above the share of pixels that see their copy in one layer, some of it came by several layers in turn.
CHAINED = 0.1


def images(study: Study) -> pd.DataFrame:
    """An image of a network and seed a row: arm (its label), model, seed, run, and the columns of `Record.recall`."""
    frames = []
    for run in study.recalls():
        rows = study.obtain(run).recall
        facts = {"arm": study.label(run), "model": run.network.model, "seed": run.seed, "run": run.hash}
        frames.append(pd.DataFrame(facts, index=rows.index).join(rows))
    return pd.concat(frames, ignore_index=True)


def recalled(images: pd.DataFrame) -> pd.DataFrame:
    """Recall of each arm at each value of each dial.

    Returns
    -------
    DataFrame
        arm, model, dial, value, recall (mean over seeds of the mean over images), low, high (its 95 % interval over
        seeds by Student's t, each by itself; infinite of one seed), seeds, images, invented, found, weight, seen (means, see
        :func:`srlab.measure.recall.measure_recall`), run.
    """
    rows = []
    for (arm, model, dial, value), own in images.groupby(["arm", "model", "dial", "value"], sort=False):
        of_seeds = own.groupby("seed")["recall"].mean()
        ends = dict(zip(("recall", "low", "high"), over_seeds(of_seeds.to_numpy()), strict=True))
        means = own[["invented", "found", "weight", "seen"]].mean()
        number = {"seeds": len(of_seeds), "images": own["image"].nunique()}
        rows.append({"arm": arm, "model": model, "dial": dial, "value": value, **ends, **number, **means})
        rows[-1]["run"] = " ".join(own["run"].unique())
    return pd.DataFrame(rows)


def seeds(images: pd.DataFrame) -> pd.DataFrame:
    """Recall where groups are made, mean over images, of each arm and seed: arm, seed, recall, run."""
    there = images[(images["dial"] == DIAL) & (images["value"] == VALUE)]
    each = there.groupby(["arm", "seed"], sort=False).agg(recall=("recall", "mean"), run=("run", "first"))
    return each.reset_index()


def groups(recalled: pd.DataFrame) -> pd.DataFrame:
    """The networks of the profile in groups of which no interval touches one of another group, the best first.

    In the order of their recall a group ends where all intervals so far lie above all that follow. Of fewer seeds than
    `SEEDS` all are one group. Variants of a network, which have more than its name in their label, are left out.

    Returns
    -------
    DataFrame
        group (from 1) and the columns of :func:`recalled` at the place where groups are made.
    """
    there = recalled[(recalled["dial"] == DIAL) & (recalled["value"] == VALUE) & (recalled["arm"] == recalled["model"])]
    there = there.sort_values("recall", ascending=False, kind="stable").reset_index(drop=True)
    lowest = there["low"].cummin().shift(fill_value=np.inf)
    highest = there["high"][::-1].cummax()[::-1]
    apart = (lowest > highest) & (there["seeds"] >= SEEDS) & (there.index > 0)
    return pd.concat([(1 + apart.cumsum()).rename("group"), there], axis=1)


def costs(recalled: pd.DataFrame) -> pd.DataFrame:
    """Recall against how many keys a query sees, there too: the columns of :func:`recalled`, by rising keys.

    Networks without a layer that looks far are left out.
    """
    there = recalled[(recalled["dial"] == DIAL) & (recalled["value"] == VALUE)]
    return there.dropna(subset="seen").sort_values(["seen", "arm"], kind="stable").reset_index(drop=True)


def curves(study: Study) -> pd.DataFrame:
    """Recall in training, of the images of the last steps: arm, model, seed, step, recall (1 − loss), run."""
    frames = []
    for run in study.recalls():
        if study.label(run) == run.network.model:
            curve = study.obtain(run).curve
            facts = {"arm": study.label(run), "model": run.network.model, "seed": run.seed}
            rows = curve.assign(**facts, recall=1 - curve["loss"], run=run.hash)
            frames.append(rows[[*facts, "step", "recall", "run"]])
    return pd.concat(frames, ignore_index=True)


def answer(groups: pd.DataFrame, recalled: pd.DataFrame) -> str:
    """Which groups there are, what parts them, and whether the task holds: what is near is found, nothing invented."""
    number, images = int(groups["seeds"].min()), int(groups["images"].iloc[0])
    place = f"{VALUE:g} LR pixels away"
    counted = f"{count(number, 'seed')}, {count(images, 'image')} each"
    if number < SEEDS:
        told = _listed(groups)
        return f"Of one copy {place} ({counted}, which gives no interval) they give back: {told}."
    made = groups["group"].max()
    lines = [
        f"Of one copy {place} ({counted}) networks give back shares that make {count(int(made), 'group')}; intervals "
        f"({LEVEL:.0%}, over seeds, each by itself) of one touch none of another:",
        "",
    ]
    lines += [f"{group}. {_listed(own)}. {_why(own)}" for group, own in groups.groupby("group")]
    beside = recalled[(recalled["dial"] == "beside") & recalled["arm"].isin(groups["arm"])]
    failing = beside[beside["recall"] < SEES]
    near = f"Of a copy in the next tile, alone on grey, every network gives back {beside['recall'].min():.2f} or more"
    if len(failing):
        near = f"A copy in the next tile, alone on grey, most find, but not {_listed(failing)}"
    most = recalled["invented"].max()
    lines += ["", f"{near}. Where no copy is, none gives back more than {most:.2f}, so nothing leaks."]
    return "\n".join(lines)


def headline(groups: pd.DataFrame) -> str:
    """Which networks give back detail whose only copy lies far away, by groups that intervals keep apart."""
    place = f"Of lost detail whose only copy lies {VALUE:g} LR pixels away, networks give back"
    seeds = int(groups["seeds"].min())
    if seeds < SEEDS:
        told = f"{_span(groups['recall'].clip(0))}, of {count(seeds, 'seed')}, which gives no verdict"
    else:
        of_groups = [
            f"{', '.join(f'`{arm}`' for arm in own['arm'])} {_span(own['recall'].clip(0))}"
            for _, own in groups.groupby("group")
        ]
        told = (
            f"{'; '.join(of_groups)} ({count(len(of_groups), 'group')}; {LEVEL:.0%} intervals touch within groups only)"
        )
    return f"**Who finds the other tile?** {place}: {told}."


def _listed(arms: pd.DataFrame) -> str:
    return ", ".join(f"`{row.arm}` {row.recall:z.2f}" for row in arms.itertuples())


def _why(own: pd.DataFrame) -> str:
    """What the queries of a group see of their copies, in a sentence."""
    looking = own.dropna(subset="found")
    if analysis.empty:
        return "They have no layer that looks far."
    blind, seeing = looking[looking["found"] < SEES], looking[looking["found"] >= SEES]
    told = []
    if len(seeing):
        weight = _span(seeing["weight"].dropna())
        told.append(
            f"{_span(seeing['found'])} of damaged pixels see their copy in a layer"
            + (f", and it has {weight} of their weight" if weight else ", by kernels that do not choose by content")
        )
    if len(blind):
        who = "only" if seeing.empty else f"of {', '.join(f'`{arm}`' for arm in blind['arm'])} only"
        told.append(f"{who} {_span(blind['found'])} see it in a layer")
    if len(chained := looking[looking["recall"] > looking["found"] + CHAINED]):
        told.append(f"what {', '.join(f'`{arm}`' for arm in chained['arm'])} gives back came by several layers in turn")
    sentence = "; ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _span(shares: pd.Series) -> str:
    if shares.empty:
        return ""
    low, high = f"{shares.min():.2f}", f"{shares.max():.2f}"
    return low if low == high else f"{low} to {high}"
