"""Is attention at work? What networks lose when the weights of their layers are altered, at test time.

Weights are altered through the contract of :mod:`srlab.attention.contract`, by the kind of pattern that a layer
attends with; no mechanism knows of it. Three changes:

- "uniform weights": a query's weights become equal over the keys that it sees, each as often as it is seen.
- "shuffled keys": the values change places among all keys that the pattern holds, so that a weight meets the content
  of another place.
- "own 7×7 only": of the keys that a query sees only those in its own neighbourhood are left, their weights scaled to
  sum to one again. A query that sees none of its neighbours, as windows that choose others may, attends to nothing.

Some mechanisms know no softmax, and no sum of weights to keep. *A kernel* (ConvAttn, a local convolution): the weights
are its taps, large and dynamic kernel added up. For each pair of channels they become their mean; they change places,
alike for all pairs; or those outside the middle 7×7 become zero. *Correlations* (SCC): both of its halves are sums over
the pixels j of a window with signed weights, (q_i·r_g/d + bias) for j's share of its group's token r_g, and v_i·v_j/p
for q_j. They become their mean over the window, or change places as other keys do; what lies outside 7×7 is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import singledispatch

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad
from tqdm.auto import tqdm

from srlab.attention import SCC, Attention, ConvAttn, LocalConvolution, Pattern
from srlab.attention.contract import to_map
from srlab.attention.conv_attn import KernelPattern, depthwise
from srlab.attention.routed_windows import by_head
from srlab.attention.scc import CorrelationPattern
from srlab.data.layouts import ImageRef
from srlab.data.sources import evenly
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.study.runs import TrainingRun
from srlab.study.study import Study

#: What can be done to the weights; nothing, by the plain formula all the same, for tests.
NOTHING = "nothing"
UNIFORM, SHUFFLED, OWN = CHANGES = ("uniform weights", "shuffled keys", "own 7×7 only")
#: How far the own neighbourhood reaches, in pixels.
REACH = 3
#: How many queries' weights are held at a time.
QUERIES = 256
#: How many benchmark images are measured, and the side in LR pixels of the middle that is taken of each. Weights by the
#: plain formula take the square of its area: `cpu`, 13 networks of three seeds, takes some 80 s of one core.
IMAGES, SIDE = 8, 32

Map = Float[Tensor, "b c h w"]


class Altered(Pattern):
    """A pattern with altered weights, attended with by the plain formula; where only values move, by its own way.

    Parameters
    ----------
    pattern : Pattern
    change : str
        One of `CHANGES`, or `NOTHING`.
    width : int
        Of the map, in pixels.
    """

    def __init__(self, pattern: Pattern, change: str, width: int):
        self.pattern, self.change, self.width = pattern, change, width
        self.query, self.key = pattern.query, pattern.key

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        if self.change == SHUFFLED:
            return self.pattern.attend(value[:, :, shuffled(value.shape[2])])
        return plain(self, value)

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b heads q m"]:
        seen = self.pattern.multiplicity(queries)
        return seen * self._near(queries) if self.change == OWN else seen

    def pixels(self) -> Int[Tensor, " m"]:
        return self.pattern.pixels()

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b heads q m"]:
        signed = isinstance(self.pattern, Correlations)
        if self.change == UNIFORM:
            seen = self.multiplicity(queries).to(self.key.dtype)
            even = seen / seen.sum(-1, keepdim=True)
            return self.pattern.weights(queries).sum(-1, keepdim=True) * even if signed else even
        weights = self.pattern.weights(queries)
        if self.change == OWN:
            weights = weights * self._near(queries)
            return weights if signed else (weights / weights.sum(-1, keepdim=True)).nan_to_num(0)
        return weights

    def _near(self, queries: Int[Tensor, " q"] | None) -> Bool[Tensor, "q m"]:
        """Which keys are in a query's own neighbourhood."""
        keys = self.pixels()
        if queries is None:
            queries = torch.arange(self.query.shape[2], device=keys.device)
        rows = queries[:, None] // self.width - keys // self.width
        columns = queries[:, None] % self.width - keys % self.width
        return (rows.abs() <= REACH) & (columns.abs() <= REACH)


