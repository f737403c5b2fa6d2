"""The figure of an explorer: a matplotlib canvas in the notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import RLock

import ipywidgets
from ipympl.backend_nbagg import Canvas, FigureManager
from matplotlib.figure import Figure


class WholeCanvas(Canvas):
    """A canvas that sends whole pictures only; `size` is width and height of its figure in inches.

    A browser clears a resized canvas, perhaps after it was drawn, and a difference picture would leave holes.
    JupyterLab may run each control in a thread: handlers that fill the figure hold `lock`, and drawing waits for it.
    """

    def __init__(self, size: tuple[float, float] | None = None):
        self.lock = RLock()
        super().__init__(Figure(size, dpi=90))
        FigureManager(self, 0)
        self.toolbar_visible = self.header_visible = self.footer_visible = self.resizable = False

    def _handle_message(self, *message: object) -> None:
        with self.lock:
            super()._handle_message(*message)

    def get_diff_image(self) -> bytes | None:
        self._force_full = True
        return super().get_diff_image()


def in_turn(handler: Callable) -> Callable:
    """Let an explorer's handler wait for the canvas and for other handlers."""

    @wraps(handler)
    def handle(explorer: ipywidgets.Widget, change: object = None) -> None:
        with explorer.canvas.lock:
            handler(explorer, change)

    return handle


@contextmanager
def together(controls: Sequence[ipywidgets.Widget], draw: Callable) -> Iterator[None]:
    """Change several controls that each `draw` by themselves, and draw once afterwards."""
    for control in controls:
        control.unobserve(draw, "value")
    yield
    for control in controls:
        control.observe(draw, "value")
    draw()
