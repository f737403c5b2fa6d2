import time

import numpy as np
import pytest
import torch
from images import write_png

from srlab.analysis.kinds import PERIODS, SIDE, Generated, evaluate_kinds, kinds, self_similarity
from srlab.data import photographs
from srlab.data.resize import downscale
from srlab.data.sources import embedded, open_data
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.models import build
from srlab.study.records import Record
from srlab.study.study import Study

FOUND = kinds(embedded())
REPEATED = {period: ref.read() for period, ref in zip(PERIODS, FOUND["repeated"], strict=True)}


def noise(seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8))


def test_there_are_five_kinds_with_names_of_their_own():
    assert list(FOUND) == ["urban", "natural", "text", "texture", "repeated"]
    for kind, refs in FOUND.items():
        names = [ref.name for ref in refs]
        assert len(set(names)) == len(names)
        made = [ref for ref in refs if isinstance(ref, Generated)]
        assert len(made) >= 8 or kind in ("urban", "natural")
        assert all(ref.read().shape == (3, SIDE, SIDE) for ref in made)
        images = [ref.read().numpy().tobytes() for ref in refs]
        assert len(set(images)) == len(images)


def test_nothing_is_trained_on():
    files = {ref.path.name for refs in FOUND.values() for ref in refs}
    assert not files & set(photographs.TRAIN)


def test_a_benchmark_goes_before_the_photographs(tmp_path):
    folder = tmp_path / "benchmark" / "Urban100" / "HR"
    folder.mkdir(parents=True)
    write_png(folder / "house.png", noise())
    found = kinds(open_data(tmp_path))
    assert [ref.name for ref in found["urban"]] == ["house"]
    assert found["natural"] == FOUND["natural"] and len(found["natural"]) == 3


@pytest.mark.parametrize("kind", ["text", "texture", "repeated"])
def test_what_is_generated_is_the_same_each_time_and_has_contrast(kind):
    for one, other in zip(FOUND[kind], kinds(embedded())[kind], strict=True):
        assert torch.equal(one.read(), other.read())
        assert one.read().float().std() > 5


def test_a_part_of_a_generated_image_is_its_middle():
    ref = FOUND["text"][-1]
    assert torch.equal(ref.middle(100).read(), ref.read()[:, 46:146, 46:146])
    assert torch.equal(ref.middle(100).middle(50).read(), ref.read()[:, 71:121, 71:121])


@pytest.mark.parametrize("period", PERIODS)
def test_tiles_repeat_exactly_but_their_lr_pixels_do_not(period):
    hr = REPEATED[period]
    assert torch.equal(hr[:, period:], hr[:, :-period]) and torch.equal(hr[..., period:], hr[..., :-period])
    shorter = [p for p in range(1, period) if torch.equal(hr[..., p:], hr[..., :-p])]
    assert not shorter
    assert not any(period % divisor == 0 for divisor in (2, 3))  # of the scales 2, 3, 4 and 8
    for scale in (2, 3, 4):
        lr = downscale(hr, scale)
        inner = lr[:, 4:-4, 4:-4]  # where mirrored edges do not reach
        if scale * period < 100:  # repeats of the same phase lie `period` LR pixels apart
            assert torch.equal(inner[..., period:], inner[..., :-period])
        near = round(period / scale)
        assert not torch.equal(inner[..., near:], inner[..., :-near])


def test_exact_repeats_are_wholly_self_similar_and_noise_is_hardly():
    assert all(self_similarity(hr) == pytest.approx(1, abs=1e-9) for hr in REPEATED.values())
    assert 0 <= self_similarity(noise()) < 0.3
    assert self_similarity(torch.full((3, 64, 64), 9, dtype=torch.uint8)) == 1


def test_repeats_must_be_far():
    """A patch's repeat nearer than 12 pixels does not count, its repeat at 12 does."""
    random = np.random.default_rng(1)

    def doubled(shift):
        """Noise in which rows come in runs of `2 * shift`, the second half of a run as the first."""
        runs = random.integers(0, 256, (3, SIDE // (2 * shift) + 1, shift, SIDE), dtype=np.uint8)
        return torch.from_numpy(np.concatenate([runs, runs], 2).reshape(3, -1, SIDE)[:, :SIDE].copy())

    near, far = self_similarity(doubled(11)), self_similarity(doubled(24))
    assert near < 0.3 < 0.6 < far


def test_self_similarity_by_its_definition():
    """Oracle: the sentence of the docstring, patch by patch, on a small image."""
    from srlab.measure.metrics import luma

    hr = noise(3)[:, :40, :35]
    hr[:, 20:38, 17:34] = hr[:, :18, :17]
    y = luma(hr.double()).numpy()
    every = {
        (row, col): y[row : row + 7, col : col + 7] - y[row : row + 7, col : col + 7].mean()
        for row in range(34)
        for col in range(29)
    }
    residual = variance = 0
    for row in range(0, 34, 6):
        for col in range(0, 29, 6):
            own = every[row, col]
            far = [p for (r, c), p in every.items() if max(abs(r - row), abs(c - col)) >= 12]
            residual += min(((own - patch) ** 2).sum() for patch in far)
            variance += (own**2).sum()
    assert self_similarity(hr) == pytest.approx(1 - residual / variance, rel=1e-6)


def test_brightness_does_not_matter():
    dark = (noise(5) // 2).clone()
    dark[:, 100:150, 100:150] = dark[:, 10:60, 20:70]
    assert self_similarity(dark + 60) == pytest.approx(self_similarity(dark), abs=1e-6)


def test_it_is_quick_and_of_the_middle():
    hr = noise()
    start = time.process_time()
    self_similarity(hr)
    assert time.process_time() - start < 2  # a tenth of it on a machine of its own
    larger = torch.zeros(3, SIDE + 100, SIDE + 60, dtype=torch.uint8)
    larger[:, 50 : 50 + SIDE, 30 : 30 + SIDE] = hr
    assert self_similarity(larger) == self_similarity(hr)


def test_small_images_are_refused():
    with pytest.raises(InputError, match="image of 40×30 pixels: self-similarity needs at least 31×31"):
        self_similarity(noise()[:, :30, :40])


@pytest.mark.slow
def test_a_table_of_kinds(monkeypatch, tmp_path):
    study = Study("smoke")
    network = build("no_attention", 2, seed=0, channels=8, groups=1, blocks=1)
    monkeypatch.setattr(Record, "network", lambda self: network)
    records = [Record(study.training("no_attention", seed=seed), tmp_path) for seed in (0, 1)]
    few = {kind: refs[:2] for kind, refs in FOUND.items()}
    monkeypatch.setattr("srlab.analysis.kinds.kinds", lambda data: few)
    table = evaluate_kinds(records, embedded(), 2)
    assert list(table.columns) == [
        "model",
        "seed",
        "run",
        "kind",
        "name",
        "psnr_y",
        "ssim_y",
        "self_similarity",
    ]
    assert len(table) == 2 * sum(map(len, few.values())) and table.notna().all(axis=None)
    assert set(table["run"]) == {record.run.hash for record in records}
    expected = evaluate(network, few["text"], 2)
    text = table[(table["seed"] == 1) & (table["kind"] == "text")]
    assert list(text["name"]) == list(expected["name"])
    assert np.allclose(text["psnr_y"], expected["psnr_y"])
    means = table.groupby("kind")["self_similarity"].mean()
    assert means["repeated"] == pytest.approx(1) and means.drop("repeated").max() < 1
    assert list(evaluate_kinds([], embedded(), 2).columns) == list(table.columns)
