"""Results of weights alone: computed once, and again only if a weight has changed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srlab.attention.precision import without_autocast


class Held:
    """A result and the weights behind it; copies and pickles are empty."""

    def __init__(self) -> None:
        self.result: Tensor | tuple[Tensor, ...] | None = None
        self._sources: list[tuple[Tensor, int]] = []

    def hold(self, result: Tensor | tuple[Tensor, ...], weights: list[Tensor]) -> None:
        # An alias keeps the old storage in memory, so that no new weight gets its address.
        self.result, self._sources = result, [(weight.detach(), weight._version) for weight in weights]

    def is_of(self, weights: list[Tensor]) -> bool:
        """Return True if no weight was written to, moved, cast or replaced since."""
        return self.result is not None and all(
            weight._version == version and weight.data_ptr() == alias.data_ptr()
            for weight, (alias, version) in zip(weights, self._sources, strict=True)
        )

    def __reduce__(self) -> tuple[type[Held], tuple[()]]:
        return Held, ()


class FromWeights(nn.Module):
    """A module without input: `forward()` is `compute()`, held until one of its parameters changes.

    Calls that need gradients of the parameters, and compiled code, compute it anew. In-place changes through
    `parameter.data`, which PyTorch does not count, go unnoticed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held = Held()

    def compute(self) -> Tensor | tuple[Tensor, ...]:
        raise NotImplementedError

    def forward(self) -> Tensor | tuple[Tensor, ...]:
        weights = list(self.parameters())
        learning = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
        if learning or torch.compiler.is_compiling() or any(weight.is_inference() for weight in weights):
            return self.compute()
        if not self._held.is_of(weights):
            # Later calls may record gradients or have no autocast.
            with torch.inference_mode(False), torch.no_grad(), without_autocast(weights[0].device):
                self._held.hold(self.compute(), weights)
        return self._held.result
