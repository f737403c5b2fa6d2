"""Data sets: list, get, check."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.printing import print_table

app = typer.Typer(help="Data sets: what there is, fetch it, check it.", no_args_is_help=True)


@app.command("list")
def list_data_sets() -> None:
    """Every data set: name, images, licence, whether it is fetched, found in SRLAB_DATA, and its page.

    Licences are as the pages state them: "none stated" where they do not, "none known" for pages not read.
    """
    from srlab.data.catalogue import CATALOGUE

    setting = os.environ.get("SRLAB_DATA")
    root = Path(setting).expanduser() if setting else None
    rows = [("name", "images", "licence", "how", "found", "page")]
    for data_set in CATALOGUE.values():
        found = data_set.folders(root) if root else []
        rows.append(
            (
                data_set.name,
                ", ".join(f"{count} {split}" for split, count in data_set.images.items()),
                data_set.licence,
                "get" if data_set.archives else "ask",
                ", ".join(folder.relative_to(root).as_posix() for folder in found) or "no",
                data_set.page,
            )
        )
    print_table(rows)
    typer.echo(f"found: in SRLAB_DATA={root}" if root else "found: SRLAB_DATA is not set")


@app.command()
def get(names: Annotated[list[str], typer.Argument(help="Names of `srlab data list`.")]) -> None:
    """Fetch data sets into SRLAB_DATA, or say where to ask for them.

    An interrupted download goes on where it stopped; checksums are verified before anything is unpacked.
    Addresses and checksums are those that public projects list; they were not tried when this was written.
    """
    from srlab.data.fetch import get as fetch
    from srlab.errors import InputError

    root = os.environ.get("SRLAB_DATA")
    if not root:
        raise InputError("SRLAB_DATA is not set; set it to the folder that is to hold the data sets")
    for folder in fetch(names, Path(root).expanduser()):
        typer.echo(folder)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="train/ and benchmark/, or one benchmark, or images.")],
) -> None:
    """Check counts, readability, sizes, HR/LR pairs and train/test overlap; status 1 if there are errors."""
    from srlab.data.check import check as examine

    report = examine(folder)
    rows = [("folder", "images", "expected", "smallest", "largest")]
    for group in report.groups:
        by_area = sorted(group.images, key=lambda image: image.width * image.height)
        extremes = [f"{image.width}×{image.height}" for image in by_area[:1] + by_area[-1:]] or ["-", "-"]
        rows.append((group.name, str(group.count), str(group.expected or "-"), *extremes))
    print_table(rows)
    for kind, findings in (("error", report.errors), ("note", report.notes)):
        for finding in findings:
            typer.echo(f"{kind}: {finding}")
    typer.echo(f"errors: {len(report.errors)}, notes: {len(report.notes)}")
    if report.errors:
        raise typer.Exit(1)
