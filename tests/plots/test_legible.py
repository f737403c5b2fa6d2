"""Every figure that our tables give can be read: no text lies on another, leaves the canvas or is too small."""

import pytest
from kept import references, results
from legible import faults, texts
from matplotlib.figure import Figure

from srlab import plots
from srlab.plots.style import blank

KEPT = [
    (study, name)
    for study in (*references(), results() / "released-weights")
    for name, drawing in plots.DRAWINGS.items()
    if all((study / "tables" / f"{table}.csv").is_file() for table in drawing.tables)
]


@pytest.mark.parametrize(("study", "name"), KEPT, ids=lambda part: getattr(part, "name", part))
def test_figures_of_committed_tables_can_be_read(study, name):
    assert faults(plots.redraw(name, study)) == []


def test_a_text_on_another_is_found():
    figure = blank(7.0, 2.0)
    figure.text(0.5, 0.5, "over")
    figure.text(0.51, 0.5, "under")
    assert faults(figure) == ["'over' overlaps 'under'"]


def test_a_text_beyond_the_canvas_is_found():
    figure = blank(7.0, 2.0)
    figure.text(0.99, 0.5, "cut off here")
    assert faults(figure) == ["'cut off here' leaves the canvas"]


def test_a_text_too_small_in_print_is_found():
    figure = Figure((14, 4))
    figure.text(0.5, 0.5, "small", fontsize=12)
    assert faults(figure) == ["'small' has 6.0 pt"]


def test_an_exponent_too_small_is_found():
    figure = blank(7.0, 2.0)
    figure.text(0.5, 0.5, "$10^{4}$", fontsize=8)
    assert faults(figure) == ["'$10^{4}$' has 5.6 pt"]


def test_only_what_is_drawn_counts():
    figure = blank(7.0, 2.0)
    ax = figure.subplots()
    ax.set(xticks=[0, 1, 50], yticks=[])
    ax.set_xlim(0, 1)
    ax.text(0.5, 0.5, "hidden").set_visible(False)
    assert [text.get_text() for text, _ in texts(figure)] == ["0", "1"]
