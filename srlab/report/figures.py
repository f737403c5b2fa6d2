"""Figures inside a page: as SVG with ids of their own, or as PNG."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from PIL import Image

from srlab.plots.style import HOUSE

#: Bytes of an SVG above which the PNG is shown instead.
LARGEST = 300_000
#: Pixels of a page for a point of a figure: letters of 7 points, the smallest there are, stand 11 pixels high.
PER_POINT = 11 / 7
#: Dots of a PNG for a point.
DOTS_PER_POINT = HOUSE["savefig.dpi"] / 72
#: What the style says of every line that stands in the file and would rule the page.
STROKES = 'style="stroke-linejoin: round; stroke-linecap: butt"'


class PageFigure(NamedTuple):
    """A figure in a page.

    Attributes
    ----------
    html : Markup
        An element `<svg>` or `<img>` without requests.
    width : int
        The least width in pixels for legible letters.
    """

    html: Markup
    width: int


def inlined(folder: Path, name: str, alt: str) -> PageFigure:
    """Return a figure for a page: SVG, or PNG if it holds pictures or very many marks.

    Parameters
    ----------
    folder : Path
        Holds NAME.png and perhaps NAME.svg.
    name : str
    alt : str
        Alternative text, as escaped HTML.
    """
    svg = folder / f"{name}.svg"
    if svg.is_file():
        html = _as_part(svg.read_text(encoding="utf-8"), name, alt)
        if "<image" not in html and len(html.encode()) <= LARGEST:
            points = float(re.search(r'viewBox="0 0 ([\d.]+)', html)[1])
            return PageFigure(Markup(html), round(points * PER_POINT))
    png = (folder / f"{name}.png").read_bytes()
    with Image.open(BytesIO(png)) as picture:
        points = picture.width / DOTS_PER_POINT
    return PageFigure(Markup(f'<img src="{_data(png)}" alt="{alt}">'), round(points * PER_POINT))


def _as_part(svg: str, name: str, alt: str) -> str:
    """Make matplotlib's SVG an element with ids and style of its own.

    Coordinates are rounded to hundredths of a point and paths made relative, in half the bytes.
    """
    drawn = svg[svg.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawn, flags=re.S)
    [view_box] = re.findall(r'viewBox="[^"]*"', drawn.partition(">")[0])
    drawn = f'<svg role="img" aria-label="{alt}" {view_box} {STROKES}>{drawn.partition(">")[2]}'
    drawn = re.sub(r'(?<=\bid=")|(?<=\bhref="#)|(?<=url\(#)', f"{name}-", drawn.replace("xlink:href", "href"))
    drawn = re.sub(r'\bd="([MLQCz\d\s.e-]+)"', lambda found: f'd="{_from_point_to_point(found[1])}"', drawn)
    drawn = re.sub(r'\b([xy])="([\d.-]+)"', lambda found: f'{found[1]}="{float(found[2]):.2f}"', drawn)
    return _once(re.sub(r">\s+<", "><", drawn), name)


def _once(svg: str, name: str) -> str:
    """Define long repeated paths, such as letters and their halos, once and reuse them."""
    counts = Counter(re.findall(r'<path d="([^"]{100,})"', svg))
    names = {path: f"{name}-twice-{number}" for number, path in enumerate(counts) if counts[path] > 1}
    defined = "".join(f'<path id="{own}" d="{path}"/>' for path, own in names.items())
    opening, _, drawn = svg.partition(">")
    drawn = re.sub(
        r'<path d="([^"]{100,})"',
        lambda found: f'<use href="#{names[found[1]]}"' if found[1] in names else found[0],
        drawn,
    )
    return f"{opening}><defs>{defined}</defs>{drawn}" if defined else svg


def _from_point_to_point(path: str) -> str:
    """Make path data relative; each number is the difference of two rounded ones, so errors do not grow."""
    written, at, start = [], (0, 0), (0, 0)
    for command, numbers in re.findall(r"([MLQCz])([^MLQCz]*)", path):
        rounded = [round(100 * float(number)) for number in numbers.split()]
        points = list(zip(rounded[::2], rounded[1::2], strict=True))
        steps = [_hundredths(to - origin) for point in points for to, origin in zip(point, at, strict=True)]
        written.append(command.lower() + " ".join(steps))
        at = points[-1] if points else start
        start = at if command == "M" else start
    return re.sub(r" (?=-)", "", "".join(written))


def _hundredths(number: int) -> str:
    """Write hundredths briefly: 312 is "3.12", -50 is "-.5"."""
    return re.sub(r"\b0\.", ".", f"{number / 100:.2f}".rstrip("0").rstrip("."))


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
