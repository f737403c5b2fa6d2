"""Recall: images are exact, scores right at both ends, reach follows patterns, training ends by the rules."""

import base64
import json
import time
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from legible import faults
from made_records import FEW, study_of
from pydantic import ValidationError
from torch import nn

from srlab import training
from srlab.attention.contract import attended
from srlab.chapters import recall
from srlab.chapters.recall import figures, frames
from srlab.chapters.recall.images import LOST, RecallBatches, RecallTask, enlarge, recall_images, recall_loss
from srlab.chapters.recall.looks import read_looks
from srlab.chapters.recall.measure import (
    SETTINGS,
    TEST,
    Setting,
    _tiles,
    distance,
    measure_recall,
    reach,
    settings_hash,
)
from srlab.chapters.recall.run import enough, settled
from srlab.errors import InputError, OutOfTime
from srlab.models import build, trunk_networks
from srlab.stats.intervals import LEVEL, half_width
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
@settings(max_examples=25)
def test_a_copy_holds_everything_that_was_lost(seed, scale):
    images = recall_images(TASK, 4, scale, seed)
    damaged = enlarge(images.damaged, scale)[:, None].expand_as(images.hr)
    assert torch.equal(enlarge(copied(images), scale)[damaged], images.hr[damaged])
    left = (enlarge(images.lr, scale) - images.hr)[damaged].square().mean()
    assert left == pytest.approx(LOST, rel=1e-5)


@pytest.mark.parametrize("task", [TASK, RecallTask(colours=81, apart=(0.1, 0.1)), RecallTask()])
def test_no_damaged_tile_is_the_grey_around_it(task):
    images = recall_images(task, 200, 2, 1)
    damaged = images.tile >= 0
    contrast = (images.lr[:, :2] - 0.5).abs().amax(1)[damaged]
    assert contrast.min() > 0.45 * task.apart[0]


def test_lr_is_hr_made_smaller_elsewhere():
    images = recall_images(TASK, 8, 2, 0)
    smaller = torch.nn.functional.avg_pool2d(images.hr, 2)
    intact = (images.tile < 0)[:, None].expand_as(smaller)
    assert torch.allclose(smaller[intact], images.lr[intact])
    assert images.damaged.any() and images.without_copy.any()


