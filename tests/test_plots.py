import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from srlab import plots
from srlab.errors import InputError
from srlab.explore import Look, Restored
from srlab.inspection import Boxes, Groups, Values, View, Windows
from srlab.models import REGISTRY
from srlab.plots.maps import _means, _samples

NAMES = [f"image{i}" for i in range(6)]


def quality(means, noise=0.0):
    """Images of runs: {model: PSNR of each seed}."""
    rows = [
        {
            "run": f"{model}-{seed}",
            "model": model,
            "seed": seed,
            "benchmark": benchmark,
            "name": name,
            "psnr_y": psnr + i + noise * np.sin(7 * i + psnr),
            "ssim_y": 0.9,
        }
        for model, seeds in means.items()
        for seed, psnr in enumerate(seeds)
        for benchmark in ("Set5", "Set14")
        for i, name in enumerate(NAMES)
    ]
    return pd.DataFrame(rows)


def costs(times, parts=("network", "non-local layers"), sizes=(64,)):
    """Costs of runs: {model: milliseconds}; the quartiles are 10 % away."""
    rows = [
        {
            "run": f"{model}-0",
            "model": model,
            "part": part,
            "size": size,
            "median_ms": ms * (size / 64) ** 2,
            "q25_ms": 0.9 * ms * (size / 64) ** 2,
            "q75_ms": 1.1 * ms * (size / 64) ** 2,
            "repeats": 5,
            "warmup": 1,
            "peak_mib": 2.0 * (size / 64) ** 4,
            "gflops": 1.0,
            "parameters": 1000,
        }
        for model, ms in times.items()
        for part in parts
        for size in sizes
    ]
    return pd.DataFrame(rows)


def swept(table):
    """The same with k for the models' names."""
    table = table.assign(clusters=table["model"].str.removeprefix("k").astype(int), model="lcoan")
    return table


