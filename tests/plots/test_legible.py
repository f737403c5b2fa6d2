"""Every figure that kept tables give is legible: no text covers another, leaves the canvas or is too small."""

import pytest
from kept import references
from legible import faults
from matplotlib.figure import Figure

from srlab.plots.style import blank
from srlab.study.chapter import MissingTable, Tables, chapter_names, draws_networks, module_of

FIGURES = [
    pytest.param(folder, chapter, figure, id=f"{folder.name}-{figure}")
    for folder in references()
    for chapter in chapter_names()
    for figure, draw in module_of(chapter).FIGURES.items()
    if not draws_networks(draw) and (folder / "figures" / f"{figure}.png").is_file()
]


@pytest.mark.parametrize(("folder", "chapter", "figure"), FIGURES)
def test_a_figure_of_kept_tables_is_legible_and_draws_data(folder, chapter, figure):
    try:
        drawn = module_of(chapter).FIGURES[figure](Tables(folder))
    except MissingTable as missing:
        pytest.fail(f"{figure} is kept without its table: {missing}")
    assert faults(drawn) == []
    assert any(ax.lines or ax.collections or ax.patches or ax.images for ax in drawn.axes)
    assert drawn.get_suptitle() or any(part.get_suptitle() for part in drawn.subfigs)


@pytest.mark.parametrize("fault", ["overlap", "canvas", "size", "exponent"])
def test_each_fault_is_found(fault):
    figure = Figure((14, 4)) if fault == "size" else blank(7.0, 2.0)
    if fault == "overlap":
        figure.text(0.5, 0.5, "over")
        figure.text(0.51, 0.5, "under")
    elif fault == "canvas":
        figure.text(0.99, 0.5, "cut off here")
    elif fault == "size":
        figure.text(0.5, 0.5, "small", fontsize=12)
    else:
        figure.text(0.5, 0.5, "$10^{4}$", fontsize=8)
    assert len(faults(figure)) == 1


def test_hidden_texts_do_not_count():
    figure = blank(7.0, 2.0)
    ax = figure.subplots()
    ax.set(xticks=[0, 1], yticks=[])
    ax.text(0.5, 0.0, "hidden").set_visible(False)
    assert faults(figure) == []
