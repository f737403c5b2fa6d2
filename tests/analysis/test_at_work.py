"""Altered weights: nothing altered is nothing changed, and each change is what it says, on cases with known answers."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mechanisms import MECHANISMS
from torch.nn.functional import conv2d, pad

from srlab.analysis.at_work import CHANGES, NOTHING, OWN, SHUFFLED, UNIFORM, altered, crops, lost, measure
from srlab.attention import (
    ENLA,
    FGCA,
    GMSA,
    NLA,
    SCC,
    ConvAttn,
    DecomposedKernel,
    LargeKernel,
    LocalConvolution,
    SharedGMSA,
    WindowAttention,
    dense_attention,
)
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.measure.profiling import peak_memory
from srlab.models import build

#: Mechanisms without softmax, beside those that the dense oracle proves.
KERNELS = {
    "convattn": lambda c: [ConvAttn(c, 4, kernel=LargeKernel(4, 9), residual_scale=0.1), ConvAttn(c, 4)],
    "convattn-decomposed": lambda c: [ConvAttn(c, 4, kernel=DecomposedKernel(4, 9)), ConvAttn(c, 4)],
    "local": lambda c: [LocalConvolution(c)],
    "scc": lambda c: [SCC(c, 2, (8, 8), (4, 4))],
    "scc-oblong": lambda c: [SCC(c, 2, (8, 4), (4, 2), backend="reference")],
    "scc-small": lambda c: [SCC(c, 2, (4, 4), (8, 8))],
}
LAYERS = MECHANISMS | KERNELS
#: Windows of four pixels and kernels of seven reach no farther than the own neighbourhood.
NEAR = ("window", "window-reference", "window-rib", "gmsa", "gmsa-reference", "local", "scc-small")
#: Paper networks, and two on the trunk that share: small, but with every kind of layer.
NETWORKS = {
    "esc": {"channels": 16, "heads": 2, "blocks": 2, "pairs": 2, "side": 8, "attended": 8, "kernel_size": 9},
    "esc_fp": {"channels": 16, "heads": 2, "blocks": 1, "pairs": 2, "side": 8, "attended": 8, "kernel_size": 9},
    "esc_rib": {"channels": 16, "heads": 2, "blocks": 1, "pairs": 2, "side": 8, "attended": 8, "kernel_size": 9},
    "sscan": {"channels": 16, "heads": 2, "blocks": 2, "depth": 1, "side": 4, "top": 2},
    "hit_srf": {"channels": 12, "heads": 2, "stages": 1, "base": (4, 4), "ratios": (0.5, 1.0, 2.0)},
    "elan_light": {"channels": 12, "layers": 4, "sides": (2, 4, 8)},
    "lcoan": {"channels": 8, "groups": 3, "blocks": 1, "clusters": 4, "window": 20},
    "trunk_conv7": {"channels": 8, "groups": 2, "blocks": 1},
}
sizes = st.tuples(st.integers(1, 20), st.integers(1, 20))


class Chain(torch.nn.Module):
    """Layers one after another, sharing."""

    def __init__(self, layers):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x):
        shared = None
        for layer in self.layers:
            x, shared = layer(x, shared)
        return x


def chain(*layers):
    """In evaluation mode, with dynamic kernels that are no longer zero."""
    made = Chain(layers).eval()
    for layer in layers:
        if isinstance(layer, ConvAttn):
            torch.nn.init.normal_(layer.to_small[-1].weight)
    return made


def outputs(network, x, *changes):
    found = []
    with torch.inference_mode():
        for change in changes:
            if change is None:
                found.append(network(x))
            else:
                with altered(network, change):
                    found.append(network(x))
    return found


def same(one, other, atol=1e-5):
    torch.testing.assert_close(one, other, rtol=0, atol=atol)


@settings(deadline=None, max_examples=8)
@given(size=sizes)
@pytest.mark.parametrize("name", LAYERS)
def test_altering_nothing_changes_nothing(name, size):
    network = chain(*LAYERS[name](8))
    same(*outputs(network, torch.randn(1, 8, *size), None, NOTHING))


@settings(deadline=None, max_examples=5)
@given(size=sizes)
@pytest.mark.parametrize("name", NETWORKS)
def test_altering_nothing_changes_no_network(name, size):
    network = build(name, 2, seed=0, **NETWORKS[name]).eval()
    # ELAN's scores are not scaled, so that rounding grows.
    same(*outputs(network, torch.rand(1, 3, *size), None, NOTHING), atol=1e-4 if name == "elan_light" else 1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_each_change_changes_something_and_leaves_no_trace(name):
    network, x = chain(*LAYERS[name](8)), torch.randn(1, 8, 19, 17)
    before, *changed, after = outputs(network, x, None, *CHANGES, None)
    assert torch.equal(before, after)
    for change, y in zip(CHANGES, changed, strict=True):
        near = change == OWN and name in NEAR
        assert ((y - before).abs().max() < 1e-5) == near, change
    assert all(torch.equal(y, again) for y, again in zip(changed, outputs(network, x, *CHANGES), strict=True))


def projections(layer):
    """Weights of a GMSA for each size of windows: of embeddings, where it has some, and of values."""
    return layer.project.weight.data.unflatten(0, (len(layer.sides), layer.projections, -1))


@pytest.mark.parametrize("name", MECHANISMS)
def test_where_all_scores_are_alike_uniform_weights_change_nothing(name):
    network = chain(*MECHANISMS[name](8))
    for part, parameter in network.named_parameters():
        if any(each in part for each in ("theta", "match", "position")):
            torch.nn.init.zeros_(parameter)
        if "qkv" in part:
            torch.nn.init.zeros_(parameter[:8])
    for layer in network.layers:
        if isinstance(layer, GMSA):
            torch.nn.init.zeros_(projections(layer)[:, 0])
    same(*outputs(network, torch.randn(1, 8, 13, 14), None, UNIFORM))


def test_uniform_weights_are_the_mean_of_what_is_seen():
    x = torch.randn(1, 8, 9, 7)
    for layer in (NLA(8).eval(), ENLA(8, features=24).eval()):
        value = layer.value(x)
        [y] = outputs(chain(layer), x, UNIFORM)
        same(y, layer.output(x, value.mean(2, keepdim=True).expand_as(value)))
    window = WindowAttention(8, 2, 4).eval()
    value = window.value(x[..., :4, :4])
    [y] = outputs(chain(window), x, UNIFORM)
    same(y[..., :4, :4], window.output(x[..., :4, :4], value.mean(2, keepdim=True).expand_as(value)))


@pytest.mark.parametrize("name", ["coa", "coa-dense-stored", "coa-two-rounds"])
def test_shared_weights_are_altered_in_every_layer(name):
    network, x = chain(*MECHANISMS[name](8)), torch.randn(1, 8, 7, 9)
    [y] = outputs(network, x, UNIFORM)
    shared = None
    for layer in network.layers:
        pattern = layer.pattern(x, shared)
        _, shared = layer(x, shared)
        seen = pattern.multiplicity().float()
        x = layer.output(x, seen / seen.sum(-1, keepdim=True) @ layer.value(x))
    same(y, x)


def test_only_the_own_neighbourhood_is_kept():
    layer, x = NLA(8).eval(), torch.randn(1, 8, 12, 15)
    [y] = outputs(chain(layer), x, OWN)
    for row, column in ((0, 0), (5, 7), (11, 3), (8, 14)):
        top, left = max(0, row - 3), max(0, column - 3)
        part = x[:, :, top : row + 4, left : column + 4]
        alone = dense_attention(layer, part)
        same(y[..., row, column], alone[..., row - top, column - left])


@pytest.mark.parametrize("make", [NLA, lambda c: ENLA(c, features=24)])
def test_a_map_that_is_all_neighbourhood_does_not_change(make):
    same(*outputs(chain(make(8)), torch.randn(1, 8, 4, 4), None, OWN))


def test_who_sees_no_neighbour_attends_to_nothing():
    layer, x = FGCA(8, 2, side=8, top=1, residual_scale=0.1).eval(), torch.randn(1, 8, 8, 24)
    torch.nn.init.zeros_(layer.qkv.bias)
    routes = layer.pattern(x).routes[0, :, 0]
    far = next(window for window, chosen in enumerate(routes) if abs(window - chosen) > 0)
    assert routes[far] != far
    [y] = outputs(chain(layer), x, OWN)
    column = 8 * far + (0 if routes[far] > far else 7)  # more than three pixels from the window it chose
    same(y[..., 4, column], (x + 0.1 * layer.merge.bias[:, None, None])[..., 4, column])


@pytest.mark.parametrize("name", MECHANISMS)
def test_of_values_that_are_all_alike_no_change_is_seen(name):
    network = chain(*MECHANISMS[name](8))
    for part, parameter in network.named_parameters():
        if part.endswith(("assembly.weight", "g.0.weight")):
            torch.nn.init.zeros_(parameter)
        if part.endswith("qkv.weight"):
            torch.nn.init.zeros_(parameter[16:])
    for layer in network.layers:
        if isinstance(layer, SharedGMSA):
            torch.nn.init.zeros_(projections(layer)[:, -1])
    before, uniform, keys = outputs(network, torch.randn(1, 8, 13, 14), None, UNIFORM, SHUFFLED)
    same(before, uniform)
    same(before, keys)


def kernel_of(layer, x):
    """Large and dynamic kernel of a ConvAttn in one."""
    weight, small = layer.kernel(), layer.small_kernels(x)[0]
    return weight + torch.diag_embed(pad(small, [3] * 4).permute(1, 2, 0)).permute(2, 3, 0, 1)


def by_kernel(layer, x, kernel):
    return layer.merge(torch.cat([conv2d(x[:, :4], kernel, padding=4), x[:, 4:]], 1))


def test_a_kernel_becomes_its_mean_or_keeps_its_middle():
    layer, x = ConvAttn(8, 4, kernel=LargeKernel(4, 9)), torch.randn(1, 8, 11, 13)
    before, uniform, keys, near = outputs(chain(layer), x, None, *CHANGES)
    with torch.inference_mode():
        kernel = kernel_of(layer, x)
        same(before, by_kernel(layer, x, kernel))
        same(uniform, by_kernel(layer, x, kernel.mean((2, 3), keepdim=True).expand_as(kernel)))
        same(near, by_kernel(layer, x, pad(kernel[..., 1:-1, 1:-1], [1] * 4)))
    assert not torch.allclose(keys, before, atol=1e-3)


def test_taps_that_are_all_alike_can_change_places():
    layer = LocalConvolution(8, 9)
    torch.nn.init.constant_(layer.kernel.weight, 0.1)
    before, uniform, keys, near = outputs(chain(layer), torch.randn(2, 8, 11, 13), None, *CHANGES)
    same(before, uniform)
    same(before, keys)
    assert not torch.allclose(before, near, atol=1e-3)


def test_correlations_become_their_mean_over_the_window():
    """By the formula as the paper writes it."""
    layer, x = SCC(8, 2, (4, 4), (2, 2)).eval(), torch.randn(1, 8, 8, 12)
    [y] = outputs(chain(layer), x, UNIFORM)
    with torch.inference_mode():
        grid = layer.pattern(x).grid
        qv = grid.cut((layer.bottleneck(x) * layer.straight(x)).permute(0, 2, 3, 1))
        q, v = qv.chunk(2, -1)
        q_heads, r_heads = (t.unflatten(-1, (2, -1)).transpose(2, 3) for t in (q, layer._reduced(v)))
        spatial = q_heads @ r_heads.mT / q_heads.shape[-1] + layer.position.plain()
        spatial = spatial.mean(-1, keepdim=True) * r_heads.sum(-2, keepdim=True)
        channel = (v @ v.mT / 16).mean(-1, keepdim=True) * q.sum(2, keepdim=True)
        expected = layer.out(torch.cat([spatial.transpose(2, 3).flatten(3), channel], -1))
        same(y, grid.join(expected).permute(0, 3, 1, 2))


def test_of_correlations_only_the_own_neighbourhood_is_kept():
    """That of a window's first pixel is its first 4×4 pixels, here the first 2×2 groups."""
    layer, x = SCC(8, 2, (8, 8), (4, 4)).eval(), torch.randn(1, 8, 8, 8)
    [y] = outputs(chain(layer), x, OWN)
    with torch.inference_mode():
        qv = (layer.bottleneck(x) * layer.straight(x)).permute(0, 2, 3, 1)
        q, v = qv.chunk(2, -1)
        token = layer._reduced(layer.pattern(x).grid.cut(v))[0, 0].unflatten(1, (2, -1))  # group, head, channel
        weights = torch.einsum("hd,ghd->hg", q[0, 0, 0].unflatten(0, (2, -1)), token) / 2 + layer.position()[:, 0]
        near = torch.tensor([0, 1, 4, 5])
        spatial = torch.einsum("hg,ghd->hd", weights[:, near], token[near]).flatten()
        keys, values = (t[0, :4, :4].flatten(0, 1) for t in (v, q))
        channel = keys @ v[0, 0, 0] / 64 @ values
        same(y[0, :, 0, 0], layer.out(torch.cat([spatial, channel])))


