"""Recall: images are exact, the score is right at both ends, reach follows patterns, and tables are Student's t."""

import time

import numpy as np
import pandas as pd
import pytest
import scipy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import FEW, study_of
from pydantic import ValidationError
from torch import nn

from srlab import training
from srlab.attention.contract import attended
from srlab.chapters import recall
from srlab.chapters.recall import figures, frames
from srlab.chapters.recall.images import LOST, RecallBatches, RecallTask, enlarge, recall_images, recall_loss
from srlab.chapters.recall.measure import IMAGES, SETTINGS, TEST, Setting, measure_recall, reach, settings_hash
from srlab.errors import OutOfTime
from srlab.models import build, trunk_networks
from srlab.study import Study
from srlab.study.records import records_in

TASK = RecallTask(without_copy=2, colours=25, apart=(0.1, 0.2))

# --- images -----------------------------------------------------------------------------------------------------------


def copied(images):
    """Replace each damaged pixel by its copy's, as an oracle would."""
    at = images.copy.flatten(1).clamp(min=0)[:, None].expand(-1, 3, -1)
    pixels = images.lr.flatten(2).gather(2, at).reshape(images.lr.shape)
    return torch.where(images.damaged[:, None], pixels, images.lr)


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([2, 3, 4]))
@settings(max_examples=25, deadline=None)
def test_a_copy_holds_everything_that_was_lost(seed, scale):
    images = recall_images(TASK, 4, scale, seed)
    damaged = enlarge(images.damaged, scale)[:, None].expand_as(images.hr)
    assert torch.equal(enlarge(copied(images), scale)[damaged], images.hr[damaged])
    left = (enlarge(images.lr, scale) - images.hr)[damaged].square().mean()
    assert left == pytest.approx(LOST, rel=1e-5)


@pytest.mark.parametrize("task", [TASK, RecallTask(colours=81, apart=(0.1, 0.1)), RecallTask()])
def test_no_damaged_tile_is_the_grey_around_it(task):
    images = recall_images(task, 200, 2, 1)
    damaged = images.damaged | images.without_copy
    contrast = (images.lr[:, :2] - 0.5).abs().amax(1)[damaged]
    assert contrast.min() > 0.45 * task.apart[0]


def test_lr_is_hr_made_smaller_elsewhere():
    images = recall_images(TASK, 8, 2, 0)
    smaller = torch.nn.functional.avg_pool2d(images.hr, 2)
    intact = ~(images.damaged | images.without_copy)[:, None].expand_as(smaller)
    assert torch.allclose(smaller[intact], images.lr[intact])
    assert images.damaged.any() and images.without_copy.any()


