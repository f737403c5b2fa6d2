"""Which figure is drawn by which function from which tables, so that anyone can draw it again from them.

A figure of numbers is drawn from what its tables hold after they were written, never from anything else; what
it shows is kept beside it, so that figure and tables can be compared at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from srlab.errors import InputError
from srlab.files import write_text
from srlab.plots import (
    at_work,
    branched,
    by_image,
    claims,
    cost_claims,
    field,
    field_kinds,
    field_reach,
    inside,
    latency,
    recall,
    reuse,
    studies,
    sweeps,
    ways,
)
from srlab.plots.output import save


class Drawing(NamedTuple):
    """A function of data frames, and the tables that hold them."""

    draw: Callable[..., Figure]
    tables: tuple[str, ...]


DRAWINGS = {
    "sharing": Drawing(studies.sharing, ("sharing_images", "sharing_costs")),
    "clusters": Drawing(sweeps.clusters, ("clusters_images", "clusters_costs", "clusters_evenness")),
    "cluster_ways": Drawing(ways.cluster_ways, ("cluster_ways_sizes", "cluster_ways_evenness")),
    "window": Drawing(sweeps.window, ("window_images", "window_costs", "window_evenness")),
    "scaling": Drawing(latency.scaling, ("timing",)),
    "inside": Drawing(inside.inside, ("inside",)),
    "comparison": Drawing(studies.comparison, ("comparison_images", "comparison_costs", "bicubic_images")),
    "gains": Drawing(by_image.gains, ("comparison_images",)),
    "convergence": Drawing(studies.convergence, ("comparison_curves",)),
    "centroids": Drawing(sweeps.centroids, ("centroids_images", "centroids_drift", "centroids_evenness")),
    "depth": Drawing(sweeps.depth, ("depth_similarity", "depth_images", "depth_costs")),
    "units": Drawing(sweeps.units, ("units_images", "units_costs")),
    "photographs": Drawing(sweeps.photographs, ("photographs_images",)),
    "recipes": Drawing(sweeps.recipes, ("recipes",)),
    "kinds": Drawing(sweeps.kinds, ("kinds_images",)),
    "backends": Drawing(latency.backends, ("backends",)),
    "sides": Drawing(sweeps.sides, ("sides_images",)),
    "routing": Drawing(latency.routing, ("routing",)),
    "scales": Drawing(latency.scales, ("scales",)),
    "limits": Drawing(latency.limits, ("limits",)),
    "roofline": Drawing(latency.roofline, ("roofline",)),
    "at_work": Drawing(at_work.at_work, ("at_work",)),
    "cost_claims": Drawing(cost_claims.cost_claims, ("cost_claims",)),
    "branched": Drawing(branched.branched, ("branched_gains", "branched_seeds", "branched_gates")),
    "field": Drawing(field.field, ("field", "field_published")),
    "maps": Drawing(reuse.maps, ("maps", "maps_example", "maps_around")),
    "reused": Drawing(reuse.reused, ("reused", "reused_psnr")),
    "reach": Drawing(field_reach.reach, ("reach_places",)),
    "similarity": Drawing(field_kinds.similarity, ("similarity_images", "similarity_correlations", "similarity_kinds")),
    "claims": Drawing(claims.claims, ("claims",)),
    "recall": Drawing(recall.recall, ("recall_groups", "recall_seeds")),
    "recall_dials": Drawing(recall.recall_dials, ("recall",)),
    "recall_cost": Drawing(recall.recall_cost, ("recall_costs",)),
    "recall_curves": Drawing(recall.recall_curves, ("recall_curves",)),
}


def draw(name: str, study_folder: Path, *frames: pd.DataFrame) -> Image:
    """Write a figure's tables, and draw it from them.

    Parameters
    ----------
    name : str
        A key of `DRAWINGS`.
    study_folder : Path
        Receives tables/TABLE.csv for each frame, figures/NAME.png and .svg, and figures/NAME.json, what is
        shown.
    *frames : DataFrame
        In the order of the drawing's tables.

    Returns
    -------
    Image
    """
    for table, frame in zip(DRAWINGS[name].tables, frames, strict=True):
        write_text(study_folder / "tables" / f"{table}.csv", frame.to_csv(index=False))
    figure = redraw(name, study_folder)
    write_text(study_folder / "figures" / f"{name}.json", json.dumps(shown(figure)) + "\n")
    return save(figure, study_folder, name)


def redraw(name: str, study_folder: Path) -> Figure:
    """Draw a figure from the tables of a study.

    Raises
    ------
    InputError
        If there is no such drawing, or a table of it is missing.
    """
    if name not in DRAWINGS:
        raise InputError(f"drawing '{name}' is unknown; there are: {', '.join(DRAWINGS)}")
    drawing = DRAWINGS[name]
    frames = []
    for table in drawing.tables:
        path = study_folder / "tables" / f"{table}.csv"
        if not path.is_file():
            raise InputError(f"{path}: no such table; the notebook that draws '{name}' writes it")
        frames.append(pd.read_csv(path))
    return drawing.draw(*frames)


def shown(figure: Figure) -> dict:
    """What a figure shows: its message and note, and of each of its axes words, lines, sets of markers, bars and cells.

    Numbers have nine significant digits.
    """
    parts = [figure, *figure.subfigs]
    return {
        "message": " ".join(part.get_suptitle() for part in parts).strip(),
        "note": " ".join(part.get_supxlabel() for part in parts).strip(),
        "axes": [_shown(ax) for ax in figure.axes],
    }


def _shown(ax: Axes) -> dict:
    marks = [c for c in ax.collections if isinstance(c, PathCollection)]
    bars = [p for p in ax.patches if isinstance(p, Rectangle)]
    return {
        "x": ax.get_xlabel(),
        "y": ax.get_ylabel(),
        "title": ax.get_title(),
        "words": [text.get_text() for text in ax.texts],
        "lines": [_digits(np.column_stack(line.get_data(orig=True))) for line in ax.lines],
        "marks": [_digits(mark.get_offsets()) for mark in marks],
        "bars": _digits([(bar.get_x(), bar.get_width(), bar.get_y(), bar.get_height()) for bar in bars]),
        "cells": [_digits(image.get_array()) for image in ax.images],
    }


def _digits(numbers: object) -> list[list[float | None]]:
    rows = np.ma.filled(np.ma.asarray(numbers, dtype=float), np.nan).reshape(-1, np.shape(numbers)[-1] or 1)
    return [[float(f"{number:.9g}") if np.isfinite(number) else None for number in row] for row in rows]
