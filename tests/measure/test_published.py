import json

import pandas as pd
import pytest

from srlab.errors import InputError
from srlab.measure.evaluation import convention
from srlab.measure.protocol import Protocol
from srlab.measure.published import compare, published, read_records, render


def record(model="hit_srf", dataset="Set5", psnr_y=32.5691, ssim_y=0.89999, scale=4, **more):
    return {
        "model": model,
        "dataset": dataset,
        "scale": scale,
        "psnr_y": psnr_y,
        "ssim_y": ssim_y,
        "psnr_rgb": 30.65,
        "ssim_rgb": 0.87,
        "convention": convention(scale, Protocol("none")),
        "images": [{}] * 5,
        **more,
    }


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


def test_markdown_shows_the_best_of_several_in_bold_and_the_convention():
    text = render(RECORDS, "markdown")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[:5]]
    assert cells[0][:5] == ["Model", "Data set", "Scale", "n", "PSNR (dB)"]
    assert cells[2][4:7] == ["28.43", "–", "–"]
    assert cells[3][4:] == ["**32.57**", "32.55", "+0.02", "**0.9000**", "0.8999", "+0.0001"]
    assert cells[4][4:7] == ["28.86", "28.87", "−0.01"]  # alone on Set14: nothing to be better than
    assert "rounding of Y: none" in text and "Table 2 of https://arxiv.org/abs/2503.06671" in text
    assert text.count("Measured at ×4") == 1


def test_csv_has_plain_numbers(tmp_path):
    (tmp_path / "table.csv").write_text(render(RECORDS, "csv"))
    table = pd.read_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(table, compare(RECORDS), check_dtype=False)


def test_latex_is_escaped_and_bold():
    text = render(RECORDS, "latex")
    assert r"hit\_srf & Set5 & $\times$4 & 5 & \textbf{32.57} & 32.55 & +0.02" in text
    assert r"$-$0.01" in text
    assert text.split(r"\end{tabular}")[0].isascii()
    assert next(line for line in text.splitlines() if "Measured" in line).startswith("% ")


def test_conventions_that_differ_are_both_told_and_so_is_what_tiling_changed():
    other = record(dataset="Set14", convention=convention(4, Protocol("matlab", tile=64)))
    cut = {"image": "baby", "width": 128, "height": 96, "levels": 9.0, "psnr": 55.61}
    same = {**cut, "levels": 0.0, "psnr": None}
    text = render([record(), {**other, "tiling": cut}, {**record(dataset="B100"), "tiling": same}])
    assert text.count("Measured at ×4") == 2 and "rounding of Y: matlab" in text
    assert "Tiling changed hit_srf by at most 9 of 255 levels (PSNR 55.6 dB) on the middle 128×96" in text
    assert "Tiling changed hit_srf by 0 levels" in text


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', "[1]", '[{"model": "x"}]', "\x00\xff"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "records.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"records.json"):
        read_records([path])


def test_records_come_back_from_files(tmp_path):
    path = tmp_path / "records.json"
    path.write_text(json.dumps(RECORDS))
    assert read_records([path, path]) == [*RECORDS, *RECORDS]
    with pytest.raises(InputError, match="cannot be read"):
        read_records([tmp_path / "missing.json"])


@pytest.mark.parametrize(("records", "form", "told"), [(RECORDS, "html", "there are"), ([], "csv", "no rec")])
def test_bad_calls_are_refused(records, form, told):
    with pytest.raises(InputError, match=told):
        render(records, form)