@given(distance=st.sampled_from([4, 8, 12, 16]), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_copies_lie_at_the_distance_along_rows_or_columns(distance, seed):
    task = TASK.model_copy(update={"distance": (distance, distance), "side": 32})
    images = recall_images(task, 6, 2, seed)
    _, row, column = torch.nonzero(images.copy >= 0).T
    copy = images.copy[images.copy >= 0]
    down, right = (copy // 32 - row).abs(), (copy % 32 - column).abs()
    assert set((down + right).tolist()) == {distance} and (down * right == 0).all()


def test_only_a_copy_has_its_tiles_colour():
    images = recall_images(TASK.model_copy(update={"copies": (1, 1)}), 16, 2, 3)
    for lr, damaged, without, copy in zip(images.lr, images.damaged, images.without_copy, images.copy, strict=True):
        colours = (lr[:2] * 1e4).round().int().permute(1, 2, 0)
        alike = (colours[:, :, None, None] == colours[None, None]).all(-1)
        for row, column in torch.nonzero(damaged).tolist():
            found = alike[row, column].sum().item()
            assert found == 8  # four pixels of its own tile, four of the copy's
            assert alike[row, column].flatten()[copy[row, column]]
        for row, column in torch.nonzero(without).tolist():
            assert alike[row, column].sum().item() == 4


def test_tiles_of_each_kind_are_as_many_as_asked():
    base = TASK.model_dump() | {"side": 48, "distance": (8, 8), "colours": 81, "apart": (0.1, 0.1)}
    for distractors, copies, without in ((0, 1, 0), (5, 1, 4), (64, 1, 0), (5, 4, 2)):
        factors = {"distractors": (distractors, distractors), "copies": (copies, copies), "without_copy": without}
        task = RecallTask.model_validate(base | factors | {"pairs": (2, 2)})
        images = recall_images(task, 4, 2, 1)
        intact = (images.lr[:, 2] - 0.5).abs().gt(0.3).sum((1, 2)) / 4
        assert (intact == distractors + 2 * copies).all()
        assert (images.damaged.sum((1, 2)) == 8).all() and (images.without_copy.sum((1, 2)) == 4 * without).all()


def test_the_same_seed_makes_the_same_images_and_another_others():
    first, again, other = (recall_images(TASK, 4, 2, seed) for seed in ((5, 1), (5, 1), (5, 2)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.lr, other.lr)


def test_processes_share_the_batch_of_one():
    batches = RecallBatches(TASK, 2, 6, seed=3)
    whole = batches.batch_at(7)
    shares = [batches.batch_at(7, rank, 2) for rank in range(2)]
    for part, *split in zip(whole, *shares, strict=True):
        assert torch.equal(part[0::2], split[0]) and torch.equal(part[1::2], split[1])


def test_the_loss_is_one_for_no_change_and_zero_for_the_truth():
    lr, hr, damaged = RecallBatches(TASK, 2, 6, seed=3).batch_at(0)
    assert recall_loss(hr, hr, damaged) == 0
    left = enlarge(lr, 2)
    share = damaged.mean().item()
    assert recall_loss(left, hr, damaged).item() == pytest.approx(1 + 0.1 * share, rel=1e-4)


def test_a_task_that_cannot_be_is_refused_by_name():
    wrong = [("side", {"side": 25}), ("24", {"distance": (4, 24)}), ("distance", {"distance": (8, 4)})]
    wrong += [
        ("colours", {"colours": 15}),
        ("apart", {"apart": (0.3, 0.3)}),
        ("side", {"side": 12, "distance": (4, 8)}),
    ]
    for named, changes in wrong:
        with pytest.raises(ValidationError, match=named):
            RecallTask(**changes)


# --- score and reach -------------------------------------------------------------------------------------------------

TWO = dict.fromkeys(("pairs", "distractors"), (2, 2))
FAR = RecallTask(side=24, distance=(8, 8), **TWO, copies=(1, 1), without_copy=1, colours=25, apart=(0.1, 0.1))
SETTING = (Setting("distance", 8, FAR),)


class Answers(nn.Module):
    """Return prepared images one after the other, or the input enlarged."""

    def __init__(self, prepared=()):
        super().__init__()
        self.weight, self.prepared = nn.Parameter(torch.zeros(1)), iter(prepared)

    def forward(self, lr):
        return enlarge(next(self.prepared, lr[0])[None], 2)


def test_copies_have_recall_one_and_invent_nothing_and_no_change_has_recall_zero():
    images = recall_images(FAR, IMAGES, 2, (TEST, 0))
    found = measure_recall(Answers(copied(images)), 2, SETTING)
    assert found["recall"].to_numpy() == pytest.approx(1, abs=1e-5)
    assert found["invented"].to_numpy() == pytest.approx(0, abs=1e-5)
    left = measure_recall(Answers(), 2, SETTING)
    assert left[["recall", "invented"]].to_numpy() == pytest.approx(0, abs=1e-5) and "found" not in left


ALL = ("trunk_nla", "trunk_lsp", "nlsn", "trunk_window", "trunk_fgca", "trunk_bra", "trunk_conv_attn", "trunk_conv7")
SIDES = {"trunk_window": {"side": 8}, "trunk_conv_attn": {"attended": 8}}


@pytest.mark.parametrize("model", (*ALL, "enlcn"))
def test_reach_follows_the_whole_multiplicity(model):
    network = build(model, 2, channels=12, groups=1, blocks=1, **SIDES.get(model, {})).eval()
    images = recall_images(FAR, 1, 2, 5)
    with torch.inference_mode():
        _, [layer] = attended(network, images.lr)
        queries = images.damaged[0].flatten().nonzero()[:, 0]
        copies = images.copy[0].flatten()[queries]
        found, weight, seen = reach(layer, queries, copies)
        whole = layer.pattern.multiplicity()[0]
    pixels = layer.pattern.pixels()
    for i, (query, copy) in enumerate(zip(queries.tolist(), copies.tolist(), strict=True)):
        keys = (pixels == copy).nonzero()[:, 0]
        assert found[i] == (whole[:, query][:, keys] > 0).any()
        assert seen[i] == pytest.approx(whole[:, query].sum(1).float().mean().item())
    if model in ("trunk_conv_attn", "trunk_conv7"):
        assert weight.isnan().all()
    else:
        assert ((weight >= 0) & (weight <= 1 + 1e-5)).all()


def test_dense_attention_reaches_every_copy_with_even_weights_on_four_pixels():
    network = build("trunk_nla", 2, channels=12, groups=1, blocks=1).eval()
    for parameter in network.groups[0].attention.parameters():
        nn.init.zeros_(parameter)
    found = measure_recall(network, 2, SETTING)
    assert (found["found"] == 1).all() and (found["seen"] == 24**2).all()
    assert found["weight"].to_numpy() == pytest.approx(4 / 24**2, rel=1e-4)


def test_windows_find_no_copy_beyond_their_side():
    network = build("trunk_window", 2, channels=12, groups=1, blocks=1, side=8).eval()
    far = FAR.model_copy(update={"distance": (16, 16)})
    assert (measure_recall(network, 2, (Setting("distance", 16, far),))["found"] == 0).all()


def test_settings_change_one_factor_at_a_time():
    names = [(setting.factor, setting.value) for setting in SETTINGS]
    assert len(set(names)) == len(names)
    usual = next(setting.task for setting in SETTINGS if (setting.factor, setting.value) == ("distractors", 4))
    for factor in ("distractors", "side", "copies"):
        for setting in (setting for setting in SETTINGS if setting.factor == factor):
            other = {key for key, value in setting.task if value != getattr(usual, key)}
            assert other <= {factor}


# --- tables and figures -----------------------------------------------------------------------------------------------


def images(of: dict[str, list[float]]) -> pd.DataFrame:
    """Return two images of each seed and setting, 0.01 above and below; an arm may be "model option=value"."""
    rows = []
    for arm, seeds in of.items():
        for seed, share in enumerate(seeds):
            for factor, value in (("beside", 4.0), ("distance", 4.0), ("distance", 16.0)):
                for image, other in enumerate((-0.01, 0.01)):
                    looks = dict.fromkeys(("found", "weight", "seen"), np.nan if arm == "no_attention" else 0.5)
                    facts = {"arm": arm, "model": arm.split()[0], "seed": seed, "run": f"{arm}-{seed}"}
                    facts |= {"factor": factor, "value": value, "image": image, "recall": share + other}
                    rows.append(facts | looks | {"invented": -0.1})
    return pd.DataFrame(rows)


THREE = {
    "lcoan": [0.97, 0.98, 0.99],
    "trunk_nla": [0.96, 0.97, 1.0],
    "trunk_bra": [0.4, 0.42, 0.44],
    "no_attention": [0.0, 0.0, 0.01],
}


def test_recall_is_the_mean_over_images_with_students_interval_over_seeds():
    own = frames.recall(images(THREE)).set_index(["arm", "factor", "value"]).loc[("trunk_bra", "distance", 16.0)]
    low, high = scipy.stats.t.interval(0.95, 2, 0.42, scipy.stats.sem([0.4, 0.42, 0.44]))
    assert (own["recall"], own["low"], own["high"]) == pytest.approx((0.42, low, high))
    assert (own["seeds"], own["images"], own["run"]) == (3, 2, "trunk_bra-0 trunk_bra-1 trunk_bra-2")


def test_groups_end_where_no_interval_crosses():
    groups = frames.groups(frames.recall(images(THREE | {"lcoan window=24": [0.5, 0.5, 0.6]})))
    assert groups.set_index("arm")["group"].to_dict() == {"lcoan": 1, "trunk_nla": 1, "trunk_bra": 2, "no_attention": 3}
    wide = frames.groups(frames.recall(images(THREE | {"trunk_fgca": [0.0, 0.7, 0.9]})))
    assert set(wide["group"]) == {1}  # one wide interval bridges three groups
    assert set(frames.groups(frames.recall(images({"lcoan": [0.9], "trunk_bra": [0.1]})))["group"]) == {1}


def test_costs_exclude_networks_without_attention_and_rise_with_keys():
    costs = frames.costs(frames.recall(images(THREE)))
    assert "no_attention" not in set(costs["arm"]) and costs["seen"].is_monotonic_increasing


def test_figures_draw_every_arm_and_factor():
    table = frames.recall(images(THREE))
    tables = {"recall": table, "recall_groups": frames.groups(table), "recall_seeds": frames.seeds(images(THREE))}
    tables |= {"recall_costs": frames.costs(table)}
    found, reached, weight = figures.recall(tables).axes
    assert len(found.get_yticks()) == 4 and len(reached.patches) == len(weight.patches) == 3
    markers = [line.get_xdata()[0] for line in found.lines if line.get_marker() not in ("None", "")]
    assert markers == pytest.approx(tables["recall_groups"]["recall"].tolist())
    factors = figures.recall_factors(tables)
    assert [len(ax.texts) for ax in factors.axes] == [4, 8]  # numbers: arms × values
    assert len(figures.recall_cost(tables).axes[0].texts) == 3


# --- runs -------------------------------------------------------------------------------------------------------------

CHAPTER = {"training": {"steps": 4}, "models": ["no_attention", "lcoan"], "variants": {"lcoan": {"clusters": [2]}}}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A tiny profile with one test setting."""
    few = SETTINGS[:1]
    measure = "srlab.chapters.recall.run.measure_recall"
    monkeypatch.setattr(measure, lambda network, scale: measure_recall(network, scale, few))
    return study_of(tmp_path, FEW | {"chapters": {"recall": CHAPTER}}, monkeypatch)


def runs(study):
    return recall.runs(study, study.settings["recall"])


def test_every_network_on_the_trunk_is_trained_by_default():
    study = Study("recall")
    every = runs(study)
    assert {run.network.model for run in every} == set(trunk_networks())
    seeds = {}
    for run in every:
        assert run.settings == settings_hash()
        seeds.setdefault(study.label(run), []).append(run.seed)
    assert seeds["lcoan"] == [0, 1, 2] and seeds["lcoan clusters=4"] == [0]


def test_runs_train_and_record_recall(study):
    plain, sparse, variant = runs(study)
    record = study.obtain(sparse)
    assert record.finished and record.table("curve")["step"].tolist() == [2, 4]
    assert {"recall", "invented", "found", "weight", "seen"} <= set(record.table("recall"))
    assert "found" not in study.obtain(plain).table("recall") and study.label(variant) == "lcoan clusters=2"
    assert {found.run.hash for found in records_in(study.folder, "recall-*")} == {plain.hash, sparse.hash}


def test_a_run_that_is_broken_off_ends_with_the_same_weights(study, tmp_path, monkeypatch):
    run = runs(study)[1]
    with pytest.raises(OutOfTime):
        study.obtain(run, deadline=0.0)
    stops = iter([True])
    monkeypatch.setattr(training, "time_is_up", lambda deadline: next(stops, False) if deadline else False)
    with pytest.raises(OutOfTime):
        study.obtain(run, deadline=time.monotonic() + 1000)
    broken = study.obtain(run).network().state_dict()
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / "whole"))
    whole = Study("made", tmp_path).obtain(run).network().state_dict()
    assert all(torch.equal(broken[key], whole[key]) for key in whole)
