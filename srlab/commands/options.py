"""Options that several commands share, the reading of their values, and the printing of tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch

    from srlab.measure.precision import Precision

ProfileName = Annotated[str, typer.Option("--profile", help="A file in profiles/, without .yaml.")]
ModelName = Annotated[str, typer.Option("--model", help="A network of `srlab models`.")]
Scale = Annotated[int, typer.Option(help="2, 3, 4 or 8.")]
Devices = Annotated[
    int, typer.Option(min=1, max=1024, help="Processes that train together (GPUs, or processes on a CPU).")
]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
PrecisionName = Annotated[
    str, typer.Option("--precision", help="Of the network: 32-true, or bf16-mixed (bf16 for short).")
]
Options = Annotated[
    list[str] | None, typer.Option("--set", help="An option of the network, e.g. --set clusters=64; repeatable.")
]


def parse(settings: list[str] | None) -> dict[str, object]:
    """Parse `["clusters=64"]` to `{"clusters": 64}`; values are read as JSON, or else as text."""
    from srlab.errors import InputError

    parsed: dict[str, object] = {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected OPTION=VALUE, e.g. clusters=64")
        try:
            parsed[key] = json.loads(value)
        except json.JSONDecodeError:
            parsed[key] = value
    return parsed


def choose_precision(name: str, place: torch.device) -> Precision:
    """Return the precision of that name, with a warning on devices where it is slower."""
    from srlab.measure.devices import describe_device
    from srlab.measure.precision import has_bf16_units, parse_precision

    precision = parse_precision(name)
    if precision != "32-true" and not has_bf16_units(place):
        on = describe_device(place)["name"]
        typer.echo(f"{precision} is slower than 32-true here: {on} has no bfloat16 instructions.", err=True)
    return precision


def with_weights(models: list[str], weights: list[Path] | None) -> list[tuple[str, Path | None]]:
    """Pair each model other than bicubic with the next file."""
    from srlab.errors import InputError

    files, networks = list(weights or []), [model for model in models if model != "bicubic"]
    if len(files) < len(networks):
        raise InputError(f"--weights is missing: '{networks[len(files)]}' needs a file (only bicubic needs none)")
    if len(files) > len(networks):
        raise InputError(f"--weights {files[len(networks)]}: there is no --model for it (bicubic needs none)")
    return [(model, None if model == "bicubic" else files.pop(0)) for model in models]


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows in columns; the first row holds the headings."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
