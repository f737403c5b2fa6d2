"""The claims as papers print them, and as they are judged from records made by hand."""

import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from faked import claims as claims_by_hand
from kept import ROOT
from skimage.io import imsave

from srlab.errors import InputError
from srlab.measure.evaluation import convention
from srlab.stats import claims_markdown, cost_claims, examine, summary
from srlab.stats.claims import COLUMNS, full_size, published_claims
from srlab.stats.verdicts import CONFIRMED, CONTRADICTED, LOOKS, NO_EFFECT, SMALLER, UNDECIDED
from srlab.study.records import check_rules
from srlab.study.rules import Contrast, rules
from srlab.study.study import Study

SEEDS = (0, 1, 2, 3)
PROFILE = {
    "device": "cpu",
    "seeds": list(SEEDS),
    "network": {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16},
    "training": {"steps": 1000, "batch": 2, "patch": 16, "learning_rate": 1.0e-3},
    "models": ["no_attention", "lcoan", "hit_srf", "esc"],
    "options": {"trunk_window": {"side": 16}},
    "branch": {
        "trunk": {"steps": 9000},
        "training": {"steps": 3000},
        "models": ["no_attention", "trunk_conv7", "lcoan", "trunk_nla", "nlsn", "enlcn", "trunk_fgca", "trunk_bra"],
        "sides": [8, 32],
    },
    "claims": {},
}
#: By how many dB each arm is above the control, and how much its gains differ from seed to seed.
ARMS = {
    "no_attention": (0.0, 0.0),
    "trunk_conv7": (0.05, 0.001),
    "lcoan": (0.2, 0.001),
    "trunk_nla": (0.0, 0.001),  # lcoan is twice the lower end above it, and half of the higher
    "nlsn": (0.19, 0.001),  # no effect
    "enlcn": (0.1, 0.1),  # nobody knows
    "trunk_fgca": (0.3, 0.001),
    "trunk_bra": (0.4, 0.001),
    "trunk_window side=8": (0.1, 0.001),
    "trunk_window side=32": (0.1 + 0.31, 0.001),
}


def write(record, psnr_y, laws):
    """The record of a run: its images have this PSNR in the mean."""
    run = record.run
    record.folder.mkdir(parents=True)
    for name in ("curve.csv", "weights.safetensors"):
        (record.folder / name).touch()
    rows = [
        {"benchmark": benchmark, "name": f"image{number}", "psnr_y": psnr_y + number - 1, "ssim_y": 0.9}
        for benchmark in run.benchmarks
        for number in range(3)
    ]
    pd.DataFrame(rows).to_csv(record.folder / "images.csv", index=False)
    write_facts(record, laws)


def write_facts(record, laws):
    run = record.run
    facts = {"name": run.name, "hash": run.hash, "config": run.model_dump(mode="json"), "finished": "2026-01-01"}
    facts |= {"environment": {"kind": "cpu", "name": "EPYC", "threads": 1}, "parameters": 43210}
    facts |= {"convention": convention(run.scale), "rules": laws}
    if run.kind == "training" and run.network.model != "no_attention":
        facts["gates"] = {"groups.0": 0.1 + 0.01 * run.seed, "groups.1": 0.3}
    else:
        facts["gates"] = {}
    record.folder.mkdir(parents=True, exist_ok=True)
    (record.folder / "run.json").write_text(json.dumps(facts))


