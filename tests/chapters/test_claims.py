"""Claims: runs, verdicts, curves and slopes, the words of each contrast, figures, from records made by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st
from kept import ROOT
from legible import faults
from made_records import images, study_of, write
from skimage.io import imsave

from srlab.chapters.claims import FIGURES, Settings, answer, costs, timing_runs
from srlab.chapters.claims.costs import reached_from
from srlab.chapters.claims.judged import claim_row
from srlab.chapters.claims.verdicts import (
    CONFIRMED,
    CONTRADICTED,
    NO_EFFECT,
    SMALLER,
    UNDECIDED,
    VERDICTS,
    Verdict,
    deciding_half_width,
    judge,
    judge_growth,
)
from srlab.chapters.claims.words import NOT_MEASURED, NOT_REPRODUCED, contrasts, in_words, markdown
from srlab.errors import InputError
from srlab.stats.intervals import LEVEL, Estimate
from srlab.stats.rules import rules

SEEDS = (0, 1, 2, 3)
PROCESSES = 5
ARMS = ["no_attention", "lcoan", "trunk_nla", "nlsn", "enlcn", "trunk_fgca", "trunk_bra"]
PROFILE = {
    "seeds": list(SEEDS),
    "models": ["lcoan", "hit_srf", "esc"],
    "options": {"trunk_window": {"side": 16}},
    "branch": {"trunk": {"steps": 9000}, "training": {"steps": 3000}, "models": ARMS, "sides": [8, 32]},
    "chapters": {"claims": {}},
}
#: Gain of each arm over the control, dB, and its spread over seeds: LCoA is twice the lower end above NLA and half of
#: the upper one, the same as NLSA, and anything above ENLA.
GAINS = {
    "no_attention": (0.0, 0.0),
    "lcoan": (0.2, 0.001),
    "trunk_nla": (0.0, 0.001),
    "nlsn": (0.19, 0.001),
    "enlcn": (0.1, 0.1),
    "trunk_fgca": (0.3, 0.001),
    "trunk_bra": (0.4, 0.001),
    "trunk_window side=8": (0.1, 0.001),
    "trunk_window side=32": (0.41, 0.001),
    "esc": (-0.2, 0.002),
    "hit_srf": (0.0, 0.0),
}


def milliseconds(label, pixels, process):
    """NLA and plain windows cost as the square of the pixels, BRA nearly so, the others as the pixels."""
    drift = 1 + 0.1 * process  # of the machine: it meets all alike
    if label.startswith("lcoan"):
        return 10 * drift * pixels / 48**2
    return drift * (pixels / 48**2) ** (2 if label.startswith(("trunk_nla", "plain")) else 1)


def write_timing(study, ms=milliseconds, mib=lambda label, pixels: 1.0):
    """Write a record of each measurement; a time of None ends a series."""
    for run in timing_runs(study, study.settings["claims"]):
        rows = []
        for label in run.networks:
            for size in run.sizes:
                height, width = size if isinstance(size, tuple) else (size, size)
                facts = {
                    "label": label,
                    "part": "any",
                    "size": (height * width) ** 0.5,
                    "height": height,
                    "width": width,
                }
                for process in range(PROCESSES):
                    if (took := ms(label, height * width, process)) is not None:
                        measured = {"process": process, "peak_mib": mib(label, height * width)}
                        rounds = enumerate((0.9, 1.0, 5.0))  # the median is the middle one
                        rows += [facts | measured | {"repeat": repeat, "ms": luck * took} for repeat, luck in rounds]
        times = pd.DataFrame(rows)
        write(study.record(run), times=times, profile=times[[*facts]].drop_duplicates().assign(state="measured"))


def timing_records(study):
    return {
        run.about.removeprefix("claims-"): study.record(run) for run in timing_runs(study, study.settings["claims"])
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with made records of every run, and images of two benchmarks."""
    root = tmp_path_factory.mktemp("claims")
    (root / "results").mkdir()
    (root / "results" / "reference").symlink_to(ROOT / "results" / "reference")
    noise = np.random.default_rng(0)
    for folder in ("train", "benchmark/Set5/HR", "benchmark/Urban100/HR"):
        (root / "data" / folder).mkdir(parents=True)
        for number in range(3):
            picture = noise.integers(0, 255, (48, 48, 3), dtype=np.uint8)
            imsave(root / "data" / folder / f"{number}.png", picture, check_contrast=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRLAB_DATA", str(root / "data"))
        study = study_of(root, PROFILE, patch)
        for run in (*study.branches(), *study.comparison()):
            gain, spread = GAINS[study.label(run)]
            psnr = 30 + run.seed + gain + spread * (-1) ** run.seed
            write(study.record(run), images=images(psnr, run.benchmarks))
        write_timing(study)
        yield study


@pytest.fixture(scope="module")
def tables(study):
    return study.chapter("claims").tables()


@pytest.fixture(scope="module")
def once(tables):
    return contrasts(tables["claims"], tables["cost_slopes"])


def of(frame, **where):
    return frame[np.all([frame[column] == value for column, value in where.items()], axis=0)]


# --- rules and runs -------------------------------------------------------------------------------------------------


def test_rules_hold_the_claims_as_they_were_handed_over(shared_data):
    given = pd.read_csv(shared_data.parent / "reference" / "claims.csv").set_index("id")
    own = {**rules().quality.claims, **rules().costs.claims}
    own = pd.DataFrame({name: claim.model_dump() for name, claim in own.items()}).T.astype({"claimed": float})
    pd.testing.assert_frame_equal(own.loc[given.index, given.columns], given, check_dtype=False, check_names=False)


def test_every_interval_is_at_the_level_of_the_rules():
    assert rules().quality.level == rules().costs.level == LEVEL


def test_costs_are_measured_on_what_authors_publish_and_on_ours(study):
    runs = timing_runs(study, Settings(compiled=False))
    assert {run.processes for run in runs} == {rules().costs.processes}
    assert {run.scale for run in runs if run.about == "claims-networks"} == {4}
    built = {label: each.build(2, 0) for run in runs for label, each in run.networks.items() if run.scale == 2}
    layers = {label: network.non_local_layers() for label, network in built.items()}
    assert [len(layers[label]) for label in ("lcoan", "lcoan (as published)", "trunk_nla")] == [10, 10, 1]
    for label, ways in {"lcoan": ("recomputed", "stored"), "trunk_nla": ("recomputed", "stored")}.items():
        assert (layers[label][0].sharing, layers[f"{label} (as published)"][0].sharing) == ways
    for label in ("nlsn", "trunk_fgca", "trunk_bra"):
        assert layers[f"{label} (as published)"][0].backend == "reference" != layers[label][0].backend
    compiled = {label: each for run in timing_runs(study, Settings()) for label, each in run.networks.items()}
    assert compiled["esc (as published)"].options["backend"] == "flex"


def test_runs_are_those_that_contrasts_compare(study):
    names = {study.label(run) for run in study.chapter("claims").runs if run.trains}
    assert names == set(GAINS) - {"no_attention"}
    own = study.varied(claims={"sides": [8], "networks": [8], "processes": 1}).chapter("claims").runs
    assert {run.sizes for run in own if not run.trains} >= {(8,)} and {r.processes for r in own if not r.trains} == {1}


# --- verdicts -------------------------------------------------------------------------------------------------------

INF = math.inf


@pytest.mark.parametrize("claimed", [None, math.nan])
@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.06, 9, CONFIRMED), (1.04, 9, UNDECIDED), (0.5, 1.5, UNDECIDED), (1, 1, NO_EFFECT), (0.5, 0.99, CONTRADICTED)],
)
def test_a_claim_without_a_number(claimed, low, high, verdict):
    found = judge((low + high) / 2, float(low), float(high), claimed, 1.0, 0.05, 0.0)
    assert found.kind == verdict and math.isnan(found.share.value)


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ([(0.95, 1.05), (0.9, 1.1)], CONFIRMED),
        ([(0.95, 1.05), (0.9, 1.11)], UNDECIDED),
        ([(0.95, 1.05), (1.11, 1.3)], CONTRADICTED),
        ([(0.5, 0.89), (-INF, INF)], CONTRADICTED),
        ([], UNDECIDED),
    ],
)
def test_growth(slopes, verdict):
    local = [Estimate((low + high) / 2 if low > -INF else 1.0, low, high) for low, high in slopes]
    assert judge_growth(local, 1.0, 0.1).kind == verdict


