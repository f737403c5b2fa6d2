"""The sheet: networks side by side on one picture, as papers print them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from srlab.errors import InputError
from srlab.files import replacing
from srlab.pictures.comparing import RGB, Comparison, Crop
from srlab.plots.style import DOUBLE, HOUSE, INK

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
