"""One pixel in several networks, side by side: what the explorers show, as plain functions.

scene = open_scene("quick", "held-out: brick")
plots.attention([look(scene, "lcoan", 31, 87), look(scene, "trunk_nla", 31, 87, layer=1)])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from srlab.analysis.attribution import diffusion_index, local_attribution
from srlab.analysis.images import SIDE, TaskImage, centre, corners, differ, pair, picture
from srlab.analysis.layers import LayerTrace, receptive_field, trace
from srlab.analysis.views import Values, View, view
from srlab.data.layouts import ImageRef
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality
from srlab.models import build, entry
from srlab.models.registry import label
from srlab.study.records import HERE
from srlab.study.runs import Run
from srlab.study.study import Study
from srlab.weights.checkpoints import open_network

TRAINED, UNTRAINED = "trained", "untrained"
CROP = 24  # LR pixels a side of the SR crop around the query


@dataclass
class Traced:
    """A network that ran once on a scene: the source of its weights, its layers, its SR and Y-PSNR (dB)."""

    network: nn.Module
    source: str
    layers: list[LayerTrace]
    sr: UInt8[Tensor, "3 sh sw"]
    psnr: float


@dataclass
class Scene:
    """An image to inspect, and the networks that ran on it (`traces`); `open_scene` makes one.

    `name` is a key of `images`, or a file. `cut` images are only the middle of a larger one. On a task image, networks
    are those trained on the task.
    """

    study: Study
    name: str
    lr: UInt8[Tensor, "3 h w"]
    hr: UInt8[Tensor, "3 sh sw"]
    scale: int
    cut: bool
    task: TaskImage | None = None
    traces: dict[tuple[str, str], Traced] = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        """The image's name in figures: a file without its folder."""
        return self.name if self.name in images(self.study) else Path(self.name).name

    @property
    def start(self) -> tuple[int, int]:
        """(row, column) of the query to show first: a task image's own, or the strongest corner."""
        return self.task.start() if self.task else corners(self.lr, 1)[0]

    def traced(self, model: str, weights: str = TRAINED) -> Traced:
        """Run a network on this image, once; raise as `open_model`, or if the network has no attention layer."""
        key = (model, weights)
        if key not in self.traces:
            network, source = open_model(self.study, model, self.scale, weights, self.task)
            layers = trace(network, self.lr)
            sr = super_resolve(network, self.lr, self.scale)
            psnr = image_quality(sr, self.hr, self.scale)["psnr_y"]
            self.traces[key] = Traced(network, source, layers, sr, psnr)
        return self.traces[key]


@dataclass(frozen=True)
class Restored:
    """A network's SR around the query, beside HR; `difference` is Y of SR minus Y of HR, in levels of 255.

    `psnr` is the Y-PSNR (dB, Y rounded) of the whole scene without a border of `scale` pixels, `psnr_here` the crop's.
    """

    sr: UInt8[np.ndarray, "_h _w 3"]
    hr: UInt8[np.ndarray, "_h _w 3"]
    difference: Float[np.ndarray, "_h _w"]
    psnr: float
    psnr_here: float


@dataclass(frozen=True)
class Look:
    """One query in one layer of one network, and the network's SR around it.

    `source` is that of the weights, as `open_model` returns it; `image` is the title of the scene.
    """

    model: str
    source: str
    image: str
    view: View
    restored: Restored

    @property
    def layer(self) -> str:
        """Mechanism and number of the layer, e.g. "LSP, layer 1 of 10"."""
        return self.view.layer

    @property
    def title(self) -> str:
        """The network's label, with the source of weights that the study did not train."""
        return label(self.model) if self.source == HERE else f"{label(self.model)}, {self.source}"


def images(study: Study) -> dict[str, ImageRef]:
    """Return the images to inspect by name: photographs if the study trains on them, and its chapters' task images."""
    benchmarks = {"held-out": study.pictures, **study.data.benchmarks} if study.profile.models else {}
    photographs = {f"{name}: {ref.name}": ref for name, refs in benchmarks.items() for ref in refs}
    return photographs | study.scenes()


def run_on(study: Study, model: str, image: ImageRef | None = None) -> Run:
    """Return the run that trains a network to inspect on an image: on a task image its own, else the study's."""
    return image.run(study, model) if isinstance(image, TaskImage) else study.training(model)