@pytest.mark.parametrize(
    ("numbers", "named"),
    [((0.3, 0.4, 0.5, 0.4), "0.3"), ((math.nan, 0.4, 0.5, 0.4), "nan"), ((0.3, 0.2, 0.5, 0.05), "claimed 0.05")],
)
def test_intervals_without_their_value_and_claims_of_no_effect_are_refused(numbers, named):
    with pytest.raises(InputError, match=named):
        judge(*numbers, 0.0, 0.05, 0.05)


@st.composite
def claims(draw):
    """Draw claimed, nothing, margin, within."""
    nothing = draw(st.sampled_from([0.0, 1.0]))
    margin = draw(st.floats(0.01, 1))
    effect = draw(st.floats(1.01, 50)) * margin
    return nothing + effect, nothing, margin, effect * draw(st.floats(0, 0.5))


VALUES, REACHES = st.floats(-60, 60), st.floats(0, 60) | st.just(INF)


@given(claims(), VALUES, REACHES, REACHES)
def test_every_interval_has_the_verdict_of_the_first_rule_that_it_meets(claim, value, down, up):
    claimed, nothing, margin, within = claim
    low, high = value - down, value + up
    found = judge(value, low, high, *claim)
    equivalent = low >= nothing - margin and high <= nothing + margin
    met = {
        NO_EFFECT: equivalent,
        CONFIRMED: low >= claimed or (low > nothing and low >= claimed - within and high >= claimed),
        SMALLER: low > nothing and high < claimed and not equivalent,
        CONTRADICTED: high < nothing and not equivalent,
    }
    assert [found.kind] == ([kind for kind, holds in met.items() if holds] or [UNDECIDED]) and found.kind in VERDICTS
    assert found.share.low <= found.share.value <= found.share.high


