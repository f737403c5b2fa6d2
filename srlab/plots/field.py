"""The figure of the field: quality against latency, networks measured here, and below what papers publish."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srlab.measure.published import PUBLISHED_AS
from srlab.plots.labels import Name, name_points, tell
from srlab.plots.marks import logarithmic
from srlab.plots.style import DOUBLE, HOUSE, INK, STYLE, blank
from srlab.stats.frames import count, pareto

#: Area of a marker in square points for a MiB, or a MB.
AREA = 0.16
#: Memory whose areas the legend shows.
SHOWN = (250, 1000)


@rc_context(HOUSE)
def field(measured: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """PSNR against latency: filled, what was measured here, a panel an output size; hollow, what is published.

    Parameters
    ----------
    measured, published : DataFrame
        As of the functions `measured` and `elsewhere` in `srlab.stats.field`.
    """
    figure = blank(DOUBLE, 5.6)
    outputs = list(measured["output"].drop_duplicates())
    axes = figure.subplot_mosaic([outputs, len(outputs) * ["published"]], height_ratios=[4, 5])
    there = axes.pop("published")
    dataset = measured["dataset"].iloc[0]
    names = {}
    for letter, (of, ax) in zip("abcd", axes.items(), strict=False):
        own = measured[measured["output"] == of].rename(columns={"peak_mib": "memory"})
        ax.set_title(f"({letter}) measured here, {of} px out", loc="left")
        names[ax] = _points(ax, own.assign(label=own["model"], ms=own["median_ms"]), hollow=False)
        ax.hlines(own["psnr_y"], own["q25_ms"], own["q75_ms"], color=INK, linewidth=1, zorder=1)
    own = published.rename(columns={"method": "label", "latency_ms": "ms", "memory_mb": "memory"})
    there.set_title(f"({'abcd'[len(outputs)]}) as published, not measured here, 1280×720 px out, on a GPU", loc="left")
    names[there] = _points(there, own, hollow=True)
    for ax in (*axes.values(), there):
        ax.margins(x=0.1, y=0.16)
        logarithmic(ax, "x")
        ax.set_xlabel("latency (ms)")
        ax.set_ylabel(f"Y-PSNR on {dataset} (dB)")
    _legend(there)
    first = measured[measured["output"] == outputs[0]]
    best = list(pareto(first, "median_ms", "psnr_y")["model"])
    beaten = f"{', '.join(best[:-1])} and {best[-1]} are" if len(best) > 1 else f"{best[0]} alone is"
    row = first.iloc[0]
    device = {"cpu": "CPU", "cuda": "GPU"}[row["kind"]]
    tell(
        figure,
        f"Of {count(len(first), 'released network')} ×4 run on one {device}, {beaten} beaten by none in both "
        "PSNR and latency",
        f"{dataset}, {count(int(row['images']), 'image')}. Above: {row['name']}, "
        f"{count(int(row['threads']), 'thread')}, float32, median of {row['repeats']:.0f} calls, level bars: quartiles. Below: {published['source'].iloc[0]}. "
        "Area of a marker: peak memory (MiB above, MB below). Grey: Pareto front.",
    )
    name_points(names)
    return figure


def _points(ax: Axes, rows: pd.DataFrame, hollow: bool) -> list[Name]:
    """Markers with areas by memory, above their Pareto front; their names."""
    front = pareto(rows, "ms", "psnr_y")
    ax.plot(front["ms"], front["psnr_y"], color="#cccccc", linewidth=3, zorder=0)
    names = []
    for row in rows.sort_values("memory", ascending=False).itertuples():
        colour, marker = appearance(row.label)
        face = "none" if hollow else colour
        style = {"s": AREA * row.memory, "marker": marker, "facecolors": face, "edgecolors": colour, "linewidths": 1.2}
        ax.scatter(row.ms, row.psnr_y, alpha=1 if hollow else 0.8, **style)
        names.append(Name(row.label, row.ms, row.psnr_y, colour))
    return names


def appearance(label: str) -> tuple[str, str]:
    """Colour and marker of a network by its name here or in papers; of one that has none, ink and a circle."""
    ours = {published: name for name, published in PUBLISHED_AS.items()}
    return STYLE.get(ours.get(label, label), (INK, "o"))


def _legend(ax: Axes) -> None:
    marks = [
        Line2D([], [], linestyle="none", marker="o", markersize=np.sqrt(AREA * memory), color=INK, fillstyle="none")
        for memory in SHOWN
    ]
    words = [f"{memory} MB" for memory in SHOWN]
    ax.legend(marks, words, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(SHOWN), borderpad=0, borderaxespad=0.2)
