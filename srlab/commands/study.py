"""Make the study: runs, notebooks, the index."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import Devices, ModelName, Options, ProfileName, parse

Results = Annotated[Path, typer.Argument(help="A results folder, e.g. results/reference/quick-amd-epyc.")]


def run(
    profile: ProfileName = "quick",
    only: Annotated[str, typer.Option(help="A glob on run names, e.g. 'lcoan*'.")] = "*",
    devices: Devices = 1,
    budget: Annotated[str | None, typer.Option(help="Stop after this time, e.g. 90s, 9m, 1h30m.")] = None,
    names: Annotated[bool, typer.Option("--list", help="Only list the runs, finished and missing.")] = False,
) -> None:
    """Make all missing records of a profile, without Jupyter.

    After an interrupt or the end of the time, the same command resumes from the last checkpoint.
    """
    deadline = None if budget is None else time.monotonic() + seconds(budget)
    from srlab.study.study import Study
    from srlab.training import first_process

    study = Study(profile)
    if names:
        for each in study.runs():
            typer.echo(f"{'finished' if study.has(study.record(each)) else 'missing ':<9} {each.name}")
        return
    records = study.obtain_all(only, devices, deadline)
    if not first_process():
        return
    if (finished := sum(map(study.has, records))) < len(records):
        typer.echo(f"time is up: {finished} of {len(records)} runs are finished; the same command goes on from here")
    else:
        typer.echo(f"{len(records)} records in {study.folder / 'runs'}")


def seconds(duration: str) -> float:
    """Read `"1h30m"` as 5400.0; a bare number is seconds."""
    from srlab.errors import InputError

    number = r"\d+(?:\.\d+)?"
    timed = f"{duration}s" if re.fullmatch(number, duration) else duration
    found = re.fullmatch(rf"(?:({number})h)?(?:({number})m)?(?:({number})s)?", timed)
    parts = found.groups(default="0") if found else ()
    total = sum(float(part) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if total <= 0:
        raise InputError(f"budget '{duration}': a time above zero is expected, e.g. 90s, 9m, 1h30m or seconds")
    return total


def trace(digits: Annotated[str, typer.Argument(metavar="HASH", help="A hash, or ≥ 4 digits of it.")]) -> None:
    """Print the config, code, machine and tables of a run."""
    from srlab.report.trace import trace as describe

    typer.echo(describe(digits))


def redraw(study: Results) -> None:
    """Make figures and answers of a results folder anew from its tables."""
    from srlab.study.chapter import redraw as draw

    _check_results(study, "tables")
    for file in draw(study):
        typer.echo(file)


def pack(study: Results) -> None:
    """Pack the records of a results folder into runs.zip, to commit them."""
    from srlab.study.records import pack as write

    _check_results(study, "runs")
    typer.echo(write(study))


def _check_results(study: Path, folder: str) -> None:
    from srlab.errors import InputError

    if not (study / folder).is_dir():
        raise InputError(f"{study}: no folder {folder}/ in it; a results folder is expected")


def where(profile: Annotated[str, typer.Argument(help="A file in profiles/, without .yaml.")]) -> None:
    """Print the folder that holds a profile's results."""
    from srlab.study.study import Study

    typer.echo(Study(profile).folder)


def notebook(
    name: Annotated[str, typer.Argument(help="A file in notebooks/, without .ipynb.")], profile: ProfileName = "quick"
) -> None:
    """Execute one notebook of a profile into its results folder, as .ipynb and HTML."""
    from srlab.report.notebooks import execute
    from srlab.study.study import Study

    typer.echo(execute(Study(profile), name))


def index(profile: ProfileName = "quick") -> None:
    """Write the page with a profile's questions and answers, and the report.

    Beside them: the networks of the first seed, in half precision, in weights/.
    """
    from srlab.report.index import write_index, write_report
    from srlab.study.exported import export_weights
    from srlab.study.study import Study

    study = Study(profile)
    export_weights(study)
    typer.echo(write_report(study))
    typer.echo(write_index(study))


def site(
    profile: ProfileName = "quick",
    into: Annotated[Path | None, typer.Option(help="The page's folder; by default the profile's results.")] = None,
    address: Annotated[str, typer.Option(help="Where it is published, for previews of links.")] = "",
) -> None:
    """Write the whole study as one page, index.html, from all results, the reader's own before the reference."""
    from srlab.report.site import write_site
    from srlab.study.study import Study

    typer.echo(write_site(Study(profile), into, address))


def explorer(profile: ProfileName = "quick") -> None:
    """Write the page that shows where a pixel looks in each trained network, without a kernel."""
    from srlab.report.explorer import write_explorer
    from srlab.study.study import Study

    typer.echo(write_explorer(Study(profile)))


def train(
    model: ModelName = "lcoan",
    profile: ProfileName = "quick",
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="By default the profile's first.")] = None,
    options: Options = None,
    devices: Devices = 1,
) -> None:
    """Train and evaluate one network as a profile does, with options of your own."""
    from srlab.study.study import Study
    from srlab.training import first_process

    study = Study(profile)
    record = study.obtain(study.training(model, seed, **parse(options)), devices)
    if not first_process():
        return
    last = record.table("curve").iloc[-1]
    typer.echo(f"{record.run.name}: step {last.step:.0f}, loss {last.loss:.4f}; record in {record.folder}")
    typer.echo(record.table("images").groupby("benchmark")[["psnr_y", "ssim_y"]].mean().round(4).to_string())
