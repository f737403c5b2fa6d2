"""The cluster explorer: a widget that shows clusters of an image at any kept step of training."""

from __future__ import annotations

from functools import lru_cache
from html import escape

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.backend_bases import MouseEvent

from srlab.analysis.images import pair
from srlab.chapters.clusters.figures import cluster_view
from srlab.chapters.clusters.frames import turned
from srlab.chapters.clusters.maps import ClusterMap, kept_centroids, largest_first, over_training
from srlab.data.layouts import ImageRef
from srlab.errors import InputError
from srlab.models.registry import label
from srlab.plots.images import LR_PIXELS
from srlab.stats.words import number, percent
from srlab.study.records import HERE
from srlab.study.study import Study
from srlab.training import Snapshots, centroids_of
from srlab.widgets.canvas import WholeCanvas, in_turn, together


class ClusterExplorer(ipywidgets.VBox):
    """Inspect a cluster of an image, by a trained network at a step of its training.

    Choose the cluster by a click on the image or its cluster map, or by number. Networks are the study's that learn
    centroids (first seed; the reference's until they are trained), images those of its benchmarks, whole. Steps are
    those with kept centroids; only the last step of a run that kept none. `map` is the ClusterMap that is drawn, or
    None; `status` explains why.
    """

    def __init__(self, study: Study):
        self.study, self.map = study, None
        runs = [*study.comparison(), *study.chapter("clusters").runs]
        offered = [run for run in runs if run.seed == study.profile.seeds[0] and "clusters" in run.network.options]
        self._runs = {label(study.label(run)): run for run in sorted(offered, key=lambda run: run.network.model)}
        images = {"held-out": study.pictures, **study.data.benchmarks}
        photographs = {f"{name}: {ref.name}": ref for name, refs in images.items() for ref in refs}
        self.image = ipywidgets.Dropdown(
            options=photographs, description="image", tooltip="HR image; its LR image is shown"
        )
        self.network = ipywidgets.Dropdown(
            options=list(self._runs), description="network", tooltip="Trained network that learns centroids"
        )
        self.layer = ipywidgets.Dropdown(description="layer", tooltip="Layer that learns centroids")
        self.step = ipywidgets.SelectionSlider(
            options=[0],
            description="step",
            continuous_update=False,
            tooltip="Step of training of the centroids that divide the image; features are the trained network's",
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

    def _divide(self, ref: ImageRef, name: str | None) -> tuple[dict[str, dict[int, ClusterMap]], Snapshots, str]:
        """Return an image's maps by layer and step, the kept centroids if any, and the weights' source."""
        if name is None:
            raise InputError(f"profile '{self.study.profile.name}' trains no network that learns centroids")
        run = self._runs[name]
        if (weights := self.study.weights(run)) is None:
            raise InputError(f"run {run.name} is not finished: run the notebook's cells above first")
        network = weights.network()
        kept = kept_centroids(self.study.record(run)) if weights.source == HERE else {}
        snapshots = kept or {run.budget.steps: centroids_of(network)}
        return over_training(network, pair(ref, run.scale)[0], snapshots), kept, weights.source

    @in_turn
    def _choose_network(self, _change: object = None) -> None:
        """Offer the network's layers and steps; start at the last step, with the image's largest cluster."""
        with together(self._queries, self._draw):
            try:
                maps, _, _ = self._divided(self.image.value, self.network.value)
            except InputError:
                return  # drawing explains it
            self.layer.options = [(f"layer {i}", name) for i, name in enumerate(maps, 1)]
            self.layer.index = 0
            steps = maps[self.layer.value]
            self.step.options = list(steps)
            self.step.value = max(steps)
            self.step.disabled = len(steps) == 1
            self.cluster.max = len(steps[self.step.value].centroids) - 1
            self.cluster.value = largest_first([steps[self.step.value]])[0]

    @in_turn
    def _click(self, event: MouseEvent) -> None:
        if self.map and event.inaxes is not None and event.inaxes.get_label() == LR_PIXELS:
            self.cluster.value = int(self.map.clusters[round(event.ydata), round(event.xdata)])

    @in_turn
    def _draw(self, _change: object = None) -> None:
        cluster, step, layer = self.cluster.value, self.step.value, self.layer.value
        try:
            maps, kept, source = self._divided(self.image.value, self.network.value)
        except InputError as error:
            self.map = None
            self.canvas.figure.clear()
            self.status.value = f"<b>{escape(str(error))}</b>"
        else:
            self.map = maps[layer][step]
            size, rows = self.map.sizes[cluster], None
            words = f"cluster {cluster} at step {step}: {size:,} tokens, {percent(size / self.map.clusters.size)}"
            if kept:
                degrees = turned(kept, layer)
                rows = pd.DataFrame(np.quantile(degrees, [0.25, 0.5, 0.75], axis=1).T, columns=["q25", "median", "q75"])
                rows = rows.assign(step=list(kept), chosen=degrees[:, cluster])
                moved = rows.set_index("step").loc[step, "chosen"]
                words += f"; its centroid turned by {number(moved, 1)}° since step {min(kept)}"
            cluster_view(self.canvas.figure, self.map, maps[layer][max(maps[layer])], cluster, rows)
            self.status.value = escape(f"{self.network.value}, {words}. Weights: {source}.")
        self.canvas.draw_idle()
