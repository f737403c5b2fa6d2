"""Super-resolve images with a model, or with bicubic interpolation, and measure the result."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.data.resize import downscale, modcrop, upscale
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.metrics import image_quality


def super_resolve(
    model: nn.Module | None, image: UInt8[Tensor, "3 h w"], scale: int, device: str | torch.device = "cpu"
) -> UInt8[Tensor, "3 H W"]:
    """Enlarge one image.

    Parameters
    ----------
    model : nn.Module or None
        Maps Float[Tensor, "1 3 h w"] of 0 to 1 to Float[Tensor, "1 3 H W"]; put in evaluation mode meanwhile.
        None means bicubic interpolation.
    image : UInt8[Tensor, "3 h w"]
        The LR image, 0 to 255.
    scale : int
    device : str or torch.device
        Where the model is.

    Returns
    -------
    UInt8[Tensor, "3 H W"]
        The model's output clamped to the range and rounded, on the CPU; H = scale * h, W = scale * w.

    Raises
    ------
    InputError
        If the model's output has another shape, or holds NaN or infinite values.
    """
    if model is None:
        return upscale(image, scale)
    with torch.inference_mode(), _evaluation_mode(model):
        output = model(image[None].to(device).float() / 255).float()
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
    return (output[0].clamp(0, 1) * 255).round().to("cpu", torch.uint8)


def evaluate(
    model: nn.Module | None,
    refs: Sequence[ImageRef],
    scale: int,
    y_rounding: str = "matlab",
    device: str | torch.device = "cpu",
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
    device : str or torch.device
        Where the model is.

    Returns
    -------
    pandas.DataFrame
        One row an image: name, psnr_y, ssim_y, psnr_rgb, ssim_rgb. `convention` says how they are computed.

    Raises
    ------
    InputError
        If an image is unreadable or too small, or the model's output is wrong.
    """
    rows = []
    for ref in tqdm(refs, desc=f"evaluating ×{scale}", leave=False):
        hr = modcrop(ref.read(), scale)
        sr = super_resolve(model, downscale(hr, scale), scale, device)
        rows.append({"name": ref.name, **image_quality(sr, hr, scale, y_rounding)})
    return pd.DataFrame(rows)


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


def convention(scale: int, y_rounding: str = "matlab") -> dict[str, str | int]:
    """State how `evaluate` computes its numbers, to be kept beside them.

    Parameters
    ----------
    scale : int
    y_rounding : {"matlab", "none"}

    Returns
    -------
    dict
        Each value in words a table can print; border in pixels.
    """
    return {
        "lr": f"MATLAB-style bicubic ×1/{scale} of HR (cropped to a multiple of {scale}), rounded to 8 bits",
        "sr": "clamped and rounded to 8 bits",
        "channel": "Y of BT.601 in studio swing (psnr_y, ssim_y); RGB, SSIM averaged (psnr_rgb, ssim_rgb)",
        "y_rounding": y_rounding,
        "border": scale,
        "ssim": "11×11 Gaussian window, σ 1.5, valid region",
        "dtype": "float64 metrics of 8-bit images",
        "device": "metrics on the CPU",
    }


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
