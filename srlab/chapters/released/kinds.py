"""Kinds of image that need no data, text, textures and repeated tiles, and the self-similarity of an image.

A network that looks far can gather samples of a repeated tile at several phases of the LR grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import unfold

from srlab.analysis.images import centre
from srlab.data import photographs
from srlab.data.layouts import ImageRef, held_out
from srlab.errors import InputError
from srlab.measure.metrics import luma

#: Side in pixels of generated images; ×2, ×3, ×4 and ×8 fit.
SIDE = 192
#: Sizes in pixels of letters on generated pages.
LETTERS = (8, 9, 10, 12, 14, 16, 20, 24)
#: Number of generated textures.
TEXTURES = 8
#: Sides in pixels of tiles, without a common divisor with any scale: repeats fall on other phases of the LR grid.
PERIODS = (11, 13, 17, 19, 23, 25, 29, 31)

#: Of `self_similarity`: side of a patch, step to the next patch, and the distance from which patches count.
PATCH, STRIDE, NEAR = 7, 6, 12

PASSAGE = """A picture made small has lost its fine lines, yet much of what is missing stands elsewhere in it:
another window of the same house, another letter of the same word, another stone in the same wall. Whoever
looks only at the near pixels must guess. Whoever looks far may find the lost line again, seen a little to the
left or a little higher, and can put the two together. How far to look, and at what price, is the question;
1 2 3 4 5 6 7 8 9 0 are its numbers, and every page of text has the answer written over and over: the same
few signs, set in rows, each one drawn exactly as it was drawn before."""

Pixels = UInt8[Tensor, "3 h w"]


@dataclass(frozen=True, kw_only=True)
class Generated(ImageRef):
    """An image without a file; `draw` returns the same UInt8[np.ndarray, "h w 3"] each time."""

    path: Path = Path("generated image")
    draw: Callable[[], UInt8[np.ndarray, "h w 3"]]

    def read(self) -> Pixels:
        image = torch.from_numpy(self.draw()).permute(2, 0, 1)
        top, left, height, width = self.crop or (0, 0, *image.shape[1:])
        return image[:, top : top + height, left : left + width].contiguous()


def kinds() -> dict[str, tuple[ImageRef, ...]]:
    """Return HR images of three kinds; generated ones are `SIDE` pixels a side.

    "text": two crops of a scanned page, and pages in the font that Pillow embeds; "texture": crops of a brick wall, and
    band-pass noise; "repeated": tiles that repeat exactly.
    """
    crops = {ref.name: ref for ref in held_out().hr}
    return {
        "text": (crops["page_left"], crops["page_right"], *_generated("letters", _page, LETTERS)),
        "texture": (*_bricks(), *_generated("noise", _texture, range(TEXTURES))),
        "repeated": tuple(_generated("period", _repeated, PERIODS)),
    }


def self_similarity(hr: Pixels) -> float:
    """Measure how well far-away patches of an image predict its patches, 0 to 1.

    In the middle `SIDE` × `SIDE` pixels of Y at most, patches of 7×7 less their mean, every 6 pixels, are each
    predicted by the nearest, by squared distance, of all patches less their mean with a corner at least 12 pixels
    away in rows or in columns. The measure is 1 − Σ squared distance / Σ squared patch: 1 for exact repeats and for a
    flat image, about 0.2 for white noise of 192×192 pixels.

    Raises InputError if the image is too small for every patch to have another far away.
    """
    least = PATCH + 2 * NEAR
    if min(hr.shape[1:]) < least:
        raise InputError(f"image of {hr.shape[2]}×{hr.shape[1]} pixels: self-similarity needs at least {least}×{least}")
    y = luma(centre(hr, SIDE).double())
    height, width = (length - PATCH + 1 for length in y.shape)
    patches = unfold(y[None, None], PATCH)[0].T
    patches = patches - patches.mean(1, keepdim=True)
    # The nearest patch b to a is the one with the largest a·b − b²/2: one product finds it.
    ones = torch.ones(len(patches), 1)
    asked = torch.cat([patches.float(), ones], 1).unflatten(0, (height, width))[::STRIDE, ::STRIDE]
    offered = torch.cat([patches.float(), -patches.square().sum(1, keepdim=True).float() / 2], 1)
    residual = variance = 0.0
    for i, queries in enumerate(asked):
        row = STRIDE * i
        scores = (queries @ offered.T).unflatten(1, (height, width))
        columns = range(0, width, STRIDE)
        for score, column in zip(scores, columns, strict=True):
            rows = slice(max(0, row - NEAR + 1), row + NEAR)
            score[rows, max(0, column - NEAR + 1) : column + NEAR] = -torch.inf
        best = patches[scores.flatten(1).argmax(1)]
        own = patches[row * width : (row + 1) * width : STRIDE]
        residual += (own - best).square().sum().item()
        variance += own.square().sum().item()
    return max(0.0, 1 - residual / variance) if variance else 1.0


def _generated(name: str, draw: Callable[[int], UInt8[np.ndarray, "h w 3"]], numbers: Sequence[int]) -> list[Generated]:
    return [Generated(name=f"{name}_{number}", draw=partial(draw, number)) for number in numbers]


def _bricks() -> list[ImageRef]:
    """Return the four corners of the photograph of a brick wall, 512 pixels a side."""
    file = photographs.FOLDER / "brick.png"
    corners = [(top, left) for top in (0, 512 - SIDE) for left in (0, 512 - SIDE)]
    return [ImageRef(f"brick_{n}", file, (*corner, SIDE, SIDE)) for n, corner in enumerate(corners)]


def _page(size: int) -> UInt8[np.ndarray, "h w 3"]:
    """Fill a page with the passage in black letters of `size` pixels."""
    font, space = ImageFont.load_default(size), max(2, size // 3)
    image = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(image)
    words = cycle(PASSAGE.split())
    words = islice(words, size, None)  # pages begin differently
    line, top = "", space
    while top < SIDE:
        word = next(words)
        longer = f"{line} {word}" if line else word
        if not line or font.getlength(longer) <= SIDE - 2 * space:
            line = longer
            continue
        pen.text((space, top), line, "black", font)
        line, top = word, top + size + space
    return np.asarray(image).copy()


def _texture(seed: int) -> UInt8[np.ndarray, "h w 3"]:
    """Draw noise of a few wavelengths and directions between two colours."""
    random = np.random.Generator(np.random.PCG64(seed))
    spectrum = np.fft.rfft2(random.standard_normal((SIDE, SIDE)))
    down, right = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    passed = 0.02 / (0.02 + np.hypot(down, right))  # coarse shading under the bands
    for _ in range(3):
        frequency, angle = 1 / random.uniform(4, 14), random.uniform(0, np.pi)
        for side in (1, -1):  # rfft holds half a plane: a band is seen from the one side or the other
            centre_down, centre_right = side * frequency * np.sin(angle), side * frequency * np.cos(angle)
            passed = passed + 2 * np.exp(-((down - centre_down) ** 2 + (right - centre_right) ** 2) / (2 * 0.012**2))
    return _coloured(np.fft.irfft2(spectrum * passed, (SIDE, SIDE)), random)


def _repeated(period: int) -> UInt8[np.ndarray, "h w 3"]:
    """Repeat a tile, shading with rectangles and a letter on it, in rows and columns."""
    random = np.random.Generator(np.random.PCG64(period))
    spectrum = np.fft.fft2(random.standard_normal((period, period)))
    distance = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(period)], indexing="ij"))
    shading = np.fft.ifft2(spectrum * np.exp(-((distance / 0.12) ** 2))).real
    image = Image.fromarray(_coloured(shading, random))
    pen = ImageDraw.Draw(image)
    for _ in range(3):
        left, top = random.integers(0, period - 3, 2).tolist()
        width, height = random.integers(2, max(3, period // 2), 2).tolist()
        pen.rectangle((left, top, left + width - 1, top + height - 1), _colour(random, 30, 220))
    letter = chr(random.integers(ord("A"), ord("Z") + 1))
    font = ImageFont.load_default(0.7 * period)
    pen.text((period / 2, period / 2), letter, _colour(random, 200, 230), font, "mm")
    places = np.arange(SIDE) % period
    return np.asarray(image)[places[:, None], places]


def _coloured(values: Float[np.ndarray, "h w"], random: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Mix a dark and a light colour, which stand two standard deviations off the mean of the values."""
    share = np.clip(0.5 + (values - values.mean()) / (4 * values.std()), 0, 1)[..., None]
    dark, light = (np.array(_colour(random, *greys)) for greys in ((30, 90), (150, 220)))
    return (dark + (light - dark) * share).round().astype(np.uint8)


def _colour(random: np.random.Generator, darkest: int, lightest: int) -> tuple[int, int, int]:
    """Draw a grey of this range with a muted tint."""
    return tuple((random.integers(darkest, lightest) + random.integers(-25, 26, 3)).tolist())
