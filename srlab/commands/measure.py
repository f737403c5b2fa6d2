"""Measure networks: quality, time, memory, parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import (
    DeviceName,
    ModelName,
    Options,
    PrecisionName,
    Scale,
    choose_precision,
    parse,
    with_weights,
)


def evaluate(
    models: Annotated[
        list[str], typer.Option("--model", help="bicubic, or a network with its --weights; repeatable.")
    ] = ["bicubic"],  # noqa: B006 (typer copies it)
    weights: Annotated[
        list[Path] | None, typer.Option(help="A file of ours, or released, for each --model but bicubic, in order.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="A name in SRLAB_DATA, or a folder; repeatable. By default all, or the crops."),
    ] = None,
    scale: Scale = 4,
    first: Annotated[int | None, typer.Option(min=1, help="Only so many images of a data set, by name.")] = None,
    y_rounding: Annotated[str, typer.Option(help="matlab: Y rounded to integers; none: not.")] = "matlab",
    border: Annotated[int | None, typer.Option(help="Pixels left out at each side; by default the scale.")] = None,
    lr: Annotated[
        str,
        typer.Option(help="LR images by: matlab, unrounded (not to 8 bits), pillow, opencv (no antialiasing), files."),
    ] = "matlab",
    zeros: Annotated[int | None, typer.Option(help="Fill LR with zeros to multiples of so many pixels.")] = None,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Average over the eight flips and rotations.")] = False,
    tile: Annotated[int | None, typer.Option(help="Side of tiles in LR pixels, which bound memory.")] = None,
    overlap: Annotated[int, typer.Option(help="LR pixels around each tile that the network sees with it.")] = 32,
    device: DeviceName = "auto",
    precision: PrecisionName = "32-true",
    output: Annotated[Path | None, typer.Option("--json", help="Write records here, images included.")] = None,
) -> None:
    """Measure PSNR and SSIM of models on data sets, mean and per image, and print the convention."""
    import pandas as pd

    from srlab.data.layouts import find_benchmarks
    from srlab.files import check_writable, checksum, write_json
    from srlab.measure.devices import choose_device
    from srlab.measure.evaluation import assess
    from srlab.measure.protocol import Protocol
    from srlab.measure.published import conventions
    from srlab.models import check_scale
    from srlab.weights.checkpoints import open_network

    check_scale(scale)
    if output:
        check_writable(output.parent)
    paired = with_weights(models, weights)
    place = choose_device(device)
    computed = choose_precision(precision, place)
    protocol = Protocol(y_rounding, border, lr, zeros, ensemble, tile, overlap, computed)
    benchmarks = [benchmark for name in data or [None] for benchmark in find_benchmarks(name)]
    records = []
    for model, file in paired:
        network, source = None, {}
        if file:
            network = open_network(model, file, scale).to(place)
            source = {"weights": {"file": file.name, "sha256": checksum(file)}}
        for benchmark in benchmarks:
            record = assess(network, benchmark, scale, protocol, place, first)
            records.append({"model": model, "dataset": benchmark.name, "scale": scale, **record, **source})

    digits = {"psnr_y": 3, "ssim_y": 4, "psnr_rgb": 3, "ssim_rgb": 4}
    for record in records:
        typer.echo(f"{record['model']} on {record['dataset']}")
        typer.echo(pd.DataFrame(record["images"]).round(digits).to_string(index=False) + "\n")
    means = pd.DataFrame(records)[["model", "dataset", "scale", *digits]].round(digits)
    typer.echo(means.assign(n=[len(record["images"]) for record in records]).to_string(index=False) + "\n")
    for sentence in conventions(records):
        typer.echo(sentence)
    if output:
        write_json(output, records)


def table(
    files: Annotated[list[Path], typer.Argument(help="What `srlab evaluate --json` wrote.")],
    form: Annotated[str, typer.Option("--format", help="markdown or csv.")] = "markdown",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file instead of here.")] = None,
) -> None:
    """Print PSNR and SSIM on Y of evaluation records beside the published numbers."""
    from srlab.files import write_text
    from srlab.measure.published import read_records, render

    text = render(read_records(files), form)
    if output:
        write_text(output, text)
    else:
        typer.echo(text, nl=False)


def profile(
    model: ModelName = "lcoan",
    scale: Scale = 4,
    size: Annotated[int, typer.Option(min=1, max=2**20, help="Side of the square LR input, in pixels.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls.")] = 10,
    warmup: Annotated[int, typer.Option(min=0, help="Calls before them.")] = 2,
    options: Options = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "32-true",
) -> None:
    """Measure time (ms), peak memory (MiB), GFLOPs and parameters of a network and of its non-local layers."""
    from srlab.measure.costs import measure_networks
    from srlab.measure.devices import choose_device, describe_device
    from srlab.measure.precision import DESCRIPTIONS
    from srlab.measure.profiling import count_parameters
    from srlab.models import build

    place = choose_device(device)
    computed = choose_precision(precision, place)
    network = build(model, scale, seed=0, **parse(options))
    _, table = measure_networks({model: network}, [size], place, repeats, warmup, computed)
    on = describe_device(place)
    typer.echo(f"{model} ×{scale}, {count_parameters(network):,} parameters, LR 1×3×{size}×{size}")
    typer.echo(DESCRIPTIONS[computed])
    typer.echo(f"on {on['name']}, {on['threads']} threads, torch {on['torch']}, allocator's memory: {on['allocator']}")
    typer.echo(table.drop(columns="label").round(2).to_string(index=False))


def models() -> None:
    """List every network: name, label, parameters (millions, ×2 / ×4, as published), description, paper."""
    import pandas as pd

    from srlab.measure.profiling import count_parameters
    from srlab.models import REGISTRY, build

    rows = [
        {"name": each.name, "label": each.label}
        | {f"M ×{scale}": f"{count_parameters(build(each.name, scale)) / 1e6:.2f}" for scale in (2, 4)}
        | {"what": each.title, "paper": each.paper}
        for each in REGISTRY.values()
    ]
    typer.echo(pd.DataFrame(rows).to_string(index=False, justify="left"))
