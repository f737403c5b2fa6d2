"""Claims: runs, verdicts, curves and slopes, the words of each contrast, figures, from records made by hand."""

import numpy as np
import pandas as pd
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st
from kept import ROOT
from legible import faults
from made_records import images, study_of, write
from numpy import inf, nan
from skimage.io import imsave

from srlab.chapters.claims import FIGURES, Settings, answer, costs, timing_runs, verdicts
from srlab.chapters.claims.judged import claim_row
from srlab.chapters.claims.verdicts import CONFIRMED, CONTRADICTED, NO_EFFECT, SMALLER, UNDECIDED, judge
from srlab.chapters.claims.words import NOT_MEASURED, NOT_REPRODUCED, NOT_TESTED, contrasts, in_words, markdown
from srlab.errors import InputError
from srlab.stats.intervals import LEVEL, Estimate
from srlab.stats.rules import rules

SEEDS, PROCESSES = [0, 1, 2, 3], 5
ARMS = ["no_attention", "lcoan", "trunk_nla", "nlsn", "enlcn", "trunk_fgca", "trunk_bra"]
PROFILE = {
    "seeds": SEEDS,
    "models": ["lcoan", "hit_srf", "esc"],
    "options": {"trunk_window": {"side": 16}},
    "branch": {"trunk": {"steps": 9000}, "training": {"steps": 3000}, "models": ARMS, "sides": [8, 32]},
    "chapters": {"claims": {}},
}
#: Gain of each arm over the control, dB: LCoA is twice the lower end above NLA and half of the upper one, the same as
#: NLSA, and anything above ENLA.
GAINS = dict(zip(ARMS, (0.0, 0.2, 0.0, 0.19, 0.1, 0.3, 0.4), strict=True))
GAINS |= {"trunk_window side=8": 0.1, "trunk_window side=32": 0.41, "esc": -0.2, "hit_srf": 0.0}
#: Their spreads over seeds, where not 0.001.
SPREADS = {"no_attention": 0.0, "hit_srf": 0.0, "enlcn": 0.1, "esc": 0.002}


def milliseconds(label, pixels, process):
    """NLA and plain windows cost as the square of the pixels, the others as the pixels."""
    drift = 1 + 0.1 * process  # of the machine: it meets all alike
    power = 2 if label.startswith(("trunk_nla", "plain")) else 1
    return drift * (10 if label.startswith("lcoan") else 1) * (pixels / 48**2) ** power


def timing_records(study, ms=None, mib=lambda label, pixels: 1.0):
    """Return the records of measurements, written anew with these times; None ends a series."""
    found = {}
    for run in timing_runs(study, study.settings["claims"]):
        record, rows = study.record(run), []
        for label in run.networks:
            for size in run.sizes:
                height, width = size if isinstance(size, tuple) else (size, size)
                facts = {"label": label, "part": "any", "size": (height * width) ** 0.5}
                facts |= {"height": height, "width": width}
                for process in range(PROCESSES):
                    if (took := (ms or milliseconds)(label, height * width, process)) is not None:
                        measured = {"process": process, "peak_mib": mib(label, height * width)}
                        rounds = enumerate((0.9, 1.0, 5.0))  # the median is the middle one
                        rows += [facts | measured | {"repeat": repeat, "ms": luck * took} for repeat, luck in rounds]
        times = pd.DataFrame(rows)
        write(record, times=times, profile=times[[*facts]].drop_duplicates().assign(state="measured"))
        found[run.about.removeprefix("claims-")] = record
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory, patch):
    """A study with made records of every run, and images of two benchmarks."""
    root = tmp_path_factory.mktemp("claims")
    (root / "results").mkdir()
    (root / "results" / "reference").symlink_to(ROOT / "results" / "reference")
    noise = np.random.default_rng(0).integers(0, 255, (3, 48, 48, 3), dtype=np.uint8)
    for folder in ("train", "benchmark/Set5/HR", "benchmark/Urban100/HR"):
        (root / "data" / folder).mkdir(parents=True)
        for number, picture in enumerate(noise):
            imsave(root / "data" / folder / f"{number}.png", picture, check_contrast=False)
    patch.setenv("SRLAB_DATA", str(root / "data"))
    study = study_of(root, PROFILE, patch, "amd-epyc")
    for run in (*study.branches(), *study.comparison()):
        label = study.label(run)
        psnr = 30 + run.seed + GAINS[label] + SPREADS.get(label, 0.001) * (-1) ** run.seed
        write(study.record(run), images=images(psnr, run.benchmarks))
    timing_records(study)
    return study


@pytest.fixture(scope="module")
def tables(study):
    return study.chapter("claims").tables()


@pytest.fixture(scope="module")
def once(tables):
    return contrasts(tables["claims"], tables["cost_slopes"])


