"""Frames of maps: the reach of attention layers, and the spread of local attribution maps."""

from __future__ import annotations

import pandas as pd
from jaxtyping import UInt8
from torch import Tensor

from srlab.analysis import layers
from srlab.analysis.attribution import diffusion_index, local_attribution
from srlab.analysis.images import SIDE, centre, corners, pair
from srlab.study.records import Weights
from srlab.study.study import Study

#: The networks with maps of several layers.
MAPPED = ("lcoan", "trunk_lsp", "trunk_nla")
#: Photographs and corners of each, for reach; then side (LR pixels), photographs and corners for attribution.
IMAGES, CORNERS = 3, 8
ATTRIBUTED = (64, 4, 2)
#: A layer with weights as even as over more than this share of its keys averages.
EVEN = 0.95
PLACE = ["name", "row", "col"]
CONTROL = "no_attention"


def weights(study: Study, model: str) -> Weights:
    """Return a network's weights from the first seed; the reference's if the study has not trained it."""
    return study.obtain_weights(study.training(model))


def photographs(study: Study, count: int = IMAGES, side: int = SIDE) -> dict[str, UInt8[Tensor, "3 _h _w"]]:
    """Return the LR images of the first photographs, or their middle, by name."""
    return {ref.name: centre(pair(ref, study.profile.scale)[0], side) for ref in study.pictures[:count]}


def reach(study: Study, side: int = SIDE) -> pd.DataFrame:
    """Measure `srlab.analysis.layers.reach` of every layer of `MAPPED`; medians over corners of photographs."""
    found = []
    for model in MAPPED:
        kept = weights(study, model)
        network = kept.network()
        for lr in photographs(study, side=side).values():
            places = corners(lr, CORNERS)
            for layer in layers.trace(network, lr):
                facts = {"model": model, "layer": layer.name, "run": kept.run.hash}
                found.append(layers.reach(layer, places).drop(columns=["row", "col"]).assign(**facts))
    return pd.concat(found).groupby(["model", "layer", "run"], sort=False).median().reset_index()


def attribution(study: Study, side: int = SIDE) -> pd.DataFrame:
    """Measure the spread of local attribution maps of every network at the strongest corners of photographs.

    Columns: model, name, row, col, diffusion_index (100 for equal contributions of all LR pixels), run.
    """
    largest, images, count = ATTRIBUTED
    places = [
        (name, lr, *place)
        for name, lr in photographs(study, images, min(side, largest)).items()
        for place in corners(lr, count)
    ]
    rows = []
    for model in study.profile.models:
        kept = weights(study, model)
        network = kept.network()
        for name, lr, row, col in places:
            index = diffusion_index(local_attribution(network, lr, row, col, steps=10))
            rows.append((model, name, row, col, index, kept.run.hash))
    return pd.DataFrame(rows, columns=["model", *PLACE, "diffusion_index", "run"])


def beyond_convolutions(attributed: pd.DataFrame) -> pd.DataFrame:
    """Add `gain`: the diffusion index less that of the trunk without attention at the same place; NaN without it."""
    own = attributed.loc[attributed["model"] == CONTROL, [*PLACE, "diffusion_index"]]
    both = attributed.merge(own, on=PLACE, how="left", suffixes=("", "_control"))
    return both.assign(gain=both["diffusion_index"] - both["diffusion_index_control"])
