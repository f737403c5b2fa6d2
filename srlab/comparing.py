"""Models side by side on one image: what each makes of a crop, as papers show it, with PSNR under each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor, nn

from srlab.checkpoints import open_network
from srlab.data.resize import downscale, modcrop
from srlab.errors import InputError
from srlab.evaluation import convention, super_resolve
from srlab.files import replacing
from srlab.metrics import luma, psnr
from srlab.models.registry import entry
from srlab.plots import DOUBLE, HOUSE, INK
from srlab.runs import Study

RGB = UInt8[Tensor, "3 _h _w"]

#: What is written into a file of each kind besides the sheet: no date, so that equal sheets are equal bytes.
METADATA = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

FRAME = "#D55E00"
FRAME_WIDTH = 1.2  # points
LEAST_DPI = 300
# In inches:
HIGHEST = 4.8  # of the whole image: half a page and some more
GAP = 0.06  # between panels
LINE = 0.115  # of a caption
CAPTION = 0.42  # three lines and some room
NOTE_LINE = 0.1
NOTE_LETTERS = 175  # of a line as wide as the sheet


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

        Y is of BT.601 and rounded, as in `srlab.metrics.image_quality`.
        """
        hr, sr = self.hr, self.sr[model]
        return (
            psnr(_y(self.crop.of(sr)), _y(self.crop.of(hr)), border=0),
            psnr(_y(sr), _y(hr), border=self.scale),
        )


def open_contenders(
    models: Sequence[tuple[str, Path | None]], scale: int, profile: str = "quick"
) -> list[Contender]:
    """The models of a comparison by name.

    Parameters
    ----------
    models : sequence of (str, Path or None)
        "bicubic" or a name of the registry, and its weights; without a file, those that the study trained
        from its first seed.
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
    record = study.record(run)
    if not record.finished:
        raise InputError(
            f"model '{model}': not trained yet; `srlab train --model {model} --profile {profile}` does, "
            f"or name a file with --weights"
        )
    return Contender(model, record.network(), f"profile {profile}, {run.budget.steps} steps")


def compare(
    name: str,
    image: RGB,
    contenders: Sequence[Contender],
    scale: int,
    crop: Crop | None = None,
    device: str | torch.device = "cpu",
    tile: int | None = None,
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
    device, tile
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
        sr[contender.name] = super_resolve(network, lr, scale, device, tile=tile)

    why = "as asked for"
    if crop is None and len(sr) > 1:
        crop, why = most_disputed([*sr.values()]), "where the models differ most (standard deviation of Y)"
    elif crop is None:
        crop, why = most_disputed([hr, *sr.values()]), "where SR and HR differ most"
    how, sources = convention(scale, tile=tile), {}
    for each in contenders:
        if each.network:
            sources.setdefault(each.source, []).append(each.name)
    told = [
        f"Y-PSNR: Y of BT.601, rounded to whole numbers; of the image a border of {scale} px is left out",
        f"LR: {how['lr']}",
        f"SR: {how['sr']}" + (f", {how['tiling']}" if tile else ""),
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
            f"crop {','.join(map(str, crop))}: LEFT,TOP,WIDTH,HEIGHT inside "
            f"{width}×{height} HR pixels are expected"
        )


def _y(image: RGB) -> Tensor:
    return luma(image.double()).round()


@rc_context(HOUSE)
def sheet(comparison: Comparison) -> Figure:
    """Draw the image with the crop's frame, and beside it the crop of HR and of each model.

    Each pixel of a crop is a square of the same whole number of the sheet's pixels. Under each model is its
    Y-PSNR on the crop and on the whole image, the highest in bold; at the foot, how all was made.

    Returns
    -------
    Figure
        Seven inches wide; `save` keeps its resolution.
    """
    crop, hr = comparison.crop, comparison.hr
    _, height, width = hr.shape
    aspect = min(max(width / height, 0.5), 2.0)  # of the room for the whole image
    columns, rows, zoom, dpi = _arrange(1 + len(comparison.sr), crop, aspect)
    across, down = zoom * crop.width, zoom * crop.height
    gap, under = round(GAP * dpi), round(CAPTION * dpi)
    tall = rows * down + (rows - 1) * under
    wide = round(aspect * tall)
    foot = textwrap.wrap(comparison.told, NOTE_LETTERS)
    page = _Page(wide + columns * (gap + across), tall + under + round(NOTE_LINE * len(foot) * dpi), dpi)

    shown = min(wide / width, tall / height)
    whole = Image.fromarray(_array(hr)).resize((round(shown * width), round(shown * height)), Image.LANCZOS)
    place = (wide - whole.width) // 2, 0, whole.width, whole.height
    _frame(page.image(np.asarray(whole), Crop(*place), Crop(0, 0, width, height)), crop)
    page.caption(wide // 2, whole.height, [comparison.name, f"{width}×{height} px, ×{comparison.scale}"])

    decibels = {model: [f"{value:.2f}" for value in comparison.psnr(model)] for model in comparison.sr}
    best = [max(values, key=float) for values in zip(*decibels.values(), strict=True)]
    for number, (name, image) in enumerate({"HR": hr, **comparison.sr}.items()):
        row, column = divmod(number, columns)
        left, top = wide + gap + column * (across + gap), row * (down + under)
        axes = page.image(_array(crop.of(image)), Crop(left, top, across, down), crop)
        if name == "HR":
            _frame(axes, crop)
            lines, bold = ["HR", f"crop {crop.width}×{crop.height} px"], []
        else:
            on_crop, on_image = (value.replace("inf", "∞") for value in decibels[name])
            lines = [name, f"crop {on_crop} dB", f"image {on_image} dB"]
            bold = [1 + i for i in (0, 1) if len(decibels) > 1 and decibels[name][i] == best[i]]
        page.caption(left + across // 2, top + down, lines, bold)
    page.note(tall + under, foot)
    return page.figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, at its own resolution; equal figures are equal bytes.

    Raises
    ------
    InputError
        If the suffix is another, or the file cannot be written.
    """
    check_suffix(path)
    kind = path.suffix.lower()
    with rc_context(HOUSE), replacing(path) as beside:
        figure.savefig(beside, format=kind[1:], dpi="figure", metadata=METADATA[kind])


