"""The chart of released networks: measured points filled, published ones hollow in a panel of their own."""

import numpy as np
import pandas as pd
import pytest
from legible import faults
from matplotlib.collections import PathCollection

from srlab.plots.field import AREA, field
from srlab.plots.style import STYLE
from srlab.stats.field import elsewhere


def rows(networks=("hit_srf", "elan_light", "dctlsa", "craft", "of_others")):
    table = pd.DataFrame({"model": networks, "dataset": "Urban100", "images": 100})
    place = np.arange(len(networks))
    table = table.assign(psnr_y=26.8 - 0.07 * place, peak_mib=300 + 200.0 * place)
    table = table.assign(median_ms=2000 + 1500.0 * (place - 1) ** 2)
    table = table.assign(q25_ms=0.95 * table["median_ms"], q75_ms=1.05 * table["median_ms"], repeats=7)
    table = table.assign(gflops=100.0, parameters=8e5, kind="cpu", name="AMD EPYC", threads=1)
    faster = table.assign(median_ms=table["median_ms"] / 4, q25_ms=table["q25_ms"] / 4, q75_ms=table["q75_ms"] / 4)
    return pd.concat([table.assign(output="1280×720"), faster.assign(output="512×512")], ignore_index=True)


def marks(ax):
    return [each for each in ax.collections if isinstance(each, PathCollection)]


@pytest.fixture(scope="module")
def figure():
    return field(rows(), elsewhere("Urban100"))


def test_it_can_be_read(figure):
    assert faults(figure) == []


def test_measured_and_published_never_share_a_panel(figure):
    first, second, published = figure.axes
    assert len(marks(first)) == len(marks(second)) == 5 and len(marks(published)) == len(elsewhere("Urban100"))
    assert all(len(mark.get_facecolors()) for ax in (first, second) for mark in marks(ax))
    assert not any(len(mark.get_facecolors()) for mark in marks(published))
    assert "not measured here" in published.get_title(loc="left")
    assert {text.get_text() for text in first.texts} == set(rows()["model"])
    assert "arxiv.org" in figure.get_supxlabel() and "AMD EPYC" in figure.get_supxlabel()


def test_points_stand_where_the_table_says_and_areas_are_memory(figure):
    own = rows().query("output == '1280×720'").sort_values("peak_mib", ascending=False)
    drawn = [(*mark.get_offsets()[0], mark.get_sizes()[0] / AREA) for mark in marks(figure.axes[0])]
    np.testing.assert_allclose(drawn, own[["median_ms", "psnr_y", "peak_mib"]])


def test_the_message_names_the_front(figure):
    message = " ".join(figure.get_suptitle().split())
    assert message == (
        "Of 5 released networks ×4 run on one CPU, elan_light and hit_srf are beaten by none in both PSNR and latency"
    )
    alone = rows().query("model in ('elan_light', 'dctlsa')")
    assert "elan_light alone is beaten by none" in " ".join(field(alone, elsewhere("Set5")).get_suptitle().split())


def test_a_network_has_its_colour_measured_and_published(figure):
    first, _, published = figure.axes
    colours = {text.get_text(): text.get_color() for ax in (first, published) for text in ax.texts}
    assert colours["hit_srf"] == colours["HiT-SRF"] and colours["elan_light"] == colours["ELAN-light"]
    assert colours["of_others"] == colours["RCAN"] and "of_others" not in STYLE