def open_scene(study: Study | str, image: str | Path, scale: int | None = None, side: int = SIDE) -> Scene:
    """Open one of a study's images, or any image file, as HR; `study` may be the name of its profile.

    `image` is a key of `images`, or a file; a missing or unreadable one, or one smaller than `scale`, raises
    InputError. The study's `scale` is the default. Of an image with more than `side` LR pixels a side the middle is
    opened.
    """
    study = Study(study) if isinstance(study, str) else study
    scale = scale or study.profile.scale
    ref = images(study).get(str(image)) or ImageRef(Path(image).stem, Path(image))
    lr, hr = pair(ref, scale)
    middle = centre(lr, side)
    sides = zip(lr.shape[1:], middle.shape[1:], strict=True)
    top, left = ((whole - part) // 2 * scale for whole, part in sides)
    height, width = (scale * length for length in middle.shape[1:])
    part = hr[:, top : top + height, left : left + width]
    task = ref if isinstance(ref, TaskImage) else None
    return Scene(study, str(image), middle, part, scale, cut=middle.shape != lr.shape, task=task)


def open_model(
    study: Study, model: str, scale: int, weights: str = TRAINED, image: ImageRef | None = None
) -> tuple[nn.Module, str]:
    """Return a network in evaluation mode, and the source of its weights.

    The source is "trained here", "reference: PROCESSOR", "UNTRAINED", or the file's name. InputError if the network is
    unknown, there are no trained weights at that scale, or the file does not fit.

    Weights are "trained", by the run of `run_on`, here or in the reference (see `srlab.study.Study.weights`), on a task
    image by the run on the task; "untrained", random, with the study's sizes, or the paper's if these do not fit; or a
    file, a checkpoint of srlab or of the network's authors.
    """
    entry(model)
    if weights == UNTRAINED:
        try:
            return study.network(model).build(scale, seed=0).eval(), "UNTRAINED"
        except InputError:  # the study's sizes do not fit this network
            return build(model, scale, seed=0).eval(), "UNTRAINED"
    if weights != TRAINED:
        return open_network(model, Path(weights), scale), Path(weights).name
    if scale != study.profile.scale:
        raise InputError(f"scale {scale}: the study trained its networks at ×{study.profile.scale}")
    run = run_on(study, model, image)
    if (kept := study.weights(run)) is None:
        remedy = f"run the notebook's cells above first, or choose the weights '{UNTRAINED}' or a file"
        raise InputError(f"run {run.name} is not finished: {remedy}")
    return kept.network(), kept.source


def look(
    scene: Scene,
    model: str,
    row: int,
    col: int,
    layer: int = 0,
    round: int = 0,
    weights: str = TRAINED,
    field: bool = False,
    attribution: bool = False,
) -> Look:
    """Inspect one query in one layer of a network, and its SR; a missing layer, round or pixel raises InputError.

    `model` and `weights` are as in `open_model`. LR pixel, attention layer (negative: from the last) and round of
    sorting count from 0. `field` adds the network's effective receptive field (one backward pass), `attribution` its
    local attribution map (about twenty).
    """
    traced = scene.traced(model, weights)
    if not -len(traced.layers) <= layer < len(traced.layers):
        raise InputError(f"layer {layer}: '{model}' has attention layers 0 to {len(traced.layers) - 1}")
    found = view(traced.layers[layer], scene.lr, row, col, round)
    more = []
    if field:
        more.append(("effective receptive field", receptive_field(traced.network, scene.lr, scene.scale, row, col)))
    if attribution:
        shares = local_attribution(traced.network, scene.lr, row, col)
        more.append((f"local attribution, diffusion index {diffusion_index(shares):.1f}", shares))
    maps = (Values(title, shares, on_image=True, logarithmic=True) for title, shares in more)
    found = replace(found, panels=(*found.panels, *maps))
    return Look(model, traced.source, scene.title, found, _restored(scene, traced, row, col))


def _restored(scene: Scene, traced: Traced, row: int, col: int) -> Restored:
    top, left = (
        scene.scale * min(max(0, at - CROP // 2), max(0, length - CROP))
        for at, length in ((row, scene.lr.shape[1]), (col, scene.lr.shape[2]))
    )
    side = scene.scale * CROP
    sr, hr = (image[:, top : top + side, left : left + side] for image in (traced.sr, scene.hr))
    difference, here = differ(sr, hr)
    return Restored(picture(sr), picture(hr), difference, traced.psnr, here)


def describe(view: View) -> str:
    """Return one sentence with the numbers of a view."""
    place = f"row {view.row}, column {view.col}"
    found = f"The query at {place} attends to {np.count_nonzero(view.seen):,} of {view.seen.size:,} pixels"
    if view.weights is None:
        return f"{found}; this mechanism has no softmax, so it has no weights."
    ranked = np.sort(view.weights, axis=None)[::-1]
    half = int(np.searchsorted(ranked.cumsum(), 0.5)) + 1
    return f"{found}; half of its weight lies on {half:,} of them, and the largest weight is {100 * ranked[0]:.3g} %."


def code(scene: Scene, looks: Sequence[Mapping[str, object]]) -> str:
    """Return Python code that draws the same figure; `looks` are the arguments of each `look` without the scene."""
    opened = [repr(scene.study.profile.name), repr(scene.name)]
    if scene.scale != scene.study.profile.scale:
        opened.append(f"scale={scene.scale}")
    usual = {"layer": 0, "round": 0, "weights": TRAINED, "field": False, "attribution": False}
    lines = []
    for arguments in looks:
        given = [repr(arguments[key]) for key in ("model", "row", "col")]
        given += [f"{key}={arguments[key]!r}" for key in usual if arguments.get(key, usual[key]) != usual[key]]
        lines.append(f"    explore.look(scene, {', '.join(given)}),")
    scene = f"scene = explore.open_scene({', '.join(opened)})"
    imports = ("import srlab.plots", "from srlab.analysis import explore", "")
    return "\n".join([*imports, scene, "srlab.plots.attention([", *lines, "])"])
