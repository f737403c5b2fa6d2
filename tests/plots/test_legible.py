"""Every figure that kept tables give is legible: no text covers another, leaves the canvas or is too small."""

import pytest
from kept import references
from legible import faults

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


FAULTS = {
    "none": (7.0, [(0.1, "here", 8), (0.5, "there", 8)]),
    "overlap": (7.0, [(0.5, "over", 8), (0.51, "under", 8)]),
    "canvas": (7.0, [(0.99, "cut off here", 8)]),
    "size": (14.0, [(0.5, "small", 12)]),
    "exponent": (7.0, [(0.5, "$10^{4}$", 8)]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_hidden_texts_do_not_count(fault):
    width, texts = FAULTS[fault]
    figure = blank(width, 2.0)
    figure.text(0.5, 0.5, "hidden").set_visible(False)
    for x, words, size in texts:
        figure.text(x, 0.5, words, fontsize=size)
    assert len(faults(figure)) == (fault != "none")