@given(claims(), VALUES, st.floats(0.01, 0.99) | st.floats(1.01, 100))
def test_an_interval_decides_if_it_is_narrow_enough_and_not_if_it_is_wider(claim, value, part):
    half = part * deciding_half_width(value, *claim)
    assert (judge(value, value - half, value + half, *claim).kind == UNDECIDED) == (part > 1)


# --- costs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratios", "goal", "start"),
    [
        ([2.0, 3.0, 4.0], 1, 100),  # always
        ([0.5, 0.6, 0.7], 1, None),  # never
        ([2.0, 3.0, 0.5], 1, None),  # reached and left
        ([2.0, 0.5, 2.0], 1, 800),  # from where it stays
        ([2.0, 3.0, 4.0], np.nan, None),
    ],
)
def test_a_crossing_is_interpolated_on_logarithms(ratios, goal, start):
    found = reached_from([100, 400, 1600], ratios, float(goal))
    assert np.isnan(found) if start is None else found == pytest.approx(start)


def test_every_claim_about_costs_is_compared_with_each_rival_on_both_codes(tables):
    found, law = tables["cost_claims"], rules().costs
    for name, claim in law.claims.items():
        own = of(found, id=name)
        if claim.quantity == "growth_exponent":
            assert own.empty
            continue
        assert set(own["against"]) == set(claim.against) and set(own["code"]) == {"as published", "ours"}
        assert (own.groupby(["against", "code"])["judged"].sum() == 1).all()
    assert (found["processes"] == PROCESSES).all() and set(found["device"]) == {"CPU Abacus, 2 threads"}
    assert set(of(found, id="esc-hit-latency", judged=True)["width"]) == {320}
    assert set(of(found, id="lcoa-time", judged=True)["width"]) == {max(law.sides)}