class Correlations(Pattern):
    """The pixels of a query's window with signed weights, query·key + bias.

    Parameters
    ----------
    pattern : CorrelationPattern
        Who sees whom.
    query, key : Float[Tensor, "b heads l d"], Float[Tensor, "b heads m d"]
        Keys go window by window.
    position : Float[Tensor, "heads p p"], optional
        What is added for each two pixels of a window.
    """

    def __init__(
        self,
        pattern: CorrelationPattern,
        query: Float[Tensor, "b heads l d"],
        key: Float[Tensor, "b heads m d"],
        position: Float[Tensor, "heads p p"] | None = None,
    ):
        self.query, self.key, self.position = query, key, position
        self.grid, self.device = pattern.grid, pattern.device
        self.multiplicity, self.pixels = pattern.multiplicity, pattern.pixels

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        return plain(self, value)

    def bias(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "heads q m"] | float:
        if self.position is None:
            return 0.0
        rows, columns = self.grid.shape
        return self.position[:, self.grid.place(queries, self.device)[1]].repeat(1, 1, rows * columns)

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b heads q m"]:
        query = self.query if queries is None else self.query[:, :, queries]
        return (query @ self.key.mT + self.bias(queries)) * self.multiplicity(queries)


def plain(pattern: Pattern, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
    """Attend by the plain formula, holding the weights of `QUERIES` queries at a time."""
    queries = torch.arange(pattern.query.shape[2], device=value.device)
    return torch.cat([pattern.weights(some) @ value for some in queries.split(QUERIES)], 2)


@singledispatch
def output(pattern: Pattern, layer: Attention, x: Map, change: str) -> Map:
    """What a layer makes of `x` when the weights of the pattern that it attends with are altered."""
    return layer.output(x, Altered(pattern, change, x.shape[3]).attend(layer.value(x)))


@output.register
def _(pattern: KernelPattern, layer: ConvAttn | LocalConvolution, x: Map, change: str) -> Map:
    """The layer with another kernel; of ConvAttn one image at a time, since each has a dynamic kernel of its own."""
    kernel = pattern.weight
    if isinstance(layer, LocalConvolution):
        taps = _with_taps(kernel, change)[:, 0]
        return x + layer.residual_scale * layer.merge(depthwise(x, taps.expand(len(x), *taps.shape)))
    [dynamic] = layer.small_kernels(x)
    placed = pad(dynamic, [kernel.shape[-1] // 2 - 1] * 4)
    across = torch.diag_embed(placed.permute(1, 2, 0)).permute(2, 3, 0, 1)
    altered = replace(pattern, weight=_with_taps(kernel + (across if pattern.mix is None else placed[:, None]), change))
    twin = copy(layer)
    twin.pattern = lambda x, shared=None: altered
    twin.small_kernels = lambda x: torch.zeros_like(dynamic)[None]
    return twin.forward(x)[0]


def _with_taps(kernel: Float[Tensor, "p in k k"], change: str) -> Float[Tensor, "p in k k"]:
    if change == UNIFORM:
        return kernel.mean((2, 3), keepdim=True).expand_as(kernel)
    if change == SHUFFLED:
        taps = kernel.flatten(2)
        return taps[:, :, shuffled(taps.shape[2])].reshape(kernel.shape)
    if change == OWN:
        offsets = torch.arange(kernel.shape[-1], device=kernel.device) - kernel.shape[-1] // 2
        near = offsets.abs() <= REACH
        return kernel * (near[:, None] & near)
    return kernel


@output.register
def _(pattern: CorrelationPattern, layer: SCC, x: Map, change: str) -> Map:
    grid, height, width = pattern.grid, *x.shape[2:]
    filled = grid.pad(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    q, v = grid.cut((layer.bottleneck(filled) * layer.straight(filled)).permute(0, 2, 3, 1)).chunk(2, -1)
    (_, down), (tall, wide) = layer.groups, layer.position.members
    place = torch.arange(q.shape[2], device=x.device)
    row, column = place // grid.window[1], place % grid.window[1]
    group = row // tall * down + column // wide
    # A pixel's share of its group's token, and that token for each pixel.
    share = layer.reduce.weight[0, row % tall * wide + column % wide][:, None] * v
    share = share + layer.reduce.bias / (tall * wide)
    token = (one_hot(group).to(v.dtype).mT @ share)[:, :, group]

    def of_map(windows: Float[Tensor, "b n p c"]) -> Float[Tensor, "b h w c"]:
        return grid.crop(grid.join(windows))

    heads, depth = layer.heads, q.shape[3] // layer.heads
    position = layer.position.plain()[:, :, group]
    spatial = Correlations(pattern, by_head(of_map(q) / depth, heads), by_head(token, heads), position)
    channel = Correlations(pattern, by_head(of_map(v) / len(place), 1), by_head(v, 1))
    halves = (
        Altered(weights, change, width).attend(by_head(value, len(value_heads)))
        for weights, value, value_heads in ((spatial, share, range(heads)), (channel, q, range(1)))
    )
    return to_map(layer.out(torch.cat([half.transpose(1, 2).flatten(2) for half in halves], -1)), height, width)


def shuffled(count: int) -> Int[Tensor, " count"]:
    """The order into which that many keys are shuffled, always the same."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def attention_layers(network: nn.Module) -> list[Attention]:
    return [module for module in network.modules() if isinstance(module, Attention)]


@contextmanager
def altered(network: nn.Module, change: str) -> Iterator[None]:
    """Within it the network runs with altered weights, in every layer; layers that share a pattern too.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode when it runs. Those with ConvAttn take one image at a time.
    change : str
        One of `CHANGES`, or `NOTHING`: the plain formula in place of the fast path.

    Raises
    ------
    InputError
        If the change is unknown, or the network has no attention layer.
    """
    if change not in (*CHANGES, NOTHING):
        raise InputError(f"change is '{change}'; allowed are {', '.join((*CHANGES, NOTHING))}")
    if not (layers := attention_layers(network)):
        raise InputError("this network has no non-local layer, so there are no weights to alter")

    def hook(layer: Attention, inputs: tuple, outputs: tuple) -> tuple[Map, Pattern | None]:
        pattern = outputs[1] if layer.shares else layer.pattern(*inputs)
        return output(pattern, layer, inputs[0], change), outputs[1]

    hooks = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def crops(benchmarks: Mapping[str, Sequence[ImageRef]], scale: int) -> dict[str, list[ImageRef]]:
    """The middles, `SIDE` LR pixels a side, of at most `IMAGES` HR images evenly spaced over all benchmarks."""
    chosen = set(evenly([ref for refs in benchmarks.values() for ref in refs], IMAGES))
    found = {name: [ref.middle(scale * SIDE) for ref in refs if ref in chosen] for name, refs in benchmarks.items()}
    return {name: refs for name, refs in found.items() if refs}


def lost(network: nn.Module, benchmarks: Mapping[str, Sequence[ImageRef]], scale: int) -> pd.DataFrame:
    """What a network loses by each change, an image and change a row.

    Parameters
    ----------
    network : nn.Module
        With attention.
    benchmarks : mapping of str to sequence of ImageRef
        HR images, by benchmark.
    scale : int

    Returns
    -------
    DataFrame
        benchmark, name, change, psnr_y (dB, of the network as it is; see `srlab.measure.evaluation`), drop_db (how
        much less it is with altered weights).
    """
    rows = []
    for benchmark, refs in benchmarks.items():
        whole = evaluate(network, refs, scale)[["name", "psnr_y"]].assign(benchmark=benchmark)
        for change in CHANGES:
            with altered(network, change):
                changed = evaluate(network, refs, scale)
            rows.append(whole.assign(change=change, drop_db=whole["psnr_y"] - changed["psnr_y"]))
    return pd.concat(rows, ignore_index=True)[["benchmark", "name", "change", "psnr_y", "drop_db"]]


def experiments(study: Study) -> dict[str, list[TrainingRun]]:
    """The runs whose networks are asked, by experiment; those that a profile has."""
    found = {"from scratch": study.comparison(), "branched": study.branches()}
    return {name: runs for name, runs in found.items() if runs}


def measure(study: Study) -> pd.DataFrame:
    """The same of every trained network with attention, on `crops` of the study's benchmarks.

    Returns
    -------
    DataFrame
        experiment ("from scratch" or "branched"), model (its label, e.g. "trunk_window side=8"), seed, run, and the
        columns of :func:`lost`.
    """
    images, tables = crops(study.data.benchmarks, study.profile.scale), []
    for experiment, runs in experiments(study).items():
        for run in tqdm(runs, desc=f"attention at work, {experiment}", unit="network"):
            network = study.obtain(run).network()
            if attention_layers(network):
                who = {"experiment": experiment, "model": study.label(run), "seed": run.seed, "run": run.hash}
                found = lost(network, images, run.scale)
                tables.append(pd.DataFrame(who, index=found.index).join(found))
    return pd.concat(tables, ignore_index=True)
