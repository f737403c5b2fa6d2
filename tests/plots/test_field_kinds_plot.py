"""The figure of self-similarity shows what its tables hold, and can be read."""

import numpy as np
import pandas as pd
import pytest
from legible import faults
from matplotlib.collections import PathCollection

from srlab.plots.field_kinds import similarity
from srlab.stats.field_kinds import GAIN, NOTHING, correlations
from srlab.stats.frames import ALL

#: By falling gain.
SHARE = {"hit_srf": 1.2, "dctlsa": 1.1, "of_others": 1.0}


def images():
    random = np.random.default_rng(0)
    tables = []
    for dataset, number in {"Set5": 5, "B100": 40, "Urban100": 40}.items():
        table = pd.DataFrame({"dataset": dataset, "name": [f"img_{n:03d}" for n in range(number)]})
        table["self_similarity"] = random.uniform(0.4, 1, number)
        common = 3 * table["self_similarity"] + random.normal(0, 0.3, number)
        for model, share in SHARE.items():
            tables.append(table.assign(model=model, gain_db=share * common + random.normal(0, 0.03, number)))
    return pd.concat(tables, ignore_index=True).sort_values(
        "model", key=lambda each: each.map(list(SHARE).index), kind="stable"
    )


def kinds():
    table = pd.DataFrame({"kind": ["text", "text", "repeated"], "name": list("abc"), "gain_db": [1.0, 3.0, -1.0]})
    return pd.concat([table.assign(model=model, self_similarity=0.9) for model in SHARE], ignore_index=True)


@pytest.fixture(scope="module")
def table():
    return correlations(images())


@pytest.fixture(scope="module")
def figure(table):
    return similarity(images(), table, kinds())


def test_it_can_be_read(figure):
    assert faults(figure) == []


def test_every_image_is_a_point_at_the_mean_of_networks(figure):
    scatter = figure.axes[0]
    drawn = np.concatenate([each.get_offsets() for each in scatter.collections if isinstance(each, PathCollection)])
    mean = images().groupby(["dataset", "name", "self_similarity"])["gain_db"].mean().reset_index()
    key = np.lexsort(drawn.T)
    expected = mean[["self_similarity", "gain_db"]].to_numpy()
    np.testing.assert_allclose(drawn[key], expected[np.lexsort(expected.T)])
    assert [text.get_text() for text in scatter.get_legend().get_texts()] == ["B100, 40", "Urban100, 40", "Set5, 5"]


def test_correlations_of_gains_and_leads_stand_in_rows_of_their_names(figure, table):
    _, gains, _, leads = figure.axes
    assert [label.get_text() for label in gains.get_yticklabels()] == list(SHARE)
    names = [label.get_text() for label in leads.get_yticklabels()]
    assert names == ["hit_srf − dctlsa", "hit_srf − of_others", "dctlsa − of_others"]
    marked = [line.get_xydata()[0] for line in gains.lines if line.get_marker() != "None"]
    own = table[table["against"] == "bicubic"]
    assert sorted(rho for rho, _ in marked) == pytest.approx(sorted(own["rho"]))
    small = [line.get_xydata()[0] for line in leads.lines if line.get_markersize() == 3]
    held = table[(table["control"] == GAIN) & (table["dataset"] == ALL)]
    np.testing.assert_allclose([rho for rho, _ in small], held["rho"])
    assert [round(y) for _, y in small] == [0, 1, 2]  # the last of each row


def test_kinds_have_a_row_each_and_a_mean_a_network(figure):
    by_kind = figure.axes[2]
    assert [label.get_text() for label in by_kind.get_yticklabels()] == ["text", "repeated"]
    means = [line.get_xdata()[0] for line in by_kind.lines if line.get_marker() != "None"]
    assert means == 3 * [2, -1]


def test_the_message_counts_leads_with_and_without_control(figure, table):
    whole = table[(table["dataset"] == ALL) & (table["against"] != "bicubic")]
    grow, still = ((whole["control"] == control) & (whole["low"] > 0) for control in (NOTHING, GAIN))
    message = " ".join(figure.get_suptitle().split())
    assert message.endswith(
        f"{grow.sum()} of 3 leads over another network grow with it; with the other's gain held equal {still.sum()}"
    )
    assert grow.sum() > still.sum()
