"""Super-resolve images with a model, or with bicubic interpolation, and measure the result."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pandas as pd
import torch
from jaxtyping import Float, UInt8, UInt16
from torch import Tensor, nn
from torch.nn.functional import pad
from tqdm.auto import tqdm

from srlab.data.layouts import Benchmark, ImageRef
from srlab.data.resize import modcrop, upscale
from srlab.data.shrinking import SHRINKING
from srlab.errors import InputError
from srlab.measure.metrics import image_quality
from srlab.measure.precision import DESCRIPTIONS, Precision, computing_in
from srlab.measure.protocol import FILES, Protocol
from srlab.measure.tiling import OVERLAP, deviation, tiled

#: The protocol of most papers.
PAPERS = Protocol()

Pixels = UInt8[Tensor, "3 _h _w"] | UInt16[Tensor, "3 _h _w"]


def super_resolve(
    model: nn.Module | None,
    image: Pixels,
    scale: int,
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    precision: Precision = "32-true",
    overlap: int = OVERLAP,
    zeros: int | None = None,
) -> Pixels:
    """Enlarge one image of 8 or 16 bits; the result has as many, clamped and rounded, and is on the CPU.

    The model maps Float[Tensor, "1 3 h w"] of 0 to 1 to Float[Tensor, "1 3 H W"], in evaluation mode, on `device`; None
    is bicubic interpolation. Other options: see :class:`~srlab.measure.protocol.Protocol`. An output of another shape,
    or with NaN or infinite values, is an InputError.
    """
    if tile is not None:
        how = {"device": device, "ensemble": ensemble, "precision": precision, "zeros": zeros}
        return tiled(lambda part: super_resolve(model, part, scale, **how), image, scale, tile, overlap)
    if model is None:
        return upscale(image, scale)
    largest, (_, height, width) = torch.iinfo(image.dtype).max, image.shape
    with torch.inference_mode(), _evaluation_mode(model), computing_in(precision, device):
        lr = image[None].to(device).float() / largest
        if zeros:
            lr = pad(lr, (0, -width % zeros, 0, -height % zeros))
        output = (_self_ensemble(model, lr) if ensemble else model(lr)).float()
        if zeros:
            output = output[..., : scale * height, : scale * width]
    expected = (1, 3, scale * height, scale * width)
    if output.shape != expected:
        raise InputError(f"model: output of shape {tuple(output.shape)}; {expected} is expected at scale {scale}")
    if not output.isfinite().all():
        raise InputError(f"model: output for an image of {width}×{height} pixels holds values that are not finite")
    return (output[0].clamp(0, 1) * largest).round().to("cpu", image.dtype)


def evaluate(
    model: nn.Module | None,
    refs: Sequence[ImageRef],
    scale: int,
    protocol: Protocol = PAPERS,
    device: str | torch.device = "cpu",
    lr_refs: Sequence[ImageRef] | None = None,
) -> pd.DataFrame:
    """Measure a model on HR images: crop each to a multiple of `scale`, shrink it, super-resolve, compare.

    `lr_refs` are LR images in the order of `refs`, instead of shrunk HR images. Return a row an image: name, psnr_y,
    psnr_rgb (dB), ssim_y, ssim_rgb; computed as `convention` states. InputError if there is no image, one is unreadable
    or too small, an LR image has not the size of its HR image divided by `scale`, or the model's output is wrong.
    """
    return pd.DataFrame(
        {"name": ref.name, **quality(ref, sr, hr, scale, protocol)}
        for ref, sr, hr in restore(model, refs, scale, protocol, device, lr_refs)
    )


def restore(
    model: nn.Module | None,
    refs: Sequence[ImageRef],
    scale: int,
    protocol: Protocol = PAPERS,
    device: str | torch.device = "cpu",
    lr_refs: Sequence[ImageRef] | None = None,
) -> Iterator[tuple[ImageRef, Pixels, Pixels]]:
    """Yield each image with its SR and HR in 8 bits; arguments and errors as in `evaluate`."""
    if not refs:
        raise InputError("evaluation: no images; at least one is expected")
    for number, ref in enumerate(tqdm(refs, desc=f"evaluating ×{scale}", unit="image", leave=False)):
        hr = _hr(ref, scale)
        lr = lr_refs[number].read() if lr_refs else SHRINKING[protocol.lr].shrink(hr, scale)
        if (scale * lr.shape[1], scale * lr.shape[2]) != hr.shape[1:]:
            raise InputError(
                f"{lr_refs[number].path}: {lr.shape[2]}×{lr.shape[1]} pixels; "
                f"{hr.shape[2] // scale}×{hr.shape[1] // scale}, HR at 1/{scale}, is expected"
            )
        sr = _enlarge(model, lr, scale, protocol, device, protocol.tile)
        yield ref, sr if sr.dtype == torch.uint8 else (sr.double() / 257).round().to(torch.uint8), hr


def assess(
    model: nn.Module | None,
    benchmark: Benchmark,
    scale: int,
    protocol: Protocol = PAPERS,
    device: str | torch.device = "cpu",
    first: int | None = None,
) -> dict[str, object]:
    """Evaluate a model on a benchmark, or on the `first` of its images by name, and record how; errors of `evaluate`.

    Return the means of `summarise`; convention; images, the rows of `evaluate`; with tiles also tiling: what they
    changed (`srlab.measure.tiling.deviation`) on the first image of more than one tile, or None.
    """
    lr_refs = benchmark.lr(scale) if protocol.lr == FILES else None
    images = evaluate(model, benchmark.hr[:first], scale, protocol, device, lr_refs)
    how = convention(scale, protocol, device)
    record = {**summarise(images).to_dict(), "convention": how, "images": images.to_dict("records")}
    if protocol.tile is not None:
        record["tiling"] = _tiling(model, benchmark.hr[:first], scale, protocol, device)
    return record


def summarise(frame: pd.DataFrame) -> pd.Series:
    """Average each metric of `evaluate` over the images; `inf` if an image was restored exactly."""
    return frame.drop(columns="name").mean()


def convention(scale: int, protocol: Protocol = PAPERS, device: str | torch.device = "cpu") -> dict[str, str | int]:
    """State how `evaluate` computes its numbers, in words that a table can print; border in pixels."""
    lr = "the data set's own files" if protocol.lr == FILES else SHRINKING[protocol.lr].description(scale)
    if protocol.zeros:
        lr += f"; filled with zeros to multiples of {protocol.zeros} px before the network"
    tiling = "none: whole images"
    if protocol.tile:
        tiling = f"tiles of {protocol.tile}×{protocol.tile} LR pixels with {protocol.overlap} around"
    return {
        "lr": lr,
        "sr": "clamped and rounded to 8 bits",
        "channel": "Y of BT.601 in studio swing (psnr_y, ssim_y); RGB, SSIM averaged (psnr_rgb, ssim_rgb)",
        "y_rounding": protocol.y_rounding,
        "border": protocol.left_out(scale),
        "ssim": "11×11 Gaussian window, σ 1.5, valid region",
        "tiling": tiling,
        "ensemble": "mean of 8 flips and rotations" if protocol.ensemble else "none",
        "dtype": f"{DESCRIPTIONS[protocol.precision]}, float64 metrics of 8-bit images",
        "device": f"network on {torch.device(device).type}, metrics on the CPU",
    }


def quality(ref: ImageRef, sr: Pixels, hr: Pixels, scale: int, protocol: Protocol) -> dict[str, float]:
    with _naming(ref):
        return image_quality(sr, hr, protocol.left_out(scale), protocol.y_rounding)


def _enlarge(
    model: nn.Module | None, lr: Pixels, scale: int, protocol: Protocol, device: str | torch.device, tile: int | None
) -> Pixels:
    how = (protocol.ensemble, tile, protocol.precision, protocol.overlap, protocol.zeros)
    return super_resolve(model, lr, scale, device, *how)


def _tiling(
    model: nn.Module | None, refs: Sequence[ImageRef], scale: int, protocol: Protocol, device: str | torch.device
) -> dict[str, str | int | float | None] | None:
    shrink = SHRINKING["matlab" if protocol.lr == FILES else protocol.lr].shrink
    for ref in refs:
        lr = shrink(_hr(ref, scale), scale)
        if max(lr.shape[1:]) > protocol.tile:
            whole = partial(_enlarge, model, scale=scale, protocol=protocol, device=device, tile=None)
            (height, width), levels, psnr = deviation(whole, lr, scale, protocol.tile, protocol.overlap)
            where = {"image": ref.name, "width": width, "height": height}
            return {**where, "levels": levels, "psnr": psnr if levels else None}
    return None


def _hr(ref: ImageRef, scale: int) -> Pixels:
    image = ref.read()
    with _naming(ref):
        return modcrop(image, scale)


@contextmanager
def _naming(ref: ImageRef) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{ref.path}: {error}") from None


def _self_ensemble(model: nn.Module, lr: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 _H _W"]:
    """Average the outputs for all eight flips and rotations, each turned back (EDSR, arXiv 1707.02921, 3.4)."""
    outputs = []  # of float32: a mean of bfloat16 would round once more
    for quarters in range(4):
        turned = lr.rot90(quarters, (-2, -1))
        outputs += [
            model(turned).float().rot90(-quarters, (-2, -1)),
            model(turned.flip(-1)).float().flip(-1).rot90(-quarters, (-2, -1)),
        ]
    return torch.stack(outputs).mean(0)


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, and every module back in its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
