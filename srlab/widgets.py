"""Things to click on in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from html import escape

import ipywidgets
from ipympl.backend_nbagg import Canvas, FigureManager
from jaxtyping import UInt8
from matplotlib.backend_bases import MouseEvent
from matplotlib.figure import Figure
from torch import Tensor

from srlab import plots
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.inspection import LayerTrace, View, centre, corners, pair, trace, view
from srlab.runs import Study


class Explorer(ipywidgets.VBox):
    """Choose an image, a trained network and a layer, and ask a pixel where it looks.

    Ask by a click on any of the maps or, from the keyboard, by row and column. Whatever cannot be shown is
    explained in `status`.

    Parameters
    ----------
    study : Study
        Offered are the networks of its comparison, trained from the first seed, and the middle, at most
        128×128 LR pixels, of the images of its benchmarks.

    Attributes
    ----------
    image, network, layer : ipywidgets.Dropdown
    row, col : ipywidgets.BoundedIntText
        The query's pixel.
    canvas : ipympl.backend_nbagg.Canvas
        Its figure has four axes: image, weights, clusters, windows.
    status : ipywidgets.HTML
    view : View or None
        What is drawn.
    """

    def __init__(self, study: Study):
        self.study = study
        self.view: View | None = None
        self._runs = {r.network.model: r for r in study.comparison() if r.seed == study.profile.seeds[0]}
        refs = {f"{name}: {ref.name}": ref for name, refs in study.data.benchmarks.items() for ref in refs}
        self.image = ipywidgets.Dropdown(options=refs, description="image")
        self.network = ipywidgets.Dropdown(options=list(self._runs), description="network")
        self.layer = ipywidgets.Dropdown(description="layer")
        self.row = ipywidgets.BoundedIntText(description="row")
        self.col = ipywidgets.BoundedIntText(description="column")
        self.status = ipywidgets.HTML()
        self.canvas = Canvas(Figure((8, 7.5), dpi=90))
        FigureManager(self.canvas, 0)
        self.canvas.toolbar_visible = self.canvas.header_visible = self.canvas.footer_visible = False
        self.canvas.mpl_connect("button_press_event", self._click)
        self._traced = lru_cache(maxsize=16)(self._trace)

        if "lcoan" in self._runs:
            self.network.value = "lcoan"
        for control in (self.layer, self.row, self.col):
            control.observe(self._draw, "value")
        self._choose_image()
        self._choose_network()
        self.image.observe(self._choose_image, "value")
        self.network.observe(self._choose_network, "value")
        choices = ipywidgets.HBox([self.image, self.network, self.layer])
        query = ipywidgets.HBox([self.row, self.col])
        super().__init__([choices, query, self.status, self.canvas])

    def _trace(self, ref: ImageRef, model: str) -> tuple[UInt8[Tensor, "3 h w"], list[LayerTrace]]:
        record = self.study.record(self._runs[model])
        if not record.finished:
            raise InputError(f"run {record.run.name} is not finished: run the notebook's cells above first")
        lr = self._lr(ref)
        return lr, trace(record.network(), lr)

    def _lr(self, ref: ImageRef) -> UInt8[Tensor, "3 h w"]:
        return centre(pair(ref, self.study.profile.scale)[0])

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Change layer, row and column, and draw once."""
        for control in (self.layer, self.row, self.col):
            control.unobserve(self._draw, "value")
        yield
        for control in (self.layer, self.row, self.col):
            control.observe(self._draw, "value")
        self._draw()

    def _choose_image(self, _change: object = None) -> None:
        """Start at the image's strongest corner."""
        lr = self._lr(self.image.value)
        with self._together():
            self.row.max, self.col.max = lr.shape[1] - 1, lr.shape[2] - 1
            self.row.value, self.col.value = corners(lr, 1)[0]

    def _choose_network(self, _change: object = None) -> None:
        """Offer the network's layers, and stay at the layer where it has one of that number."""
        with self._together():
            chosen = self.layer.index or 0
            self.layer.options = ()
            try:
                _, layers = self._traced(self.image.value, self.network.value)
            except InputError:
                return  # drawing says why
            self.layer.options = [(f"{i + 1}: {layer.mechanism}", i) for i, layer in enumerate(layers)]
            self.layer.index = min(chosen, len(layers) - 1)

    def _click(self, event: MouseEvent) -> None:
        if event.inaxes in self.canvas.figure.axes[:4]:
            with self._together():
                self.row.value, self.col.value = round(event.ydata), round(event.xdata)

    def _draw(self, _change: object = None) -> None:
        try:
            lr, layers = self._traced(self.image.value, self.network.value)
            self.view = view(layers[self.layer.value or 0], lr, self.row.value, self.col.value)
        except InputError as error:
            self.view = None
            self.canvas.figure.clear()
            self.status.value = f"<b>{escape(str(error))}</b>"
        else:
            plots.draw_view(self.canvas.figure, self.view)
            self.status.value = escape(plots.describe(self.view))
        self.canvas.draw_idle()
