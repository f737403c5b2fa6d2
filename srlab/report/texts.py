"""The words of a notebook: its title, question and measure, and the caption under each figure."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

#: A cell of Markdown in italics from end to end is a caption.
CAPTION = re.compile(r"\*(?!\*)(.+)(?<!\*)\*", re.S)


class Texts(NamedTuple):
    """Markdown of a notebook."""

    asked: str  # after **Asked:** in the first cell; "" if missing
    measured: str  # after **Measured:**
    captions: dict[str, str]  # by figure: the cell below the one that draws it


def texts(notebook: Path) -> Texts:
    """Read the words of a notebook's source."""
    import nbformat

    cells = nbformat.read(notebook, as_version=4)["cells"]
    captions = {}
    for drawing, below in pairwise(cells):
        caption = CAPTION.fullmatch(below["source"].strip())
        if drawing["cell_type"] == "code" and below["cell_type"] == "markdown" and caption:
            captions |= dict.fromkeys(re.findall(r'"(\w+)"', drawing["source"]), caption[1])
    opening = cells[0]["source"]
    return Texts(_said("Asked", opening), _said("Measured", opening), captions)


def title_of(notebook: Path) -> str:
    """Return the first heading of a notebook."""
    import nbformat

    return nbformat.read(notebook, as_version=4)["cells"][0]["source"].splitlines()[0].lstrip("# ")


def _said(word: str, opening: str) -> str:
    found = re.search(rf"^\*\*{word}:\*\* (.+?)(?=\n\n\*\*\w+:\*\*|\Z)", opening, re.S | re.M)
    return found[1][0].upper() + found[1][1:] if found else ""


def html(markdown: str) -> Markup:
    """Convert Markdown to HTML."""
    from nbconvert.filters import markdown2html

    return Markup(markdown2html(markdown))
