"""The cluster explorer: a widget that shows clusters of an image at any kept step of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from html import escape

import ipywidgets
import pandas as pd
from matplotlib.backend_bases import MouseEvent

from srlab import plots, stats
from srlab.analysis import explore
from srlab.analysis.centroids import (
    ClusterMap,
    ClusterView,
    clusters_over_training,
    drift,
    largest_first,
    view_cluster,
)
from srlab.analysis.images import pair
from srlab.analysis.layers import trace
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.study.records import HERE
from srlab.study.runs import TrainingRun
from srlab.study.study import Study
from srlab.training import centroids_of
from srlab.widgets.canvas import WholeCanvas, in_turn


class ClusterExplorer(ipywidgets.VBox):
    """Inspect a cluster of an image, by a trained network at a step of its training.

    Choose the cluster by a click on the image or its cluster map, or by number. `status` explains whatever cannot be
    shown. The plain functions are `srlab.analysis.centroids` and `srlab.plots.cluster_view`.

    Parameters
    ----------
    study : Study
        Offers its trained networks that learn centroids (first seed; the reference's until they are trained), and the
        images of its benchmarks, whole.

    Attributes
    ----------
    image, network, layer : ipywidgets.Dropdown
    step : ipywidgets.SelectionSlider
        Steps with kept centroids; only the last step of a run that kept none.
    cluster : ipywidgets.BoundedIntText
    canvas : ipympl.backend_nbagg.Canvas
    status : ipywidgets.HTML
    view : ClusterView or None
        The drawn view.
    """

    def __init__(self, study: Study):
        self.study = study
        self.view: ClusterView | None = None
        seed = study.profile.seeds[0]
        runs = [run for run in study.trained() if run.seed == seed and "clusters" in run.network.options]
        self._runs = {self._name(run): run for run in sorted(runs, key=lambda run: run.network.model)}
        self.image = ipywidgets.Dropdown(
            options=explore.images(study), description="image", tooltip="HR image; its LR image is shown"
        )
        self.network = ipywidgets.Dropdown(
            options=list(self._runs), description="network", tooltip="Trained network that learns k centroids"
        )
        self.layer = ipywidgets.Dropdown(description="layer", tooltip="Layer that learns centroids")
        self.step = ipywidgets.SelectionSlider(
            options=[0],
            description="step",
            continuous_update=False,
            tooltip="Step of training whose centroids divide the image; features are the trained network's",
        )
        self.cluster = ipywidgets.BoundedIntText(
            description="cluster", tooltip="Number of the cluster, from 0; or click on the image or the map"
        )
        self.status = ipywidgets.HTML()
        self.canvas = WholeCanvas((9.0, 6.6))
        self.canvas.mpl_connect("button_press_event", self._click)
        self._divided = lru_cache(maxsize=8)(self._divide)

        self._queries = (self.layer, self.step, self.cluster)
        for control in self._queries:
            control.observe(self._draw, "value")
        self._choose_network()
        self.image.observe(self._draw, "value")
        self.network.observe(self._choose_network, "value")
        choices = ipywidgets.HBox([self.image, self.network, self.layer])
        super().__init__([choices, ipywidgets.HBox([self.step, self.cluster]), self.status, self.canvas])

    def _name(self, run: TrainingRun) -> str:
        """Return a unique name: the model, k, and the options that are not the profile's."""
        options, usual = run.network.options, self.study.network(run.network.model).options
        own = [
            f"{'w' if key == 'window' else key.replace('_', ' ')} = {value}"
            for key, value in options.items()
            if key != "clusters" and value != usual[key]
        ]
        if run.photographs:
            own.append(f"{run.photographs} photographs")
        return ", ".join([f"{run.network.model}, k = {options['clusters']}", *own])

    def _divide(
        self, ref: ImageRef, name: str | None
    ) -> tuple[dict[str, dict[int, ClusterMap]], pd.DataFrame | None, str]:
        """Return an image's clusters by layer and step, the drift of centroids if kept, and the weights' source."""
        if name is None:
            raise InputError(f"profile '{self.study.profile.name}' trains no network that learns centroids")
        run = self._runs[name]
        if (weights := self.study.weights(run)) is None:
            raise InputError(f"run {run.name} is not finished: run the notebook's cells above first")
        network, record = weights.network(), self.study.record(run)
        kept = weights.source == HERE and record.kept_centroids
        snapshots = record.centroids() if kept else {run.budget.steps: centroids_of(network)}
        lr, _ = pair(ref, run.scale)
        layers = {layer.name: layer for layer in trace(network, lr)}
        learning = next(iter(snapshots.values()))
        maps = {layer: clusters_over_training(lr, layers[layer], snapshots) for layer in learning}
        return maps, drift([record]) if kept else None, weights.source

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Change layer, step and cluster, and draw once."""
        for control in self._queries:
            control.unobserve(self._draw, "value")
        yield
        for control in self._queries:
            control.observe(self._draw, "value")
        self._draw()

    @in_turn
    def _choose_network(self, _change: object = None) -> None:
        """Offer the network's layers and steps; start at the last step, with the image's largest cluster."""
        with self._together():
            try:
                maps, _, _ = self._divided(self.image.value, self.network.value)
            except InputError:
                return  # drawing says why
            self.layer.options, self.layer.index = list(maps), 0
            steps = maps[self.layer.value]
            self.step.options = list(steps)
            self.step.value = max(steps)
            self.step.disabled = len(steps) == 1
            self.cluster.max = steps[self.step.value].count - 1
            self.cluster.value = largest_first([steps[self.step.value]])[0]

    @in_turn
    def _click(self, event: MouseEvent) -> None:
        if self.view and event.inaxes is not None and event.inaxes.get_label() == plots.LR_PIXELS:
            self.cluster.value = int(self.view.now.clusters[round(event.ydata), round(event.xdata)])

    @in_turn
    def _draw(self, _change: object = None) -> None:
        try:
            maps, moved, source = self._divided(self.image.value, self.network.value)
            layer = self.layer.value
            self.view = view_cluster(
                f"{self.network.value}, {layer}",
                maps[layer],
                self.step.value,
                self.cluster.value,
                None if moved is None else moved[moved["layer"] == layer],
            )
        except InputError as error:
            self.view = None
            self.canvas.figure.clear()
            self.status.value = f"<b>{escape(str(error))}</b>"
        else:
            plots.cluster_view(self.view, self.canvas.figure)
            told = stats.describe_cluster(self.view), explore.whose({self.network.value: source})
            self.status.value = "<br>".join(map(escape, told))
        self.canvas.draw_idle()