def test_a_reduction_and_where_it_begins(tables):
    """LCoAN costs as its pixels and NLA as their square: no effect at 48² pixels, 83 % less at 48² / 0.17."""
    own = of(tables["cost_claims"], id="lcoa-time", against="trunk_nla", code="ours")
    assert own["from_no_effect"].to_numpy() == pytest.approx(48**2)
    assert own["from_claim"].to_numpy() == pytest.approx(48**2 / 0.17)
    at = own.set_index("height")
    for side in (24, 96, 256):
        expected = 100 * (1 - 48**2 / side**2)
        assert at.loc[side, ["value", "low", "high"]].to_numpy(float) == pytest.approx(expected)
    others = of(tables["cost_claims"], id="lcoa-time", against="trunk_lsp")
    assert (others["from_no_effect"] == 24**2).all() and others["from_claim"].isna().all()
    assert others["value"].to_numpy() == pytest.approx(0, abs=1e-9)


@pytest.fixture
def timed(tmp_path, monkeypatch):
    """A study without records."""
    return study_of(tmp_path, PROFILE, monkeypatch)


def test_an_interval_is_students_over_processes_and_not_over_rounds(timed):
    luck = np.array([1.0, 1.1, 0.9, 1.05, 0.95])
    write_timing(timed, lambda label, pixels, process: 10.0 * luck[process] if label.startswith("plain") else 5.0)
    row = of(costs.curves(timing_records(timed)), id="esc-flash-latency", code="ours", judged=True).iloc[0]
    known = scipy.stats.ttest_1samp(np.log(2 * luck), 0).confidence_interval(LEVEL)
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.exp(known)))
    assert row["value"] == pytest.approx(scipy.stats.gmean(2 * luck))


def test_a_claim_is_judged_on_the_largest_size_of_both_sides(timed):
    ends = {"trunk_nla (as published)": 128**2, "trunk_bra (as published)": 128**2, "trunk_nla": 192**2}

    def ms(label, pixels, process):
        return 1.0 if pixels <= ends.get(label, np.inf) else None

    write_timing(timed, ms, lambda label, pixels: 8.0 if label.startswith("trunk_bra") else 2.0)
    found = costs.curves(timing_records(timed))
    judged = of(found, judged=True).set_index(["id", "against", "code"])["height"]
    assert judged["lcoa-time", "trunk_nla", "as published"] == 128 and judged["lcoa-time", "trunk_nla", "ours"] == 192
    memory = of(found, id="sscan-memory", code="as published")
    assert memory["height"].max() == 128 and (memory[["value", "low", "high"]] == 4).all(axis=None)
    assert memory["claimed"].isna().all() and memory["from_claim"].isna().all()


def test_slopes_are_local_and_equivalent_within_the_margin(timed):
    noise = np.array([-2, -1, 0, 1, 2])

    def ms(label, pixels, process):
        if label.startswith("trunk_bra"):
            return 1e-6 * pixels**2 if pixels <= 256**2 else None
        if label == "trunk_fgca":  # linear, and too uncertain at the end
            return pixels * (1.3 if pixels == 512**2 else 1.001) ** noise[process]
        return pixels if pixels <= 256**2 else 256**2 * (pixels / 256**2) ** 1.2

    write_timing(timed, ms)
    found = costs.slopes(timing_records(timed))
    ours = of(found, model="trunk_fgca", code="ours")
    assert ours["from_px"].tolist() == [side**2 for side in (128, 192, 256, 384)]
    assert ours["slope"].to_numpy() == pytest.approx(1) and ours["within"].tolist() == [True, True, True, False]
    published = of(found, model="trunk_fgca", code="as published")
    assert published["slope"].to_numpy() == pytest.approx([1, 1, 1.2, 1.2])
    assert of(found, model="trunk_bra", code="ours")["slope"].to_numpy() == pytest.approx([2, 2])


# --- every claim ----------------------------------------------------------------------------------------------------


def row_of(rows, id, against, basis=None):
    own = of(rows, id=id, against=against) if basis is None else of(rows, id=id, against=against, basis=basis)
    [row] = own.itertuples()
    return row


