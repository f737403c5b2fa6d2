"""Recall images are exact: a copy tells all, nothing else tells anything, and each dial does what it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from srlab.data.recall import LOST, RecallBatches, Scene, enlarge, recall_images, recall_loss

SCENE = Scene(without_copy=2, colours=25, apart=(0.1, 0.2))


def copied(images):
    """What an oracle makes of the LR images: each damaged pixel becomes its copy's."""
    at = images.copy.flatten(1).clamp(min=0)[:, None].expand(-1, 3, -1)
    pixels = images.lr.flatten(2).gather(2, at).reshape(images.lr.shape)
    return torch.where(images.damaged[:, None], pixels, images.lr)


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([2, 3, 4]))
@settings(max_examples=25, deadline=None)
def test_the_copy_tells_all_that_was_lost_and_leaving_it_scores_nothing(seed, scale):
    images = recall_images(SCENE, 4, scale, seed)
    damaged = enlarge(images.damaged, scale)[:, None].expand_as(images.hr)
    assert torch.equal(enlarge(copied(images), scale)[damaged], images.hr[damaged])
    left = (enlarge(images.lr, scale) - images.hr)[damaged].square().mean()
    assert left == pytest.approx(LOST, rel=1e-5)


@pytest.mark.parametrize("scene", [SCENE, Scene(colours=81, apart=(0.1, 0.1)), Scene()])
def test_no_damaged_tile_is_the_grey_around_it(scene):
    images = recall_images(scene, 200, 2, 1)
    damaged = images.damaged | images.without_copy
    contrast = (images.lr[:, :2] - 0.5).abs().amax(1)[damaged]
    assert contrast.min() > 0.45 * scene.apart[0]


def test_everywhere_else_lr_is_hr_made_smaller():
    images = recall_images(SCENE, 8, 2, 0)
    smaller = torch.nn.functional.avg_pool2d(images.hr, 2)
    intact = ~(images.damaged | images.without_copy)[:, None].expand_as(smaller)
    assert torch.allclose(smaller[intact], images.lr[intact])
    assert images.damaged.any() and images.without_copy.any()


@given(distance=st.sampled_from([4, 8, 12, 16]), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_copies_lie_at_the_distance_along_rows_or_columns(distance, seed):
    scene = SCENE.model_copy(update={"distance": (distance, distance), "side": 32})
    images = recall_images(scene, 6, 2, seed)
    _, row, column = torch.nonzero(images.copy >= 0).T
    copy = images.copy[images.copy >= 0]
    down, right = (copy // 32 - row).abs(), (copy % 32 - column).abs()
    assert set((down + right).tolist()) == {distance} and (down * right == 0).all()


def test_a_copy_has_its_tiles_colour_and_no_other_tile_has():
    """So content leads to the copy, and to nothing else; colours without a copy have none."""
    images = recall_images(SCENE.model_copy(update={"copies": (1, 1)}), 16, 2, 3)
    for lr, damaged, without, copy in zip(images.lr, images.damaged, images.without_copy, images.copy, strict=True):
        colours = (lr[:2] * 1e4).round().int().permute(1, 2, 0)
        alike = (colours[:, :, None, None] == colours[None, None]).all(-1)
        for row, column in torch.nonzero(damaged).tolist():
            found = alike[row, column].sum().item()
            assert found == 8  # four pixels of its own tile, four of the copy's
            assert alike[row, column].flatten()[copy[row, column]]
        for row, column in torch.nonzero(without).tolist():
            assert alike[row, column].sum().item() == 4


@pytest.mark.parametrize(
    ("dial", "more", "count"),
    [
        ("pairs", {"pairs": (3, 3)}, lambda images: images.damaged.sum((1, 2)) / 4 == 3),
        ("without_copy", {"without_copy": 4}, lambda images: images.without_copy.sum((1, 2)) / 4 == 4),
    ],
)
def test_dials(dial, more, count):
    scene = Scene.model_validate(SCENE.model_dump() | {"side": 48, "distance": (8, 8), "distractors": (0, 0)} | more)
    assert count(recall_images(scene, 8, 2, 0)).all(), dial


def test_distractors_and_copies_are_as_many_as_asked():
    base = SCENE.model_dump() | {"side": 48, "distance": (8, 8), "pairs": (2, 2), "without_copy": 0, "colours": 81}
    base |= {"apart": (0.1, 0.1)}
    for distractors, copies in ((0, 1), (5, 1), (64, 1), (5, 4)):
        dials = {"distractors": (distractors, distractors), "copies": (copies, copies)}
        images = recall_images(Scene.model_validate(base | dials), 4, 2, 1)
        tiles = (images.lr[:, 2] - 0.5).abs().gt(0.3).sum((1, 2)) / 4
        assert (tiles == distractors + 2 * copies).all()


def test_the_same_seed_makes_the_same_images_and_another_others():
    first, again, other = (recall_images(SCENE, 4, 2, seed) for seed in ((5, 1), (5, 1), (5, 2)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.lr, other.lr)


def test_processes_see_together_the_batch_of_one():
    batches = RecallBatches(SCENE, 2, 6, seed=3)
    whole = batches.batch_at(7)
    shares = [batches.batch_at(7, rank, 2) for rank in range(2)]
    for part, *split in zip(whole, *shares, strict=True):
        assert torch.equal(part[0::2], split[0]) and torch.equal(part[1::2], split[1])


def test_the_loss_is_one_for_what_stays_as_it_is_and_zero_for_the_truth():
    lr, hr, damaged = RecallBatches(SCENE, 2, 6, seed=3).batch_at(0)
    assert recall_loss(hr, hr, damaged) == 0
    left = enlarge(lr, 2)
    share = damaged.mean().item()
    assert recall_loss(left, hr, damaged).item() == pytest.approx(1 + 0.1 * share, rel=1e-4)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"side": 25}, "multiples of 4"),
        ({"distance": (4, 24)}, "fits into side 24"),
        ({"distance": (8, 4)}, "from less to more"),
        ({"colours": 15}, "square number"),
        ({"apart": (0.3, 0.3)}, "levels fit"),
        ({"side": 12, "distance": (4, 8)}, "too small"),
    ],
)
def test_scenes_that_cannot_be_are_refused(wrong, named):
    with pytest.raises(ValidationError, match=named):
        Scene(**wrong)
