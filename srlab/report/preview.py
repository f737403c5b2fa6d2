"""The picture that stands beside a link to the study's page, where people share it."""

from __future__ import annotations

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.plots.charts import lines
from srlab.plots.marks import about_zero
from srlab.plots.style import HOUSE, blank
from srlab.plots.text import name_lines

#: Inches; at 200 dpi 1,200×630 pixels.
SIZE = (6.0, 3.15)
LARGE = 11.0  # points


@rc_context(HOUSE | {f"{part}.labelsize": LARGE for part in ("axes", "xtick", "ytick")})
def preview(context: dict) -> Figure:
    """Draw the loss against true pixels around a tile, of the first benchmark of :func:`site_data.context`."""
    first, figure = context["benchmarks"][0], blank(*SIZE)
    rows = [
        {
            "name": network["label"],
            "model": network["name"],
            "x": radius,
            "y": loss,
            "y_low": low,
            "y_high": high,
        }
        for network in first["networks"]
        for radius, (loss, low, high) in zip(context["radii"], network["curve"], strict=True)
    ]
    ax = figure.subplots()
    names = lines(ax, pd.DataFrame(rows))
    about_zero(ax, context["margin"])
    ax.set_xticks(context["radii"])
    ax.set(xlabel="true pixels around a tile (LR)", ylabel="loss (dB)")
    figure.suptitle("Does super-resolution need to look far?", fontsize=17, fontweight="bold")
    note = (
        f"{first['name']}, {first['images']} images or more, simultaneous 95 % intervals; grey: ±{context['margin']} dB"
    )
    figure.supxlabel(note, fontsize=9)
    name_lines({ax: names}, LARGE)
    return figure