def of(frame, **where):
    return frame[np.all([frame[column] == value for column, value in where.items()], axis=0)]


def row_of(rows, id, against, **where):
    [row] = of(rows, id=id, against=against, **where).itertuples()
    return row


# --- rules and runs -------------------------------------------------------------------------------------------------


def test_rules_hold_the_claims_as_they_were_handed_over(shared_data):
    given = pd.read_csv(shared_data.parent / "reference" / "claims.csv").set_index("id")
    own = {**rules().quality.claims, **rules().costs.claims}
    own = pd.DataFrame({name: claim.model_dump() for name, claim in own.items()}).T.astype({"claimed": float})
    pd.testing.assert_frame_equal(own.loc[given.index, given.columns], given, check_dtype=False, check_names=False)
    assert rules().quality.level == rules().costs.level == LEVEL


def test_costs_are_measured_on_what_authors_publish_and_on_ours(study):
    runs = timing_runs(study, Settings(compiled=False))
    assert {run.processes for run in runs} == {rules().costs.processes}
    assert {run.scale for run in runs if run.about == "claims-networks"} == {4}
    built = {label: each.build(2, 0) for run in runs for label, each in run.networks.items() if run.scale == 2}
    layers = {label: network.non_local_layers() for label, network in built.items()}
    assert [len(layers[label]) for label in ("lcoan", "lcoan (as published)", "trunk_nla")] == [10, 10, 1]
    for label in ("lcoan", "trunk_nla"):
        sharing = (layers[label][0].sharing, layers[f"{label} (as published)"][0].sharing)
        assert sharing == ("recomputed", "stored")
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


@pytest.mark.parametrize("claimed", [None, nan])
def test_a_claim_without_a_number(claimed):
    ends = [(1.06, 9), (1.04, 9), (0.5, 1.5), (1, 1), (0.5, 0.99)]
    found = [judge((low + high) / 2, float(low), float(high), claimed, 1.0, 0.05, 0.0) for low, high in ends]
    assert [each.kind for each in found] == [CONFIRMED, UNDECIDED, UNDECIDED, NO_EFFECT, CONTRADICTED]
    assert all(np.isnan(each.share.value) for each in found)


def test_growth():
    first = Estimate(1.0, 0.95, 1.05)
    seconds = {(0.9, 1.1): CONFIRMED, (0.9, 1.11): UNDECIDED, (1.11, 1.3): CONTRADICTED, (0.5, 0.89): CONTRADICTED}
    for ends, verdict in seconds.items():
        assert verdicts.judge_growth([first, Estimate(sum(ends) / 2, *ends)], 1.0, 0.1).kind == verdict
    assert verdicts.judge_growth([], 1.0, 0.1).kind == UNDECIDED


@pytest.mark.parametrize(
    ("numbers", "named"),
    [((0.3, 0.4, 0.5, 0.4), "0.3"), ((nan, 0.4, 0.5, 0.4), "nan"), ((0.3, 0.2, 0.5, 0.05), "claimed 0.05")],
)
def test_intervals_without_their_value_and_claims_of_no_effect_are_refused(numbers, named):
    with pytest.raises(InputError, match=named):
        judge(*numbers, 0.0, 0.05, 0.05)


@st.composite
def claims(draw):
    """Draw claimed, nothing, margin, within."""
    nothing, margin = draw(st.sampled_from([0.0, 1.0])), draw(st.floats(0.01, 1))
    effect = draw(st.floats(1.01, 50)) * margin
    return nothing + effect, nothing, margin, effect * draw(st.floats(0, 0.5))


VALUES, REACHES = st.floats(-60, 60), st.floats(0, 60) | st.just(inf)


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
    assert [found.kind] == ([kind for kind, holds in met.items() if holds] or [UNDECIDED])
    assert found.share.low <= found.share.value <= found.share.high


@given(claims(), VALUES, st.floats(0.01, 0.99) | st.floats(1.01, 100))
def test_an_interval_decides_if_it_is_narrow_enough_and_not_if_it_is_wider(claim, value, part):
    half = part * verdicts.deciding_half_width(value, *claim)
    assert (judge(value, value - half, value + half, *claim).kind == UNDECIDED) == (part > 1)


# --- costs ----------------------------------------------------------------------------------------------------------


def test_a_crossing_is_interpolated_on_logarithms():
    def start(*ratios, goal=1.0):
        return costs.reached_from([100, 400, 1600], list(ratios), goal)

    assert start(2.0, 3.0, 4.0) == 100 and start(2.0, 0.5, 2.0) == pytest.approx(800)  # from where it stays
    assert np.isnan([start(0.5, 0.6, 0.7), start(2.0, 3.0, 0.5), start(2.0, 3.0, 4.0, goal=nan)]).all()


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
    return study_of(tmp_path, PROFILE, monkeypatch, "amd-epyc")


