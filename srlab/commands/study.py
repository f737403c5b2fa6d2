"""Make the study: runs, notebooks, the index."""

from __future__ import annotations

import os
import re
import time
from typing import Annotated

import typer

from srlab.commands.options import Devices, ModelName, Options, ProfileName, parse


def run(
    profile: ProfileName = "quick",
    only: Annotated[str, typer.Option(help="A glob on run names, e.g. 'lcoan*'.")] = "*",
    devices: Devices = 1,
    budget: Annotated[
        str | None, typer.Option(help="Do what fits in this time, e.g. 90s, 9m, 1h30m, and stop.")
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="Only list the runs, and which are finished.")] = False,
) -> None:
    """Make all records of a profile, without Jupyter; what is there already is kept.

    Interrupted or out of time, the same command goes on from the last checkpoint.
    """
    deadline = None if budget is None else time.monotonic() + seconds(budget)
    from srlab.study.study import Study
    from srlab.training import first_process

    study = Study(profile)
    if names:
        for each in study.runs():
            typer.echo(f"{'finished' if study.record(each).finished else 'missing ':<9} {each.name}")
        return
    records = study.obtain_all(only, devices, deadline)
    if not first_process():
        return
    finished = sum(record.finished for record in records)
    if finished < len(records):
        typer.echo(f"time is up: {finished} of {len(records)} runs are finished; the same command goes on from here")
    else:
        typer.echo(f"{len(records)} records in {study.folder / 'runs'}")


def seconds(duration: str) -> float:
    """`"1h30m"` as 5400.0; a bare number is seconds."""
    from srlab.errors import InputError

    number = r"\d+(?:\.\d+)?"
    told = f"{duration}s" if re.fullmatch(number, duration) else duration
    found = re.fullmatch(rf"(?:({number})h)?(?:({number})m)?(?:({number})s)?", told)
    parts = found.groups(default="0") if found else ()
    total = sum(float(part) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if total <= 0:
        raise InputError(
            f"budget '{duration}': a time above zero is expected, e.g. 90s, 9m, 1h30m or a number of seconds"
        )
    return total


def trace(
    what: Annotated[
        str,
        typer.Argument(
            metavar="HASH|NUMBER|TABLE:ROW",
            help="A run's hash, of which four digits may do; a number as printed, e.g. +0.053, 36.85, '83 %', 5.71×; "
            "or a row of a table, e.g. comparison_gains:3.",
        ),
    ],
    profile: Annotated[str | None, typer.Option(help="Look only in the results of this profile.")] = None,
) -> None:
    """Print where something came from: tables and rows, runs, what went into them, code and machine."""
    from srlab.report import tracing

    typer.echo(tracing.trace(what, profile))


def where(profile: Annotated[str, typer.Argument(help="A file in profiles/, without .yaml.")]) -> None:
    """Print the folder that holds a profile's results."""
    from srlab.study.study import Study

    typer.echo(Study(profile).folder)


def notebook(
    name: Annotated[str, typer.Argument(help="A file in notebooks/, without .ipynb.")],
    profile: ProfileName = "quick",
) -> None:
    """Execute one notebook of a profile into its results folder, as .ipynb and HTML."""
    from srlab.report.notebooks import execute
    from srlab.study.study import Study

    typer.echo(execute(Study(profile), name))


def index(profile: ProfileName = "quick") -> None:
    """Write the page that shows a profile's main figures and links everything else, and the report.

    Beside them: the networks of the first seed, in half precision, in weights/.
    """
    from srlab.report.index import write_index
    from srlab.report.report import write_report
    from srlab.study.study import Study

    study = Study(profile)
    study.export_weights()
    typer.echo(write_report(study))
    typer.echo(write_index(study))


def explorer(profile: ProfileName = "quick") -> None:
    """Write a page that shows, without a kernel, where a pixel looks in each network that is trained."""
    from srlab.report.explorer import write_explorer
    from srlab.study.study import Study

    typer.echo(write_explorer(Study(profile)))


def claims(profile: ProfileName = "night") -> None:
    """Print the papers' claims and what a profile measured of them, as a Markdown table.

    Until it was run here, what the reference measured.
    """
    import pandas as pd

    from srlab.errors import InputError
    from srlab.stats.tables import claims_markdown
    from srlab.study.study import Study

    study = Study(profile)
    paths = [folder / "tables" / "claims.csv" for folder in (study.folder, study.reference) if folder]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise InputError(f"{paths[0]}: no such table; `srlab notebook claims --profile {profile}` writes it")
    typer.echo(f"From {path}:\n", err=True)
    typer.echo(claims_markdown(pd.read_csv(path)), nl=False)


def plan(
    profile: ProfileName = "cpu",
    half_width: Annotated[
        float, typer.Option(min=0.001, help="Of the intervals that are wanted, all at once, dB.")
    ] = 0.05,
    cores: Annotated[int | None, typer.Option(min=1, help="Of the machine that trains; this one's by default.")] = None,
) -> None:
    """Print how many seeds tell a profile's networks apart, and how long they take, as Markdown tables.

    From the runs that it has; where it has none, from those of its networks in the reference.
    """
    from srlab.stats.power import markdown, plans
    from srlab.study.study import Study

    cores = cores or os.cpu_count() or 1
    found = plans(Study(profile), half_width)
    typer.echo("\n".join(markdown(plan, half_width, cores) for plan in found), nl=False)


def readme(profile: ProfileName = "cpu") -> None:
    """Print the findings of a profile as README shows them: those of the reference, or else your own."""
    from srlab.report.readme import findings_block
    from srlab.study.study import Study

    study = Study(profile)
    typer.echo(findings_block(study.reference or study.folder, study.root, profile), nl=False)


def train(
    model: ModelName = "lcoan",
    profile: ProfileName = "quick",
    seed: Annotated[int | None, typer.Option(help="The profile's first seed by default.")] = None,
    options: Options = None,
    devices: Devices = 1,
) -> None:
    """Train, evaluate and profile one network as a profile does, with options of your own."""
    from srlab.study.study import Study
    from srlab.training import first_process

    study = Study(profile)
    record = study.obtain(study.training(model, seed, **parse(options)), devices)
    if not first_process():
        return
    last = record.curve.iloc[-1]
    typer.echo(f"{record.run.name}: step {last.step:.0f}, loss {last.loss:.4f}; record in {record.folder}")
    typer.echo(record.images.groupby("benchmark")[["psnr_y", "ssim_y"]].mean().round(4).to_string())
