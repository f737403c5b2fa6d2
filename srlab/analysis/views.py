"""Views: everything to draw for one query, for any mechanism: weights, visible keys, and the mechanism's own panels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from srlab.analysis.images import Box, picture
from srlab.analysis.layers import LayerTrace, attention_row, kept, magnitudes, seen
from srlab.analysis.sorting import clusters, windows
from srlab.attention import Pattern, RoutedWindows, SortedGroups, SortedWindows
from srlab.attention.conv_attn import KernelPattern
from srlab.attention.focused_windows import FocusedPattern
from srlab.attention.gmsa import MultiscalePattern
from srlab.attention.pfa import FocusedWindows
from srlab.attention.scc import CorrelationPattern
from srlab.attention.window import WindowPattern
from srlab.attention.window_grid import WindowGrid
from srlab.errors import InputError


@dataclass(frozen=True)
class Groups:
    """Tokens by what sorts them, e.g. clusters or hash buckets; `own` is the query's label."""

    title: str
    labels: Int[np.ndarray, "h w"]
    own: int


@dataclass(frozen=True)
class Windows:
    """Tokens by the query's windows, or groups, of the sorted sequence: UNSEEN, PREVIOUS, OWN or NEXT."""

    title: str
    labels: Int[np.ndarray, "h w"]


@dataclass(frozen=True)
class Boxes:
    """The query's window, and the windows that it chose, the best first, as (top, left, height, width)."""

    title: str
    query: Box
    keys: tuple[Box, ...]


@dataclass(frozen=True)
class Values:
    """Numbers on the image's pixels (NaN is empty), or on a kernel's offsets if not `on_image`.

    `signed` numbers are drawn around zero, others from zero to the largest; `logarithmic` spans four decades.
    """

    title: str
    values: Float[np.ndarray, "_h _w"]
    on_image: bool
    signed: bool = False
    logarithmic: bool = False


Panel = Groups | Windows | Boxes | Values


@dataclass(frozen=True)
class View:
    """Everything to draw for one query; `view` makes it."""

    layer: str  # title, e.g. "LSP, layer 1 of 10"
    row: int
    col: int
    picture: UInt8[np.ndarray, "h w 3"]  # the LR image
    #: Weight of each key; they sum to one, or less if a network pads the image. None for SCC, which has no weights.
    #: Those of CATA and ATD are of their groups: beside these, centres, a dictionary or windows are attended to.
    weights: Float[np.ndarray, "h w"] | None
    seen: Int[np.ndarray, "h w"]  # number of times that each key is visible to the query; 0 is never
    panels: tuple[Panel, ...]


def view(layer: LayerTrace, lr: UInt8[Tensor, "3 h w"], row: int, col: int, round: int = 0) -> View:
    """Return everything to draw for the query at a pixel of the traced image, in one round of sorting, from 0.

    A pixel outside the map, or a round that the layer does not have, raises InputError.
    """
    if not 0 <= round < layer.rounds:
        raise InputError(f"round {round + 1}: {layer.mechanism} has rounds 1 to {layer.rounds}")
    has_weights = not isinstance(layer.pattern, CorrelationPattern)
    on_image = slice(lr.shape[1]), slice(lr.shape[2])
    weights = attention_row(layer, row, col)[on_image] if has_weights else None
    own = own_panels(layer, lr, row, col, round)
    return View(layer.title, row, col, picture(lr), weights, seen(layer, row, col)[on_image], own)


def own_panels(layer: LayerTrace, lr: UInt8[Tensor, "3 h w"], row: int, col: int, round: int) -> tuple[Panel, ...]:
    """Return a mechanism's own panels for the query at a pixel, without what a network pads."""
    found, on_image = panels(layer.pattern, layer, row, col, round), (slice(lr.shape[1]), slice(lr.shape[2]))
    for i, panel in enumerate(found):
        if isinstance(panel, Groups | Windows):
            found[i] = replace(panel, labels=panel.labels[on_image])
        elif isinstance(panel, Values) and panel.on_image:
            found[i] = replace(panel, values=panel.values[on_image])
    return tuple(found)