@pytest.mark.parametrize("change", CHANGES)
def test_weights_are_held_for_some_queries_only(change):
    network, x = chain(NLA(8)), torch.randn(1, 8, 64, 64)
    with torch.inference_mode(), altered(network, change):
        assert peak_memory(lambda: network(x), x.device) < 4096**2  # a quarter of the weights, in bytes


def test_it_says_what_it_cannot_alter():
    with pytest.raises(InputError, match="change is 'none'; allowed are uniform weights, shuffled keys, own 7×7 only"):
        altered(chain(NLA(8)), "none").__enter__()
    with pytest.raises(InputError, match="no non-local layer"):
        altered(build("no_attention", 2, channels=8, groups=1, blocks=1), UNIFORM).__enter__()


def test_a_network_that_fails_is_left_as_it_was():
    network = chain(NLA(8))
    with pytest.raises(RuntimeError), altered(network, OWN):
        network(torch.randn(1, 7, 4, 4))
    assert not network.layers[0]._forward_hooks


def test_crops_are_evenly_spaced_and_of_one_size():
    refs = embedded().benchmarks["held-out"]
    others = [replace(ref, name=f"{ref.name}{number}") for ref in refs for number in range(3)]
    chosen = crops({"one": refs[:4], "none": refs[4:5], "two": others}, 2)
    assert {name: [ref.name for ref in each] for name, each in chosen.items()} == {
        "one": [refs[0].name, refs[3].name],
        "two": [others[number].name for number in (2, 5, 9, 13, 16, 20)],
    }
    assert {ref.read().shape for each in chosen.values() for ref in each} == {(3, 64, 64)}


