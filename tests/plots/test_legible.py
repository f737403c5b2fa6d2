"""Every figure that kept tables give is legible: no text covers another, leaves the canvas or is too small."""

import hashlib
import re

import pytest
from kept import references
from legible import CODE_NAME, faults

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
    [title] = filter(None, (part.get_suptitle() for part in (drawn, *drawn.subfigs)))
    assert not re.search(r"\d\.\d|%|dB", title)  # what was measured stands beside its interval, not in a title


@pytest.mark.parametrize("folder", references(), ids=lambda folder: folder.name)
def test_answers_have_names_for_people(folder):
    answers = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("answers/*.md")}
    assert {name: CODE_NAME.findall(text) for name, text in answers.items() if CODE_NAME.search(text)} == {}


def test_no_kept_figure_stands_twice():
    kept = [hashlib.sha256(path.read_bytes()).digest() for folder in references() for path in folder.glob("figures/*")]
    assert len(kept) == len(set(kept))


FAULTS = {
    "none": (7.0, [(0.1, "here", 8), (0.5, "there", 8)]),
    "overlap": (7.0, [(0.5, "over", 8), (0.51, "under", 8)]),
    "canvas": (7.0, [(0.99, "cut off here", 8)]),
    "size": (14.0, [(0.5, "small", 12)]),
    "code name": (7.0, [(0.5, "lcoan, k = 4", 8)]),
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
