"""The figure of reach shows what its table holds, and can be read."""

import numpy as np
import pandas as pd
import pytest
from legible import faults
from matplotlib.collections import PathCollection

from srlab.plots.field_reach import reach

#: Networks by falling PSNR, one of them of others; the widest is not the best.
PSNR = {"dctlsa": 26.8, "hit_srf": 26.7, "craft": 26.6, "of_others": 26.5}
WIDTH = {"dctlsa": 8.0, "hit_srf": 20.0, "craft": 14.0, "of_others": 6.0}


def places(widths=WIDTH, number=12):
    random = np.random.default_rng(0)
    tables = []
    for model, psnr in PSNR.items():
        table = pd.DataFrame({"name": [f"img_{n:03d}" for n in range(number)]})
        table = table.assign(model=model, dataset="Urban100", dataset_psnr=psnr, side=96, steps=5)
        table = table.assign(diffusion_index=widths[model] + random.uniform(-1, 1, number))
        table = table.assign(gain_db=random.normal(3, 1, number), lam_50=widths[model] / 2, lam_90=2 * widths[model])
        tables.append(table.assign(erf_50=5.0, erf_90=20.0))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def figure():
    return reach(places())


def test_it_can_be_read(figure):
    assert faults(figure) == []


def test_every_place_is_a_dot_of_its_network(figure):
    wide, _, psnr, gains = figure.axes
    dots = [each.get_offsets() for each in wide.collections if isinstance(each, PathCollection)]
    order = ["hit_srf", "craft", "dctlsa", "of_others"]  # by reach
    assert [label.get_text() for label in wide.get_yticklabels()] == order
    table = places()
    for model, drawn in zip(order, dots, strict=True):
        np.testing.assert_allclose(drawn[:, 0], table.loc[table["model"] == model, "diffusion_index"])
    points = {tuple(line.get_xydata()[0]) for line in psnr.lines if line.get_marker() != "None"}
    middle = table.groupby("model")[["diffusion_index", "dataset_psnr"]].median()
    assert points == {tuple(row) for row in middle.to_numpy()}
    drawn = np.concatenate([line.get_xydata() for line in gains.lines])
    assert len(drawn) == len(table)


def test_attributed_radii_are_filled_and_receptive_ones_hollow(figure):
    radii = figure.axes[1]
    drawn = [
        (line.get_xdata()[0], line.get_markerfacecolor() == "white")
        for line in radii.lines
        if line.get_marker() != "None"
    ]
    assert drawn[:4] == [(10, False), (40, False), (5, True), (20, True)]
    assert [line.get_xdata()[0] for line in radii.lines if line.get_linestyle() == "--"] == [48]


def test_the_message_says_whether_reach_is_the_order_of_psnr(figure):
    message = " ".join(figure.get_suptitle().split())
    assert message.startswith("hit_srf draws most widely and of_others least, 20.")
    assert message.endswith("dctlsa has the highest PSNR, and reach is not the order of PSNR")
    falling = dict(zip(PSNR, (20.0, 15.0, 10.0, 5.0), strict=True))
    assert " ".join(reach(places(falling)).get_suptitle().split()).endswith("reach is the order of PSNR")
    assert "12 places of Urban100" in " ".join(figure.get_supxlabel().split())
