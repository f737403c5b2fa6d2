"""How many seeds a profile needs, and how long they take: of made-up runs and of kept ones."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from kept import ROOT, references

from srlab.errors import InputError
from srlab.stats import power
from srlab.stats.statistics import half_width
from srlab.study.study import Study

#: Gain over the trunk of each network by seed, the same for both images.
GAINS = {"no_attention": [0, 0], "trunk_nla": [0.1, 0.1], "trunk_lsp": [0.0, 2.0], "lcoan": [0.1, 0.14]}
PROFILE = """
device: cpu
network: {channels: 8, groups: 2, blocks: 1, clusters: 4, window: 32}
training: {steps: 4, batch: 2, patch: 16, learning_rate: 1.0e-3, log_every: 2, checkpoint_every: 2}
seeds: [0, 1, 2]
models: [no_attention, trunk_nla, trunk_lsp, lcoan]
"""
BRANCH = """
branch:
  trunk: {steps: 40, log_every: 20}
  training: {steps: 2}
  models: [no_attention, lcoan]
  sides: [8, 16]
"""


def study(root, profile=PROFILE):
    (root / "profiles").mkdir(exist_ok=True)
    (root / "profiles" / "mine.yaml").write_text(profile)
    return Study("mine", root)


def write(folder, run, gain, **changed):
    """What a finished training leaves that a plan reads."""
    run, seed = run.model_copy(update=changed), run.seed
    own = folder / "runs" / run.name
    own.mkdir(parents=True)
    images = pd.DataFrame({"benchmark": "A", "name": ["a", "b"], "psnr_y": [30 + seed + gain, 33 + gain]})
    images.assign(ssim_y=0.9).to_csv(own / "images.csv", index=False)
    facts = {"seconds": 10.0 + seed, "log_seconds": 2.0, "loading_seconds": 0.5, "evaluation_seconds": 7.5}
    facts |= {"startup_seconds": 100.0, "finished": "2026-01-01", "config": run.model_dump(mode="json")}
    (own / "run.json").write_text(json.dumps(facts))


@pytest.fixture
def mine(tmp_path):
    """A study of which two of three seeds are done."""
    made = study(tmp_path)
    for model, gains in GAINS.items():
        for seed, gain in enumerate(gains):
            write(tmp_path / "there", made.training(model, seed), gain)
    return made


def planned(made, within=0.05, folder="there"):
    [plan] = power.plans(made, within, [made.root / folder])
    return plan


def test_spreads_half_widths_and_seeds_by_hand(mine):
    table = planned(mine).table.set_index("network")
    assert list(table.index) == list(GAINS) and (table["pilot_seeds"] == 2).all()
    assert table["spread_db"].drop("no_attention").to_dict() == pytest.approx(
        {"trunk_nla": 0, "lcoan": 0.04 / 2**0.5, "trunk_lsp": 2**0.5}, abs=1e-9
    )
    assert table.loc["lcoan", "half_width_db"] == pytest.approx(half_width(0.04 / 2**0.5, 3, 3))
    assert table.loc["trunk_nla", "seeds_needed"] == 3 and table.loc["trunk_lsp", "seeds_needed"] == math.inf
    needed = int(table.loc["lcoan", "seeds_needed"])
    assert half_width(0.04 / 2**0.5, needed, 3) <= 0.05 < half_width(0.04 / 2**0.5, needed - 1, 3)
    assert table.loc["no_attention", ["spread_db", "half_width_db", "seeds_needed"]].isna().all()
    assert power.most_need(table) == needed  # enough for trunk_nla and lcoan, two of three
    assert planned(mine, 0.1).table["seeds_needed"].iloc[3] < needed


def test_seconds_follow_the_pixels_that_training_sees(mine):
    assert planned(mine).table["run_s"].to_numpy() == pytest.approx(10.5 + 2 + 0.5 + 7.5)  # without Python's start
    longer = PROFILE.replace("steps: 4, batch: 2", "steps: 40, batch: 4").replace("log_every: 2", "log_every: 20")
    assert planned(study(mine.root, longer)).table["run_s"].to_numpy() == pytest.approx(10.5 * 20 + 2 + 0.5 + 7.5)


def test_the_table_for_people_and_the_hours_below_it(mine):
    plan = planned(mine)
    told = power.markdown(plan, 0.05, cores=2)
    assert "half-width with 3 seeds (dB)" in told.splitlines()[0] and "seeds for ±0.05 dB" in told
    assert "more than 100" in told and "nan" not in told and "inf" not in told
    needed = power.most_need(plan.table)
    hours = 4 * 20.5 / 3600 / 2
    assert (
        f"3 seeds take {3 * hours:.1f} hours, with the {needed:.0f} that most arms need {needed * hours:.1f}." in told
    )
    assert "From 8 runs in there of 4 steps" in told
    assert "A spread of 2 seeds may truly be 0.4 to 31.9 times as large" in told


def test_one_seed_has_no_spread_and_no_number_is_made_up(tmp_path):
    made = study(tmp_path)
    for model in ("no_attention", "lcoan"):
        write(tmp_path / "there", made.training(model, 0), 0.1)
    plan = planned(made)
    assert plan.table[["spread_db", "half_width_db", "seeds_needed"]].isna().all(axis=None)
    told = power.markdown(plan, 0.05, 1)
    assert "runs of one seed do not tell" in told and "nan" not in told


def test_branches_are_planned_from_branches_and_their_trunks_are_counted(mine):
    made = study(mine.root, PROFILE + BRANCH)
    [scratch, branched] = power.plans(made, 0.05, [made.root / "there"])
    assert len(scratch.records) == 8 and branched.records == []
    assert "What is branched: no run is there" in power.markdown(branched, 0.05, 1)
    for run, gain in zip(made.branches(), [0, 0, 0, 0.1, 0.2, 0.3, 0.5, 0.5, 0.5, 0.4, 0.2, 0.3], strict=True):
        write(made.root / "there", run, gain, start_from="a trunk of another profile")
    branched = power.plans(made, 0.05, [made.root / "there"])[1]
    table = branched.table.set_index("network")
    assert table.index.tolist() == ["no_attention", "lcoan", "trunk_window side=8", "trunk_window side=16"]
    assert table["spread_db"].iloc[1:].tolist() == pytest.approx([0.1, 0, 0.1])
    assert table["half_width_db"].iloc[1] == pytest.approx(half_width(0.1, 3, 3))
    # Trunks by what `no_attention` took from scratch: ten times the steps, and as many logs.
    assert branched.trunk_s == pytest.approx(10.5 * 10 + 2 + 0.5 + 7.5)
    hours = (4 * 21 + branched.trunk_s) / 3600 * 3
    told = power.markdown(branched, 0.05, 1)
    assert f"trunks and 4 networks with the profile's 3 seeds take {hours:.1f} hours" in told


def test_without_the_trunk_the_first_network_is_what_others_are_compared_with(mine):
    table = planned(study(mine.root, PROFILE.replace("[no_attention, trunk_nla,", "["))).table
    assert table["network"].tolist() == ["trunk_lsp", "lcoan"]
    assert table["spread_db"].iloc[1] == pytest.approx((2 - 0.04) / 2**0.5)


def test_the_own_budget_goes_before_a_longer_one_and_both_before_nothing(mine):
    there, longer, empty = (mine.root / name for name in ("there", "longer", "empty"))
    empty.mkdir()
    runs = mine.comparison()
    for run in runs:
        budgets = [run.budget.model_copy(update={"steps": steps}) for steps in (8, 80)]
        write(there, run, 0.0, budget=budgets[1])
        for budget in budgets:
            write(longer, run, 0.0, budget=budget)
    write(longer, runs[0], 0.0, budget=budgets[1], data="other images")
    assert {record.run.budget.steps for record in power.pilot(mine, runs, [there])} == {4}
    fallen_back = power.pilot(mine, runs, [empty, longer, there])
    assert {(record.run.budget.steps, record.folder.parents[1]) for record in fallen_back} == {(80, longer)}
    assert len({record.run.data for record in fallen_back}) == 1
    with pytest.raises(InputError, match=r"profile 'mine'.*`srlab run --profile mine` makes them"):
        power.plans(mine, 0.05, [empty])


def test_what_is_kept_of_cpu_is_a_pilot():
    made = Study("cpu", ROOT)
    [plan] = power.plans(made, 0.05, references())
    assert plan.table["network"].tolist() == list(made.profile.models) and (plan.table["run_s"] > 0).all()
    arms = plan.table.iloc[1:]
    assert np.isfinite(arms["spread_db"]).all() and (arms["half_width_db"] > 0).all()
    assert (arms["seeds_needed"] >= 3).all()
    assert arms["run"].str.split().str.len().tolist() == arms["pilot_seeds"].tolist()
