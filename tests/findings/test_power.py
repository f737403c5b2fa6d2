"""How many seeds a profile needs, and how long they take: of made-up runs and of kept ones."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from kept import ROOT, references

from srlab.errors import InputError
from srlab.findings import power
from srlab.findings.statistics import half_width
from srlab.study.study import Study

STUDY = Study("smoke", ROOT)
#: Gain over the trunk of each network by seed, the same for both images.
GAINS = {"edsr_like": [0, 0], "nlan": [0.1, 0.1], "lcoan": [0.1, 0.14], "lspn": [0.0, 2.0]}


def write(folder, model, seed, gain, steps=4, data="some images"):
    """What a finished training leaves that a plan reads."""
    run = STUDY.training(model, seed)
    budget = run.budget.model_copy(update={"steps": steps})
    run = run.model_copy(update={"budget": budget, "data": data})
    own = folder / "runs" / run.name
    own.mkdir(parents=True)
    images = pd.DataFrame({"benchmark": "A", "name": ["a", "b"], "psnr_y": [30 + seed + gain, 33 + gain]})
    images.to_csv(own / "images.csv", index=False)
    facts = {"seconds": 10.0 + seed, "log_seconds": 2.0, "loading_seconds": 0.5, "evaluation_seconds": 7.5}
    facts |= {
        "startup_seconds": 100.0,
        "finished": f"2026-01-0{seed + 1}",
        "config": run.model_dump(mode="json"),
    }
    (own / "run.json").write_text(json.dumps(facts))


@pytest.fixture
def folder(tmp_path):
    for model, gains in GAINS.items():
        for seed, gain in enumerate(gains):
            write(tmp_path, model, seed, gain)
    return tmp_path


def profile(**changed):
    return STUDY.profile.model_copy(update={"models": tuple(GAINS), "seeds": (0, 1, 2), **changed})


def test_spreads_half_widths_and_seeds_by_hand(folder):
    table = power.plan(power.pilot(STUDY, [folder]), profile(), 0.05).set_index("model")
    assert list(table.index) == list(GAINS)
    assert table["spread_db"].drop("edsr_like").to_dict() == pytest.approx(
        {"nlan": 0, "lcoan": 0.04 / 2**0.5, "lspn": 2**0.5}, abs=1e-9
    )
    assert table.loc["lcoan", "half_width_db"] == pytest.approx(half_width(0.04 / 2**0.5, 3, 3))
    assert table.loc["nlan", "seeds_needed"] == 3 and table.loc["lspn", "seeds_needed"] == math.inf
    needed = int(table.loc["lcoan", "seeds_needed"])
    assert half_width(0.04 / 2**0.5, needed, 3) <= 0.05 < half_width(0.04 / 2**0.5, needed - 1, 3)
    assert table.loc["edsr_like", ["spread_db", "half_width_db", "seeds_needed"]].isna().all()
    assert power.most_need(table) == needed  # enough for nlan and lcoan, two of three


def test_seconds_follow_the_pixels_that_training_sees(folder):
    records = power.pilot(STUDY, [folder])
    own = power.plan(records, profile(), 0.05)["run_s"]
    assert own.to_numpy() == pytest.approx(10.5 + 2 + 0.5 + 7.5)  # Python's start is not a run's
    budget = STUDY.profile.training.model_copy(update={"steps": 40, "batch": 4, "log_every": 20})
    longer = power.plan(records, profile(training=budget), 0.05)["run_s"]
    assert longer.to_numpy() == pytest.approx(10.5 * 20 + 2 + 0.5 + 7.5)


def test_the_table_for_people_and_the_hours_below_it(folder):
    records = power.pilot(STUDY, [folder])
    table = power.plan(records, profile(), 0.05)
    told = power.markdown(table, records, profile(), 0.05, cores=2)
    head, *_ = told.splitlines()
    assert "half-width with 3 seeds (dB)" in head and "seeds for ±0.05 dB" in head
    assert "more than 100" in told and "nan" not in told and "inf" not in told
    needed = power.most_need(table)
    assert f"3 seeds take {3 * 4 * 20.5 / 3600 / 2:.1f} hours, with the {needed:.0f} seeds" in told
    assert "from 8 runs in" in told and "A spread of 2 seeds may truly be 0.4 to 31.9 times as large" in told


def test_one_seed_has_no_spread_and_no_number_is_made_up(tmp_path):
    for model in ("edsr_like", "lcoan"):
        write(tmp_path, model, 0, 0.1)
    records = power.pilot(STUDY, [tmp_path])
    table = power.plan(records, profile(), 0.05)
    assert table[["spread_db", "half_width_db", "seeds_needed"]].isna().all(axis=None)
    told = power.markdown(table, records, profile(), 0.05, 1)
    assert "these runs do not tell" in told and "nan" not in told


def test_the_profiles_own_budget_goes_before_a_longer_one_and_both_before_nothing(folder, tmp_path_factory):
    longer, empty = tmp_path_factory.mktemp("longer"), tmp_path_factory.mktemp("empty")
    for model in GAINS:
        write(folder, model, 5, 0.0, steps=400)
        write(longer, model, 0, 0.0, steps=8)
        write(longer, model, 0, 0.0, steps=80)
        write(longer, model, 1, 0.0, steps=80, data="other images, an earlier run")
    assert {record.run.budget.steps for record in power.pilot(STUDY, [folder])} == {4}
    fallen_back = power.pilot(STUDY, [empty, longer, folder])
    assert {(record.run.budget.steps, record.folder.parents[1]) for record in fallen_back} == {(80, longer)}
    assert len({record.run.data for record in fallen_back}) == 1
    with pytest.raises(InputError, match=r"profile 'smoke'.*`srlab run --profile smoke` makes them"):
        power.pilot(STUDY, [empty])


def test_what_is_kept_of_cpu_is_a_pilot():
    study = Study("cpu", ROOT)
    records = power.pilot(study, references())
    table = power.plan(records, study.profile, 0.05)
    assert table["model"].tolist() == list(study.profile.models)
    assert table["model"].iloc[0] == "edsr_like" and (table["run_s"] > 0).all()
    arms = table.iloc[1:]
    assert np.isfinite(arms["spread_db"]).all() and (arms["half_width_db"] > 0).all()
    assert (arms["seeds_needed"] >= 3).all()
    assert table["run"].str.split().str.len().tolist() == table["pilot_seeds"].tolist()