def curve(id, against, code, value, low, high, **more):
    claim = rules().costs.claims[id]
    facts = {"quantity": claim.quantity, "claimed": claim.claimed, "processes": 5, "device": "CPU EPYC"}
    facts |= {"workload": "ten layers", "from_no_effect": 2000.0, "from_claim": np.nan}
    sizes = pd.DataFrame({"height": [24, 64], "width": [24, 64], "judged": [False, True]})
    return sizes.assign(id=id, against=against, code=code, value=value, low=low, high=high, **facts | more)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of a profile of its own, all of whose runs were made by hand: no network is trained."""
    root = tmp_path_factory.mktemp("root")
    (root / "profiles").mkdir()
    (root / "profiles" / "made.yaml").write_text(yaml.safe_dump(PROFILE))
    (root / "results").mkdir()
    (root / "results" / "released-weights").symlink_to(ROOT / "results" / "released-weights")
    noise = np.random.default_rng(0)
    for folder in ("train", "benchmark/Set5/HR", "benchmark/Urban100/HR"):
        (root / "data" / folder).mkdir(parents=True)
        for number in range(3):
            picture = noise.integers(0, 255, (48, 48, 3), dtype=np.uint8)
            imsave(root / "data" / folder / f"{number}.png", picture, check_contrast=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRLAB_DATA", str(root / "data"))
        patch.setenv("SRLAB_RESULTS", str(root / "results"))
        patch.setenv("SRLAB_DEVICE", "amd-epyc")
        study = Study("made", root)
        for run in study.branches():
            gain, spread = ARMS[study.label(run)]
            write(study.record(run), 30 + run.seed + gain + spread * (-1) ** run.seed, rules().hashes())
        for run in study.comparison():
            gain = {"esc": -0.2}.get(run.network.model, 0.0)
            write(study.record(run), 30 + run.seed + gain + 0.01 * (-1) ** run.seed * gain, rules().hashes())
        timing, *_ = study.claims_timing()
        for run in study.claims_timing():
            write_facts(study.record(run), rules().hashes())
            for file in study.record(run).files[:-1]:
                file.touch()
        frames = [
            curve("lcoa-time", "trunk_nla", "as published", 70.0, 69.0, 71.0),
            curve("lcoa-time", "trunk_nla", "ours", 82.0, 81.0, 84.0, from_claim=1000.0),
            curve("lcoa-time", "enlcn", "ours", -200.0, -300.0, -100.0, from_no_effect=np.nan),
            curve("esc-flash-memory", "plain windows", "ours", 19.7, 19.7, 19.7, from_claim=576.0),
            curve("esc-hit-latency", "hit_srf", "ours", 3.7, -np.inf, np.inf, processes=1),
            curve("sscan-memory", "trunk_bra", "ours", 1.2, 1.1, 1.3),
        ]
        slopes = [("trunk_fgca", 1.02, 0.95, 1.08), ("trunk_fgca", 1.0, 0.92, 1.06), ("trunk_bra", 1.9, 1.8, 2.0)]
        slopes = pd.DataFrame(slopes, columns=["model", "slope", "low", "high"]).assign(
            id="sscan-linear",
            code="ours",
            processes=5,
            device="CPU EPYC",
            workload="one layer",
            run=timing.hash,
            from_px=[16384, 36864, 16384],
            to_px=[36864, 65536, 36864],
        )
        patch.setattr(cost_claims, "curves", lambda study: pd.concat(frames).assign(run=timing.hash))
        patch.setattr(cost_claims, "slopes", lambda study: slopes)
        yield study


@pytest.fixture(scope="module")
def rows(study):
    return examine(study)


def found(rows, id, against=None, basis=None):
    own = rows[rows["id"] == id]
    own = own if against is None else own[own["against"] == against]
    [row] = (own if basis is None else own[own["basis"] == basis]).itertuples()
    return row


def test_the_rules_hold_the_claims_as_they_were_handed_over(shared_data):
    given = pd.read_csv(shared_data.parent / "reference" / "claims.csv").set_index("id")
    ours = pd.DataFrame({name: claim.model_dump() for name, claim in published_claims().items()}).T
    ours = ours.astype({"claimed": float})
    pd.testing.assert_frame_equal(ours[given.columns], given.loc[ours.index], check_dtype=False, check_names=False)


def test_every_claim_is_there_once_for_each_contrast_and_for_each_rival_and_code(rows):
    assert tuple(rows.columns) == COLUMNS
    assert list(rows["id"].unique()) == list(published_claims())
    assert not rows.duplicated(["id", "arm", "against", "basis"]).any()
    law = rules()
    for name, claim in law.quality.claims.items():
        asked = [(each.arm, each.against, each.experiment) for each in claim.contrasts]
        own = rows[rows["id"] == name]
        assert list(own[["arm", "against", "basis"]].itertuples(index=False, name=None)) == asked
    assert set(rows["verdict"]) <= set(LOOKS)


@pytest.mark.parametrize(
    ("id", "against", "verdict", "said"),
    [
        ("lcoa-psnr-low", "trunk_nla", CONFIRMED, "as much as claimed"),
        ("lcoa-psnr-high", "trunk_nla", SMALLER, "50 % ["),
        ("lcoa-psnr-low", "nlsn", NO_EFFECT, "less than claimed"),
        ("lcoa-psnr-low", "enlcn", UNDECIDED, "may be nothing, and may be as much as claimed; "),
        ("esc-flash-psnr", "trunk_window side=8", CONFIRMED, "about as much as claimed"),
        ("esc-hit-psnr", "hit_srf", CONTRADICTED, "the other way"),
        ("sscan-psnr", "trunk_bra", CONTRADICTED, "the other way"),
        ("sscan-psnr", "lcoan", UNDECIDED, "not measured: this profile trains no sscan, from scratch"),
    ],
)
def test_claims_about_quality(rows, id, against, verdict, said):
    row = found(rows, id, against)
    assert row.verdict == verdict and said in row.sentence


def test_what_was_measured_is_the_gain_over_the_rival_of_the_same_seed(rows):
    row = found(rows, "lcoa-psnr-high", "trunk_nla")
    assert row.measured == pytest.approx(0.2) and row.share == pytest.approx(0.5)
    assert row.share_low == pytest.approx(row.low / 0.4) and row.low < 0.2 < row.high
    assert row.spread == "4 seeds, 6 images" and found(rows, "esc-flash-psnr").spread == "4 seeds, 3 images"
    assert len(row.run.split()) == 8


def test_an_undecided_one_says_how_many_seeds_would_decide(rows):
    sentence = found(rows, "lcoa-psnr-low", "enlcn").sentence
    assert " seeds would decide if mean and spread stay as they are" in sentence
    assert int(sentence.split(" seeds would")[0].split()[-1]) > len(SEEDS)


def test_the_workload_tells_size_budget_and_data(rows):
    trained = found(rows, "lcoa-psnr-low", "trunk_nla").workload
    assert "networks of 43 and 43 thousand parameters, 3 photographs, 3,000 steps of 2 patches after" in trained
    assert trained.endswith("the trunk's 9,000 steps of 2 patches, of 16×16 px; all benchmarks")
    scratch = found(rows, "esc-hit-psnr").workload
    assert "1,000 steps of 2 patches, of" in scratch and scratch.endswith("; Urban100")
    assert found(rows, "esc-hit-psnr").device == "CPU EPYC, 1 thread"


def test_what_full_size_networks_show_stands_beside_the_claim_and_comes_from_files(rows):
    [record] = [
        record
        for record in json.loads((ROOT / "results" / "released-weights" / "hit_srf_x4.json").read_text())
        if (record["model"], record["dataset"]) == ("hit_srf", "Urban100")
    ]
    published = pd.read_csv(ROOT / "srlab" / "measure" / "published.csv").query("scale == 4").set_index("method")
    esc = published.loc["ESC", "urban100_psnr"]
    note = found(rows, "esc-hit-psnr").full_size
    assert f"HiT-SRF as released reaches {record['psnr_y']:.2f} dB here" in note
    assert f"ESC {esc:.2f} dB as published, {esc - record['psnr_y']:+.2f} dB" in note
    others = rows.loc[rows["id"] != "esc-hit-psnr", "full_size"]
    assert (others == "").all()


def test_without_a_released_network_nothing_is_said(tmp_path):
    contrast = Contrast(arm="esc", against="hit_srf", experiment="from scratch", benchmark="Urban100")
    assert full_size(tmp_path, contrast) == ""


@pytest.mark.parametrize(
    ("id", "against", "code", "verdict", "said"),
    [
        (
            "lcoa-time",
            "trunk_nla",
            "as published",
            SMALLER,
            "84 % [83 to 86 %] of what is claimed; ahead from about 2,000",
        ),
        ("lcoa-time", "trunk_nla", "ours", CONFIRMED, "as claimed from about 1,000 px on"),
        ("lcoa-time", "enlcn", "ours", CONTRADICTED, "not ahead at the largest size, 4,096 px"),
        ("esc-flash-memory", "plain windows", "ours", CONFIRMED, "as claimed at every size"),
        ("esc-hit-latency", "hit_srf", "ours", UNDECIDED, "1 of the 5 processes that a verdict needs"),
        ("sscan-memory", "trunk_bra", "ours", CONFIRMED, "the claim names no number; ahead from about 2,000 px on"),
        ("sscan-linear", "trunk_bra", "ours", CONFIRMED, "within the margin; those of trunk_bra are 1.90 to 1.90"),
        ("esc-hit-memory", None, None, UNDECIDED, "not measured: the limits of time or memory came first"),
    ],
)
def test_claims_about_time_memory_and_growth(rows, id, against, code, verdict, said):
    row = found(rows, id, against, code)
    assert row.verdict == verdict and said in row.sentence
    assert row.sentence.startswith("not measured") or "CPU" in row.device


def test_growth_shows_how_far_its_slopes_reach(rows):
    row = found(rows, "sscan-linear")
    assert (row.measured, row.low, row.high) == (pytest.approx(1.01), 0.92, 1.08)
    assert np.isnan(row.share)


def test_a_margin_of_percent_is_in_percent(rows):
    assert found(rows, "lcoa-time", "trunk_nla", "ours").margin == 5.0
    assert found(rows, "sscan-memory").margin == 0.05


class TestRules:
    @pytest.fixture
    def record(self, study):
        """One whose facts are put back afterwards."""
        record = study.record(study.branches()[0])
        kept = (record.folder / "run.json").read_text()
        yield record
        (record.folder / "run.json").write_text(kept)

    @pytest.mark.parametrize(
        ("laws", "then"), [({"quality": "0123456789", "costs": "9876543210"}, "0123456789"), (None, "none")]
    )
    def test_runs_that_began_under_others_are_refused(self, study, record, laws, then):
        facts = json.loads((record.folder / "run.json").read_text())
        del facts["rules"]
        (record.folder / "run.json").write_text(json.dumps(facts if laws is None else facts | {"rules": laws}))
        again = study.record(record.run)
        with pytest.raises(InputError) as caught:
            check_rules([study.record(study.branches()[1]), again], "quality")
        told = str(caught.value)
        assert f"rules of quality are {rules().hash('quality')} now" in told and f"under others ({then})" in told
        assert f"delete {record.run.name} in {record.folder.parent}" in told and "\n" not in told
        assert told.endswith("make them anew by `srlab run --profile made`")

    def test_no_claim_is_judged_by_them(self, study):
        record = study.record(next(run for run in study.branches() if run.network.model == "lcoan"))
        kept = (record.folder / "run.json").read_text()
        try:
            write_facts(record, {})
            with pytest.raises(InputError, match="judge no run that began under others"):
                examine(study)
        finally:
            (record.folder / "run.json").write_text(kept)

    def test_nor_are_costs(self, study):
        record = study.record(study.claims_timing()[0])
        kept = (record.folder / "run.json").read_text()
        try:
            write_facts(record, rules().hashes() | {"costs": "0123456789"})
            with pytest.raises(InputError, match="rules of costs are"):
                examine(study)
            check_rules([study.record(record.run)], "quality")  # the other half judges it still
        finally:
            (record.folder / "run.json").write_text(kept)

    def test_those_in_force_are_fine(self, study):
        check_rules([study.record(run) for run in study.branches()], "quality")


def test_fewer_seeds_than_the_rules_ask_for_decide_nothing(study, monkeypatch):
    profile = study.profile.model_copy(update={"seeds": SEEDS[:2]})
    monkeypatch.setattr(study, "profile", profile)
    row = found(examine(study), "lcoa-psnr-low", "trunk_nla")
    assert row.verdict == UNDECIDED and row.sentence == "2 of the 3 seeds that a verdict needs"
    assert row.measured == pytest.approx(0.2)


@pytest.mark.parametrize("read", [False, True], ids=["in memory", "from a file"])
def test_what_people_read_names_every_comparison_and_its_verdict(rows, read, tmp_path):
    if read:
        rows.to_csv(tmp_path / "claims.csv", index=False)
        rows = pd.read_csv(tmp_path / "claims.csv")
    markdown = claims_markdown(rows)
    table = [line for line in markdown.splitlines() if line.startswith("| [")]
    assert len(table) == len(rows) - 1  # both ends of one claim are no effect against nlsn, and told once
    assert sum("+0.10 dB to +0.40 dB" in line for line in table) == 1 and "end)" not in "".join(table)
    assert "+0.200 dB [" in markdown and "**smaller**: 50 % [" in markdown
    assert "**no effect beyond ±0.05 dB**: " in markdown
    assert "lcoan against trunk_nla, branched" in markdown and "| lcoan against trunk_nla, as published" in markdown
    assert "nan" not in markdown.replace("trunk_nla", "")
    works = [line for line in markdown.splitlines() if line[:1].isdigit()]
    assert len(works) == len(set(works)) and any("the trunk's 9,000 steps" in work for work in works)
    assert "- ESC beats HiT-SRF, of full size, ×4: " in markdown


def test_the_summary_names_each_claim_once_by_where_it_is_confirmed(rows):
    first, _, *told = summary(rows).splitlines()
    assert first == f"{len(rows)} comparisons of 12 claims, counted by verdict:"
    every, some, none = told
    assert every.startswith("- **Confirmed in every comparison:** ")
    assert "LCoAN improves PSNR (1 confirmed, 1 smaller, 2 no effect, 2 undecided)" in some
    assert none.startswith("- **Confirmed in none:** ") and "not measured" in none
    counts = [
        int(number)
        for number in re.findall(r"(\d+) (?:confirmed|smaller|no effect|contra|undec|not mea)", summary(rows))
    ]
    assert sum(counts) == len(rows)


def test_of_the_table_made_by_hand_all_is_told():
    rows = claims_by_hand()
    assert all(kind in summary(rows) for kind in LOOKS) and claims_markdown(rows).count("| [") == len(rows)


@pytest.mark.parametrize("name", ["18_branched", "claims"])
def test_its_notebooks_answer_from_the_records(study, name, monkeypatch):
    """Executed here and not in a kernel, for which the costs would have to be measured."""
    monkeypatch.chdir(study.root)
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    space = {}
    for cell in cells:
        if cell.cell_type == "code":
            exec(cell.source.replace('profile = "evening"', 'profile = "made"'), space)
    answer = (study.folder / "answers" / f"{name}.md").read_text(encoding="utf-8")
    assert (study.folder / "figures" / f"{'claims' if name == 'claims' else 'branched'}.png").stat().st_size > 10_000
    if name == "claims":
        assert answer.strip() == summary(space["rows"])
    else:
        lines = answer.splitlines()
        assert "4 trunks, 6 images" in lines[0]
        assert (
            "- better: `trunk_window side=32` +0.410, `trunk_bra` +0.400, `trunk_fgca` +0.300, `lcoan` +0.200, "
            in answer
        )
        assert {"- worse: none", "- undecided: `enlcn` +0.100"} <= set(lines)
        assert "- no effect beyond ±0.05 dB: `trunk_nla` +0.000" in lines
        assert "(`trunk_conv7`): `trunk_window side=32` +0.360, `trunk_bra` +0.350, " in answer
        assert lines[-1].startswith("Gates began at 0 and ended at 0.21 (`")
