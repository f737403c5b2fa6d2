"""Figures of layers that reuse weights: where their windows look, and what weights of their own would be."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from srlab.analysis.reuse import ALONE, EVEN, NEXT, NEXT_BUT_ONE, OWN, REUSING, WEIGHTS
from srlab.plots.labels import SMALL, signed, tell
from srlab.plots.maps import QUERY
from srlab.plots.marks import rows as named_rows
from srlab.plots.style import DOUBLE, HOUSE, INK, bare, blank
from srlab.stats.frames import count
from srlab.stats.reuse import gaps, mostly_query

#: Of windows, from the smallest: colour (Paul Tol's high contrast) and marker.
SIDES = (("#DDAA33", "o"), ("#BB5566", "s"), ("#004488", "^"))
#: Of what stands in for shared weights: colour (Okabe and Ito), marker, line; what looks for nothing is dashed.
STAND_INS = {
    OWN: ("#0072B2", "o", "-"),
    NEXT: ("#E69F00", "^", "-"),
    NEXT_BUT_ONE: ("#009E73", "s", "-"),
    EVEN: ("#999999", "x", "--"),
    ALONE: ("#000000", "+", "--"),
}
#: Multiples of an even weight.
MULTIPLES = LogNorm(0.1, 100)
SHOWN = {WEIGHTS: "weights", REUSING: "reused values"}


@rc_context(HOUSE)
def maps(measured: pd.DataFrame, example: pd.DataFrame, around: pd.DataFrame) -> Figure:
    """Above one query in three blocks, window by window; below means over many queries, by block.

    Parameters
    ----------
    measured : DataFrame
        The first of `srlab.analysis.reuse.look`.
    example, around : DataFrame
        Of `srlab.analysis.reuse.example`.
    """
    blocks, sides = (list(example[name].drop_duplicates()) for name in ("block", "side"))
    columns = 1 + len(SHOWN) * len(sides)
    high = DOUBLE / columns * len(blocks) + 0.9
    figure = blank(DOUBLE, high + 2.9)
    upper, lower = figure.subfigures(2, 1, height_ratios=[high, 2.0])
    grid = upper.subplots(len(blocks), columns, squeeze=False)
    for axes, block in zip(grid, blocks, strict=True):
        own = example[example["block"] == block]
        _picture(axes[0], around, own)
        axes[0].text(-0.06, 0.5, f"block {block}", rotation=90, transform=axes[0].transAxes, ha="right", va="center")
        shown = ((what, side) for side in sides for what in SHOWN)
        for ax, (what, side) in zip(axes[1:], shown, strict=True):
            _window(ax, own[own["side"] == side], what, around)
    titles = ["LR, windows", *(f"{side}×{side}:\n{words}" for side in sides for words in SHOWN.values())]
    for ax, title in zip(grid[0], titles, strict=True):
        ax.set_title(title, fontsize=SMALL)
    bar = upper.colorbar(
        ScalarMappable(MULTIPLES, "viridis"), ax=grid, orientation="horizontal", extend="both", aspect=50, shrink=0.7
    )
    bar.set_ticks([0.1, 1, 10, 100], labels=["0.1", "1", "10", "100"])
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.set_label("share ÷ share of a key if all of the window weighed alike")
    bar.ax.grid(visible=False)
    weights = measured[measured["what"] == WEIGHTS]
    weights = weights.assign(used=weights["keys_effective"] / weights["keys_seen"])
    panels = {
        "on_query": "weight on the query itself",
        "used": "keys in use ÷ keys seen",
        "distance": "mean distance of a key (px)",
    }
    axes = lower.subplots(1, len(panels))
    for letter, ax, (column, words) in zip("abc", axes, panels.items(), strict=True):
        for style, side in zip(SIDES, sides, strict=False):
            _by_block(ax, weights[weights["side"] == side], column, style, f"{side}×{side}")
        ax.set(xlabel="block", ylabel=words, ylim=(0, None))
        ax.set_xticks(sorted(measured["block"].unique()))
        ax.set_title(f"({letter})", loc="left")
    lower.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    small, large, asked = min(sides), max(sides), weights.drop_duplicates("image")["queries"]
    mostly = f"{len(mostly_query(weights, small))} of {weights['block'].nunique()} blocks"
    keys = weights[weights["side"] == large].groupby("block")[["keys_effective", "keys_seen"]].mean()
    low, high = (f"{number:.0f}" for number in keys["keys_effective"].agg(["min", "max"]))
    tell(
        figure,
        f"The {small}×{small} windows of {mostly} look mostly at the query itself; in {large}×{large} ones {low} to "
        f"{high} of {keys['keys_seen'].mean():.0f} keys are in use",
        f"Above: {example['image'].iloc[0]}, its strongest corner (circle); each panel is the query's window of that "
        "size: the weights that a block's first attention computes, and whence the values come that its second gets "
        f"with the same weights. Below: means over {asked.sum()} queries on a grid; bands: from the least to the "
        f"largest of {count(len(asked), 'photograph')}. Keys in use: exponential of the entropy. Dashed: if all keys "
        "of the window weighed alike.",
    )
    return figure


def _picture(ax: Axes, around: pd.DataFrame, own: pd.DataFrame) -> None:
    """LR pixels around the query, and the query's windows."""
    sides = around["row"].nunique(), around["col"].nunique()
    pixels = around[["red", "green", "blue"]].to_numpy(np.uint8).reshape(*sides, 3)
    ax.imshow(pixels, interpolation="nearest", extent=_extent(around))
    for (side, keys), (colour, _) in zip(own.groupby("side"), SIDES, strict=False):
        corner = keys["col"].min() - 0.5, keys["row"].min() - 0.5
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=1.2))
    _mark(ax, around)
    bare(ax)


