"""Every network of the registry: sizes, first weights, gradients, labels, and bad input."""

import pytest
import torch
from networks import short, small
from torch.nn.functional import interpolate

from srlab.data.resize import upscale
from srlab.errors import InputError
from srlab.measure.profiling import count_flops
from srlab.models import REGISTRY, build, label, trunk_networks
from srlab.models.registry import SCALES
from srlab.models.trunk import Trunk


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", REGISTRY)
def test_output_is_scale_times_the_input_and_every_parameter_is_trained(name, scale):
    network = short(name, scale).eval()
    for height, width in ((7, 9), (1, 3)):
        y = network(torch.rand(2, 3, height, width))
        assert y.shape == (2, 3, height * scale, width * scale)
    y.square().mean().backward()
    assert not [key for key, parameter in network.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("name", REGISTRY)
def test_operations_are_counted_without_gradients(name):
    """The counter hooks into modules, and fails at a parameter's view as a module's input."""
    network = short(name).eval()
    with torch.inference_mode():
        assert count_flops(lambda: network(torch.rand(1, 3, 9, 8))) > 0


@pytest.mark.parametrize("name", REGISTRY)
def test_first_weights_follow_from_the_seed_and_leave_the_global_generator_alone(name):
    state = torch.get_rng_state()
    one, same, other = (short(name, seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one if key.startswith(("head", "to_image", "tail")))


def test_unseeded_networks_differ_and_follow_torchs_generator():
    first, second = (small("no_attention", seed=None).head.weight for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(small("no_attention", seed=None).head.weight, first)


@pytest.mark.parametrize("name", REGISTRY)
def test_first_filters_of_details_sum_to_zero(name):
    """They are the drawn ones but for their means and their size; the other weights are as drawn."""
    drawn, details = (short(name, seed=3, first=first).state_dict() for first in ("published", "details"))
    assert [key for key in drawn if not torch.equal(drawn[key], details[key])] == ["head.weight"]
    before, after = drawn["head.weight"], details["head.weight"]
    torch.testing.assert_close(after.sum((2, 3)), torch.zeros(after.shape[:2]), rtol=0, atol=1e-5)
    torch.testing.assert_close(after, 10 * (before - before.mean((2, 3), keepdim=True)))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("name", REGISTRY)
def test_added_to_bicubic_every_network_begins_as_bicubic_and_as_published_not(name, scale):
    lr = torch.rand(1, 3, 9, 14)
    enlarged = interpolate(lr, scale_factor=scale, mode="bicubic", antialias=True)
    added, published = (short(name, scale, skip=skip).eval()(lr) for skip in ("bicubic", "published"))
    torch.testing.assert_close(added, enlarged, rtol=0, atol=0)
    assert (published - enlarged).abs().max() > 1e-3


def test_that_is_the_projects_own_enlargement_away_from_the_border():
    lr = torch.randint(64, 192, (3, 12, 12), dtype=torch.uint8)
    sr = small("no_attention", skip="bicubic")(lr[None].float() / 255)[0]
    inner = (slice(None), slice(8, -8), slice(8, -8))
    difference = (255 * sr).round().clamp(0, 255)[inner] - upscale(lr, 2)[inner].float()
    assert difference.abs().max() <= 1  # rounding ties


@pytest.mark.parametrize("name", REGISTRY)
def test_every_network_has_a_label_of_its_own(name):
    assert label(name) == REGISTRY[name].label != name
    assert [each.label for each in REGISTRY.values()].count(label(name)) == 1
    assert label(f"{name} (stored)") == f"{label(name)} (stored)"
    assert REGISTRY[name].trunk == (name in trunk_networks()) == isinstance(short(name), Trunk)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lcoan clusters=4", "LCoA, k = 4"),
        ("lcoan clusters=4 window=64 (stored)", "LCoA, k = 4, w = 64 (stored)"),
        ("lcoan centroid_update=frozen ema_decay=0.5", "LCoA, centroid update frozen, λ = 0.5"),
        ("trunk_window side=16", "16×16 windows"),
        ("trunk_window position=rib side=16", "16×16 windows, position rib"),
        ("trunk_fgca side=4 top=2", "FGCA, 4×4 windows, top 2"),
        ("trunk_elan sides=(4, 8)", "ELAN, sides (4, 8)"),
        ("bicubic", "bicubic"),
        ("lcoanx clusters=4", "lcoanx clusters=4"),
    ],
)
def test_labels_keep_what_follows_the_name(name, expected):
    assert label(name) == expected


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("lcoam", {}, "'lcoam'.*lcoan"),
        ("lcoan", {"scale": 5}, "scale is 5.*2, 3, 4, 8"),
        ("lcoan", {"cluster": 4}, "'cluster'.*'lcoan'.*clusters"),
        ("lcoan", {"clusters": 0}, "'clusters' is 0"),
        ("lcoan", {"channels": 0}, "'channels' is 0"),
        ("lcoan", {"sharing": "both"}, "'sharing' is 'both'.*'stored'"),
        ("lcoan", {"ema_decay": 2.0}, "'ema_decay' is 2.0"),
        ("lcoan", {"groups": 10**400}, "'groups' is 10+;.*65536"),
        ("hit_srf", {"ratios": (0.5, float("inf"))}, "'ratios' is inf"),
        ("atd_light", {"ratio": "1e30"}, "'ratio' is 1e30"),
        ("esc", {"ratio": float("nan")}, "'ratio' is nan"),
        ("lcoan", {"first": "zero"}, "first is 'zero'.*details"),
        ("lcoan", {"skip": "nearest"}, "skip is 'nearest'.*bicubic"),
        ("esc", {"gates": "closed"}, "gates is 'closed'.*'esc'"),
        ("trunk_nla", {"gates": "ajar"}, "gates is 'ajar'.*published, closed"),
        ("elan_light", {"sides": (4, 5, 16)}, "window of 5 pixels"),
        ("trunk_conv7", {"kernel_size": 8}, "8×8"),
        ("catanet", {"heads": 3}, "multiple of heads, 3"),
        ("catanet", {"patches": (2,)}, "at least 3"),
        ("pft_light", {"depths": (2, 1), "kept": (8, 8, 9)}, "must not grow"),
        ("pft_light", {"depths": (2, 1), "kept": (8, 8)}, "3 layers"),
        *(
            (name, {"channels": 8, "reduction": 9}, "reduction is 9")
            for name in ("trunk_nla", "trunk_lsp", "nlsn", "enlcn")
        ),
    ],
)
def test_bad_input_is_named(name, options, named):
    with pytest.raises(InputError, match=named):
        build(name, **options)
