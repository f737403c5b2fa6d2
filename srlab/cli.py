"""The command line: `srlab --help`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

app = typer.Typer(
    name="srlab",
    help="A study that people can run: attention that lets super-resolution networks look far.\n\n"
    "`bash run_all.sh` makes the whole study; these commands make its parts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ProfileName = Annotated[str, typer.Option("--profile", help="A file in profiles/, without .yaml.")]
ModelName = Annotated[str, typer.Option("--model", help="A network of `srlab models`.")]
Scale = Annotated[int, typer.Option(help="2, 3, 4 or 8.")]
Devices = Annotated[int, typer.Option(help="Processes that train together (GPUs, or processes on a CPU).")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", help="An option of the network, e.g. --set clusters=64; repeatable."),
]


def _parse(settings: list[str] | None) -> dict[str, object]:
    """`["clusters=64"]` as `{"clusters": 64}`; values are read as JSON, or else as text."""
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


@app.command()
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


@app.command()
def where(profile: Annotated[str, typer.Argument(help="A file in profiles/, without .yaml.")]) -> None:
    """Print the folder that holds a profile's results."""
    from srlab.runs import Study

    typer.echo(Study(profile).folder)


@app.command()
def notebook(
    name: Annotated[str, typer.Argument(help="A file in notebooks/, without .ipynb.")],
    profile: ProfileName = "quick",
) -> None:
    """Execute one notebook of a profile into its results folder, as .ipynb and HTML."""
    from srlab.notebooks import execute
    from srlab.runs import Study

    typer.echo(execute(Study(profile), name))


@app.command()
def index(profile: ProfileName = "quick") -> None:
    """Write the page that shows a profile's main figures and links everything else."""
    from srlab.notebooks import write_index
    from srlab.runs import Study

    typer.echo(write_index(Study(profile)))


@app.command()
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
    record = study.obtain(study.training(model, seed, **_parse(options)), devices)
    last = record.curve.iloc[-1]
    typer.echo(f"{record.run.name}: step {last.step:.0f}, loss {last.loss:.4f}; record in {record.folder}")
    typer.echo(record.images.groupby("benchmark")[["psnr_y", "ssim_y"]].mean().round(4).to_string())


@app.command()
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


@app.command()
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
    network = build(model, scale, seed=0, **_parse(options))
    table = profile_network(network, place, size, repeats, warmup)
    on = describe_device(place)
    typer.echo(f"{model} ×{scale}, {count_parameters(network):,} parameters, float32, LR 1×3×{size}×{size}")
    typer.echo(f"on {on['name']}, {on['threads']} threads, torch {on['torch']}")
    typer.echo(table.round(2).to_string(index=False))


@app.command()
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


def main() -> None:
    """Entry point: bad input becomes one sentence and status 2, Ctrl-C status 130."""
    from srlab.errors import InputError
    from srlab.training import NonFiniteLoss

    try:
        app()
    except (InputError, NonFiniteLoss) as error:
        typer.secho(f"srlab: {error}", fg="red", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.secho(
            "srlab: interrupted; the same command goes on where this one stopped", fg="yellow", err=True
        )
        sys.exit(130)