def test_what_is_lost_is_the_difference_of_two_evaluations():
    network, refs = build("trunk_nla", 2, seed=0, channels=8, groups=1, blocks=1), embedded().benchmarks["held-out"][:2]
    benchmarks = crops({"held-out": refs}, 2)
    found = lost(network, benchmarks, 2)
    assert found.columns.tolist() == ["benchmark", "name", "change", "psnr_y", "drop_db"] and len(found) == 6
    whole = evaluate(network, benchmarks["held-out"], 2)["psnr_y"]
    with altered(network, OWN):
        changed = evaluate(network, benchmarks["held-out"], 2)["psnr_y"]
    own = found[found["change"] == OWN]
    assert own["psnr_y"].tolist() == whole.tolist() and own["drop_db"].tolist() == (whole - changed).tolist()
    pd.testing.assert_frame_equal(found, lost(network, benchmarks, 2))


@pytest.mark.slow
def test_a_study_is_measured_network_by_network(smoke_study):
    found = measure(smoke_study)
    assert set(found["experiment"]) == {"from scratch", "branched"}
    arms = found[found["experiment"] == "branched"]
    assert (
        set(arms["model"]) == {"trunk_conv7", "trunk_nla", "lcoan", "trunk_window side=16"} and len(arms) == 4 * 3 * 8
    )
    found = found[found["experiment"] == "from scratch"]
    assert set(found["model"]) == {
        "trunk_nla",
        "trunk_nla_shared",
        "trunk_lsp",
        "lcoan",
        "trunk_window",
    }  # no_attention has no attention
    assert len(found) == 5 * 3 * 8 and found["drop_db"].abs().max() < 1
    assert set(found["run"]) == {smoke_study.training(model).hash for model in found["model"]}
