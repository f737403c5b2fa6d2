"""Save figures to files."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

from IPython.display import Image
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.transforms import Bbox
from PIL import Image as Picture

from srlab.files import replacing
from srlab.plots.style import HOUSE

#: An image embedded in matplotlib's SVG.
EMBEDDED = re.compile(rb"(?<=data:image/png;base64,)[^\"]+")


def save(figure: Figure, study_folder: Path, name: str) -> Image:
    """Write figures/NAME.png (200 dpi) and NAME.svg, equal bytes for equal numbers; return the PNG for a notebook."""
    drawn, written = {"png": png(figure)}, BytesIO()
    with rc_context(HOUSE):
        figure.savefig(written, format="svg", metadata={"Date": None})
    drawn["svg"] = EMBEDDED.sub(lambda found: b64encode(small(b64decode(found[0]))), written.getvalue())
    words = json.dumps({"title": figure.get_suptitle(), "note": figure.get_supxlabel(), "panels": panels(figure)})
    words = words.replace("--", "-\\u002d")  # which would end a comment
    drawn["svg"] += f"<!-- panels: {words} -->\n".encode()
    for kind, content in drawn.items():
        with replacing(study_folder / "figures" / f"{name}.{kind}") as beside:
            beside.write_bytes(content)
    return Image(drawn["png"], width=round(100 * figure.get_figwidth()), alt=name.replace("_", " "))


@rc_context(HOUSE)
def png(figure: Figure) -> bytes:
    """Settle a figure and return it as a PNG of 200 dpi."""
    settle(figure)
    written = BytesIO()
    figure.savefig(written, format="png")
    return small(written.getvalue())


@rc_context(HOUSE)
def settle(figure: Figure) -> None:
    """Fix the layout of a figure to a millionth of its size, so that repeated drawings are equal."""
    figure.set_dpi(HOUSE["savefig.dpi"])
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in _parts(figure):
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(6))
    for ax in figure.axes:
        ax.set_position(Bbox(ax.get_position(original=True).get_points().round(6)))


def panels(figure: Figure) -> list[list[list[float]]]:
    """Return the pieces of each panel of a settled figure, for pages that put panels below each other.

    A piece is a box (left, top, right, bottom) in shares of the figure. A panel that shares the names of its rows with
    one at its left begins with these names. A figure of one panel, or with images, has none.
    """
    boxes = {ax: ax.get_tightbbox() for ax in figure.axes if ax.axison and not ax.images}
    groups: dict[tuple[float, ...], list[Axes]] = {}
    for ax in boxes:
        groups.setdefault(ax.bbox.bounds, []).append(ax)
    if len(groups) < 2 or any(ax.images for ax in figure.axes):
        return []
    found = []
    for own in groups.values():
        whole, first = Bbox.union([boxes[ax] for ax in own]), own[0]
        left = [ax for ax in first.get_shared_y_axes().get_siblings(first) if ax.bbox.x1 < first.bbox.x0]
        named = sorted((ax for ax in left if ax.bbox.y0 == first.bbox.y0), key=lambda ax: ax.bbox.x0)[:1]
        names = [Bbox.from_extents(boxes[ax].x0, whole.y0, ax.bbox.x0, whole.y1) for ax in named]
        found.append([_shares(piece, figure) for piece in (*names, whole)])
    return found


def _shares(box: Bbox, figure: Figure) -> list[float]:
    """Return left, top, right and bottom of a box in shares of the figure, within it."""
    (left, bottom), (right, top) = (box.get_points() / figure.bbox.size).clip(0, 1).round(4).tolist()
    return [left, round(1 - top, 4), right, round(1 - bottom, 4)]


def _parts(figure: FigureBase) -> list[SubFigure]:
    return [found for part in figure.subfigs for found in (part, *_parts(part))]


def small(png: bytes) -> bytes:
    """Reduce a PNG to at most 256 colours, in less than half its bytes; a partly transparent PNG stays unchanged.

    Greys and maps in one colour scale stay unchanged too. In other figures no channel moves by more than about 30 of
    255, and few pixels by more than 10.
    """
    picture = Picture.open(BytesIO(png)).convert("RGBA")
    if picture.getextrema()[3][0] == 255:
        picture = picture.convert("RGB")
        picture = picture.quantize(256, Picture.Quantize.MAXCOVERAGE, kmeans=1, dither=Picture.Dither.NONE)
    written = BytesIO()
    picture.save(written, "png", optimize=True)
    return written.getvalue()
