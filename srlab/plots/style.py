"""The look of figures: widths, fonts, and one colour and marker for each mechanism."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib import rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.errors import InputError

DOUBLE = 7.0  # inches: two columns of a paper

#: Settings of matplotlib that do not change a figure.
WINDOWS = ("backend", "docstring", "interactive", "keymap", "macosx", "tk.", "toolbar", "webagg")
#: Matplotlib's settings for every figure, whatever a user's own matplotlibrc says; "$" is a dollar, as in file names.
HOUSE = {key: value for key, value in rcParamsDefault.items() if not key.startswith(WINDOWS)} | {
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 5,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.hashsalt": "srlab",
}


class Appearance(NamedTuple):
    """The colour and marker of a mechanism, in every figure."""

    colour: str
    marker: str


#: Colours of Okabe and Ito for the networks of the first comparison, of Paul Tol for the others. No two networks share
#: both a colour and a marker, so they differ without colour too.
STYLE = {
    "bicubic": Appearance("#999999", "x"),
    "no_attention": Appearance("#000000", "D"),
    "trunk_conv7": Appearance("#666666", "1"),
    "lcoan": Appearance("#0072B2", "o"),
    "trunk_lsp": Appearance("#56B4E9", "s"),
    "trunk_nla": Appearance("#D55E00", "^"),
    "trunk_nla_shared": Appearance("#E69F00", "v"),
    "nlsn": Appearance("#009E73", "P"),
    "enlcn": Appearance("#CC79A7", "*"),
    "trunk_window": Appearance("#332288", "h"),
    "trunk_conv_attn": Appearance("#999933", "<"),
    "trunk_fgca": Appearance("#882255", ">"),
    "trunk_bra": Appearance("#44AA99", "d"),
    "sscan": Appearance("#AA4499", "X"),
    "hit_srf": Appearance("#CC6677", "8"),
    "elan_light": Appearance("#DDAA33", "o"),
    "trunk_elan": Appearance("#DDAA33", "^"),
    "trunk_elan_own": Appearance("#DDAA33", "v"),
    "trunk_cata": Appearance("#663300", "s"),
    "trunk_adapt": Appearance("#228833", "s"),
    "atd_light": Appearance("#228833", "X"),
    "pft_light": Appearance("#AA3377", "D"),
    "trunk_coa_sum": Appearance("#0072B2", "d"),
    "trunk_nla_sum": Appearance("#E69F00", "d"),
    "trunk_pfa": Appearance("#AA3377", "h"),
    "catanet": Appearance("#663300", "p"),
    "dctlsa": Appearance("#88CCEE", "P"),
    "craft": Appearance("#44AA99", "X"),
    "dat": Appearance("#88CCEE", "s"),
    "span": Appearance("#666666", "x"),
    "esc": Appearance("#117733", "p"),
    "esc_light": Appearance("#117733", "H"),
    "esc_fp": Appearance("#117733", "D"),
    "esc_rib": Appearance("#117733", "s"),
}
STORED = " (stored)"
INK = "#333333"


def look(model: str) -> dict[str, str]:
    """Return line properties of a model; "NAME (stored)" has NAME's colour, a hollow marker and a dashed line.

    InputError if the model has no colour in `STYLE`.
    """
    name = model.removesuffix(STORED)
    if name not in STYLE:
        raise InputError(f"model '{name}' has no colour and marker; give it some in srlab.plots.STYLE")
    colour, marker = STYLE[name]
    face, line = ("white", "--") if model.endswith(STORED) else (colour, "-")
    return {"color": colour, "marker": marker, "markerfacecolor": face, "linestyle": line}


def drawn(models: pd.Series) -> pd.Series:
    """Replace models without a look of their own by bicubic, which is drawn grey."""
    return models.where(models.isin(STYLE), "bicubic")


def look_of(row: pd.Series | tuple) -> dict[str, str]:
    """Return line properties of a row: those of its model, changed by its colour, its marker, and dashed (bool)."""
    found = look(row.model) if hasattr(row, "model") else {"linestyle": "-"}
    if hasattr(row, "colour"):
        found |= {"color": row.colour, "markerfacecolor": row.colour}
    if hasattr(row, "marker"):
        found |= {"marker": row.marker}
    return found | ({"linestyle": "--"} if getattr(row, "dashed", False) else {})


def blank(width: float, height: float) -> Figure:
    """Make a figure without pyplot, which would show it a second time in a notebook."""
    return Figure((width, height), layout="constrained")


def bare(ax: Axes) -> None:
    """Hide the axes and keep the drawing."""
    if ax.axison:
        ax.set(xticks=[], yticks=[])
        ax.set_axis_off()
