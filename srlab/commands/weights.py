"""Weights: out of here, for others to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import ModelName, Scale


def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write: .onnx.")],
    weights: Annotated[Path, typer.Option(help="A file of this project's, or a released one.")],
    model: ModelName = "lcoan",
    scale: Scale = 4,
) -> None:
    """Write a network as an ONNX file, for images of any height and width, and check what it makes of some.

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
    typer.echo(f"{output}: by onnxruntime at most {difference:.1g} from the network on LR images of {sizes}")
