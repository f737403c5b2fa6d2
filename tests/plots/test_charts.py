"""Charts draw the numbers of their frames."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from srlab.errors import InputError
from srlab.plots import bars, forest, heat, lines, part, points, sweep
from srlab.plots.charts import crossed, stacked
from srlab.plots.looks import DISC, LEAST, mark
from srlab.plots.style import STYLE, look


@pytest.fixture
def ax():
    return Figure().subplots()


FOUND = pd.DataFrame({"name": ["LCoA", "NLSA"], "model": ["lcoan", "nlsn"], "value": [0.1, -0.2]})
FOUND = FOUND.assign(low=[0.0, -np.inf], high=[0.2, np.inf])
DOTS = pd.DataFrame({"name": ["LCoA"] * 3, "value": [0.05, 0.1, 9.0]})


def offsets(ax):
    return np.concatenate([each.get_offsets() for each in ax.collections if isinstance(each, PathCollection)])


def test_a_forest_has_a_row_per_name_with_value_interval_and_dots(ax):
    forest(ax, FOUND, DOTS, margin=0.05)
    markers = [line for line in ax.lines if line.get_marker() not in ("None", "")]
    assert [line.get_xdata()[0] for line in markers] == [0.1, -0.2]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["LCoA", "NLSA"]
    assert sorted(offsets(ax)[:, 0]) == [0.05, 0.1, 9.0]
    [interval] = [each for each in ax.collections if isinstance(each, LineCollection)]  # infinite ends draw no bar
    assert interval.get_segments()[0][:, 0].tolist() == [0.0, 0.2]
    [band] = ax.patches
    assert band.get_x() == pytest.approx(-0.05) and band.get_width() == pytest.approx(0.1)
    low, high = ax.get_ylim()
    assert low > 1 > 0 > high  # from the top down


def test_a_clipped_forest_draws_far_dots_as_arrows_at_its_end(ax):
    dots = pd.DataFrame({"name": "LCoA", "value": [*np.linspace(0, 1, 300), 99.0]})
    forest(ax, FOUND, dots, clip=True)
    assert ax.get_xlim()[1] < 2 and offsets(ax)[:, 0].max() == pytest.approx(ax.get_xlim()[1])


def test_a_series_shares_the_rows_of_another_and_groups_are_parted(ax):
    forest(ax, FOUND)
    forest(ax, FOUND.assign(value=1.0), shift=0.2, hollow=True)
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_ydata()[0] for line in hollow] == [0.2, 1.2] and len(ax.get_yticks()) == 2
    part([ax], [1, 2])
    assert ax.lines[-1].get_ydata()[0] == 0.5  # between the rows


def test_a_sweep_is_a_line_over_values_on_a_logarithmic_axis(ax):
    rows = pd.DataFrame({"x": [4, 16, 64], "value": [0.0, 0.1, 0.3], "low": [-1.0] * 3, "high": [1.0] * 3})
    sweep(ax, rows, pd.DataFrame({"x": [16, 16], "value": [0.0, 0.2]}))
    assert any(line.get_xdata().tolist() == [4, 16, 64] for line in ax.lines[1:2])
    assert ax.get_xscale() == "log" and ax.get_xticks().tolist() == [4, 16, 64]
    drawn = len(ax.lines)
    sweep(ax, rows.assign(low=-np.inf, high=np.inf), zero=None)  # one seed: no line joins its values
    assert [len(line.get_xdata()) for line in ax.lines[drawn:]] == [1, 1, 1]


def test_a_heat_map_prints_its_numbers_and_leaves_out_missing_ones(ax):
    cells = pd.DataFrame({1: [0.0, np.nan], 2: [0.5, 1.0]}, index=["a", "b"])
    heat(ax, cells)
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["0.00", "0.50", "1.00"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_what_falls_into_one_cell_stands_below_each_other(ax):
    rows = [("p", "x", "one", "lcoan"), ("q", "x", "two", "nlsn"), ("q", "x", "three", "esc"), ("p", "y", "4", "sscan")]
    crossed(ax, pd.DataFrame(rows, columns=["across", "down", "name", "model"]).assign(words="w"))
    places = {each.get_text(): np.floor(each.get_position()).tolist() for each in ax.texts if each.get_text() != "w"}
    assert places == {"one": [0, 0], "two": [1, 0], "three": [1, 1], "4": [0, 2]}
    assert ax.get_ylim() == (3, 0) and ax.get_yticks().tolist() == [1, 2.5]


def test_bars_have_widths_and_words_where_values_are_missing(ax):
    bars(ax, pd.DataFrame({"model": ["lcoan", "nlsn"], "value": [0.5, np.nan], "missing": ["", "none"]}))
    assert [bar.get_width() for bar in ax.patches] == [0.5] and [text.get_text() for text in ax.texts] == ["none"]


def test_points_and_lines_return_the_names_at_their_places(ax):
    rows = FOUND.assign(x=[1.0, 2.0], y=[3.0, 4.0], y_low=[2.0, np.nan], y_high=[4.0, np.nan])
    assert [(name.words, name.x, name.y) for name in points(ax, rows)] == [("LCoA", 1, 3), ("NLSA", 2, 4)]
    steps = pd.concat([FOUND.assign(x=step, y=FOUND["value"] * step) for step in (1, 2)])
    assert [(name.words, name.x, name.y) for name in lines(ax, steps)] == [("LCoA", 2, 0.2), ("NLSA", 2, -0.4)]


def test_curves_have_a_line_a_name_bars_and_marks(ax):
    found = pd.DataFrame({"name": list("aabb"), "x": [1, 2] * 2, "y": [1.0, 2, 3, 4]})
    found = found.assign(low=found["y"] - 1, high=[2, np.inf, 4, 5], hollow=[True, False] * 2, failed=False)
    names = lines(ax, found.assign(colour="#0072B2", marker="o"))
    assert [(name.words, name.x, name.y) for name in names] == [("a", 2, 2), ("b", 2, 4)]
    assert sum(len(bars.get_segments()) for bars in ax.collections) == 3
    hollow = [line.get_xdata().tolist() for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert hollow == [[1], [1]]


def test_stacked_bars_add_up(ax):
    parts = pd.DataFrame({"a": [1.0, 2], "b": [3.0, 4]}, index=["x", "y"])
    stacked(ax, parts, {"a": ("#111111", ""), "b": ("#222222", "")}, "s")
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 1), (0, 2), (1, 3), (2, 4)]
    assert [text.get_text() for text in ax.texts] == ["4 s", "6 s"]


def test_estimates_beyond_the_axis_are_arrows(ax):
    rows = [(0.5, 0.1, 0.9), (3, 2.5, 3.5), 3 * (np.nan,)]
    found = pd.DataFrame(rows, columns=["value", "low", "high"]).assign(name="same")
    forest(ax, found.assign(colour="#0072B2", marker="o", words="w"), ends=(0.0, 2.0), zero=1.0)
    assert [line.get_marker() for line in ax.lines] == ["None", "o", ">"]
    assert ax.get_xlim() == (0, 2) and [text.get_text() for text in ax.get_yticklabels()] == 3 * ["same"]


def test_no_two_networks_look_the_same_and_unknown_ones_are_named():
    assert len({(each.colour, each.marker) for each in STYLE.values()}) == len(STYLE)
    assert look("lcoan (stored)")["color"] == look("lcoan")["color"]
    with pytest.raises(InputError, match="nosuch"):
        look("nosuch")


def test_discs_have_the_area_of_weights_and_a_copy_differs_in_shape(ax):
    weights = np.zeros((4, 5), np.float32)
    weights[1, 2], weights[3, 0] = 0.5, LEAST / 2
    mark(ax, (0, 0), (1, 2), weights)
    [discs] = ax.collections
    assert discs.get_offsets().tolist() == [[2, 1]] and discs.get_sizes().tolist() == [DISC / 2]
    shapes = {line.get_marker(): (line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines}
    assert shapes == {"o": (0.5, 0.5), "s": (2.5, 1.5)}
