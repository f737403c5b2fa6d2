"""Real pictures: enlarge them, and see how models differ on one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import DeviceName, PrecisionName, ProfileName, Scale, choose_precision, with_weights

Tile = Annotated[
    int | None,
    typer.Option(
        help="Work on tiles of this side in LR pixels, which bounds memory. By default 256 for images of "
        "more than 512×512 LR pixels, and none for smaller ones."
    ),
]


def upscale(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, globs ('**' too).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.")],
    model: Annotated[str, typer.Option(help="bicubic, or a network whose --weights are given.")] = "bicubic",
    weights: Annotated[Path | None, typer.Option(help="A file of this project's, or a released one.")] = None,
    scale: Scale = 4,
    tile: Tile = None,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Average over the eight flips and rotations.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")] = False,
    form: Annotated[
        str | None, typer.Option("--format", help="png, jpeg, webp or tiff; as its name says, by default.")
    ] = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "32-true",
) -> None:
    """Enlarge pictures: PNG, JPEG, WebP and TIFF of 8 and 16 bits, grey or colour, with what they carry.

    ICC profile, EXIF, orientation and resolution are kept; alpha is bicubic.
    Of a folder the pictures directly in it are taken; 'folder/**/*' takes all.
    What was written before is skipped, so an interrupted command goes on.
    The exit status is 1 if a picture could not be enlarged.
    """
    from srlab.measure.devices import choose_device
    from srlab.models import check_scale
    from srlab.pictures.upscaling import find_pictures, plan, upscale_files
    from srlab.weights.checkpoints import open_network

    check_scale(scale)
    place = choose_device(device)
    computed = choose_precision(precision, place)
    jobs = plan(find_pictures(inputs), output, form)
    [(_, file)] = with_weights([model], [weights] if weights else None)
    network = open_network(model, file, scale).to(place) if file else None
    outcome = upscale_files(jobs, network, scale, place, ensemble, tile, overwrite, computed)

    there = f", {len(outcome.skipped)} skipped that were there (--overwrite replaces them)"
    typer.echo(f"{len(outcome.written)} written to {output}{there if outcome.skipped else ''}")
    for note, targets in outcome.notes.items():
        others = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
        typer.echo(f"{targets[0].name}{others}: {note}")
    if outcome.failed:
        typer.secho(f"{len(outcome.failed)} failed:", fg="red", err=True)
        for sentence in outcome.failed:
            typer.echo(sentence, err=True)
        raise typer.Exit(1)


def compare(
    image: Annotated[Path, typer.Argument(help="An HR image; it is shrunk and restored.")],
    models: Annotated[str, typer.Option(help="Names of `srlab models` and bicubic, between commas.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The sheet: .png, .svg or .pdf.")],
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file for each model but bicubic, in their order; repeatable. "
            "Without any, those that the profile's study trained, or its reference."
        ),
    ] = None,
    scale: Scale = 4,
    crop: Annotated[
        str | None,
        typer.Option(help="LEFT,TOP,WIDTH,HEIGHT in HR pixels; where the models differ most, by default."),
    ] = None,
    tile: Tile = None,
    profile: ProfileName = "quick",
    device: DeviceName = "auto",
    precision: PrecisionName = "32-true",
) -> None:
    """Write a sheet as papers show: the image, a crop of it, and what each model makes of it, with Y-PSNR."""
    from srlab.data.images import read_image
    from srlab.measure.devices import choose_device
    from srlab.models import check_scale
    from srlab.pictures.comparing import compare as restore
    from srlab.pictures.comparing import open_contenders, parse_crop
    from srlab.pictures.sheet import check_suffix, save, sheet
    from srlab.pictures.upscaling import choose_tile

    check_scale(scale)
    check_suffix(output)
    named = [model.strip() for model in models.split(",")]
    shown, place = parse_crop(crop) if crop else None, choose_device(device)
    computed = choose_precision(precision, place)
    hr = read_image(image)
    files = with_weights(named, weights) if weights else [(model, None) for model in named]
    contenders = open_contenders(files, scale, profile)
    _, height, width = hr.shape
    tile = choose_tile(height // scale, width // scale, tile)
    save(sheet(restore(image.name, hr, contenders, scale, shown, place, tile, computed)), output)
    typer.echo(output)
