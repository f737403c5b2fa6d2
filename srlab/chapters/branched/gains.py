"""Tables of the branched experiment: gains over the two controls, by trunk, since the start, and gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from srlab.stats.gains import MARGIN, differences, paired, pooled
from srlab.stats.rules import rules
from srlab.study.records import Record

#: The control: the trunk that continues without attention.
CONTROL = rules().quality.control
#: The second control: a convolution with as many parameters as attention, or more.
LOCAL = "trunk_conv7"
#: The name of the trunks in which arms begin.
START = "start"


def gains(images: pd.DataFrame) -> pd.DataFrame:
    """Compare each arm with both controls on all benchmarks together, the best first.

    The columns of `srlab.stats.gains.differences` for `arm`, margin_db, and over_local_db, over_local_low_db,
    over_local_high_db: the gain over `LOCAL` (NaN where it was not trained, and in its own row).
    """
    found = pooled(differences(images, "arm", CONTROL)).assign(margin_db=MARGIN)
    ends = {"gain_db": "over_local_db", "low_db": "over_local_low_db", "high_db": "over_local_high_db"}
    if LOCAL in set(images["arm"]):
        local = pooled(differences(images, "arm", LOCAL)).rename(columns=ends)[["arm", *ends.values()]]
        found = found.merge(local, how="left", on="arm")
    else:
        found = found.assign(**dict.fromkeys(ends.values(), float("nan")))
    found = found.sort_values("gain_db", ascending=False, kind="stable")
    return found.assign(run=found.pop("run")).reset_index(drop=True)


def seeds(images: pd.DataFrame, reference: str = CONTROL) -> pd.DataFrame:
    """Average the gain over a reference over images: arm, seed, gain_db, run."""
    each = paired(images, "arm", reference).groupby(["arm", "seed"], sort=False)
    return each.agg(gain_db=("gain_db", "mean"), run=("run", "first")).reset_index()


def start(images: pd.DataFrame, trunks: pd.DataFrame, lr_side: float) -> pd.DataFrame:
    """Compare every run, those of the controls too, with the trunk in which it began, on the same images.

    Columns: arm, seed, change_db (mean over images), lr_side (of a test image in LR pixels; NaN for whole ones), run.
    """
    found = seeds(pd.concat([images, trunks.assign(arm=START)], ignore_index=True), START)
    found = found.rename(columns={"gain_db": "change_db"}).assign(lr_side=lr_side)
    return found[["arm", "seed", "change_db", "lr_side", "run"]]


def gates(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Return how far each gate opened, by `srlab.models.trunk.gates_of`: arm, seed, layer, open, run."""
    rows = [
        {"arm": arm, "seed": record.run.seed, "layer": layer, "open": value, "run": record.run.hash}
        for arm, own in records.items()
        for record in own
        for layer, value in record.facts["gates"].items()
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "layer", "open", "run"])
