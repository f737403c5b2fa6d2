"""Figures and words of layers that reuse weights: what they say stands in their tables."""

import numpy as np
import pandas as pd
import pytest
from kept import ROOT, results
from legible import faults

from srlab.analysis.reuse import ALONE, EVEN, NEXT, NEXT_BUT_ONE, OWN, SHARED, WEIGHTS
from srlab.plots.reuse import maps, reused
from srlab.stats.reuse import gaps, mostly_query, told_by_maps, told_by_stand_ins

TABLES = results() / "released-weights" / "tables"


def read(name):
    return pd.read_csv(TABLES / f"{name}.csv")


def measured():
    return pd.DataFrame(
        {
            "benchmark": "Set5",
            "image": 2 * ["a"] + 2 * ["b"] + ["a", "b"],
            "stand_in": [SHARED, EVEN, SHARED, EVEN, OWN, OWN],
            "psnr_y": [30.0, 28.0, 32.0, 31.0, 29.5, 32.1],
        }
    )


def alike():
    rows = [
        {"image": image, "block": block, "side": side, "stand_in": name, "likeness": likeness - 0.1 * (block == 2)}
        for image in "ab"
        for block in (1, 2)
        for side in (4, 8)
        for name, likeness in {OWN: 0.9, EVEN: 0.85 if side == 8 else 0.5, ALONE: 0.3}.items()
    ]
    rows += [{**row, "stand_in": name} for row in rows if row["stand_in"] == ALONE for name in (NEXT, NEXT_BUT_ONE)]
    table = pd.DataFrame(rows)
    table.loc[(table["block"] == 2) & (table["side"] == 8) & (table["stand_in"] == EVEN), "likeness"] = 0.95
    return table


def test_changes_are_by_image_the_least_loss_first():
    lost = gaps(measured())
    assert list(lost) == [OWN, EVEN] and lost[EVEN].to_dict() == {"a": -2.0, "b": -1.0}
    assert lost.loc["b", OWN] == pytest.approx(0.1)


def test_words_say_what_the_tables_hold():
    told = told_by_stand_ins(alike(), measured())
    assert "mean cosine of 0.85, from 0.90 (block 1) to 0.80 (block 2)" in told
    assert "in 3 of 4 windows more alike than both weights" in told
    assert "own features -0.20 (-0.50 to +0.10), even -1.50 (-2.00 to -1.00)" in told
    assert "Set5, 2 images" in told


def test_the_committed_maps_say_so():
    table = read("maps")
    weights = table[(table["what"] == WEIGHTS) & (table["side"] == 4)]
    mean = weights.groupby("block")["on_query"].mean()
    assert mostly_query(table[table["what"] == WEIGHTS], 4) == [block for block in mean.index if mean[block] > 0.5]
    told = told_by_maps(table)
    assert f"(mean {mean.mean():.2f}), more than half in {(mean > 0.5).sum()} of 12 blocks" in told
    assert f"{told}\n\n{told_by_stand_ins(read('reused'), read('reused_psnr'))}\n" == (
        TABLES.parent / "answers" / "maps.md"
    ).read_text(encoding="utf-8")


def test_a_window_is_drawn_in_multiples_of_an_even_share():
    example = read("maps_example")
    figure = maps(read("maps"), example, read("maps_around"))
    assert faults(figure) == []
    pictures = [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]
    assert [part.shape[0] for part in pictures[:7]] == [40, 4, 4, 8, 8, 16, 16]
    first = example[(example["block"] == 1) & (example["side"] == 8)].sort_values(["row", "col"])
    np.testing.assert_allclose(pictures[3].ravel(), np.maximum(64 * first["weights"], 0.1))
    message = " ".join(figure.get_suptitle().split())
    blocks = len(mostly_query(read("maps").query("what == @WEIGHTS"), 4))
    assert message.startswith(f"The 4×4 windows of {blocks} of 12 blocks look mostly at the query itself")


def test_likeness_and_changes_stand_where_the_tables_say():
    figure = reused(alike(), measured())
    assert faults(figure) == []
    first, _, psnr, _ = figure.axes
    lines = {line.get_label(): line.get_ydata().tolist() for line in first.lines}
    assert lines[OWN] == pytest.approx([0.9, 0.8]) and set(lines) == {OWN, NEXT, NEXT_BUT_ONE, EVEN, ALONE}
    assert [text.get_text() for text in psnr.texts] == ["−0.20", "−1.50"]
    assert [label.get_text() for label in psnr.get_yticklabels()] == [OWN, EVEN]


def test_readme_says_what_the_committed_tables_hold():
    words = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    weights, lost = read("maps").query("what == @WEIGHTS"), gaps(read("reused_psnr")).mean()
    own = read("reused").query("stand_in == @OWN").groupby("block")["likeness"].mean()
    used = weights.query("side == 16").groupby("block")["keys_effective"].mean()
    mean = weights.query("side == 4")["on_query"].mean()
    assert f"weight {mean:.2f} on average, above one half in {len(mostly_query(weights, 4))} of 12 blocks" in words
    assert f"use {used.min():.0f} to {used.max():.0f} of 256 keys" in words
    assert f"{own[:9].min():.2f} to {own[:9].max():.2f} in nine blocks, then falling to {own.iloc[-1]:.2f}" in words
    assert own.iloc[9:].is_monotonic_decreasing and own.iloc[9] < own[:9].min()
    assert f"costs {-lost[OWN]:.2f} dB on Set5, even weights {-lost[EVEN]:.2f}" in words
