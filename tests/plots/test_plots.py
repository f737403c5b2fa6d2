import re

import faked
import numpy as np
import pandas as pd
import pytest
from kept import ROOT
from legible import faults, texts
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from scipy import stats
from srlab.plots.labels import signed
from srlab.plots.latency import BACKENDS
from srlab.stats.frames import pareto

from srlab import plots, stats
from srlab.analysis.explore import Look, Restored
from srlab.analysis.images import Made, Part
from srlab.analysis.views import Boxes, Groups, Values, View, Windows
from srlab.errors import InputError
from srlab.measure.breakdown import STAGES
from srlab.measure.limits import COLUMNS, MEASURED, MEMORY, TIME
from srlab.models import REGISTRY
from srlab.plots.maps import _means, _samples
from srlab.study.study import Study

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
            "height": size,
            "width": size,
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


def example(row=3, col=4, panels=slice(None), weights=True):
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
        panels=shown[panels],
    )


NONE, FIRST = slice(0), slice(3)


def example_look(model="lcoan", panels=FIRST, **options):
    crop = np.full((6, 6, 3), 99, np.uint8)
    restored = Restored(crop, crop, np.full((6, 6), 3.0), 30.0, 31.0)
    view = example(panels=panels, **options)
    return Look(model, "trained here", "held-out: brick", view, restored)


def parts(models):
    """The part where networks differ most, and where least: the n-th network is n levels too light."""
    hr = np.full((24, 24, 3), 99, np.uint8)

    def part(name, step):
        made = {
            model: Made(hr, np.full((24, 24), step * (1.0 + n)), 40.0 - step * n)
            for n, model in enumerate(("bicubic", *models))
        }
        return Part(name, np.full((60, 40, 3), 99, np.uint8), (8, 4, 24, 24), hr, made, step)

    return part("facade", 9.0), part("sky", 0.5)


def reached():
    """Two layers of two networks, asked at two places; the second network sees all tokens and chooses nothing."""
    rows = pd.MultiIndex.from_product([("lcoan", "trunk_nla"), ("a", "b"), (0, 1)], names=["model", "layer", "row"])
    frame = rows.to_frame(index=False)
    seen = np.where(frame["model"] == "lcoan", 16, 64)
    return frame.assign(col=0, keys_seen=seen, keys_effective=np.where(frame["model"] == "lcoan", 4 + frame["row"], 64))


def attributed():
    rows = pd.MultiIndex.from_product([MODELS[:7], ("brick", "cup"), (0, 1)], names=["model", "name", "row"])
    return rows.to_frame(index=False).assign(col=0, diffusion_index=lambda frame: 1.0 + frame["row"])


TRAINED = {"no_attention": [30.0, 30.1, 30.05], "trunk_nla": [30.2, 30.05, 30.1], "lcoan": [30.4, 30.3, 30.35]}
BICUBIC = quality({"bicubic": [29.0]}).drop(columns="model")
TIMED = {"trunk_nla": 9.0, "lcoan": 2.0, "lcoan (stored)": 1.5}
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

SEEDS = [30.0, 30.1, 30.2]


def varied(option, values, models=("lcoan",)):
    """Quality and costs of an option varied, with three seeds each."""
    kinds = [(model, value) for model in models for value in values]
    images = pd.concat(
        quality({model: SEEDS}).assign(**{option: value}, run=lambda f, v=value: f["run"] + f"-{v}")
        for model, value in kinds
    )
    images["psnr_y"] += 0.1 * images[option].rank(method="dense") * np.sin(images["seed"] + 1)
    paid = pd.concat(costs({model: 2.0}).assign(**{option: value}) for model, value in kinds)
    return images, paid


def similarity(models=("lcoan", "trunk_lsp", "trunk_window"), layers=4):
    return pd.DataFrame(
        {"model": model, "kind": kind, "seed": 0, "image": "a"}
        | {"first": i, "second": j, "similarity": 1 / (1 + abs(i - j))}
        for model in models
        for kind in ("features", "maps")
        for i in range(layers)
        for j in range(layers)
    )


