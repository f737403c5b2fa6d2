"""Frozen: heads on features that stay as they are, their runs, and the verdicts on gains."""

from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from kept import ROOT

from srlab.chapters import frozen
from srlab.chapters.frozen import frames
from srlab.chapters.frozen.bases import Drawn, Features, Seen, features, finish
from srlab.chapters.frozen.head import build_head
from srlab.chapters.frozen.run import evaluate
from srlab.data.sources import embedded
from srlab.errors import OutOfTime
from srlab.files import write_table
from srlab.models import build
from srlab.stats.intervals import LEVEL
from srlab.study.chapter import Tables
from srlab.study.study import Study

CPU = torch.device("cpu")
SMALL = {
    "no_attention": {"channels": 8, "groups": 1, "blocks": 1},
    "elan_light": {"channels": 10, "layers": 2, "sides": (2, 4)},
    "hit_srf": {"channels": 12, "heads": 2, "stages": 1, "ratios": (1.0,), "base": (4, 4)},
}


@pytest.mark.parametrize("name", SMALL)
def test_features_are_what_becomes_the_image(name):
    base = build(name, 2, 0, **SMALL[name]).eval()
    lr = torch.rand(2, 3, 18, 21)
    deep, image = finish(base, lr)
    assert deep.shape == (2, base.head.out_channels, 18, 21)
    assert torch.equal(torch.nn.functional.pixel_shuffle(image, 2), base(lr))
    layers = [*base.upsampler, base.tail] if name == "no_attention" else [base.to_image, torch.nn.PixelShuffle(2)]
    made = torch.nn.Sequential(*layers)(deep) / getattr(base, "colours", 1)
    inside = slice(4, -4)  # beyond the padding
    expected = (base(lr) - base.skip(lr))[..., inside, inside]
    torch.testing.assert_close(made[..., inside, inside], expected, rtol=1e-4, atol=1e-5)


def test_a_new_head_gives_the_image_of_the_base_and_learning_leaves_the_base_alone():
    base = build("no_attention", 2, 0, **SMALL["no_attention"]).eval()
    before = {key: weight.clone() for key, weight in base.state_dict().items()}
    deep, image = finish(base, torch.rand(2, 3, 16, 16))
    finished = torch.cat([deep, image], 1)
    head = build_head(Study("smoke", ROOT).network("trunk_lsp", channels=8, groups=1, blocks=1), 2, seed=0)
    assert torch.equal(head(finished), head.base_image(finished))
    head(finished).square().mean().backward()
    assert head.to_image.weight.grad.abs().sum() > 0 and not finished.requires_grad
    assert all(torch.equal(weight, before[key]) for key, weight in base.state_dict().items())
    assert all(weight.grad is None for weight in base.parameters())


def test_heads_of_one_seed_differ_in_their_layers_alone():
    study = Study("smoke", ROOT)
    heads = {
        name: build_head(study.network(name, channels=8, groups=1, blocks=1), 2, 3)
        for name in ("trunk_lsp", "trunk_nla")
    }
    one, other = (head.merge.weight for head in heads.values())
    assert torch.equal(one, other)
    again = build_head(study.network("trunk_nla", channels=8, groups=1, blocks=1), 2, 4)
    assert not torch.equal(again.merge.weight, one)


def test_arms_train_as_many_parameters_as_the_local_layer(monkeypatch):
    """Train as many on the bases of both profiles; the positive control trains more."""
    monkeypatch.delenv("SRLAB_WEIGHTS", raising=False)
    for profile in ("frozen", "frozen_x2"):
        study = Study(profile, ROOT)
        settings = study.settings["frozen"]
        channels = study.profile.network.get("channels", 60)
        count = {
            model: sum(weight.numel() for weight in build_head(network, study.profile.scale, 0).parameters())
            for model in (*frames.CONTROLS[1:], *settings.models)
            for network in [study.network(model, channels=channels, groups=1, blocks=1)]
        }
        local = count[frames.RULES.local]
        assert {m: n / local for m, n in count.items() if abs(n / local - 1) > frames.RULES.parameters_within} == {
            frames.RULES.positive: pytest.approx(count[frames.RULES.positive] / local)
        }
        assert count[frames.RULES.positive] > local


