"""The trunk: networks of one seed differ in attention only, at a matched cost."""

import math

import pytest
import torch
from networks import small

from srlab.attention import LSP, CoA
from srlab.measure.profiling import count_flops, count_parameters
from srlab.models import build, trunk_networks, upsampler
from srlab.models.streams import stream
from srlab.study.runs import options_of

WITH_ATTENTION = [name for name in trunk_networks() if name != "no_attention"]


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_networks_of_one_seed_begin_with_the_same_trunk(name):
    plain, network = (small(each, seed=5).state_dict() for each in ("no_attention", name))
    assert {key for key in network if ".attention." not in key} == set(plain)
    assert all(torch.equal(network[key], plain[key]) for key in plain)


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_every_mechanism_adds_a_tenth_of_its_result_to_its_input(name):
    for layer in small(name).non_local_layers():
        assert layer.residual_scale == 0.1 and getattr(layer, "input_scale", 1.0) == 1.0


def test_a_stream_leaves_the_generator_outside_as_it_was_and_parts_differ():
    first, second = small("no_attention").groups
    assert not torch.equal(first.merge.weight, second.merge.weight)
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


@pytest.mark.parametrize(("renew_every", "own"), [(None, [0]), (1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3])])
def test_lcoan_computes_weights_in_every_so_many_layers(renew_every, own):
    layers = small("lcoan", groups=5, renew_every=renew_every).non_local_layers()
    assert [type(layer) for layer in layers] == [LSP if i in own else CoA for i in range(5)]


def test_elans_windows_shift_in_every_second_pair_of_layers():
    layers = small("trunk_elan_own", groups=6).non_local_layers()
    assert [layer.shifted for layer in layers] == [False, False, True, True, False, False]
    shared = small("trunk_elan", groups=6).non_local_layers()
    assert [getattr(layer, "shifted", None) for layer in shared] == [False, None, True, None, False, None]


def test_the_attention_layers_alone_are_those_of_the_network():
    network = small("lcoan").eval()
    features = torch.rand(1, 8, 6, 6)
    y, shared = network.groups[0].attention(features)
    y, _ = network.groups[1].attention(y, shared)
    assert torch.equal(network.attend(features), y)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("groups", "blocks"), [(1, 1), (2, 1), (2, 2), (4, 1)])
def test_the_receptive_field_is_where_gradients_reach(scale, groups, blocks):
    network = build("no_attention", scale, channels=4, groups=groups, blocks=blocks).double()
    for module in network.modules():  # positive weights: gradients do not cancel, and every ReLU is open
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 0.01)
            torch.nn.init.constant_(module.bias, 1.0)
    side, middle = 41, slice(20 * scale, 21 * scale)
    lr = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(lr)[..., middle, middle].sum(), lr)
    assert (gradient.abs().sum((0, 1)).amax(0) > 0).sum() == network.sees


# Not matched: no attention; every token attends to every token; linear in the tokens by design; the control, which has
# parameters instead; windows in three sizes with scores that layers share, a hair below (0.89997).
UNMATCHED = {"no_attention", "trunk_nla", "trunk_nla_shared", "enlcn", "trunk_conv7", "trunk_elan"}


@pytest.mark.slow
def test_networks_are_matched_in_parameters_and_operations(monkeypatch):
    """At published width on a 64×64 image, each within 10 % of LCoAN where the mechanism allows.

    Operations are counted as in papers: each layer of the trunk's end by itself, weights computed anew.
    """
    monkeypatch.setattr(upsampler, "FROM", math.inf)
    x = torch.randn(1, 128, 64, 64)
    with torch.device("meta"):
        plain = build("no_attention", 2)
        of_trunk = count_flops(lambda: plain(torch.rand(1, 3, 64, 64)))
    parameters, operations = {}, {}
    for name in trunk_networks():
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
