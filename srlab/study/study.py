"""The study: a profile with its data and device, its runs, and the access to their records.

Compute and view are separate: :meth:`Study.obtain` reads a run's record if it exists, and makes the run otherwise.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import copy
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel
from tqdm.auto import tqdm

from srlab.data.layouts import ImageRef, held_out
from srlab.data.sources import DataSource, embedded, evenly, open_data
from srlab.errors import InputError, OutOfTime
from srlab.measure.allocator import keep_memory
from srlab.measure.devices import CHECKOUT, choose_device, code_commit, device_slug
from srlab.models import entry
from srlab.study.chapter import Chapter, settings_of
from srlab.study.exported import exported
from srlab.study.profile import Profile, changed, find_root, load_profile, results_folder
from srlab.study.records import HERE, Record, Weights, check_one_processor, records_in
from srlab.study.runs import Network, Run
from srlab.study.timing_run import TimingRun
from srlab.study.training_run import TrainingRun
from srlab.training import time_is_up
from srlab.weights.identify import WeightsFile, weights_in

#: LR side in pixels at which the networks that a profile trains are timed.
TRAINED_SIDE = 64
#: LCoA's way to share weights in a study: the default, "auto", depends on the device.
STUDIED = {"lcoan": {"sharing": "recomputed"}}


def defaults(model: str) -> dict[str, object]:
    """Return the options of a network, at their default, that every run's config names."""
    return entry(model).options | STUDIED.get(model, {})