def test_an_interval_is_students_over_processes_and_not_over_rounds(timed):
    luck = np.array([1.0, 1.1, 0.9, 1.05, 0.95])
    records = timing_records(timed, lambda label, _, process: 10.0 * luck[process] if "plain" in label else 5.0)
    row = of(costs.curves(records), id="esc-flash-latency", code="ours", judged=True).iloc[0]
    known = scipy.stats.ttest_1samp(np.log(2 * luck), 0).confidence_interval(LEVEL)
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.exp(known)))
    assert row["value"] == pytest.approx(scipy.stats.gmean(2 * luck))


def test_a_claim_is_judged_on_the_largest_size_of_both_sides(timed):
    ends = {"trunk_nla (as published)": 128**2, "trunk_bra (as published)": 128**2, "trunk_nla": 192**2}

    def ms(label, pixels, process):
        return 1.0 if pixels <= ends.get(label, np.inf) else None

    found = costs.curves(timing_records(timed, ms, lambda label, _: 8.0 if label.startswith("trunk_bra") else 2.0))
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

    found = costs.slopes(timing_records(timed, ms))
    ours = of(found, model="trunk_fgca", code="ours")
    assert ours["from_px"].tolist() == [side**2 for side in (128, 192, 256, 384)]
    assert ours["slope"].to_numpy() == pytest.approx(1) and ours["within"].tolist() == [True, True, True, False]
    published = of(found, model="trunk_fgca", code="as published")
    assert published["slope"].to_numpy() == pytest.approx([1, 1, 1.2, 1.2])
    assert of(found, model="trunk_bra", code="ours")["slope"].to_numpy() == pytest.approx([2, 2])


# --- every claim ----------------------------------------------------------------------------------------------------


def test_every_claim_stands_once_for_each_contrast_and_for_each_rival_and_code(tables, once):
    rows, law = tables["claims"], rules()
    assert set(rows["id"]) == {*law.quality.claims, *law.costs.claims} and set(rows["verdict"]) <= {*verdicts.VERDICTS}
    assert not rows.duplicated(["id", "arm", "against", "basis"]).any()
    assert rows["source"].is_monotonic_increasing and len(rows) == 37
    for name, claim in law.quality.claims.items():
        asked = [(claim.full_size.arm, claim.full_size.against, "full size")]
        asked += [(each.arm, each.against, each.experiment) for each in claim.contrasts]
        assert list(of(rows, id=name)[["arm", "against", "basis"]].itertuples(index=False, name=None)) == asked
    assert len(once) == len(rows) - 4 and not once.duplicated(["claim", "arm", "against", "basis"]).any()


QUALITY = {
    ("lcoa-psnr-low", "trunk_nla", "branched"): (CONFIRMED, "confirmed at this size"),
    ("lcoa-psnr-high", "trunk_nla", "branched"): (SMALLER, "smaller at this size"),
    ("lcoa-psnr-low", "nlsn", "branched"): (NO_EFFECT, NOT_REPRODUCED),
    ("lcoa-psnr-low", "nlsn", "full size"): (UNDECIDED, NOT_TESTED),
    ("lcoa-psnr-low", "enlcn", "branched"): (UNDECIDED, "undecided at this size"),
    ("esc-flash-psnr", "trunk_window side=8", "branched"): (CONFIRMED, "confirmed at this size"),
    ("esc-hit-psnr", "hit_srf", "from scratch"): (CONTRADICTED, NOT_REPRODUCED),
    ("esc-hit-psnr", "hit_srf", "full size"): (UNDECIDED, NOT_TESTED),
    ("hit-elan-psnr", "elan_light", "full size"): (CONFIRMED, CONFIRMED),
    ("sscan-psnr", "trunk_bra", "branched"): (CONTRADICTED, NOT_REPRODUCED),
    ("sscan-psnr", "lcoan", "from scratch"): (UNDECIDED, NOT_MEASURED),
}
COSTS = {
    ("lcoa-time", "trunk_nla"): (CONFIRMED, 5),
    ("lcoa-time", "trunk_lsp"): (NO_EFFECT, 5),
    ("esc-flash-latency", "plain windows"): (CONFIRMED, 0.05),
    ("esc-flash-memory", "plain windows"): (NO_EFFECT, 0.05),
    ("sscan-linear", "trunk_bra"): (CONFIRMED, 0.1),
    ("sscan-memory", "trunk_bra"): (NO_EFFECT, 0.05),
}


