"""What networks add their output to, and that nothing but attention differs between networks of the trunk."""

from functools import cache
from itertools import combinations

import pytest
import torch
from torch.nn.functional import interpolate

from srlab.data.resize import upscale
from srlab.errors import InputError
from srlab.models import REGISTRY, build
from srlab.models.streams import stream

SMALL = {"channels": 12, "groups": 2, "blocks": 1, "clusters": 4, "window": 12, "attended": 6}
ON_TRUNK = [name for name, entry in REGISTRY.items() if "groups" in entry.options]


@cache
def small(name: str, **options):
    known = REGISTRY[name].options
    return build(name, 2, **{key: value for key, value in SMALL.items() if key in known}, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("scale", [2, 3])
def test_added_to_bicubic_every_network_begins_as_bicubic(name, scale):
    lr = torch.rand(1, 3, 9, 14)
    sr = build(name, scale, seed=0, skip="bicubic").eval()(lr)
    enlarged = interpolate(lr, scale_factor=scale, mode="bicubic", antialias=True)
    torch.testing.assert_close(sr, enlarged, rtol=0, atol=0)


def test_that_is_the_projects_own_enlargement_away_from_the_border():
    lr = torch.randint(64, 192, (3, 12, 12), dtype=torch.uint8)
    sr = build("no_attention", 2, seed=0, skip="bicubic", channels=8)(lr[None].float() / 255)[0]
    inner = (slice(None), slice(8, -8), slice(8, -8))
    difference = (255 * sr).round().clamp(0, 255)[inner] - upscale(lr, 2)[inner].float()
    assert difference.abs().max() <= 1  # rounding ties


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRY)
def test_as_published_it_does_not(name):
    lr = torch.rand(1, 3, 9, 14)
    enlarged = interpolate(lr, scale_factor=2, mode="bicubic", antialias=True)
    assert (build(name, 2, seed=0).eval()(lr) - enlarged).abs().max() > 1e-3


@pytest.mark.parametrize("name", REGISTRY)
def test_first_filters_that_see_details_see_nothing_of_brightness(name):
    """And are those that were drawn but for that and their size; all else is as it was."""
    drawn, details = (small(name, seed=3, first=first).state_dict() for first in ("published", "details"))
    changed = [key for key in drawn if not torch.equal(drawn[key], details[key])]
    assert changed == ["head.weight"]
    was, became = drawn["head.weight"], details["head.weight"]
    torch.testing.assert_close(became.sum((2, 3)), torch.zeros(became.shape[:2]), rtol=0, atol=1e-5)
    torch.testing.assert_close(became, 10 * (was - was.mean((2, 3), keepdim=True)))


def test_first_filters_of_another_kind_are_refused():
    with pytest.raises(InputError, match="first is 'zero'; allowed are published, details"):
        build("lcoan", 2, first="zero")


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("groups", "blocks"), [(1, 1), (2, 1), (2, 2), (4, 1)])
def test_what_the_trunks_convolutions_see_is_what_the_gradient_reaches(scale, groups, blocks):
    network = build("no_attention", scale, channels=4, groups=groups, blocks=blocks).double()
    for module in network.modules():  # positive weights: nothing cancels, and no ReLU is shut
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 0.01)
            torch.nn.init.constant_(module.bias, 1.0)
    side, middle = 41, slice(20 * scale, 21 * scale)
    lr = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(lr)[..., middle, middle].sum(), lr)
    assert (gradient.abs().sum((0, 1)).amax(0) > 0).sum() == network.sees


def test_another_skip_is_refused():
    with pytest.raises(InputError, match="skip is 'nearest'; allowed are published, bicubic"):
        build("lcoan", 2, skip="nearest")


@pytest.mark.parametrize("pair", combinations(ON_TRUNK, 2), ids="-".join)
def test_of_one_seed_all_networks_of_the_trunk_begin_with_the_same_trunk(pair):
    first, second = (small(name, seed=5).state_dict() for name in pair)
    trunk = {key for key in first if ".attention." not in key}
    assert trunk == {key for key in second if ".attention." not in key}
    assert trunk
    assert all(torch.equal(first[key], second[key]) for key in trunk)


def test_another_seed_is_another_trunk():
    first, second = (small("no_attention", seed=seed).state_dict() for seed in (5, 6))
    assert not any(torch.equal(first[key], second[key]) for key in first)


def test_parts_of_one_shape_differ():
    network = small("no_attention", seed=5)
    assert not torch.equal(network.groups[0].merge.weight, network.groups[1].merge.weight)


def test_unseeded_networks_differ_and_follow_torchs_generator():
    first, second = (small.__wrapped__("no_attention").head.weight for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(small.__wrapped__("no_attention").head.weight, first)


def test_what_is_drawn_in_a_stream_leaves_no_trace_outside():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with stream("a"):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with stream("a"):
        assert torch.equal(torch.rand(2), inside)
    with stream("b"):
        assert not torch.equal(torch.rand(2), inside)


@pytest.mark.parametrize("name", [name for name in ON_TRUNK if name != "no_attention"])
def test_every_mechanism_adds_a_tenth_of_what_it_attended_to_its_input(name):
    """Where what is attended is zero, a layer of the trunk changes nothing."""
    for layer in small(name, seed=0).non_local_layers():
        assert layer.residual_scale == 0.1 and getattr(layer, "input_scale", 1.0) == 1.0
