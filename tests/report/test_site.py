"""Numbers on the study's page equal the tables; a section without its table is missing."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from kept import ROOT, reference
from PIL import Image

from srlab.errors import InputError
from srlab.files import read_table
from srlab.report import site_data, site_recall
from srlab.report.site import write_site
from srlab.study.records import records_in
from srlab.study.study import Study


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return site_data.Results(folder, ROOT / "results" / "reference", folder / "page")


def table(profile, name):
    return read_table(reference(profile) / "tables" / f"{name}.csv")


def test_gains_are_the_rows_of_the_table_best_first(results):
    found, rows = site_data.gains(results), table("verdicts", "branched_gains").query("benchmark == 'all'")
    assert {row["name"]: row["value"][0] for row in found["rows"]} == dict(
        zip(rows["arm"], rows["gain_db"].round(5), strict=True)
    )
    values = [row["value"] for row in found["rows"]]
    assert values == sorted(values, reverse=True) and all(low <= value <= high for value, low, high in values)


def test_finished_features_have_their_control_first_and_the_intervals_of_the_table(results):
    for profile, case in zip(site_data.FROZEN, site_data.frozen(results), strict=True):
        rows = table(profile, "frozen").set_index("arm").drop(index=["nothing", "trunk_conv7"])
        assert [row["name"] for row in case["rows"]] == [*rows.index] and rows.index[0] == "no_attention"
        drawn = [row["value"] for row in case["rows"]]
        assert drawn == rows[["over_local_db", "low_db", "high_db"]].round(5).to_numpy().tolist()
        assert case["verdict"] == (rows.loc["no_attention", "low_db"] > 0)
        assert case["below"] == (profile == "frozen")


def test_nothing_begins_where_every_larger_radius_has_that_verdict(results):
    verdicts = table("context", "context_verdicts")
    for benchmark in site_data.context(results)["benchmarks"]:
        for network in benchmark["networks"]:
            own = verdicts[(verdicts["benchmark"] == benchmark["name"]) & (verdicts["network"] == network["name"])]
            nothing = own["verdict"] == "nothing"
            least = network["from"] if network["from"] is not None else own["radius"].max() + 1
            assert nothing[own["radius"] >= least].all()
            assert not nothing[own["radius"] == own["radius"][own["radius"] < least].max()].any()


def test_a_share_of_time_saved_becomes_a_ratio(results):
    rows = table("verdicts", "cost_claims").query("id == 'lcoa-time' and against == 'nlsn' and code == 'ours'")
    case = next(case for case in site_data.costs(results)["cases"] if case["id"] == "lcoa-time")
    shown = next(row for row in case["rows"] if (row["name"], row["code"]) == ("nlsn", "ours"))
    assert case["claimed"] == pytest.approx(100 / 17)
    np.testing.assert_allclose([value for value, _, _ in shown["values"]], 100 / (100 - rows["value"]), rtol=1e-3)
    assert shown["ahead"] == "24×24"


def test_claims_count_each_contrast_once(results):
    found, rows = site_data.claims(results), table("verdicts", "claims")
    ends = rows["claim"].str.contains("upper end").sum()
    assert len(found["rows"]) == len(rows) - ends == sum(number for _, number in found["kinds"])
    assert found["claims"] == rows["id"].nunique() - 1


def test_the_page_prints_numbers_and_no_objects(results, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(results.root))
    html = write_site(Study("smoke", ROOT), results.page).read_text(encoding="utf-8").split("<script")[0]
    assert re.findall(r"&lt;[\w-]+ |\bnan\b|\bNone\b|-\d+\.\d+ dB", html) == []
    assert 'class="missing"' not in html  # every chapter of the page has kept results
    [gain] = re.findall(r'href="#photographs"><b>(\+[\d.]+) dB</b>', html)
    assert float(gain) == round(table("verdicts", "branched_gains")["gain_db"].max(), 3)


def test_a_link_has_a_preview_drawn_from_a_table(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    html = write_site(Study("smoke", ROOT), tmp_path / "page", "https://example.org/srlab").read_text(encoding="utf-8")
    said = dict(re.findall(r'<meta (?:property|name)="((?:og|twitter):[\w:]+)" content="(.*?)">', html))
    assert said["og:image"] == "https://example.org/srlab/site/preview.png"
    assert said["og:title"] and said["og:description"]
    assert said["twitter:card"] == "summary_large_image" and said["og:url"] == "https://example.org/srlab/"
    picture = tmp_path / "page" / "site" / "preview.png"
    with Image.open(picture) as shown:
        assert shown.size == (1200, 630) == (int(said["og:image:width"]), int(said["og:image:height"]))
        assert len(shown.getcolors(256)) > 20  # lines, bars and letters
    assert picture.stat().st_size < 200_000


@pytest.mark.parametrize("address", ["example.org", "/srlab"])
def test_an_address_is_one_of_the_web(tmp_path, address):
    with pytest.raises(InputError, match="address"):
        write_site(Study("smoke", ROOT), tmp_path, address)


def test_recall_in_training_is_that_of_the_kept_runs_of_the_profile(results):
    study, kept = Study("recall", ROOT), records_in(reference("recall"))
    found = site_recall.learning(results, study)
    device = reference("recall").name.removeprefix("recall-")
    planned = {run.model_copy(update={"device": device}).hash for run in study.chapter("recall").runs}
    own = [record for record in kept if record.run.hash in planned]
    assert 0 < found["finished"] == len(own) < len(kept) and found["planned"] == len(planned) == 55
    ends = sorted(run[-1] for each in found["arms"] for run in each["runs"])
    last = [record.table("curve").iloc[-1] for record in own]
    assert ends == sorted([int(row.step), round(1 - row.loss, 3)] for row in last)
    assert [each["other"] for each in found["arms"]] == ["tied=" in each["name"] for each in found["arms"]]


def test_conventions_compare_the_same_images():
    for case in site_data.conventions(ROOT / "docs" / "conventions.csv")["cases"]:
        assert len({tuple(sorted(images)) for _, images in case["psnr"]}) == 1
        usual, rgb = (dict(case["psnr"])[change] for change in ("the default", "RGB instead of Y"))
        assert all(rgb[name] < usual[name] for name in usual)


def test_windows_of_lsp_lie_together_in_the_sequence(results):
    """What the page draws as a sequence, pixels by cluster in reading order, is the one that LSP cuts."""
    steps = site_data.lsp_steps(site_data.photographs(results))
    raw = zlib.decompress(base64.b64decode(steps["maps"]))
    low, high, windows, weights = np.frombuffer(raw, np.uint8).reshape(4, -1)
    ordered = windows[np.argsort(low + 256 * high.astype(int), kind="stable")]
    inside = ordered[np.flatnonzero(ordered)[0] : np.flatnonzero(ordered)[-1] + 1]
    assert inside.tolist() == sorted(inside) and set(inside) == {1, 2, 3}
    assert steps["keys"] == len(inside) == (weights > 0).sum()


def test_a_reader_s_own_table_goes_before_the_reference(tmp_path, results):
    own = tmp_path / "context-mine" / "tables"
    own.mkdir(parents=True)
    for name in ("context", "context_verdicts"):
        table("context", name).to_csv(own / f"{name}.csv", index=False)
    mine = site_data.Results(tmp_path, results.reference, tmp_path)
    assert site_data.context(mine)["on"] == "mine"
    assert site_data.context(mine)["address"] == "context-mine/tables/context.csv"


def test_without_results_every_section_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / "own"))
    study = Study("smoke", ROOT)
    empty = tmp_path / "reference"
    empty.mkdir()
    monkeypatch.setattr(site_data.Results, "folders", lambda self, profile: [])
    monkeypatch.setattr(Study, "chapters", [])
    html = write_site(study, tmp_path / "page").read_text(encoding="utf-8")
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', html, re.S)[1])
    assert [name for name, section in facts.items() if section] == ["conventions"]
    assert html.count('class="missing"') == 12 and not (tmp_path / "page" / "site").exists()
