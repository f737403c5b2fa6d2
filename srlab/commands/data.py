"""`srlab data check`: a folder of images, before its numbers are believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import print_table

app = typer.Typer(help="Data sets; docs/data.md lists where they are published.", no_args_is_help=True)


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="train/ and benchmark/, or one benchmark, or images.")]) -> None:
    """Check counts, readability, sizes, HR/LR pairs and train/test overlap.

    The exit status is 1 if there are errors.
    """
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