def test_every_claim_stands_once_for_each_contrast_and_for_each_rival_and_code(tables):
    rows, law = tables["claims"], rules()
    assert set(rows["id"]) == {*law.quality.claims, *law.costs.claims} and set(rows["verdict"]) <= set(VERDICTS)
    assert not rows.duplicated(["id", "arm", "against", "basis"]).any()
    assert rows["source"].is_monotonic_increasing and len(rows) == 31
    for name, claim in law.quality.claims.items():
        asked = [(each.arm, each.against, each.experiment) for each in claim.contrasts]
        assert list(of(rows, id=name)[["arm", "against", "basis"]].itertuples(index=False, name=None)) == asked


@pytest.mark.parametrize(
    ("id", "against", "verdict", "shown"),
    [
        ("lcoa-psnr-low", "trunk_nla", CONFIRMED, CONFIRMED),
        ("lcoa-psnr-high", "trunk_nla", SMALLER, SMALLER),
        ("lcoa-psnr-low", "nlsn", NO_EFFECT, "no effect beyond ±0.05 dB"),
        ("lcoa-psnr-low", "enlcn", UNDECIDED, UNDECIDED),
        ("esc-flash-psnr", "trunk_window side=8", CONFIRMED, CONFIRMED),
        ("esc-hit-psnr", "hit_srf", CONTRADICTED, NOT_REPRODUCED),
        ("sscan-psnr", "trunk_bra", CONTRADICTED, CONTRADICTED),
        ("sscan-psnr", "lcoan", UNDECIDED, NOT_MEASURED),
    ],
)
def test_claims_about_quality(tables, id, against, verdict, shown):
    row = row_of(tables["claims"], id, against)
    assert (row.verdict, row.shown) == (verdict, shown)


def test_quality_is_the_gain_over_the_rival_of_the_same_seed(tables):
    row = row_of(tables["claims"], "lcoa-psnr-high", "trunk_nla")
    assert row.measured == pytest.approx(0.2) and row.share == pytest.approx(0.5)
    assert row.share_low == pytest.approx(row.low / 0.4) and row.low < 0.2 < row.high
    assert row.spread == "4 seeds, 6 images" and len(row.run.split()) == 8
    assert all(number in row.workload for number in ("43 and 43", "3,000", "9,000", "16×16"))


@pytest.mark.parametrize(
    ("id", "against", "basis", "verdict"),
    [
        ("lcoa-time", "trunk_nla", "ours", CONFIRMED),
        ("lcoa-time", "trunk_lsp", "ours", NO_EFFECT),
        ("esc-flash-latency", "plain windows", "ours", CONFIRMED),
        ("esc-flash-memory", "plain windows", "ours", NO_EFFECT),
        ("sscan-linear", "trunk_bra", "ours", CONFIRMED),
        ("sscan-memory", "trunk_bra", "ours", NO_EFFECT),
    ],
)
def test_claims_about_costs_carry_the_word_cpu(tables, id, against, basis, verdict):
    row = row_of(tables["claims"], id, against, basis)
    assert row.verdict == verdict and "CPU" in row.shown and "CPU" in row.device
    assert row.margin == (5 if id == "lcoa-time" else 0.1 if id == "sscan-linear" else 0.05)


def test_fewer_seeds_than_the_rules_ask_for_decide_nothing(study):
    few = study.varied(seeds=list(SEEDS[:2])).chapter("claims")
    row = row_of(few.module.tables(few.study, few.settings)["claims"], "lcoa-psnr-low", "trunk_nla")
    assert row.verdict == UNDECIDED and row.measured == pytest.approx(0.2)


@pytest.mark.parametrize(("slug", "part"), [("trunk_nla-branch", "quality"), ("timing", "costs")])
def test_runs_that_began_under_other_rules_are_refused(study, slug, part):
    chapter = study.chapter("claims")
    file = study.record(next(run for run in chapter.runs if run.slug.startswith(slug))).folder / "run.json"
    kept = file.read_text()
    try:
        file.write_text(kept.replace(rules().hash(part), "0123456789"))
        with pytest.raises(InputError, match="0123456789"):
            chapter.module.tables(study, chapter.settings)
    finally:
        file.write_text(kept)


# --- what people read -----------------------------------------------------------------------------------------------


