"""What a layer attended to, as data: for any mechanism that keeps the contract of `srlab.attention`.

Everything here asks a pattern for the queries in question only, never for all of its L × L weights, and gives
back NumPy arrays and data frames, which `srlab.plots` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped, UInt8
from skimage.feature import corner_peaks, corner_shi_tomasi
from torch import Tensor, nn
from torch.nn.functional import pad
from tqdm.auto import tqdm

from srlab.attention import Attention, ConvAttn, Pattern, RoutedWindows, SortedWindows
from srlab.attention.conv_attn import KernelPattern
from srlab.attention.scc import CorrelationPattern
from srlab.attention.window import WindowPattern
from srlab.attention.window_grid import WindowGrid
from srlab.data.resize import downscale, modcrop
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.evaluation import super_resolve
from srlab.metrics import image_quality, luma
from srlab.runs import Record

#: What `windows` calls the tokens that a query does not see, and those of the three windows that it sees.
UNSEEN, PREVIOUS, OWN, NEXT = range(4)

Box = tuple[int, int, int, int]

#: Largest side, in LR pixels, of what is shown of an image: dense attention takes the square of its area.
SIDE = 128


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


@dataclass(frozen=True)
class Groups:
    """Tokens in groups, clusters or hash buckets, of which the query is in one."""

    title: str
    labels: Int[np.ndarray, "h w"]
    own: int


@dataclass(frozen=True)
class Windows:
    """Which of the query's windows of the sorted sequence each token is in: UNSEEN, PREVIOUS, OWN or NEXT."""

    title: str
    labels: Int[np.ndarray, "h w"]


@dataclass(frozen=True)
class Boxes:
    """The window of the query, and the windows that it chose, the best first: (top, left, height, width)."""

    title: str
    query: Box
    keys: tuple[Box, ...]


@dataclass(frozen=True)
class Values:
    """Numbers on the image's pixels (NaN: none), or a kernel's, which lie on no pixels.

    `signed` numbers are shown around zero, others from zero to the largest. `logarithmic` spans four decades.
    """

    title: str
    values: Float[np.ndarray, "_h _w"]
    on_image: bool
    signed: bool = False
    logarithmic: bool = False


Panel = Groups | Windows | Boxes | Values


@dataclass(frozen=True)
class View:
    """All that there is to draw of one query: `view` makes it.

    Attributes
    ----------
    layer : str
        Mechanism and name of the layer.
    row, col : int
        The query's pixel.
    picture : UInt8[np.ndarray, "h w 3"]
        The LR image.
    weights : Float[np.ndarray, "h w"], optional
        Weight of each key; they sum to one. None for SCC, which has no weights.
    seen : Int[np.ndarray, "h w"]
        How many times the query sees each key; 0 is never.
    panels : tuple of Panel
        What is particular to the mechanism.
    """

    layer: str
    row: int
    col: int
    picture: UInt8[np.ndarray, "h w 3"]
    weights: Float[np.ndarray, "h w"] | None
    seen: Int[np.ndarray, "h w"]
    panels: tuple[Panel, ...]


# --- images ---------------------------------------------------------------------------------------------


def pair(ref: ImageRef, scale: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]]:
    """LR and HR of an image, as `srlab.evaluation.evaluate` makes them."""
    hr = modcrop(ref.read(), scale)
    return downscale(hr, scale), hr


