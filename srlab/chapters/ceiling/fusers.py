"""Fusers: predict what an SR image lacks from two neighbourhoods of 5×5 pixels, linearly or by a small network.

Both have an own neighbourhood and another one, with as many parameters whatever the other one is. Each is trained on
all folds but one and predicts the images of that one; in training each image weighs alike.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from srlab.stats.rules import rules

RULES = rules().ceiling
#: Side of a neighbourhood, HR pixels.
SIDE = 5
Fuser = Literal["ridge", "cnn"]
#: An image's neighbourhoods: a row for each predicted pixel.
Rows = Float[Tensor, "pixels _features"]


def neighbourhoods(windows: Float[Tensor, "n side side"]) -> Float[Tensor, "pixels 25"]:
    """Return every neighbourhood of 5×5 pixels in windows, less its mean."""
    found = windows.unfold(1, SIDE, 1).unfold(2, SIDE, 1).reshape(-1, SIDE * SIDE)
    return found - found.mean(1, keepdim=True)


def equations(x: Rows, y: Float[Tensor, " pixels"]) -> Float[Tensor, "columns columns"]:
    """Return the normal equations of one image in float64: the products of all columns of x and y, y last."""
    both = torch.cat([x, y[:, None]], 1).double()
    return both.T @ both


def solved(products: Float[Tensor, "m m"], strength: float) -> Float[Tensor, " _weights"]:
    """Return the weights of a ridge; `strength` is a share of the mean diagonal."""
    gram, moments = products[:-1, :-1], products[:-1, -1]
    ridge = strength * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.double)
    return torch.linalg.solve(gram + ridge, moments)


def ridge_errors(x: list[Rows], y: list[Float[Tensor, " _"]], folds: list[int]) -> Float[Tensor, "1 images"]:
    """Return the mean squared error of each image by a ridge that was solved on the other folds."""
    products = torch.stack([equations(*pair) for pair in zip(x, y, strict=True)])
    alike = products / products[:, -1:, -1:]
    errors = torch.empty(len(x), dtype=torch.double)
    for fold, own in _parts(folds):
        weights = solved(alike[torch.tensor(folds) != fold].sum(0), RULES.ridge)
        weights = torch.cat([weights, -torch.ones(1, dtype=torch.double)])
        errors[own] = torch.einsum("i,nij,j->n", weights, products[own], weights)
    return (errors / torch.tensor([len(each) for each in y]))[None]


class ThreeLayers(nn.Module):
    """Several networks at once, one a seed: convolutions of 5×5, 1×1 and 1×1 with ReLU between; at first zero.

    A convolution of 5×5 on given neighbourhoods is a matrix product.
    """

    def __init__(self, features: int, channels: int, seeds: tuple[int, ...]):
        super().__init__()
        sizes = (features, channels, channels, 1)
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for number, (width, height) in enumerate(pairwise(sizes)):
            drawn = torch.stack([torch.randn(width, height, generator=draw) for draw in draws])
            self.weights.append(drawn * (0 if number == 2 else (2 / width) ** 0.5))
            self.biases.append(torch.zeros(len(seeds), 1, height))

    def forward(self, x: Float[Tensor, "seeds pixels features"]) -> Float[Tensor, "seeds pixels"]:
        """Return what each network predicts."""
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x if number == 0 else x.relu(), weight)
        return x[..., 0]


def cnn_errors(
    x: list[Rows], y: list[Float[Tensor, " _"]], folds: list[int], steps: int = RULES.steps
) -> Float[Tensor, "seeds images"]:
    """Return the mean squared error of each image by networks that were trained on the other folds, one a seed."""
    errors = torch.empty(len(RULES.seeds), len(x), dtype=torch.double)
    for fold, own in _parts(folds):
        others = [number for number, other in enumerate(folds) if other != fold]
        network, at, aim = _trained([x[number] for number in others], [y[number] for number in others], steps)
        with torch.inference_mode():
            for number in own:
                found = aim * network((x[number] / at).expand(len(RULES.seeds), -1, -1))
                errors[:, number] = (found - y[number]).double().square().mean(1)
    return errors


def _trained(x: list[Rows], y: list[Float[Tensor, " _"]], steps: int) -> tuple[ThreeLayers, float, float]:
    """Train the networks; return them with the scales of inputs and outputs."""
    alike = torch.cat([(len(each) / each.square().sum()).expand(len(each)) for each in y])
    x, y = torch.cat(x), torch.cat(y)
    at, aim = float(x.std()), float(y.std())
    alike = alike / alike.mean()
    network = ThreeLayers(x.shape[1], RULES.channels, RULES.seeds)
    adam = torch.optim.Adam(network.parameters(), RULES.rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    draws = [torch.Generator().manual_seed(seed) for seed in RULES.seeds]
    for _ in range(steps):
        batch = torch.stack([torch.randint(len(x), (RULES.batch,), generator=draw) for draw in draws])
        error = (network(x[batch] / at) - y[batch] / aim).square()
        loss = (alike[batch] * error).mean(1).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        falling.step()
    return network, at, aim


def _parts(folds: list[int]) -> list[tuple[int, list[int]]]:
    """Return each fold with the numbers of its images."""
    return [(fold, [number for number, own in enumerate(folds) if own == fold]) for fold in sorted(set(folds))]
