"""Comparing records with the published numbers."""

import json

import pandas as pd
import pytest

from srlab.errors import InputError
from srlab.measure.evaluation import convention
from srlab.measure.protocol import Protocol
from srlab.measure.published import compare, conventions, published, read_records, render


def record(model="hit_srf", dataset="Set5", psnr_y=32.5691, ssim_y=0.89999, scale=4, **more):
    named = {"model": model, "dataset": dataset, "scale": scale, "psnr_y": psnr_y, "ssim_y": ssim_y}
    rest = {"psnr_rgb": 30.65, "ssim_rgb": 0.87, "convention": convention(scale, Protocol("none")), "images": [{}] * 5}
    return named | rest | more


def test_published_numbers_are_those_of_the_paper():
    table = published().set_index(["method", "dataset", "scale"])
    assert table.loc[("HiT-SRF", "set5", 4)].tolist() == [32.55, 0.8999]
    assert table.loc[("ESC", "urban100", 2)].tolist() == [33.46, 0.9395]
    assert ("ASID-D8", "manga109", 2) not in table.index  # not reported


def test_a_difference_is_measured_less_published_as_rounded():
    [row] = compare([record()]).to_dict("records")
    assert (row["psnr_y"], row["psnr_y_published"], row["psnr_y_difference"]) == (32.57, 32.55, 0.02)
    assert (row["ssim_y"], row["ssim_y_published"], row["ssim_y_difference"]) == (0.9, 0.8999, 0.0001)
    assert row["n"] == 5


@pytest.mark.parametrize("unpublished", [{"model": "bicubic"}, {"dataset": "mine"}, {"scale": 8}, {"model": "lcoan"}])
def test_what_is_not_published_has_no_difference(unpublished):
    [row] = compare([record(**unpublished)]).to_dict("records")
    assert pd.isna(row["psnr_y_published"]) and pd.isna(row["ssim_y_difference"])
    assert row["model"] == unpublished.get("model", "hit_srf")


RECORDS = [record("bicubic", psnr_y=28.43, ssim_y=0.8113), record(), record(dataset="Set14", psnr_y=28.86)]


def test_markdown_has_numbers_signs_and_the_convention_once():
    text = render(RECORDS, "markdown")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[:5]]
    assert cells[0][:4] == ["Model", "Data set", "Scale", "n"]
    assert cells[2][4:7] == ["28.43", "–", "–"]
    assert cells[3][4:] == ["32.57", "32.55", "+0.02", "0.9000", "0.8999", "+0.0001"]
    assert cells[4][4:7] == ["28.86", "28.87", "−0.01"]
    assert text.count("×4") == 1 and "arxiv.org/abs/2503.06671" in text


def test_csv_has_plain_numbers(tmp_path):
    (tmp_path / "table.csv").write_text(render(RECORDS, "csv"))
    table = pd.read_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(table, compare(RECORDS), check_dtype=False)


def test_different_conventions_and_changes_by_tiling_are_listed():
    other = record(dataset="Set14", convention=convention(4, Protocol("matlab", tile=64)))
    cut = {"image": "baby", "width": 128, "height": 96, "levels": 9.0, "psnr": 55.61}
    same = {**cut, "levels": 0.0, "psnr": None}
    sentences = conventions([record(), {**other, "tiling": cut}, {**record(dataset="B100"), "tiling": same}])
    assert len(set(sentences)) == 4 and "55.6" in sentences[2]


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', "[1]", '[{"model": "x"}]', "\x00\xff"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "records.json"
    path.write_text(content, encoding="latin-1")
    for each in (path, tmp_path / "missing.json"):
        with pytest.raises(InputError, match=each.name):
            read_records([each])


def test_records_come_back_from_files_and_bad_calls_are_refused(tmp_path):
    path = tmp_path / "records.json"
    path.write_text(json.dumps(RECORDS))
    assert read_records([path, path]) == [*RECORDS, *RECORDS]
    for records, form, named in ((RECORDS, "html", "html"), ([], "csv", "records")):
        with pytest.raises(InputError, match=named):
            render(records, form)
