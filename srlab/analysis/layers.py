"""What a layer attended to, as data: for any mechanism that keeps the contract of `srlab.attention`.

Everything here asks a pattern for the queries in question only, never for all of its L × L weights, and gives
back NumPy arrays and data frames, which `srlab.plots` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor, nn
from torch.nn.functional import pad

from srlab.attention import Attention, ConvAttn, Pattern, SortedWindows
from srlab.attention.contract import attended
from srlab.attention.conv_attn import KernelPattern
from srlab.attention.scc import CorrelationPattern
from srlab.errors import InputError


@dataclass(frozen=True)
class LayerTrace:
    """One non-local layer in one forward pass.

    Attributes
    ----------
    name : str
        The layer's in the network, e.g. "groups.0.attention".
    mechanism : str
        Its class, e.g. "LSP".
    pattern : Pattern
        What it attended with; a layer that shares an earlier one's weights has that one's pattern.
    height, width : int
        Of its input map in tokens, which are LR pixels.
    layer : Attention
        Itself.
    small : Float[Tensor, "p 3 3"], optional
        The dynamic kernel that a ConvAttn made of this input.
    """

    name: str
    mechanism: str
    pattern: Pattern
    height: int
    width: int
    layer: Attention | None = None
    small: Float[Tensor, "p 3 3"] | None = None

    @property
    def rounds(self) -> int:
        """How many times the layer sorts its tokens; 1 where it sorts none."""
        return self.pattern.codes.shape[1] if isinstance(self.pattern, SortedWindows) else 1

    def index(self, row: int, col: int) -> int:
        """The token at a pixel.

        Raises
        ------
        InputError
            If the pixel is not in the map.
        """
        if not (0 <= row < self.height and 0 <= col < self.width):
            raise InputError(
                f"pixel (row {row}, column {col}) is outside the LR image: rows are 0 to {self.height - 1}, "
                f"columns 0 to {self.width - 1}"
            )
        return row * self.width + col

    def query(self, row: int, col: int) -> Int[Tensor, " 1"]:
        """The same, as the pattern is asked.

        Raises
        ------
        InputError
            If the pixel is not in the map.
        """
        return torch.tensor([self.index(row, col)], device=self.pattern.pixels().device)


# --- images ---------------------------------------------------------------------------------------------


# --- one layer, one query -------------------------------------------------------------------------------


def trace(network: nn.Module, lr: UInt8[Tensor, "3 h w"]) -> list[LayerTrace]:
    """What each attention layer of a network did in one forward pass, in the order in which they ran.

    Parameters
    ----------
    network : nn.Module
        Maps Float[Tensor, "1 3 h w"] of 0 to 1; it is put in evaluation mode.
    lr : UInt8[Tensor, "3 h w"]
        0 to 255.

    Raises
    ------
    InputError
        If the network has no attention layer.
    """
    device = next(network.parameters()).device
    with torch.inference_mode():
        _, found = attended(network.eval(), lr[None].to(device).float() / 255)
        layers = []
        for name, layer, x, pattern in found:
            small = layer.small_kernels(x)[0] if isinstance(layer, ConvAttn) else None
            layers.append(LayerTrace(name, type(layer).__name__, pattern, *x.shape[2:], layer, small))
    if not layers:
        raise InputError("this network has no non-local layer, so there is no attention to show")
    return layers


def attention_row(layer: LayerTrace, row: int, col: int) -> Float[np.ndarray, "h w"]:
    """Weights of the query at a pixel over all keys, their mean over heads; they sum to one.

    They are attention weights. ConvAttn, which emulates attention, has kernels instead: there a key's weight
    is its share of the kernels' magnitude, the Frobenius norm over channels of large plus dynamic kernel.

    Raises
    ------
    InputError
        If the pixel is not in the map, or the layer has no weights.
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
    """How strong the kernels of a ConvAttn or a convolution are at each offset: Frobenius norms over channels.

    Returns
    -------
    large, dynamic, both : Float[np.ndarray, "k k"], Float[np.ndarray, "3 3"], Float[np.ndarray, "k k"]
        The kernel that all layers share, or a convolution's own; the one made of this image, zeros where none
        is; their sum. A convolution's kernel is centred on the query, and its offsets are those of the keys.
    """
    pattern, small = layer.pattern, layer.small
    margin = [pattern.weight.shape[-1] // 2 - 1] * 4
    with torch.inference_mode():
        if small is None:  # a convolution that makes no kernel of its input
            large, dynamic = pattern.weight, pattern.weight.new_zeros(1, 1, 3, 3)
        elif pattern.mix is None:
            large = pattern.weight
            dynamic = torch.diag_embed(small.permute(1, 2, 0)).permute(2, 3, 0, 1)
        else:  # channels are mixed first: the same mixture is seen through both kernels
            mixed = pattern.mix[:, :, 0, 0].norm(dim=1)[:, None, None, None]
            large, dynamic = pattern.weight * mixed, small[:, None] * mixed
        both = large + pad(dynamic, margin)
        return tuple(kernel.norm(dim=(0, 1)).cpu().numpy() for kernel in (large, dynamic, both))


def _placed(layer: LayerTrace, row: int, col: int, kernel: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "h w"]:
    """A kernel around a pixel; what falls off the map is lost, zeros are elsewhere."""
    reach = len(kernel) // 2
    padded = np.zeros((layer.height + 2 * reach, layer.width + 2 * reach), kernel.dtype)
    padded[row : row + len(kernel), col : col + len(kernel)] = kernel
    return padded[reach : reach + layer.height, reach : reach + layer.width]


def seen(layer: LayerTrace, row: int, col: int) -> Int[np.ndarray, "h w"]:
    """How many times the query at a pixel sees each key, in the head that sees it most often; 0 is never.

    Raises
    ------
    InputError
        If the pixel is not in the map.
    """
    query = layer.query(row, col)
    with torch.inference_mode():
        return _to_pixels(layer, layer.pattern.multiplicity(query)[0, :, 0].amax(0))


def _to_pixels(layer: LayerTrace, of_keys: Shaped[Tensor, " m"]) -> Shaped[np.ndarray, "h w"]:
    """Numbers of keys as a map: several keys of one pixel add up."""
    pixels = of_keys.new_zeros(layer.height * layer.width).index_add_(0, layer.pattern.pixels(), of_keys)
    return pixels.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def receptive_field(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], scale: int, row: int, col: int
) -> Float[np.ndarray, "h w"]:
    """Effective receptive field: how much each LR pixel moves the SR pixels of one LR pixel.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    lr : UInt8[Tensor, "3 h w"]
    scale : int
    row, col : int
        In LR pixels.

    Returns
    -------
    Float[np.ndarray, "h w"]
        Absolute gradient of the sum of the scale×scale SR pixels, summed over channels, as shares of one.

    References
    ----------
    W. Luo et al., "Understanding the effective receptive field in deep convolutional neural networks",
    NeurIPS 2016.
    """
    image = (lr[None].to(next(network.parameters()).device).float() / 255).requires_grad_()
    sr = network(image)
    block = sr[..., scale * row : scale * (row + 1), scale * col : scale * (col + 1)]
    [gradient] = torch.autograd.grad(block.sum(), image)
    field = gradient[0].abs().sum(0)
    return (field / field.sum()).cpu().numpy()


def reach(layer: LayerTrace, places: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """How widely and how far queries look, a query a row.

    Returns
    -------
    DataFrame
        row, col; `keys_seen`, how many different keys; `keys_effective`, the exponential of the weights'
        entropy: over how many keys an even spread would be as uncertain; `distance` and `distance_even`, the
        mean distance (pixels) of a key from the query, by the weights and if all tokens weighed alike.
    """
    rows, cols = np.mgrid[: layer.height, : layer.width]
    measures = []
    for row, col in places:
        weights = attention_row(layer, row, col).astype(float)
        present = weights[weights > 0]
        distance = np.hypot(rows - row, cols - col)
        measures.append(
            {
                "row": row,
                "col": col,
                "keys_seen": np.count_nonzero(seen(layer, row, col)),
                "keys_effective": np.exp(-(present * np.log(present)).sum()),
                "distance": (weights * distance).sum(),
                "distance_even": distance.mean(),
            }
        )
    return pd.DataFrame(measures)


# --- clusters and windows of layers that sort their tokens -----------------------------------------------
