"""The figure of the branched experiment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.chapters.branched.gains import CONTROL, LOCAL
from srlab.models.registry import label
from srlab.plots.estimates import forest, part
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption
from srlab.stats.words import count
from srlab.study.chapter import Tables


@rc_context(HOUSE)
def branched(tables: Tables) -> Figure:
    """Draw each arm's gain over the continued trunk, and its change since the trunk it began as; controls below."""
    gains, seeds, start = tables["branched_gains"], tables["branched_seeds"], tables["branched_start"]
    order = sorted([*gains["arm"], CONTROL], key=(LOCAL, CONTROL).__contains__)
    names = {arm: f"{label(arm)} (control)" if arm in (LOCAL, CONTROL) else label(arm) for arm in order}
    figure = blank(DOUBLE, 0.22 * len(order) + 1.4)
    over, since = figure.subplots(1, 2, sharey=True, width_ratios=[5, 3])
    margin = gains["margin_db"].iloc[0]
    ends = {"gain_db": "value", "low_db": "low", "high_db": "high"}
    forest(over, _rows(gains.rename(columns=ends), names), _dots(seeds, "gain_db", names), margin=margin)
    change = start.groupby("arm", as_index=False).agg(value=("change_db", "mean")).assign(low=-np.inf, high=np.inf)
    forest(since, _rows(change, names), _dots(start, "change_db", names))
    part([over, since], [arm in (LOCAL, CONTROL) for arm in order])
    over.set(xlabel="Y-PSNR − that of the trunk continued without attention (dB)", title="(a) over the control")
    since.set(xlabel="Y-PSNR − the trunk's at the start (dB)", title="(b) since the start")
    trunks, images = count(int(gains["seeds"].min()), "trunk"), count(int(gains["images"].iloc[0]), "image")
    note = (
        f"Large: mean; small: {trunks}; {images}. Bars: 95 % intervals over trunks, simultaneous. Grey: no effect, "
        f"±{margin:g} dB."
    )
    caption(figure, "Attention attached to trained trunks: gain over the control, and change since the start", note)
    return figure


def _rows(found: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Arrange arms as the figure names them; a control has no gain over itself."""
    rows = found.set_index("arm")[["value", "low", "high"]].reindex(list(names))
    return rows.assign(name=list(names.values()), model=[arm.split()[0] for arm in names])


def _dots(found: pd.DataFrame, column: str, names: dict[str, str]) -> pd.DataFrame:
    return found.assign(name=found["arm"].map(names), value=found[column])