def check_suffix(path: Path) -> None:
    """Raise an InputError unless a sheet can be written under that name."""
    if path.suffix.lower() not in METADATA:
        raise InputError(f"{path}: a suffix of {', '.join(METADATA)} is expected, not '{path.suffix}'")


def _arrange(panels: int, crop: Crop, aspect: float) -> tuple[int, int, int, float]:
    """Columns and rows of the panels, the zoom of a crop's pixels, and the sheet's pixels per inch.

    Of one to three rows, those in which crops are largest beside an image that is as high as the rows,
    without the captions of the last, and `aspect` times as wide; but more than one row only if the image is
    not higher than `HIGHEST`.
    """
    sizes = {}
    for rows in range(1, min(panels, 3) + 1):
        columns = ceil(panels / rows)
        free = DOUBLE - (columns + 2) * GAP - aspect * (rows - 1) * CAPTION
        inches = free / (columns * crop.width + aspect * rows * crop.height)  # for a pixel of the crop
        if rows == 1 or rows * crop.height * inches + (rows - 1) * CAPTION <= HIGHEST:
            sizes[columns, rows] = inches
    (columns, rows), inches = max(sizes.items(), key=lambda item: item[1])
    zoom = ceil(LEAST_DPI * inches)
    return columns, rows, zoom, zoom / inches


class _Page:
    """A figure on which everything is placed by whole pixels, counted from the top left inside a margin."""

    def __init__(self, width: int, height: int, dpi: float):
        self.margin = round(GAP * dpi)
        self.width, self.height = width + 2 * self.margin, height + 2 * self.margin
        self.figure = Figure((self.width / dpi, self.height / dpi), dpi=dpi)

    def _at(self, left: int, top: int) -> tuple[float, float]:
        """A place as matplotlib has it: fractions of the figure from the bottom left."""
        return (self.margin + left) / self.width, 1 - (self.margin + top) / self.height

    def image(self, pixels: UInt8[np.ndarray, "_h _w 3"], place: Crop, part: Crop) -> Axes:
        """Pixels at a place of the page; `part` is what of the HR image they show."""
        corner = self._at(place.left, place.top + place.height)
        axes = self.figure.add_axes((*corner, place.width / self.width, place.height / self.height))
        extent = part.left, part.left + part.width, part.top + part.height, part.top
        axes.imshow(pixels, interpolation="nearest", aspect="auto", extent=extent)
        axes.set_axis_off()
        return axes

    def caption(self, centre: int, top: int, lines: Sequence[str], bold: Sequence[int] = ()) -> None:
        """Lines under a panel; those numbered in `bold` are bold."""
        for number, line in enumerate(lines):
            place = self._at(centre, top + round((number + 0.3) * LINE * self.figure.dpi))
            weight = "bold" if number in bold else "normal"
            self.figure.text(*place, line, ha="center", va="top", fontsize=7, color=INK, weight=weight)

    def note(self, top: int, lines: Sequence[str]) -> None:
        """Lines over the whole width."""
        text = "\n".join(lines)
        self.figure.text(*self._at(0, top), text, va="top", fontsize=5.5, color=INK, linespacing=1.25)


def _frame(axes: Axes, crop: Crop) -> None:
    """Mark a crop in what axes show of an HR image, by a line around its pixels and not on them."""
    half = FRAME_WIDTH / 2 / 72 * axes.figure.dpi + 1  # of the line, in the sheet's pixels, one to spare
    beyond = half * np.ptp(axes.get_xlim()) / axes.bbox.width
    corner = crop.left - beyond, crop.top - beyond
    line = {"fill": False, "edgecolor": FRAME, "linewidth": FRAME_WIDTH, "clip_on": False}
    axes.add_patch(Rectangle(corner, crop.width + 2 * beyond, crop.height + 2 * beyond, **line))


def _array(image: RGB) -> UInt8[np.ndarray, "_h _w 3"]:
    return image.permute(1, 2, 0).numpy()
