"""Saved figures: less than half the bytes without a visible loss."""

import json
import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from kept import ROOT
from matplotlib.figure import Figure
from PIL import Image

from srlab import plots
from srlab.plots.output import panels, small


def png(pixels):
    written = BytesIO()
    Image.fromarray(pixels).save(written, "png")
    return written.getvalue()


def pixels(content):
    with Image.open(BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGBA"))


@pytest.mark.parametrize("kind", ["grey", "scale of colours", "partly transparent"])
def test_few_colours_and_transparency_stay_as_they_are(kind):
    generator = np.random.default_rng(0)
    if kind == "partly transparent":
        picture = png(generator.integers(0, 256, (40, 40, 4), dtype=np.uint8))
    else:
        scale = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        if kind == "scale of colours":
            scale[:, 1], scale[:, 2] = scale[::-1, 1], scale[:, 2] // 2
        picture = png(scale[generator.integers(0, 256, (96, 96))])
        assert len(small(picture)) < len(picture)
    assert np.array_equal(pixels(small(picture)), pixels(picture))


@pytest.mark.parametrize("kind", ["chart", "photograph"])
def test_figures_are_less_than_half_without_a_visible_loss(kind):
    figure, written = Figure(figsize=(7, 4)), BytesIO()
    if kind == "chart":
        figure.subplots().plot(np.random.default_rng(0).normal(size=(50, 5)))
    else:
        with Image.open(ROOT / "docs" / "rocket.png") as picture:
            figure.subplots().imshow(picture.convert("RGB"), interpolation="nearest")
    figure.savefig(written, format="png", dpi=200)
    picture = written.getvalue()
    smaller = small(picture)
    assert len(smaller) < len(picture) / 2
    moved = np.abs(pixels(smaller).astype(int) - pixels(picture))
    assert moved.max() < 32 and np.sqrt((moved**2.0).mean()) < 2.5
    assert np.mean(moved.max(axis=2) > 12) < 1e-3


def test_a_figure_keeps_the_pieces_of_its_panels_for_narrow_pages(tmp_path):
    """A panel that shares its rows with one at the left begins with their names; an image has no panels."""
    figure = plots.blank(6.0, 2.0)
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(["one", "another"], [1, 2])
    right.barh(["one", "another"], [3, 4])
    right.twinx()
    plots.caption(figure, "A title -- with a dash", "A note")
    plots.save(figure, tmp_path, "two")
    last = (tmp_path / "figures" / "two.svg").read_text().splitlines()[-1]
    kept = json.loads(last.removeprefix("<!-- panels: ").removesuffix(" -->"))
    assert (kept["title"], kept["note"]) == ("A title -- with a dash", "A note") and last.count("--") == 2
    [first], [names, second] = kept["panels"]
    assert first[0] < left.get_position().x0 < first[2] <= second[0] + 0.05
    assert (names[0], names[1], names[3]) == pytest.approx((first[0], second[1], second[3]), abs=1e-3)
    assert names[2] == pytest.approx(left.get_position().x0, abs=1e-3)
    assert all(0 <= a < c <= 1 and 0 <= b < d <= 1 for a, b, c, d in (first, names, second))
    figure = plots.blank(2.0, 2.0)
    for ax in figure.subplots(1, 2):
        ax.imshow([[0, 1]])
    assert panels(figure) == []


def test_pictures_in_an_svg_are_small_too(tmp_path):
    figure = Figure(figsize=(2, 2))
    figure.subplots().imshow(np.random.default_rng(0).uniform(0, 1, (60, 60, 3)), interpolation="nearest")
    plots.save(figure, tmp_path, "noise")
    [embedded] = re.findall(rb"base64,([^\"]+)", (tmp_path / "figures" / "noise.svg").read_bytes())
    assert Image.open(BytesIO(b64decode(embedded))).mode == "P"
    with Image.open(tmp_path / "figures" / "noise.png") as picture:
        assert picture.mode == "P" and picture.size == (400, 400)
