"""Make the study: runs, notebooks, the index."""

from __future__ import annotations

from typing import Annotated

import typer

from srlab.commands.options import Devices, ModelName, Options, ProfileName, parse


def run(
    profile: ProfileName = "quick",
    only: Annotated[str, typer.Option(help="A glob on run names, e.g. 'lcoan*'.")] = "*",
    devices: Devices = 1,
    names: Annotated[
        bool, typer.Option("--list", help="Only list the runs, and which are finished.")
    ] = False,
) -> None:
    """Make all records of a profile, without Jupyter; what is there already is kept.

    Interrupted, the same command goes on from the last checkpoint.
    """
    from srlab.runs import Study

    study = Study(profile)
    if names:
        for each in study.runs():
            typer.echo(f"{'finished' if study.record(each).finished else 'missing ':<9} {each.name}")
        return
    records = study.obtain_all(only, devices)
    typer.echo(f"{len(records)} records in {study.folder / 'runs'}")


def where(profile: Annotated[str, typer.Argument(help="A file in profiles/, without .yaml.")]) -> None:
    """Print the folder that holds a profile's results."""
    from srlab.runs import Study

    typer.echo(Study(profile).folder)


def notebook(
    name: Annotated[str, typer.Argument(help="A file in notebooks/, without .ipynb.")],
    profile: ProfileName = "quick",
) -> None:
    """Execute one notebook of a profile into its results folder, as .ipynb and HTML."""
    from srlab.notebooks import execute
    from srlab.runs import Study

    typer.echo(execute(Study(profile), name))


def index(profile: ProfileName = "quick") -> None:
    """Write the page that shows a profile's main figures and links everything else."""
    from srlab.notebooks import write_index
    from srlab.runs import Study

    typer.echo(write_index(Study(profile)))


def train(
    model: ModelName = "lcoan",
    profile: ProfileName = "quick",
    seed: Annotated[int | None, typer.Option(help="The profile's first seed by default.")] = None,
    options: Options = None,
    devices: Devices = 1,
) -> None:
    """Train, evaluate and profile one network as a profile does, with options of your own."""
    from srlab.runs import Study

    study = Study(profile)
    record = study.obtain(study.training(model, seed, **parse(options)), devices)
    last = record.curve.iloc[-1]
    typer.echo(f"{record.run.name}: step {last.step:.0f}, loss {last.loss:.4f}; record in {record.folder}")
    typer.echo(record.images.groupby("benchmark")[["psnr_y", "ssim_y"]].mean().round(4).to_string())
