"""One pixel in several networks, side by side: what the explorer shows, as plain functions.

scene = open_scene("quick", "held-out: brick")
plots.attention([look(scene, "lcoan", 31, 87), look(scene, "trunk_nla", 31, 87, layer=1)])
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from srlab.analysis.attribution import diffusion_index, local_attribution
from srlab.analysis.images import SIDE, centre, corners, differ, pair, picture
from srlab.analysis.layers import LayerTrace, receptive_field, trace
from srlab.analysis.images import TaskImage as RecallRef
from srlab.analysis.views import Values, View, view
from srlab.data.layouts import ImageRef
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality
from srlab.models import build, entry
from srlab.study.records import HERE
from srlab.study.study import Study
from srlab.weights.checkpoints import open_network

TRAINED, UNTRAINED = "trained", "untrained"
CROP = 24  # LR pixels a side of the SR crop around the query


@dataclass
class Traced:
    """A network that ran on a scene once: whose weights, its layers, and what it made of the image."""

    network: nn.Module
    source: str
    layers: list[LayerTrace]
    sr: UInt8[Tensor, "3 sh sw"]
    psnr: float


@dataclass
class Scene:
    """An image to ask about, and the networks that have seen it; `open_scene` makes one.

    Attributes
    ----------
    study : Study
    name : str
        Of the image.
    lr, hr : UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]
    scale : int
    cut : bool
        Whether this is only the middle of a larger image.
    recall : RecallRef, optional
        The recall image that this is: on it networks are as they learnt from such.
    traces : dict
        What `traced` has kept.
    """

    study: Study
    name: str
    lr: UInt8[Tensor, "3 h w"]
    hr: UInt8[Tensor, "3 sh sw"]
    scale: int
    cut: bool
    recall: RecallRef | None = None
    traces: dict[tuple[str, str], Traced] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        """What figures call the image: a file by its name, wherever it lies."""
        return self.name if self.name in images(self.study) else Path(self.name).name

    @property
    def start(self) -> tuple[int, int]:
        """(row, column) to ask about first: the strongest corner, or the first damaged tile of a recall image."""
        return self.recall.lost()[0] if self.recall else corners(self.lr, 1)[0]

    def traced(self, model: str, weights: str = TRAINED) -> Traced:
        """The network's layers on this image; run once, then kept.

        Raises
        ------
        InputError
            If the network cannot be had, or has no attention layer.
        """
        key = (model, weights)
        if key not in self.traces:
            network, source = open_model(self.study, model, self.scale, weights, self.recall is not None)
            layers = trace(network, self.lr)
            sr = super_resolve(network, self.lr, self.scale)
            psnr = image_quality(sr, self.hr, self.scale)["psnr_y"]
            self.traces[key] = Traced(network, source, layers, sr, psnr)
        return self.traces[key]


@dataclass(frozen=True)
class Restored:
    """What a network made of the surroundings of the query, beside HR.

    Attributes
    ----------
    sr, hr : UInt8[np.ndarray, "h w 3"]
    difference : Float[np.ndarray, "h w"]
        Y of SR less Y of HR, in levels of 255.
    psnr, psnr_here : float
        Y-PSNR (dB, Y rounded) of the whole scene without a border of `scale` pixels, and of this crop.
    """

    sr: UInt8[np.ndarray, "_h _w 3"]
    hr: UInt8[np.ndarray, "_h _w 3"]
    difference: Float[np.ndarray, "_h _w"]
    psnr: float
    psnr_here: float


@dataclass(frozen=True)
class Look:
    """Where one network looks from one pixel, and what comes of it.

    Attributes
    ----------
    model : str
    source : str
        Whose weights, as `open_model` says.
    layer : str
        Mechanism and number, for instance "LSP, layer 1 of 10".
    image : str
        Title of the scene.
    view : View
    restored : Restored
    """

    model: str
    source: str
    layer: str
    image: str
    view: View
    restored: Restored

    @property
    def title(self) -> str:
        """The network, and whose its weights are where the study did not train them."""
        return self.model if self.source == HERE else f"{self.model} ({self.source})"


def images(study: Study) -> dict[str, ImageRef]:
    """The held-out photographs, and the images of a study's benchmarks, by "benchmark: name"; recall images.

    Each as far as the study trains networks for it.
    """
    benchmarks = {"held-out": study.pictures, **study.data.benchmarks} if study.profile.models else {}
    photographs = {f"{name}: {ref.name}": ref for name, refs in benchmarks.items() for ref in refs}
    return photographs | (recall_refs() if study.profile.recall else {})


def open_scene(study: Study | str, image: str | Path, scale: int | None = None, side: int = SIDE) -> Scene:
    """Open an image of a study's benchmarks, or any image file, as HR.

    Parameters
    ----------
    study : Study or str
        Or its profile's name.
    image : str or Path
        A key of `images`, or a file.
    scale : int, optional
        The study's by default.
    side : int
        At most so many LR pixels a side, of the middle of the image, are shown.

    Raises
    ------
    InputError
        If there is no such image, it is unreadable, or smaller than `scale`.
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
    recall = ref if isinstance(ref, RecallRef) else None
    return Scene(study, str(image), middle, part, scale, cut=middle.shape != lr.shape, recall=recall)


