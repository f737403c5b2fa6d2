"""In which precision a network computes, by the names of Lightning Fabric."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch

from srlab.errors import InputError

#: "bf16-mixed" is autocast: convolutions and products of matrices in bfloat16, weights and the rest in float32.
Precision = Literal["32-true", "bf16-mixed"]
#: Descriptions for tables and records.
DESCRIPTIONS = {
    "32-true": "float32 network",
    "bf16-mixed": "bf16-mixed network (bfloat16 convolutions and matrix products, float32 weights and codes)",
}
#: Names of instructions that multiply bfloat16, on x86 and ARM.
UNITS = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")


def parse_precision(name: str) -> Precision:
    """Return the precision of that name; "bf16" is short for "bf16-mixed". An unknown name is an InputError."""
    precision = "bf16-mixed" if name == "bf16" else name
    if precision not in get_args(Precision):
        raise InputError(f"precision '{name}' is not known: choose {' or '.join(get_args(Precision))} (or bf16)")
    return precision


def computing_in(precision: Precision, device: torch.device | str) -> AbstractContextManager:
    """Return the context in which to call a network on a device."""
    if precision == "32-true":
        return nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


def has_bf16_units(device: torch.device | str) -> bool:
    """Return whether a device multiplies bfloat16 in hardware; others compute in float32, and round."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(torch.cpu.get_capabilities().get(unit) for unit in UNITS)