def pairs(images, side):
    """Return (row, column) of each pixel of a damaged tile with a copy, the steps to its copy, and their length."""
    _, *place = torch.nonzero(images.damaged).T
    place, copy = torch.stack(place, 1), images.copy[images.damaged]
    steps = torch.stack([copy // side, copy % side], 1) - place
    return place, steps, distance(place[:, 0] * side + place[:, 1], copy, side)


def test_copies_lie_in_all_directions_at_all_distances_asked_for_and_no_others():
    images = recall_images(SETTINGS[0].task, 60, 2, 0)
    _, steps, length = pairs(images, 64)
    assert length.min() >= 4 and length.max() <= 40
    counts, _ = np.histogram(length, [4, 8, 16, 24, 32, 40.1])
    assert counts.min() > 0.05 * counts.sum()
    octants, _ = np.histogram(np.arctan2(*steps.T.numpy()), np.linspace(-np.pi, np.pi, 9))
    assert octants.min() > 0.06 * octants.sum()


def test_grids_begin_anywhere_so_no_window_is_favoured():
    images = recall_images(SETTINGS[0].task, 60, 2, 1)
    first = [torch.nonzero(tile >= 0)[0] % 4 for tile in images.tile]
    assert {tuple(each.tolist()) for each in first} == {(row, column) for row in range(4) for column in range(4)}
    row, column = torch.nonzero(images.damaged)[:, 1:].T
    copy = images.copy[images.damaged]
    shared = (row // 16 == copy // 64 // 16) & (column // 16 == copy % 64 // 16)
    near = distance(row * 64 + column, copy, 64) < 16
    assert 0.05 < shared[near].float().mean() < 0.95 and shared[~near].float().mean() < 0.5


def test_pixels_of_a_tile_have_its_number():
    images = recall_images(TASK, 8, 2, 4)
    for tile, copy in zip(images.tile, images.copy, strict=True):
        numbers, counts = tile[tile >= 0].unique(return_counts=True)
        assert numbers.tolist() == list(range(len(numbers))) and (counts == 4).all()
        for number in numbers:
            copies = copy[tile == number]
            assert (copies < 0).all() or len({*copies.tolist()}) == 4


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
    base = TASK.model_dump() | {"side": 64, "distance": (8, 12), "colours": 81, "apart": (0.1, 0.1)}
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
    wrong = [("side", {"side": 25}), ("24", {"distance": (4, 25)}), ("distance", {"distance": (8, 4)})]
    wrong += [
        ("colours", {"colours": 15}),
        ("apart", {"apart": (0.3, 0.3)}),
        ("side", {"side": 16, "distance": (4, 8)}),
    ]
    for named, changes in wrong:
        with pytest.raises(ValidationError, match=named):
            RecallTask(**changes)


# --- score and reach -------------------------------------------------------------------------------------------------

TWO = dict.fromkeys(("pairs", "distractors"), (2, 2))
FAR = RecallTask(side=28, distance=(8, 8), **TWO, copies=(1, 1), without_copy=1, colours=25, apart=(0.1, 0.1))
SETTING = (Setting("far", 6, FAR),)


class Answers(nn.Module):
    """Return prepared images one after the other, or the input enlarged."""

    def __init__(self, prepared=()):
        super().__init__()
        self.weight, self.prepared = nn.Parameter(torch.zeros(1)), iter(prepared)

    def forward(self, lr):
        return enlarge(next(self.prepared, lr[0])[None], 2)


def test_copies_have_recall_one_and_invent_nothing_and_no_change_has_recall_zero():
    images = recall_images(FAR, 6, 2, (TEST, 0))
    found = measure_recall(Answers(copied(images)), 2, SETTING)
    there = found["distance"].notna()
    assert len(found) == 18 and there.sum() == 12
    assert found.loc[there, "distance"].to_numpy() == pytest.approx(8)
    assert found.loc[there, "recall"].to_numpy() == pytest.approx(1, abs=1e-5)
    assert found.loc[~there, "recall"].to_numpy() == pytest.approx(0, abs=1e-5)
    left = measure_recall(Answers(), 2, SETTING)
    assert left["recall"].to_numpy() == pytest.approx(0, abs=1e-5) and "found" not in left


ALL = ("trunk_nla", "trunk_lsp", "nlsn", "trunk_window", "trunk_fgca", "trunk_bra", "trunk_conv_attn", "trunk_conv7")
SIDES = {"trunk_window": {"side": 8}, "trunk_conv_attn": {"attended": 8}}


@pytest.mark.parametrize("model", (*ALL, "enlcn"))
def test_reach_follows_the_whole_multiplicity(model):
    network = build(model, 2, channels=12, groups=1, blocks=1, **SIDES.get(model, {})).eval()
    images = recall_images(FAR, 1, 2, 5)
    with torch.inference_mode():
        _, [layer] = attended(network, images.lr)
        queries = images.tile[0].flatten().argsort(stable=True)[-12:]
        queries = queries[images.damaged[0].flatten()[queries]]
        copies = images.copy[0].flatten()[queries]
        found, weight, seen = reach(layer, queries, copies)
        whole = layer.pattern.multiplicity()[0]
        weights = None if model in ("trunk_conv_attn", "trunk_conv7") else layer.pattern.weights()[0].mean(0)
    pixels = layer.pattern.pixels()
    for i, (query, copy) in enumerate(zip(queries.tolist(), copies.tolist(), strict=True)):
        keys = (pixels == copy).nonzero()[:, 0]
        assert found[i] == (whole[:, query][:, keys] > 0).any()
        assert seen[i] == pytest.approx(whole[:, query].sum(1).float().mean().item())
        if weights is not None:
            tile = torch.isin(pixels, copies[4 * (i // 4) : 4 * (i // 4) + 4])
            assert weight[i].item() == pytest.approx(weights[query, tile].sum().item(), abs=1e-6)
    assert weights is not None or weight.isnan().all()


def test_dense_attention_reaches_every_copy_with_even_weights_on_four_pixels():
    network = build("trunk_nla", 2, channels=12, groups=1, blocks=1).eval()
    for parameter in network.groups[0].attention.parameters():
        nn.init.zeros_(parameter)
    found = measure_recall(network, 2, SETTING).dropna(subset="distance")
    assert (found["found"] == 1).all() and (found["seen"] == 28**2).all()
    assert found["weight"].to_numpy() == pytest.approx(4 / 28**2, rel=1e-4)


def test_windows_find_no_copy_beyond_their_diagonal():
    network = build("trunk_window", 2, channels=12, groups=1, blocks=1, side=8).eval()
    far = FAR.model_copy(update={"distance": (12, 16)})
    found = measure_recall(network, 2, (Setting("far", 6, far),)).dropna(subset="distance")
    assert len(found) and (found["found"] == 0).all()


@pytest.mark.parametrize("profile", ["recall", "recall_family", "recall_leagues"])
def test_equal_keys_are_equal(profile):
    """Dense attention and ENLA have all keys, the controls few or none."""
    others = {"no_attention", "trunk_conv7", "trunk_nla", "trunk_nla_shared", "trunk_nla_sum", "enlcn"}
    study = Study(profile)
    arms = [(model, own) for league, model, own in study.settings["recall"].arms() if league == recall.EQUAL]
    lr, middle = recall_images(SETTINGS[0].task, 1, 2, 0).lr, 64 * 30 + torch.arange(20, 44)
    checked = 0
    for model, own in arms:
        if model not in others:
            with torch.inference_mode():
                _, layers = attended(study.network(model, **own).build(2, 0).eval(), lr)
            keys = [layer.pattern.multiplicity(middle).sum(3).float().mean().item() for layer in layers]
            assert np.mean(keys) == pytest.approx(recall.RULES.keys, rel=recall.RULES.keys_within), (model, keys)
            checked += 1
    assert checked >= 5 and recall.RULES.level == LEVEL


def test_elan_shifts_in_a_trunk_of_four_units():
    study = Study("recall_leagues")
    network = study.network("trunk_elan_own").build(2, 0)
    assert [unit.attention.shifted for unit in network.groups] == [False, False, True, True]


# --- the end of training ----------------------------------------------------------------------------------------------


def log(recalls):
    """Return rows of a log, one in 50 steps, with this recall in training in each block of 300 steps."""
    losses = [1 - share for share in recalls for _ in range(6)]
    return [{"step": 50 * i, "loss": loss} for i, loss in enumerate(losses, 1)]


def test_training_ends_when_it_brings_no_more_and_not_before_it_began():
    assert enough(log([0.3, 0.6, 0.605])) and settled(log([0.3, 0.6, 0.605]))
    assert not enough(log([0.3, 0.6, 0.62]))  # still gains
    assert not enough(log([0.6, 0.6]))  # too early, though it gains nothing
    assert not enough(log([0.3, 0.6, 0.605])[:-1])  # between two checks
    assert not enough(log([0.0, 0.01, 0.01])) and not settled(log([0.0, 0.01, 0.01]))  # not begun
    assert settled(log([0.0] * 20))  # at the last step


# --- tables and figures -----------------------------------------------------------------------------------------------

SEEDS = recall.RULES.seeds


def made(of: dict[str, float], seeds: int = SEEDS, rising: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tiles and curves; recall is that of the arm ± 0.01 by seed, and 0.2 less in the bin from 32 pixels on."""
    tiles, curves = [], []
    for arm, share in of.items():
        for seed in range(seeds):
            facts = {"league": recall.EQUAL, "arm": arm, "model": arm.split()[0], "seed": seed, "run": f"{arm}-{seed}"}
            own = share + 0.01 * (-1) ** seed
            looks = dict.fromkeys(("found", "weight", "seen"), np.nan if arm == "no_attention" else 0.5)
            for setting, apart, score in (
                ("far", 4.0, own),
                ("far", 20.0, own),
                ("far", 40.0, own - 0.2),
                ("far", np.nan, -0.1),
                ("beside", 4.0, 0.9),
            ):
                tiles.append(facts | looks | {"setting": setting, "image": 0, "distance": apart, "recall": score})
            blocks = [0.3, 0.6, 0.8 if arm == rising else 0.6]
            curves += [facts | row for row in log(blocks)]
    return pd.DataFrame(tiles), pd.DataFrame(curves)


ARMS = {
    "trunk_nla": 0.3,
    "trunk_nla tied=1": 0.97,
    "trunk_lsp": 0.96,
    "trunk_lsp tied=0": 0.5,
    "trunk_window": 0.1,
    "trunk_window tied=1": 0.12,
    "no_attention": 0.0,
}


def test_recall_over_distance_is_the_mean_of_seeds_with_simultaneous_intervals():
    table = frames.distances(made(ARMS)[0])
    assert table.groupby("arm")["from_px"].agg(list).map(tuple).unique().tolist() == [(4, 16, 32)]
    row = table.set_index(["arm", "from_px"]).loc[("trunk_lsp", 16)]
    shares = 0.96 + 0.01 * np.array([1, -1, 1, -1, 1])
    half = half_width(shares.std(ddof=1), SEEDS, len(ARMS) * (len(recall.RULES.bins) - 1))
    assert (row["recall"], row["low"], row["high"]) == pytest.approx((0.962, 0.962 - half, 0.962 + half))
    assert (row["seeds"], row["tiles"]) == (SEEDS, SEEDS)


def test_far_recall_counts_far_tiles_only_and_invention_those_without_a_copy():
    row = frames.seeds(*made({"trunk_lsp": 0.9})).iloc[0]
    assert (row["recall"], row["near"], row["invented"]) == pytest.approx((0.81, 0.9, -0.1))
    assert row["settled"] and row["steps"] == 900


def test_groups_end_where_no_simultaneous_interval_overlaps():
    groups = frames.groups(frames.seeds(*made(ARMS))).set_index("arm")["group"]
    assert groups.to_dict() == {
        "trunk_nla tied=1": 1,
        "trunk_lsp": 1,
        "trunk_lsp tied=0": 2,
        "trunk_nla": 3,
        "trunk_window tied=1": 4,
        "trunk_window": 4,
        "no_attention": 5,
    }
    few = frames.groups(frames.seeds(*made(ARMS, SEEDS - 1)))
    assert set(few["group"]) == {0}  # no rank with fewer seeds
    rising = frames.groups(frames.seeds(*made(ARMS, rising="trunk_lsp"))).set_index("arm")["group"]
    assert rising["trunk_lsp"] == 0 and rising["trunk_nla tied=1"] == 1  # nor for an arm that still rises


def test_embeddings_are_compared_seed_by_seed():
    table = frames.embedding(frames.seeds(*made(ARMS))).set_index("model")
    assert table["difference"].to_dict() == pytest.approx({"trunk_nla": 0.67, "trunk_lsp": 0.46, "trunk_window": 0.02})
    assert table["verdict"].tolist() == ["tied", "tied", "no difference"]
    assert set(frames.embedding(frames.seeds(*made(ARMS, 2)))["verdict"]) == {"too few seeds"}
    none = frames.embedding(frames.seeds(*made({"trunk_lsp": 0.9, "lcoan": 0.9})))
    assert (
        none.empty
        and list(none) == list(table.reset_index())
        and not figures.recall_embedding({"recall_embedding": none}).axes
    )


def test_figures_draw_every_arm():
    tiles, curves = made(ARMS)
    seeds = frames.seeds(tiles, curves)
    tables = {"recall": frames.distances(tiles), "recall_seeds": seeds, "recall_groups": frames.groups(seeds)}
    tables |= {"recall_embedding": frames.embedding(seeds), "recall_curves": frames.curves(curves)}
    found, _, near, _ = figures.recall_groups(tables).axes
    assert len(found.get_yticks()) == len(ARMS) and len(near.patches) == len(ARMS)
    markers = [line.get_xdata()[0] for line in found.lines if line.get_marker() not in ("None", "")]
    assert markers == pytest.approx(tables["recall_groups"]["recall"].tolist())
    assert [len(ax.texts) for ax in figures.recall_embedding(tables).axes[:2]] == [6, 6]
    for draw in (figures.recall, figures.recall_curves):  # three arms and the control, each named
        assert [len(ax.texts) for ax in draw(tables).axes] == [4, 4]
    assert len(figures.recall_keys(tables).axes[0].texts) == len(ARMS) - 1


# --- runs -------------------------------------------------------------------------------------------------------------

CHAPTER = {"training": {"steps": 4}, "models": ["no_attention", "trunk_lsp"], "embedding": ["trunk_lsp"]}
CHAPTER |= {"rates": {"trunk_lsp tied=0": 1e-4}}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A tiny profile with few test images."""
    measure = "srlab.chapters.recall.run.measure_recall"
    monkeypatch.setattr(measure, lambda network, scale: measure_recall(network, scale, SETTING))
    return study_of(tmp_path, FEW | {"chapters": {"recall": CHAPTER}}, monkeypatch)


def runs(study):
    return recall.runs(study, study.settings["recall"])


def test_arms_are_every_network_and_the_other_embedding_seed_by_seed():
    every = runs(study := Study("recall"))
    assert all(run.settings == settings_hash() for run in every)
    labels = [study.label(run) for run in every if run.seed == 0]
    assert len(labels) == len(set(labels)) == 11 and "trunk_nla tied=1" in labels and "trunk_lsp tied=0" in labels
    assert [run.seed for run in every] == sorted(run.seed for run in every)
    assert {run.network.model for run in runs(Study("recall_leagues"))} == set(trunk_networks())


def test_a_config_names_the_embedding_and_a_label_only_another_one():
    study = Study("recall")
    for model, usual in (("trunk_lsp", True), ("trunk_nla", False)):
        assert study.network(model) == study.network(model, tied=usual) != study.network(model, tied=not usual)
        assert study.network(model).options["tied"] == usual
        assert study.label(study.training(model)) == model


def test_runs_train_and_record_recall(study):
    plain, sparse, untied = runs(study)
    assert untied.budget.learning_rate == 1e-4 != sparse.budget.learning_rate
    record = study.obtain(sparse)
    assert record.finished and record.table("curve")["step"].tolist() == [2, 4]
    assert {"distance", "recall", "found", "weight", "seen"} <= set(record.table("tiles"))
    assert "found" not in study.obtain(plain).table("tiles") and study.label(untied) == "trunk_lsp tied=0"
    assert {found.run.hash for found in records_in(study.folder, "recall-*")} == {plain.hash, sparse.hash}


def test_tables_hold_the_seeds_that_every_arm_has_finished(study):
    two = study.varied(seeds=[0, 1])
    for run in runs(two)[:4]:  # the first arm of the second seed too
        two.obtain(run)
    found = recall.records(two, two.settings["recall"])[recall.EQUAL]
    assert {record.run.seed for own in found.values() for record in own} == {0} and len(found) == 3


def test_training_that_settles_ends_early(study, monkeypatch):
    monkeypatch.setattr("srlab.chapters.recall.run.enough", lambda rows: rows[-1]["step"] >= 2)
    run = runs(study)[1]
    early = study.obtain(run)
    assert early.table("curve")["step"].tolist() == [2] and early.facts["steps"] == 2


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


def test_looks_are_what_the_measurement_finds(study):
    """`looks.json` has the recall and weights of `measure_recall`, tile by tile, of the networks that have weights."""
    assert recall.looks(study, study.settings["recall"]) is None
    plain, sparse, _ = runs(study)
    weights = [study.obtain(run).network() for run in (plain, sparse)]
    found = json.loads(recall.looks(study, study.settings["recall"]).read_text())
    scene = recall.scenes(study, study.settings["recall"])[found["images"][0]["name"]]
    for network, shown in zip(weights, found["networks"], strict=True):
        rows = _tiles(network, *(part[0] for part in scene.images(study.profile.scale)))
        looks = pd.DataFrame(shown["looks"][0])
        np.testing.assert_allclose(looks["recall"], rows["recall"], atol=1e-3)
        if "found" in rows:
            assert looks["keys"].min() > 0 and looks["weight"].isna().tolist() == rows["weight"].isna().tolist()
    tiles = found["images"][0]["tiles"]
    assert [tile["distance"] is None for tile in tiles] == rows["distance"].isna().tolist()
    size = len(zlib.decompress(base64.b64decode(found["maps"])))
    cut = 3 * (found["scale"] * (2 + 2 * found["margin"])) ** 2
    assert size == len(weights) * sum(len(image["tiles"]) * (image["side"] ** 2 + cut) for image in found["images"])


def test_the_hero_draws_kept_looks_of_the_tile_farthest_from_its_copy(study, monkeypatch):
    """Maps come from `looks.json` alone, rounded to a level; rings mark the tile and its copy in each."""
    with pytest.raises(InputError, match="no trained weights"):
        recall.FIGURES["recall_hero"](study, None)
    for run in runs(study):
        study.obtain(run)
    path = recall.looks(study, study.settings["recall"])
    monkeypatch.setattr(Study, "weights", lambda self, run: None)
    found = read_looks(path)
    look = found["networks"][1]["looks"][0][0]
    assert (look["weights"] > 0).sum() == look["keys"] and 0.6 < look["weights"].sum() < 1.6
    farthest = max(found["images"][0]["tiles"], key=lambda tile: tile["distance"] or 0)
    for name, columns in (("recall_hero", 3), ("recall_hero_narrow", 2)):
        figure = recall.FIGURES[name](study, None)
        assert faults(figure) == [] and len({round(ax.get_position().x0, 3) for ax in figure.axes}) >= columns
        maps = [ax for ax in figure.axes if ax.get_title()]
        assert [ax.get_title() for ax in maps] == ["LR image", "LSP", "no attention"]
        rings = {tuple(line.get_xydata()[0] - 0.5) for ax in maps for line in ax.lines}
        assert rings == {tuple(reversed(place)) for place in (farthest["at"], farthest["copy"])}