def open_model(
    study: Study, model: str, scale: int, weights: str = TRAINED, recall: bool = False
) -> tuple[nn.Module, str]:
    """A network in evaluation mode, and whose weights it has.

    Parameters
    ----------
    study : Study
    model : str
        A name of the registry.
    scale : int
    weights : str
        "trained": as the study trained it from its first seed or, until it has, the reference did (see
        `srlab.study.Study.weights`). "untrained": random weights, and the study's sizes, or those of the
        paper where these do not fit the network. Else a file: a checkpoint of srlab's, or one that the
        network's authors released.
    recall : bool
        Whether "trained" is on recall images.

    Returns
    -------
    network : nn.Module
    source : str
        "trained here", for instance "reference: amd-epyc", "UNTRAINED", or the file's name.

    Raises
    ------
    InputError
        If neither has trained the network at that scale, or the file does not fit.
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
    run = study.recalled(model) if recall else study.training(model)
    if (kept := study.weights(run)) is None:
        raise InputError(
            f"run {run.name} is not finished: run the notebook's cells above first, or choose "
            f"the weights '{UNTRAINED}' or a file"
        )
    return kept.network(), kept.source


def look(
    scene: Scene,
    model: str,
    row: int,
    col: int,
    layer: int = 0,
    turn: int = 0,
    weights: str = TRAINED,
    field: bool = False,
    attribution: bool = False,
) -> Look:
    """Where a layer of a network looks from a pixel, and what the network makes of the surroundings.

    Parameters
    ----------
    scene : Scene
    model, weights : str
        As in `open_model`.
    row, col : int
        In LR pixels, from 0.
    layer : int
        Of the network's attention layers, from 0; negative from the last.
    turn : int
        Round of sorting, from 0.
    field : bool
        Whether to show the network's effective receptive field too, which takes a backward pass.
    attribution : bool
        Whether to show what the network drew on there too, its local attribution map; that takes some twenty passes.

    Raises
    ------
    InputError
        If there is no such network, layer, round or pixel.
    """
    traced = scene.traced(model, weights)
    if not -len(traced.layers) <= layer < len(traced.layers):
        raise InputError(f"layer {layer}: '{model}' has attention layers 0 to {len(traced.layers) - 1}")
    chosen = traced.layers[layer]
    seen = view(chosen, scene.lr, row, col, turn)
    if field:
        shares = receptive_field(traced.network, scene.lr, scene.scale, row, col)
        panel = Values("effective receptive field", shares, on_image=True, logarithmic=True)
        seen = replace(seen, panels=(*seen.panels, panel))
    if attribution:
        shares = local_attribution(traced.network, scene.lr, row, col)
        words = f"local attribution, diffusion index {diffusion_index(shares):.1f}"
        seen = replace(seen, panels=(*seen.panels, Values(words, shares, on_image=True, logarithmic=True)))
    count = len(traced.layers)
    words = f"{chosen.mechanism}, layer {layer % count + 1} of {count}"
    return Look(model, traced.source, words, scene.title, seen, _restored(scene, traced, row, col))


def _restored(scene: Scene, traced: Traced, row: int, col: int) -> Restored:
    top, left = (
        scene.scale * min(max(0, at - CROP // 2), max(0, length - CROP))
        for at, length in ((row, scene.lr.shape[1]), (col, scene.lr.shape[2]))
    )
    side = scene.scale * CROP
    sr, hr = (image[:, top : top + side, left : left + side] for image in (traced.sr, scene.hr))
    difference, here = differ(sr, hr)
    return Restored(picture(sr), picture(hr), difference, traced.psnr, here)


def code(scene: Scene, looks: Sequence[Mapping[str, object]]) -> str:
    """Python that draws the same again.

    Parameters
    ----------
    scene : Scene
    looks : sequence of mapping
        The arguments of each `look` but the scene.
    """
    opened = [repr(scene.study.profile.name), repr(scene.name)]
    if scene.scale != scene.study.profile.scale:
        opened.append(f"scale={scene.scale}")
    usual = {"layer": 0, "turn": 0, "weights": TRAINED, "field": False, "attribution": False}
    lines = []
    for arguments in looks:
        told = [repr(arguments[key]) for key in ("model", "row", "col")]
        told += [f"{key}={arguments[key]!r}" for key in usual if arguments.get(key, usual[key]) != usual[key]]
        lines.append(f"    explore.look(scene, {', '.join(told)}),")
    return "\n".join(
        [
            "import srlab.plots",
            "from srlab.analysis import explore",
            "",
            f"scene = explore.open_scene({', '.join(opened)})",
            "srlab.plots.attention([",
            *lines,
            "])",
        ]
    )
