"""Runs: a config, its hash, its folder, what came of it; and the study that a profile makes of them.

Compute and view are apart: whoever needs a run asks :meth:`Study.obtain`. If its record is there it is read,
else the run is made. A record counts when `run.json`, written last, and everything it names are there.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn
from tqdm.auto import tqdm

from srlab.checkpoints import load_network, load_tensors, save_network, save_tensors
from srlab.data.layouts import ImageRef, held_out
from srlab.data.patches import Patches
from srlab.data.resize import downscale
from srlab.data.sources import DataSource, embedded, load, open_data
from srlab.errors import InputError, OutOfTime
from srlab.evaluation import convention, evaluate
from srlab.files import write_text
from srlab.limits import find_limits
from srlab.models import build, entry
from srlab.models.trunk import Trunk
from srlab.profiles import Profile, Size, load_profile
from srlab.profiling import (
    MIB,
    ceilings,
    choose_device,
    count_flops,
    count_parameters,
    describe_device,
    device_slug,
    energy,
    measure,
    peak_memory,
    profile_call,
    summarise_times,
)
from srlab.training import Batch, Budget, Snapshots, first_process, time_is_up, train

#: LR side in pixels, timed repeats and warm-up of the profile that every training run records.
PROFILED = {"size": 64, "repeats": 5, "warmup": 1}
#: Sides M of FGCA's windows that are timed.
ROUTED_SIDES = (4, 8, 16)


class Network(BaseModel):
    """A network by name and all of its options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    options: dict[str, int | float | str | tuple[int | float, ...] | None]

    def build(self, scale: int, seed: int) -> nn.Module:
        return build(self.model, scale, seed, **self.options)