def example(row=3, col=4, panels=True, weights=True):
    maps = np.arange(80).reshape(8, 10)
    shown = (
        Groups("clusters", maps // 20, 1),
        Windows("sorted windows", maps // 20),
        Boxes("window and its 2 chosen", (0, 4, 4, 4), ((4, 4, 4, 4), (4, 8, 4, 4))),
        Values("position bias", np.where(maps < 40, maps / 40.0, np.nan), on_image=True, signed=True),
        Values("kernel", np.eye(3), on_image=False),
        Values("receptive field", maps / 80.0, on_image=True, logarithmic=True),
    )
    return View(
        layer="LSP, groups.0.attention",
        row=row,
        col=col,
        picture=np.full((8, 10, 3), 99, np.uint8),
        weights=np.where(maps < 40, 1 / 40, 0) if weights else None,
        seen=(maps < 40).astype(int),
        panels=shown if panels else (),
    )


def example_look(model="lcoan", **options):
    crop = np.full((6, 6, 3), 99, np.uint8)
    restored = Restored(crop, crop, np.full((6, 6), 3.0), 30.0, 31.0)
    return Look(model, "trained", "LSP, layer 1 of 2", "held-out: brick", example(**options), restored)


TRAINED = {"edsr_like": [30.0, 30.1, 30.05], "nlan": [30.2, 30.05, 30.1], "lcoan": [30.4, 30.3, 30.35]}
BICUBIC = quality({"bicubic": [29.0]}).drop(columns="model")
TIMED = {"nlan": 9.0, "lcoan": 2.0, "lcoan (stored)": 1.5}
EVEN = pd.DataFrame(
    {"run": "k", "seed": 0, "clusters": [4, 4, 8, 8], "window": 16, "name": ["a", "b"] * 2}
    | {"gini": [0.1, 0.2, 0.5, 0.6], "largest": 0.5, "empty": [0, 0, 1, 1], "pure_windows": 0.9}
)
SWEPT = {"k4": [30.0, 30.1], "k8": [30.2, 30.3]}
CURVES = pd.DataFrame(
    {
        "run": "r",
        "model": "lcoan",
        "seed": 0,
        "step": [2, 4],
        "loss": [0.2, 0.1],
        "validation_psnr": [20.0, 21.0],
    }
)

FIGURES = {
    "training": lambda: plots.training(CURVES),
    "pictures": lambda: plots.pictures(
        [[("a", example().picture)], [("b", example().picture), ("c", example().picture)]]
    ),
    "gains": lambda: plots.gains(quality(TRAINED)),
    "sharing": lambda: plots.sharing(quality(TRAINED), costs({"nlan": 9.0, "lcoan": 2.0})),
    "sweep": lambda: plots.sweep(
        swept(quality(SWEPT)), swept(costs({"k4": 2.0, "k8": 3.0})), EVEN, "clusters", "gini"
    ),
    "cluster_sizes": lambda: plots.cluster_sizes({4: np.array([9, 1, 0, 0]), 8: np.arange(8)}),
    "scaling": lambda: plots.scaling(costs(TIMED, sizes=(32, 64))),
    "comparison": lambda: plots.comparison(quality(TRAINED), costs(dict.fromkeys(TRAINED, 5.0)), BICUBIC),
    "attention": lambda: plots.attention(
        [example_look(), example_look("nlan", panels=False), example_look("hit_srf", weights=False)]
    ),
    "weight_maps": lambda: plots.weight_maps([{"lcoan": example(), "nlan": example(panels=False)}] * 2),
    "panel_maps": lambda: plots.panel_maps([{"lcoan": example()}]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_saved_alike_each_time_and_readable(name, tmp_path):
    figure = FIGURES[name]()
    plots.save(figure, tmp_path, name)
    written = {file.name: file.read_bytes() for file in (tmp_path / "figures").iterdir()}
    assert set(written) == {f"{name}.png", f"{name}.svg"}
    assert b"<dc:date>" not in written[f"{name}.svg"]
    plots.save(FIGURES[name](), tmp_path, name)
    assert all((tmp_path / "figures" / file).read_bytes() == content for file, content in written.items())

    assert figure.get_figwidth() <= 7
    texts = [t for t in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")) if t.get_text()]
    assert texts and min(text.get_fontsize() for text in texts) >= 5.6  # mathtext's exponents are smaller
    canvas = figure.bbox
    for text in texts:
        if text.get_visible() and text.axes is None:
            box = text.get_window_extent()
            assert box.x0 >= canvas.x0 - 1 and box.x1 <= canvas.x1 + 1


def test_every_network_has_its_own_look():
    assert set(REGISTRY) <= set(plots.STYLE)
    assert len(set(plots.STYLE.values())) == len(plots.STYLE)
    stored = plots.look("lcoan (stored)")
    assert stored["color"] == plots.look("lcoan")["color"]
    assert (stored["markerfacecolor"], stored["linestyle"]) == ("white", "--")
    with pytest.raises(InputError, match="'unheard_of' has no colour"):
        plots.look("unheard_of")


def test_means_are_over_images_and_then_over_seeds():
    [row] = plots.means(quality({"lcoan": [30.0, 31.0]})).query("benchmark == 'Set5'").to_dict("records")
    assert row["psnr_y"] == pytest.approx(30.5 + 2.5)
    assert (row["lowest_db"], row["highest_db"]) == pytest.approx((32.5, 33.5))
    assert (row["images"], row["seeds"], row["run"]) == (6, 2, "lcoan-0 lcoan-1")


def test_gains_are_paired_by_image_and_seed():
    gains = plots.paired(quality({"edsr_like": [30.0, 31.0], "lcoan": [30.5, 31.1]}), "model", "edsr_like")
    assert len(gains) == 2 * 2 * len(NAMES)
    assert gains.groupby("seed")["gain_db"].agg(["min", "max"]).to_numpy() == pytest.approx(
        np.array([[0.5, 0.5], [0.1, 0.1]])
    )


def test_one_seed_tells_nothing_apart():
    differences = plots.differences(quality({"edsr_like": [30.0], "lcoan": [35.0]}))
    assert not differences["told_apart"].any()
    said = plots.verdict(differences)
    assert "No verdict" in said and "with 1 seed each" in said and "+5.000 dB" in said


def test_two_seeds_part_by_luck_too_often():
    assert [plots.luck(seeds) for seeds in (1, 2, 3)] == pytest.approx([1, 1 / 3, 1 / 10])
    differences = plots.differences(quality({"edsr_like": [30.0, 30.1], "lcoan": [35.0, 35.1]}))
    assert not differences["told_apart"].any()
    assert "33% of equal networks would part by luck" in plots.verdict(differences)


def test_overlapping_seeds_tell_nothing_apart():
    differences = plots.differences(quality({"edsr_like": [30.0, 30.2, 30.1], "lcoan": [30.1, 30.4, 30.3]}))
    assert not differences["told_apart"].any()
    assert "No verdict" in plots.verdict(differences) and "cannot tell" in plots.verdict(differences)


def test_separate_seeds_are_told_apart():
    differences = plots.differences(quality(TRAINED)).set_index(["benchmark", "model"])
    assert differences.loc[("Set5", "lcoan"), "told_apart"]
    assert not differences.loc[("Set5", "nlan"), "told_apart"]
    said = plots.verdict(differences.reset_index())
    assert "`lcoan` on Set5 +0.300 dB" in said and "other 2 of 4" in said and "No verdict" not in said


def test_faster_only_where_quartiles_part():
    alone = costs({"nlan": 9.0, "lcoan": 2.0, "lspn": 2.1})
    assert "`lcoan` takes 0.22 times as long as `nlan` on 64×64 px" in plots.cheaper(alone, "lcoan", "nlan")
    assert "is not told apart in time (quartiles overlap)" in plots.cheaper(alone, "lcoan", "lspn")


def test_growth_of_known_powers():
    growth = plots.growth(costs({"nlan": 1.0}, sizes=(16, 32, 64)))
    assert growth["time_exponent"].tolist() == pytest.approx([1, 1])
    assert growth["memory_exponent"].tolist() == pytest.approx([2, 2])
    assert (growth["from_px"] == 32).all() and (growth["to_px"] == 64).all()


def test_table_names_runs_and_marks_the_best(tmp_path):
    table = plots.overview(quality(TRAINED), costs(dict.fromkeys(TRAINED, 5.0)), BICUBIC)
    html = plots.table(table, tmp_path, "overview", ["benchmark"]).to_html()
    written = pd.read_csv(tmp_path / "tables" / "overview.csv")
    assert len(written) == 2 * 4 and written["run"].notna().all()
    assert written["run"][0] == plots.NO_RUN and written["model"][0] == "bicubic"
    bold = re.search(r"((?:#T_\w+, ?)*#T_\w+) \{\s*font-weight: bold", html).group(1)
    rows = {int(row) for row, column in re.findall(r"row(\d+)_col(\d+)", bold) if column == "4"}
    best = table.reset_index(drop=True).groupby("benchmark")["psnr_y"].idxmax()
    assert rows == set(best) and "–" in html


def test_no_run_is_said_in_a_sentence():
    with pytest.raises(InputError, match="no run to show"):
        plots.quality([])


def test_view_in_words_and_panels():
    assert plots.describe(example()).endswith(
        "sees 40 of 80 tokens; half of its weight lies on 20, at most 2.5 % on one."
    )
    assert plots.describe(example(weights=False)).endswith("without softmax, so there are no weights.")
    figure = plots.attention([example_look(), example_look("nlan", panels=False)])
    words = [text.get_text().replace("\n", " ") for ax in figure.axes for text in ax.texts]
    assert {"LR, held-out: brick", "clusters", "sorted windows", "kernel", "−0.97 to 0.97"} <= set(words)
    assert words.count("SR, 30.00 dB (31.00 dB here)") == 2


def test_a_figure_that_is_filled_again_is_as_a_new_one():
    """Also after looks that need other places, and with nothing of them left over."""
    figure = Figure((7, 5))
    pictures = []
    for looks in ([example_look()], [example_look(), example_look(panels=False)], [example_look(row=1)]):
        for target in (plots.attention(looks, figure), plots.attention(looks, Figure((7, 5)))):
            target.canvas = FigureCanvasAgg(target)
            target.canvas.draw()
            pictures.append(np.asarray(target.canvas.buffer_rgba()).copy())
        again = plots.attention(looks, figure)
        again.canvas.draw()
        assert np.array_equal(np.asarray(again.canvas.buffer_rgba()), pictures[-1])
        assert np.array_equal(pictures[-2], pictures[-1])


def test_maps_that_are_large_are_drawn_smaller():
    assert [plots.shrink_factor(shape) for shape in ((128, 5), (129, 5), (100, 400))] == [1, 2, 4]
    values = np.arange(200 * 130, dtype=float).reshape(200, 130)
    values[0, 0] = np.nan
    shrunk = _means(values)
    assert shrunk.shape == (100, 65)
    assert shrunk[3, 4] == values[6:8, 8:10].mean()
    assert shrunk[0, 0] == np.nanmean(values[:2, :2])
    labels = np.arange(200 * 130).reshape(200, 130)
    assert np.array_equal(_samples(labels), labels[1::2, 1::2])
    assert _means(values[:50, :50]) is not None and _samples(labels[:50, :50]).shape == (50, 50)
