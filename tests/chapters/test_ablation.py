"""Ablation: each change of the weights on cases with known answers, and what it costs with intervals over seeds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import study_of, write
from mechanisms import MECHANISMS
from scipy import stats
from torch.nn.functional import conv2d, pad

from srlab.attention import FGCA, NLA, SCC, ConvAttn, DecomposedKernel, LargeKernel, LocalConvolution, dense_attention
from srlab.chapters import ablation
from srlab.chapters.ablation import losses as frames
from srlab.chapters.ablation.altered import CHANGES, NOTHING, OWN, SHUFFLED, UNIFORM, altered, plain, shuffled
from srlab.chapters.ablation.losses import crops, lost
from srlab.chapters.ablation.run import AblatedRun
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.files import write_table
from srlab.measure.evaluation import evaluate
from srlab.measure.profiling import peak_memory
from srlab.models import build
from srlab.stats.intervals import seed_difference
from srlab.study.chapter import Tables
from srlab.study.records import Record
from srlab.weights.checkpoints import save_network

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
NEAR = (
    "window",
    "window-tied",
    "window-reference",
    "window-rib",
    "gmsa",
    "gmsa-reference",
    "local",
    "scc-small",
    "pfa",
)
#: Paper networks, and two on the trunk that share: small, but with every kind of layer.
ESC = {"channels": 16, "heads": 2, "blocks": 1, "pairs": 2, "side": 8, "attended": 8, "kernel_size": 9}
NETWORKS = dict.fromkeys(("esc", "esc_fp", "esc_rib"), ESC) | {
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


@settings(max_examples=4)
@given(size=sizes)
@pytest.mark.parametrize("name", [*LAYERS, *NETWORKS])
def test_altering_nothing_changes_nothing(name, size):
    if name in LAYERS:
        network, x = chain(*LAYERS[name](8)), torch.randn(1, 8, *size)
    else:
        network, x = build(name, 2, seed=0, **NETWORKS[name]).eval(), torch.rand(1, 3, *size)
    # ELAN's scores are not scaled, so that rounding grows.
    same(*outputs(network, x, None, NOTHING), atol=1e-4 if name == "elan_light" else 1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_each_change_changes_something_and_leaves_no_trace(name):
    network, x = chain(*LAYERS[name](8)), torch.randn(1, 8, 19, 17)
    before, *changed, after = outputs(network, x, None, *CHANGES, None)
    assert torch.equal(before, after)
    for change, y in zip(CHANGES, changed, strict=True):
        near = change == OWN and name in NEAR
        assert ((y - before).abs().max() < 1e-5) == near, change
    assert all(torch.equal(y, again) for y, again in zip(changed, outputs(network, x, *CHANGES), strict=True))


@pytest.mark.parametrize("name", MECHANISMS)
def test_weights_become_uniform_and_keys_are_shuffled_in_every_layer(name):
    """Oracle: weights and values, layer by layer, by the contract."""
    network, x = chain(*MECHANISMS[name](8)), torch.randn(1, 8, 13, 14)
    for change, y in zip((UNIFORM, SHUFFLED), outputs(network, x, UNIFORM, SHUFFLED), strict=True):
        at, shared = x, None
        for layer in network.layers:
            pattern, value = layer.pattern(at, shared), layer.value(at)
            seen = pattern.multiplicity().float()
            if change == UNIFORM:
                found = seen / seen.sum(-1, keepdim=True) @ value
            else:
                found = pattern.weights() @ value[:, :, shuffled(value.shape[2])]
            shared = layer(at, shared)[1]
            at = layer.output(at, found)
        same(y, at, atol=1e-4)


def test_only_the_own_neighbourhood_is_kept():
    layer, x = NLA(8).eval(), torch.randn(1, 8, 12, 15)
    [y] = outputs(chain(layer), x, OWN)
    for row, column in ((0, 0), (5, 7), (11, 3), (8, 14)):
        top, left = max(0, row - 3), max(0, column - 3)
        part = x[:, :, top : row + 4, left : column + 4]
        alone = dense_attention(layer, part)
        same(y[..., row, column], alone[..., row - top, column - left])


def test_who_sees_no_neighbour_attends_to_nothing():
    layer, x = FGCA(8, 2, side=8, top=1, residual_scale=0.1).eval(), torch.randn(1, 8, 8, 24)
    torch.nn.init.zeros_(layer.qkv.bias)
    routes = layer.pattern(x).routes[0, :, 0]
    far = next(window for window, chosen in enumerate(routes) if abs(window - chosen) > 0)
    assert routes[far] != far
    [y] = outputs(chain(layer), x, OWN)
    column = 8 * far + (0 if routes[far] > far else 7)  # more than three pixels from the window it chose
    same(y[..., 4, column], (x + 0.1 * layer.merge.bias[:, None, None])[..., 4, column])


def test_a_kernel_becomes_its_mean_or_keeps_its_middle():
    layer, x = ConvAttn(8, 4, kernel=LargeKernel(4, 9)), torch.randn(1, 8, 11, 13)
    before, uniform, keys, near = outputs(chain(layer), x, None, *CHANGES)
    with torch.inference_mode():
        small = pad(layer.small_kernels(x)[0], [3] * 4)
        kernel = layer.kernel() + torch.diag_embed(small.permute(1, 2, 0)).permute(2, 3, 0, 1)
        mean, middle = kernel.mean((2, 3), keepdim=True).expand_as(kernel), pad(kernel[..., 1:-1, 1:-1], [1] * 4)
        for y, own in ((before, kernel), (uniform, mean), (near, middle)):
            same(y, layer.merge(torch.cat([conv2d(x[:, :4], own, padding=4), x[:, 4:]], 1)))
    assert not torch.allclose(keys, before, atol=1e-3)


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


@pytest.mark.parametrize("change", [NOTHING, *CHANGES])
@pytest.mark.parametrize("name", ["gmsa", "scc", "scc-oblong", "scc-small"])
def test_windows_alone_give_what_all_keys_give(name, change, monkeypatch):
    network, x = chain(*LAYERS[name](8)), torch.randn(1, 8, 13, 21)
    [fast] = outputs(network, x, change)
    for way in ("in_sizes", "in_part"):
        monkeypatch.setattr(f"srlab.chapters.ablation.altered.{way}", plain)
    same(fast, *outputs(network, x, change))


@pytest.mark.parametrize("change", CHANGES)
def test_weights_are_held_for_some_queries_only(change):
    network, x = chain(NLA(8)), torch.randn(1, 8, 64, 64)
    with torch.inference_mode(), altered(network, change):
        assert peak_memory(lambda: network(x), x.device) < 4096**2  # a quarter of the weights, in bytes


def test_unknown_changes_and_networks_without_attention_are_refused_and_failures_leave_no_hook():
    with pytest.raises(InputError, match="none"), altered(chain(NLA(8)), "none"):
        pass
    with pytest.raises(InputError), altered(build("no_attention", 2, channels=8, groups=1, blocks=1), UNIFORM):
        pass
    network = chain(NLA(8))
    with pytest.raises(RuntimeError), altered(network, OWN):
        network(torch.randn(1, 7, 4, 4))
    assert not network.layers[0]._forward_hooks


def test_crops_are_evenly_spaced_and_of_one_size():
    refs = embedded().benchmarks["held-out"]
    others = [replace(ref, name=f"{ref.name}{number}") for ref in refs for number in range(3)]
    chosen = crops({"one": refs[:4], "none": refs[4:5], "two": others}, 2)
    assert chosen.keys() == {"one", "two"} and [ref.name for ref in chosen["one"]] == [refs[0].name, refs[3].name]
    assert [ref.name for ref in chosen["two"]] == [others[number].name for number in (2, 5, 9, 13, 16, 20)]
    assert {ref.read().shape for each in chosen.values() for ref in each} == {(3, 64, 64)}


def test_the_loss_is_the_difference_of_two_evaluations():
    network, refs = build("trunk_nla", 2, seed=0, channels=8, groups=1, blocks=1), embedded().benchmarks["held-out"][:2]
    benchmarks = crops({"held-out": refs}, 2)
    found = lost(network, benchmarks, 2)
    whole = evaluate(network, benchmarks["held-out"], 2)["psnr_y"]
    with altered(network, OWN):
        changed = evaluate(network, benchmarks["held-out"], 2)["psnr_y"]
    own = found[found["change"] == OWN]
    assert len(found) == 6
    assert own["psnr_y"].tolist() == whole.tolist() and own["drop_db"].tolist() == (whole - changed).tolist()


#: Mean drop by uniform weights of each network, and the difference between seeds.
UNIFORM_DB = {"trunk_nla": (0.4, 0.01), "lcoan": (0.002, 0.001), "esc": (0.1, 0.3), "trunk_bra": (-0.2, 0.01)}
SHARES = dict(zip(CHANGES, (1, 2, 0.5), strict=True))


def drops(seeds=3, experiment="from scratch"):
    rows = [
        {"experiment": experiment, "model": model, "seed": seed, "run": f"{model}{seed}", "benchmark": benchmark}
        | {"name": name, "change": change, "psnr_y": 30.0}
        | {"drop_db": share * (mean + spread * (seed - (seeds - 1) / 2) + 0.1 * number - 0.15)}
        for model, (mean, spread) in UNIFORM_DB.items()
        for seed in range(seeds)
        for change, share in SHARES.items()
        for number, (benchmark, name) in enumerate((("Set5", "a"), ("Set5", "b"), ("B100", "a"), ("B100", "b")))
    ]
    return pd.DataFrame(rows)


def test_losses_are_means_with_intervals_simultaneous_for_the_networks_of_a_change():
    found = frames.losses(drops()).set_index(["model", "change"])
    assert len(found) == len(UNIFORM_DB) * len(CHANGES)
    assert (found["images"] == 4).all() and (found["seeds"] == 3).all()
    for (model, change), row in found.iterrows():
        mean, spread = (SHARES[change] * number for number in UNIFORM_DB[model])
        expected = seed_difference(mean + spread * np.array([[-1.0], [0.0], [1.0]]), family=4)
        assert row[["drop_db", "low_db", "high_db"]].to_list() == pytest.approx(list(expected))
    uniform = found.xs(UNIFORM, level="change")
    assert uniform.index[uniform["significant"]].tolist() == ["trunk_nla", "trunk_bra"]
    assert uniform.index[uniform["equal"]].tolist() == ["lcoan"]
    alone = frames.losses(drops(seeds=1))
    assert not alone[["significant", "equal"]].any(axis=None) and np.isinf(alone["high_db"]).all()


@pytest.mark.parametrize("plain", ["no_attention", "lcoan"])
def test_the_cost_of_uniform_weights_stands_beside_every_gain(plain):
    psnr = {plain: 30.0, "trunk_nla": 30.1}
    quality = pd.DataFrame(
        {"run": f"{model}{seed}", "model": model, "seed": seed, "benchmark": "Set5", "name": "a", "psnr_y": value}
        for model, value in psnr.items()
        for seed in range(3)
    )
    joined = frames.gains({"from scratch": quality}, frames.losses(drops()))
    assert len(joined) == (plain == "no_attention") and joined.columns[-1] == "run"
    for row in joined.itertuples():
        assert (row.model, row.gain_db, row.uniform_cost_db) == ("trunk_nla", pytest.approx(0.1), pytest.approx(0.4))


def test_the_figure_has_a_panel_a_change_and_a_row_a_network(tmp_path):
    found = pd.concat([drops(), drops(seeds=6, experiment="branched")])
    for name, frame in {"ablation": frames.seeds(found), "ablation_losses": frames.losses(found)}.items():
        write_table(tmp_path / "tables" / f"{name}.csv", frame)
    panels = ablation.FIGURES["ablation"](Tables(tmp_path)).axes
    assert len(panels) == len(CHANGES) and len(panels[0].get_yticklabels()) == 2 * len(UNIFORM_DB)
    means = [line.get_xdata()[0] for line in panels[0].lines if line.get_marker() not in ("None", None)]
    assert means == pytest.approx(2 * sorted((mean for mean, _ in UNIFORM_DB.values()), reverse=True))
    dots = [len(each.get_offsets()) for each in panels[2].collections if hasattr(each, "get_sizes")]
    assert dots == 4 * [3] + 4 * [6]
    assert len(ablation.answer(Tables(tmp_path)).split("\n\n")) == 7


def test_released_networks_are_measured_and_kept_records_stand_in_for_weights(tmp_path, monkeypatch):
    network = {"channels": 8, "groups": 1, "blocks": 1}
    save_network(tmp_path / "nla.safetensors", build("trunk_nla", 2, seed=0, **network), "trunk_nla", 2, network)
    chapter = {"networks": ["trunk_nla"], "side": 12, "pieces": 1}
    study = study_of(tmp_path, {"images": 11, "chapters": {"ablation": chapter}}, monkeypatch)
    assert study.chapter("ablation").runs == []
    monkeypatch.setenv("SRLAB_WEIGHTS", str(tmp_path))
    [run] = study.chapter("ablation").runs
    images = study.obtain(run).table("images")
    refs = [ref.middle(24) for ref in study.data.benchmarks[run.benchmark][:11:10]]
    assert images["name"].tolist() == [ref.name for ref in refs] * len(CHANGES)
    again = lost(build("trunk_nla", 2, seed=0, **network).eval(), {run.benchmark: refs}, 2)
    found = images.set_index(["name", "change"])["drop_db"]
    assert found.to_dict() == pytest.approx(again.set_index(["name", "change"])["drop_db"].to_dict(), abs=1e-4)
    tables = study.chapter("ablation").tables()
    assert list(tables) == ["ablation_released"]
    monkeypatch.delenv("SRLAB_WEIGHTS")
    assert study.chapter("ablation").tables()["ablation_released"].equals(tables["ablation_released"])
    assert len(study.chapter("ablation").answer().data.split("\n\n")) == 2


def made_of(tmp_path, network, benchmark, drop):
    """Return the record of a released network with these losses by uniform weights."""
    how = {"weights": "", "data": "", "piece": 0, "side": 48, "scale": 4, "device": "cpu"}
    record = Record(AblatedRun(network=network, benchmark=benchmark, **how), tmp_path / f"{network}{benchmark}")
    rows = {"benchmark": benchmark, "name": [str(i) for i in range(len(drop))], "change": UNIFORM, "psnr_y": 30.0}
    write(record, images=pd.DataFrame(rows | {"drop_db": drop}))
    return record


def test_losses_of_released_networks_have_intervals_over_images_simultaneous_for_all(tmp_path):
    cells = {("hit_srf", "B100"): [0.5, 0.6, 0.7, 0.6], ("hit_srf", "Set5"): [-0.001, 0.0, 0.001, 0.0]}
    cells |= {("elan_light", "B100"): [-2.0, 3.0, 1.0]}
    found = frames.released([made_of(tmp_path, *of, drop) for of, drop in cells.items()])
    for row, drop in zip(found.itertuples(), cells.values(), strict=True):
        half = stats.t.ppf((1 + 0.95 ** (1 / 3)) / 2, len(drop) - 1) * stats.sem(drop)
        expected = (np.mean(drop), np.mean(drop) - half, np.mean(drop) + half)
        assert (row.drop_db, row.low_db, row.high_db) == pytest.approx(expected) and row.images == len(drop)
    assert found["significant"].tolist() == [True, False, False] and found["equal"].tolist() == [False, True, False]
    write_table(tmp_path / "tables" / "ablation_released.csv", found)
    said = ablation.answer(Tables(tmp_path))
    assert all(each in said for each in ("+0.600 [", "0.000 to +0.667", "1 of 3"))
    [panel] = ablation.FIGURES["ablation_released"](Tables(tmp_path)).axes
    values = [line.get_xdata()[0] for line in panel.lines if line.get_marker() not in ("None", None)]
    assert values == pytest.approx([np.mean(drop) for drop in cells.values()])