def centre(image: UInt8[Tensor, "3 _h _w"], side: int = SIDE) -> UInt8[Tensor, "3 h w"]:
    """The middle of an image, at most `side` pixels a side."""
    top, left = (max(0, length - side) // 2 for length in image.shape[1:])
    return image[:, top : top + side, left : left + side]


def picture(image: UInt8[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """An image as drawing wants it."""
    return image.permute(1, 2, 0).numpy()


def corners(lr: UInt8[Tensor, "3 h w"], count: int) -> list[tuple[int, int]]:
    """(row, column) of the strongest corners, at least an eighth of the shorter side apart and from the edge.

    These are structured places chosen by no one's taste: peaks of the Shi–Tomasi measure of Y at σ = 2. Where
    there is none, it is the middle.
    """
    apart = max(1, min(lr.shape[1:]) // 8)
    strength = corner_shi_tomasi(luma(lr.double()).numpy(), sigma=2)
    peaks = corner_peaks(strength, min_distance=apart, exclude_border=apart, num_peaks=count)
    return [(int(row), int(col)) for row, col in peaks] or [(lr.shape[1] // 2, lr.shape[2] // 2)]


def restored(
    networks: dict[str, nn.Module | None], ref: ImageRef, scale: int, side: int
) -> list[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]:
    """An image as networks restore it, around its strongest corner.

    Parameters
    ----------
    networks : dict
        By the name to show; None is bicubic interpolation.
    ref : ImageRef
        The HR image.
    scale : int
    side : int
        Of the part to show, in LR pixels.

    Returns
    -------
    list of (str, array)
        HR first, then each network's with the Y-PSNR (dB) of the whole image.
    """
    lr, hr = pair(ref, scale)
    [(row, col)] = corners(lr, 1)
    top, left = (
        scale * min(max(0, at - side // 2), max(0, length - side))
        for at, length in ((row, lr.shape[1]), (col, lr.shape[2]))
    )

    def part(image: UInt8[Tensor, "3 sh sw"]) -> UInt8[np.ndarray, "_h _w 3"]:
        return picture(image[:, top : top + scale * side, left : left + scale * side])

    parts = [(f"{ref.name}: HR", part(hr))]
    for name, network in networks.items():
        sr = super_resolve(network, lr, scale)
        parts.append((f"{name}: {image_quality(sr, hr, scale)['psnr_y']:.2f} dB", part(sr)))
    return parts


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
    layers: list[LayerTrace] = []

    def record(name: str):
        def hook(layer: Attention, inputs: tuple, outputs: tuple) -> None:
            pattern = outputs[1] if layer.shares else layer.pattern(*inputs)
            small = layer.small_kernels(inputs[0])[0] if isinstance(layer, ConvAttn) else None
            size = inputs[0].shape[2:]
            layers.append(LayerTrace(name, type(layer).__name__, pattern, *size, layer, small))

        return hook

    attention = [(name, m) for name, m in network.named_modules() if isinstance(m, Attention)]
    if not attention:
        raise InputError("this network has no non-local layer, so there is no attention to show")
    hooks = [layer.register_forward_hook(record(name)) for name, layer in attention]
    device = next(network.parameters()).device
    try:
        with torch.inference_mode():
            network.eval()(lr[None].to(device).float() / 255)
    finally:
        for hook in hooks:
            hook.remove()
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
    """How strong the kernels of a ConvAttn are at each offset: Frobenius norms over channels.

    Returns
    -------
    large, dynamic, both : Float[np.ndarray, "k k"], Float[np.ndarray, "3 3"], Float[np.ndarray, "k k"]
        The kernel that all layers share; the one made of this image; their sum. A convolution's kernel is
        centred on the query, and its offsets are those of the keys.
    """
    pattern, small = layer.pattern, layer.small
    margin = [pattern.weight.shape[-1] // 2 - 1] * 4
    with torch.inference_mode():
        if pattern.mix is None:
            large = pattern.weight
            dynamic = torch.diag_embed(small.permute(1, 2, 0)).permute(2, 3, 0, 1)
        else:  # channels are mixed first: the same mixture is seen through both kernels
            mixed = pattern.mix[:, :, 0, 0].norm(dim=1)[:, None, None, None]
            large, dynamic = pattern.weight * mixed, small[:, None] * mixed
        both = large + pad(dynamic, margin)
        return tuple(kernel.norm(dim=(0, 1)).cpu().numpy() for kernel in (large, dynamic, both))


def _placed(
    layer: LayerTrace, row: int, col: int, kernel: Float[np.ndarray, "k k"]
) -> Float[np.ndarray, "h w"]:
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


def view(layer: LayerTrace, lr: UInt8[Tensor, "3 h w"], row: int, col: int, turn: int = 0) -> View:
    """All that there is to draw of the query at a pixel.

    Parameters
    ----------
    layer : LayerTrace
    lr : UInt8[Tensor, "3 h w"]
        The image that was traced.
    row, col : int
    turn : int
        Which round of sorting to show, from 0, where the layer has several.

    Raises
    ------
    InputError
        If the pixel is not in the map, or the layer has no such round.
    """
    if not 0 <= turn < layer.rounds:
        raise InputError(f"round {turn + 1}: {layer.mechanism} has rounds 1 to {layer.rounds}")
    has_weights = not isinstance(layer.pattern, CorrelationPattern)
    return View(
        layer=f"{layer.mechanism}, {layer.name}",
        row=row,
        col=col,
        picture=picture(lr),
        weights=attention_row(layer, row, col) if has_weights else None,
        seen=seen(layer, row, col),
        panels=tuple(panels(layer.pattern, layer, row, col, turn)),
    )


@singledispatch
def panels(pattern: Pattern, layer: LayerTrace, row: int, col: int, turn: int) -> list[Panel]:
    """What is particular to a mechanism, for the query at a pixel; nothing where it sees all there is."""
    return []


@panels.register
def _(pattern: SortedWindows, layer: LayerTrace, row: int, col: int, turn: int) -> list[Panel]:
    of_round = f", round {turn + 1} of {layer.rounds}" if layer.rounds > 1 else ""
    labels = clusters(layer, turn)
    what = "hash buckets" if layer.mechanism == "NLSA" else "clusters"
    return [
        Groups(what + of_round, labels, int(labels[row, col])),
        Windows("sorted windows" + of_round, windows(layer, row, col, turn)),
    ]


@panels.register
def _(pattern: WindowPattern, layer: LayerTrace, row: int, col: int, turn: int) -> list[Panel]:
    box = _box(pattern.grid, pattern.grid.place(layer.query(row, col), pattern.queries.device)[0].item())
    shown: list[Panel] = [Boxes("window", box, ())]
    if layer.layer.position is not None:
        shown.append(Values("position bias, mean of heads", _bias(layer, row, col), True, signed=True))
    return shown


def _bias(layer: LayerTrace, row: int, col: int) -> Float[np.ndarray, "h w"]:
    """The position bias of the query's window, where it lies on the map; NaN elsewhere."""
    grid, position = layer.pattern.grid, layer.layer.position
    window, place = grid.place(layer.query(row, col), layer.pattern.queries.device)
    with torch.inference_mode():
        held = position()
        of_query = held[:, place[0]] if torch.is_tensor(held) else (held[0][:, place] @ held[1].mT)[:, 0]
        bias = of_query.mean(0).unflatten(0, grid.window).cpu().numpy()
    top, left, _, _ = _box(grid, window.item())
    whole = np.full((layer.height, layer.width), np.nan, bias.dtype)
    inside = whole[top : top + grid.window[0], left : left + grid.window[1]]
    inside[:] = bias[: inside.shape[0], : inside.shape[1]]
    return whole


def _box(grid: WindowGrid, window: int) -> Box:
    height, width = grid.window
    return window // grid.shape[1] * height, window % grid.shape[1] * width, height, width


@panels.register
def _(pattern: CorrelationPattern, layer: LayerTrace, row: int, col: int, turn: int) -> list[Panel]:
    window, _ = pattern.grid.place(layer.query(row, col), pattern.device)
    return [Boxes("window", _box(pattern.grid, window.item()), ())]


@panels.register
def _(pattern: RoutedWindows, layer: LayerTrace, row: int, col: int, turn: int) -> list[Panel]:
    grid = pattern.grid
    window = row // grid.window[0] * grid.shape[1] + col // grid.window[1]
    chosen = tuple(_box(grid, key) for key in pattern.routes[0, window].tolist())
    return [Boxes(f"window and its {len(chosen)} chosen", _box(grid, window), chosen)]


@panels.register
def _(pattern: KernelPattern, layer: LayerTrace, row: int, col: int, turn: int) -> list[Panel]:
    large, dynamic, _ = magnitudes(layer)
    size = len(large)
    return [
        Values(f"shared kernel, {size}×{size}", large, on_image=False),
        Values("this image's kernel, 3×3", dynamic, on_image=False),
    ]


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


def clusters(layer: LayerTrace, turn: int = 0) -> Int[np.ndarray, "h w"]:
    """The cluster, or hash bucket, of each token in one round.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    codes = _sorted(layer).codes[0, turn]
    return codes.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def cluster_sizes(layer: LayerTrace, count: int) -> Int[np.ndarray, " k"]:
    """Tokens in each of the `count` clusters, empty ones included.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    return np.bincount(clusters(layer).ravel(), minlength=count)


def windows(layer: LayerTrace, row: int, col: int, turn: int = 0) -> Int[np.ndarray, "h w"]:
    """Which of the query's windows each token is in, in one round: UNSEEN, PREVIOUS, OWN or NEXT.

    With fewer than three windows a token can be in several of these; then OWN goes before PREVIOUS, and that
    before NEXT.

    Raises
    ------
    InputError
        If the layer sorts no tokens, or the pixel is not in the map.
    """
    pattern, index = _sorted(layer), layer.index(row, col)
    slots = pattern.slots[0, turn].unflatten(0, (-1, pattern.window)).cpu().numpy()
    own = pattern.slot_of[0, turn, index].item() // pattern.window
    labels = np.full(layer.height * layer.width, UNSEEN)
    for label, window in ((NEXT, own + 1), (PREVIOUS, own - 1), (OWN, own)):
        labels[slots[window % len(slots)]] = label
    return labels.reshape(layer.height, layer.width)


def gini(sizes: Shaped[np.ndarray, " k"]) -> float:
    """Gini coefficient of sizes, of clusters or other: 0 if all are alike, 1 − 1/k if one holds all."""
    share = np.sort(sizes) / sizes.sum()
    k = len(share)
    return float((2 * np.arange(1, k + 1) - k - 1) @ share / k)


def pure_windows(layer: LayerTrace) -> float:
    """Share of windows, 0 to 1, whose tokens are all of one cluster.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    pattern = _sorted(layer)
    codes = pattern.codes[0, 0][pattern.slots[0, 0]].unflatten(0, (-1, pattern.window))
    return (codes == codes[:, :1]).all(1).float().mean().item()


def evenness(records: Sequence[Record], refs: Sequence[ImageRef]) -> pd.DataFrame:
    """How evenly the first layer of trained networks divides the tokens of images, an image a row.

    Parameters
    ----------
    records : sequence of Record
        Of training runs whose networks begin with a layer that sorts into `clusters`.
    refs : sequence of ImageRef
        HR images.

    Returns
    -------
    DataFrame
        run, seed, clusters, window, name, `gini` (of cluster sizes, 0 to 1), `largest` (share of tokens in
        the largest cluster), `empty` (clusters without a token), `pure_windows` (share of windows whose
        tokens are all of one cluster).

    Raises
    ------
    InputError
        If the first layer sorts no tokens.
    """
    rows = []
    for record in tqdm(records, desc="clusters", unit="network"):
        options, network = record.run.network.options, record.network()
        for ref in refs:
            layer = trace(network, pair(ref, record.run.scale)[0])[0]
            sizes = cluster_sizes(layer, options["clusters"])
            rows.append(
                {
                    "run": record.run.hash,
                    "seed": record.run.seed,
                    "clusters": options["clusters"],
                    "window": options["window"],
                    "name": ref.name,
                    "gini": gini(sizes),
                    "largest": sizes.max() / sizes.sum(),
                    "empty": np.count_nonzero(sizes == 0),
                    "pure_windows": pure_windows(layer),
                }
            )
    return pd.DataFrame(rows)


def _sorted(layer: LayerTrace) -> SortedWindows:
    if not isinstance(layer.pattern, SortedWindows):
        raise InputError(f"{layer.mechanism} sorts no tokens into clusters and windows")
    return layer.pattern
