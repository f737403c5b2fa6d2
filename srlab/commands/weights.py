"""List released weights, check a folder of them, export a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import ModelName, Scale, print_table

app = typer.Typer(help="Released weights: list them, check a folder.", no_args_is_help=True)


@app.command("list")
def list_weights() -> None:
    """List every catalogued file: network, licence, trainer, SHA-256 and page.

    No weights come with srlab. "None stated" stands where a page states no licence.
    """
    from srlab.weights.catalogue import CATALOGUE

    rows = [("file", "network", "licence", "trained", "SHA-256", "where")]
    for each in CATALOGUE.values():
        rows.append((each.file, f"{each.model} ×{each.scale}", each.licence, each.trained, each.sha256, each.page))
    print_table(rows)


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="A folder of .pth, .pt or .safetensors files.")]) -> None:
    """Identify each file of a folder and check it; status 1 if a file is damaged or cannot be opened."""
    from srlab.weights.identify import find_weights

    found = find_weights(folder)
    rows = [("file", "network", "state", "SHA-256")]
    for each in found:
        network = f"{each.model} ×{each.scale}" if each.model else "?"
        state = "as catalogued" if each.checkpoint else "not as catalogued" if each.fault else "not in the catalogue"
        rows.append((each.path.name, network, state if each.model else "cannot be opened", each.sha256[:12]))
    print_table(rows)
    faults = [each.fault for each in found if each.fault]
    for fault in faults:
        typer.echo(f"error: {fault}")
    typer.echo(f"errors: {len(faults)}")
    if faults:
        raise typer.Exit(1)


def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write: .onnx.")],
    weights: Annotated[Path, typer.Option(help="A file of this project's, or a released one.")],
    model: ModelName = "lcoan",
    scale: Scale = 4,
) -> None:
    """Write a network as an ONNX file for images of any height and width, and check its output.

    In: `lr`, float32 1×3×h×w of 0 to 1. Out: `sr`, 1×3×(scale·h)×(scale·w), not clamped.
    Attention is written as the papers' formulas, which hold all scores.
    """
    from srlab.models import check_scale
    from srlab.models.registry import entry
    from srlab.weights.checkpoints import open_network
    from srlab.weights.export import CHECKED, check_export, export_network

    check_scale(scale)
    entry(model)
    check_export(output)
    network = open_network(model, weights, scale)
    difference = export_network(network, output, {"model": model, "scale": str(scale), "weights": weights.name})
    sizes = ", ".join(f"{height}×{width}" for height, width in CHECKED)
    typer.echo(f"{output}: onnxruntime differs from the network by at most {difference:.1g} on LR images of {sizes}")
