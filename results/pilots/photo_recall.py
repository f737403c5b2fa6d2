"""Pilot of photo-recall: does a network give back detail of a real texture from its only intact copy?

python results/pilots/photo_recall.py NETWORK [--option VALUE …], with SRLAB_DATA set; photo_recall.md has the results.
Networks with attention have one embedding for queries and keys.

A *damaged* tile is a textured patch of a photograph, 12 HR pixels a side, blurred in HR before LR is made. Its intact
copy lies elsewhere in the same image, at any HR pixel, with a gain of its own. Low frequencies lead to the copy; each
damaged tile has an intact *distractor*, among the nearest of all patches in low frequencies. A quarter of the damaged
tiles have no copy. Networks train on patches and backgrounds of the training photographs, and are tested on Urban100's.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter

from srlab.data.resize import downscale
from srlab.data.sources import evenly, load, open_data
from srlab.models import build
from srlab.training import Budget, train

SCALE, TILE, CELL = 2, 12, 16  # HR pixels: a tile lies anywhere in its cell
KEPT = 4096  # patches of a pool
TRAINING = {"side": 64, "pairs": 3, "alone": 1}  # HR pixels; damaged tiles with a copy, and without
TEST = {"side": 128, "pairs": 6, "alone": 2}
TEST_IMAGES = 64
LOST = 0.005  # divides the mean squared error of the whole image in the loss
SEED = 100
NETWORK = {"channels": 16, "groups": 4, "blocks": 1, "skip": "bicubic", "first": "details"}


class Pool:
    """Textured patches and whole photographs; `sigma` of the blur in HR pixels."""

    def __init__(self, photographs, sigma, seed):
        rng = np.random.default_rng(seed)
        self.photographs, self.sigma = [image.numpy().astype(np.float32) / 255 for image in photographs], sigma
        found = []
        for image in self.photographs:
            windows = np.lib.stride_tricks.sliding_window_view(image, (TILE, TILE), (1, 2))[:, ::6, ::6]
            found.append(windows.transpose(1, 2, 0, 3, 4).reshape(-1, 3, TILE, TILE))
        patches = np.concatenate(found)
        patches = patches[rng.permutation(len(patches))[: 2 * KEPT]]
        lost = np.square(patches - self.blurred(patches)).mean((1, 2, 3))
        self.patches = patches[lost >= np.median(lost)]
        low = self.patches.reshape(-1, 3, 3, 4, 3, 4).mean((3, 5)).reshape(len(self.patches), -1)
        squares = (low**2).sum(1)
        apart = squares[:, None] + squares - 2 * low @ low.T
        np.fill_diagonal(apart, np.inf)
        # Patches of one place overlap: those that share their detail are no distractors.
        detail = (self.patches - self.blurred(self.patches)).reshape(len(low), -1)
        detail /= np.linalg.norm(detail, axis=1, keepdims=True)
        apart[detail @ detail.T > 0.5] = np.inf
        self.nearest = apart.argpartition(8, 1)[:, :8]

    def blurred(self, patches):
        return gaussian_filter(patches, (0,) * (patches.ndim - 2) + (self.sigma,) * 2, mode="nearest")


def make(pool, task, dials, seed):
    """Return LR, HR, the number of the damaged tile at each HR pixel (else −1), and of each tile distance and energy.

    The distance to its copy is in LR pixels, NaN without one; the energy is the mean squared difference by the blur.
    """
    rng = np.random.default_rng(seed)
    side, damaged = task["side"], task["pairs"] + task["alone"]
    photograph = pool.photographs[rng.integers(len(pool.photographs))]
    top, left = (rng.integers(length - side + 1) for length in photograph.shape[1:])
    hr = photograph[:, top : top + side, left : left + side].copy()
    seen, tile = hr.copy(), np.full((side, side), -1)
    cells = rng.permutation((side // CELL) ** 2)[: damaged + task["pairs"] + damaged * dials.distractors]
    step = SCALE if dials.aligned else 1
    places = np.stack(np.divmod(cells, side // CELL), 1) * CELL
    places = places + step * rng.integers((CELL - TILE) // step + 1, size=places.shape)
    distances, energies, others = [], [], iter(places[damaged:])
    for number, chosen in enumerate(rng.integers(len(pool.patches), size=damaged)):
        patch, inside = pool.patches[chosen], _at(places[number])
        hr[inside], seen[inside], tile[inside[1:]] = patch, pool.blurred(patch), number
        energies.append(np.square(patch - pool.blurred(patch)).mean())
        distances.append(np.nan)
        if number < task["pairs"]:
            copy = next(others)
            hr[_at(copy)] = seen[_at(copy)] = np.clip(patch * np.exp(rng.uniform(-1, 1) * np.log(dials.gain)), 0, 1)
            distances[number] = np.hypot(*(copy - places[number])) / SCALE
        for near in rng.permutation(pool.nearest[chosen])[: dials.distractors]:
            other = _at(next(others))
            hr[other] = seen[other] = pool.patches[near]
    lr = downscale(torch.from_numpy(seen).mul(255).round().to(torch.uint8), SCALE).float() / 255
    return lr, torch.from_numpy(hr), torch.from_numpy(tile), distances, energies


def _at(place):
    row, column = place
    return slice(None), slice(row, row + TILE), slice(column, column + TILE)


class PhotoBatches:
    """Batches of images to train on: LR, HR, and weights of errors by which tiles that stay blurred cost 1."""

    def __init__(self, pool, dials, batch, seed):
        self.pool, self.dials, self.batch, self.seed = pool, dials, batch, seed

    def batch_at(self, step, rank=0, world_size=1):
        images = [make(self.pool, TRAINING, self.dials, (0, self.seed, step, i)) for i in range(self.batch)]
        lr, hr, tile, _, energies = zip(*images, strict=True)
        damaged = (torch.stack(tile) >= 0)[:, None].float()
        return torch.stack(lr), torch.stack(hr), damaged / (3 * TILE**2 * float(np.sum(energies)))


def loss(sr, hr, weight):
    error = (sr - hr).square()
    return (error * weight).sum() + 0.1 * error.mean() / LOST


@torch.inference_mode()
def test(network, pool, dials):
    """Return a row a damaged tile: distance (LR px), recall (share of the lost energy given back)."""
    rows = []
    for image in range(TEST_IMAGES):
        lr, hr, tile, distances, energies = make(pool, TEST, dials, (1, image))
        error = (network(lr[None])[0].clamp(0, 1) - hr).square().mean(0)
        for number, (distance, energy) in enumerate(zip(distances, energies, strict=True)):
            rows.append(
                {"image": image, "distance": distance, "recall": 1 - error[tile == number].mean().item() / energy}
            )
    return pd.DataFrame(rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("--rate", type=float, default=6e-3)
    parser.add_argument("--minutes", type=float, default=30, help="of processor time")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--gain", type=float, default=1.25, help="largest gain of a copy, or its inverse")
    parser.add_argument("--sigma", type=float, default=2.5, help="of the blur, HR pixels")
    parser.add_argument("--distractors", type=int, default=1, help="for each damaged tile")
    parser.add_argument("--aligned", action="store_true", help="tiles begin at whole LR pixels")
    dials = parser.parse_args()
    data = open_data()
    pool = Pool(load(data.train), dials.sigma, 0)
    held_out = Pool(load(evenly(data.benchmarks["Urban100"], 40)), dials.sigma, 1)
    own = {} if dials.network == "no_attention" else {"tied": True}
    if dials.network == "trunk_nla":
        own["reduction"] = 1
    network = build(dials.network, SCALE, SEED, **NETWORK, **own)
    batches = PhotoBatches(pool, dials, 4, SEED)
    budget = Budget(
        steps=dials.steps,
        batch=4,
        learning_rate=dials.rate,
        betas=(0.9, 0.99),
        warmup=100,
        ema_decay=0.99,
        log_every=50,
    )
    ends = time.process_time() + 60 * dials.minutes

    def enough(rows):
        if rows[-1]["step"] % 300 == 0:
            print(rows[-1]["step"], "recall in training", round(1 - rows[-1]["loss"], 3), flush=True)
        return time.process_time() > ends

    with TemporaryDirectory() as folder:
        validation = batches.batch_at(dials.steps)
        network, curve, *_ = train(
            network,
            batches,
            validation,
            budget,
            Path(folder),
            SEED,
            torch.device("cpu"),
            objective=loss,
            enough=enough,
        )
    rows = test(network, held_out, dials)
    images = rows.assign(
        kind=np.where(rows["distance"].isna(), "no copy", np.where(rows["distance"] < 16, "near", "far"))
    )
    means = images.groupby(["kind", "image"])["recall"].mean().groupby("kind").agg(["mean", "sem", "size"])
    print(vars(dials), "steps", curve["step"].iloc[-1])
    print(means.round(3))


if __name__ == "__main__":
    main()
