"""Maps of many queries, packed into a few bytes for a page: one byte a pixel, equal maps kept once, deflated."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from functools import singledispatch

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from srlab.analysis.explore import describe
from srlab.analysis.images import Box
from srlab.analysis.layers import LayerTrace
from srlab.analysis.views import Boxes, Groups, Panel, Values, Windows, own_panels, view
from srlab.plots.images import WEIGHTS

#: Levels of a number, from 1; level 0 is empty. The middle of an odd number of levels is the zero of signed numbers.
LEVELS = 65
#: The heaviest keys that a page draws, from this percentage of the weight on.
HEAVIEST, LEAST = 16, 1.0


class Planes:
    """Maps of whole numbers, 0 to 255; equal maps are kept once."""

    def __init__(self):
        self._kept: dict[tuple[tuple[int, ...], bytes], int] = {}

    def keep(self, plane: Shaped[np.ndarray, "_h _w"]) -> int:
        return self._kept.setdefault((plane.shape, plane.astype(np.uint8).tobytes()), len(self._kept))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [shape for shape, _ in self._kept]

    @property
    def bytes(self) -> bytes:
        return b"".join(pixels for _, pixels in self._kept)


def pack(
    layers: Sequence[LayerTrace],
    lr: UInt8[Tensor, "3 h w"],
    places: Sequence[tuple[int, int]],
    copies: Sequence[Box | None],
) -> bytes:
    """Pack the views of queries (row, column) in every layer and round of one pass over `lr`.

    `copies` holds, for each query, the box of the intact copy, or None. The weight on that box is packed in percent.

    The deflated content: the length of the JSON (4 bytes, least significant first), the JSON, and the maps that it
    names by number, row by row.
    """
    planes, packed = Planes(), []
    for layer in layers:
        queries = [_query(layer, lr, *place, planes, copy) for place, copy in zip(places, copies, strict=True)]
        packed.append({"title": layer.title, "rounds": layer.rounds, "queries": queries})
    facts = json.dumps({"layers": packed, "shapes": planes.shapes}, separators=(",", ":")).encode()
    return zlib.compress(len(facts).to_bytes(4, "little") + facts + planes.bytes, 9)


def _query(layer: LayerTrace, lr: UInt8[Tensor, "3 h w"], row: int, col: int, planes: Planes, copy: Box | None) -> dict:
    found, more = view(layer, lr, row, col), {"top": []}
    levels = found.seen > 0  # without weights, level 1 is visible
    if found.weights is not None:
        levels = _levels(WEIGHTS(found.weights * found.weights.size).data, levels)
        more["top"] = heaviest(found.weights)
        if copy:
            top, left, height, width = copy
            on_copy = found.weights[top : top + height, left : left + width].sum()
            more["onCopy"] = float(f"{100 * on_copy:.2g}")
    rounds = [found.panels, *(own_panels(layer, lr, row, col, round) for round in range(1, layer.rounds))]
    return {
        "weighed": found.weights is not None,
        "plane": planes.keep(levels),
        "text": describe(found),
        "panels": [[_panel(panel, planes) for panel in each] for each in rounds],
        **more,
    }


def heaviest(weights: Float[np.ndarray, "h w"]) -> list[tuple[int, int, float]]:
    """Return (row, column, percentage of the weight) of the heaviest keys, the heaviest first."""
    order = np.argsort(-weights, axis=None, kind="stable")[:HEAVIEST]
    found = [(*divmod(int(place), weights.shape[1]), round(100 * float(weights.flat[place]), 1)) for place in order]
    return [key for key in found if key[2] >= LEAST]


def _levels(shares: Float[np.ndarray, "_h _w"], there: Bool[np.ndarray, "_h _w"]) -> Shaped[np.ndarray, "_h _w"]:
    return np.where(there, 1 + np.round((LEVELS - 1) * np.where(there, shares, 0)), 0)


@singledispatch
def _panel(panel: Panel, planes: Planes) -> dict:
    """Pack one of a mechanism's own panels."""
    raise TypeError(f"no way to pack {type(panel).__name__}")


@_panel.register
def _(panel: Groups, planes: Planes) -> dict:
    halves = [planes.keep(panel.labels % 256), planes.keep(panel.labels // 256)]
    return {"kind": "groups", "title": panel.title, "planes": halves, "own": panel.own}


@_panel.register
def _(panel: Windows, planes: Planes) -> dict:
    return {"kind": "windows", "title": panel.title, "planes": [planes.keep(panel.labels)]}


@_panel.register
def _(panel: Boxes, planes: Planes) -> dict:
    return {"kind": "boxes", "title": panel.title, "query": panel.query, "keys": panel.keys}


@_panel.register
def _(panel: Values, planes: Planes) -> dict:
    there = np.isfinite(panel.values)
    largest = float(np.abs(panel.values[there]).max(initial=0)) or 1.0
    least = -largest if panel.signed else 0.0
    levels = _levels((panel.values - least) / (largest - least), there)
    kept = {"kind": "values", "title": panel.title, "planes": [planes.keep(levels)], "onImage": panel.on_image}
    return kept | {"signed": panel.signed, "largest": float(f"{largest:.3g}")}
