"""What layers show of many queries as bytes small enough for a page: 8 bits a pixel, each map kept once, deflated."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from functools import singledispatch

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from srlab import stats
from srlab.analysis.layers import LayerTrace
from srlab.analysis.views import Boxes, Groups, Panel, Values, View, Windows, panels, view
from srlab.plots.maps import WEIGHTS

#: Levels of a number; level 0 says that there is none.
LEVELS = 255


class Planes:
    """Maps of whole numbers, 0 to 255; those that are alike are kept once."""

    def __init__(self):
        self._kept: dict[tuple[tuple[int, ...], bytes], int] = {}

    def keep(self, plane: Shaped[np.ndarray, "_h _w"]) -> int:
        """The number that the map is kept under."""
        return self._kept.setdefault((plane.shape, plane.astype(np.uint8).tobytes()), len(self._kept))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [shape for shape, _ in self._kept]

    @property
    def bytes(self) -> bytes:
        return b"".join(pixels for _, pixels in self._kept)


def pack(layers: Sequence[LayerTrace], lr: UInt8[Tensor, "3 h w"], places: Sequence[tuple[int, int]]) -> bytes:
    """All that widgets would draw of the queries at some places, in every layer and round of a network.

    Parameters
    ----------
    layers : sequence of LayerTrace
        Of one pass over `lr`.
    lr : UInt8[Tensor, "3 h w"]
    places : sequence of tuple of int
        Row and column of each query.

    Returns
    -------
    bytes
        Deflated: the length of what follows (4 bytes, the least significant first), JSON, and the maps that it names
        by number, row by row.
    """
    planes, shown = Planes(), []
    for number, layer in enumerate(layers, 1):
        queries = [_query(layer, lr, row, col, planes) for row, col in places]
        title = f"{layer.mechanism}, layer {number} of {len(layers)}"
        shown.append({"title": title, "rounds": layer.rounds, "queries": queries})
    told = json.dumps({"layers": shown, "shapes": planes.shapes}, separators=(",", ":")).encode()
    return zlib.compress(len(told).to_bytes(4, "little") + told + planes.bytes, 9)


def weight_levels(seen: View) -> Shaped[np.ndarray, "h w"]:
    """Weights as they are drawn: 1 to 255 on the scale of `srlab.plots.maps.WEIGHTS`, clipped to it; 0 is unseen.

    Neighbouring levels are 3.7 % apart. Without weights, 1 is seen.
    """
    if seen.weights is None:
        return seen.seen > 0
    relative = np.clip(seen.weights * seen.weights.size, WEIGHTS.vmin, WEIGHTS.vmax)
    return _levels(WEIGHTS(relative).data, seen.seen > 0)


def _levels(shares: Float[np.ndarray, "_h _w"], there: Bool[np.ndarray, "_h _w"]) -> Shaped[np.ndarray, "_h _w"]:
    return np.where(there, 1 + np.round((LEVELS - 1) * np.where(there, shares, 0)), 0)


def _query(layer: LayerTrace, lr: UInt8[Tensor, "3 h w"], row: int, col: int, planes: Planes) -> dict:
    seen = view(layer, lr, row, col)
    rounds = [seen.panels, *(panels(layer.pattern, layer, row, col, turn) for turn in range(1, layer.rounds))]
    return {
        "weighed": seen.weights is not None,
        "plane": planes.keep(weight_levels(seen)),
        "says": stats.describe(seen),
        "panels": [[_panel(panel, planes, lr.shape[1:]) for panel in shown] for shown in rounds],
    }


@singledispatch
def _panel(panel: Panel, planes: Planes, size: Sequence[int]) -> dict:
    """What is particular to a mechanism, its maps kept; of maps that were filled up, what lies on the image."""
    raise TypeError(f"no way to pack {type(panel).__name__}")


@_panel.register
def _(panel: Groups, planes: Planes, size: Sequence[int]) -> dict:
    labels = panel.labels[: size[0], : size[1]]
    halves = [planes.keep(labels % 256), planes.keep(labels // 256)]
    return {"kind": "groups", "title": panel.title, "planes": halves, "own": panel.own}


@_panel.register
def _(panel: Windows, planes: Planes, size: Sequence[int]) -> dict:
    return {"kind": "windows", "title": panel.title, "planes": [planes.keep(panel.labels[: size[0], : size[1]])]}


@_panel.register
def _(panel: Boxes, planes: Planes, size: Sequence[int]) -> dict:
    return {"kind": "boxes", "title": panel.title, "query": panel.query, "keys": panel.keys}


@_panel.register
def _(panel: Values, planes: Planes, size: Sequence[int]) -> dict:
    values = panel.values[: size[0], : size[1]] if panel.on_image else panel.values
    there = np.isfinite(values)
    largest = float(np.abs(values[there]).max(initial=0)) or 1.0
    least = -largest if panel.signed else 0.0
    levels = _levels((values - least) / (largest - least), there)
    return {
        "kind": "values",
        "title": panel.title,
        "planes": [planes.keep(levels)],
        "onImage": panel.on_image,
        "signed": panel.signed,
        "largest": float(f"{largest:.3g}"),
    }
