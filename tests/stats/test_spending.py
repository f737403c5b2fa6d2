"""What a run's time goes into, of runs that tell it and of earlier ones."""

import pytest
from kept import ROOT

from srlab.stats import spent
from srlab.study import Record, Study

TOLD = {"seconds": 90.0, "log_seconds": 4.0, "startup_seconds": 5.0}
TOLD |= {"loading_seconds": 0.5, "evaluation_seconds": 0.5}


def record(model: str, seed: int, **facts: float) -> Record:
    """A record in memory only."""
    made = Study("smoke", ROOT)
    found = made.record(made.training(model, seed))
    found.__dict__["facts"] = facts
    return found


def test_each_network_has_a_row_with_the_mean_over_its_runs():
    records = [
        record("lcoan", 0, **TOLD),
        record("trunk_nla", 0, **TOLD),
        record("lcoan", 1, **TOLD | {"seconds": 45.0, "startup_seconds": 0.0}),
    ]
    frame = spent(records).set_index("model")
    steps = records[0].run.budget.steps
    assert list(frame.index) == ["lcoan", "trunk_nla"]
    assert frame.loc["trunk_nla", "training_percent"] == pytest.approx(90)
    assert frame.loc["lcoan", "training_percent"] == pytest.approx((90 + 90) / 2)
    assert frame.loc["lcoan", "steps_per_s"] == pytest.approx((steps / 90 + steps / 45) / 2)
    assert frame.loc["lcoan", "start_s"] == 2.5
    assert frame.loc["lcoan", "run"].split() == [records[0].run.hash, records[2].run.hash]


def test_what_an_earlier_version_did_not_tell_is_missing_and_not_zero():
    [row] = spent([record("lcoan", 0, seconds=60.0)]).itertuples()
    assert row.training_s == 60 and row.start_s != row.start_s


def test_no_finished_run_is_an_empty_table():
    assert spent([]).empty
