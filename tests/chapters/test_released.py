"""Released networks: measured from a folder of weights, or shown from kept records; tables, figures, answer."""

import os

import numpy as np
import pandas as pd
import pytest
from images import write_png
from kept import ROOT, reference
from made_records import study_of

from srlab.chapters.released import frames, run
from srlab.chapters.released.frames import GAIN, NOTHING
from srlab.chapters.released.texts import field as said_of_field
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.files import checksum
from srlab.models import build
from srlab.models.registry import label
from srlab.stats.gains import ALL
from srlab.study.chapter import Tables
from srlab.study.records import pack
from srlab.study.study import Study
from srlab.weights.checkpoints import save_network
from srlab.weights.identify import weights_in

SMALL = {
    "elan_light": {"channels": 6, "layers": 6, "sides": (2, 4)},
    "trunk_nla": {"channels": 8, "groups": 1, "blocks": 1},
}
BENCHMARKS = {"Set5": 2, "Urban100": 4}
PROFILE = {"scale": 4, "benchmarks": list(BENCHMARKS), "timing": {"repeats": 2, "warmup": 1}}
PROFILE |= {"chapters": {"released": {"places": 2}}}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two small networks ×4 of random weights, and one ×2, which is not measured."""
    folder = tmp_path_factory.mktemp("weights")
    for name, options in SMALL.items():
        save_network(folder / f"{name}.safetensors", build(name, 4, 0, **options), name, 4, options)
    options = SMALL["trunk_nla"]
    save_network(folder / "x2.safetensors", build("no_attention", 2, 0, **options), "no_attention", 2, options)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory, weights, patch):
    """A study with its chapter made: small images and crops."""
    root = tmp_path_factory.mktemp("root")
    for benchmark, number in BENCHMARKS.items():
        for n, ref in enumerate(embedded().benchmarks["held-out"][:number]):
            write_png(root / f"data/benchmark/{benchmark}/HR/{n}.png", ref.read()[:, :96, :96])
    patch.setenv("SRLAB_DATA", str(root / "data"))
    patch.setenv("SRLAB_WEIGHTS", str(weights))
    patch.setattr("srlab.chapters.released.reach.SIDE", 16)
    patch.setattr("srlab.chapters.released.reach.STEPS", 1)
    patch.setattr(run, "SIZES", ((12, 20), (16, 16)))
    study = study_of(root, PROFILE, patch)
    study.chapter("released").tables()
    return study


def test_every_network_of_the_scale_is_measured_each_way(study, weights):
    runs = study.chapter("released").runs
    assert [each.slug for each in runs] == [
        "released-quality-bicubic-x4",
        "released-quality-elan_light-x4",
        "released-quality-trunk_nla-x4",
        "released-costs-all-x4",
        "released-reach-elan_light-x4",
        "released-reach-trunk_nla-x4",
        "released-maps-elan_light-x4",
    ]
    assert runs[1].weights == {"elan_light": checksum(weights / "elan_light.safetensors")}
    assert all(study.record(each).finished for each in runs)
    facts = study.record(runs[0]).facts
    assert facts["convention"]["y_rounding"] == "none" and not facts["parameters"]


def test_other_weights_other_images_and_other_settings_are_other_runs(study, tmp_path, monkeypatch):
    known = {each.slug: each.hash for each in study.chapter("released").runs}
    more = study.varied(released={"places": 3, "networks": ["trunk_nla"]}).chapter("released").runs
    assert {each.measured for each in more if each.hash not in known.values()} == {"costs", "reach"}
    options = SMALL["trunk_nla"]
    save_network(tmp_path / "trunk_nla.safetensors", build("trunk_nla", 4, 1, **options), "trunk_nla", 4, options)
    monkeypatch.setenv("SRLAB_WEIGHTS", str(tmp_path))
    others = Study("made", study.root).chapter("released").runs
    assert [each.slug for each in others if each.hash in known.values()] == ["released-quality-bicubic-x4"]
    with pytest.raises(InputError, match="craft"):
        _ = study.varied(released={"networks": "craft"}).chapter("released").runs


def test_two_files_of_one_network_are_refused(weights, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.safetensors").write_bytes((weights / "trunk_nla.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"one\.safetensors and two\.safetensors"):
        weights_in(tmp_path, 4)


def test_tables_join_what_was_measured(study):
    tables = study.chapter("released").tables()
    quality = tables["released_quality"].set_index(["model", "dataset"])
    assert quality["images"].to_dict() == {
        (model, dataset): number for model in ("bicubic", *SMALL) for dataset, number in BENCHMARKS.items()
    }
    assert quality["published_psnr_y"].notna().to_dict()["elan_light", "Urban100"]
    field = tables["field"]
    assert field["output"].tolist() == 2 * ["80×48", "64×64"] and set(field["dataset"]) == {"Urban100"}
    assert (field[["median_ms", "peak_mib", "gflops", "parameters"]] > 0).all(axis=None)
    assert field["psnr_y"].iloc[0] == pytest.approx(quality.loc[("elan_light", "Urban100"), "psnr_y"])
    assert tables["reach_places"]["name"].nunique() == 2 and len(tables["reach_pairs"]) == 1
    images = tables["similarity_images"]
    assert len(images) == 2 * 6 and images["self_similarity"].between(0, 1).all()
    assert set(tables["maps"]["block"]) == {1, 2, 3} and set(tables["reused_psnr"]["benchmark"]) == {"Set5"}
    assert all("run" in tables[name] for name in ("released_quality", "field", "reach_places", "maps", "reused"))


def test_figures_and_the_answer_are_drawn_from_tables(study):
    chapter = study.chapter("released")
    tables = chapter.tables()
    panels = {name: len(draw(tables).axes) for name, draw in chapter.module.FIGURES.items()}
    assert panels == {"field": 2, "reach": 2, "similarity": 2, "maps": 3 * 2 + 1 + 2, "reused": 1}
    field = chapter.module.FIGURES["field"](tables)
    marks = [sum(line.get_linestyle() == "None" for line in ax.lines) for ax in field.axes]
    assert marks == [len(SMALL), len(tables["field_published"])]
    assert len(chapter.answer().data.split("\n\n")) == 4


def test_the_answer_names_whom_none_beats_for_every_output_size():
    tables = Tables(reference("released"))
    said = said_of_field(tables)
    for size, own in tables["field"].groupby("output"):
        named = said.partition(f"for {size} px out ")[2].partition(";")[0]
        for row in own.itertuples():
            beaten = ((own["psnr_y"] > row.psnr_y) & (own["median_ms"] < row.median_ms)).any()
            assert (label(row.model) in named) != beaten


def test_without_weights_kept_records_are_shown(study, tmp_path, monkeypatch):
    kept = tmp_path / "results" / "reference" / "released-cpu"
    kept.parent.mkdir(parents=True)
    os.symlink(study.folder / "runs", tmp_path / "runs")
    kept.mkdir()
    pack(tmp_path).rename(kept / "runs.zip")
    (tmp_path / "profiles").symlink_to(study.root / "profiles")
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.delenv("SRLAB_WEIGHTS")
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / "own"))
    clone = Study("made", tmp_path)
    chapter = clone.chapter("released")
    assert chapter.runs == [] and clone.runs() == []
    tables = chapter.tables()
    for name, frame in study.chapter("released").tables().items():
        pd.testing.assert_frame_equal(tables[name], frame)
    one = clone.varied(released={"networks": ["trunk_nla"]}).chapter("released").tables()
    assert set(one["released_quality"]["model"]) == {"bicubic", "trunk_nla"}
    (kept / "runs.zip").unlink()
    with pytest.raises(InputError, match="SRLAB_WEIGHTS"):
        Study("made", tmp_path).chapter("released").tables()


def test_settings_come_before_nothing_and_after_the_environment(study, weights, monkeypatch):
    monkeypatch.delenv("SRLAB_WEIGHTS")
    assert study.released(2) == {} and study.chapter("released").runs == []
    varied = study.varied(weights=str(weights))
    assert {file.path.parent for file in varied.released(2).values()} == {weights}
    assert len(varied.chapter("released").runs) == 7
    monkeypatch.setenv("SRLAB_WEIGHTS", "elsewhere")
    with pytest.raises(InputError, match=str(study.root / "elsewhere")):
        varied.released(2)


# --- tables of frames made by hand ------------------------------------------------------------------------------------

#: Share of the common gain: the lead grows where all gain, and self-similarity says nothing beyond that.
SHARE = {"bicubic": 0.0, "lesser": 1.0, "better": 1.2}
SETS = {"Set5": 5, "B100": 60, "Urban100": 80}


@pytest.fixture(scope="module")
def gains():
    random, tables = np.random.default_rng(0), []
    for dataset, number in SETS.items():
        similar = random.uniform(0.4, 1, number)
        common = 3 * similar + random.normal(0, 0.3, number)
        for model, share in SHARE.items():
            psnr = 25 + share * common + random.normal(0, 0.1 * (share > 1), number)
            names = [f"img_{n:03d}" for n in range(number)]
            table = pd.DataFrame({"model": model, "dataset": dataset, "name": names, "psnr_y": psnr, "run": model})
            tables.append(table.assign(self_similarity=similar if model == "bicubic" else np.nan))
    return frames.gains(pd.concat(tables, ignore_index=True))


def test_gains_are_over_bicubic_on_the_same_image(gains):
    assert list(gains["model"].unique()) == ["better", "lesser"] and len(gains) == 2 * sum(SETS.values())
    own = gains[gains["model"] == "lesser"]
    assert np.corrcoef(own["gain_db"], own["self_similarity"])[0, 1] > 0.8


def test_a_lead_that_grows_only_because_all_gain_is_found_out(gains):
    table = frames.correlations(gains)
    assert table.groupby("dataset")["images"].first().to_dict() == {ALL: 145, "B100": 60, "Urban100": 80}
    together = table[table["dataset"] == ALL].set_index(["model", "against", "control"])
    assert (together.loc[[("better", "bicubic", NOTHING), ("lesser", "bicubic", NOTHING)], "low"] > 0.7).all()
    assert together.loc[("better", "lesser", NOTHING), "low"] > 0.3
    assert together.loc[("better", "lesser", GAIN), "low"] < 0 < together.loc[("better", "lesser", GAIN), "high"]
    with pytest.raises(InputError, match="3"):
        frames.correlations(gains[(gains["dataset"] == "Set5") & gains["name"].isin(["img_000", "img_001", "img_002"])])


def test_networks_are_compared_at_places_that_all_share():
    random, psnr = np.random.default_rng(0), {"middle": 27.0, "wide": 26.8, "narrow": 26.6}
    reach = pd.concat(
        pd.DataFrame({"model": model, "name": [f"{n:02d}" for n in range(20)], frames.INDEX: width}, index=range(20))
        for model, width in {"middle": 10.0, "wide": 20.0, "narrow": 10.0}.items()
    ).reset_index(drop=True)
    reach[frames.INDEX] += random.normal(0, 1, len(reach))
    reach = reach.assign(**dict.fromkeys(frames.REACH[1:], 1), run="a").iloc[:-1]
    quality = pd.DataFrame({"model": psnr, "dataset": "Urban100", "psnr_y": psnr}).rename_axis(None)
    quality["model"] = list(psnr)
    places = frames.places(reach, quality, "Urban100")
    assert list(places["model"].unique()) == list(psnr) and places["name"].nunique() == 19
    pairs = frames.pairs(places).set_index(["model", "against"])
    assert list(pairs.index) == [("middle", "wide"), ("middle", "narrow"), ("wide", "narrow")]
    apart, same = pairs.loc[("wide", "narrow")], pairs.loc[("middle", "narrow")]
    assert apart["difference"] == pytest.approx(10, abs=1) and apart["low"] > 8 and apart["wider"] == 1
    assert same["low"] < 0 < same["high"]


def test_kept_records_are_within_hundredths_of_what_is_published():
    [folder] = ROOT.glob("results/reference/released-*")
    quality = pd.read_csv(folder / "tables" / "released_quality.csv").dropna(subset="published_psnr_y")
    assert set(quality["model"]) == {"hit_srf", "elan_light"} and len(quality) == 8
    assert (quality["psnr_y"].round(2) - quality["published_psnr_y"]).abs().max() <= 0.021
    assert (quality["ssim_y"].round(4) - quality["published_ssim_y"]).abs().max() <= 0.0031
