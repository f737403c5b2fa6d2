"""Super-resolve images with a model, or with bicubic interpolation, and measure the result."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from jaxtyping import Float, UInt8, UInt16
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.data.layouts import Benchmark, ImageRef
from srlab.data.resize import downscale, modcrop, upscale
from srlab.errors import InputError
from srlab.measure.metrics import image_quality
from srlab.measure.precision import TOLD, Precision, computing_in
from srlab.measure.tiling import OVERLAP, deviation, tiled

Pixels = UInt8[Tensor, "3 _h _w"] | UInt16[Tensor, "3 _h _w"]


def super_resolve(
    model: nn.Module | None,
    image: Pixels,
    scale: int,
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    precision: Precision = "32-true",
) -> Pixels:
    """Enlarge one image.

    Parameters
    ----------
    model : nn.Module or None
        Maps Float[Tensor, "1 3 h w"] of 0 to 1 to Float[Tensor, "1 3 H W"]; put in evaluation mode meanwhile.
        None means bicubic interpolation.
    image : UInt8[Tensor, "3 h w"] or UInt16[Tensor, "3 h w"]
        The LR image, 0 to 255 or 0 to 65535.
    scale : int
    device : str or torch.device
        Where the model is.
    ensemble : bool
        Whether to average the model's outputs for the eight flips and rotations of the image.
    tile : int, optional
        Work on tiles of this side, in LR pixels, with `srlab.measure.tiling.OVERLAP` pixels around each.
    precision : {"32-true", "bf16-mixed"}
        Of the model.

    Returns
    -------
    UInt8[Tensor, "3 H W"] or UInt16[Tensor, "3 H W"]
        The model's output clamped to the range and rounded, on the CPU; H = scale * h, W = scale * w.

    Raises
    ------
    InputError
        If the model's output has another shape, or holds NaN or infinite values.
    """
    if tile is not None:
        return tiled(
            lambda part: super_resolve(model, part, scale, device, ensemble, precision=precision), image, scale, tile
        )
    if model is None:
        return upscale(image, scale)
    largest = torch.iinfo(image.dtype).max
    with torch.inference_mode(), _evaluation_mode(model), computing_in(precision, device):
        lr = image[None].to(device).float() / largest
        output = (_over_flips_and_rotations(model, lr) if ensemble else model(lr)).float()
    _, height, width = image.shape
    expected = (1, 3, scale * height, scale * width)
    if output.shape != expected:
        raise InputError(
            f"model: output of shape {tuple(output.shape)}; {expected} is expected at scale {scale}"
        )
    if not output.isfinite().all():
        raise InputError(
            f"model: output for an image of {width}×{height} pixels holds values that are not finite"
        )
    return (output[0].clamp(0, 1) * largest).round().to("cpu", image.dtype)


def evaluate(
    model: nn.Module | None,
    refs: Sequence[ImageRef],
    scale: int,
    y_rounding: str = "matlab",
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    lr_refs: Sequence[ImageRef] | None = None,
    precision: Precision = "32-true",
) -> pd.DataFrame:
    """Measure a model on HR images: crop each to a multiple of `scale`, shrink it, super-resolve, compare.

    Parameters
    ----------
    model : nn.Module or None
        As in `super_resolve`.
    refs : sequence of ImageRef
        HR images, for instance one of `DataSource.benchmarks`.
    scale : int
    y_rounding : {"matlab", "none"}
        As in `image_quality`.
    device, ensemble, tile
        As in `super_resolve`.
    lr_refs : sequence of ImageRef, optional
        LR images in the order of `refs`, to take instead of shrunk HR images.
    precision
        As in `super_resolve`.

    Returns
    -------
    pandas.DataFrame
        One row an image: name, psnr_y, ssim_y, psnr_rgb, ssim_rgb. `convention` says how they are computed.

    Raises
    ------
    InputError
        If there is no image, one is unreadable or too small, an LR image has not the size of its HR image
        divided by `scale`, or the model's output is wrong.
    """
    if not refs:
        raise InputError("evaluation: no images; at least one is expected")
    rows = []
    for number, ref in enumerate(tqdm(refs, desc=f"evaluating ×{scale}", unit="image", leave=False)):
        hr = _hr(ref, scale)
        lr = lr_refs[number].read() if lr_refs else downscale(hr, scale)
        if (scale * lr.shape[1], scale * lr.shape[2]) != hr.shape[1:]:
            raise InputError(
                f"{lr_refs[number].path}: {lr.shape[2]}×{lr.shape[1]} pixels; "
                f"{hr.shape[2] // scale}×{hr.shape[1] // scale}, HR at 1/{scale}, is expected"
            )
        sr = super_resolve(model, lr, scale, device, ensemble, tile, precision)
        rows.append({"name": ref.name, **_quality(ref, sr, hr, scale, y_rounding)})
    return pd.DataFrame(rows)


def assess(
    model: nn.Module | None,
    benchmark: Benchmark,
    scale: int,
    y_rounding: str = "matlab",
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    lr_files: bool = False,
    precision: Precision = "32-true",
) -> dict[str, object]:
    """Everything that a reader needs to believe a model's numbers on a benchmark.

    Parameters
    ----------
    model, scale, y_rounding, device, ensemble, tile, precision
        As in `evaluate`.
    benchmark : Benchmark
    lr_files : bool
        Take the LR files that came with the benchmark instead of shrinking its HR images.

    Returns
    -------
    dict
        The means psnr_y, ssim_y, psnr_rgb, ssim_rgb (`summarise`); convention; images, the rows of
        `evaluate`. With `tile` also tiling: what it changed on the first image of more than one tile (None
        if there is none), as image, width and height of the part compared, levels and psnr
        (`srlab.measure.tiling.deviation`; None if nothing changed).

    Raises
    ------
    InputError
        As `evaluate` does, and if LR files are asked for and missing.
    """
    lr_refs = benchmark.lr(scale) if lr_files else None
    images = evaluate(model, benchmark.hr, scale, y_rounding, device, ensemble, tile, lr_refs, precision)
    record = {
        **summarise(images).to_dict(),
        "convention": convention(scale, y_rounding, device, ensemble, tile, lr_files, precision),
        "images": images.to_dict("records"),
    }
    if tile is not None:
        record["tiling"] = _tiling(model, benchmark.hr, scale, device, ensemble, tile, precision)
    return record


def summarise(frame: pd.DataFrame) -> pd.Series:
    """Mean of each metric over the images of `evaluate`; `inf` if an image was restored exactly.

    Parameters
    ----------
    frame : pandas.DataFrame

    Returns
    -------
    pandas.Series
        psnr_y, psnr_rgb (dB), ssim_y, ssim_rgb.
    """
    return frame.drop(columns="name").mean()


def convention(
    scale: int,
    y_rounding: str = "matlab",
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    lr_files: bool = False,
    precision: Precision = "32-true",
) -> dict[str, str | int]:
    """State how `evaluate` computes its numbers, to be kept beside them.

    Parameters
    ----------
    scale, y_rounding, device, ensemble, tile, precision
        As in `evaluate`.
    lr_files : bool
        Whether LR images were read from files.

    Returns
    -------
    dict
        Each value in words a table can print; border in pixels.
    """
    shrunk = f"MATLAB-style bicubic ×1/{scale} of HR (cropped to a multiple of {scale}), rounded to 8 bits"
    return {
        "lr": "the data set's own files" if lr_files else shrunk,
        "sr": "clamped and rounded to 8 bits",
        "channel": "Y of BT.601 in studio swing (psnr_y, ssim_y); RGB, SSIM averaged (psnr_rgb, ssim_rgb)",
        "y_rounding": y_rounding,
        "border": scale,
        "ssim": "11×11 Gaussian window, σ 1.5, valid region",
        "tiling": f"tiles of {tile}×{tile} LR pixels with {OVERLAP} around" if tile else "none: whole images",
        "ensemble": "mean of 8 flips and rotations" if ensemble else "none",
        "dtype": f"{TOLD[precision]}, float64 metrics of 8-bit images",
        "device": f"network on {torch.device(device).type}, metrics on the CPU",
    }


def _tiling(
    model: nn.Module | None,
    refs: Sequence[ImageRef],
    scale: int,
    device: str | torch.device,
    ensemble: bool,
    tile: int,
    precision: Precision,
) -> dict[str, str | int | float | None] | None:
    for ref in refs:
        lr = downscale(_hr(ref, scale), scale)
        if max(lr.shape[1:]) > tile:
            (height, width), levels, psnr = deviation(
                lambda part: super_resolve(model, part, scale, device, ensemble, precision=precision), lr, scale, tile
            )
            where = {"image": ref.name, "width": width, "height": height}
            return {**where, "levels": levels, "psnr": psnr if levels else None}
    return None


def _hr(ref: ImageRef, scale: int) -> Pixels:
    """An HR image, cropped to a multiple of the scale."""
    image = ref.read()
    try:
        return modcrop(image, scale)
    except InputError as error:
        raise InputError(f"{ref.path}: {error}") from None


def _quality(ref: ImageRef, sr: Pixels, hr: Pixels, scale: int, y_rounding: str) -> dict[str, float]:
    try:
        return image_quality(sr, hr, scale, y_rounding)
    except InputError as error:
        raise InputError(f"{ref.path}: {error}") from None


def _over_flips_and_rotations(model: nn.Module, lr: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 _H _W"]:
    """Mean of the outputs for all eight, each turned back (self-ensemble: EDSR, arXiv 1707.02921, 3.4)."""
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