def _window(ax: Axes, keys: pd.DataFrame, what: str, around: pd.DataFrame) -> None:
    """Shares of a window's keys, in multiples of an even share."""
    shares = (keys.pivot(index="row", columns="col", values=what) * len(keys)).clip(lower=MULTIPLES.vmin)
    ax.imshow(shares, cmap="viridis", norm=MULTIPLES, interpolation="nearest", extent=_extent(keys))
    _mark(ax, around)
    bare(ax)


def _extent(pixels: pd.DataFrame) -> tuple[float, float, float, float]:
    rows, columns = pixels["row"], pixels["col"]
    return columns.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5, rows.min() - 0.5


def _mark(ax: Axes, around: pd.DataFrame) -> None:
    at = around[around["query"]].iloc[0]
    for colour, width in (("white", 2.2), (QUERY, 1.0)):
        ax.plot(at["col"], at["row"], "o", ms=6, mfc="none", mec=colour, mew=width)


def _by_block(ax: Axes, rows: pd.DataFrame, column: str, style: tuple[str, str], label: str) -> None:
    """A mean over images, its band, and for distances what they would be."""
    colour, marker = style
    of = rows.groupby("block")[column]
    ax.fill_between(of.mean().index, of.min(), of.max(), color=colour, alpha=0.2, linewidth=0)
    ax.plot(of.mean(), color=colour, marker=marker, markersize=4, label=label)
    if column == "distance":
        ax.plot(rows.groupby("block")["distance_even"].mean(), color=colour, linestyle="--", linewidth=1)


@rc_context(HOUSE)
def reused(alike: pd.DataFrame, measured: pd.DataFrame) -> Figure:
    """How alike weights of the reusing layers' own would be, by block and window; and what PSNR they would cost.

    Parameters
    ----------
    alike : DataFrame
        The second of `srlab.analysis.reuse.look`.
    measured : DataFrame
        Of `srlab.analysis.reuse.quality`.
    """
    sides = list(alike["side"].drop_duplicates())
    figure = blank(DOUBLE, 5.0)
    panels = [f"{side}×{side}" for side in sides]
    axes = figure.subplot_mosaic([panels, [*["psnr"] * (len(panels) - 1), "key"]], height_ratios=[5, 3])
    for letter, panel, side in zip("abcdef", panels, sides, strict=False):
        ax, own = axes[panel], alike[alike["side"] == side]
        for name, (colour, marker, line) in STAND_INS.items():
            of = own[own["stand_in"] == name].groupby("block")["likeness"].mean()
            ax.plot(of, color=colour, marker=marker, linestyle=line, markersize=4, label=name)
        ax.set_title(f"({letter}) {panel} windows", loc="left")
        ax.set(xlabel="block", ylim=(0, 1.03))
        ax.set_xticks(sorted(alike["block"].unique()))
    axes[panels[0]].set_ylabel("likeness to the shared weights\n(mean cosine)")
    ax, lost = axes["psnr"], gaps(measured)
    for y, name in enumerate(lost):
        colour, marker, _ = STAND_INS[name]
        ax.scatter(lost[name], y + np.full(len(lost), 0.2), s=8, color=colour, alpha=0.6, linewidths=0)
        ax.plot(lost[name].mean(), y - 0.1, color=colour, marker=marker, markersize=7, markeredgewidth=1.5)
        ax.text(lost[name].mean(), y - 0.3, signed(lost[name].mean()), fontsize=SMALL, ha="center", va="bottom")
    named_rows(ax, list(lost))
    ax.axvline(0, color=INK, linewidth=0.8)
    benchmark = measured["benchmark"].iloc[0]
    ax.set_xlabel(f"change of Y-PSNR on {benchmark} (dB)")
    ax.set_title(f"({'abcdef'[len(panels)]}) in place of shared weights", loc="left")
    axes["key"].legend(*axes[panels[0]].get_legend_handles_labels(), loc="center", title="in place of shared weights")
    bare(axes["key"])
    own = alike[alike["stand_in"] == OWN].groupby("block")["likeness"].mean()
    tell(
        figure,
        f"Had reusing layers asked by their own features, their weights would be alike by {own.max():.2f} to "
        f"{own.min():.2f}, block by block; put in their place they change PSNR by {signed(lost[OWN].mean())} dB",
        f"Likeness: {count(alike['image'].nunique(), 'photograph')}, 1 is the same. Own features: the block's "
        "embedding, of what enters the reusing layer. Next block, next but one: whose attention computes anew, of "
        "its own features, in the same windows. Even, query alone: weights that look for nothing. PSNR: weights "
        "replaced in every layer that reuses some, of a network trained with shared ones; dots: "
        f"{count(len(lost), 'image')}.",
    )
    return figure
