"""Maps: the pixels that attention layers look at, and those that networks use."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from pydantic import BaseModel, PositiveInt

from srlab.chapters.maps import figures, frames
from srlab.models.registry import label
from srlab.stats.words import between, count, number, percent, signed
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

QUESTION = "Where does a pixel look?"


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter, in LR pixels."""

    query: tuple[int, int] | None = None  # row and column in figures; by default the strongest corner of each image
    side: PositiveInt = frames.SIDE  # of the middle of each image


def runs(study: Study, settings: Settings) -> list[TrainingRun]:
    """Return the networks of the maps and of the profile, from the first seed."""
    return [study.training(model) for model in dict.fromkeys([*frames.MAPPED, *study.profile.models])]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute the reach of attention layers (`reach`) and the spread of local attribution maps (`attribution`)."""
    return {"reach": frames.reach(study, settings.side), "attribution": frames.attribution(study, settings.side)}


FIGURES = {
    "attention": figures.attention,
    "clusters_and_windows": figures.clusters_and_windows,
    "gallery": figures.gallery,
    "attribution": figures.attribution,
}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Summarise how far layers look, how evenly they weigh, and how many pixels contribute to restored detail."""
    reach, attributed = tables["reach"], tables["attribution"]
    share = reach["keys_effective"] / reach["keys_seen"]
    index = attributed.groupby("model", sort=False)["diffusion_index"].mean()
    places = len(attributed[frames.PLACE].drop_duplicates())
    gains = frames.beyond_convolutions(attributed).groupby("model", sort=False)["gain"].agg(["mean", "min"])
    wider = gains[gains["min"] > 0].sort_values("mean", ascending=False)
    lines = [
        f"By weight, the keys of a query lie {between(reach['distance'], 0)} LR pixels away on average; a random pixel "
        f"lies {number(reach['distance_even'].median(), 0)} away. Restored detail draws on few pixels: as "
        f"if {between(index)} % of the image contributed equally, with and without attention. One seed describes "
        "these networks and gives no verdict on mechanisms.",
        f"{(share > frames.EVEN).sum()} of {count(len(reach), 'layer')} weigh their keys as evenly as over more than "
        f"{percent(frames.EVEN)} of them: such a layer averages what is visible.",
        "\n".join(
            f"- {label(model)}: {number(own['keys_seen'].median(), 0)} visible pixels, {between(own['distance'], 0)} "
            f"LR pixels away by weight; weights as even as over {between(100 * share[own.index], 0)} % of them."
            for model, own in reach.groupby("model", sort=False)
        ),
    ]
    if len(wider):
        named = "; ".join(f"{label(row.Index)} {signed(row.mean)}" for row in wider.itertuples())
        lines.append(
            f"At each of {count(places, 'place')}, contributions spread wider than in the trunk without attention. "
            f"Mean difference of the diffusion index (100 for equal contributions of all pixels): {named}."
        )
    return "\n\n".join(lines)
