"""Trace attention layers into arrays and frames; any mechanism under the contract of `srlab.attention` will do.

A pattern is queried at single pixels only, never for all of its L × L weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor, nn
from torch.nn.functional import pad

from srlab.attention import Attending, ConvAttn, Pattern, SortedWindows
from srlab.attention.contract import attended
from srlab.attention.conv_attn import KernelPattern
from srlab.attention.scc import CorrelationPattern
from srlab.errors import InputError


@dataclass(frozen=True)
class LayerTrace:
    """One attention layer in one forward pass, on a map of height × width tokens, which are LR pixels."""

    name: str  # module path in the network, e.g. "groups.0.attention"
    mechanism: str  # class, e.g. "LSP"
    pattern: Pattern  # that of an earlier layer, if the layer shares its weights
    height: int
    width: int
    layer: Attending | None = None
    small: Float[Tensor, "p 3 3"] | None = None  # the dynamic kernel that a ConvAttn computed from this input
    number: int = 1  # place among the network's attention layers
    count: int = 1  # their number
    before: LayerTrace | None = field(default=None, repr=False)  # the attention layer that ran before

    @property
    def title(self) -> str:
        """The layer as people read it, e.g. "LSP, layer 1 of 10"."""
        return f"{self.mechanism}, layer {self.number} of {self.count}"

    @property
    def rounds(self) -> int:
        """Rounds in which the layer sorts its tokens; 1 for a layer without sorting."""
        return self.pattern.codes.shape[1] if isinstance(self.pattern, SortedWindows) else 1

    def index(self, row: int, col: int) -> int:
        """Return the token at a pixel; a pixel outside the map raises InputError."""
        check_pixel(row, col, self.height, self.width)
        return row * self.width + col

    def query(self, row: int, col: int) -> Int[Tensor, " 1"]:
        """Return the token at a pixel as a tensor on the pattern's device; raise as `index` does."""
        return torch.tensor([self.index(row, col)], device=self.pattern.pixels().device)


def check_pixel(row: int, col: int, height: int, width: int) -> None:
    """Raise an InputError unless the pixel is inside an LR image of that size."""
    if not (0 <= row < height and 0 <= col < width):
        allowed = f"rows are 0 to {height - 1}, columns 0 to {width - 1}"
        raise InputError(f"pixel (row {row}, column {col}) is outside the LR image: {allowed}")


def trace(network: nn.Module, lr: UInt8[Tensor, "3 h w"]) -> list[LayerTrace]:
    """Run a network once and return its attention layers in the order in which they ran.

    The network maps Float[Tensor, "1 3 h w"] of 0 to 1; it is put in evaluation mode. One without attention layers
    raises InputError.
    """
    device = next(network.parameters()).device
    with torch.inference_mode():
        _, found = attended(network.eval(), lr[None].to(device).float() / 255)
        layers = []
        for number, (name, layer, x, pattern) in enumerate(found, 1):
            small = layer.small_kernels(x)[0] if isinstance(layer, ConvAttn) else None
            mechanism, before = type(layer).__name__.removesuffix("Layer"), layers[-1] if layers else None
            layers.append(LayerTrace(name, mechanism, pattern, *x.shape[2:], layer, small, number, len(found), before))
    if not layers:
        raise InputError("this network has no attention layer, so there is no attention to show")
    return layers


@contextmanager
def hooked(layers: Iterable[nn.Module], hook: Callable) -> Iterator[None]:
    """Let a forward hook, of layer, inputs and outputs, act on some layers within the block."""
    hooks = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def attention_row(layer: LayerTrace, row: int, col: int) -> Float[np.ndarray, "h w"]:
    """Return the weights of the query at a pixel over all keys, their mean over heads; they sum to one.

    ConvAttn has kernels instead of weights: a key's weight is its share of the kernels' magnitude, the Frobenius
    norm over channels of large plus dynamic kernel. A layer without weights raises InputError.
    """
    query = layer.query(row, col)
    if isinstance(layer.pattern, CorrelationPattern):
        raise InputError(f"{layer.mechanism} has no attention weights: it correlates without softmax")
    if isinstance(layer.pattern, KernelPattern):
        placed = _placed(layer, row, col, magnitudes(layer)[2])
        return placed / placed.sum()
    with torch.inference_mode():
        return _to_pixels(layer, layer.pattern.weights(query)[0, :, 0].mean(0))


