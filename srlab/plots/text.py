"""Text in figures: a title above, a note below, and names at lines and points."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from textwrap import fill, wrap
from typing import NamedTuple

import numpy as np
import scipy  # and not its `optimize`, which takes long and is loaded when first used
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure, FigureBase
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, BboxBase

from srlab.plots.style import DOUBLE, INK

SMALL = 8.0  # points: the smallest that any figure has
LETTERS = {"title": 84, "note": 120}  # in a line across two columns
LINE = 10.5  # points from one name to the next below it
AWAY = 5.0  # points from a point to its name
CONTRAST = 4.5  # of a text to white, at least (WCAG)


class Name(NamedTuple):
    """A name at a point of the data."""

    words: str
    x: float
    y: float
    colour: str = INK


def caption(figure: FigureBase, title: str, note: str) -> None:
    """Put a title above a figure, in one or two lines, and below it a note on marks, bars and n."""
    title, note = (re.sub(r"(?<![\w.])-(?=[\d.])", "−", words) for words in (title, note))
    left = {"x": 0.008, "ha": "left"}
    wide = figure.get_figwidth() / DOUBLE if isinstance(figure, Figure) else 1
    figure.suptitle(_even(title, round(wide * LETTERS["title"])), fontsize=10, fontweight="bold", **left)
    figure.supxlabel(fill(note, round(wide * LETTERS["note"])), fontsize=SMALL, color=INK, **left)


def _even(words: str, width: int) -> str:
    """Break words into as few lines as fit, of about one length."""
    lines = len(wrap(words, width))
    return next(text for each in range(1, width + 1) if (text := fill(words, each)).count("\n") < lines)


def readable(colour: str) -> str:
    """Darken a colour until small text in it has enough contrast on white."""
    rgb = np.array(to_rgb(colour))
    while 1.05 / (0.05 + _luminance(rgb)) < CONTRAST:
        rgb = 0.95 * rgb
    return to_hex(rgb)


def _luminance(rgb: Float[np.ndarray, " 3"]) -> float:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def spread(
    places: Float[np.ndarray, " n"], heights: Float[np.ndarray, " n"], low: float, high: float
) -> Float[np.ndarray, " n"]:
    """Move the middles of boxes as little as possible until no two overlap, within low and high if they fit."""
    order = np.argsort(places, kind="stable")
    tall = heights[order]
    steps = np.concatenate([[0], np.cumsum((tall[:-1] + tall[1:]) / 2)])
    apart = scipy.optimize.isotonic_regression(places[order] - steps).x
    least, most = low + tall[0] / 2, high - tall[-1] / 2 - steps[-1]
    found = np.empty(len(places))
    found[order] = np.clip(apart, least, max(least, most)) + steps
    return found


def name_lines(names: Mapping[Axes, Sequence[Name]], size: float = SMALL) -> None:
    """Write names at the right of panels in letters of `size` points, each as near as possible to the end of its line.

    Call it last: it lays the figure out.
    """
    written = {ax: [_written(ax, name, {"shrinkB": 3.0}, size) for name in own] for ax, own in names.items()}
    figure = _laid_out(names)
    points = figure.dpi / 72
    for ax, own in names.items():
        box = ax.get_window_extent()
        places = np.array([ax.transData.transform((name.x, name.y))[1] for name in own])
        heights = LINE * size / SMALL * points * np.array([name.words.count("\n") + 1 for name in own])
        for text, place in zip(written[ax], spread(places, heights, box.y0, box.y1), strict=True):
            text.xyann = (1 + 2 * AWAY * points / box.width, (place - box.y0) / box.height)


def _written(ax: Axes, name: Name, arrowprops: dict, size: float = SMALL) -> Annotation:
    line = {"arrowstyle": "-", "color": name.colour, "linewidth": 0.5, "alpha": 0.6, "shrinkA": 1.0, **arrowprops}
    at = {"xy": (name.x, name.y), "xytext": (1.03, 0.5), "textcoords": "axes fraction", "annotation_clip": False}
    text = ax.annotate(name.words, **at, va="center", fontsize=size, color=readable(name.colour), arrowprops=line)
    text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    return text


def _laid_out(panels: Mapping[Axes, object]) -> Figure:
    figure = next(iter(panels)).get_figure(root=True)
    figure.draw_without_rendering()
    return figure


def name_points(names: Mapping[Axes, Sequence[Name]]) -> None:
    """Write names beside points, within their panel, where they cover neither points nor each other.

    Call it last: it lays the figure out.
    """
    figure = _laid_out(names)
    points = figure.dpi / 72
    for ax, own in names.items():
        room = ax.get_window_extent()
        places = [ax.transData.transform((name.x, name.y)) for name in own]
        taken = [Bbox.from_extents(*(at - 3 * points), *(at + 3 * points)) for at in places]
        taken += [Bbox.from_extents(*(at - points), *(at + points)) for at in _drawn(ax, 4 * points)]
        taken += _large(ax, points)
        for name, at in zip(own, places, strict=True):
            text = _written(ax, name, {"shrinkB": 2.0})
            text.set_ha("center")
            size = Text.get_window_extent(text).size + 2 * points  # without its line
            box = _free(at, size, points, room, taken)
            taken.append(box)
            middle = (box.p0 + box.p1) / 2
            text.xyann = tuple((middle - room.p0) / room.size)
            text.arrow_patch.set_visible(np.abs(middle - at).max() > size.max() / 2 + 2 * AWAY * points)


def _drawn(ax: Axes, step: float) -> Float[np.ndarray, "_ 2"]:
    """Return the places of markers, and places along lines about a step apart, in pixels."""
    found = [ax.transData.transform(each.get_offsets()) for each in ax.collections if isinstance(each, PathCollection)]
    for line in ax.lines:
        ends = line.get_transform().transform(line.get_xydata())
        for start, end in itertools.pairwise(ends):
            found.append(np.linspace(start, end, 2 + int(np.hypot(*(end - start)) / step)))
    return np.concatenate([np.empty((0, 2)), *found])


def _large(ax: Axes, points: float) -> list[Bbox]:
    """Return boxes around markers wider than 6 points."""
    boxes = []
    for line in (line for line in ax.lines if line.get_marker() not in ("None", "") and line.get_markersize() > 6):
        half = points * line.get_markersize() / 2
        boxes += [Bbox.from_extents(*(at - half), *(at + half)) for at in ax.transData.transform(line.get_xydata())]
    return boxes


def _free(at: np.ndarray, size: np.ndarray, points: float, room: BboxBase, taken: Sequence[Bbox]) -> Bbox:
    """Find the nearest free box of this size beside a point."""
    half = size / 2
    for away in AWAY * points * np.arange(1, 24, 0.5):
        for angle in np.radians([0, 180, 90, 270, 45, 135, 225, 315, 22, 158, 202, 338, 67, 113, 247, 293]):
            middle = at + (away + half) * (np.cos(angle), np.sin(angle))
            box = Bbox.from_extents(*(middle - half), *(middle + half))
            inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
            if inside and not any(box.overlaps(other) for other in taken):
                return box
    middle = at + np.array([AWAY * points + half[0], 0])
    return Bbox.from_extents(*(middle - half), *(middle + half))
