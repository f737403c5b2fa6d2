"""The figure of what non-local layers spend their time on."""

from __future__ import annotations

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.plots.labels import readable, tell
from srlab.plots.marks import from_zero, rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank

#: Colour (of Okabe and Ito) and hatch of each stage, from left to right.
STAGES = {
    "projections": ("#999999", ""),
    "choosing": ("#E69F00", "//"),
    "sorting": ("#009E73", "xx"),
    "copies": ("#CC79A7", "\\\\"),
    "attending": ("#0072B2", ""),
}


@rc_context(HOUSE)
def inside(stages: pd.DataFrame) -> Figure:
    """The time of each mechanism's layers, cut into what they do in it.

    Parameters
    ----------
    stages : DataFrame
        As of `srlab.stats.inside`.
    """
    whole = stages.groupby("model", sort=False)["ms"].sum().sort_values(kind="stable")
    shares = stages.pivot(index="model", columns="stage", values="share").loc[whole.index]
    figure = blank(DOUBLE, 1.5 + 0.26 * len(whole))
    ax = figure.subplots()
    begin = pd.Series(0.0, whole.index)
    for stage, (colour, hatch) in STAGES.items():
        widths = shares[stage] * whole
        bars = {"left": begin, "height": 0.7, "color": colour, "hatch": hatch, "edgecolor": "white"}
        ax.barh(range(len(whole)), widths, label=stage, **bars)
        begin += widths
    for place, (_model, total) in enumerate(whole.items()):
        ax.annotate(f"{total:.3g} ms", (total, place), (4, 0), textcoords="offset points", va="center", color=INK)
    rows(ax, list(whole.index))
    from_zero(ax, "x")
    ax.set_xlabel("median time of the non-local layers (ms)")
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(STAGES), borderaxespad=0.2)
    for words, (colour, _) in zip(legend.get_texts(), STAGES.values(), strict=True):
        words.set_color(readable(colour))
    attending = shares["attending"]
    size, repeats = stages["size"].iloc[0], stages["repeats"].iloc[0]
    tell(
        figure,
        f"Of their time, layers spend {100 * attending.min():.0f} % ({attending.idxmin()}) to "
        f"{100 * attending.max():.0f} % ({attending.idxmax()}) on attending itself",
        f"LR {size:g} px; shares by PyTorch's profiler over {repeats} calls, of the median time. Choosing: k-means, "
        "hashes, routes, scaled queries and keys, and weights that are stored. Copies: gathering, padding, concatenation. "
        "Attending: scores, softmax, sums of values, and all that is left.",
    )
    return figure