def magnitudes(
    layer: LayerTrace,
) -> tuple[Float[np.ndarray, "k k"], Float[np.ndarray, "3 3"], Float[np.ndarray, "k k"]]:
    """Return the magnitude of a ConvAttn's or a convolution's kernels at each offset: Frobenius norms over channels.

    They are the kernel that all layers share, or a convolution's own; the kernel computed from this image, or zeros;
    and their sum. A kernel is centred on the query, and its offsets are those of the keys.
    """
    pattern, small = layer.pattern, layer.small
    margin = [pattern.weight.shape[-1] // 2 - 1] * 4
    with torch.inference_mode():
        large = pattern.weight
        if small is None:  # a plain convolution
            dynamic = large.new_zeros(1, 1, 3, 3)
        elif pattern.mix is None:
            dynamic = torch.diag_embed(small.permute(1, 2, 0)).permute(2, 3, 0, 1)
        else:  # channels are mixed before both kernels
            mixed = pattern.mix[:, :, 0, 0].norm(dim=1)[:, None, None, None]
            large, dynamic = large * mixed, small[:, None] * mixed
        both = large + pad(dynamic, margin)
        return tuple(kernel.norm(dim=(0, 1)).cpu().numpy() for kernel in (large, dynamic, both))


def _placed(layer: LayerTrace, row: int, col: int, kernel: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "h w"]:
    """Place a kernel around a pixel of a map of zeros; its part beyond the map is dropped."""
    reach = len(kernel) // 2
    padded = np.zeros((layer.height + 2 * reach, layer.width + 2 * reach), kernel.dtype)
    padded[row : row + len(kernel), col : col + len(kernel)] = kernel
    return padded[reach : reach + layer.height, reach : reach + layer.width]


def seen(layer: LayerTrace, row: int, col: int) -> Int[np.ndarray, "h w"]:
    """Count how often each key is visible to the query at a pixel, in the head with the largest count; 0 is never."""
    return _to_pixels(layer, _counts(layer, row, col).amax(0))


def kept(layer: LayerTrace, row: int, col: int) -> Float[np.ndarray, "h w"]:
    """Return the share of heads that see each key of the query at a pixel, times how often they do."""
    return _to_pixels(layer, _counts(layer, row, col).float().mean(0))


def _counts(layer: LayerTrace, row: int, col: int) -> Int[Tensor, "heads m"]:
    """Return how often each head of the query at a pixel sees each key."""
    query = layer.query(row, col)
    with torch.inference_mode():
        return layer.pattern.multiplicity(query)[0, :, 0]


def _to_pixels(layer: LayerTrace, of_keys: Shaped[Tensor, " m"]) -> Shaped[np.ndarray, "h w"]:
    """Map numbers of keys to pixels; several keys of one pixel add up."""
    pixels = of_keys.new_zeros(layer.height * layer.width).index_add_(0, layer.pattern.pixels(), of_keys)
    return pixels.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def receptive_field(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], scale: int, row: int, col: int
) -> Float[np.ndarray, "h w"]:
    """Return the effective receptive field of the scale×scale SR pixels of one LR pixel.

    It is the absolute gradient of the sum of these SR pixels, summed over channels, as shares of one. The network is
    in evaluation mode. Source: W. Luo et al., "Understanding the effective receptive field in deep convolutional
    neural networks", NeurIPS 2016.
    """
    image = (lr[None].to(next(network.parameters()).device).float() / 255).requires_grad_()
    block = network(image)[..., scale * row : scale * (row + 1), scale * col : scale * (col + 1)]
    [gradient] = torch.autograd.grad(block.sum(), image)
    field = gradient[0].abs().sum(0)
    return (field / field.sum()).cpu().numpy()


def reach(layer: LayerTrace, places: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """Measure how many keys queries attend to and how far away, one query (row, col) a row.

    `keys_seen` is the number of different visible keys, `keys_effective` the exponential of the weights' entropy.
    `distance` and `distance_even` are the mean distance (pixels) of a key from the query, by the weights and with equal
    weights on all tokens.
    """
    rows, cols = np.mgrid[: layer.height, : layer.width]
    measures = []
    for row, col in places:
        weights = attention_row(layer, row, col).astype(float)
        present = weights[weights > 0]
        distance = np.hypot(rows - row, cols - col)
        visible, effective = np.count_nonzero(seen(layer, row, col)), np.exp(-(present * np.log(present)).sum())
        measures.append((row, col, visible, effective, (weights * distance).sum(), distance.mean()))
    names = ["row", "col", "keys_seen", "keys_effective", "distance", "distance_even"]
    return pd.DataFrame(measures, columns=names)
