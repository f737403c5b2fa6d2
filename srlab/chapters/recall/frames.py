"""Tables of recall: over distance, in groups, by seed, by embedding, and in training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srlab.chapters.recall.run import settled
from srlab.models.registry import entry
from srlab.stats.intervals import over_seeds
from srlab.stats.rules import rules

RULES = rules().recall
#: Columns that name an arm.
ARM = ["league", "arm", "model"]
#: Columns of the comparison of embeddings, which has no row where no mechanism has both.
COMPARED = ["model", "tied", "untied", "invented_tied", "invented_untied", "difference", "low", "high"]
COMPARED += ["verdict", "seeds", "run"]


def distances(tiles: pd.DataFrame) -> pd.DataFrame:
    """Average recall of each arm in each bin of distance to the copy.

    Columns: league, arm, model, from_px and to_px (LR pixels; the last bin holds its end), tiles (of all seeds), seeds,
    recall (mean over seeds of the mean over tiles), low, high (simultaneous over the arms and bins of a league;
    infinite for one seed), found, weight (means, see :func:`srlab.chapters.recall.measure.measure_recall`), run.
    """
    far = tiles[(tiles["setting"] == "far") & tiles["distance"].notna()]
    ends = [*RULES.bins[:-1], np.inf]
    far = far.assign(bin=pd.cut(far["distance"], ends, right=False, labels=False))
    rows = []
    for (league, arm, model), own in far.groupby(ARM, sort=False):
        family = far.loc[far["league"] == league, "arm"].nunique() * (len(ends) - 1)
        for each, inside in own.groupby("bin"):
            recall = over_seeds(inside.groupby("seed")["recall"].mean().to_numpy(), family)
            known = {"league": league, "arm": arm, "model": model}
            known |= {"from_px": RULES.bins[int(each)], "to_px": RULES.bins[int(each) + 1], "tiles": len(inside)}
            known |= {"seeds": inside["seed"].nunique()}
            known |= dict(zip(("recall", "low", "high"), recall, strict=True)) | dict(
                inside[["found", "weight"]].mean()
            )
            rows.append(known | {"run": " ".join(inside["run"].unique())})
    return pd.DataFrame(rows)


def seeds(tiles: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Average each run: league, arm, model, seed, recall, near, invented, found, weight, seen, steps, settled, run.

    recall is the mean over tiles at `far` LR pixels or more, `near` that of one copy in the next tile of an empty
    image, invented that of tiles without a copy; found and weight are those of the far tiles, seen is the mean number
    of keys; settled says that training ended because it brought no more.
    """
    rows = []
    for (league, arm, model, seed, run), own in tiles.groupby([*ARM, "seed", "run"], sort=False):
        among = own["setting"] == "far"
        far, alone = own[among & (own["distance"] >= RULES.far)], own[among & own["distance"].isna()]
        known = {"league": league, "arm": arm, "model": model, "seed": seed, "recall": far["recall"].mean()}
        known |= {"near": own.loc[own["setting"] == "beside", "recall"].mean(), "invented": alone["recall"].mean()}
        curve = curves[curves["run"] == run]
        known |= dict(far[["found", "weight", "seen"]].mean()) | {"steps": int(curve["step"].max())}
        known |= {"settled": settled(curve[["step", "loss"]].to_dict("records")), "run": run}
        rows.append(known)
    return pd.DataFrame(rows)


def groups(seeds: pd.DataFrame) -> pd.DataFrame:
    """Group the arms of each league so that no simultaneous interval overlaps one of another group, the best first.

    Columns: league, group (from 1; 0 for an arm with fewer seeds than the rules' or not settled, which gets no rank),
    arm, model, recall, low, high (over seeds, simultaneous over the arms of the league), near, invented, invented_low,
    invented_high (in the same way), found, weight, seen, steps (the most of any seed), settled (all), seeds, run.
    """
    rows = []
    for (league, arm, model), own in seeds.groupby(ARM, sort=False):
        family = seeds.loc[seeds["league"] == league, "arm"].nunique()
        recall, invented = (over_seeds(own[name].to_numpy(), family) for name in ("recall", "invented"))
        known = {"league": league, "arm": arm, "model": model, "recall": recall.value, "low": recall.low}
        known |= {"high": recall.high, "near": own["near"].mean(), "invented": invented.value}
        known |= {"invented_low": invented.low, "invented_high": invented.high}
        known |= dict(own[["found", "weight", "seen"]].mean()) | {"steps": own["steps"].max()}
        known |= {"settled": own["settled"].all(), "seeds": len(own), "run": " ".join(own["run"])}
        rows.append(known)
    table = pd.DataFrame(rows).sort_values("recall", ascending=False, kind="stable")
    table.insert(1, "group", 0)
    ranked = table[table["settled"] & (table["seeds"] >= RULES.seeds)]
    for _, own in ranked.groupby("league", sort=False):
        lowest = own["low"].cummin().shift(fill_value=np.inf)
        highest = own["high"][::-1].cummax()[::-1]
        apart = (lowest > highest) & (np.arange(len(own)) > 0)
        table.loc[own.index, "group"] = 1 + apart.cumsum()
    order = list(dict.fromkeys(seeds["league"]))
    return table.sort_values("league", key=lambda names: names.map(order.index), kind="stable").reset_index(drop=True)


def embedding(seeds: pd.DataFrame) -> pd.DataFrame:
    """Compare the two embeddings of each mechanism that has both, seed by seed.

    Columns: model, tied, untied (recall), invented_tied, invented_untied, difference (tied less untied), low, high
    (over common seeds, simultaneous over the mechanisms), verdict ("tied", "untied", "no difference" within ± the
    rules' margin, "undecided", or "too few seeds"), seeds, run.
    """
    own = seeds[seeds["arm"].str.fullmatch(r"\w+( tied=\w+)?")]
    own = own.assign(tied=own["arm"].map(tied)).dropna(subset="tied")
    both = own.groupby("model")["tied"].transform("nunique") == 2
    rows, family = [], own[both]["model"].nunique()
    for model, each in own[both].groupby("model", sort=False):
        recall, invented = (each.pivot(index="seed", columns="tied", values=name) for name in ("recall", "invented"))
        recall, invented = recall.dropna(), invented.dropna()
        found = over_seeds((recall[True] - recall[False]).to_numpy(), family)
        known = {"model": model, "tied": recall[True].mean(), "untied": recall[False].mean()}
        known |= {"invented_tied": invented[True].mean(), "invented_untied": invented[False].mean()}
        known |= dict(zip(("difference", "low", "high"), found, strict=True))
        known |= {"verdict": _verdict(found.low, found.high, len(recall)), "seeds": len(recall)}
        rows.append(known | {"run": " ".join(each["run"])})
    return pd.DataFrame(rows, columns=COMPARED)


def tied(arm: str) -> bool | None:
    """Return whether an arm has one embedding for queries and keys; None for a mechanism without the choice."""
    model, _, option = arm.partition(" tied=")
    return option == "1" if option else entry(model).options.get("tied")


def _verdict(low: float, high: float, seeds: int) -> str:
    if seeds < RULES.seeds:
        return "too few seeds"
    if -RULES.margin < low and high < RULES.margin:
        return "no difference"
    return "tied" if low > 0 else "untied" if high < 0 else "undecided"


def curves(found: pd.DataFrame) -> pd.DataFrame:
    """Return recall in training: league, arm, model, seed, step, recall (1 − loss of the last steps), run."""
    return found.assign(recall=1 - found["loss"])[[*ARM, "seed", "step", "recall", "run"]]
