"""Ceiling runs: far matches in images of a piece, and fusers that use them over several pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.chapters.ceiling.fusers import SIDE, Fuser, cnn_errors, neighbourhoods, ridge_errors
from srlab.chapters.ceiling.matches import NOWHERE, cut, evenly_spaced, explained, far_matches
from srlab.data.layouts import ImageRef
from srlab.data.resize import downscale, modcrop
from srlab.data.sources import PIECES
from srlab.errors import InputError, OutOfTime
from srlab.files import read_table, write_table
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import luma
from srlab.stats.rules import rules
from srlab.study.records import Record
from srlab.study.runs import Run
from srlab.study.study import Study
from srlab.training import time_is_up
from srlab.weights.checkpoints import load_tensors, open_network, save_tensors

RULES = rules().ceiling
#: Match and content of the cells, and of the control: the fuser's own neighbourhood.
CELLS = (("seen", "SR"), ("perfect", "SR"), ("seen", "HR"), ("perfect", "HR"))
OWN = ("own", "SR")


class Base(BaseModel):
    """The image that patches are matched in: HR, or an SR that is to be refined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["hr", "bicubic", "released", "trained"]
    name: str
    weights: str = ""  # SHA-256 of the released weights, or the hash of the run that trained the network

    def needs(self, study: Study) -> list[Run]:
        """Return the run that trains the network."""
        return [study.training(self.name)] if self.source == "trained" else []

    def open(self, study: Study, scale: int) -> nn.Module | None:
        """Open the network; None for bicubic."""
        if self.source == "released":
            return open_network(self.name, study.released(scale)[self.name].path, scale)
        return next((study.record(run).network() for run in self.needs(study)), None)


HR = Base(source="hr", name="HR")


class MatchRun(Run):
    """Match patches of each image of a piece with the image itself far away, in HR or in an SR.

    Table `matches`: name, distance (LR pixels), places (with a match), explained (the share of their HR that the HR of
    their matches explains). Beside it a file an image: corners, found (of `far_matches`, HR pixels), sr (RGB).
    """

    kind: Literal["ceiling-matches"] = "ceiling-matches"
    tables = ("matches",)

    base: Base
    data: str  # fingerprint of the benchmarks
    benchmark: str
    piece: int  # every tenth image, from this one on
    distances: tuple[int, ...]
    places: int

    @property
    def slug(self) -> str:
        return f"ceiling-matches-{self.base.name}-{self.benchmark}-{self.piece}-x{self.scale}"

    def refs(self, study: Study) -> tuple[ImageRef, ...]:
        return study.data.benchmarks[self.benchmark][self.piece :: len(PIECES)]

    def needs(self, study: Study) -> list[Run]:
        return self.base.needs(study)

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        network, rows = self.base.open(study, self.scale), []
        network = network and network.to(device).eval()
        for ref in tqdm(self.refs(study), desc=self.slug, unit="image", leave=False):
            hr, file = modcrop(ref.read(), self.scale), record.folder / f"{ref.name}.safetensors"
            if not file.is_file():
                if time_is_up(deadline):
                    raise OutOfTime(f"{self.name} goes on with {ref.name}")
                save_tensors(file, self.matched(hr, network, device), {})
            kept, y = load_tensors(file)[0], luma(hr.float())
            for distance, found in zip(self.distances, kept["found"], strict=True):
                there = found[:, 0] != NOWHERE
                patches = (cut(y, at[there], RULES.match * self.scale) for at in (kept["corners"], found))
                rows.append((ref.name, distance, int(there.sum()), explained(*patches)))
        record.write("matches", pd.DataFrame(rows, columns=["name", "distance", "places", "explained"]))
        record.finish(device, data=study.data.name)

    def matched(self, hr: Tensor, network: nn.Module | None, device: torch.device) -> dict[str, Tensor]:
        """Return corners, their far matches, and the SR unless HR is matched."""
        lr = downscale(hr, self.scale)
        sr = hr if self.base == HR else super_resolve(network, lr, self.scale, device)
        corners = self.scale * evenly_spaced(*lr.shape[1:], RULES.match, self.places)
        side = RULES.match * self.scale
        found = far_matches(luma(sr.float()), corners, side, self.scale, self.distances)
        return {"corners": corners, "found": found} | ({} if self.base == HR else {"sr": sr})


class Seen(NamedTuple):
    """The windows that fusers of one image see, and the error of its SR there, both by distance."""

    name: str
    far: dict[tuple[int, str, str], Float[Tensor, "n wide wide"]]  # distance, match, content
    lacks: dict[int, Float[Tensor, "n side side"]]


