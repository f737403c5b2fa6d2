"""Figures show what their tables hold: those drawn here, and every one that is kept in results/."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kept import references, results
from matplotlib.figure import Figure

from srlab import plots, stats
from srlab.errors import InputError

#: Kept studies with figures of numbers.
STUDIES = [folder for folder in (*references(), results() / "released-weights") if any(folder.glob("figures/*.json"))]
#: What tables of gains are made of: the images, by what, against what.
GAINS = {
    "sharing": ("model", "no_attention"),
    "comparison": ("model", "no_attention"),
    "clusters": ("clusters", min),
    "window": ("window", min),
    "centroids": ("update", lambda updates: updates.iloc[-1]),
    "depth": ("renewed", 1),
    "sides": ("side", min),
    "units": ("network", None),
    "photographs": ("photographs", min),
}


def read(study, table):
    return pd.read_csv(study / "tables" / f"{table}.csv")


def images():
    keys = pd.MultiIndex.from_product(
        [["no_attention", "trunk_nla", "lcoan"], [0, 1, 2], ["Set5", "B100"], ["a", "b", "c"]],
        names=["model", "seed", "benchmark", "name"],
    ).to_frame(index=False)
    gain = 0.1 * (keys["model"] == "lcoan")
    noise = np.random.default_rng(0).normal(0, 0.03, len(keys))
    run = keys["model"] + keys["seed"].astype(str)
    return keys.assign(run=run, psnr_y=30 + gain + noise, ssim_y=0.9)


def costs():
    rows = pd.DataFrame({"model": ["no_attention", "trunk_nla", "lcoan"], "part": "non-local layers", "size": 64})
    ms = np.array([1 / 3, 2 / 3, 1e-3 / 7])
    return rows.assign(median_ms=ms, q25_ms=0.9 * ms, q75_ms=1.1 * ms, repeats=5, peak_mib=1e6 * ms, run="t")


def numbers(part):
    """What is shown as one list: words as they are, numbers where they stand."""
    if isinstance(part, dict):
        return [found for key in sorted(part) for found in [key, *numbers(part[key])]]
    if isinstance(part, list):
        return [len(part), *(found for each in part for found in numbers(each))]
    return [part]


def check(study, name):
    """A figure of a study, drawn again, shows the numbers that are kept beside it."""
    kept = numbers(json.loads((study / "figures" / f"{name}.json").read_text()))
    again = numbers(plots.shown(plots.redraw(name, study)))
    words, others = (
        [part for part in kept if isinstance(part, str)],
        [p for p in again if isinstance(p, str)],
    )
    assert words == others
    assert [part is None for part in kept] == [part is None for part in again]
    both = ([part for part in side if part is not None and not isinstance(part, str)] for side in (kept, again))
    # Nine digits are kept; sums may end a little otherwise on another machine.
    np.testing.assert_allclose(*both, rtol=1e-6, atol=1e-9)


class TestDraw:
    @pytest.fixture
    def study(self, tmp_path):
        plots.draw("sharing", tmp_path, images(), costs())
        return tmp_path

    def test_a_drawing_is_written_with_its_tables_and_what_it_shows(self, study):
        written = {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()}
        assert written == {
            *(f"tables/sharing_{name}.csv" for name in ("images", "costs")),
            *(f"figures/sharing.{end}" for end in ("png", "svg", "json")),
        }
        pd.testing.assert_frame_equal(read(study, "sharing_images"), images())

    def test_drawn_again_from_the_tables_it_shows_exactly_the_same(self, study):
        kept = json.loads((study / "figures" / "sharing.json").read_text())
        assert plots.shown(plots.redraw("sharing", study)) == kept
        gain, time, memory = kept["axes"]
        assert time["title"].startswith("(b) time") and memory["y"] == "peak memory (MiB)"
        for each in (2 / 3, 1e-3 / 7):
            assert [line for line in time["lines"] if line[0][1] == pytest.approx(each, rel=1e-8)]
        found = stats.differences(images()).query("benchmark == 'all'")
        places = {0: "trunk_nla", 1: "lcoan"}  # each in its column of the 2×2
        singles = {places[line[0][0]]: line[0][1] for line in gain["lines"] if len(line) == 1}
        assert singles == pytest.approx(found.set_index("model")["gain_db"].to_dict(), rel=1e-8)
        assert set(gain["words"]) == {"trunk_nla", "lcoan"}
        assert len(gain["marks"]) == 2 and len(gain["marks"][0]) == 6  # an image a mark
        moved = found.set_index("model")["gain_db"]
        assert (
            f"lcoan 0 % of trunk_nla's time; PSNR moves by {moved['lcoan'] - moved['trunk_nla']:+.3f} dB"
            in kept["message"]
        )
        assert "bars: 95 % intervals over seeds" in kept["note"]
        check(study, "sharing")

    @pytest.mark.parametrize(("table", "column"), [("sharing_images", "psnr_y"), ("sharing_costs", "median_ms")])
    def test_a_table_that_was_tampered_with_is_found(self, study, table, column):
        changed = read(study, table)
        changed.loc[len(changed) - 1, column] *= 1.01
        changed.to_csv(study / "tables" / f"{table}.csv", index=False)
        with pytest.raises(AssertionError):
            check(study, "sharing")

    def test_a_row_less_is_found(self, study):
        read(study, "sharing_costs").iloc[:-1].to_csv(study / "tables" / "sharing_costs.csv", index=False)
        with pytest.raises(AssertionError):
            check(study, "sharing")

    def test_a_missing_table_and_an_unknown_drawing_are_told(self, study):
        (study / "tables" / "sharing_costs.csv").unlink()
        with pytest.raises(InputError, match=r"sharing_costs\.csv: no such table"):
            plots.redraw("sharing", study)
        with pytest.raises(InputError, match="drawing 'sherry' is unknown; there are: sharing, clusters"):
            plots.redraw("sherry", study)


def test_what_is_shown_are_words_lines_marks_bars_and_cells():
    ax = Figure().subplots()
    ax.plot([1, 2], [3, np.nan])
    ax.scatter([5], [1 / 3])
    ax.bar([0], [2.5], width=1)
    ax.imshow([[0.0, 1.0]])
    ax.text(1, 2, "two")
    ax.set(xlabel="side", ylabel="ms", title="one")
    ax.figure.suptitle("It grows")
    ax.figure.supxlabel("1 repeat")
    axes = {
        "x": "side",
        "y": "ms",
        "title": "one",
        "words": ["two"],
        "lines": [[[1, 3], [2, None]]],
        "marks": [[[5, 0.333333333]]],
        "bars": [[-0.5, 1, 0, 2.5]],
        "cells": [[[0, 1]]],
    }
    assert plots.shown(ax.figure) == {"message": "It grows", "note": "1 repeat", "axes": [axes]}


def test_an_answer_is_kept_for_the_report(tmp_path):
    shown = stats.answer("It **holds**.", tmp_path, "claims")
    assert shown.data == "It **holds**."
    assert (tmp_path / "answers" / "claims.md").read_text() == "It **holds**.\n"


KEPT = [(study, path.stem) for study in STUDIES for path in sorted(study.glob("figures/*.json"))]
COMPARED = [
    (study, name)
    for study in STUDIES
    for name in GAINS
    if (study / "tables" / f"{name}_images.csv").is_file() and (study / "tables" / f"{name}_gains.csv").is_file()
]


def named(value):
    return value.name if isinstance(value, Path) else value


@pytest.mark.parametrize(("study", "name"), KEPT, ids=named)
def test_committed_figures_show_what_their_tables_hold(study, name):
    check(study, name)


def gains_of(study, name):
    """The table of gains, computed again from that of images."""
    by, reference = GAINS[name]
    quality = read(study, f"{name}_images")
    if name == "units":
        quality = quality.assign(network=quality["model"] + " " + quality["groups"].astype(str))
        reference = f"no_attention {quality['groups'].min()}"
    if callable(reference):
        reference = reference(quality[by])
    if name == "photographs":
        return stats.differences(quality, by, reference, within="model")
    return stats.differences(quality, by, reference)


def check_gains(study, name):
    kept, again = read(study, f"{name}_gains"), gains_of(study, name).reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, again, check_dtype=False, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("study", "name"), COMPARED, ids=named)
def test_committed_gains_follow_from_the_images(study, name):
    check_gains(study, name)


def test_gains_that_do_not_follow_are_found(tmp_path):
    plots.draw("sharing", tmp_path, images(), costs())
    gains = stats.differences(read(tmp_path, "sharing_images"))
    stats.table(gains, tmp_path, "sharing_gains")
    check_gains(tmp_path, "sharing")
    stats.table(gains.assign(high_db=gains["high_db"] + 0.001), tmp_path, "sharing_gains")
    with pytest.raises(AssertionError):
        check_gains(tmp_path, "sharing")


def strangers(study):
    """Runs that tables name and that have no folder: (table, hash)."""
    hashes = {folder.name.rsplit("-", 1)[1] for folder in (study / "runs").iterdir()} | {stats.NO_RUN}
    return [
        (path.name, run)
        for path in sorted(study.glob("tables/*.csv"))
        for cell in pd.read_csv(path, dtype=str).get("run", pd.Series(dtype=str)).unique()
        for run in str(cell).split()
        if run not in hashes
    ]


@pytest.mark.parametrize("study", references(), ids=named)
def test_committed_tables_name_runs_that_are_there(study):
    assert strangers(study) == []


def test_a_run_that_is_not_there_is_found(tmp_path):
    stats.table(pd.DataFrame({"ms": [1.0, 2.0], "run": ["aa none", "bb"]}), tmp_path, "times")
    (tmp_path / "runs" / "timing-x2-aa").mkdir(parents=True)
    assert strangers(tmp_path) == [("times.csv", "bb")]
    shutil.rmtree(tmp_path / "runs" / "timing-x2-aa")
    (tmp_path / "runs" / "timing-x2-bb").mkdir()
    assert strangers(tmp_path) == [("times.csv", "aa")]
