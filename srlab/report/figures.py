"""Figures inside a page, without requests: as SVG, or as PNG where that is smaller."""

from __future__ import annotations

import re
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from PIL import Image

from srlab.plots.style import HOUSE

#: Bytes of an SVG above which the PNG is used.
LARGEST = 300_000
#: What `srlab.plots.output.save` writes at the end of an SVG.
PANELS = re.compile(rb"<!-- panels: (.*) -->\n\Z")
#: Pixels of a page for a point of a figure: letters of 8 points, the smallest, are 11 pixels high.
PER_POINT = 11 / 8
#: Dots of a PNG for a point.
DOTS_PER_POINT = HOUSE["savefig.dpi"] / 72


class PageFigure(NamedTuple):
    """A figure in a page: an element `<img>`, the least width in pixels for legible letters, and how to stack it."""

    html: Markup
    width: int
    panels: str = "{}"  # JSON of title, note and pieces of panels, from :func:`srlab.plots.output.save`


def inlined(folder: Path, name: str, alt: str) -> PageFigure:
    """Return a figure for a page: NAME.svg, or NAME.png if there is no SVG or it is large or holds pictures.

    The alternative text `alt` is escaped HTML.
    """
    svg, panels = folder / f"{name}.svg", "{}"
    if svg.is_file():
        drawn = svg.read_bytes()
        panels = found[1].decode() if (found := PANELS.search(drawn)) else panels
        if b"<image" not in drawn and len(drawn) <= LARGEST:
            points = float(re.search(rb'viewBox="0 0 ([\d.]+)', drawn)[1])
            return _figure("svg+xml", drawn, alt, points, panels)
    png = (folder / f"{name}.png").read_bytes()
    with Image.open(BytesIO(png)) as picture:
        return _figure("png", png, alt, picture.width / DOTS_PER_POINT, panels)


def _figure(kind: str, content: bytes, alt: str, points: float, panels: str) -> PageFigure:
    address = f"data:image/{kind};base64,{b64encode(content).decode()}"
    return PageFigure(Markup(f'<img src="{address}" alt="{alt}">'), round(points * PER_POINT), panels)
