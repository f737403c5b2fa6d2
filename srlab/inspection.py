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
from skimage.feature import corner_peaks, corner_shi_tomasi
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.attention import Attention, Pattern, SortedWindows
from srlab.data.resize import downscale, modcrop
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.evaluation import super_resolve
from srlab.metrics import image_quality, luma
from srlab.runs import Record

#: What `windows` calls the tokens that a query does not see, and those of the three windows that it sees.
UNSEEN, PREVIOUS, OWN, NEXT = range(4)

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
    """

    name: str
    mechanism: str
    pattern: Pattern
    height: int
    width: int

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
            If the pixel is not in the map, or the layer has no attention weights.
        """
        if not hasattr(self.pattern, "query"):
            raise InputError(f"{self.mechanism} has no attention weights to show: it is no softmax over keys")
        return torch.tensor([self.index(row, col)], device=self.pattern.query.device)


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
    weights : Float[np.ndarray, "h w"]
        Attention weight of each key; they sum to one.
    seen : Int[np.ndarray, "h w"]
        How many times the query sees each key; 0 is never.
    clusters, windows : Int[np.ndarray, "h w"], optional
        As `clusters` and `windows` give them; None where the mechanism sorts no tokens.
    """

    layer: str
    row: int
    col: int
    picture: UInt8[np.ndarray, "h w 3"]
    weights: Float[np.ndarray, "h w"]
    seen: Int[np.ndarray, "h w"]
    clusters: Int[np.ndarray, "h w"] | None
    windows: Int[np.ndarray, "h w"] | None


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
            layers.append(LayerTrace(name, type(layer).__name__, pattern, *inputs[0].shape[2:]))

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
    """Attention weights of the query at a pixel over all keys, their mean over heads; they sum to one.

    Raises
    ------
    InputError
        If the pixel is not in the map.
    """
    query = layer.query(row, col)
    with torch.inference_mode():
        return _to_pixels(layer, layer.pattern.weights(query)[0, :, 0].mean(0))


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


def view(layer: LayerTrace, lr: UInt8[Tensor, "3 h w"], row: int, col: int) -> View:
    """All that there is to draw of the query at a pixel.

    Raises
    ------
    InputError
        If the pixel is not in the map.
    """
    sorts = isinstance(layer.pattern, SortedWindows)
    return View(
        layer=f"{layer.mechanism}, {layer.name}",
        row=row,
        col=col,
        picture=picture(lr),
        weights=attention_row(layer, row, col),
        seen=seen(layer, row, col),
        clusters=clusters(layer) if sorts else None,
        windows=windows(layer, row, col) if sorts else None,
    )


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


# --- clusters and windows of layers that sort their tokens (the first round, where there are several) -----


def clusters(layer: LayerTrace) -> Int[np.ndarray, "h w"]:
    """The cluster of each token.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    codes = _sorted(layer).codes[0, 0]
    return codes.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def cluster_sizes(layer: LayerTrace, count: int) -> Int[np.ndarray, " k"]:
    """Tokens in each of the `count` clusters, empty ones included.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    return np.bincount(clusters(layer).ravel(), minlength=count)


def windows(layer: LayerTrace, row: int, col: int) -> Int[np.ndarray, "h w"]:
    """Which of the query's windows each token is in: UNSEEN, PREVIOUS, OWN or NEXT.

    With fewer than three windows a token can be in several of these; then OWN goes before PREVIOUS, and that
    before NEXT.

    Raises
    ------
    InputError
        If the layer sorts no tokens, or the pixel is not in the map.
    """
    pattern, index = _sorted(layer), layer.index(row, col)
    slots = pattern.slots[0, 0].unflatten(0, (-1, pattern.window)).cpu().numpy()
    own = pattern.slot_of[0, 0, index].item() // pattern.window
    labels = np.full(layer.height * layer.width, UNSEEN)
    for label, window in ((NEXT, own + 1), (PREVIOUS, own - 1), (OWN, own)):
        labels[slots[window % len(slots)]] = label
    return labels.reshape(layer.height, layer.width)


def gini(sizes: Int[np.ndarray, " k"]) -> float:
    """Gini coefficient of cluster sizes: 0 if all are alike, 1 − 1/k if one cluster holds everything."""
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
