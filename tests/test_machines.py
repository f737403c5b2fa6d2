"""Faults of machines and files: names, links, terminals, permissions, variables that were left behind."""

import json
import os
import stat
import subprocess
import sys
import unicodedata

import pytest
import torch
from images import picture, write_png
from jupyter_client.kernelspec import KernelSpecManager
from kept import ROOT
from matplotlib import rc_context
from matplotlib import rcParams as current

from srlab.data import cache
from srlab.data.images import list_images
from srlab.data.layouts import benchmarks_in, image_refs, open_benchmark
from srlab.errors import InputError
from srlab.files import finite, read_table, replacing, write_json, write_text
from srlab.measure.devices import code_commit
from srlab.measure.published import render
from srlab.plots.style import HOUSE, blank
from srlab.report.notebooks import _this_python
from srlab.report.trace import trace
from srlab.study import Study
from srlab.training import first_process
from srlab.upscale import find_pictures
from srlab.weights.checkpoints import read_weights, save_tensors, unwrap


def pictures(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        write_png(folder / name, picture(16, 16, number))


# --- images ---------------------------------------------------------------------------------------------------------


def test_lr_images_beside_their_hr_images_are_left_out(tmp_path):
    pictures(tmp_path / "Set5", *(f"img_00{k}_SRF_2_{side}.png" for k in (1, 2) for side in ("HR", "LR")))
    assert [ref.name for ref in open_benchmark(tmp_path / "Set5").hr] == ["img_001_SRF_2_HR", "img_002_SRF_2_HR"]
    pictures(tmp_path / "Set5", "img_003_SRF_2_LR.png")
    with pytest.raises(InputError, match="img_003_SRF_2_LR"):
        open_benchmark(tmp_path / "Set5")


@pytest.mark.parametrize(
    "others", [("a.png", "a.bmp"), ("caf\u00e9.png", unicodedata.normalize("NFD", "caf\u00e9.bmp"))]
)
def test_two_images_of_one_name_are_refused(tmp_path, others):
    pictures(tmp_path, *others)
    with pytest.raises(InputError, match="two images of one name"):
        image_refs(tmp_path)


def test_a_broken_link_is_named_and_what_a_mac_leaves_is_no_benchmark(tmp_path):
    pictures(tmp_path / "Set5" / "HR", "a.png")
    pictures(tmp_path / "__MACOSX" / "Set5", "._a.png")
    assert [benchmark.name for benchmark in benchmarks_in(tmp_path)] == ["Set5"]
    (tmp_path / "Set5" / "HR" / "b.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"b\.png"):
        list_images(tmp_path / "Set5" / "HR")


def test_a_recursive_glob_leaves_out_results_of_before(tmp_path):
    pictures(tmp_path, "a.png")
    pictures(tmp_path / "out", "b.png")
    every = str(tmp_path / "**" / "*.png")
    assert {path.name for path in find_pictures([every])} == {"a.png", "b.png"}
    assert [path.name for path in find_pictures([every], tmp_path / "out")] == ["a.png"]
    assert len(find_pictures([every], tmp_path)) == 2  # all lie there: the overlap is an error of `upscale_files`


# --- files ----------------------------------------------------------------------------------------------------------


def test_the_longest_name_and_a_name_that_is_no_utf_8_are_written(tmp_path):
    longest = tmp_path / ("n" * 251 + ".txt")
    write_text(longest, "caf\udce9")
    assert longest.read_text(encoding="utf-8") == "caf\\udce9" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_are_readable_as_umask_says(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        save_tensors(tmp_path / "weights.safetensors", {"a": torch.zeros(1)}, {})
        with replacing(tmp_path / "text") as beside:
            beside.touch(0o600)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_names_that_look_like_numbers_or_nothing_keep_their_letters(tmp_path):
    (tmp_path / "t.csv").write_text("name,model,psnr_y\n0801,null,1\nNA,1e5,\n")
    table = read_table(tmp_path / "t.csv")
    assert table["name"].tolist() == ["0801", "NA"] and table["model"].tolist() == ["null", "1e5"]
    assert table["psnr_y"].isna().tolist() == [False, True]


def test_json_holds_no_infinite_number(tmp_path):
    found = finite([{"psnr_y": float("inf"), "n": 3, "x": [float("nan"), 1.5]}])
    assert json.dumps(found, allow_nan=False) == '[{"psnr_y": null, "n": 3, "x": [null, 1.5]}]'
    write_json(tmp_path / "a.json", {"x": (float("nan"), float("inf"), 1.5)})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {"x": [None, None, 1.5]}


def test_a_bar_in_a_name_ends_no_cell_of_a_table():
    how = dict.fromkeys(
        ("channel", "y_rounding", "border", "ssim", "lr", "sr", "tiling", "ensemble", "dtype", "device"), ""
    )
    record = {"model": "bicubic", "dataset": "B&W|50%", "scale": 2, "psnr_y": None, "ssim_y": 1.0, "images": [1]}
    [row] = [line for line in render([record | {"convention": how}]).splitlines() if "B&W" in line]
    assert row.replace("\\|", "").count("|") == 11 and "–" in row


@pytest.mark.parametrize(
    "wrapped",
    [
        {"params-ema": {"a.b": 1}},
        {"state_dict": {"params": {"a.b": 1}}},
        {"net": {"module.a.b": 1}},
        {"_orig_mod.module.a.b": 1},
        {"net_g.a.b": 1},
        {"generator": {"_forward_module.a.b": 1}},
        {"state_dict": {"model.a.b": 1}},
    ],
)
def test_weights_are_found_in_what_training_frameworks_put_around_them(wrapped, tmp_path):
    def tensors(content):
        return {k: tensors(v) if isinstance(v, dict) else torch.ones(1) for k, v in content.items()}

    found = tensors(wrapped)
    assert list(unwrap(found)) == ["a.b"]
    if isinstance(next(iter(found.values())), torch.Tensor):  # of safetensors, which nests nothing
        save_tensors(tmp_path / "a.safetensors", found, {})
        assert list(read_weights(tmp_path / "a.safetensors")[0]) == ["a.b"]


# --- environment ----------------------------------------------------------------------------------------------------


def test_a_rank_left_in_the_environment_is_no_rank(srlab, monkeypatch, tmp_path):
    for name, value in {"LOCAL_RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "1", "SLURM_NTASKS": "two"}.items():
        monkeypatch.setenv(name, value)
    assert first_process()
    monkeypatch.delenv("WORLD_SIZE")
    done = srlab("train", "--model=no_attention", "--profile=smoke", "--devices=2", SRLAB_RESULTS=str(tmp_path))
    assert done.status == 2 and "LOCAL_RANK" in done.errors


def test_notebooks_run_by_this_python_and_draw_inside(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    with _this_python(tmp_path):
        spec = KernelSpecManager().get_kernel_spec("python3")
    assert spec.argv[0] == sys.executable and "inline" in spec.env["MPLBACKEND"]


def test_the_commit_is_that_of_the_checkout_within_a_hook_of_git_too(monkeypatch, tmp_path):
    before = code_commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert code_commit() == before


def test_a_tilde_is_the_users_home_and_nobody_needs_one(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SRLAB_RESULTS", "~/results")
    monkeypatch.setenv("SRLAB_CACHE", "~/cache")
    assert Study("smoke", ROOT).folder.parent == tmp_path / "results" and cache.folder() == tmp_path / "cache"
    with pytest.raises(InputError, match=str(tmp_path)):
        trace("abcd")
    monkeypatch.delenv("SRLAB_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert cache.folder() is None
    pictures(tmp_path / "i", "a.png")
    assert len(cache.load_pairs(image_refs(tmp_path / "i"), 2)[0]) == 1


def test_figures_follow_no_matplotlibrc_and_show_dollars():
    with rc_context({"text.usetex": True, "savefig.bbox": "tight", "font.size": 30}), rc_context(HOUSE):
        assert (current["text.usetex"], current["savefig.bbox"], current["font.size"]) == (False, None, 9)
        figure = blank(2.0, 2.0)
        text = figure.text(0.5, 0.5, "a$_{b$")
        figure.draw_without_rendering()
        assert not text.get_parse_math()


def test_a_terminal_without_a_sign_ends_nothing():
    command = [sys.executable, "-m", "srlab", "weights", "list"]
    environment = os.environ | {"PYTHONIOENCODING": "cp437", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b"\\xd7" in done.stdout  # ×


def test_edges_of_options_are_sentences(srlab):
    wrong = [["profile", "--size", "0"], ["profile", "--size", "9" * 20], ["train", "--seed", "9" * 20]]
    for options in (*wrong, *(["run", "--devices", devices] for devices in ("0", "9" * 20))):
        done = srlab(*options)
        assert done.status == 2 and options[1] in done.errors and "Traceback" not in done.errors