def test_features_are_made_once_and_standardised(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_CACHE", str(tmp_path))
    base = build("no_attention", 2, 0, **SMALL["no_attention"]).eval()
    data = embedded().select(images=2, side=64)
    made = features("x", lambda: base, data, 8, 16)
    assert made.finished.shape == (8, 8 + 12, 16, 16) and made.hr.shape == (8, 3, 32, 32)
    deep = made.finished[:, :8]
    assert deep.mean((0, 2, 3)).numpy() == pytest.approx(0, abs=1e-4)
    assert deep.std((0, 2, 3)).numpy() == pytest.approx(1, abs=1e-4)
    assert [(seen.benchmark, seen.finished.shape[2:]) for seen in made.tests] == [("held-out", (32, 32))] * 2
    again = features("x", Mock(side_effect=AssertionError), data, 8, 16)  # opens no network
    assert torch.equal(again.finished, made.finished)
    lr, hr = again.middles()
    assert lr.shape == (2, 20, 16, 16) and torch.equal(hr[0] * 255, again.tests[0].hr[:, 16:48, 16:48].float())


def test_batches_depend_on_seed_and_step_alone():
    made = Features(torch.arange(6.0).reshape(6, 1, 1, 1), torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1), [])
    one, other = (Drawn(made, 4, seed).batch_at(7) for seed in (0, 1))
    assert torch.equal(one[0], Drawn(made, 4, 0).batch_at(7)[0]) and not torch.equal(one[0], other[0])
    assert torch.equal(one[0], one[1] * 255)
    halves = torch.cat([Drawn(made, 4, 0).batch_at(7, rank, 2)[0] for rank in (0, 1)])
    assert sorted(halves.flatten().tolist()) == sorted(one[0].flatten().tolist())


