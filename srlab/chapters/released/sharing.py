"""Layers that reuse weights, as ELAN's: where they look, and how similar weights of their own would be.

A layer that reuses weights has no embedding, so stand-ins take the place of weights of its own, in the windows of its
block:

- "own features": the embedding of the block's first attention, of the features that enter the reusing layer. It was
  trained on the same features two additions earlier.
- "next block": the weights of the next block, of its own features; its windows are shifted otherwise, so its
  embedding is compared within this block's windows.
- "next but one": those of the block after that, which has the same windows.

Two further stand-ins do not choose and so give the scale: "even", where all keys of a window weigh the same, and "query
alone".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float64, Int, UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.analysis.images import corners, pair
from srlab.analysis.layers import hooked
from srlab.attention.contract import Attended, Pattern, attended
from srlab.attention.gmsa import GMSA, MultiscalePattern, SharedGMSA
from srlab.data.layouts import ImageRef
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.measure.protocol import Protocol

SHARED, OWN, NEXT, NEXT_BUT_ONE = "shared", "own features", "next block", "next but one"
EVEN, ALONE = "even", "query alone"
#: What is summed over keys: the weights; and a key's weight times the length of its value, as shares of one, in the
#: layer that computes the weights and in the one that reuses them.
WEIGHTS, COMPUTING, REUSING = "weights", "computing", "reusing"
#: Queries a side of the grid over an image.
GRID = 8
#: Side, in LR pixels, of the picture around the query of `example`.
AROUND = 40

Place = tuple[int, int]
Map = Float[Tensor, "b c h w"]


class QueryAlone(Pattern):
    """Every query attends to itself alone."""

    def __init__(self, shared: MultiscalePattern):
        self.windows, self.key, self.pixels = shared.windows, torch.zeros_like(shared.key), shared.pixels
        self.places = self.windows.places(self.key.device)
        self.query = self.key[:, :, self.places]

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        return value[:, :, self.places]

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "1 1 q m"]:
        places = self.places if queries is None else self.places[queries]
        return (places[:, None] == torch.arange(self.key.shape[2], device=self.key.device)).long()[None, None]


def even(shared: MultiscalePattern) -> MultiscalePattern:
    """Return the same windows with equal keys."""
    return MultiscalePattern(shared.windows, torch.zeros_like(shared.key))


#: Patterns in place of shared weights, made of the layer that computed these, the reusing layer's input, and the shared
#: pattern.
STAND_INS: dict[str, Callable[[GMSA, Map, MultiscalePattern], Pattern]] = {
    OWN: lambda first, x, shared: first.pattern(x),
    EVEN: lambda first, x, shared: even(shared),
    ALONE: lambda first, x, shared: QueryAlone(shared),
}


@dataclass(frozen=True)
class Block:
    """A layer that computed weights in a forward pass, and the first that reused them; numbers count from 1."""

    number: int
    first: Attended
    reusing: Attended

    def at(self, pattern: Pattern, places: Sequence[Place]) -> Float[Tensor, "heads q l"]:
        """Return weights of queries (row, column) over the pixels of the layers' map."""
        height, width = self.first.x.shape[2:]
        weights = pattern.weights(torch.tensor([row * width + col for row, col in places]))[0]
        # Several keys of one pixel, where the map is filled, add up.
        pixels = weights.new_zeros(*weights.shape[:2], height * width)
        return pixels.index_add_(2, pattern.pixels(), weights)


def reusing_layers(network: nn.Module) -> dict[SharedGMSA, GMSA]:
    """Map each layer that reuses weights to the layer that computes these.

    Raises InputError if the network has no such layer.
    """
    found, first = {}, None
    for module in network.modules():
        if isinstance(module, GMSA):
            first = module
        elif isinstance(module, SharedGMSA):
            found[module] = first
    if not found:
        raise InputError("network has no layer that reuses attention weights, as ELAN's do")
    return found


