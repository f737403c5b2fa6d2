"""Figures of frozen."""

from __future__ import annotations

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.chapters.frozen.frames import CONTROLS, NOTHING, RULES
from srlab.models.registry import label
from srlab.plots.charts import lines
from srlab.plots.estimates import forest, part
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption, name_lines
from srlab.stats.words import count
from srlab.study.chapter import Tables

#: Names of controls.
NAMES = {
    NOTHING: "features alone",
    RULES.local: "local layer",
    RULES.positive: "one more unit (should help)",
}


def shown(base: str) -> str:
    """Return the name of a base for people."""
    return "the trained trunk" if base == RULES.positive else label(base)


def styled(rows: pd.DataFrame) -> pd.DataFrame:
    """Add name and look of each arm."""
    return rows.assign(
        name=[NAMES.get(arm) or label(arm) for arm in rows["arm"]],
        model=rows["arm"].replace(NOTHING, "bicubic"),
    )


@rc_context(HOUSE)
def frozen(tables: Tables) -> Figure:
    """Draw the gain over the local layer at the end of the budget, a panel a base: controls, then arms; dots: seeds."""
    found, dots = styled(tables["frozen"]), styled(tables["frozen_seeds"]).rename(columns={"over_local_db": "value"})
    found = found.rename(columns={"over_local_db": "value", "low_db": "low", "high_db": "high"})
    bases = found["base"].unique()
    figure = blank(DOUBLE, 0.22 * found["arm"].nunique() + 1.5)
    axes = figure.subplots(1, len(bases), sharey=True, squeeze=False)[0]
    for ax, base in zip(axes, bases, strict=True):
        own = found[found["base"] == base]
        forest(ax, own, dots[dots["base"] == base], margin=RULES.margin_db)
        part([ax], own["arm"].isin(CONTROLS))
        blind = ": no verdict" if (own["verdict"] == "no verdict").any() else ""
        ax.set(title=f"{shown(base)}{blind}", xlabel="Y-PSNR − that of the local layer (dB)")
    n = f"{count(int(found['seeds'].max()), 'seed')}; {count(int(found['images'].max()), 'image')}"
    note = f"Large: mean; small: {n}. Bars: 95 % intervals over seeds, simultaneous. Grey: ±{RULES.margin_db:g} dB."
    caption(figure, "Attention on finished features: gain over a local layer with as many parameters", note)
    return figure


@rc_context(HOUSE)
def thirds(tables: Tables) -> Figure:
    """Draw the gain over the features alone at each third of the budget, a line an arm and a panel a base."""
    found = styled(tables["frozen_thirds"])
    found = found[found["arm"] != NOTHING].rename(columns={"third": "x", "gain_db": "y"})
    bases = found["base"].unique()
    figure = blank(DOUBLE, 3.2)
    axes = figure.subplots(1, len(bases), squeeze=False)[0]
    names = {}
    for ax, base in zip(axes, bases, strict=True):
        names[ax] = lines(ax, found[found["base"] == base].drop(columns=["low_db", "high_db"]))
        ax.set_xticks(sorted(found["x"].unique()), [f"{third}/3" for third in sorted(found["x"].unique())])
        ax.set(title=shown(base), xlabel="part of the budget")
    axes[0].set_ylabel("Y-PSNR − that of the features alone (dB)")
    seeds, images = (count(int(found[column].max()), column[:-1]) for column in ("seeds", "images"))
    note = f"Means over {seeds} and {images}; zero is the network as it was trained."
    caption(figure, "Gain over the features alone in the course of training", note)
    name_lines(names)
    return figure
