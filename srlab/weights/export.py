"""Networks as ONNX files, for images of any height and width (`srlab[onnx]`)."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from srlab.attention import ATD, CATA, LSP, NLSA, PFA
from srlab.attention.atd import ATDAttention
from srlab.errors import InputError
from srlab.files import replacing
from srlab.models.pft import PFTLayer

#: Largest difference between outputs of the file and the network, of values of 0 to 1. Rounding alone makes far less,
#: unless it decides between centroids or windows that are nearly equal.
TOLERANCE = 1e-4
#: Heights and widths of the LR images that are compared: one multiple of most windows, and two that are not.
CHECKED = ((64, 64), (67, 75), (48, 90))
#: Shortest and longest side of an LR image.
SIDES = (16, 8192)
#: The exporter's example: no multiple of a window, and larger than several, so that it generalises from neither "no
#: filling" nor "one window".
SEEN = (197, 229)
#: Layers that make shapes or indices by the size of the image in ways that the exporter fixes while it traces.
REFUSED = (NLSA, CATA, PFA, ATD, ATDAttention, PFTLayer)
#: Fused kernels, which ONNX lacks.
FUSED = {"sdpa", "fused", "flex"}


def check_export(path: Path) -> None:
    """Raise an InputError if `path` does not end in .onnx, or srlab[onnx] is not installed."""
    if path.suffix.lower() != ".onnx":
        raise InputError(f"{path}: a suffix of .onnx is expected, not '{path.suffix}'")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as missing:
        raise InputError(f"{path}: {missing.name} is not installed; `pip install 'srlab[onnx]'` brings it") from None


def export_network(network: nn.Module, path: Path, metadata: dict[str, str]) -> float:
    """Write a network as an ONNX file; return how much its output differs on `CHECKED` sizes, at most, of 0 to 1.

    The network maps Float[Tensor, "1 3 h w"] of 0 to 1 to Float[Tensor, "1 3 H W"], on the CPU, in evaluation mode.
    From here on it computes by the papers' formulas instead of fused kernels. The file's input is `lr`, its output
    `sr`, of any height and width from 16 to 8192; LCoA's networks need as many pixels as their window has tokens.
    InputError if ONNX cannot express the network, the file cannot be written, or its output differs.
    """
    check_export(path)
    refused = {type(module).__name__ for module in network.modules() if isinstance(module, REFUSED)}
    if refused:
        raise InputError(
            f"{path}: the shapes inside {min(refused)} follow from the size of the image; ONNX cannot do that"
        )
    program = _program(take_formulas(network))
    program.model.metadata_props.update(metadata)
    with replacing(path) as beside:
        program.save(beside)
        difference = _difference(network, beside)
        if not difference <= TOLERANCE:
            raise InputError(
                f"{path}: not written, for its output differs by {difference:.1g} from the network's; "
                f"at most {TOLERANCE:.1g} is allowed"
            )
    return difference


def take_formulas(network: nn.Module) -> nn.Module:
    """Let a network's layers compute by the papers' formulas, as an ONNX file does."""
    for module in network.modules():
        if getattr(module, "backend", None) in FUSED:
            module.backend = "reference"
        if isinstance(module, LSP):
            module.sharing = "plain"
    return network


def _program(network: nn.Module) -> torch.onnx.ONNXProgram:
    # Images must have as many pixels as LSP's window has tokens: the exporter fails on shorter sequences.
    windows = [module.window for module in network.modules() if isinstance(module, LSP)]
    least = max(SIDES[0], math.isqrt(max(windows, default=1) - 1) + 1)
    height, width = (torch.export.Dim(name, min=least, max=SIDES[1]) for name in ("height", "width"))
    # With unknown shapes the cache of fake tensors costs more than it saves: minutes for ELAN.
    with _quiet(), torch.no_grad(), torch._dynamo.config.patch(fake_tensor_cache_enabled=False):
        return torch.onnx.export(
            network,
            (torch.zeros(1, 3, *SEEN),),
            input_names=["lr"],
            output_names=["sr"],
            dynamic_shapes=({2: height, 3: width},),
            dynamo=True,
            verbose=False,
            custom_translation_table=_translations(),
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's warnings: torchvision is missing, a constant is not folded."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _translations() -> dict[Callable, Callable]:
    """Translate operations that torch's exporter lacks."""
    from onnxscript import opset18 as op

    def stable_sort(values: Tensor, stable: bool = True, dim: int = -1, descending: bool = False) -> tuple:
        length = op.Gather(op.Shape(values), op.Constant(value_ints=[dim]))
        return op.TopK(values, length, axis=dim, largest=descending)  # the first of equal values first

    def remainder(values: Tensor, divisor: Tensor | int) -> Tensor:
        return op.Mod(values, op.CastLike(divisor, values))

    return {torch.ops.aten.sort.stable: stable_sort, torch.ops.aten.remainder.Scalar: remainder}


def _difference(network: nn.Module, path: Path) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    generator, found = torch.Generator().manual_seed(0), []
    for size in CHECKED:
        lr = torch.rand(1, 3, *size, generator=generator)
        [sr] = session.run(None, {"lr": lr.numpy()})
        with torch.no_grad():
            expected = network(lr)
        found.append((torch.from_numpy(sr) - expected).abs().max().item())
    return max(found)