def of_kinds(models=("lcoan", "trunk_nla", "trunk_window", "trunk_fgca")):
    kinds = ("buildings", "textures", "faces", "text", "nature")
    return pd.DataFrame(
        {"run": model, "model": model, "seed": seed, "kind": kind, "benchmark": kind, "name": f"{kind} {i}"}
        | {"gain_db": np.sin(seed + i), "self_similarity": i / 6}
        for model in models
        for seed in range(3)
        for kind in kinds
        for i in range(6)
    )


def layer_costs(**columns):
    """What one layer costs, a row a combination, ever more."""
    rows = pd.MultiIndex.from_product(columns.values(), names=columns).to_frame(index=False)
    facts = {"part": "non-local layers", "repeats": 5, "warmup": 1, "gflops": 2.0, "moved_mib": 30.0}
    ms = 1.0 + rows.index
    if "size" not in rows:
        facts["size"] = 128
    rows = rows.assign(**facts, median_ms=ms, q25_ms=0.9 * ms, q75_ms=1.1 * ms, peak_mib=7 * ms, run="t")
    return rows.assign(height=rows["size"], width=rows["size"])


def routes():
    made = layer_costs(top=[1, 4], mechanism=["trunk_fgca", "trunk_bra"], window=[4.0, 8.0, 16.0], size=[64, 128])
    made = made[(made["mechanism"] == "trunk_fgca") | (made["window"] == 4)]
    return made.assign(window=made["window"].where(made["mechanism"] == "trunk_fgca"))


def stages():
    """Two mechanisms, of which one does all of it at once."""
    shares = {"lcoan": (0.2, 0.1, 0.1, 0.2, 0.4), "trunk_nla": (0.0, 0.0, 0.0, 0.0, 1.0)}
    rows = [
        {"model": model, "size": 48, "stage": stage, "share": share, "ms": 5 * share, "repeats": 3, "run": "i"}
        for model, told in shares.items()
        for stage, share in zip(STAGES, told, strict=True)
    ]
    return pd.DataFrame(rows)


def limited():
    """One mechanism takes all sizes, one runs out of memory, one is too slow, one takes none."""
    rows = []
    for label, taken, state in (
        ("lcoan", 4, None),
        ("trunk_nla", 2, MEMORY),
        ("trunk_bra", 3, TIME),
        ("sscan", 0, TIME),
    ):
        for number, side in enumerate((64, 128, 256, 512)[: taken + (state is not None)]):
            numbers = [2.0**number] * 3 + [5, 2.0**number] if number < taken else [np.nan] * 5
            rows.append((label, side, 2 * side, MEASURED if number < taken else state, *numbers))
    return pd.DataFrame(rows, columns=COLUMNS).rename(columns={"label": "model"}).assign(run="l")


def roofs():
    rows = layer_costs(model=["lcoan", "trunk_nla", "trunk_nla_shared", "trunk_lsp", "esc"])
    return rows.assign(gflops_per_s=90.0, gib_per_s=9.0, floor_ms=0.3)


def branched():
    """Gains of some arms with their intervals, of each trunk, and gates; one of them known from one trunk only."""
    arms = ["trunk_window side=32", "lcoan", "trunk_conv7"]
    gain = np.array([0.2, 0.04, -0.1])
    gains = pd.DataFrame({"arm": arms, "gain_db": gain, "low_db": gain - 0.03, "high_db": gain + 0.03})
    gains.loc[2, ["low_db", "high_db"]] = -np.inf, np.inf
    seeds = gains[["arm", "gain_db"]].merge(pd.DataFrame({"seed": range(4)}), how="cross")
    gates = seeds.assign(layer="groups.0", open=0.1 + 0.1 * seeds["seed"])
    return gains.assign(margin_db=0.05, seeds=4, images=65), seeds, gates


