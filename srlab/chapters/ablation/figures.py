"""Draw how much PSNR networks lose when their attention is altered."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.plots.estimates import forest, part
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption
from srlab.stats.gains import MARGIN
from srlab.stats.words import bar_note, count
from srlab.study.chapter import Tables
from srlab.study.frames import named


@rc_context(HOUSE)
def ablation(tables: Tables) -> Figure:
    """Draw what each network loses, the most first, a panel a change; branched arms stand below."""
    seeds, found = _named(tables["ablation"]), _named(tables["ablation_losses"])
    changes = list(found["change"].unique())
    worst = found[found["change"] == changes[0]].set_index("name")["value"]
    ranks = pd.DataFrame({"experiment": pd.factorize(found["experiment"])[0], "loss": -found["name"].map(worst)})
    found = found.loc[ranks.sort_values(["experiment", "loss"], kind="stable").index]
    figure = blank(DOUBLE, 0.19 * found["name"].nunique() + 1.3)
    panels = list(figure.subplots(1, len(changes), sharex=True, sharey=True))
    for ax, change in zip(panels, changes, strict=True):
        forest(ax, found[found["change"] == change], seeds[seeds["change"] == change], margin=MARGIN)
        ax.set(title=change, xlabel="Y-PSNR lost (dB)")
    part(panels, [experiment == "branched" for experiment in found.drop_duplicates("name")["experiment"]])
    seeds, crops = int(found["seeds"].min()), count(int(found["images"].max()), "crop")
    note = f"Large: mean; small: a seed; {bar_note(seeds, 'simultaneous in a panel and experiment')}. Grey: no effect, "
    note += f"±{MARGIN:g} dB. {count(seeds, 'seed')}, {crops}."
    caption(figure, "What trained networks lose when their attention is altered at test time", note)
    return figure


@rc_context(HOUSE)
def released(tables: Tables) -> Figure:
    """Draw what each released network loses on each benchmark, a panel a change, each with an axis of its own."""
    found = named(tables["ablation_released"], "network", "drop_db")
    found = found.assign(name=found["name"] + ", " + found["benchmark"], model=found["network"])
    changes = list(found["change"].unique())
    figure = blank(DOUBLE, 0.3 * found["name"].nunique() + 1.3)
    for ax, change in zip(np.atleast_1d(figure.subplots(1, len(changes), sharey=True)), changes, strict=True):
        forest(ax, found[found["change"] == change], margin=MARGIN)
        ax.set(title=change, xlabel="Y-PSNR lost (dB)")
    note = f"Bars: 95 % intervals over images, simultaneous in the figure. Grey: no effect, ±{MARGIN:g} dB. "
    note += f"{count(int(found['images'].min()), 'image')} a benchmark; each panel has an axis of its own."
    caption(figure, "What networks lose when their attention is altered at test time", note)
    return figure


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    found = named(rows, value="drop_db")
    names = found["name"] + rows["experiment"].map({"branched": " (branch)"}).fillna("")
    return found.assign(name=names, model=rows["model"].str.split().str[0])
