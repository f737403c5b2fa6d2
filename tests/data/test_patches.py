import numpy as np
import pytest
import torch

from srlab.data.images import read_image
from srlab.data.patches import Patches
from srlab.data.photographs import FOLDER
from srlab.data.resize import downscale
from srlab.errors import InputError

PHOTO = read_image(FOLDER / "chelsea.png")
ASTRONAUT = read_image(FOLDER / "astronaut.png")[:, :199, :230]


def coordinates(number, height=60, width=50):
    """An image whose every pixel says where it is: (number, row, column)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.full_like(rows, number), rows, columns]).to(torch.uint8)


def choices(patches, step):
    """(image, top, left) of each item, read off its HR patch of coordinates."""
    _, hr = patches.batch_at(step)
    levels = (hr * 255).round().int().flatten(2)
    return torch.stack([levels[:, 0, 0], levels[:, 1].amin(1), levels[:, 2].amin(1)], 1)


@pytest.mark.parametrize(("scale", "patch"), [(2, 24), (3, 16), (4, 16)])
def test_shapes_range_and_alignment(scale, patch):
    patches = Patches([PHOTO, ASTRONAUT], scale, patch, batch=8, seed=0)
    seen = 0
    for step in range(4):
        lr, hr = patches.batch_at(step)
        assert lr.shape == (8, 3, patch, patch) and hr.shape == (8, 3, scale * patch, scale * patch)
        assert lr.dtype == hr.dtype == torch.float32 and hr.min() >= 0 and 0.5 < hr.max() <= 1
        for low, high in zip(lr, hr, strict=True):
            made = downscale((high * 255).round().to(torch.uint8), scale)
            # the kernel reaches two LR pixels; nearer the edge the whole image's neighbours differ
            difference = ((low * 255).round() - made.float())[:, 2:-2, 2:-2].abs()
            assert difference.max() <= 1 and difference.count_nonzero() <= 3
            seen += low[:, 2:-2, 2:-2].std() > 0.01
    assert seen > 16  # there was something to misalign


def test_all_eight_orientations_occur_and_no_other():
    square = PHOTO[:, :32, :32]
    turned = [square.rot90(quarter, (1, 2)).float() / 255 for quarter in range(4)]
    variants = turned + [image.flip(2) for image in turned]
    _, hr = Patches([square], scale=2, patch=16, batch=64, seed=0).batch_at(0)
    assert {[bool(torch.equal(patch, variant)) for variant in variants].index(True) for patch in hr} == set(range(8))


def test_images_and_positions_are_drawn_evenly_and_to_the_very_edge():
    patches = Patches([coordinates(n, 13, 12) for n in range(3)], scale=1, patch=10, batch=1200, seed=0)
    for drawn, number in zip(choices(patches, 0).T, (3, 4, 3), strict=True):  # image, row, column
        assert (drawn.bincount(minlength=number) / 1200 - 1 / number).abs().max() < 0.05


def test_choices_are_the_same_on_every_machine():
    patches = Patches([coordinates(n) for n in range(5)], scale=2, patch=8, batch=3, seed=7)
    assert choices(patches, 11).tolist() == [[0, 22, 12], [3, 44, 16], [0, 4, 30]]


def test_a_batch_depends_on_nothing_but_seed_and_step():
    first, again = (Patches([PHOTO, ASTRONAUT], 2, 16, batch=4, seed=3) for _ in range(2))
    expected = [first.batch_at(step) for step in range(6)]
    torch.manual_seed(0), np.random.seed(0)
    for step in (5, 2, 2):  # a resumed run jumps in anywhere
        assert all(map(torch.equal, again.batch_at(step), expected[step]))
    assert not torch.equal(expected[0][1], expected[1][1])
    other = Patches([PHOTO, ASTRONAUT], 2, 16, batch=4, seed=4)
    assert not torch.equal(other.batch_at(0)[1], expected[0][1])


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_processes_see_together_what_one_would_see(world_size):
    patches = Patches([PHOTO], 2, 12, batch=6, seed=0)
    whole = patches.batch_at(9)
    for rank in range(world_size):
        part = patches.batch_at(9, rank, world_size)
        assert all(torch.equal(a, b[rank::world_size]) for a, b in zip(part, whole, strict=True))
        assert len(part[0]) == 6 // world_size
    larger = Patches([PHOTO], 2, 12, batch=8, seed=0).batch_at(9)
    assert all(torch.equal(a, b[:6]) for a, b in zip(whole, larger, strict=True))


@pytest.mark.parametrize(
    ("name", "value"),
    [("images", []), ("images", [PHOTO, PHOTO[:, :31]]), ("patch", 0), ("batch", 0), ("seed", -1), ("scale", 0)],
)
def test_bad_parameters_are_refused(name, value):
    good = {"images": [PHOTO], "scale": 2, "patch": 16, "batch": 4, "seed": 0}
    with pytest.raises(InputError, match=name.removesuffix("s")):
        Patches(**(good | {name: value}))
    with pytest.raises(InputError, match="batch 4"):
        Patches(**good).batch_at(0, 0, 3)
