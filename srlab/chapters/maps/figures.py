"""Figures of maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.analysis import explore
from srlab.analysis.images import corners
from srlab.analysis.layers import trace
from srlab.analysis.views import View, view
from srlab.chapters.maps.frames import CONTROL, IMAGES, PLACE, beyond_convolutions, photographs, weights
from srlab.models import REGISTRY
from srlab.models.registry import label
from srlab.plots import galleries
from srlab.plots.estimates import forest
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption
from srlab.stats.words import count
from srlab.study.frames import averaged, named
from srlab.study.study import Study
from srlab.weights.identify import find_weights

if TYPE_CHECKING:
    from srlab.chapters.maps import Settings

#: Layers to show, by network: names and indices.
LAYERS = {
    "lcoan": {"all layers": 0},
    "trunk_lsp": {"first layer": 0, "last layer": -1},
    "trunk_nla": {"first layer": 0, "last layer": -1},
}
#: Layers with a panel of their sorted sequence.
SORTED = {"lcoan": {"all layers": 0}, "trunk_lsp": {"last layer": -1}}


def _views(
    study: Study, settings: Settings, layers: Mapping[str, Mapping[str, int]], images: int
) -> list[dict[str, View]]:
    """Return the views of one query in each photograph, by the name of the layer."""
    networks = {model: weights(study, model).network() for model in layers}
    rows = []
    for lr in photographs(study, images, settings.side).values():
        row, col = settings.query or corners(lr, 1)[0]
        traces = {model: trace(network, lr) for model, network in networks.items()}
        rows.append(
            {
                f"{label(model)}, {name}": view(traces[model][index], lr, row, col)
                for model, named in layers.items()
                for name, index in named.items()
            }
        )
    return rows


def attention(study: Study, settings: Settings) -> Figure:
    """Draw the weights of one query of each photograph in the layers of three networks."""
    rows = _views(study, settings, LAYERS, IMAGES)
    note = f"Circles: the queries{_corner(settings)}. 1 is the weight of each pixel under equal weights. First seed."
    return galleries.weight_maps(rows, "Weights of one query in the attention layers of three networks", note)


def clusters_and_windows(study: Study, settings: Settings) -> Figure:
    """Draw the clusters and sorted windows of the mechanisms that sort, for one query of each of two photographs."""
    rows = _views(study, settings, SORTED, IMAGES - 1)
    note = "Clusters by colour, the query's in vermilion. Windows of the sorted sequence: black is the query's own, "
    note += "blue the previous, orange the next. Strips: grey changes from cluster to cluster; the red stroke is the "
    note += "query, black strokes are borders of windows. In a cluster longer than three windows, a query sees its "
    note += "neighbours in reading order: stripes."
    return galleries.sorted_maps(rows, "From clusters to windows: pixels sorted by cluster, cut into windows", note)


def gallery(study: Study, settings: Settings) -> Figure:
    """Draw one pixel in the first attention layer of every network: its map, and the SR around it."""
    models = [model for model in study.profile.models if model != CONTROL]
    for model in models:
        weights(study, model)
    scene = explore.open_scene(study, next(iter(explore.images(study))))
    looks = [explore.look(scene, model, *(settings.query or scene.start)) for model in models]
    sources = ", ".join(sorted({look.source for look in looks}))
    note = f"Above: weights of the query in the circle{_corner(settings)}, first attention layer; below: SR around it, "
    note += f"with the Y-PSNR of the part. Weights: {sources}."
    return galleries.gallery(looks, "One pixel in every network: its weights and its SR", note)


def released(study: Study, folder: str | Path) -> dict[int, Figure]:
    """Draw one pixel in four layers (first two, middle, last) of released networks, a figure a scale."""
    files = [file for file in find_weights(Path(folder)) if file.model in REGISTRY]
    drawn = {}
    for scale in sorted({file.scale for file in files}):
        scene, looks = explore.open_scene(study, next(iter(explore.images(study))), scale), []
        for model, path in ((file.model, str(file.path)) for file in files if file.scale == scale):
            last = len(scene.traced(model, path).layers) - 1
            shown = sorted({0, min(1, last), (last + 1) // 2, last})
            looks += [explore.look(scene, model, *scene.start, layer, weights=path) for layer in shown]
        note = "Above: weights of the query in the circle; below: SR around it, with the Y-PSNR of the part."
        drawn[scale] = galleries.gallery(looks, f"One pixel in released networks ×{scale}, in several layers", note)
    return drawn


@rc_context(HOUSE)
def attribution(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the diffusion index of local attribution, the widest first, and its difference from no attention."""
    found = beyond_convolutions(tables["attribution"])
    places, photos = len(found[PLACE].drop_duplicates()), found["name"].nunique()
    means = found.groupby("model")["diffusion_index"].mean().sort_values(ascending=False)
    found = found.set_index("model").loc[means.index].reset_index()
    figure = blank(DOUBLE, 0.24 * len(means) + 1.3)
    index, gain = figure.subplots(1, 2, sharey=True)
    for ax, column, zero in ((index, "diffusion_index", None), (gain, "gain", 0.0)):
        dots = named(found, value=column)
        forest(ax, averaged(dots), dots, zero=zero)
    index.set_xlabel("diffusion index (100: all LR pixels equal)")
    gain.set_xlabel("difference from no attention, same place")
    note = f"Local attribution maps at {count(places, 'place')}, the strongest corners of "
    note += f"{count(photos, 'photograph')}. Small: each place; large: their mean. One seed."
    caption(figure, "Spread of the LR pixels that contribute to restored detail", note)
    return figure


def _corner(settings: Settings) -> str:
    return "" if settings.query else ", the strongest corner of the image"
