"""What can be read of a figure: its texts where they are drawn, and what is wrong with them."""

import re
from itertools import combinations
from unittest.mock import patch

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from srlab.models.registry import OTHERS, REGISTRY
from srlab.plots.style import DOUBLE, HOUSE

LEAST = 8.0  # points, of a figure that is `DOUBLE` wide
EXPONENT = 0.7  # of a font's size, in formulae
TOUCH = 1.3  # pixels at 200 dpi by which boxes may meet: they hold room for letters that are not there
#: Code names, which people need not know: networks (but "span", a word too) and module paths.
CODE_NAME = re.compile(rf"\b(?:{'|'.join(map(re.escape, {*REGISTRY, *OTHERS} - {'span'}))})\b|\bgroups\.\d")


def texts(figure: Figure) -> list[tuple[Text, Bbox]]:
    """Every text that is drawn, with the box that it takes, in pixels of the saved picture."""
    drawn = {}
    draw = Text.draw

    def record(text: Text, renderer: object) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn[id(text)] = (text, Text.get_window_extent(text, renderer))
        draw(text, renderer)

    with rc_context(HOUSE), patch.object(Text, "draw", record):
        figure.set_dpi(HOUSE["savefig.dpi"])
        figure.draw_without_rendering()
    return list(drawn.values())


def faults(figure: Figure) -> list[str]:
    """Texts that overlap, leave the canvas, hold a code name, or are too small where the figure is `DOUBLE` wide."""
    found, scale = [], DOUBLE / figure.get_figwidth()
    shown = texts(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in shown:
        points = text.get_fontsize() * scale * (EXPONENT if "^" in text.get_text() and "$" in text.get_text() else 1)
        if points < LEAST:
            found.append(f"{text.get_text()!r} has {points:.1f} pt")
        if min(box.x0, box.y0) < -TOUCH or box.x1 > width + TOUCH or box.y1 > height + TOUCH:
            found.append(f"{text.get_text()!r} leaves the canvas")
        if CODE_NAME.search(text.get_text()):
            found.append(f"{text.get_text()!r} is a code name")
    for (one, first), (other, second) in combinations(shown, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        if across > TOUCH and down > TOUCH:
            found.append(f"{one.get_text()!r} overlaps {other.get_text()!r}")
    return found
