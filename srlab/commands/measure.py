"""Measure networks: quality, time, memory, parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from srlab.commands.options import DeviceName, ModelName, Options, Scale, parse


def evaluate(
    model: Annotated[str, typer.Option(help="'bicubic', or what the weights hold.")] = "bicubic",
    weights: Annotated[Path | None, typer.Option(help="A weights.safetensors of this project.")] = None,
    data: Annotated[
        str | None, typer.Option(help="A folder with benchmark/; else SRLAB_DATA, else embedded.")
    ] = None,
    scale: Scale = 4,
    y_rounding: Annotated[str, typer.Option(help="matlab: Y rounded to integers; none: not.")] = "matlab",
    device: DeviceName = "auto",
    output: Annotated[
        Path | None, typer.Option("--json", help="Write records here, images included.")
    ] = None,
) -> None:
    """PSNR and SSIM, per benchmark and image, with the convention they follow."""
    from srlab.checkpoints import load_network
    from srlab.data.sources import open_data
    from srlab.errors import InputError
    from srlab.evaluation import convention
    from srlab.evaluation import evaluate as measure
    from srlab.files import write_text
    from srlab.models import check_scale
    from srlab.profiling import choose_device

    check_scale(scale)
    network, place = None, choose_device(device)
    if model != "bicubic":
        if weights is None:
            raise InputError(f"--weights is missing: model '{model}' needs a file (only bicubic needs none)")
        network, held = load_network(weights)
        if (held["model"], held["scale"]) != (model, scale):
            raise InputError(
                f"weights {weights} are of {held['model']} ×{held['scale']}, not {model} ×{scale}"
            )
        network.to(place)
    records = []
    for name, refs in open_data(data).benchmarks.items():
        images = measure(network, refs, scale, y_rounding, place)
        records.append(
            {
                "model": model,
                "dataset": name,
                "scale": scale,
                **images.drop(columns="name").mean().to_dict(),
                "convention": convention(scale, y_rounding),
                "images": images.to_dict("records"),
            }
        )
    if not records:
        raise InputError(f"data {data}: no benchmark/<name>/HR/ with images")
    table = pd.DataFrame(records).drop(columns=["convention", "images"])
    typer.echo(table.round({"psnr_y": 2, "psnr_rgb": 2, "ssim_y": 4, "ssim_rgb": 4}).to_string(index=False))
    typer.echo("; ".join(f"{key}: {value}" for key, value in convention(scale, y_rounding).items()))
    if output:
        write_text(output, json.dumps(records, indent=1, ensure_ascii=False) + "\n")


def profile(
    model: ModelName = "lcoan",
    scale: Scale = 4,
    size: Annotated[int, typer.Option(help="Side of the square LR input, in pixels.")] = 64,
    repeats: Annotated[int, typer.Option(help="Timed calls.")] = 10,
    warmup: Annotated[int, typer.Option(help="Calls before them.")] = 2,
    options: Options = None,
    device: DeviceName = "auto",
) -> None:
    """Time (ms), peak memory (MiB), GFLOPs and parameters of a network and of its non-local layers alone."""
    from srlab.models import build
    from srlab.profiling import choose_device, count_parameters, describe_device
    from srlab.runs import profile_network

    place = choose_device(device)
    network = build(model, scale, seed=0, **parse(options))
    table = profile_network(network, place, size, repeats, warmup)
    on = describe_device(place)
    typer.echo(f"{model} ×{scale}, {count_parameters(network):,} parameters, float32, LR 1×3×{size}×{size}")
    typer.echo(f"on {on['name']}, {on['threads']} threads, torch {on['torch']}")
    typer.echo(table.round(2).to_string(index=False))


def models() -> None:
    """Every network: name, parameters (millions, ×2 / ×4, published configuration), what it is, paper."""
    from srlab.models import REGISTRY, build
    from srlab.profiling import count_parameters

    rows = [
        {
            "name": entry.name,
            "M ×2": f"{count_parameters(build(entry.name, 2)) / 1e6:.2f}",
            "M ×4": f"{count_parameters(build(entry.name, 4)) / 1e6:.2f}",
            "what": entry.title,
            "paper": entry.paper,
        }
        for entry in REGISTRY.values()
    ]
    typer.echo(pd.DataFrame(rows).to_string(index=False, justify="left"))