def blocks_of(network: nn.Module, lr: UInt8[Tensor, "3 h w"]) -> list[Block]:
    """Run a network on an image and return what its blocks did; errors as of :func:`reusing_layers`."""
    reusing_layers(network)
    _, found = attended(network.eval(), lr[None].float() / 255)
    firsts = [i for i, each in enumerate(found) if isinstance(each.layer, GMSA)]
    return [Block(number, found[i], found[i + 1]) for number, i in enumerate(firsts, 1)]


def grid(lr: UInt8[Tensor, "3 h w"], margin: int) -> list[Place]:
    """Return queries in `GRID` rows and columns over an image, at least a margin from its edges."""
    lines = (np.unique(np.linspace(margin, length - 1 - margin, GRID).round().astype(int)) for length in lr.shape[1:])
    rows, columns = (each.tolist() for each in lines)
    return [(row, column) for row in rows for column in columns]


def look(network: nn.Module, refs: Sequence[ImageRef], scale: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure where blocks look, and how similar stand-ins are to the shared weights, over a grid of queries.

    Queries are so far from the edges that no window continues at the opposite edge. Raises InputError if none of the
    network's layers reuses weights.

    Return maps: image, block (from 1), shifted, side (of the window, px), what (`WEIGHTS`, `COMPUTING` or `REUSING`),
    queries, and means over these: on_query (share of the query itself), keys_effective (exponential of the entropy),
    keys_seen, distance and distance_even (px from the query: by the shares, and with equal shares); and alike:
    image, block, side, stand_in, likeness (mean cosine to the shared weights, 0 to 1).
    """
    maps, alike = [], []
    for ref in tqdm(refs, desc="maps", unit="image"):
        lr, _ = pair(ref, scale)
        with torch.inference_mode():
            blocks = blocks_of(network, lr)
            places = grid(lr, max(blocks[0].first.layer.sides) // 2)
            number = {"queries": len(places)}
            shared = [block.at(block.first.pattern, places) for block in blocks]
            for i, block in enumerate(blocks):
                windows = block.first.pattern.windows
                plain = block.at(even(block.first.pattern), places)
                others = {
                    name: block.at(make(block.first.layer, block.reusing.x, block.first.pattern), places)
                    for name, make in STAND_INS.items()
                }
                if i + 1 < len(blocks):
                    embedding = blocks[i + 1].first.pattern.key
                    others[NEXT] = block.at(MultiscalePattern(windows, embedding), places)
                if i + 2 < len(blocks):
                    others[NEXT_BUT_ONE] = shared[i + 2]
                for head, side in enumerate(windows.sides):
                    facts = {"image": ref.name, "block": block.number, "side": side}
                    one = slice(head, head + 1)
                    for name, own in others.items():
                        likeness = torch.cosine_similarity(shared[i][one].double(), own[one].double(), dim=-1).mean()
                        alike.append({**facts, "stand_in": name, "likeness": likeness.item()})
                    for what, shares in _looked_at(block, shared[i]).items():
                        measured = _measures(shares[head], plain[head], places, block.first.x.shape[3])
                        maps.append({**facts, "shifted": windows.shifted, "what": what, **number, **measured})
    return pd.DataFrame(maps), pd.DataFrame(alike)


def _looked_at(block: Block, weights: Float[Tensor, "heads q l"]) -> dict[str, Float[Tensor, "heads q l"]]:
    """Return the weights, and the shares of the values in each of the block's layers."""
    found = {WEIGHTS: weights}
    for what, each in ((COMPUTING, block.first), (REUSING, block.reusing)):
        lengths = each.layer.value(each.x)[0].norm(dim=-1)[:, block.first.pattern.windows.places(weights.device)]
        parts = weights * lengths[:, None]
        found[what] = parts / parts.sum(-1, keepdim=True)
    return found


def _measures(
    shares: Float[Tensor, "q l"], plain: Float[Tensor, "q l"], places: Sequence[Place], width: int
) -> dict[str, float]:
    shares, plain = shares.double(), plain.double()
    pixels = torch.arange(shares.shape[1])
    rows, columns = (torch.tensor(each)[:, None] for each in zip(*places, strict=True))
    distance = torch.hypot((pixels // width - rows).double(), (pixels % width - columns).double())
    entropy = -torch.xlogy(shares, shares).sum(1)
    each: dict[str, Float64[Tensor, " q"]] = {
        "on_query": shares.gather(1, rows * width + columns)[:, 0],
        "keys_effective": entropy.exp(),
        "keys_seen": plain.count_nonzero(1).double(),
        "distance": (shares * distance).sum(1),
        "distance_even": (plain * distance).sum(1),
    }
    return {name: of.mean().item() for name, of in each.items()}


def example(network: nn.Module, ref: ImageRef, scale: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Look at one query in the first, middle and last block: the image's strongest corner away from the edges.

    Returns keys of the query's window (image, block, side, row, col, weights, and reusing, the shares of :func:`look`),
    and LR pixels around the query: row, col, red, green, blue (0 to 255), query (true for this pixel).
    """
    lr, _ = pair(ref, scale)
    with torch.inference_mode():
        blocks = blocks_of(network, lr)
        margin, (height, width) = max(blocks[0].first.layer.sides) // 2, lr.shape[1:]
        inner = lr[:, margin : height - margin, margin : width - margin]
        row, col = (margin + place for place in corners(inner, 1)[0])
        rows = []
        for block in [blocks[i] for i in sorted({0, (len(blocks) - 1) // 2, len(blocks) - 1})]:
            looked_at = _looked_at(block, block.at(block.first.pattern, [(row, col)]))
            seen = block.at(even(block.first.pattern), [(row, col)])
            for head, side in enumerate(block.first.layer.sides):
                keys = seen[head, 0].nonzero()[:, 0].numpy()
                at = dict(zip(("row", "col"), divmod(keys, block.first.x.shape[3]), strict=True))
                shares = {what: looked_at[what][head, 0, keys].numpy() for what in (WEIGHTS, REUSING)}
                facts = {"image": ref.name, "block": block.number, "side": side}
                rows.append(pd.DataFrame(facts | at | shares))
    top, left = (max(0, min(at - AROUND // 2, length - AROUND)) for at, length in ((row, height), (col, width)))
    part = lr[:, top : top + AROUND, left : left + AROUND]
    at = np.indices(part.shape[1:]).reshape(2, -1) + np.array([[top], [left]])
    around = pd.DataFrame(dict(zip(("row", "col", "red", "green", "blue"), (*at, *part.flatten(1)), strict=True)))
    return pd.concat(rows, ignore_index=True), around.assign(query=(at == [[row], [col]]).all(0))


def stood_in(network: nn.Module, stand_in: str) -> AbstractContextManager[None]:
    """Let every layer that reuses weights attend with others, a key of `STAND_INS`, within the block."""

    def hook(layer: SharedGMSA, inputs: tuple, outputs: tuple) -> tuple[Map, Pattern]:
        x, shared = inputs[0], outputs[1]
        pattern = STAND_INS[stand_in](computed_by[layer], x, shared)
        return layer.output(x, pattern.attend(layer.value(x))), shared

    computed_by = reusing_layers(network)
    return hooked(computed_by, hook)


def quality(
    network: nn.Module, benchmark: str, refs: Sequence[ImageRef], scale: int, protocol: Protocol
) -> pd.DataFrame:
    """Measure PSNR of the network as it is (`SHARED`), and with each of `STAND_INS` in all layers that reuse weights.

    Columns: benchmark, image, stand_in, psnr_y (dB).
    """
    measured = {SHARED: evaluate(network, refs, scale, protocol)}
    for stand_in in STAND_INS:
        with stood_in(network, stand_in):
            measured[stand_in] = evaluate(network, refs, scale, protocol)
    rows = [found[["name", "psnr_y"]].assign(benchmark=benchmark, stand_in=name) for name, found in measured.items()]
    columns = ["benchmark", "image", "stand_in", "psnr_y"]
    return pd.concat(rows, ignore_index=True).rename(columns={"name": "image"})[columns]
