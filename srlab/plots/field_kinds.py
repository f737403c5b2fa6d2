"""For which images released networks are good: gains against self-similarity, and on generated kinds of image."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.measure.field import BICUBIC
from srlab.plots.field import appearance
from srlab.plots.labels import signed, tell
from srlab.plots.marks import rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.stats.field_kinds import GAIN, NOTHING
from srlab.stats.frames import ALL, count

#: How data sets are drawn, the largest first; colours are those of networks.
SETS = (("s", INK), ("o", "#999999"), ("^", INK), ("x", INK))

#: Markers of correlations: small with a control, hollow of one data set.
LOOKS = {ALL: {}, GAIN: {"markersize": 3}}


@rc_context(HOUSE)
def similarity(images: pd.DataFrame, correlations: pd.DataFrame, kinds: pd.DataFrame) -> Figure:
    """Gains against self-similarity, their rank correlation for each network and each lead, and gains by kind.

    Parameters
    ----------
    images, correlations, kinds : DataFrame
        As of the functions `images`, `correlations` and `gains_by_kind` in `srlab.stats.field_kinds`.
    """
    models = list(images["model"].unique())
    gains, leads = (correlations[(correlations["against"] == BICUBIC) == over] for over in (True, False))
    mean = images.groupby(["dataset", "name", "self_similarity"], sort=False)["gain_db"].mean().reset_index()
    figure = blank(DOUBLE, 6.0)
    (scatter, of_gains), (of_kinds, of_leads) = figure.subplots(2, 2)
    sizes = mean["dataset"].value_counts()
    for (dataset, number), (marker, colour) in zip(sizes.items(), SETS, strict=False):
        own = mean[mean["dataset"] == dataset]
        style = {"s": 12, "marker": marker, "color": colour, "alpha": 0.7, "linewidths": 0.6}
        scatter.scatter(own["self_similarity"], own["gain_db"], **style, label=f"{dataset}, {number}")
    scatter.legend(handletextpad=0.1, borderpad=0, loc="upper left")
    scatter.set(xlabel="self-similarity of HR", ylabel="gain over bicubic (dB)", title="(a) image by image")
    _forest(of_gains, gains, list(gains["model"].unique()), gains["model"])
    of_gains.set(xlabel="Spearman's ρ with self-similarity", title="(b) of gains over bicubic")
    _by_kind(of_kinds, kinds, models)
    first = gains["dataset"].iloc[0]
    as_it_is, beyond = (leads[leads["control"] == control] for control in (NOTHING, GAIN))
    beyond = beyond[beyond["dataset"] == first]
    leads = pd.concat([as_it_is, beyond.assign(dataset=GAIN)], ignore_index=True)
    names = leads["model"] + " − " + leads["against"]
    _forest(of_leads, leads, list(names.unique()), names)
    of_leads.set(xlabel="Spearman's ρ with self-similarity", title="(d) of the lead over another network")
    own, led = gains[gains["dataset"] == first], as_it_is[as_it_is["dataset"] == first]
    grow, still = (led["low"] > 0).sum(), (beyond["low"] > 0).sum()
    tell(
        figure,
        f"Gains over bicubic go with self-similarity, ρ = {signed(own['rho'].min())} to {signed(own['rho'].max())}; "
        f"{grow} of {count(len(led), 'lead')} over another network grow with it; with the other's gain held equal {still}",
        f"×4, {count(int(own['images'].iloc[0]), 'image')}; (a) mean over {count(len(models), 'network')}. (b), (d) Bars: "
        f"95 % intervals, all at once in a panel and data set; from the top of each row: {', '.join(_sets(gains))}; in "
        "(d) last, small: all, with the gain of the other network held equal. "
        f"(c) Generated images: small, {count(kinds['name'].nunique(), 'image')}; large, the mean of a kind.",
    )
    return figure


def _sets(table: pd.DataFrame) -> list[str]:
    """Data sets, and of how many images."""
    each = table.drop_duplicates("dataset")
    return [
        f"{'all' if row.dataset == ALL else row.dataset} ({count(int(row.images), 'image')})"
        for row in each.itertuples()
    ]


def _forest(ax: Axes, table: pd.DataFrame, names: list[str], of: pd.Series) -> None:
    """A row a name, in it a correlation and its interval for each data set, from the top down."""
    rows(ax, names)
    ax.axvline(0, color=INK, linewidth=0.8)
    places = np.linspace(-0.28, 0.28, table["dataset"].nunique())
    for dataset, shift in zip(table["dataset"].unique(), places, strict=True):
        own = table[table["dataset"] == dataset]
        for row, name in zip(own.itertuples(), of[own.index], strict=True):
            colour, marker = appearance(row.model)
            style = LOOKS.get(dataset, {"markerfacecolor": "white"})
            y = names.index(name) + shift
            if np.isfinite(row.high):
                ax.hlines(y, row.low, row.high, color=colour, linewidth=1)
            ax.plot(row.rho, y, **{"marker": marker, "color": colour, "linestyle": "none"} | style)


def _by_kind(ax: Axes, kinds: pd.DataFrame, models: list[str]) -> None:
    """A row a kind, in it each network: images small, their mean large."""
    order = list(kinds["kind"].unique())
    rows(ax, order)
    ax.axvline(0, color=INK, linewidth=0.8)
    present = [model for model in models if model in set(kinds["model"])]
    for model, shift in zip(present, np.linspace(-0.3, 0.3, len(present)), strict=True):
        colour, marker = appearance(model)
        for y, kind in enumerate(order):
            own = kinds.loc[(kinds["model"] == model) & (kinds["kind"] == kind), "gain_db"]
            ax.scatter(own, np.full(len(own), y + shift), s=6, color=colour, alpha=0.4, linewidths=0)
            style = {"marker": marker, "color": colour, "markeredgecolor": INK, "linestyle": "none"}
            ax.plot(own.mean(), y + shift, **style, label=model if y == 0 else None)
    ax.legend(loc="upper right", borderpad=0, handletextpad=0.1)
    ax.set(xlabel="gain over bicubic (dB)", title="(c) by generated kind")