@singledispatch
def panels(pattern: Pattern, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    """Return a mechanism's own panels for the query at a pixel; none for dense attention."""
    return []


#: What mechanisms sort by, if not by clusters.
CODES = {"NLSA": "hash buckets", "CATA": "nearest centres", "ATD": "categories"}


@panels.register(SortedWindows | SortedGroups)
def _(pattern: SortedWindows | SortedGroups, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    of_round = f", round {round + 1} of {layer.rounds}" if layer.rounds > 1 else ""
    labels = clusters(layer, round)
    what = CODES.get(layer.mechanism, "clusters")
    return [
        Groups(what + of_round, labels, int(labels[row, col])),
        Windows("sorted windows" + of_round, windows(layer, row, col, round)),
    ]


@panels.register
def _(pattern: WindowPattern, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    shown: list[Panel] = [Boxes("window", _window(pattern.grid, row, col), ())]
    if layer.layer.position is not None:
        shown.append(Values("position bias, mean of heads", _bias(layer, row, col), True, signed=True))
    return shown


def _bias(layer: LayerTrace, row: int, col: int) -> Float[np.ndarray, "h w"]:
    """Place the position bias of the query's window on the map; NaN elsewhere."""
    grid, position = layer.pattern.grid, layer.layer.position
    _, place = grid.place(layer.query(row, col), layer.pattern.queries.device)
    with torch.inference_mode():
        held = position()
        of_query = held[:, place[0]] if torch.is_tensor(held) else (held[0][:, place] @ held[1].mT)[:, 0]
        bias = of_query.mean(0).unflatten(0, grid.window).cpu().numpy()
    top, left, _, _ = _window(grid, row, col)
    whole = np.full((layer.height, layer.width), np.nan, bias.dtype)
    inside = whole[top : top + grid.window[0], left : left + grid.window[1]]
    inside[:] = bias[: inside.shape[0], : inside.shape[1]]
    return whole


def _window(grid: WindowGrid, row: int, col: int) -> Box:
    """Return the window of a pixel."""
    height, width = grid.window
    return row // height * height, col // width * width, height, width


@panels.register
def _(pattern: CorrelationPattern, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    return [Boxes("window", _window(pattern.grid, row, col), ())]


@panels.register
def _(pattern: MultiscalePattern, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    windows = pattern.windows
    return [_of_side(windows.filled, side, windows.shifted, row, col) for side in windows.sides]


def _of_side(size: tuple[int, int], side: int, shifted: bool, row: int, col: int) -> Boxes:
    """Return the window of a pixel; parts that a shift wraps to the opposite edge come as chosen boxes."""
    spans = []
    for place, length in zip((row, col), size, strict=True):
        shift = side // 2 if shifted else 0
        start = ((place - shift) // side * side + shift) % length
        across = start + side - length
        parts = [(start, side)] if across <= 0 else [(start, side - across), (0, across)]
        spans.append(sorted(parts, key=lambda part: not part[0] <= place < sum(part)))  # the pixel's own first
    own, *others = ((top, left, height, width) for (top, height), (left, width) in product(*spans))
    return Boxes(f"{side}×{side} window", own, tuple(others))


@panels.register
def _(pattern: FocusedWindows, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    windows = pattern.windows
    box = _of_side(windows.size, windows.side, windows.shifted, row, col)
    return [replace(box, keys=()), _kept(layer, row, col, "windows")]  # keys across an edge are masked


@panels.register
def _(pattern: FocusedPattern, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    return [Boxes("window", _window(pattern.grid, row, col), ()), _kept(layer, row, col, "grid")]


def _kept(layer: LayerTrace, row: int, col: int, chained_by: str) -> Values:
    """Count the layers of a chain, up to this one, that keep each key, mean of heads; layers of one chain cut alike."""
    found, each = [], layer
    while each is not None:
        if getattr(each.pattern, chained_by, None) == getattr(layer.pattern, chained_by):
            found.append(kept(each, row, col))
        each = each.before
    counts = dict.fromkeys(f"{keys.sum():,.0f}" for keys in (found[-1], found[0]))
    layers = sum(found)
    title = f"{' → '.join(counts)} keys, by layers keeping them"
    return Values(title, np.where(layers > 0, layers, np.nan), on_image=True)


@panels.register
def _(pattern: RoutedWindows, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    (height, width), columns = pattern.grid.window, pattern.grid.shape[1]
    routes = pattern.routes[0, row // height * columns + col // width].tolist()
    chosen = tuple((key // columns * height, key % columns * width, height, width) for key in routes)
    return [Boxes(f"window and its {len(chosen)} chosen", _window(pattern.grid, row, col), chosen)]


@panels.register
def _(pattern: KernelPattern, layer: LayerTrace, row: int, col: int, round: int) -> list[Panel]:
    large, dynamic, _ = magnitudes(layer)
    size, plain = len(large), layer.small is None
    shown = [Values(f"{'' if plain else 'shared '}kernel, {size}×{size}", large, on_image=False)]
    return shown if plain else [*shown, Values("this image's kernel, 3×3", dynamic, on_image=False)]