class _Run(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: int
    device: str

    @property
    def hash(self) -> str:
        """Ten hex digits of SHA-256 over the config as canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:10]

    @property
    def slug(self) -> str:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return f"{self.slug}-{self.hash}"


class TrainingRun(_Run):
    """Train one network, evaluate it, profile it.

    Attributes
    ----------
    network : Network
    scale : int
    data : str
        Fingerprint of the images.
    benchmarks : tuple of str
    budget : Budget
    seed : int
    photographs : int, optional
        How many of the images to train on; all of them if None.
    device : str
        As in the results folder's name, e.g. "cpu".
    """

    kind: Literal["training"] = "training"
    network: Network
    data: str
    benchmarks: tuple[str, ...]
    budget: Budget
    seed: int
    photographs: int | None = None

    @property
    def slug(self) -> str:
        return f"{self.network.model}-x{self.scale}-seed{self.seed}"


class TimingRun(_Run):
    """Time and memory of several networks, and of their non-local layers alone, measured in turn.

    Attributes
    ----------
    about : str
        What it is measured for.
    networks : dict
        Network by label.
    sizes : tuple of int or pair of int
        LR inputs: sides in pixels, or (height, width).
    repeats, warmup : int
    """

    kind: Literal["timing"] = "timing"
    about: str
    networks: dict[str, Network]
    sizes: tuple[Size, ...]
    repeats: int
    warmup: int

    @property
    def slug(self) -> str:
        return f"timing-{self.about}-x{self.scale}"

    def label_of(self, network: Network) -> str:
        """The label under which a network is timed."""
        return next(label for label, timed in self.networks.items() if timed == network)


class LimitsRun(_Run):
    """How large a feature map one layer of each mechanism can take; see :func:`srlab.limits.find_limits`.

    Attributes
    ----------
    networks : dict
        Network by label.
    sizes : tuple of pair of int
        (height, width), from small to large.
    limit_s : float
    limit_mib : int
    """

    kind: Literal["limits"] = "limits"
    networks: dict[str, Network]
    sizes: tuple[tuple[int, int], ...]
    limit_s: float
    limit_mib: int

    @property
    def slug(self) -> str:
        return "limits"


Run = TrainingRun | TimingRun | LimitsRun


@dataclass(frozen=True)
class Record:
    """What came of a run; tables are read when asked for."""

    run: Run
    folder: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """What a finished record holds; `run.json` is written last."""
        tables = {
            "training": ("curve.csv", "images.csv", "profile.csv", "weights.safetensors"),
            "timing": ("times.csv", "profile.csv"),
            "limits": ("limits.csv",),
        }
        return tuple(self.folder / name for name in (*tables[self.run.kind], "run.json"))

    @property
    def finished(self) -> bool:
        return all(file.is_file() for file in self.files)

    @cached_property
    def facts(self) -> dict:
        """config, hash, environment, and facts such as seconds and parameters."""
        return json.loads((self.folder / "run.json").read_text())

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Training: see :func:`srlab.training.train`."""
        return pd.read_csv(self.folder / "curve.csv")

    @cached_property
    def images(self) -> pd.DataFrame:
        """Evaluation: benchmark, name, psnr_y (dB), ssim_y, psnr_rgb (dB), ssim_rgb, an image a row."""
        return pd.read_csv(self.folder / "images.csv")

    @cached_property
    def profile(self) -> pd.DataFrame:
        """Cost, a network and part a row: see :func:`profile_network` (and label)."""
        return pd.read_csv(self.folder / "profile.csv")

    @cached_property
    def times(self) -> pd.DataFrame:
        """Timing runs: label, part, size, repeat, ms, a timed call a row."""
        return pd.read_csv(self.folder / "times.csv")

    @cached_property
    def limits(self) -> pd.DataFrame:
        """Limits runs: see :func:`srlab.limits.find_limits`."""
        return pd.read_csv(self.folder / "limits.csv")

    def network(self) -> nn.Module:
        """The trained network, in evaluation mode."""
        return load_network(self.folder / "weights.safetensors")[0]

    @property
    def kept_centroids(self) -> bool:
        """Whether there are centroids to read.

        A record is finished without them: not every network learns some, and earlier runs kept none.
        """
        return (self.folder / "centroids.safetensors").is_file()

    def centroids(self) -> Snapshots:
        """The centroids of its layers with k-means at some steps of training, by step and layer.

        Raises
        ------
        InputError
            If the run kept none.
        """
        if not self.kept_centroids:
            raise InputError(
                f"run {self.run.name} kept no centroids of its training: its network learns none, or it is "
                f"of an earlier version (delete its folder and run it again to have them)"
            )
        layers, held = load_tensors(self.folder / "centroids.safetensors")
        return {
            step: {name: means[i] for name, means in layers.items()} for i, step in enumerate(held["steps"])
        }


class Study:
    """A profile with its data and device: which runs there are, where they are, how to get one.

    Parameters
    ----------
    profile : str
        Name of a file in profiles/.
    root : Path, optional
        The folder with profiles/; by default the nearest one at or above the current folder.

    Notes
    -----
    Environment variables: `SRLAB_DATA`, the folder of images; `SRLAB_DEVICE`, a results folder's device such
    as "nvidia-h200", to draw on this machine what was measured on another; `SRLAB_RESULTS`, a folder instead
    of results/. Relative folders, the profile's `data` too, are relative to `root`.
    """

    def __init__(self, profile: str, root: Path | None = None):
        self.root = root or find_root()
        self.profile: Profile = load_profile(self.root / "profiles" / f"{profile}.yaml")
        #: The device of the results: this machine's, unless SRLAB_DEVICE names another.
        self.device = os.environ.get("SRLAB_DEVICE") or device_slug(choose_device(self.profile.device))
        results = self.root / (os.environ.get("SRLAB_RESULTS") or "results")
        self.folder = results / f"{profile}-{self.device}"

    @cached_property
    def data(self) -> DataSource:
        """The images that the profile trains and evaluates on."""
        folder = os.environ.get("SRLAB_DATA") or self.profile.data
        found = open_data(self.root / Path(folder).expanduser()) if folder else embedded()
        kept = self.profile
        data = found.select(kept.benchmarks, kept.images, kept.side, kept.leave_out)
        if not data.benchmarks:
            raise InputError(f"data '{data.name}': no benchmark; put images into benchmark/<name>/HR/")
        return data

    @property
    def pictures(self) -> tuple[ImageRef, ...]:
        """HR images for figures: photographs that may be passed on, held out of every study's training."""
        return held_out().hr

    # --- which runs -------------------------------------------------------------------------------------

    def network(self, model: str, **options: object) -> Network:
        """A network with the profile's sizes where it has such options, its own, and these on top."""
        known = entry(model).options
        sizes = {key: value for key, value in self.profile.network.items() if key in known}
        own = self.profile.options.get(model, {})
        return Network(model=model, options={**known, **sizes, **own, **options})

    def training(
        self, model: str, seed: int | None = None, photographs: int | None = None, **options: object
    ) -> TrainingRun:
        """The run that trains `model` as this profile does, with these options; the first seed by default."""
        return TrainingRun(
            network=self.network(model, **options),
            scale=self.profile.scale,
            data=self.data.fingerprint,
            benchmarks=tuple(self.data.benchmarks),
            budget=self.profile.training,
            seed=self.profile.seeds[0] if seed is None else seed,
            photographs=photographs,
            device=self.device,
        )

    def _over_seeds(self, model: str, **options: object) -> list[TrainingRun]:
        return [self.training(model, seed, **options) for seed in self.profile.seeds]

    def comparison(self) -> list[TrainingRun]:
        """Every model of the profile, every seed."""
        return [run for model in self.profile.models for run in self._over_seeds(model)]

    def sharing(self) -> list[TrainingRun]:
        """Sparse or dense, shared or not, and no non-local attention: LSP against CoA."""
        cells = ("edsr_like", "nlan", "nlan_shared", "lspn", "lcoan")
        return [run for model in cells for run in self._over_seeds(model)]

    def cluster_sweep(self) -> list[TrainingRun]:
        """`lcoan` with each number of clusters k."""
        return [run for k in self.profile.clusters for run in self._over_seeds("lcoan", clusters=k)]

    def window_sweep(self) -> list[TrainingRun]:
        """`lcoan` with each window w."""
        return [run for w in self.profile.windows for run in self._over_seeds("lcoan", window=w)]

    def centroid_sweep(self) -> list[TrainingRun]:
        """`lcoan` with centroids frozen after the first batch, and with each λ of their moving average."""
        frozen = self._over_seeds("lcoan", centroid_update="frozen")
        decays = self.profile.decays
        return frozen + [run for decay in decays for run in self._over_seeds("lcoan", ema_decay=decay)]

    def renewal_sweep(self) -> list[TrainingRun]:
        """Weights computed in every layer, in every n-th, and once for all."""
        renewed = [run for n in self.profile.renewals for run in self._over_seeds("lcoan", renew_every=n)]
        return [*self._over_seeds("lspn"), *renewed, *self._over_seeds("lcoan")]

    def unit_sweep(self) -> list[TrainingRun]:
        """`lcoan` and the trunk without attention, with each number of units."""
        return [
            run
            for model in ("edsr_like", "lcoan")
            for groups in self.profile.units
            for run in self._over_seeds(model, groups=groups)
        ]

    def side_sweep(self) -> list[TrainingRun]:
        """`windown` with windows of each side."""
        return [run for side in self.profile.sides for run in self._over_seeds("windown", side=side)]

    def similarity(self) -> list[TrainingRun]:
        """Networks whose layers are compared: shared weights, weights of their own, window attention."""
        models = [model for model in ("lcoan", "lspn", "windown") if model in self.profile.models]
        return [run for model in models for run in self._over_seeds(model)]

    def photograph_sweep(self) -> list[TrainingRun]:
        """Some networks trained on fewer images, and on all."""
        return [
            run
            for model in self.profile.photograph_models
            for photographs in (*self.profile.photographs, None)
            for run in self._over_seeds(model, photographs=photographs)
        ]

    def trained(self) -> list[TrainingRun]:
        """Every training run of the profile, each once."""
        every = [
            *self.comparison(),
            *self.sharing(),
            *self.cluster_sweep(),
            *self.window_sweep(),
            *self.renewal_sweep(),
            *self.centroid_sweep(),
            *self.side_sweep(),
            *self.unit_sweep(),
            *self.photograph_sweep(),
        ]
        return list({run.hash: run for run in every}.values())

    def costs(self) -> TimingRun:
        """The networks that the profile trains, measured in turn on one size of input."""
        networks = {self._label(run.network): run.network for run in self.trained()}
        return self._timing("trained", networks, (PROFILED["size"],))

    def _label(self, network: Network) -> str:
        """The model, and what is not as the profile has it by default."""
        default = self.network(network.model).options
        own = [f"{key}={value}" for key, value in network.options.items() if value != default[key]]
        return " ".join([network.model, *own])

    def timing(self) -> TimingRun:
        """The networks measured in turn; those that share weights both ways, recomputing and storing them."""
        timing = self.profile.timing
        models = self._timed_models()
        networks = {model: self.network(model, **self._timed(model)) for model in models}
        for model in ("lcoan", "nlan_shared"):
            if model in models:
                networks[f"{model} (stored)"] = self.network(model, sharing="stored", **self._timed(model))
        return self._timing("growth", networks, timing.sizes)

    def windows_timing(self) -> TimingRun:
        """One window attention layer with windows of each side, by each back-end."""
        timing = self.profile.timing
        networks = {}
        for side in timing.sides:
            for backend in timing.backends:
                how = {"position": "rib"} if backend == "rib" else {"position": "table", "backend": backend}
                networks[f"{side} {backend}"] = self._one_layer("windown", side=side, **how)
        return self._timing("windows", networks, timing.sizes[-1:])

    def routing_timing(self) -> TimingRun:
        """One layer of FGCA with windows of each size and each number of chosen windows, and of BRA."""
        timing = self.profile.timing
        networks = {}
        for top in timing.tops:
            for side in ROUTED_SIDES:
                networks[f"fgcan M={side} top={top}"] = self._one_layer("fgcan", side=side, top=top)
            networks[f"bran top={top}"] = self._one_layer("bran", top=top)
        return self._timing("routing", networks, timing.sizes)

    def scale_timing(self) -> list[TimingRun]:
        """The timed networks at each scale; ×4 also on its own output, since ×16 is ×4 twice."""
        timing = self.profile.timing
        networks = {model: self.network(model, **self._timed(model)) for model in self._timed_models()}
        size = timing.sizes[0]
        return [
            self._timing("scale", networks, (size, 4 * size) if scale == 4 else (size,), scale)
            for scale in timing.scales
        ]

    def layers_timing(self) -> TimingRun:
        """LCoAN's ten non-local layers, and its rivals', as wide as published; one block before each."""
        models = ("nlan", "nlan_shared", "nlsn", "enlcn", "lspn", "lcoan")
        networks = {
            model: Network(model=model, options={**entry(model).options, "blocks": 1}) for model in models
        }
        return self._timing("layers", networks, self.profile.timing.sizes[-2:-1])

    def published_timing(self) -> TimingRun:
        """ESC and HiT-SRF as published, ×4."""
        networks = {model: Network(model=model, options=entry(model).options) for model in ("esc", "hit_srf")}
        return self._timing("published", networks, (self.profile.timing.published,), 4)

    def limits(self) -> LimitsRun:
        """How large a map one layer of each timed mechanism can take."""
        timing = self.profile.timing
        on_trunk = [model for model in self._timed_models() if "groups" in entry(model).options]
        return LimitsRun(
            networks={model: self._one_layer(model) for model in on_trunk if model != "edsr_like"},
            scale=self.profile.scale,
            sizes=tuple(height_and_width(size) for size in timing.limits),
            limit_s=timing.limit_s,
            limit_mib=timing.limit_mib,
            device=self.device,
        )

    def _timed_models(self) -> tuple[str, ...]:
        return self.profile.timing.models or self.profile.models

    def _one_layer(self, model: str, **options: object) -> Network:
        return self.network(model, **self._timed(model) | {"groups": 1, "blocks": 1} | options)

    def _timing(
        self, about: str, networks: dict[str, Network], sizes: tuple[Size, ...], scale: int | None = None
    ) -> TimingRun:
        timing = self.profile.timing
        return TimingRun(
            about=about,
            networks=networks,
            scale=scale or self.profile.scale,
            sizes=sizes,
            repeats=timing.repeats,
            warmup=timing.warmup,
            device=self.device,
        )

    def _timed(self, model: str) -> dict[str, int]:
        known = entry(model).options
        return {key: value for key, value in self.profile.timing.network.items() if key in known}

    def runs(self) -> list[Run]:
        """Every run of the profile, those that measure time first."""
        timings = [
            self.costs(),
            self.timing(),
            self.windows_timing(),
            self.routing_timing(),
            *self.scale_timing(),
            self.layers_timing(),
            self.published_timing(),
        ]
        return [*timings, self.limits(), *self.trained()]

    # --- their records ----------------------------------------------------------------------------------

    def record(self, run: Run) -> Record:
        """Where the run's record is or will be."""
        return Record(run, self.folder / "runs" / run.name)

    def obtain(self, run: Run, processes: int = 1, deadline: float | None = None) -> Record:
        """The run's record: read if it is there, else made.

        Parameters
        ----------
        run : Run
        processes : int
            Devices that train together, if it has to be made.
        deadline : float, optional
            Of `time.monotonic`, s. After it no run is begun, and training stops; a measurement goes on to its
            end.

        Raises
        ------
        InputError
            If it has to be made and is a run of another device than this machine's.
        OutOfTime
            If the deadline came; the same call goes on.
        """
        record = self.record(run)
        if record.finished:
            return record
        device = choose_device(self.profile.device)
        if run.device != device_slug(device):
            raise InputError(
                f"run {run.name} is missing and can only be made on '{run.device}', not on this machine"
            )
        if time_is_up(deadline):
            raise OutOfTime(f"{run.name} was not begun")
        record.folder.mkdir(parents=True, exist_ok=True)
        if run.kind == "training":
            _make_training(record, self.data.fewer(run.photographs), device, processes, deadline)
        elif run.kind == "timing":
            _make_timing(record, device)
        else:
            _make_limits(record, device)
        return record

    def obtain_all(self, only: str = "*", processes: int = 1, deadline: float | None = None) -> list[Record]:
        """The records of all runs whose folder's name matches the glob `only`, with a progress bar.

        They are finished, unless the deadline (see :meth:`obtain`) came.
        """
        runs = [run for run in self.runs() if fnmatch.fnmatch(run.name, only)]
        if not runs:
            names = ", ".join(run.name for run in self.runs())
            raise InputError(f"no run of profile '{self.profile.name}' matches '{only}'; there are: {names}")
        with suppress(OutOfTime):
            for run in tqdm(runs, desc=f"runs of {self.profile.name}", unit="run"):
                self.obtain(run, processes, deadline)
        return [self.record(run) for run in runs]


def find_root(start: Path | None = None) -> Path:
    """The nearest folder with profiles/, at or above `start` (the current folder).

    Raises
    ------
    InputError
        If there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "profiles").is_dir():
            return folder
    raise InputError(f"no folder with profiles/ at or above {start}; work inside the study's checkout")


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False))


def _finish(record: Record, device: torch.device, **facts: object) -> None:
    """Write `run.json`, which makes the record count."""
    content = {
        "name": record.run.name,
        "hash": record.run.hash,
        "config": record.run.model_dump(mode="json"),
        "environment": describe_device(device),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **facts,
    }
    write_text(record.folder / "run.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _validation(images: Iterable[torch.Tensor], scale: int, patch: int) -> Batch:
    """The centre patch of each benchmark image, LR and HR."""
    pairs = []
    for image in images:
        _, height, width = image.shape
        top, left = ((side - scale * patch) // 2 // scale * scale for side in (height, width))
        hr = image[:, top : top + scale * patch, left : left + scale * patch]
        pairs.append((downscale(hr, scale), hr))
    lr, hr = (torch.stack(side).float() / 255 for side in zip(*pairs, strict=True))
    return lr, hr


def _make_training(
    record: Record, data: DataSource, device: torch.device, processes: int, deadline: float | None
) -> None:
    run: TrainingRun = record.run
    budget, side = run.budget, run.scale * run.budget.patch
    refs = [ref for name in run.benchmarks for ref in data.benchmarks[name]]
    if not data.train:
        raise InputError(f"data '{data.name}': no training images; put some into its folder train/")
    images = load([*refs, *data.train], side)
    validation = _validation(images[: min(16, len(refs))], run.scale, budget.patch)
    patches = Patches(images[len(refs) :], run.scale, budget.patch, budget.batch, run.seed)
    network, curve, facts, snapshots = train(
        run.network.build(run.scale, run.seed),
        patches,
        validation,
        budget,
        record.folder,
        run.seed,
        device,
        processes,
        deadline,
    )
    if not first_process():
        return
    _write_csv(record.folder / "curve.csv", curve)
    tables = [
        evaluate(network, data.benchmarks[name], run.scale, device=device).assign(benchmark=name)
        for name in run.benchmarks
    ]
    _write_csv(record.folder / "images.csv", pd.concat(tables)[["benchmark", *tables[0].columns[:-1]]])
    _write_csv(record.folder / "profile.csv", profile_network(network, device, **PROFILED))
    save_network(
        record.folder / "weights.safetensors", network, run.network.model, run.scale, run.network.options
    )
    if snapshots:
        layers = {
            name: torch.stack([centroids[name] for centroids in snapshots.values()])
            for name in next(iter(snapshots.values()))
        }
        save_tensors(record.folder / "centroids.safetensors", layers, {"steps": list(snapshots)})
    _finish(
        record,
        device,
        parameters=count_parameters(network),
        data=data.name,
        convention=convention(run.scale),
        processes=processes,
        **facts,
    )
    (record.folder / "checkpoint.safetensors").unlink()


def height_and_width(size: Size) -> tuple[int, int]:
    """Of a square's side, or as given."""
    return size if isinstance(size, tuple) else (size, size)


def _parts(network: nn.Module, size: Size, device: torch.device) -> dict:
    """The calls to measure: the whole network, and the non-local layers alone on features of their size."""
    generator = torch.Generator().manual_seed(0)

    def image(channels: int) -> torch.Tensor:
        made = torch.rand(1, channels, *height_and_width(size), generator=generator)
        return made.to(device, memory_format=torch.channels_last)

    lr = image(3)
    calls = {"network": lambda: network(lr)}
    if isinstance(network, Trunk) and network.non_local_layers():
        features = image(network.channels)
        calls["non-local layers"] = lambda: network.attend(features)
    return {part: torch.inference_mode()(call) for part, call in calls.items()}


def _moved(network: nn.Module, part: str, size: Size) -> float | None:
    """The least that the non-local layers must read and write, in MiB: input, output, parameters of each."""
    if part == "network":
        return None  # how much of the features must leave the caches is not known
    height, width = height_and_width(size)
    layers = network.non_local_layers()
    maps = 2 * len(layers) * network.channels * height * width
    return 4 * (maps + sum(count_parameters(layer) for layer in layers)) / MIB


def _place(size: Size) -> dict[str, float | int]:
    """The columns that say on what input: the side of a square, or of the square of as many pixels."""
    height, width = height_and_width(size)
    return {"size": height if height == width else (height * width) ** 0.5, "height": height, "width": width}


def profile_network(
    network: nn.Module, device: torch.device, size: Size, repeats: int, warmup: int
) -> pd.DataFrame:
    """Cost of a network, and of its non-local layers alone, on one LR image.

    Returns
    -------
    DataFrame
        part, size, height, width (px), median_ms, q25_ms, q75_ms, repeats, warmup, peak_mib, gflops,
        moved_mib (what the layers must read and write at least), energy_j (None without a GPU).
    """
    network = network.to(device, memory_format=torch.channels_last).eval()
    rows = []
    for part, call in _parts(network, size, device).items():
        cost = profile_call(call, device, repeats, warmup)
        bytes_and_energy = {"moved_mib": _moved(network, part, size), "energy_j": energy(call, device)}
        rows.append({"part": part, **_place(size), **cost, **bytes_and_energy})
    return pd.DataFrame(rows)


def _make_timing(record: Record, device: torch.device) -> None:
    run: TimingRun = record.run
    networks = {
        label: network.build(run.scale, seed=0).to(device, memory_format=torch.channels_last).eval()
        for label, network in run.networks.items()
    }
    roofs = ceilings(device)
    times, costs = [], []
    for size in tqdm(run.sizes, desc="input sizes", unit="size"):
        parts = {label: _parts(network, size, device) for label, network in networks.items()}
        for part in ("network", "non-local layers"):
            calls = {label: calls[part] for label, calls in parts.items() if part in calls}
            if not calls:
                continue
            measured = measure(calls, run.repeats, run.warmup, device).rename(columns={"name": "label"})
            times.append(measured.assign(part=part, **_place(size)))
            summary = summarise_times(measured.rename(columns={"label": "name"}))
            for label, call in calls.items():
                costs.append(
                    {
                        "label": label,
                        "part": part,
                        **_place(size),
                        **summary.loc[label],
                        "warmup": run.warmup,
                        "peak_mib": peak_memory(call, device),
                        "gflops": _count_flops(networks[label], call) / 1e9,
                        "moved_mib": _moved(networks[label], part, size),
                        "energy_j": energy(call, device),
                    }
                )
    _write_csv(record.folder / "times.csv", pd.concat(times)[["label", "part", "size", "repeat", "ms"]])
    _write_csv(record.folder / "profile.csv", pd.DataFrame(costs))
    parameters = {label: count_parameters(network) for label, network in networks.items()}
    _finish(record, device, parameters=parameters, dtype="float32", batch=1, ceilings=roofs)


def _count_flops(network: nn.Module, call: Callable[[], object]) -> int:
    """What a call computes; of FlexAttention, into whose compiled code the counter cannot see, what the other
    fused kernel computes, which is the same."""
    layers = [layer for layer in network.modules() if getattr(layer, "backend", None) == "flex"]
    for layer in layers:
        layer.backend = "sdpa"
    try:
        return count_flops(call)
    finally:
        for layer in layers:
            layer.backend = "flex"


def _make_limits(record: Record, device: torch.device) -> None:
    run: LimitsRun = record.run
    networks = {label: network.build(run.scale, seed=0) for label, network in run.networks.items()}
    found = find_limits(networks, run.sizes, run.limit_s, run.limit_mib, device)
    _write_csv(record.folder / "limits.csv", found)
    _finish(record, device, dtype="float32", batch=1)
