"""Claims about time and memory: intervals over processes, crossings and slopes, from records made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy
from kept import ROOT

from srlab import plots
from srlab.files import write_text
from srlab.stats import cost_claims
from srlab.stats.cost_claims import as_ratio, from_ratio, over_processes, reached_from
from srlab.study.profiles import ClaimsTiming
from srlab.study.rules import rules
from srlab.study.study import Study

PROCESSES = 5


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    """With claims measured as the rules say, and no record yet."""
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    monkeypatch.delenv("SRLAB_DATA", raising=False)
    study = Study("smoke", ROOT)
    study.profile = study.profile.model_copy(update={"claims": ClaimsTiming()})
    return study


def write_records(study: Study, ms, mib=lambda label, pixels: 1.0) -> None:
    """A record of each measurement: `ms(label, pixels, process)`, None where a series has ended, and `mib`."""
    for run in study.claims_timing():
        rows = []
        for label in run.networks:
            for size in run.sizes:
                height, width = size if isinstance(size, tuple) else (size, size)
                facts = {"label": label, "part": "any", "size": (height * width) ** 0.5}
                for process in range(PROCESSES):
                    if (took := ms(label, height * width, process)) is None:
                        continue
                    for repeat, luck in enumerate((0.9, 1.0, 5.0)):  # the median is the middle one
                        measured = {"repeat": repeat, "ms": luck * took, "peak_mib": mib(label, height * width)}
                        rows.append(facts | {"height": height, "width": width, "process": process} | measured)
        folder = study.record(run).folder
        times = pd.DataFrame(rows)
        places = times[["label", "part", "size", "height", "width"]].drop_duplicates()
        write_text(folder / "times.csv", times.drop(columns=["height", "width"]).to_csv(index=False))
        write_text(folder / "profile.csv", places.assign(state="measured").to_csv(index=False))
        on = {"name": "Abacus", "kind": "cpu", "threads": 2}
        write_text(folder / "run.json", json.dumps({"environment": on}))


def of(frame: pd.DataFrame, **where: object) -> pd.DataFrame:
    return frame[np.all([frame[column] == value for column, value in where.items()], axis=0)]


def test_the_interval_is_students_over_processes():
    found = over_processes(np.log([2.0, 2.2, 1.9]), 0.95)
    known = scipy.stats.ttest_1samp(np.log([2.0, 2.2, 1.9]), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(known) and found.low < found.value < found.high
    assert over_processes(np.array([1.5]), 0.95) == (1.5, -np.inf, np.inf)
    assert over_processes(np.array([1.5, 1.5]), 0.95) == (1.5, 1.5, 1.5)


def test_intervals_hold_the_true_ratio_as_often_as_they_say():
    generator = np.random.default_rng(0)
    logarithms = np.log(3) + generator.normal(0, 0.1, (4000, PROCESSES))
    found = [over_processes(each, 0.95) for each in logarithms]
    assert np.mean([each.low <= np.log(3) <= each.high for each in found]) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("percent", [-110.0, 0.0, 83.0])
def test_a_reduction_is_a_ratio_and_the_other_way_round(percent):
    assert from_ratio(as_ratio(percent, "time_reduction_percent"), "time_reduction_percent") == pytest.approx(percent)
    assert as_ratio(percent, "latency_ratio") == from_ratio(percent, "latency_ratio") == percent


def test_a_reduction_knows_its_ends():
    assert as_ratio(50.0, "time_reduction_percent") == 2
    assert from_ratio(0.0, "time_reduction_percent") == -np.inf and as_ratio(-np.inf, "time_reduction_percent") == 0
    assert from_ratio(np.inf, "time_reduction_percent") == 100 and as_ratio(100.0, "time_reduction_percent") == np.inf


@pytest.mark.parametrize(
    ("ratios", "goal", "start"),
    [
        ([0.5, 2.0, 8.0], 1, 200),  # halfway between 100 and 400 on logarithms
        ([0.5, 2.0, 8.0], 4, 800),
        ([2.0, 3.0, 4.0], 1, 100),  # always
        ([0.5, 0.6, 0.7], 1, None),  # never
        ([2.0, 3.0, 0.5], 1, None),  # reached and left
        ([2.0, 0.5, 2.0], 1, 800),  # from where it stays
        ([0.25, 1.0, 8.0], 1, 400),
    ],
)
def test_a_crossing_is_interpolated_on_logarithms(ratios, goal, start):
    found = reached_from([100, 400, 1600], ratios, float(goal))
    assert np.isnan(found) if start is None else found == pytest.approx(start)


def test_every_claim_about_costs_is_measured_against_each_rival_on_both_codes(study):
    write_records(study, lambda label, pixels, process: 1e-3 * pixels)
    found, law = cost_claims.curves(study), rules().costs
    for name, claim in law.claims.items():
        own = of(found, id=name)
        if claim.quantity == "growth_exponent":
            assert own.empty
            continue
        assert set(own["against"]) == set(claim.against) and set(own["code"]) == {"as published", "ours"}
        assert (own.groupby(["against", "code"])["judged"].sum() == 1).all()
    assert (found["processes"] == PROCESSES).all()
    assert set(found["device"]) == {"CPU Abacus, 2 threads"}
    assert set(found["run"]) == {run.hash for run in study.claims_timing()}
    assert set(of(found, id="esc-hit-latency", judged=True)["width"]) == {320}
    assert set(of(found, id="lcoa-time", judged=True)["width"]) == {max(law.sides)}
    # LCoAN has all ten layers; of its rivals, whose layers are all alike, one was timed.
    assert of(found, id="lcoa-time")["value"].to_numpy() == pytest.approx(90)


def test_a_reduction_and_where_it_begins(study):
    """LCoAN costs as its pixels, NLA as their square: 1 at 48² pixels, 1 / (1 − 0.83) at 48² · 5.88."""

    def ms(label: str, pixels: int, process: int) -> float:
        drift = 1 + 0.1 * process  # of the machine: it meets all alike
        if label.startswith("lcoan"):
            return 10 * drift * pixels / 48**2
        return drift * (pixels / 48**2) ** (2 if label.startswith("trunk_nla") else 1)

    write_records(study, ms)
    own = of(cost_claims.curves(study), id="lcoa-time", against="trunk_nla", code="ours")
    assert own["from_no_effect"].to_numpy() == pytest.approx(48**2)
    assert own["from_claim"].to_numpy() == pytest.approx(48**2 / 0.17)
    at = own.set_index("height")
    for side in (24, 96, 256):
        expected = 100 * (1 - 48**2 / side**2)
        assert at.loc[side, ["value", "low", "high"]].to_numpy(float) == pytest.approx(expected)
    others = of(cost_claims.curves(study), id="lcoa-time", against="trunk_lsp")
    assert (others["from_no_effect"] == 24**2).all() and others["from_claim"].isna().all()
    assert others["value"].to_numpy() == pytest.approx(0, abs=1e-9)


def test_an_interval_is_over_processes_and_not_over_rounds(study):
    luck = np.array([1.0, 1.1, 0.9, 1.05, 0.95])

    def ms(label: str, pixels: int, process: int) -> float:
        return 10.0 * luck[process] if label.startswith("plain") else 5.0

    write_records(study, ms)
    row = of(cost_claims.curves(study), id="esc-flash-latency", code="ours", judged=True).iloc[0]
    known = scipy.stats.ttest_1samp(np.log(2 * luck), 0).confidence_interval(rules().costs.level)
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.exp(known)))
    assert row["value"] == pytest.approx(scipy.stats.gmean(2 * luck))


def test_a_claim_is_judged_on_the_largest_size_that_both_sides_were_measured_on(study):
    def ms(label: str, pixels: int, process: int) -> float | None:
        too_large = {"trunk_nla (as published)": 128**2, "trunk_bra (as published)": 128**2, "trunk_nla": 192**2}
        return 1.0 if pixels <= too_large.get(label, np.inf) else None

    write_records(study, ms, lambda label, pixels: 8.0 if label.startswith("trunk_bra") else 2.0)
    found = cost_claims.curves(study)
    judged = of(found, judged=True).set_index(["id", "against", "code"])["height"]
    assert judged["lcoa-time", "trunk_nla", "as published"] == 128 and judged["lcoa-time", "trunk_nla", "ours"] == 192
    assert judged["lcoa-time", "nlsn", "as published"] == 256
    memory = of(found, id="sscan-memory", code="as published")
    assert memory["height"].max() == 128 and (memory[["value", "low", "high"]] == 4).all(axis=None)
    assert memory["claimed"].isna().all() and memory["from_claim"].isna().all()


def test_slopes_are_local_and_equivalent_within_the_margin(study):
    noise = np.array([-2, -1, 0, 1, 2])

    def ms(label: str, pixels: int, process: int) -> float | None:
        if label.startswith("trunk_bra"):
            return 1e-6 * pixels**2 if pixels <= 256**2 else None
        if label == "trunk_fgca":  # linear; its last slope is, but too uncertain
            return pixels * (1.3 if pixels == 512**2 else 1.001) ** noise[process]
        return pixels if pixels <= 256**2 else 256**2 * (pixels / 256**2) ** 1.2

    write_records(study, ms)
    found = cost_claims.slopes(study)
    ours = of(found, model="trunk_fgca", code="ours")
    assert ours["from_px"].tolist() == [side**2 for side in (128, 192, 256, 384)]
    assert ours["to_px"].tolist() == [side**2 for side in (192, 256, 384, 512)]
    assert ours["slope"].to_numpy() == pytest.approx(1) and ours["within"].tolist() == [True, True, True, False]
    last = ours.iloc[-1]
    assert last["low"] < 0.9 and last["high"] > 1.1
    published = of(found, model="trunk_fgca", code="as published")
    assert published["slope"].to_numpy() == pytest.approx([1, 1, 1.2, 1.2])
    assert published["within"].tolist() == [True, True, False, False]
    assert of(found, model="trunk_bra", code="ours")["slope"].to_numpy() == pytest.approx([2, 2])


def test_a_profile_without_claims_has_no_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    study = Study("quick", ROOT)
    assert study.claims_timing() == []
    for frame, column in ((cost_claims.curves(study), "judged"), (cost_claims.slopes(study), "within")):
        assert frame.empty and column in frame
    plots.draw("cost_claims", tmp_path, cost_claims.curves(study))


def test_the_figure_is_drawn_from_its_table_and_shows_it(study, tmp_path):
    def ms(label: str, pixels: int, process: int) -> float:
        grown = pixels**0.5 / 2.5 if label.startswith(("trunk_nla", "plain")) else 1.0
        return pixels * grown * (1 + 0.1 * process)

    write_records(study, ms)
    frame = cost_claims.curves(study)
    plots.draw("cost_claims", tmp_path, frame)
    drawn = json.loads((tmp_path / "figures" / "cost_claims.json").read_text())
    assert plots.shown(plots.redraw("cost_claims", tmp_path)) == drawn
    titles = [panel["title"].replace("\n", " ") for panel in drawn["axes"]]
    assert len(titles) == len(set(titles)) == len(frame.groupby(["id", "against"]))
    panel = drawn["axes"][titles.index("Flash attention at 32x32 windows cuts latency against plain windows")]
    own = of(frame, id="esc-flash-latency", code="ours")
    curve = np.column_stack([own["height"], own["value"]])
    assert any(np.shape(line) == curve.shape and np.allclose(line, curve) for line in panel["lines"])
    levels = [line[0][1] for line in panel["lines"] if line[0][0] == 0]
    assert levels == [1, rules().costs.claims["esc-flash-latency"].claimed]
    crossing = [own["from_claim"].iloc[0] ** 0.5, 16]
    assert crossing[0] == pytest.approx(40)
    assert any(len(line) == 1 and np.allclose(line[0], crossing) for line in panel["lines"])


def test_the_figure_of_one_process_has_no_bars(study, tmp_path, monkeypatch):
    monkeypatch.setattr("test_cost_claims.PROCESSES", 1)
    write_records(study, lambda label, pixels, process: float(pixels))
    frame = cost_claims.curves(study)
    assert np.isinf(frame["high"][frame["quantity"] != "time_reduction_percent"]).all()
    plots.draw("cost_claims", tmp_path, frame)
