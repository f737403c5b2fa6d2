"""Self-similarity of data sets, and kinds of image that need none: measured once, and kept."""

import pandas as pd
import pytest
from kept import results

from srlab.analysis import field_kinds
from srlab.analysis.field_kinds import GENERATED, KINDS, SIMILARITY, measure_kinds, measure_similarity, read
from srlab.analysis.kinds import kinds, self_similarity
from srlab.data.layouts import held_out
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.measure.field import PROTOCOL, contenders, read_field
from srlab.models import build
from srlab.weights.checkpoints import save_network

SMALL = {"channels": 8, "groups": 1, "blocks": 1}


@pytest.fixture
def weights(tmp_path):
    def write(seed=0):
        folder = tmp_path / "weights"
        folder.mkdir(exist_ok=True)
        save_network(folder / "one.safetensors", build("no_attention", 4, seed, **SMALL), "no_attention", 4, SMALL)
        return contenders(folder)

    return write


@pytest.fixture
def few(monkeypatch):
    """Two images of each kind, so that tests take seconds."""
    found = {kind: refs[-2:] for kind, refs in kinds(embedded()).items()}
    monkeypatch.setattr(field_kinds, "kinds", lambda data: found)
    return found


def test_images_of_data_sets_are_measured_once(tmp_path, monkeypatch):
    benchmark = held_out()
    first, both = (type(benchmark)("Set5", benchmark.folder, benchmark.hr[:number]) for number in (1, 2))
    measure_similarity([first], tmp_path)
    asked = []
    monkeypatch.setattr(field_kinds, "self_similarity", lambda hr: asked.append(hr.shape) or self_similarity(hr))
    table = measure_similarity([both, type(benchmark)("B100", benchmark.folder, benchmark.hr[:1])], tmp_path)
    assert len(asked) == 2
    assert table[["dataset", "name"]].to_numpy().tolist() == [
        ["Set5", benchmark.hr[0].name],
        ["Set5", benchmark.hr[1].name],
        ["B100", benchmark.hr[0].name],
    ]
    assert table["self_similarity"].iloc[0] == pytest.approx(self_similarity(benchmark.hr[0].read()))
    pd.testing.assert_frame_equal(read(SIMILARITY, tmp_path), table)


def test_networks_meet_kinds_that_need_no_data(few, weights, tmp_path, monkeypatch):
    field = weights()
    table = measure_kinds(field, tmp_path)
    assert set(table["kind"]) == set(GENERATED) and set(table["model"]) == {"bicubic", "no_attention"}
    assert len(table) == 2 * 2 * len(GENERATED)
    own = table[(table["model"] == "bicubic") & (table["kind"] == "repeated")]
    expected = evaluate(None, few["repeated"], 4, PROTOCOL)
    assert own["psnr_y"].tolist() == pytest.approx(expected["psnr_y"].tolist())
    assert (own["self_similarity"] > 0.999).all()  # tiles that repeat exactly
    monkeypatch.setattr(field_kinds, "evaluate", lambda *args: pytest.fail("measured again"))
    pd.testing.assert_frame_equal(measure_kinds(field, tmp_path), read(KINDS, tmp_path))


def test_other_weights_of_a_network_take_the_place_of_the_first(few, weights, tmp_path):
    first = measure_kinds(weights(), tmp_path)
    again = measure_kinds(weights(seed=1), tmp_path)
    assert len(again) == len(first) and again["sha256"].nunique() == 2
    assert set(again["sha256"]) != set(first["sha256"])


def test_what_is_not_measured_is_told(tmp_path):
    with pytest.raises(InputError, match=r"kinds\.csv: no such file; `srlab field kinds` measures it"):
        read(KINDS, tmp_path)


def test_every_image_of_the_committed_records_has_its_self_similarity():
    folder = results() / "released-weights"
    records, _ = read_field(folder)
    images = {(r["dataset"], image["name"]) for r in records for image in r["images"]}
    table = read(SIMILARITY, folder)
    assert set(table[["dataset", "name"]].itertuples(index=False, name=None)) == images
    assert table["self_similarity"].between(0, 1).all()
    sums = {r["model"]: r.get("weights", {}).get("sha256", "") for r in records}
    made = read(KINDS, folder).drop_duplicates(["model", "sha256"])
    assert dict(zip(made["model"], made["sha256"], strict=True)) == sums
