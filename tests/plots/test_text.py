"""Text in figures: places and colours of names, line breaks and minus signs."""

import numpy as np
import pytest
from legible import faults
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from srlab.plots.style import STYLE, blank
from srlab.plots.text import CONTRAST, Name, _luminance, caption, name_lines, name_points, readable, spread


def test_boxes_move_as_little_as_may_be_and_never_lie_on_each_other():
    found = spread(np.array([5.0, 5.0, 5.0, 40.0]), np.array([4.0, 4.0, 4.0, 8.0]), 0.0, 50.0)
    assert found == pytest.approx([1.0 + 1, 5 + 1, 9 + 1, 40], abs=1.01)
    assert (np.diff(np.sort(found)) >= [4, 4, 6]).all() and found[3] == 40
    assert spread(np.array([9.0, 1.0]), np.array([2.0, 2.0]), 0.0, 10.0) == pytest.approx([9, 1])
    assert spread(np.array([0.0, 0.0, 50.0]), np.full(3, 4.0), 0.0, 50.0) == pytest.approx([2, 6, 48])  # within


@pytest.mark.parametrize("colour", sorted({each.colour for each in STYLE.values()}))
def test_names_have_contrast_to_white_and_keep_what_has_enough(colour):
    shade = readable(colour)
    assert 1.05 / (0.05 + _luminance(np.array(to_rgb(shade)))) >= CONTRAST
    assert readable(shade) == shade and readable("#000000") == "#000000"


def test_names_of_lines_that_end_together_are_read_and_in_order():
    figure = blank(7.0, 3.0)
    ax = figure.subplots()
    ax.plot([0, 1], [0, 100])
    name_lines({ax: [Name(f"line {i}", 1, 50 + 0.1 * i) for i in range(6)]})
    assert faults(figure) == []
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without their lines
    assert [box.y0 for box in boxes] == sorted(box.y0 for box in boxes)
    assert all(box.x0 > ax.get_window_extent().x1 for box in boxes)


def test_names_of_points_lie_on_no_other_name_no_large_marker_and_within_the_panel():
    figure = blank(3.0, 3.0)
    ax = figure.subplots()
    at = np.random.default_rng(0).normal(0.5, 0.1, (9, 2))
    ax.plot(*at.T, "o")
    ax.plot(0.1, 0.1, "o", markersize=30)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    name_points({ax: [Name("large", 0.1, 0.1), *(Name(f"name_{i}", x, y) for i, (x, y) in enumerate(at))]})
    assert [words for words in faults(figure) if "overlaps" in words or "leaves" in words] == []
    panel, middle, half = ax.get_window_extent(), ax.transData.transform((0.1, 0.1)), 15 * figure.dpi / 72
    for box in [Text.get_window_extent(text) for text in ax.texts]:
        assert panel.x0 - 1 <= box.x0 and box.x1 <= panel.x1 + 1 and panel.y0 - 1 <= box.y0 and box.y1 <= panel.y1 + 1
        assert not box.overlaps(Bbox.from_extents(*(middle - half), *(middle + half)))


def test_a_name_without_a_free_place_lies_right_of_its_point():
    figure = blank(1.5, 1.5)
    ax = figure.subplots()
    ax.plot(0.5, 0.5, "o")
    name_points({ax: [Name("a name wider than its panel is, by far", 0.5, 0.5)]})
    [text] = ax.texts
    figure.draw_without_rendering()
    assert Text.get_window_extent(text).x0 > ax.transData.transform((0.5, 0.5))[0]


def test_messages_break_into_lines_and_minus_is_no_hyphen():
    figure = blank(7.0, 2.0)
    caption(figure, "It loses -0.5 dB (k-means, λ = 1e-3) " + 20 * "and so on ", "bars: -1 to 1")
    assert figure.get_suptitle().startswith("It loses −0.5 dB (k-means, λ = 1e-3)")
    lengths = [len(line) for line in figure.get_suptitle().splitlines()]
    assert len(lengths) == 3 and max(lengths) - min(lengths) < 12  # no word alone on a line
    assert figure.get_supxlabel() == "bars: −1 to 1"
    assert faults(figure) == []