def test_claims_have_verdicts_and_those_about_costs_carry_the_word_cpu(tables):
    rows = {key: row_of(tables["claims"], *key[:2], basis=key[2]) for key in QUALITY}
    assert {key: (row.verdict, row.shown) for key, row in rows.items()} == QUALITY
    rows = {key: row_of(tables["claims"], *key, basis="ours") for key in COSTS}
    assert {key: (row.verdict, row.margin) for key, row in rows.items()} == COSTS
    assert all("CPU" in row.shown and "CPU" in row.device for row in rows.values())


def test_full_size_is_judged_image_by_image_where_both_networks_were_released(tables):
    row = row_of(tables["claims"], "hit-elan-psnr", "elan_light")
    images = pd.read_csv(ROOT / "results/reference/released-intel-xeon/tables/similarity_images.csv")
    wide = images[images["dataset"] == "Urban100"].pivot(index="name", columns="model", values="gain_db")
    leads = wide["hit_srf"] - wide["elan_light"]
    known = scipy.stats.ttest_1samp(leads, 0).confidence_interval(LEVEL)
    assert (row.measured, row.low, row.high) == pytest.approx((leads.mean(), *known)) and row.spread == "100 images"
    assert len(row.run.split()) == 2
    untested = row_of(tables["claims"], "esc-hit-psnr", "hit_srf", basis="full size")
    assert np.isnan(untested.measured) and "27.07" in untested.sentence and "26.80" in untested.sentence


def test_quality_is_the_gain_over_the_rival_of_the_same_seed(tables):
    row = row_of(tables["claims"], "lcoa-psnr-high", "trunk_nla")
    assert row.measured == pytest.approx(0.2) and row.share == pytest.approx(0.5)
    assert row.share_low == pytest.approx(row.low / 0.4) and row.low < 0.2 < row.high
    assert row.spread == "4 seeds, 6 images" and len(row.run.split()) == 8
    assert all(number in row.workload for number in ("43 and 43", "3,000", "9,000", "16×16"))


def test_fewer_seeds_than_the_rules_ask_for_decide_nothing(study):
    few = study.varied(seeds=SEEDS[:2]).chapter("claims")
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


def test_counts_in_text_are_rows_and_marks_in_the_figure(study, tables, once):
    row = row_of(once, "lcoa-psnr-low", "trunk_nla")
    assert row.claimed_words == "+0.10 dB to +0.40 dB" and row.verdict == CONFIRMED and SMALLER in row.sentence
    assert len([line for line in markdown(once).splitlines() if line.startswith("| [")]) == len(once)
    counts = once["shown"].value_counts()
    first = answer(tables).splitlines()[0]
    assert all(f"{number} {words}" in first for words, number in counts.items()) and f"{len(once)} " in first
    figure = FIGURES["claims"](tables)
    points = [line for ax in figure.axes for line in ax.lines if len(line.get_xdata()) == 1]
    marks = [line for line in points if line.get_markersize() > 4.5]
    assert len(marks) == once["measured"].notna().sum() == len(once) - counts[[NOT_MEASURED, NOT_TESTED]].sum()
    assert len([ax for ax in figure.axes if ax.get_title(loc="left")]) == once["claim"].nunique() == 12
    assert faults(figure) == [] and "nan" not in study.chapter("claims").answer().data.replace("trunk_nla", "")


def test_growth_shows_the_slope_farthest_from_the_claim():
    networks, none = ("trunk_fgca", "trunk_bra", "as published"), Estimate(nan, nan, nan)
    verdict, found = verdicts.Verdict(CONTRADICTED, none, "s"), Estimate(1.0, 0.9, 2.1)
    row = claim_row("sscan-linear", networks, verdict, found, run="a", margin=0.1)
    slopes = pd.DataFrame({"slope": [0.98, 1.94], "low": [0.9, 1.8], "high": [1.1, 2.1]})
    slopes = slopes.assign(id="sscan-linear", model="trunk_fgca", code="as published")
    [shown] = contrasts(pd.DataFrame([row]), slopes).itertuples()
    assert (shown.measured, shown.low, shown.high) == (1.94, 1.8, 2.1) and "1.94" in shown.measured_words


def test_verdicts_in_words():
    def words(**change):
        row = {"run": "a", "verdict": NO_EFFECT, "basis": "branched", "margin": 0.05, "quantity": "psnr_gain_db"}
        return in_words(row | {"device": "CPU Abacus"} | change)

    assert words() == words(basis="from scratch") == words(verdict=CONTRADICTED) == NOT_REPRODUCED
    assert words(basis="full size", verdict=CONTRADICTED) == CONTRADICTED != words(verdict=CONFIRMED) != CONFIRMED
    assert "0.05 dB" in words(basis="full size") and "5 %" in words(quantity="memory_ratio")
    assert words(run="none") == NOT_MEASURED and words(run="none", basis="full size") == NOT_TESTED
    assert "CPU" in words(quantity="memory_ratio") and "CPU" not in words(quantity="memory_ratio", device="H200")


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
