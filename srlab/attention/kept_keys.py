"""Choose each query's largest scores, and sum the values of the keys that it keeps: what PFA's layers share."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

Scores = Float[Tensor, "*rows m"]


def largest(scores: Scores, top: int) -> tuple[Float[Tensor, "*rows top"], Int[Tensor, "*rows top"]]:
    """Return the `top` largest scores of each row, in any order, and their places.

    On a CPU, NumPy finds the smallest of them; a comparison finds the others, in 1.7 to 3.4 times the speed of `topk`.
    """
    width = scores.shape[-1]
    known = scores.device.type == "cpu" and scores.dtype in (torch.float32, torch.float64)
    if known and not torch.compiler.is_compiling():
        held = scores.detach().numpy()
        found = torch.from_numpy(np.flatnonzero(held >= np.partition(held, -top, -1)[..., -top, None]))
        if len(found) * width == scores.numel() * top:  # else equal scores are at the border, or some are not numbers
            starts = torch.arange(0, scores.numel(), width).view(*scores.shape[:-1], 1)
            places = found.view(*scores.shape[:-1], top) - starts
            return scores.gather(-1, places), places
    return scores.topk(top, dim=-1, sorted=False)


def sum_of_kept(
    weights: Float[Tensor, "n p t"], kept: Int[Tensor, "n p t"], value: Float[Tensor, "n q c"]
) -> Float[Tensor, "n p c"]:
    """Return weighted sums of the kept keys' values; unlike a product with zeros between, it reads only these."""
    starts = torch.arange(0, value.shape[0] * value.shape[1], value.shape[1], device=value.device)
    rows, weights = (kept + starts[:, None, None]).flatten(0, 1), weights.to(value.dtype).flatten(0, 1)
    out = embedding_bag(rows, value.flatten(0, 1), per_sample_weights=weights, mode="sum")
    return out.unflatten(0, kept.shape[:2])
