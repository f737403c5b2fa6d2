"""The explorer: one self-contained page that shows where a pixel looks, without a kernel.

Its template draws with plain canvas and JavaScript: squares on small images and a dozen marks need no library, which
inlined would weigh as much as the data.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.markers import MarkerStyle
from PIL import Image
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab import plots, stats
from srlab.analysis.explore import UNTRAINED
from srlab.analysis.images import centre, corners, pair, picture
from srlab.analysis.layers import LayerTrace, trace
from srlab.analysis.recall import RecallRef, recall_refs
from srlab.attention import Attention
from srlab.data.sources import ImageRef
from srlab.files import write_text
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality
from srlab.plots.maps import OWN_GROUP, QUERY, WINDOWS
from srlab.report.packing import LEVELS, pack
from srlab.report.templates import fill
from srlab.study.matrix import TRAINED_SIDE
from srlab.study.runs import RecallRun, TrainingRun
from srlab.study.study import Study

#: Of the middle of each photograph, LR pixels a side.
SIDE = 64
#: Queries a side of the grid: the first that keeps the page under `LIMIT` bytes, or else the last.
GRIDS = (6, 4, 3)
LIMIT = 4_000_000
COLOURS = ("viridis", "cividis", "magma", "RdBu_r")
#: Letters of SVG for the codes of matplotlib's paths.
LETTERS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}


@dataclass(frozen=True)
class Shown:
    """A network of the page.

    Attributes
    ----------
    name : str
        As its weights are called: the model, and what it is besides, a branch for instance.
    model : str
    source : str
        Whose weights, as `Weights.source` says, or "untrained".
    network : nn.Module
    """

    name: str
    model: str
    source: str
    network: nn.Module


@dataclass(frozen=True)
class Picture:
    """The middle of a photograph, or a recall image: LR, HR, and of each network by name SR and what its layers did.

    The query at `start` is shown first. Of a recall image `damaged` is where its damaged tiles are, which are asked.
    """

    name: str
    lr: UInt8[Tensor, "3 h w"]
    hr: UInt8[Tensor, "3 sh sw"]
    bicubic: UInt8[Tensor, "3 sh sw"]
    sr: dict[str, UInt8[Tensor, "3 sh sw"]]
    layers: dict[str, list[LayerTrace]]
    start: tuple[int, int]
    damaged: tuple[list[int], list[int]] | None

    def grid(self, side: int) -> tuple[list[int], list[int]]:
        """Rows and columns of queries: side×side in the middle of equal parts, or those of damaged tiles."""
        if self.damaged:
            return self.damaged
        rows, cols = ([(2 * i + 1) * n // (2 * side) for i in range(side)] for n in self.lr.shape[1:])
        return rows, cols


def write_explorer(study: Study) -> Path:
    """Write the page on which a reader chooses an image and a network, and asks a pixel where it looks.

    Images are photographs that may be passed on, one part of each; of a study that trains on recall images alone, such
    images. Networks are those of the first seed whose weights
    are there, the study's own or its reference's; if there are none at all, all are shown with random weights, and the
    page says so wherever it shows them.

    Returns
    -------
    Path
        `explorer.html` in the study's folder.
    """
    networks = shown_networks(study)
    scale = study.profile.scale
    shown = [_picture(ref, networks, scale) for ref in _images(study)]
    for side in GRIDS:
        html = fill(
            "explorer.html",
            study=study,
            recalls=_recalls(study),
            facts={
                "scale": scale,
                "levels": LEVELS,
                "images": [_image(each, scale, side) for each in shown],
                "networks": [_network(each) for each in networks],
                "colours": {name: _colours(name) for name in COLOURS},
                "query": QUERY,
                "ownGroup": OWN_GROUP,
                "windows": [to_hex(colour) for colour in WINDOWS[1:]],
                "comparison": comparison(study),
            },
            packed=_packed(shown, side),
        )
        if len(html.encode()) < LIMIT:
            break
    path = study.folder / "explorer.html"
    write_text(path, html)
    return path


def _recalls(study: Study) -> bool:
    """Whether networks know recall images alone."""
    return study.profile.recall is not None and not study.profile.models


def _images(study: Study) -> list[ImageRef]:
    """One part of each photograph; recall images where networks know nothing else."""
    if _recalls(study):
        return list(recall_refs().values())
    firsts: dict[Path, ImageRef] = {}
    for ref in study.pictures:
        firsts.setdefault(ref.path, ref)
    return list(firsts.values())


def shown_networks(study: Study) -> list[Shown]:
    """The networks for these images whose weights are there; if there are none, all, with random weights."""
    kind = RecallRun if _recalls(study) else TrainingRun
    runs = {name: run for name, run in study.exported().items() if isinstance(run, kind)}
    kept = {name: study.weights(run) for name, run in runs.items()}
    trained = [
        Shown(name, runs[name].network.model, weights.source, weights.network())
        for name, weights in kept.items()
        if weights is not None
    ]
    return trained or [_untrained(name, run) for name, run in runs.items()]


def _untrained(name: str, run: TrainingRun | RecallRun) -> Shown:
    return Shown(name, run.network.model, UNTRAINED, run.network.build(run.scale, seed=0).eval())


def _picture(ref: ImageRef, networks: Sequence[Shown], scale: int) -> Picture:
    lr, hr = pair(ref, scale)
    damaged = ref.damaged() if isinstance(ref, RecallRef) else None
    if damaged is None:
        lr, hr = centre(lr, SIDE), centre(hr, SIDE * scale)
    looks = [each for each in networks if any(isinstance(m, Attention) for m in each.network.modules())]
    return Picture(
        ref.name,
        lr,
        hr,
        super_resolve(None, lr, scale),
        {each.name: super_resolve(each.network, lr, scale) for each in networks},
        {each.name: trace(each.network, lr) for each in looks},
        corners(lr, 1)[0] if damaged is None else ref.lost()[0],
        damaged,
    )


def _packed(pictures: Sequence[Picture], side: int) -> list[dict[str, str]]:
    """What layers show, base64, by image and network."""
    every = [(each, name, layers) for each in pictures for name, layers in each.layers.items()]
    packed = []
    for each, name, layers in tqdm(every, desc=f"explorer, {side}×{side} queries", unit="network"):
        content = pack(layers, each.lr, list(product(*each.grid(side))))
        packed.append({"image": each.name, "network": name, "content": base64.b64encode(content).decode()})
    return packed


def _image(shown: Picture, scale: int, side: int) -> dict:
    def quality(sr: UInt8[Tensor, "3 sh sw"]) -> float:
        return round(image_quality(sr, shown.hr, scale)["psnr_y"], 2)

    rows, cols = shown.grid(side)
    return {
        "name": shown.name,
        "size": list(shown.lr.shape[1:]),
        "rows": rows,
        "cols": cols,
        "start": [_nearest(rows, shown.start[0]), _nearest(cols, shown.start[1])],
        "lr": _webp(shown.lr),
        "hr": _webp(shown.hr),
        "bicubic": {"picture": _webp(shown.bicubic), "psnr": quality(shown.bicubic)},
        "sr": {name: {"picture": _webp(sr), "psnr": quality(sr)} for name, sr in shown.sr.items()},
    }


def _nearest(places: Sequence[int], place: int) -> int:
    return min(range(len(places)), key=lambda i: abs(places[i] - place))


def _network(shown: Shown) -> dict:
    colour, marker = plots.STYLE[shown.model]
    return {
        "name": shown.name,
        "untrained": shown.source == UNTRAINED,
        "whose": stats.whose({shown.name: shown.source}),
        "colour": colour,
        "mark": mark(marker),
    }


def comparison(study: Study) -> dict | None:
    """Quality against latency, as the table of the study or else its reference has it; None where neither has one.

    Returns
    -------
    dict
        `on`, the machine as folders name it; `side` of the LR images that were timed; `networks`, of each its costs,
        colour and mark; `sets`: images by benchmark, first their mean, with the PSNR of each network and of bicubic
        and, of means, its range over seeds.
    """
    folders = [folder / "tables" for folder in (study.folder, study.reference) if folder]
    tables = next((folder for folder in folders if (folder / "comparison.csv").is_file()), None)
    if tables is None:
        return None
    means = pd.read_csv(tables / "comparison.csv")
    images = pd.read_csv(tables / "comparison_images.csv")
    bicubic = pd.read_csv(tables / "bicubic_images.csv").assign(model="bicubic")
    images = pd.concat([images, bicubic]).groupby(["benchmark", "name", "model"], sort=False)["psnr_y"].mean()
    sets = []
    for benchmark, own in means.groupby("benchmark", sort=False):
        title = f"{benchmark}, mean of {own['images'].iloc[0]} images"
        own = own.set_index("model")[["psnr_y", "lowest_db", "highest_db"]].round(3)
        ranges = own[["lowest_db", "highest_db"]].apply(list, axis=1).to_dict()
        sets.append({"title": title, "psnr": own["psnr_y"].to_dict(), "ranges": ranges})
        for name, of_image in images[benchmark].groupby("name", sort=False):
            psnr = of_image[name].round(3).to_dict()
            sets.append({"title": f"{benchmark}: {name}", "psnr": psnr, "ranges": {}})
    timed = means.dropna(subset="median_ms").drop_duplicates("model")
    networks = [
        {
            "name": row.model,
            "ms": round(row.median_ms, 2),
            "mib": round(row.peak_mib, 1),
            "parameters": round(1e6 * row.Mparameters),
            "seeds": row.seeds,
            "colour": plots.STYLE[row.model].colour,
            "mark": mark(plots.STYLE[row.model].marker),
        }
        for row in timed.itertuples()
    ]
    on = tables.parent.name.removeprefix(f"{study.profile.name}-")
    return {"on": on, "side": TRAINED_SIDE, "networks": networks, "sets": sets}


def mark(marker: str) -> str:
    """A marker of matplotlib's as an SVG path, about one unit wide."""
    style = MarkerStyle(marker)
    segments = style.get_path().transformed(style.get_transform()).iter_segments()
    drawn = []
    for points, code in segments:
        places = (points.reshape(-1, 2) * (1, -1)).round(3).ravel()
        drawn.append(LETTERS[int(code)] + ("" if code == 79 else " ".join(map(str, places.tolist()))))
    return " ".join(drawn)


def _colours(name: str) -> list[list[int]]:
    """Red, green and blue of the levels from 1 on."""
    return colormaps[name](np.linspace(0, 1, LEVELS), bytes=True)[:, :3].tolist()


def _webp(image: UInt8[Tensor, "3 _h _w"]) -> str:
    """A picture, exactly, as an address that needs no request."""
    file = BytesIO()
    Image.fromarray(picture(image)).save(file, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
