"""Models side by side on one image: what each makes of a crop, as papers show it, with PSNR under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from srlab.data.resize import downscale, modcrop
from srlab.errors import InputError
from srlab.measure.evaluation import convention, super_resolve
from srlab.measure.metrics import luma, psnr
from srlab.measure.precision import TOLD, Precision
from srlab.measure.protocol import Protocol
from srlab.models.registry import entry
from srlab.study.study import Study
from srlab.weights.checkpoints import open_network

RGB = UInt8[Tensor, "3 _h _w"]


class Contender(NamedTuple):
    """A model of a comparison: its name, the network (None: bicubic) and where its weights come from."""

    name: str
    network: nn.Module | None
    source: str


class Crop(NamedTuple):
    """A rectangle of pixels: a part of an HR image, or a place on the sheet."""

    left: int
    top: int
    width: int
    height: int

    def of(self, image: RGB) -> RGB:
        """The part of an image."""
        return image[:, self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Comparison:
    """What models make of an HR image that was shrunk.

    Attributes
    ----------
    name : str
        The image's.
    hr : UInt8[Tensor, "3 H W"]
    sr : dict of str to UInt8[Tensor, "3 H W"]
        By model.
    scale : int
    crop : Crop
    told : str
        How LR and SR were made, whose weights these are and why this crop, in sentences.
    """

    name: str
    hr: RGB
    sr: dict[str, RGB]
    scale: int
    crop: Crop
    told: str

    def psnr(self, model: str) -> tuple[float, float]:
        """Y-PSNR (dB) of a model on the crop, and on the image without a border of `scale` pixels.

        Y is of BT.601 and rounded, as in `srlab.measure.metrics.image_quality`.
        """
        hr, sr = self.hr, self.sr[model]
        return (
            psnr(_y(self.crop.of(sr)), _y(self.crop.of(hr)), border=0),
            psnr(_y(sr), _y(hr), border=self.scale),
        )


def open_contenders(models: Sequence[tuple[str, Path | None]], scale: int, profile: str = "quick") -> list[Contender]:
    """The models of a comparison by name.

    Parameters
    ----------
    models : sequence of (str, Path or None)
        "bicubic" or a name of the registry, and its weights; without a file, those that the study trained
        from its first seed or, until it has, the reference did.
    scale : int
    profile : str
        Of the study.

    Raises
    ------
    InputError
        If a model is named twice, its weights do not fit, or the study did not train it at this scale.
    """
    contenders = []
    for model, file in models:
        if model in [contender.name for contender in contenders]:
            raise InputError(f"models: '{model}' is named twice; once is expected")
        if model == "bicubic":
            contenders.append(Contender(model, None, ""))
        elif file is not None:
            contenders.append(Contender(model, open_network(model, file, scale), file.name))
        else:
            contenders.append(_trained(model, scale, profile))
    return contenders


def _trained(model: str, scale: int, profile: str) -> Contender:
    entry(model)
    study = Study(profile)
    if study.profile.scale != scale:
        raise InputError(
            f"model '{model}': no weights ×{scale}, for profile '{profile}' trains ×{study.profile.scale}; "
            f"name a file with --weights or another --profile"
        )
    run = study.training(model)
    if (kept := study.weights(run)) is None:
        raise InputError(
            f"model '{model}': not trained yet; `srlab train --model {model} --profile {profile}` does, "
            f"or name a file with --weights"
        )
    told = f"profile {profile}, {run.budget.steps} steps, {kept.source}"
    return Contender(model, kept.network(), told)


def compare(
    name: str,
    image: RGB,
    contenders: Sequence[Contender],
    scale: int,
    crop: Crop | None = None,
    device: str | torch.device = "cpu",
    tile: int | None = None,
    precision: Precision = "32-true",
) -> Comparison:
    """Shrink an HR image and restore it with each model.

    Parameters
    ----------
    name : str
        What the sheet calls the image.
    image : UInt8[Tensor, "3 H W"]
        Cropped to a multiple of `scale` first.
    contenders : sequence of Contender
    scale : int
    crop : Crop, optional
        What to show; by default `most_disputed`.
    device, tile, precision
        As in `super_resolve`.

    Raises
    ------
    InputError
        If the image is too small, the crop is not inside it, or a model's output is wrong.
    """
    hr = modcrop(image, scale)
    _, height, width = hr.shape
    if min(height, width) <= 2 * scale:
        raise InputError(f"{name}: {width}×{height} pixels; more than {2 * scale} a side are expected")
    if crop is not None:
        _check_inside(crop, width, height)
    lr, sr = downscale(hr, scale), {}
    for contender in contenders:
        network = contender.network.to(device) if contender.network else None
        sr[contender.name] = super_resolve(network, lr, scale, device, tile=tile, precision=precision)

    why = "as asked for"
    if crop is None and len(sr) > 1:
        crop, why = most_disputed([*sr.values()]), "where the models differ most (standard deviation of Y)"
    elif crop is None:
        crop, why = most_disputed([hr, *sr.values()]), "where SR and HR differ most"
    how, sources = convention(scale, Protocol(tile=tile)), {}
    for each in contenders:
        if each.network:
            sources.setdefault(each.source, []).append(each.name)
    told = [
        f"Y-PSNR: Y of BT.601, rounded to whole numbers; of the image a border of {scale} px is left out",
        f"LR: {how['lr']}",
        f"SR: {how['sr']}"
        + (f", {how['tiling']}" if tile else "")
        + (f", by a {TOLD[precision]}" if precision != "32-true" else ""),
        f"Crop: {crop.width}×{crop.height} HR px at ({crop.left}, {crop.top}), {why}",
        *(f"Weights of {', '.join(names)}: {source}" for source, names in sources.items()),
    ]
    return Comparison(name, hr, sr, scale, crop, ". ".join(told) + ".")


def most_disputed(images: Sequence[RGB]) -> Crop:
    """The square in which images differ most: where the mean standard deviation of Y over them is highest.

    Parameters
    ----------
    images : sequence of UInt8[Tensor, "3 h w"]
        Two or more, of one size.

    Returns
    -------
    Crop
        Its side is an eighth of the shorter side of the images, at least 48 and at most 128 pixels.
    """
    spread = torch.stack([luma(image.double()) for image in images]).std(0)
    side = min(max(48, min(spread.shape) // 8), 128, *spread.shape)
    sums = torch.zeros(spread.shape[0] + 1, spread.shape[1] + 1, dtype=torch.float64)
    sums[1:, 1:] = spread.cumsum(0).cumsum(1)
    boxes = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = divmod(int(boxes.argmax()), boxes.shape[1])
    return Crop(left, top, side, side)


def parse_crop(text: str) -> Crop:
    """`"LEFT,TOP,WIDTH,HEIGHT"` as a crop.

    Raises
    ------
    InputError
        If these are not four whole numbers.
    """
    try:
        return Crop(*map(int, text.split(",")))
    except (ValueError, TypeError):
        raise InputError(f"crop '{text}': LEFT,TOP,WIDTH,HEIGHT in HR pixels are expected") from None


def _check_inside(crop: Crop, width: int, height: int) -> None:
    right, bottom = crop.left + crop.width, crop.top + crop.height
    if not (0 <= crop.left < right <= width and 0 <= crop.top < bottom <= height):
        raise InputError(
            f"crop {','.join(map(str, crop))}: LEFT,TOP,WIDTH,HEIGHT inside {width}×{height} HR pixels are expected"
        )


def _y(image: RGB) -> Tensor:
    return luma(image.double()).round()