def training_curves():
    steps = np.arange(1, 41)
    return pd.concat(
        CURVES.iloc[:1]
        .drop(columns=["step", "validation_psnr"])
        .merge(pd.DataFrame({"step": steps, "validation_psnr": 30 - 9 / steps + seed / 9}), how="cross")
        .assign(run=f"{model}-{seed}", model=model, seed=seed)
        for model in TRAINED
        for seed in range(3)
    )


def boxes(groups, column):
    rows = [{"update": group, "seed": i % 3, "name": f"i{i}", column: i / 20} for group in groups for i in range(20)]
    return pd.DataFrame(rows)


UPDATES = ("frozen", "λ = 0", "λ = 0.9", "λ = 0.999")
MODELS = [model for model in plots.STYLE if model not in ("bicubic", "esc_light", "esc_fp", "esc_rib")]

FIGURES = {
    "training": lambda: plots.training(CURVES),
    "pictures": lambda: plots.pictures(
        [[("a", example().picture)], [("b", example().picture), ("c", example().picture)]], "Two rows", "Of greys."
    ),
    "crops": lambda: plots.crops(*parts(("no_attention", "trunk_nla_shared", *MODELS[3:9])), 2),
    "crops_of_one": lambda: plots.crops(*parts(("lcoan",)), 4),
    "gallery": lambda: plots.gallery(
        [example_look(model, panels=slice(n % 7), weights=model != "hit_srf") for n, model in enumerate(MODELS[:9])]
    ),
    "gains": lambda: plots.gains(quality(TRAINED)),
    "sharing": lambda: plots.sharing(quality(TRAINED), costs({"trunk_nla": 9.0, "lcoan": 2.0})),
    "sweep": lambda: plots.sweep(swept(quality(SWEPT)), swept(costs({"k4": 2.0, "k8": 3.0})), EVEN, "clusters", "gini"),
    "cluster_sizes": lambda: plots.cluster_sizes({4: np.array([9, 1, 0, 0]), 8: np.arange(8)}),
    "scaling": lambda: plots.scaling(costs(TIMED, sizes=(32, 64))),
    "inside": lambda: plots.DRAWINGS["inside"].draw(stages()),
    "comparison": lambda: plots.comparison(quality(TRAINED), costs(dict.fromkeys(TRAINED, 5.0)), BICUBIC),
    "attention": lambda: plots.attention(
        [example_look(), example_look("trunk_nla", panels=NONE), example_look("hit_srf", panels=NONE, weights=False)]
    ),
    "attention_of_others": lambda: plots.attention([example_look(panels=slice(3, 6)), example_look("sscan")]),
    "weight_maps": lambda: plots.weight_maps([{"lcoan": example(), "trunk_nla": example(panels=NONE)}] * 2, reached()),
    "panel_maps": lambda: plots.panel_maps([{"lcoan": example()}, {"lcoan": example(row=1)}]),
    "convergence": lambda: plots.convergence(training_curves()),
    "comparison_of_all": lambda: plots.comparison(
        quality({m: [seed + 0.03 * (7 * i % 19) for seed in SEEDS] for i, m in enumerate(MODELS)}),
        costs({m: 1.0 + i for i, m in enumerate(MODELS)}).assign(
            parameters=lambda frame: 1e3 * frame["median_ms"], peak_mib=lambda frame: frame["median_ms"]
        ),
        BICUBIC,
    ),
    "reach": lambda: plots.reach(
        example().picture, (3, 4), dict.fromkeys(MODELS[:7], (np.eye(8, 10) + 1e-9, np.eye(8, 10))), attributed()
    ),
    "clusters": lambda: plots.DRAWINGS["clusters"].draw(
        swept(quality(SWEPT)), swept(costs({"k4": 2.0, "k8": 3.0})), EVEN
    ),
    "window": lambda: plots.DRAWINGS["window"].draw(*varied("window", [16, 32]), EVEN.assign(window=[16, 16, 32, 32])),
    "centroids": lambda: plots.DRAWINGS["centroids"].draw(
        pd.concat(varied("update", [update])[0] for update in UPDATES),
        boxes(UPDATES, "degrees"),
        boxes(UPDATES, "gini"),
    ),
    "depth": lambda: plots.DRAWINGS["depth"].draw(similarity(), *varied("renewed", [1, 2, 4])),
    "sides": lambda: plots.DRAWINGS["sides"].draw(varied("side", [8, 16, 32], ["trunk_window"])[0]),
    "units": lambda: plots.DRAWINGS["units"].draw(*varied("groups", [1, 2, 4], ["no_attention", "lcoan"])),
    "photographs": lambda: plots.DRAWINGS["photographs"].draw(
        varied("photographs", [5, 20, 80], ["no_attention", "lcoan"])[0]
    ),
    "kinds": lambda: plots.DRAWINGS["kinds"].draw(of_kinds()),
    "backends": lambda: plots.DRAWINGS["backends"].draw(layer_costs(side=[8, 16, 32, 64], backend=list(BACKENDS))),
    "routing": lambda: plots.DRAWINGS["routing"].draw(routes()),
    "scales": lambda: plots.DRAWINGS["scales"].draw(layer_costs(model=list(TRAINED), scale=[2, 3, 4, 16])),
    "limits": lambda: plots.DRAWINGS["limits"].draw(limited()),
    "roofline": lambda: plots.DRAWINGS["roofline"].draw(roofs()),
    "branched": lambda: plots.DRAWINGS["branched"].draw(*branched()),
    "claims": lambda: plots.DRAWINGS["claims"].draw(faked.claims()),
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

    assert figure.get_figwidth() <= 7 and texts(figure)
    assert faults(figure) == []
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= -0.02 and drawn.x1 <= width + 0.02 and drawn.y0 >= -0.02 and drawn.y1 <= height + 0.02


def test_every_network_has_its_own_look():
    assert set(REGISTRY) <= set(plots.STYLE)
    assert len(set(plots.STYLE.values())) == len(plots.STYLE)
    stored = plots.look("lcoan (stored)")
    assert stored["color"] == plots.look("lcoan")["color"]
    assert (stored["markerfacecolor"], stored["linestyle"]) == ("white", "--")
    with pytest.raises(InputError, match="'unheard_of' has no colour"):
        plots.look("unheard_of")


def test_means_are_over_images_and_then_over_seeds():
    [row] = stats.means(quality({"lcoan": [30.0, 31.0]})).query("benchmark == 'Set5'").to_dict("records")
    assert row["psnr_y"] == pytest.approx(30.5 + 2.5)
    assert (row["lowest_db"], row["highest_db"]) == pytest.approx((32.5, 33.5))
    assert (row["images"], row["seeds"], row["run"]) == (6, 2, "lcoan-0 lcoan-1")


def test_gains_are_paired_by_image_and_seed():
    gains = stats.paired(quality({"no_attention": [30.0, 31.0], "lcoan": [30.5, 31.1]}), "model", "no_attention")
    assert len(gains) == 2 * 2 * len(NAMES)
    assert gains.groupby("seed")["gain_db"].agg(["min", "max"]).to_numpy() == pytest.approx(
        np.array([[0.5, 0.5], [0.1, 0.1]])
    )


def test_one_seed_tells_nothing_apart():
    differences = stats.differences(quality({"no_attention": [30.0], "lcoan": [35.0]}))
    assert not differences["told_apart"].any()
    said = stats.verdict(differences)
    assert "No verdict" in said and "1 seed cannot tell a network from its luck" in said and "+5.000 dB" in said


def test_two_seeds_tell_nothing_apart_either():
    differences = stats.differences(quality({"no_attention": [30.0, 30.1], "lcoan": [35.0, 35.1]}))
    assert not differences["told_apart"].any() and not differences["equal"].any()
    said = stats.verdict(differences)
    assert "No verdict" in said and "2 seeds cannot tell a network from its luck: 3 or more can" in said


def test_an_interval_that_holds_zero_tells_nothing_apart():
    differences = stats.differences(quality({"no_attention": [30.0, 30.2, 30.1], "lcoan": [30.1, 29.9, 30.2]}))
    assert (differences["low_db"] < 0).all() and (differences["high_db"] > 0).all()
    assert not differences["told_apart"].any()
    said = stats.verdict(differences)
    ends = differences.loc[differences["benchmark"] == stats.ALL, ["low_db", "high_db"]].abs()
    [told] = re.findall(r"\*\*Not told apart\*\* within ±([\d.]+) dB: `lcoan`\.", said)
    assert ends.to_numpy().max() <= float(told) < ends.to_numpy().max() + 0.001
    assert not {"better", "worse", "Told"} & set(re.findall(r"\w+", said))


def test_an_interval_without_zero_is_told_apart():
    trained = TRAINED | {"lcoan": [30.4, 30.52, 30.46], "enlcn": [29.4, 29.52, 29.46]}
    differences = stats.differences(quality(trained)).set_index(["benchmark", "model"])
    for benchmark in ("Set5", "Set14", stats.ALL):
        lcoan, trunk_nla, enlcn = (differences.loc[benchmark, model] for model in ("lcoan", "trunk_nla", "enlcn"))
        assert lcoan["low_db"] > 0 and lcoan["told_apart"] and not lcoan["equal"]
        assert trunk_nla["low_db"] < 0 < trunk_nla["high_db"] and not trunk_nla["told_apart"]
        assert enlcn["high_db"] < 0 and enlcn["told_apart"]
        assert lcoan["run"] == "lcoan-0 lcoan-1 lcoan-2"
    said = stats.verdict(differences.reset_index())
    assert "`lcoan` is better on all benchmarks, +0.410 [+0." in said
    assert "`enlcn` is worse on all benchmarks, -0.590 [-0." in said
    assert "simultaneous for 3 comparisons" in said and re.search(r"within ±[\d.]+ dB: `trunk_nla`\.$", said)


def test_intervals_are_simultaneous_over_the_arms_of_a_benchmark_whatever_their_reference():
    trained = {"no_attention": [30.0, 30.1, 30.05], "trunk_nla": [30.2, 30.05, 30.1], "lcoan": [30.4, 30.3, 30.35]}
    alone = stats.differences(quality({m: trained[m] for m in ("no_attention", "lcoan")}))
    lone, together = (
        (rows["high_db"] - rows["low_db"])[rows["model"] == "lcoan"].iloc[0]
        for rows in (alone, stats.differences(quality(trained)))
    )
    t = stats.t(2)
    assert together / lone == pytest.approx(t.ppf((1 + 0.95**0.5) / 2) / t.ppf(0.975))
    images, _ = varied("photographs", [5, 20], ["no_attention", "lcoan"])
    each = stats.differences(images, "photographs", 5, within="model")
    [own] = (
        stats.differences(images[images["model"] == "lcoan"], "photographs", 5).query("benchmark == 'all'").itertuples()
    )
    both = each.query("benchmark == 'all'").set_index("model")
    assert both.index.tolist() == ["no_attention", "lcoan"] and both.loc["lcoan", "gain_db"] == pytest.approx(
        own.gain_db
    )
    assert both.loc["lcoan", "high_db"] > own.high_db


def test_a_gain_within_the_margin_is_equal_and_may_be_told_apart():
    gains = {"no_attention": [30.0, 31.0, 32.0], "lcoan": [30.02, 31.021, 32.019], "trunk_nla": [30.1, 30.9, 32.0]}
    rows = stats.differences(quality(gains)).query("benchmark == 'all'").set_index("model")
    assert rows.loc["lcoan", ["told_apart", "equal"]].tolist() == [True, True]
    assert rows.loc["trunk_nla", ["told_apart", "equal"]].tolist() == [False, False]
    assert rows["spread_db"].tolist() == pytest.approx([0.001, 0.1])
    strict = stats.differences(quality(gains), margin=0.01).query("benchmark == 'all'").set_index("model")
    assert not strict["equal"].any() and strict.loc["lcoan", "told_apart"]


def test_of_one_seed_figures_have_no_intervals_and_say_so():
    one = {model: seeds[:1] for model, seeds in TRAINED.items()}
    photographs = varied("photographs", [5, 20], ["no_attention", "lcoan"])[0].query("seed == 0")
    for figure in (
        plots.gains(quality(one)),
        plots.sharing(quality(one), costs({"trunk_nla": 9.0, "lcoan": 2.0})),
        plots.DRAWINGS["photographs"].draw(photographs),
    ):
        FigureCanvasAgg(figure).draw()
        assert "one seed: no interval" in " ".join(figure.get_supxlabel().split())
        ends = [path.vertices for ax in figure.axes for lines in ax.collections for path in lines.get_paths()]
        assert all(np.isfinite(each).all() for each in ends)
    for figure in (
        plots.gains(quality(TRAINED)),
        plots.DRAWINGS["photographs"].draw(varied("photographs", [5, 20])[0]),
    ):
        assert "95 % intervals over seeds" in " ".join(figure.get_supxlabel().split())


def test_what_an_image_gains_beyond_the_axis_is_an_arrow_with_its_value():
    far = quality(TRAINED | {"lcoan": [30.4, 30.3, 30.35]}, noise=0.01)
    far = pd.concat([far.assign(name=far["name"] + str(i)) for i in range(20)])
    worst = (far["model"] == "lcoan") & (far["name"] == "image00") & (far["benchmark"] == "Set5")
    far.loc[worst, "psnr_y"] -= 9
    [five, fourteen] = plots.gains(far).axes
    low, high = five.get_xlim()
    assert -8 < low < 0
    dots = np.concatenate([marks.get_offsets() for marks in five.collections if isinstance(marks, PathCollection)])
    assert len(dots) == 2 * 120  # every image of both networks is there
    assert (dots[:, 0] == low).sum() == 1 and ((low <= dots[:, 0]) & (dots[:, 0] <= high)).all()
    gains = stats.paired(far, "model", "no_attention").set_index(["model", "benchmark", "name"])["gain_db"]
    farthest = gains.sort_index().loc["lcoan", "Set5", "image00"].mean()
    assert [text.get_text() for text in five.texts] == [signed(farthest)]
    assert [text.get_text() for text in fourteen.texts] == []


def test_gains_over_the_smallest_value_have_the_intervals_of_the_paired_table():
    images, paid = varied("clusters", [4, 8])
    figure = plots.DRAWINGS["clusters"].draw(images, paid, EVEN)
    found = stats.differences(images, "clusters", 4).query("benchmark == 'all'")
    [bars] = [bars for bars in figure.axes[0].collections if isinstance(bars, LineCollection)]
    [ends] = bars.get_segments()
    assert ends[:, 1] == pytest.approx(found[["low_db", "high_db"]].to_numpy()[0])


def test_the_table_of_one_seed_shows_no_infinite_ends_and_keeps_them(tmp_path):
    rows = stats.differences(quality({"no_attention": [30.0], "lcoan": [35.0]}))
    assert "inf" not in stats.table(rows, tmp_path, "gains").to_html().split("</style>")[1]
    assert np.isinf(pd.read_csv(tmp_path / "tables" / "gains.csv")["low_db"]).all()


def test_all_benchmarks_weigh_every_image_alike():
    frame = quality({"no_attention": [30.0], "lcoan": [30.5]})
    few = (frame["benchmark"] == "Set14") & (frame["name"] != NAMES[0])
    frame = frame[~few].copy()
    frame.loc[(frame["benchmark"] == "Set14") & (frame["model"] == "lcoan"), "psnr_y"] -= 1.4
    differences = stats.differences(frame).set_index("benchmark")
    assert differences["gain_db"].to_dict() == pytest.approx({"Set5": 0.5, "Set14": -0.9, "all": 2.1 / 7})
    assert differences["images"].to_dict() == {"Set5": 6, "Set14": 1, "all": 7}
    assert differences["images_higher"].to_dict() == {"Set5": 6, "Set14": 0, "all": 6}
    assert stats.ALL not in set(stats.differences(frame[frame["benchmark"] == "Set5"])["benchmark"])


def test_late_gains_are_those_of_the_last_quarter():
    steps = pd.DataFrame({"step": [2, 4, 6, 8], "validation_psnr": [20.0, 21.0, 21.5, 21.6]})
    rising = steps.assign(run="a", model="lcoan", seed=0)
    short = steps.iloc[:1].assign(run="b", model="lcoan", seed=1)
    late = stats.late_gains(pd.concat([rising, short])).set_index("run")["late_db"]
    assert late.to_dict() == pytest.approx({"a": 0.1, "b": 0.0})
    assert "still rose by 0.05 (`lcoan`) to 0.05 dB" in stats.settled(pd.concat([rising, short]))


def test_the_pareto_front_is_what_nothing_beats():
    table = pd.DataFrame({"ms": [1, 2, 2, 3, 4], "gain_db": [0.1, 0.3, 0.2, 0.2, 0.4]}, index=list("abcde"))
    assert list(pareto(table.iloc[::-1], "ms").index) == ["a", "b", "e"]


STUDY = Study("smoke", ROOT)


def test_table_names_runs_and_marks_the_best(tmp_path):
    table = stats.overview(quality(TRAINED), costs(dict.fromkeys(TRAINED, 5.0)), BICUBIC)
    html = stats.table(table, tmp_path, "overview", ["benchmark"]).to_html()
    written = pd.read_csv(tmp_path / "tables" / "overview.csv")
    assert len(written) == 2 * 4 and written["run"].notna().all()
    assert written["run"][0] == stats.NO_RUN and written["model"][0] == "bicubic"
    bold = re.search(r"((?:#T_\w+, ?)*#T_\w+) \{\s*font-weight: bold", html).group(1)
    rows = {int(row) for row, column in re.findall(r"row(\d+)_col(\d+)", bold) if column == "4"}
    best = table.reset_index(drop=True).groupby("benchmark")["psnr_y"].idxmax()
    assert rows == set(best) and "–" in html


def test_no_run_is_said_in_a_sentence():
    with pytest.raises(InputError, match="no run to show"):
        stats.quality([])


def test_view_in_panels():
    figure = plots.attention([example_look(panels=slice(None)), example_look("trunk_nla", panels=NONE)])
    words = [text.get_text().replace("\n", " ") for ax in figure.axes for text in ax.texts]
    assert {"LR, held-out: brick", "clusters", "sorted windows", "kernel", "−0.97 to 0.97"} <= set(words)
    assert words.count("SR, 30.00 dB (31.00 dB here)") == 2


def test_a_figure_that_is_filled_again_is_as_a_new_one():
    """Also after looks that need other places, and with nothing of them left over."""
    figure = Figure((7, 5))
    pictures = []
    for looks in ([example_look()], [example_look(), example_look(panels=NONE)], [example_look(row=1)]):
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


def test_a_gallery_says_whether_networks_or_layers_differ():
    for models, who in ((("lcoan", "trunk_nla"), "networks"), (("lcoan", "lcoan", "trunk_nla"), "layers")):
        message = plots.gallery([example_look(model) for model in models]).get_suptitle()
        assert message.startswith(f"From one pixel {who} see")
