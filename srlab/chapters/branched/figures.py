"""The figure of the branched experiment."""

from __future__ import annotations

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
from srlab.study.frames import averaged, named


@rc_context(HOUSE)
def branched(tables: Tables) -> Figure:
    """Draw each arm's change since the trunk it began as, and its gain over the continued trunk; controls below."""
    gains = tables["branched_gains"]
    order = sorted([*gains["arm"], CONTROL], key=(LOCAL, CONTROL).__contains__)
    names = {arm: f"{label(arm)} (control)" if arm in (LOCAL, CONTROL) else label(arm) for arm in order}
    figure = blank(DOUBLE, 0.22 * len(order) + 1.4)
    since, over = figure.subplots(1, 2, sharey=True)
    margin = gains["margin_db"].iloc[0]
    seeds, start = (
        named(tables[table], "arm", value).assign(name=tables[table]["arm"].map(names), model=tables[table]["arm"])
        for table, value in (("branched_seeds", "gain_db"), ("branched_start", "change_db"))
    )
    forest(over, _rows(named(gains, "arm"), names), seeds, margin=margin)
    forest(since, _rows(averaged(start).assign(arm=lambda rows: rows["model"]), names), start)
    part([since, over], [arm in (LOCAL, CONTROL) for arm in order])
    over.set(xlabel="Y-PSNR − that of the control (dB)", title="(b) over the control")
    since.set(xlabel="Y-PSNR − at the start (dB)", title="(a) since the start")
    trunks, images = count(int(gains["seeds"].min()), "trunk"), count(int(gains["images"].iloc[0]), "image")
    note = (
        f"Large: mean; small: {trunks}; {images}. Bars: 95 % intervals over trunks, simultaneous. Control: the trunk "
    )
    below = f"{(start['value'] < 0).sum()} of {count(len(start), 'run')} end below it"
    note += f"continued without attention. Start: the trunk before it; {below}. Grey: no effect, ±{margin:g} dB."
    caption(figure, "Attention attached to trained trunks: change since the start, and gain over the control", note)
    return figure


def _rows(found: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Arrange arms as the figure names them; a control has no gain over itself."""
    rows = found.set_index("arm")[["value", "low", "high"]].reindex(list(names))
    return rows.assign(name=list(names.values()), model=[arm.split()[0] for arm in names])
