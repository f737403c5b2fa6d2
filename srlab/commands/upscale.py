"""`srlab upscale`: a folder of pictures through a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import DeviceName, PrecisionName, Scale, choose_precision, with_weights


def upscale(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, globs ('**' too).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The output folder.")],
    model: Annotated[str, typer.Option(help="bicubic, or a network with --weights.")] = "bicubic",
    weights: Annotated[Path | None, typer.Option(help="Weights of this project, or released ones.")] = None,
    scale: Scale = 4,
    tile: Annotated[
        int | None, typer.Option(help="Tiles' side in LR pixels; by default 256 for pictures above 512×512 LR pixels.")
    ] = None,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Average over the eight flips and rotations.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    device: DeviceName = "auto",
    precision: PrecisionName = "32-true",
) -> None:
    """Upscale PNG, JPEG, WebP, TIFF and BMP pictures of 8 or 16 bits.

    Names, format, bit depth, grey, alpha (bicubic) and ICC profile are kept; the output lists what is lost.
    Files that exist are skipped, so an interrupted command resumes. The exit status is 1 if a picture failed.
    """
    from srlab.measure.devices import choose_device
    from srlab.models import check_scale
    from srlab.upscale import find_pictures, upscale_files
    from srlab.weights.checkpoints import open_network

    check_scale(scale)
    place = choose_device(device)
    options = {"device": place, "ensemble": ensemble, "tile": tile, "precision": choose_precision(precision, place)}
    sources = find_pictures(inputs, output)
    [(_, file)] = with_weights([model], [weights] if weights else None)
    network = open_network(model, file, scale).to(place) if file else None
    outcome = upscale_files(sources, output, network, scale, overwrite, **options)

    skipped = f", {len(outcome.skipped)} skipped that exist (--overwrite replaces them)" if outcome.skipped else ""
    typer.echo(f"{len(outcome.written)} written to {output}{skipped}")
    for name, targets in outcome.lost.items():
        others = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
        typer.echo(f"not kept: {name} ({targets[0].name}{others})")
    if outcome.failed:
        typer.secho("\n".join([f"{len(outcome.failed)} failed:", *outcome.failed]), fg="red", err=True)
        raise typer.Exit(1)
