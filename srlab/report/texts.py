"""What a notebook says in words: what it asks, how that is measured, and what stands under each of its figures."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

#: A cell of Markdown that is a caption: italics from end to end.
CAPTION = re.compile(r"\*(?!\*)(.+)(?<!\*)\*", re.S)


class Texts(NamedTuple):
    """Markdown of a notebook.

    Attributes
    ----------
    asked, measured : str
        What follows **Asked:** and **Measured:** in its first cell, as sentences; "" if they are not there.
    captions : dict of str to str
        How to read a figure, by its name: the caption below the cell that draws it.
    """

    asked: str
    measured: str
    captions: dict[str, str]


def texts(notebook: Path) -> Texts:
    """Read what a notebook says.

    Parameters
    ----------
    notebook : Path
        The source; it need not have been executed.
    """
    import nbformat

    cells = nbformat.read(notebook, as_version=4)["cells"]
    captions = {}
    for drawing, below in itertools.pairwise(cells):
        caption = CAPTION.fullmatch(below["source"].strip())
        if drawing["cell_type"] == "code" and below["cell_type"] == "markdown" and caption:
            captions |= dict.fromkeys(re.findall(r'"(\w+)"', drawing["source"]), caption[1])
    opening = cells[0]["source"]
    return Texts(_said("Asked", opening), _said("Measured", opening), captions)


def _said(word: str, opening: str) -> str:
    found = re.search(rf"^\*\*{word}:\*\* (.+?)(?=\n\n\*\*\w+:\*\*|\Z)", opening, re.S | re.M)
    return found[1][0].upper() + found[1][1:] if found else ""


def html(markdown: str) -> Markup:
    """Markdown as HTML."""
    from nbconvert.filters import markdown2html

    return Markup(markdown2html(markdown))
