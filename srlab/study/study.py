"""The study: a profile with its data and device, and the door to its records.

Compute and view are apart: whoever needs a run asks :meth:`Study.obtain`. If its record is there it is read,
else the run is made.
"""

from __future__ import annotations

import fnmatch
import os
import re
from contextlib import suppress
from copy import copy
from functools import cached_property
from pathlib import Path

from tqdm.auto import tqdm

from srlab.data.layouts import ImageRef, held_out
from srlab.data.sources import DataSource, embedded, open_data
from srlab.errors import InputError, OutOfTime
from srlab.measure.devices import choose_device, code_commit, device_slug
from srlab.study.making import make_limits, make_recall, make_timing, make_training
from srlab.study.matrix import Matrix
from srlab.study.parameters import varied
from srlab.study.profiles import Profile, load_profile
from srlab.study.records import HERE, Record, Weights, check_one_processor, records_in
from srlab.study.runs import RecallRun, Run, TrainingRun
from srlab.training import time_is_up
from srlab.weights.checkpoints import save_network


class Study(Matrix):
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
    as "nvidia-h200", to draw on this machine what was measured on another, or to go on training there;
    `SRLAB_RESULTS`, a folder instead of results/. Relative folders, the profile's `data` too, are relative to
    `root`.
    """

    def __init__(self, profile: str, root: Path | None = None):
        self.root = root or find_root()
        self.profile: Profile = load_profile(self.root / "profiles" / f"{profile}.yaml")
        #: The device of the results: this machine's, unless SRLAB_DEVICE names another.
        self.device = os.environ.get("SRLAB_DEVICE") or device_slug(choose_device(self.profile.device))
        results = self.root / (os.environ.get("SRLAB_RESULTS") or "results")
        self.folder = results / f"{profile}-{self.device}"
        #: The folder of its records, which `varied` studies share.
        self.runs_folder = self.folder / "runs"

    def varied(self, **parameters: object) -> Study:
        """The study with some of its profile otherwise, as a notebook's parameters ask; itself where all are None.

        Records are the same, and those that are missing are made; what is drawn and told goes to `varied/` in the
        study's folder, so that what the profile's own notebooks made stays.

        Parameters
        ----------
        **parameters
            See :func:`srlab.study.parameters.varied`.

        Raises
        ------
        InputError
            If a value is not allowed, or one is None of which the profile has nothing.
        """
        profile = varied(self.profile, **parameters)
        if profile == self.profile:
            return self
        other = copy(self)
        vars(other).pop("data", None)
        other.profile, other.folder = profile, self.folder / "varied"
        return other

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

    def scenes(self) -> dict[str, ImageRef]:
        """Return the images of chapters' own tasks by name (:class:`srlab.analysis.images.TaskImage`)."""
        from srlab.analysis.recall import recall_refs  # which imports this module

        return recall_refs() if self.profile.recall else {}

    @property
    def kept(self) -> bool:
        """Whether its folder is one of our committed results."""
        return self.folder.resolve().parent == (self.root / "results" / "reference").resolve()

    @property
    def reference(self) -> Path | None:
        """Our own committed results of this profile, to compare with: this processor's, or else the first.

        None where there are none, and where this study's folder is one of them.
        """
        if self.kept:
            return None
        committed = self.root / "results" / "reference"
        folders = sorted(path for path in committed.glob(f"{self.profile.name}-*") if path.is_dir())
        own = [path for path in folders if path.name == self.folder.name]
        return next(iter(own + folders), None)

    # --- their records ----------------------------------------------------------------------------------

    def record(self, run: Run) -> Record:
        """Where the run's record is or will be."""
        return Record(run, self.runs_folder / run.name)

    def has(self, record: Record) -> bool:
        """Whether the record is there; of a run that cannot be made on this machine what it learnt may be missing."""
        if record.finished or not record.readable:
            return record.finished
        return record.run.device != device_slug(choose_device(self.profile.device))

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
            If it has to be made and is a run of another device than this machine's; but networks of a profile for
            CPUs are trained on any, which the record names.
        OutOfTime
            If the deadline came; the same call goes on.
        """
        record = self.record(run)
        if self.has(record):
            return record
        device = choose_device(self.profile.device)
        # What a network learns on another processor differs by rounding; times are each one's own.
        learns = self.profile.device == "cpu" and run.kind in ("training", "recall")
        if run.device != device_slug(device) and not learns:
            raise InputError(f"run {run.name} is missing and can only be made on '{run.device}', not on this machine")
        if time_is_up(deadline):
            raise OutOfTime(f"{run.name} was not begun")
        if self.profile.committed and not re.fullmatch("[0-9a-f]+", commit := code_commit()):
            raise InputError(
                f"profile '{self.profile.name}' begins no run of code that is not committed, and this is '{commit}': "
                f"commit your changes, or set them aside"
            )
        start = None
        if run.kind == "training" and run.start_from:
            start = self.obtain(self.start_of(run), processes, deadline)
        record.begin()
        if run.kind == "training":
            make_training(record, self.data.fewer(run.photographs), device, processes, deadline, start)
        elif run.kind == "recall":
            make_recall(record, device, processes, deadline)
        elif run.kind == "timing":
            make_timing(record, device)
        else:
            make_limits(record, device)
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

    def weights(self, run: TrainingRun | RecallRun) -> Weights | None:
        """What a network learnt by a run of this study or, until that is finished, by the reference's.

        The reference has what `export_weights` writes. The run is the same there but for the images and the
        processor.
        """
        record = self.record(run)
        if record.finished:
            return Weights(run, record.folder / "weights.safetensors", HERE)
        name = next((name for name, exported in self.exported().items() if exported == run), None)
        if self.reference is None or name is None:
            return None
        file = self.reference / "weights" / f"{name}.safetensors"
        for kept in records_in(self.reference, f"{run.slug}-*") if file.is_file() else ():
            images = ("data", "benchmarks") if run.kind == "training" else ()
            elsewhere = {name: getattr(kept.run, name) for name in ("device", *images)}
            if kept.run == run.model_copy(update=elsewhere):
                processor = self.reference.name.removeprefix(f"{self.profile.name}-")
                return Weights(kept.run, file, f"reference: {processor}")
        return None

    def obtain_weights(self, run: TrainingRun) -> Weights:
        """The same; made by training where neither has them, as :meth:`obtain` does."""
        if (found := self.weights(run)) is not None:
            return found
        self.obtain(run)
        return self.weights(run)

    def finished_records(self) -> list[Record]:
        """The records of all runs.

        Raises
        ------
        InputError
            Naming those that are missing, or processors, if several measured times.
        """
        records = [self.record(run) for run in self.runs()]
        missing = [record.run.name for record in records if not self.has(record)]
        if missing:
            raise InputError(f"every run of profile '{self.profile.name}' is needed; missing: {', '.join(missing)}")
        check_one_processor(records)
        return records

    def exported(self) -> dict[str, TrainingRun | RecallRun]:
        """The runs of the first seed whose weights are kept, by the file's name: the comparison, branches, recall."""
        of = {"": self.comparison(), "-branch": self.branches(), "-recall": self.recalls()}
        return {
            re.sub("[ =]", "-", self.label(run)) + kind: run
            for kind, runs in of.items()
            for run in runs
            if run.seed == self.profile.seeds[0]
        }

    def export_weights(self) -> list[Path]:
        """Write what networks learnt from the first seed, to use and to keep.

        Returns
        -------
        list of Path
            `weights/MODEL.safetensors` of the comparison, `weights/ARM-branch.safetensors`, and
            `weights/ARM-recall.safetensors`, in half precision, which `srlab.weights.open_network` reads. Of records
            from elsewhere, of those that have theirs.
        """
        written = []
        for name, run in self.exported().items():
            if not self.record(run).finished:
                continue
            path = self.folder / "weights" / f"{name}.safetensors"
            network = self.record(run).network().half()
            save_network(path, network, run.network.model, run.scale, run.network.options)
            written.append(path)
        return written


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
