"""What released networks draw on: attribution maps and receptive fields, at one place an image, on the same crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from tqdm.auto import tqdm

from srlab.analysis.attribution import diffusion_index, local_attribution, radius
from srlab.analysis.images import pair
from srlab.analysis.layers import receptive_field
from srlab.data.layouts import Benchmark, ImageRef
from srlab.data.resize import upscale
from srlab.errors import InputError
from srlab.files import write_text
from srlab.measure.evaluation import super_resolve
from srlab.measure.field import SCALE, Contender
from srlab.measure.metrics import luma, psnr

#: Side of a crop in LR pixels: larger than the largest window that a network of the field attends in.
SIDE = 96
#: Side in SR pixels of the window whose detail is attributed.
WINDOW = 16
#: Of the path of a local attribution map.
STEPS = 5
#: The file of reaches in the folder of records.
REACH = "reach.csv"
#: Parts of what is attributed whose radius is told.
PARTS = {"50": 0.5, "90": 0.9}


class Place(NamedTuple):
    """A crop of an image, around the place in its middle.

    Attributes
    ----------
    name : str
        Of the image.
    row, col : int
        The place, in LR pixels of the whole image.
    lr, hr : UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]
        `SIDE` LR pixels a side; the place is LR pixel (SIDE/2, SIDE/2).
    """

    name: str
    row: int
    col: int
    lr: UInt8[Tensor, "3 h w"]
    hr: UInt8[Tensor, "3 sh sw"]


def hardest_place(ref: ImageRef) -> Place | None:
    """Where bicubic enlargement errs most: the rule by which places are chosen, which knows no network.

    Of all LR pixels around which a crop of `SIDE` fits, that whose `WINDOW` has the largest mean squared error of Y.

    Parameters
    ----------
    ref : ImageRef

    Returns
    -------
    Place or None
        None where no crop fits.
    """
    lr, hr = pair(ref, SCALE)
    half = SIDE // 2
    rows, cols = (range(half, length - half + 1) for length in lr.shape[1:])
    if not (rows and cols):
        return None
    error = (luma(upscale(lr, SCALE).double()) - luma(hr.double())).square()
    means = avg_pool2d(error[None, None], WINDOW, stride=1)[0, 0]
    starts = [_start(torch.tensor(each)) for each in (rows, cols)]
    at = int(means[starts[0]][:, starts[1]].argmax())
    row, col = rows[at // len(cols)], cols[at % len(cols)]
    top, left, side = row - half, col - half, SCALE * SIDE
    inside = hr[:, SCALE * top : SCALE * top + side, SCALE * left : SCALE * left + side]
    return Place(ref.name, row, col, lr[:, top : top + SIDE, left : left + SIDE].contiguous(), inside.contiguous())


def hardest_places(refs: Sequence[ImageRef], count: int) -> list[Place]:
    """That of each of the first images by name in which a crop fits.

    Raises
    ------
    InputError
        If there are fewer such images.
    """
    found = []
    for ref in sorted(refs, key=lambda ref: ref.name):
        if len(found) == count:
            break
        if place := hardest_place(ref):
            found.append(place)
    if len(found) < count:
        raise InputError(f"{count} places are asked for, and {len(found)} images hold {SIDE}×{SIDE} LR pixels")
    return found


def measure_reach(
    field: Sequence[Contender],
    benchmark: Benchmark,
    folder: Path,
    count: int,
    device: str | torch.device = "cpu",
) -> pd.DataFrame:
    """What each network draws on at each place, into reach.csv, which is written after every row.

    A row is kept if it is of the same file of weights, the same place and the same settings.

    Parameters
    ----------
    field : sequence of Contender
        Bicubic interpolation among them is passed over.
    benchmark : Benchmark
    folder : Path
        Of records.
    count : int
        How many places: `hardest_places`.
    device : str or torch.device

    Returns
    -------
    DataFrame
        All rows of the file: model, dataset, name (of the image), row, col, side, window, steps, sha256 (of the
        weights); diffusion_index; lam_50, lam_90, the radii (LR px) that hold so many per cent of what is attributed;
        erf_50, erf_90, of the effective receptive field; psnr_y (dB, of the window) and gain_db over bicubic.

    Raises
    ------
    InputError
        As `hardest_places` does.
    """
    path = folder / REACH
    made = {_key(row): row for row in read_reach(folder).to_dict("records")} if path.is_file() else {}
    networks = {each: each.open().to(device) for each in field if each.weights}
    places = hardest_places(benchmark.hr, count)
    wanted = [(each, place, _facts(each, benchmark, place)) for place in places for each in networks]
    left = [
        (each, place, facts) for each, place, facts in wanted if not facts.items() <= made.get(_key(facts), {}).items()
    ]
    with tqdm(left, desc="reach", unit="map") as progress:
        for each, place, facts in progress:
            progress.set_postfix_str(f"{each.name} at {place.name}")
            made[_key(facts)] = facts | _reach(networks[each], place, device)
            write_text(path, pd.DataFrame(made.values()).to_csv(index=False))
    return pd.DataFrame(made.values())


def read_reach(folder: Path) -> pd.DataFrame:
    """The reaches of a folder of records, as of `measure_reach`.

    Raises
    ------
    InputError
        If there are none.
    """
    path = folder / REACH
    if not path.is_file():
        raise InputError(f"{path}: no such file; `srlab field reach` measures it")
    return pd.read_csv(path, dtype={"name": str})


def _key(row: Mapping[str, object]) -> tuple:
    return tuple(row[key] for key in ("model", "dataset", "name"))


def _facts(each: Contender, benchmark: Benchmark, place: Place) -> dict[str, object]:
    """What a row is of."""
    settings = {"side": SIDE, "window": WINDOW, "steps": STEPS, "sha256": each.weights.sha256}
    where = {"name": place.name, "row": place.row, "col": place.col}
    return {"model": each.name, "dataset": benchmark.name, **where, **settings}


def _reach(network: nn.Module, place: Place, device: str | torch.device) -> dict[str, float]:
    """What is measured of a network at a place."""
    at = (SIDE // 2, SIDE // 2)
    attributed = local_attribution(network, place.lr, *at, WINDOW, STEPS)
    received = receptive_field(network, place.lr, SCALE, *at)
    radii = {
        f"{kind}_{part}": radius(shares, *at, held)
        for kind, shares in (("lam", attributed), ("erf", received))
        for part, held in PARTS.items()
    }
    reached, enlarged = (_psnr(super_resolve(each, place.lr, SCALE, device), place) for each in (network, None))
    quality = {"psnr_y": reached, "gain_db": reached - enlarged}
    return {"diffusion_index": diffusion_index(attributed), **radii, **quality}


def _psnr(sr: UInt8[Tensor, "3 sh sw"], place: Place) -> float:
    """Of the window alone, dB."""
    start = int(_start(torch.tensor(SIDE // 2)))
    inside = slice(start, start + WINDOW)
    return psnr(*(luma(image[:, inside, inside].double()) for image in (sr, place.hr)), border=0)


def _start(at: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """Where the window around LR pixels begins in SR, as `srlab.analysis.attribution.edges` has it."""
    return SCALE * at + (SCALE - WINDOW) // 2
