"""Networks by name: sizes, shapes, parameter counts, and errors that say what is allowed."""

import inspect
import math

import pytest
import torch
from networks import small

from srlab.errors import InputError
from srlab.measure.profiling import count_flops, count_parameters
from srlab.models import REGISTRY, build, upsampler
from srlab.models.trunk import Trunk
from srlab.study.runs import options_of
from srlab.weights.checkpoints import from_released


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("name", REGISTRY)
def test_output_is_scale_times_the_input(name, scale):
    network = small(name, scale).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, 7, 9)).shape == (2, 3, 7 * scale, 9 * scale)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_parameter_is_trained(name):
    network = small(name).train()
    network(torch.rand(2, 3, 16, 16)).square().mean().backward()
    idle = [key for key, parameter in network.named_parameters() if parameter.grad is None]
    assert not idle


@pytest.mark.parametrize("name", REGISTRY)
def test_a_seed_makes_the_same_weights_and_leaves_the_global_generator_alone(name):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one, other = small(name), small(name)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_lcoan_has_the_published_parameters():
    # The released network also holds a match convolution in each CoA layer, and one scalar, never used.
    unused = 9 * (128 * 128 * 9 + 128) + 1
    assert count_parameters(build("lcoan", 2)) + unused == 15_668_484
    assert round((count_parameters(build("lcoan", 4)) + unused) / 1e6, 2) == 16.26


def test_lcoan_equals_the_released_network(golden):
    case = golden("lcoan_tiny_x2")
    network = from_released("lcoan", case.weights, **case.config)
    with torch.no_grad():
        for which in ("nopad", "pad"):
            y = network(case.tensors[f"input_{which}"])
            torch.testing.assert_close(y, case.tensors[f"output_{which}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["lcoan", "trunk_nla_shared"])
def test_stored_and_recomputed_weights_give_the_same_numbers(name):
    stored, recomputed = (small(name, sharing=sharing).double().eval() for sharing in ("stored", "recomputed"))
    x = torch.rand(2, 3, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(stored(x), recomputed(x), rtol=0, atol=1e-12)


def test_the_non_local_layers_alone_are_those_of_the_network():
    network = small("lcoan").eval()
    features = torch.rand(1, 8, 6, 6)
    y, shared = network.groups[0].attention(features)
    y, _ = network.groups[1].attention(y, shared)
    assert torch.equal(network.attend(features), y)


@pytest.mark.parametrize(
    ("name", "scale", "options", "told"),
    [
        ("lcoam", 2, {}, "model 'lcoam' is unknown; there are: "),
        ("lcoan", 5, {}, "scale is 5; allowed are 2, 3, 4, 8"),
        (
            "lcoan",
            2,
            {"cluster": 4},
            "option 'cluster' is unknown to model 'lcoan'; its options are: channels,",
        ),
        ("lcoan", 2, {"clusters": 0}, "'clusters' is 0, allowed: greater than 0"),
        ("lcoan", 2, {"sharing": "both"}, "'sharing' is 'both', allowed: 'auto', 'recomputed' or 'stored'"),
        ("lcoan", 2, {"ema_decay": 2.0}, "'ema_decay' is 2.0, allowed: less than or equal to 1"),
    ],
)
def test_bad_input_is_told_in_a_sentence(name, scale, options, told):
    with pytest.raises(InputError) as caught:
        build(name, scale, **options)
    assert told in str(caught.value)


def test_trunk_networks_differ_in_attention_only():
    for name, entry in REGISTRY.items():
        network = small(name)
        if not isinstance(network, Trunk):
            continue
        plain = {k: v.shape for k, v in small("no_attention").state_dict().items()}
        rest = {k: v.shape for k, v in network.state_dict().items() if ".attention." not in k}
        assert rest == plain, name
        assert {"channels", "groups", "blocks"} <= set(inspect.signature(entry.make).parameters)


# What cannot be matched: no attention at all; every token sees every token; linear in the tokens by design; the control,
# which has parameters instead; windows in three sizes whose scores layers share, a hair below (0.89997).
UNMATCHED = {"no_attention", "trunk_nla", "trunk_nla_shared", "enlcn", "trunk_conv7", "trunk_elan"}


@pytest.mark.slow
def test_trunk_networks_are_matched_in_parameters_and_operations(monkeypatch):
    """At published width on a 64×64 image, each within 10 % of LCoAN, where the mechanism allows.

    As papers count: each layer of the trunk's end by itself, weights computed anew.
    """
    monkeypatch.setattr(upsampler, "FROM", math.inf)
    x = torch.randn(1, 128, 64, 64)
    with torch.device("meta"):
        plain = build("no_attention", 2)
        of_trunk = count_flops(lambda: plain(torch.rand(1, 3, 64, 64)))
    parameters, operations = {}, {}
    for name in REGISTRY:
        if not isinstance(small(name), Trunk):
            continue
        parameters[name] = count_parameters(build(name, 2))
        options = {**options_of(name), "blocks": 1}
        one, two = (build(name, 2, **{**options, "groups": groups}).eval() for groups in (1, 2))
        with torch.no_grad():
            first, both = (count_flops(lambda n=n: n.attend(x)) for n in (one, two))
        operations[name] = of_trunk + first + 9 * (both - first)
    for name in parameters:
        assert abs(parameters[name] / parameters["lcoan"] - 1) < 0.1, name
        matched = abs(operations[name] / operations["lcoan"] - 1) < 0.1
        assert matched == (name not in UNMATCHED), (name, operations[name] / operations["lcoan"])
