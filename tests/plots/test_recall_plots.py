"""Figures of the recall experiment show the numbers of their tables, and say what of them is certain."""

import numpy as np
import pandas as pd
import pytest
from legible import faults

from srlab.plots import recall as plots
from srlab.plots.drawings import shown
from srlab.plots.labels import readable
from srlab.plots.style import look

SETTINGS = {"beside": (4,), "distance": (4, 16), "distractors": (0,), "side": (24,), "apart": (0.1,), "copies": (1, 2)}
SHARES = {"lcoan": 0.95, "lcoan window=24": 0.6, "trunk_bra": 0.4, "trunk_conv7": 0.02, "no_attention": -0.01}


def images(seeds: int, apart: float = 0.01) -> pd.DataFrame:
    rows = []
    for arm, share in SHARES.items():
        for seed in range(seeds):
            for dial, values in SETTINGS.items():
                for value in values:
                    row = {"arm": arm, "model": arm.split()[0], "seed": seed, "run": "r", "dial": dial, "value": value}
                    row |= {"image": 0, "recall": share + apart * seed, "invented": 0.0}
                    row |= {"found": share, "weight": share / 2, "seen": 100.0 + len(arm)}
                    if arm == "no_attention":
                        row |= dict.fromkeys(("found", "weight", "seen"), np.nan)
                    elif arm == "trunk_conv7":
                        row["weight"] = np.nan
                    rows.append(row)
    return pd.DataFrame(rows)


@pytest.fixture
def made() -> pd.DataFrame:
    return images(3)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_the_figure_of_groups_shows_each_network_and_parts_groups(made):
    groups = stats.groups(stats.recalled(made))
    figure = plots.recall(groups, stats.seeds(made))
    found, sees, weighs = figure.axes
    assert [label.get_text() for label in found.get_yticklabels()] == [
        "lcoan",
        "trunk_bra",
        "trunk_conv7",
        "no_attention",
    ]
    large = [line.get_xydata()[0, 0] for line in found.lines if line.get_marker() not in ("None", "none", None, "")]
    np.testing.assert_allclose(large, groups["recall"])
    assert [bar.get_width() for bar in sees.patches] == pytest.approx([0.96, 0.41, 0.03], abs=0.02)
    assert texts(sees) == ["none"] and texts(weighs) == ["no softmax", "none"]
    parted = sum(line.get_linestyle() == ":" for line in found.lines)
    assert parted == groups["group"].max() - 1 >= 2
    assert f"{groups['group'].max()} groups" in figure.get_suptitle() and faults(figure) == []


def test_dials_have_a_number_a_cell_and_italics_where_it_is_uncertain(made):
    for apart, style in ((0.01, "normal"), (0.3, "italic")):
        figure = plots.recall_dials(stats.recalled(images(3, apart)))
        assert [len(ax.texts) for ax in figure.axes] == [len(SHARES) * len(values) for values in SETTINGS.values()]
        assert {text.get_fontstyle() for ax in figure.axes for text in ax.texts} == {style}
    near = plots.recall_dials(stats.recalled(made)).axes[0]
    assert texts(near) == [".96", ".61", ".41", ".03", ".00"]


def test_cost_has_a_panel_a_network_of_several_sizes_or_one_of_all(made):
    costs = stats.costs(stats.recalled(made))
    [panel] = plots.recall_cost(costs).axes
    assert panel.get_title() == "lcoan" and set(texts(panel)) == {"as usual", "window 24"}
    [panel] = plots.recall_cost(costs[costs["arm"] == costs["model"]]).axes
    assert set(texts(panel)) == {"lcoan", "trunk_bra", "trunk_conv7"}


def test_curves_are_named_at_their_ends_and_names_keep_apart():
    rows = [
        {"arm": model, "model": model, "seed": seed, "step": step, "recall": share * step / 100, "run": "r"}
        for model, share in (("lcoan", 0.95), ("trunk_nla", 0.94), ("trunk_bra", 0.1))
        for seed in range(3)
        for step in (50, 100)
    ]
    figure = plots.recall_curves(pd.DataFrame(rows))
    [ax] = figure.axes
    assert sorted(texts(ax)) == ["trunk_bra", "lcoan", "trunk_nla"]
    assert {text.get_color().lower() for text in ax.texts} == {
        readable(look(model)["color"]).lower() for model in ("lcoan", "trunk_nla", "trunk_bra")
    }
    assert faults(figure) == []
    assert len(shown(figure)["axes"][0]["lines"]) == 9


def test_one_seed_has_no_intervals_and_says_so():
    table = stats.recalled(images(1))
    groups = stats.groups(table)
    figure = plots.recall(groups, stats.seeds(images(1)))
    assert "no interval" in figure.get_supxlabel() and "group" not in figure.get_suptitle()
    assert "italics" not in plots.recall_dials(table).get_supxlabel().lower()