class Study:
    """A profile, by its file's name, with its data and device.

    `root` is the folder with profiles/, by default the nearest one at or above the current folder. Environment
    variables: `SRLAB_DATA`, the folder of images; `SRLAB_DEVICE`, a results folder's device such as "nvidia-h200", to
    draw on this machine the results of another, or to continue training there; `SRLAB_RESULTS`, a folder instead of
    results/. Relative folders, the profile's `data` too, are relative to `root`.
    """

    def __init__(self, profile: str, root: Path | None = None):
        self.root = root or find_root()
        self.profile: Profile = load_profile(self.root / "profiles" / f"{profile}.yaml")
        #: The settings of each chapter of the profile.
        self.settings: dict[str, BaseModel] = settings_of(self.profile)
        #: The device of the results: this machine's, unless SRLAB_DEVICE names another.
        self.device = os.environ.get("SRLAB_DEVICE") or device_slug(choose_device(self.profile.device))
        self.folder = results_folder(self.root) / f"{profile}-{self.device}"
        #: The folder of its records, shared with `varied` studies.
        self.runs_folder = self.folder / "runs"

    def varied(self, **parameters: object) -> Study:
        """Return the study with parts of its profile changed by a notebook's parameters; itself if all are None.

        Parameters are fields of the profile, or settings of a chapter by its name (`seeds=[0, 1]`,
        `recall={"models": ["lcoan"]}`), changed as by :func:`srlab.study.profile.changed`. Records are shared, and
        missing ones are made. Figures, tables and answers go to `varied/` in the study's folder.
        """
        own = {name: parameters.pop(name) for name in list(parameters) if name in self.settings}
        profile = changed(self.profile, f"profile '{self.profile.name}'", **parameters)
        settings = {
            name: changed(settings, f"chapter '{name}'", **(own.get(name) or {}))
            for name, settings in self.settings.items()
        }
        if profile == self.profile and settings == self.settings:
            return self
        other = copy(self)
        vars(other).pop("data", None)
        other.profile, other.settings, other.folder = profile, settings, self.folder / "varied"
        return other

    @cached_property
    def data(self) -> DataSource:
        """The images to train and evaluate on."""
        folder = os.environ.get("SRLAB_DATA") or self.profile.data
        found = open_data(self.root / Path(folder).expanduser()) if folder else embedded()
        kept = self.profile
        data = found.select(kept.benchmarks, kept.images, kept.side, kept.leave_out)
        if not data.benchmarks:
            raise InputError(f"data '{data.name}': no benchmark; put images into benchmark/<name>/HR/")
        return data

    def released(self, scale: int, networks: Iterable[str] = ()) -> dict[str, WeightsFile]:
        """Find released weights for a scale by network, or only these networks; empty without a folder of weights.

        The folder is SRLAB_WEIGHTS, or else the profile's. Raises InputError if it has no weights for the scale, two
        files of one network, or not all of `networks`.
        """
        folder = os.environ.get("SRLAB_WEIGHTS") or self.profile.weights
        if not folder:
            return {}
        folder = self.root / Path(folder).expanduser()
        found = weights_in(folder, scale)
        if missing := [name for name in networks if name not in found]:
            raise InputError(f"networks: '{missing[0]}' is not in {folder}; there are: {', '.join(found)}")
        return {name: each for name, each in found.items() if name in (networks or found)}

    @property
    def pictures(self) -> tuple[ImageRef, ...]:
        """HR images for figures: free photographs that no study trains on, at most the profile's `images`."""
        return tuple(evenly(held_out().hr, self.profile.images))

    @property
    def reference(self) -> Path | None:
        """Our committed results of this profile: this processor's, or else the first; None within those results."""
        committed = self.root / "results" / "reference"
        if self.folder.resolve().parent == committed.resolve():
            return None
        folders = [path for path in committed.glob(f"{self.profile.name}-*") if path.is_dir()]
        return min(folders, key=lambda path: (path.name != self.folder.name, path), default=None)

    # --- chapters -------------------------------------------------------------------------------------------------

    def chapter(self, name: str) -> Chapter:
        """Open a chapter; InputError if the profile lacks it."""
        if name not in self.settings:
            there = ", ".join(self.settings) or "none"
            raise InputError(f"profile '{self.profile.name}' has no chapter '{name}'; its chapters are: {there}")
        return Chapter(name, self, self.settings[name])

    @property
    def chapters(self) -> list[Chapter]:
        """Every chapter of the profile, in the order of the notebooks."""
        chapters = [self.chapter(name) for name in self.settings]
        return sorted(chapters, key=lambda chapter: chapter.notebook.name)

    def scenes(self) -> dict[str, ImageRef]:
        """Return the images of chapters' own tasks by name (:class:`srlab.analysis.images.TaskImage`)."""
        hooks = [(chapter, getattr(chapter.module, "scenes", None)) for chapter in self.chapters]
        return {name: image for chapter, hook in hooks if hook for name, image in hook(self, chapter.settings).items()}

    # --- runs -----------------------------------------------------------------------------------------------------

    def network(self, model: str, **options: object) -> Network:
        """Return a network with the profile's sizes as far as it has such options, its own options, and these."""
        known = defaults(model)
        sizes = {key: value for key, value in self.profile.network.items() if key in known}
        start = {key: getattr(self.profile, key) for key in ("skip", "first")}
        start = {key: value for key, value in start.items() if value != "published"}
        return Network(model=model, options=known | sizes | self.profile.options.get(model, {}) | start | options)

    def training(
        self, model: str, seed: int | None = None, photographs: int | None = None, **options: object
    ) -> TrainingRun:
        """Return the run that trains `model` as this profile does, with these options; the first seed by default."""
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

    def over_seeds(self, model: str, **options: object) -> list[TrainingRun]:
        """Return :meth:`training` for every seed."""
        return [self.training(model, seed, **options) for seed in self.profile.seeds]

    def comparison(self) -> list[TrainingRun]:
        """Return every model of the profile from scratch, every seed."""
        return [run for model in self.profile.models for run in self.over_seeds(model)]

    def trunks(self) -> list[TrainingRun]:
        """Return the trunks without attention, trained long, that branches continue from."""
        if self.profile.branch is None:
            return []
        budget = self.profile.budget(**self.profile.branch.trunk)
        return [run.model_copy(update={"budget": budget}) for run in self.over_seeds("no_attention")]

    def branches(self) -> list[TrainingRun]:
        """Return each arm of the branched experiment, continued from every trunk behind closed gates."""
        branch = self.profile.branch
        if branch is None:
            return []
        budget = self.profile.budget(**branch.training)
        arms = [(model, {}) for model in branch.models] + [("trunk_window", {"side": side}) for side in branch.sides]
        return [
            self.training(model, trunk.seed, gates="closed", **options).model_copy(
                update={"budget": budget, "start_from": trunk.hash}
            )
            for model, options in arms
            for trunk in self.trunks()
        ]

    def start_of(self, run: TrainingRun) -> TrainingRun:
        """Return the trunk that a branch continues from."""
        return next(trunk for trunk in self.trunks() if trunk.hash == run.start_from)

    def label(self, run: Run) -> str:
        """Return a run's model, and its options other than the profile's, e.g. "trunk_window side=8"."""
        start = {"skip": "published", "first": "published"}
        usual = start | self.network(run.network.model).options | {"gates": "closed"}
        own = start | run.network.options
        return " ".join([run.network.model, *(f"{key}={value}" for key, value in own.items() if value != usual[key])])

    def costs(self) -> TimingRun | None:
        """Return the measurement of all networks trained by the profile's budget; None if nothing is timed."""
        if self.profile.timing is None:
            return None
        networks = {
            self.label(run): run.network
            for run in [*self.comparison(), *(run for chapter in self.chapters for run in chapter.runs)]
            if isinstance(run, TrainingRun) and run.budget == self.profile.training and not run.start_from
        }
        return self.timing("trained", networks, (TRAINED_SIDE,)) if networks else None

    def timing(self, about: str, networks: dict[str, Network], sizes: tuple, inside: bool = False) -> TimingRun:
        """Return a measurement with the profile's scale and numbers of repeats."""
        how = {"scale": self.profile.scale, "device": self.device, **self.profile.timing.model_dump()}
        return TimingRun(about=about, networks=networks, sizes=sizes, inside=inside, **how)

    def runs(self) -> list[Run]:
        """Return every run of the profile and all that these need, measurements first, then seed by seed."""
        costs = self.costs()
        every = [*([costs] if costs else []), *self.comparison(), *self.trunks()]
        every += [run for chapter in self.chapters for run in chapter.runs]
        once = {each.hash: each for run in every for each in self.with_needs(run)}.values()
        return sorted(once, key=lambda run: run.seed if run.trains else -1)

    def with_needs(self, run: Run) -> Iterator[Run]:
        """Yield all that a run needs, each after its own needs, and the run itself."""
        for needed in run.needs(self):
            yield from self.with_needs(needed)
        yield run

    # --- their records --------------------------------------------------------------------------------------------

    def record(self, run: Run) -> Record:
        """Return the record of a run, made or not."""
        return Record(run, self.runs_folder / run.name)

    def has(self, record: Record) -> bool:
        """Check for the record; a packed one, or one that cannot be made on this machine, may lack its weights."""
        if record.finished or not record.readable:
            return record.finished
        return not record.folder.is_dir() or record.run.device != device_slug(choose_device(self.profile.device))

    def obtain(self, run: Run, processes: int = 1, deadline: float | None = None) -> Record:
        """Read the run's record, or make the run; `processes` is the number of devices that train together.

        InputError if the run is missing and belongs to another device; all but times of a profile for CPUs may be made
        on any processor, and the record names it. OutOfTime at the deadline (`time.monotonic`, s), and the same call
        resumes: no run begins after it, and training stops; a measurement goes on to its end.
        """
        record = self.record(run)
        if self.has(record):
            return record
        device = choose_device(self.profile.device)
        if run.device != device_slug(device) and (run.timed or self.profile.device != "cpu"):
            raise InputError(f"run {run.name} is missing and can only be made on '{run.device}', not on this machine")
        if time_is_up(deadline):
            raise OutOfTime(f"{run.name} was not begun")
        if self.profile.committed and not re.fullmatch("[0-9a-f]+", commit := code_commit()):
            remedy = "commit your changes, or set them aside"
            if commit == "unknown":
                remedy = f"`git -C {CHECKOUT} status` tells why git names no commit (another owner: safe.directory)"
            raise InputError(
                f"profile '{self.profile.name}' begins no run of code that is not committed, and this is '{commit}': "
                f"{remedy}"
            )
        for needed in run.needs(self):
            self.obtain(needed, processes, deadline)
        keep_memory()  # in notebooks' kernels too: one condition for all times
        record.begin()
        run.make(record, self, device, processes, deadline)
        return record

    def obtain_or_keep(self, runs: Iterable[Run], names: str, profile: str | None = None) -> list[Record]:
        """Obtain runs; without any, as without released weights, read the kept records that match the glob `names`.

        These are the records of this study's folder, or else of the first committed study of `profile` that has some;
        by default of this study's own. InputError if there are none.
        """
        if made := [self.obtain(run) for run in runs]:
            return made
        folder, committed = self.runs_folder.parent, self.root / "results" / "reference"
        for each in (folder, *sorted(committed.glob(f"{profile or self.profile.name}-*"))):
            if found := records_in(each, names):
                return found
        raise InputError(f"{folder}: no records {names}, and nothing to make them from: SRLAB_WEIGHTS names no weights")

    def obtain_all(self, only: str = "*", processes: int = 1, deadline: float | None = None) -> list[Record]:
        """Obtain all runs with a name that matches the glob `only`, until the deadline, with a progress bar."""
        runs = [run for run in self.runs() if fnmatch.fnmatch(run.name, only)]
        if not runs:
            names = ", ".join(run.name for run in self.runs())
            raise InputError(f"no run of profile '{self.profile.name}' matches '{only}'; there are: {names}")
        with suppress(OutOfTime):
            for run in tqdm(runs, desc=f"runs of {self.profile.name}", unit="run"):
                self.obtain(run, processes, deadline)
        return [self.record(run) for run in runs]

    def finished_records(self) -> list[Record]:
        """Return the records of all runs; InputError names missing runs, or several processors that measured times."""
        records = [self.record(run) for run in self.runs()]
        if missing := [record.run.name for record in records if not self.has(record)]:
            raise InputError(f"every run of profile '{self.profile.name}' is needed; missing: {', '.join(missing)}")
        check_one_processor(records)
        return records

    # --- learnt weights -------------------------------------------------------------------------------------------

    def weights(self, run: Run) -> Weights | None:
        """Return the weights that a run learnt, or else the reference's (`srlab.study.exported.export_weights`).

        The reference's run is the same but for images and processor.
        """
        record = self.record(run)
        if record.finished:
            return Weights(run, record.folder / "weights.safetensors", HERE)
        name = next((name for name, exported in exported(self).items() if exported == run), None)
        if self.reference is None or name is None:
            return None
        file = self.reference / "weights" / f"{name}.safetensors"
        for kept in records_in(self.reference, f"{run.slug}-*") if file.is_file() else ():
            elsewhere = {key: getattr(kept.run, key) for key in ("device", "data", "benchmarks") if hasattr(run, key)}
            if kept.run == run.model_copy(update=elsewhere):
                processor = self.reference.name.removeprefix(f"{self.profile.name}-")
                return Weights(kept.run, file, f"reference: {processor}")
        return None

    def obtain_weights(self, run: Run) -> Weights:
        """Return the weights of a run, made by training if neither the study nor the reference has them."""
        if (found := self.weights(run)) is not None:
            return found
        self.obtain(run)
        return self.weights(run)