def test_each_contrast_is_counted_once(tables, once):
    assert len(once) == len(tables["claims"]) - 3 == 28 and once["claim"].nunique() == 11
    assert not once.duplicated(["claim", "arm", "against", "basis"]).any()
    row = row_of(once, "lcoa-psnr-low", "trunk_nla")
    assert row.claimed_words == "+0.10 dB to +0.40 dB" and row.verdict == CONFIRMED and SMALLER in row.sentence


def test_counts_in_text_are_rows_and_marks_in_the_figure(tables, once):
    table = [line for line in markdown(once).splitlines() if line.startswith("| [")]
    assert len(table) == len(once)
    counts = once["shown"].value_counts()
    first = answer(tables).splitlines()[0]
    assert all(f"{number} {words}" in first for words, number in counts.items()) and f"{len(once)} " in first
    figure = FIGURES["claims"](tables)
    points = [line for ax in figure.axes for line in ax.lines if len(line.get_xdata()) == 1]
    marks = [line for line in points if line.get_markersize() > 4.5]
    assert len(marks) == once["measured"].notna().sum() == len(once) - counts[NOT_MEASURED]
    assert len([ax for ax in figure.axes if ax.get_title(loc="left")]) == once["claim"].nunique()
    assert faults(figure) == []


def test_growth_shows_the_slope_farthest_from_the_claim():
    networks, none = ("trunk_fgca", "trunk_bra", "as published"), Estimate(*3 * [np.nan])
    facts = {"run": "a", "margin": 0.1}
    row = claim_row("sscan-linear", networks, Verdict(CONTRADICTED, none, "s"), Estimate(1.0, 0.9, 2.1), **facts)
    slopes = pd.DataFrame({"slope": [0.98, 1.94], "low": [0.9, 1.8], "high": [1.1, 2.1]})
    slopes = slopes.assign(id="sscan-linear", model="trunk_fgca", code="as published")
    [shown] = contrasts(pd.DataFrame([row]), slopes).itertuples()
    assert (shown.measured, shown.low, shown.high) == (1.94, 1.8, 2.1) and "1.94" in shown.measured_words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "no effect beyond ±0.05 dB"),
        ({"basis": "from scratch"}, NOT_REPRODUCED),
        ({"basis": "from scratch", "verdict": CONTRADICTED}, NOT_REPRODUCED),
        ({"basis": "from scratch", "verdict": CONFIRMED}, CONFIRMED),
        ({"verdict": CONTRADICTED}, CONTRADICTED),
        ({"quantity": "memory_ratio"}, "no effect beyond ±5 % (CPU)"),
        ({"quantity": "memory_ratio", "device": "H200"}, "no effect beyond ±5 %"),
        ({"quantity": "time_reduction_percent", "margin": 5.0, "verdict": SMALLER}, "smaller (CPU)"),
        ({"run": "none"}, NOT_MEASURED),
    ],
)
def test_verdicts_in_words(change, words):
    row = {"run": "a", "verdict": NO_EFFECT, "basis": "branched", "margin": 0.05, "quantity": "psnr_gain_db"}
    assert in_words(row | {"device": "CPU Abacus"} | change) == words


def test_the_figure_of_costs_shows_its_table(tables):
    figure, table = FIGURES["cost_claims"](tables), tables["cost_claims"]
    groups = dict(list(table.groupby(["id", "against"], sort=False)))
    assert len(figure.axes) == len(groups) and faults(figure) == []
    panel = figure.axes[list(groups).index(("esc-flash-latency", "plain windows"))]
    own = of(table, id="esc-flash-latency", code="ours")
    curve, drawn = np.column_stack([own["height"], own["value"]]), [line.get_xydata() for line in panel.lines]
    assert any(np.shape(line) == curve.shape and np.allclose(line, curve) for line in drawn)
    levels = {line[0, 1] for line in drawn if len(line) == 2 and line[0, 1] == line[1, 1]}
    assert levels == {1.0, rules().costs.claims["esc-flash-latency"].claimed}


def test_the_answer_is_written_from_tables_alone(study, tables):
    text = study.chapter("claims").answer().data
    assert "nan" not in text.replace("trunk_nla", "") and (study.folder / "answers" / "claims.md").is_file()
