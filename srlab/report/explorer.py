"""The explorer page: one self-contained file that shows where a pixel looks, without a kernel.

Its template draws with plain canvas and JavaScript; a library inlined would weigh as much as the data.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
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

from srlab import plots
from srlab.analysis.explore import UNTRAINED, run_on
from srlab.analysis.images import Box, TaskImage, centre, corners, pair, picture
from srlab.analysis.layers import LayerTrace, trace
from srlab.attention import Attending
from srlab.data.layouts import ImageRef
from srlab.files import read_table, write_text
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality
from srlab.models.registry import label
from srlab.plots.images import QUERY
from srlab.plots.maps import OWN_GROUP, WINDOWS
from srlab.report.packing import LEVELS, pack
from srlab.report.templates import fill
from srlab.study.runs import Network
from srlab.study.study import Study

#: LR pixels a side of the middle of each photograph.
SIDE = 64
#: Queries a side of the grid: the first that keeps the page below `LIMIT` bytes, else the last.
GRIDS = (6, 5, 4, 3)
LIMIT = 1_500_000
#: Networks to open with, the first that are there: one that chooses its keys by content, and one by place.
OPENING = (("lcoan", "trunk_lsp", "nlsn"), ("trunk_window", "trunk_nla"))
#: Pages of the same folder.
LINKS = ("index.html", "questions.html", "report.html")
COLOURS = ("viridis", "cividis", "magma", "RdBu_r")
#: SVG's letters for the codes of matplotlib's paths.
LETTERS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}


@dataclass(frozen=True)
class PageNetwork:
    """A network of the page, with its name and the source of its weights (`Weights.source` or "untrained")."""

    name: str
    source: str
    network: nn.Module


@dataclass(frozen=True)
class PageImage:
    """The middle of a photograph, or a task image."""

    name: str
    lr: UInt8[Tensor, "3 h w"]
    hr: UInt8[Tensor, "3 sh sw"]
    sr: dict[str, UInt8[Tensor, "3 sh sw"]]  # by network, also "bicubic"
    layers: dict[str, list[LayerTrace]]  # by network
    start: tuple[int, int]  # the query to show first
    task: TaskImage | None

    def grid(self, side: int) -> tuple[list[int], list[int]]:
        """Return rows and columns of queries: a task image's own, or the middles of side×side equal parts."""
        if self.task:
            return self.task.queries()
        rows, cols = ([(2 * i + 1) * n // (2 * side) for i in range(side)] for n in self.lr.shape[1:])
        return rows, cols

    def targets(self, places: Iterable[tuple[int, int]]) -> list[tuple[Box, Box] | None]:
        """Return the damaged tile of each query and its copy, if a task image has them."""
        return [self.task.target(*place) if self.task else None for place in places]


def write_explorer(study: Study) -> Path:
    """Write `explorer.html`, the page on which a reader chooses an image, a network and a pixel.

    Images are one part of each photograph with a free licence or, in a study that trains on none, the images of its
    chapters' own tasks. Networks are those of the first seed with weights here or in the reference. If there are none,
    the page shows all networks with random weights, marked as UNTRAINED. It opens on the image with the farthest copy.
    The path is `explorer.html` in the study's folder.
    """
    refs = page_images(study)
    networks, scale = page_networks(study, refs[0]), study.profile.scale
    images = [_open(ref, networks, scale) for ref in refs]
    scales = {name: colormaps[name](np.linspace(0, 1, LEVELS), bytes=True)[:, :3].tolist() for name in COLOURS}
    facts = {"levels": LEVELS, "task": isinstance(refs[0], TaskImage), "untrained": networks[0].source == UNTRAINED}
    facts |= {"colours": scales, "query": QUERY, "ownGroup": OWN_GROUP, "windows": [to_hex(own) for own in WINDOWS[1:]]}
    facts |= {"scale": scale, "opening": _opening(images)}
    facts |= {"networks": [_named(each.name) | {"source": each.source} for each in networks]}
    facts |= {"comparison": comparison(study)}
    for side in GRIDS:
        facts["images"] = [_image(each, scale, side) for each in images]
        html = fill("explorer.html", study=study, facts=facts, links=LINKS, packed=_packed(images, side))
        if len(html.encode()) < LIMIT:
            break
    path = study.folder / "explorer.html"
    write_text(path, html)
    return path


def page_images(study: Study) -> list[ImageRef]:
    """Return one part of each photograph, or the task images of a study without networks for photographs."""
    if not study.profile.models:
        return list(study.scenes().values())
    firsts: dict[Path, ImageRef] = {}
    for ref in study.pictures:
        firsts.setdefault(ref.path, ref)
    return list(firsts.values())


def page_networks(study: Study, image: ImageRef) -> list[PageNetwork]:
    """Return the study's networks for such images that have weights; if there are none, all with random weights."""
    networks = [run for run in study.runs() if isinstance(getattr(run, "network", None), Network)]
    runs = [run for run in networks if run == run_on(study, run.network.model, image)]
    kept = [(run.network.model, study.weights(run)) for run in runs]
    trained = [PageNetwork(model, weights.source, weights.network()) for model, weights in kept if weights is not None]
    untrained = ((run.network.model, run.network.build(run.scale, seed=0).eval()) for run in runs)
    return trained or [PageNetwork(model, UNTRAINED, network) for model, network in untrained]


def _open(ref: ImageRef, networks: Sequence[PageNetwork], scale: int) -> PageImage:
    lr, hr = pair(ref, scale)
    task = isinstance(ref, TaskImage)
    if not task:
        lr, hr = centre(lr, SIDE), centre(hr, SIDE * scale)
    named = {each.name: each.network for each in networks}
    sr = {name: super_resolve(network, lr, scale) for name, network in {"bicubic": None, **named}.items()}
    attending = [name for name, network in named.items() if any(isinstance(m, Attending) for m in network.modules())]
    layers = {name: trace(named[name], lr) for name in attending}
    start = ref.start() if task else corners(lr, 1)[0]
    return PageImage(ref.name, lr, hr, sr, layers, start, ref if task else None)


def _opening(images: Sequence[PageImage]) -> dict[str, object]:
    """Return the numbers of the image to open with, whose start lies farthest from its copy, and of two networks."""
    far = [_distance(*target) if target else 0.0 for each in images for target in each.targets([each.start])]
    names = list(images[0].sr)[1:]  # without bicubic
    ranked = sorted(names, key=lambda name: name not in images[0].layers)
    first, other = ([name for name in wanted if name in names] + ranked for wanted in OPENING)
    beside = next((name for name in other if name != first[0]), first[0])
    return {"image": int(np.argmax(far)), "networks": [names.index(first[0]), names.index(beside)]}


def _distance(tile: Box, copy: Box) -> float:
    return math.hypot(tile[0] - copy[0], tile[1] - copy[1])


def _packed(images: Sequence[PageImage], side: int) -> list[dict[str, str]]:
    """Pack the maps by image and network, in base64."""
    every = [(image, name, layers) for image in images for name, layers in image.layers.items()]
    packed = []
    for image, name, layers in tqdm(every, desc=f"explorer, {side}×{side} queries", unit="network"):
        places = list(product(*image.grid(side)))
        copies = [target and target[1] for target in image.targets(places)]
        content = pack(layers, image.lr, places, copies)
        packed.append({"image": image.name, "network": name, "content": base64.b64encode(content).decode()})
    return packed


def _image(image: PageImage, scale: int, side: int) -> dict:
    def restored(sr: UInt8[Tensor, "3 sh sw"]) -> dict:
        return {"picture": _webp(sr), "psnr": round(image_quality(sr, image.hr, scale)["psnr_y"], 2)}

    grid = rows, cols = image.grid(side)
    start = [int(np.abs(np.subtract(places, at)).argmin()) for places, at in zip(grid, image.start, strict=True)]
    facts = {"name": image.name, "size": list(image.lr.shape[1:]), "rows": rows, "cols": cols, "start": start}
    facts["targets"] = [
        target and {"tile": target[0], "copy": target[1], "distance": round(_distance(*target))}
        for target in image.targets(product(*grid))
    ]
    pictures = {"lr": _webp(image.lr), "hr": _webp(image.hr)}
    return facts | pictures | {"sr": {name: restored(sr) for name, sr in image.sr.items()}}


def _named(model: str) -> dict[str, str]:
    """Return how the page names and marks a network."""
    colour, marker = plots.STYLE[model]
    return {"name": model, "label": label(model), "colour": colour, "mark": mark(marker)}


def comparison(study: Study) -> dict | None:
    """Read quality against latency from the tables of the study, or else of its reference; None without tables.

    The result has `on`, the machine as in the folder's name; `side` of the timed LR images (pixels); `networks` with
    their costs; and `sets` of images, per benchmark first their mean with its range over seeds, with PSNR by network.
    """
    folders = [folder / "tables" for folder in (study.folder, study.reference) if folder]
    tables = next((folder for folder in folders if (folder / "comparison.csv").is_file()), None)
    if tables is None:
        return None
    names = ("comparison", "comparison_costs", "comparison_images", "bicubic_images")
    means, costs, images, bicubic = (read_table(tables / f"{name}.csv") for name in names)
    images = pd.concat([images, bicubic.assign(model="bicubic")])
    images = images.groupby(["benchmark", "name", "model"], sort=False)["psnr_y"].mean()
    sets = []
    for benchmark, own in means.groupby("benchmark", sort=False):
        title = f"{benchmark}, mean of {own['images'].iloc[0]} images"
        own = own.set_index("model")[["psnr_y", "lowest_db", "highest_db"]].round(3)
        ranges = own[["lowest_db", "highest_db"]].apply(list, axis=1).to_dict()
        sets.append({"title": title, "psnr": own["psnr_y"].to_dict(), "ranges": ranges})
        for name, of_image in images[benchmark].groupby("name", sort=False):
            psnr = of_image[name].round(3).to_dict()
            sets.append({"title": f"{benchmark}: {name}", "psnr": psnr, "ranges": {}})
    networks = []
    for row in means.dropna(subset="median_ms").drop_duplicates("model").itertuples():
        cost = {"ms": round(row.median_ms, 2), "mib": round(row.peak_mib, 1), "seeds": row.seeds}
        networks.append(_named(row.model) | cost | {"parameters": round(1e6 * row.Mparameters)})
    on = tables.parent.name.removeprefix(f"{study.profile.name}-")
    return {"on": on, "side": int(costs["size"].iloc[0]), "networks": networks, "sets": sets}


def mark(marker: str) -> str:
    """Return a marker of matplotlib as an SVG path, about one unit wide."""
    style = MarkerStyle(marker)
    segments = style.get_path().transformed(style.get_transform()).iter_segments()
    drawn = []
    for points, code in segments:
        places = (points.reshape(-1, 2) * (1, -1)).round(3).ravel()
        drawn.append(LETTERS[int(code)] + ("" if code == 79 else " ".join(map(str, places.tolist()))))
    return " ".join(drawn)


def _webp(image: UInt8[Tensor, "3 _h _w"]) -> str:
    """Return a lossless picture as a data address: the PSNR beside it is that of these pixels."""
    file = BytesIO()
    Image.fromarray(picture(image)).save(file, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
