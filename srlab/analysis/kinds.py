"""Across kinds of image: where does attention to far places help?

Photographs of two kinds, and generated images that no network has seen: pages of text, textures, and tiles
that repeat exactly, where a network that looks far can gather samples of one tile at several phases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import unfold
from tqdm.auto import tqdm

from srlab.analysis.images import centre
from srlab.data import photographs
from srlab.data.layouts import ImageRef, held_out
from srlab.data.sources import DataSource
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.measure.metrics import luma
from srlab.study.records import Record

#: Side in pixels of generated images; ×2, ×3, ×4 and ×8 fit.
SIDE = 192
#: Sizes in pixels of the letters of generated pages.
LETTERS = (8, 9, 10, 12, 14, 16, 20, 24)
#: How many textures are generated.
TEXTURES = 8
#: Sides in pixels of tiles. No scale has a divisor in common with them, so that repeats of a tile fall on
#: other phases of the LR grid.
PERIODS = (11, 13, 17, 19, 23, 25, 29, 31)

#: Crops of the photographs that stand for a benchmark where it is missing; see `srlab.data.photographs`.
INSTEAD = {
    "Urban100": ("camera_skyline", "rocket_tower"),
    "B100": ("camera_tripod", "coffee_cup", "coffee_spoon"),
}

#: Side of a patch, step from one to the next, and how near a patch is too near to count: `self_similarity`.
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
    """An image that is drawn when it is read, and so has no file; messages call it by `path` all the same.

    Attributes
    ----------
    draw : callable
        Gives back UInt8[np.ndarray, "h w 3"], the same each time.
    """

    path: Path = Path("generated image")
    draw: Callable[[], UInt8[np.ndarray, "h w 3"]]

    def read(self) -> Pixels:
        """Draw it: RGB, 0 to 255."""
        image = torch.from_numpy(self.draw()).permute(2, 0, 1)
        top, left, height, width = self.crop or (0, 0, *image.shape[1:])
        return image[:, top : top + height, left : left + width].contiguous()


def kinds(data: DataSource) -> dict[str, tuple[ImageRef, ...]]:
    """HR images of each kind, none of which any network of the study was trained on.

    Parameters
    ----------
    data : DataSource
        Its Urban100 and B100, as far as it has them, are what is urban and natural; crops of the photographs
        that come with scikit-image stand in for them.

    Returns
    -------
    dict of str to tuple of ImageRef
        "urban"; "natural"; "text", two crops of a scanned page and pages in the font that Pillow embeds;
        "texture", crops of a brick wall and band-pass noise; "repeated", tiles that repeat exactly. Generated
        images are `SIDE` pixels a side.
    """
    crops = {ref.name: ref for ref in held_out().hr}
    urban, natural = (
        data.benchmarks.get(benchmark) or tuple(crops[name] for name in names) for benchmark, names in INSTEAD.items()
    )
    return {
        "urban": urban,
        "natural": natural,
        "text": (crops["page_left"], crops["page_right"], *_generated("letters", _page, LETTERS)),
        "texture": (*_bricks(), *_generated("noise", _texture, range(TEXTURES))),
        "repeated": tuple(_generated("period", _repeated, PERIODS)),
    }


def self_similarity(hr: Pixels) -> float:
    """How well patches of an image are predicted by far-away patches of the same image.

    Of the middle `SIDE` × `SIDE` pixels of Y at most, so that images of any size are alike in how much there
    is to find. Patches of 7×7 less their mean, every 6 pixels, are each predicted by the one most like it, by
    squared distance, of all patches less their mean whose corner is at least 12 pixels away in rows or in
    columns. The measure is 1 − Σ squared distance / Σ squared patch.

    Parameters
    ----------
    hr : UInt8[Tensor, "3 h w"]
        0 to 255.

    Returns
    -------
    float
        0 to 1: 1 for exact repeats and for a flat image. White noise of 192 × 192 pixels has about 0.2, the
        best of 34,000 random patches.

    Raises
    ------
    InputError
        If the image is too small for every patch to have another far away.
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


def evaluate_kinds(records: Sequence[Record], data: DataSource, scale: int) -> pd.DataFrame:
    """How well trained networks restore each kind of image, an image a row.

    Parameters
    ----------
    records : sequence of Record
        Of training runs of this scale.
    data : DataSource
        As in `kinds`.
    scale : int

    Returns
    -------
    DataFrame
        model, seed, run (hash), kind, name, psnr_y (dB), ssim_y, and the `self_similarity` of the HR image.
    """
    found = kinds(data)
    every = [(kind, ref) for kind, refs in found.items() for ref in refs]
    similarities = [
        {"kind": kind, "name": ref.name, "self_similarity": self_similarity(ref.read())}
        for kind, ref in tqdm(every, desc="self-similarity", unit="image")
    ]
    tables = []
    for record in tqdm(records, desc="kinds of image", unit="network"):
        network = record.network()
        for kind, refs in found.items():
            measured = evaluate(network, refs, scale)[["name", "psnr_y", "ssim_y"]]
            who = {"model": record.run.network.model, "seed": record.run.seed, "run": record.run.hash}
            tables.append(measured.assign(**who, kind=kind))
    columns = ["model", "seed", "run", "kind", "name", "psnr_y", "ssim_y"]
    measured = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    return measured[columns].merge(pd.DataFrame(similarities), on=["kind", "name"])


def _generated(name: str, draw: Callable[[int], UInt8[np.ndarray, "h w 3"]], of_each: Sequence[int]) -> list[Generated]:
    return [Generated(name=f"{name}_{number}", draw=partial(draw, number)) for number in of_each]


def _bricks() -> list[ImageRef]:
    """The corners of the photograph of a brick wall, 512 pixels a side; they do not overlap."""
    file = photographs.FOLDER / "brick.png"
    corners = [(top, left) for top in (0, 512 - SIDE) for left in (0, 512 - SIDE)]
    return [ImageRef(f"brick_{n}", file, (*corner, SIDE, SIDE)) for n, corner in enumerate(corners)]


def _page(size: int) -> UInt8[np.ndarray, "h w 3"]:
    """The passage in black on white, in letters of `size` pixels, over and over until the page is full."""
    font, space = ImageFont.load_default(size), max(2, size // 3)
    image = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(image)
    words = cycle(PASSAGE.split())
    words = islice(words, size, None)  # so that pages do not begin alike
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
    """Noise of a few wavelengths and directions, between two colours: cloth, bark, ripples."""
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
    """A tile, shading with rectangles and a letter on it, repeated in rows and columns."""
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
    """Values as mixtures of a dark and a light colour, reached two standard deviations off the mean."""
    share = np.clip(0.5 + (values - values.mean()) / (4 * values.std()), 0, 1)[..., None]
    dark, light = (np.array(_colour(random, *greys)) for greys in ((30, 90), (150, 220)))
    return (dark + (light - dark) * share).round().astype(np.uint8)


def _colour(random: np.random.Generator, darkest: int, lightest: int) -> tuple[int, int, int]:
    """A grey of this range with a tint, muted as in photographs."""
    return tuple((random.integers(darkest, lightest) + random.integers(-25, 26, 3)).tolist())