class FuseRun(Run):
    """Refine an SR by a fuser of far matches, image by image, in every cell of match, content and distance.

    Table `errors`: name, fold, seed, mse (of Y at the predicted pixels, 0 to 255²), sr_mse (of the SR there), distance
    (LR pixels), match ("seen": in the SR, "perfect": in HR, "own": none), content ("SR", "HR").
    """

    kind: Literal["ceiling"] = "ceiling"
    tables = ("errors",)

    base: Base
    data: str
    benchmark: str
    pieces: tuple[int, ...]
    distances: tuple[int, ...]
    places: int
    fuser: Fuser
    steps: int  # of a network's training

    @property
    def slug(self) -> str:
        return f"ceiling-{self.fuser}-{self.base.name}-{self.benchmark}-x{self.scale}"

    def matches(self) -> list[tuple[MatchRun, MatchRun]]:
        """Return the matches in the SR and in HR that the fuser needs, by piece."""
        how = self.model_dump(include={"data", "benchmark", "distances", "places", "scale", "device"})
        return [tuple(MatchRun(base=base, piece=piece, **how) for base in (self.base, HR)) for piece in self.pieces]

    def needs(self, study: Study) -> list[Run]:
        return [run for pair in self.matches() for run in pair]

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        distances = self.distances if self.fuser == "ridge" else self.distances[:1]
        images = list(self.images(study))
        if len(images) < 2:
            raise InputError(f"{self.name}: {self.benchmark} has too few images; folds need 2 or more")
        file = record.folder / "errors.csv"
        found = [read_table(file)] if file.is_file() else []
        done = {cell for rows in found for cell in zip(rows["distance"], rows["match"], rows["content"], strict=True)}
        cells = [(distance, *cell) for distance in distances for cell in (OWN, *CELLS)]
        for cell in tqdm(cells, desc=self.slug, unit="cell", leave=False):
            if cell in done:
                continue
            if time_is_up(deadline):
                raise OutOfTime(f"{self.name} goes on with {' '.join(map(str, cell))}")
            found.append(self.fused(images, *cell))
            write_table(file, pd.concat(found))
        record.finish(device, data=study.data.name, images=len(images))

    def images(self, study: Study) -> Iterator[Seen]:
        """Yield the windows of every image, made from its matches."""
        for pair in self.matches():
            seen, perfect = (study.record(run).folder for run in pair)
            for ref in pair[0].refs(study):
                kept, ideal = (load_tensors(folder / f"{ref.name}.safetensors")[0] for folder in (seen, perfect))
                found = {"seen": kept["found"], "perfect": ideal["found"]}
                contents = {"SR": luma(kept["sr"].float()), "HR": luma(modcrop(ref.read(), self.scale).float())}
                yield self.windows(ref.name, kept["corners"], found, contents)

    def windows(
        self, name: str, corners: Tensor, found: dict[str, Tensor], contents: dict[str, Float[Tensor, "h w"]]
    ) -> Seen:
        """Cut the fuser's windows, and what the SR lacks in their middle, at each distance where a match exists."""
        side, inner = RULES.middle * self.scale, (RULES.match - RULES.middle) // 2 * self.scale
        edge, far, lacks = SIDE // 2, {}, {}
        for number, distance in enumerate(self.distances):
            there = found["seen"][number, :, 0] != NOWHERE
            own = corners[there] + inner
            lacks[distance] = cut(contents["HR"], own, side) - cut(contents["SR"], own, side)
            far[distance, *OWN] = cut(contents["SR"], own - edge, side + 2 * edge)
            for match, content in CELLS:
                at = found[match][number, there] + inner - edge
                far[distance, match, content] = cut(contents[content], at, side + 2 * edge)
        return Seen(name, far, lacks)

    def fused(self, images: list[Seen], distance: int, match: str, content: str) -> pd.DataFrame:
        """Return the errors of one cell."""
        known = [(number % RULES.folds, image) for number, image in enumerate(images) if len(image.lacks[distance])]
        x, y = [], []
        for _, image in known:
            both = image.far[distance, *OWN], image.far[distance, match, content]
            x.append(torch.cat([neighbourhoods(windows) for windows in both], 1))
            y.append(image.lacks[distance].flatten())
        folds = [fold for fold, _ in known]
        errors = ridge_errors(x, y, folds) if self.fuser == "ridge" else cnn_errors(x, y, folds, self.steps)
        rows = [
            (image.name, fold, seed, float(error), float(lacks.square().mean()))
            for (fold, image), of_seeds, lacks in zip(known, errors.T, y, strict=True)
            for seed, error in enumerate(of_seeds)
        ]
        found = pd.DataFrame(rows, columns=["name", "fold", "seed", "mse", "sr_mse"])
        return found.assign(distance=distance, match=match, content=content)