def test_nothing_learnt_is_exactly_nothing_gained():
    made = Features(None, None, [Seen("b", "a", torch.rand(1, 20, 12, 12), torch.randint(0, 255, (3, 24, 24)).byte())])
    head = build_head(Study("smoke", ROOT).network("trunk_nla", channels=8, groups=1, blocks=1), 2, 0)
    found = evaluate(head, made, CPU)
    assert found["psnr_y"].item() == found["base_psnr_y"].item()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Smoke studies with results and features of their own."""
    monkeypatch.setenv("SRLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Study, "device", "x", raising=False)

    def new(name: str) -> Study:
        monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / name))
        return Study("smoke", ROOT)

    return new


def test_a_run_that_is_broken_off_resumes_to_the_same_bits(study, monkeypatch):
    whole, broken = study("whole"), study("broken")
    run = next(run for run in whole.chapter("frozen").runs if run.network.model == "trunk_lsp")
    base = whole.obtain(whole.training("no_attention"))
    monkeypatch.setattr(type(run), "open", lambda *_: base.network())
    expected = whole.obtain(run)
    for after in (3, 2):  # steps until the time is up: within the second third, then within the last one
        left = iter([False] * (after - 1))
        monkeypatch.setattr("srlab.training.time_is_up", lambda _, left=left: next(left, True))
        with pytest.raises(OutOfTime):
            broken.obtain(run)
    monkeypatch.setattr("srlab.training.time_is_up", lambda _: False)
    found = broken.obtain(run)
    assert found.table("images").equals(expected.table("images"))
    losses = (record.table("curve")["loss"] for record in (found, expected))
    assert next(losses).equals(next(losses))
    assert list(expected.table("images")["third"].unique()) == [1, 2, 3]
    assert expected.table("curve")["step"].to_list() == [1, 2, 3, 4, 5, 6]


#: Gains over the features alone at the end of the budget, and how much of it came in the last third.
MADE = {
    "trunk_conv7": (0.03, 0.0),
    "no_attention": (0.06, 0.0),
    "trunk_nla": (0.031, 0.0),
    "trunk_lsp": (0.09, 0.0),
    "nlsn": (0.05, 0.03),
    "trunk_window": (-0.04, 0.0),
}


def rows(seeds: int = 5, spread: float = 0.002, made=MADE) -> pd.DataFrame:
    random = np.random.default_rng(0)
    found = [
        {"base": "elan_light", "arm": arm, "seed": seed, "third": third, "benchmark": benchmark, "name": "a"}
        | {"psnr_y": 30 + seed + gain - (third < 3) * late + spread * random.standard_normal()}
        for arm, (gain, late) in ({frames.NOTHING: (0.0, 0.0)} | made).items()
        for seed in range(seeds)
        for third in (1, 2, 3)
        for benchmark in ("Set5", "B100")
    ]
    return pd.DataFrame(found).assign(parameters=9, run="r")


def test_gains_are_over_the_local_layer_and_each_third_stands_alone():
    gains = frames.gains(rows(spread=0.0)).set_index(["arm", "third"])
    assert list(gains.index.unique("arm"))[:3] == list(frames.CONTROLS)
    assert gains.loc["nlsn", "gain_db"].to_list() == pytest.approx([0.02, 0.02, 0.05])
    assert gains.loc["nlsn", "over_local_db"].to_list() == pytest.approx([-0.01, -0.01, 0.02])
    assert gains.loc[("nlsn", 3), "rise_db"] == pytest.approx(0.03) and np.isnan(gains.loc[("nlsn", 1), "rise_db"])
    assert (gains.loc["trunk_conv7", ["over_local_db", "low_db", "high_db"]].to_numpy() == 0).all()
    assert (gains.loc[frames.NOTHING, "gain_db"] == 0).all()
    assert set(gains["seeds"]) == {5} and set(gains["images"]) == {2}


def test_verdicts_follow_the_rules():
    found = frames.verdicts(frames.gains(rows())).set_index("arm")["verdict"]
    assert found[list(frames.CONTROLS)].eq("").all()
    assert found.drop(list(frames.CONTROLS)).to_dict() == {
        "trunk_nla": "nothing",
        "trunk_lsp": "gain",
        "nlsn": "not settled",
        "trunk_window": "loss",
    }
    assert frames.RULES.level == LEVEL


@pytest.mark.parametrize("change", [{"seeds": 4}, {"made": MADE | {"no_attention": (0.031, 0.0)}}])
def test_too_few_seeds_or_a_blind_experiment_give_no_verdict(change):
    found = frames.verdicts(frames.gains(rows(**change))).set_index("arm")["verdict"]
    assert set(found.drop(list(frames.CONTROLS))) == {"no verdict"}


def test_the_spread_decides_between_nothing_and_undecided():
    made = MADE | {"no_attention": (0.5, 0.0), "nlsn": (0.03, -0.2)}
    found = frames.verdicts(frames.gains(rows(spread=0.03, made=made))).set_index("arm")["verdict"]
    assert found["trunk_nla"] in ("undecided", "not settled") and found["nlsn"] == "undecided"


@pytest.mark.parametrize("seeds", [1, 5])
def test_figures_and_answer_are_made_of_the_tables(tmp_path, seeds):
    images = rows(seeds)
    gains = frames.gains(images)
    tables = {"frozen": frames.verdicts(gains), "frozen_thirds": gains, "frozen_seeds": frames.seeds(images)}
    for name, frame in tables.items():
        write_table(tmp_path / "tables" / f"{name}.csv", frame)
    drawn = {name: draw(Tables(tmp_path)) for name, draw in frozen.FIGURES.items()}
    [over] = drawn["frozen"].axes
    assert [text.get_text() for text in over.get_yticklabels()][3:] == ["dense (NLA)", "LSP", "NLSA", "windows"]
    [course] = drawn["frozen_thirds"].axes
    assert sum(len(line.get_xdata()) == 3 for line in course.lines) == len(MADE)
    assert "ELAN-light" in frozen.answer(Tables(tmp_path))


def test_the_answer_gives_the_range_of_losses_if_every_head_loses(tmp_path):
    for shift, lost in ((0.0, False), (-0.1, True)):
        made = {arm: (gain + shift, late) for arm, (gain, late) in MADE.items()}
        write_table(tmp_path / "tables" / "frozen.csv", frames.verdicts(frames.gains(rows(spread=0.0, made=made))))
        assert ("−0.140 to −0.010 dB" in frozen.answer(Tables(tmp_path))) == lost
