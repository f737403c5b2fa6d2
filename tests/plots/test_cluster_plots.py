import numpy as np
import pandas as pd
import pytest
from legible import faults, texts
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from srlab import plots, stats
from srlab.analysis import centroids
from srlab.analysis.centroids import ClusterMap, view_cluster
from srlab.analysis.sorting import effective
from srlab.plots import clusters as drawing
from srlab.study.study import Study

STEPS = (1, 20, 40)


def example(angles=(0, 10, 80, 90), light=(10, 80, 160, 250), sizes=(4, 4, 4, 4)):
    """A map, four tokens a row, of clusters in these directions (degrees) whose tokens are so light."""
    clusters = np.repeat(np.arange(len(sizes)), sizes).reshape(-1, 4)
    picture = np.array(light, np.uint8)[clusters][..., None].repeat(3, -1)
    radians = np.radians(angles)
    directions = np.stack([np.cos(radians), np.sin(radians)], 1)
    return ClusterMap(picture, clusters, np.linspace(0, 1, clusters.size).reshape(-1, 4), directions)


def drifts(k=4, run="a", speed=1.0):
    rows = [
        {
            "run": run,
            "seed": 0,
            "clusters": k,
            "layer": "groups.0.attention",
            "step": step,
            "cluster": cluster,
            "from_previous": np.nan if step == 1 else speed * cluster,
            "from_first": speed * cluster * i,
            "from_last": speed * cluster * (2 - i),
        }
        for i, step in enumerate(STEPS)
        for cluster in range(k)
    ]
    return pd.DataFrame(rows, columns=centroids.DRIFT)


def evenness(k=4, run="a"):
    rows = [
        {"run": run, "seed": 0, "clusters": k, "layer": "groups.0.attention", "step": step, "name": name}
        | {"gini": 0.5 + i / 10, "largest": 0.5, "empty": 0, "elsewhere": 0.1 * (2 - i)}
        for i, step in enumerate(STEPS)
        for name in "xy"
    ]
    return pd.DataFrame(rows, columns=centroids.EVENNESS)


WAYS = ("as trained", "iterated", "iterated, re-seeding", "anew from points", "anew by k-means++")
#: Of 24 tokens in 4 clusters.
HELD = ((24, 0, 0, 0), (20, 4, 0, 0), (12, 6, 4, 2), (6, 6, 6, 6), (10, 6, 4, 4))


def by_way(seeds=(0, 1), held=HELD):
    """Sizes of clusters, and evenness of two images, for each way."""
    own = [
        {"run": f"run{seed}", "seed": seed, "clusters": 4, "way": way} | {"held": np.array(each)}
        for seed in seeds
        for way, each in zip(WAYS, held, strict=True)
    ]
    sizes = pd.DataFrame(own).explode("held").rename(columns={"held": "tokens"}).astype({"tokens": int})
    sizes["rank"] = np.tile([1, 2, 3, 4], len(own))
    rows = [
        {key: row[key] for key in ("run", "seed", "clusters", "way")}
        | {"name": name, "gini": 0.5, "largest": row["held"].max() / 24, "effective": effective(row["held"])}
        | {"empty": (row["held"] == 0).sum() + (name == "x")}
        for row in own
        for name in "xyz"
    ]
    return sizes, pd.DataFrame(rows)


MAP = example()
COLOURS = plots.cluster_colours([MAP])
VIEW = view_cluster("lcoan", {1: MAP, 40: example(sizes=(12, 4, 0, 0))}, 40, 1, drifts())
NOTHING = (drifts().iloc[:0], evenness().iloc[:0])

FIGURES = {
    "cluster_maps": lambda: plots.cluster_maps({"k = 4": (MAP, COLOURS), "again": (MAP, COLOURS)}),
    "patch_sheet": lambda: plots.patch_sheet([MAP, MAP], [2, 0], COLOURS, columns=4, side=3),
    "centroid_drift": lambda: plots.centroid_drift(
        pd.concat([drifts(), drifts(8, "b")]), pd.concat([evenness(), evenness(8, "b")])
    ),
    "not_kept": lambda: plots.centroid_drift(*NOTHING),
    "cluster_ways": lambda: plots.cluster_ways(*by_way()),
    "cluster_view": lambda: plots.cluster_view(VIEW),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_saved_alike_each_time_and_readable(name, tmp_path):
    for again in ("one", "two"):
        figure = FIGURES[name]()
        plots.save(figure, tmp_path / again, name)
    for end in ("png", "svg"):
        one, two = (tmp_path / again / "figures" / f"{name}.{end}" for again in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert figure.get_figwidth() <= 7 and texts(figure)
    assert faults(figure) == []
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= -0.02 and drawn.x1 <= width + 0.02 and drawn.y0 >= -0.02 and drawn.y1 <= height + 0.02


def lightness(colours):
    return colours @ (0.2126, 0.7152, 0.0722)


def test_colours_follow_directions_and_run_from_dark_to_light():
    """Whatever the sign of the principal component."""
    assert (np.diff(lightness(COLOURS)) > 0).all()
    reverse = plots.cluster_colours([example(light=(250, 160, 80, 10))])
    assert (np.diff(lightness(reverse)) < 0).all()


def test_large_clusters_are_told_apart_and_small_ones_take_little_room():
    colours = plots.cluster_colours([example(angles=(0, 45, 46, 90), sizes=(100, 1, 3, 100))])
    light = lightness(colours)
    assert light[3] - light[0] > 0.35 and light[2] - light[1] < 0.1


def test_colours_of_several_images_are_of_their_sum():
    other = example(sizes=(0, 0, 8, 8))
    both = plots.cluster_colours([MAP, other])
    assert np.allclose(both, plots.cluster_colours([example(sizes=(4, 4, 12, 12))]))


def test_the_map_is_in_the_colours_and_the_chosen_cluster_in_its_own():
    ax = Figure().subplots()
    drawing.draw_cluster_map(ax, MAP, COLOURS)
    assert np.array_equal(ax.images[0].get_array(), COLOURS[MAP.clusters])
    drawing.draw_cluster_map(ax, MAP, COLOURS, 2)
    shown = ax.images[1].get_array()
    assert np.allclose(shown[MAP.clusters == 2], to_rgb(drawing.CHOSEN))
    assert not (np.asarray(shown[MAP.clusters != 2]) == to_rgb(drawing.CHOSEN)).all(-1).any()


def test_bars_are_the_largest_clusters_the_chosen_one_and_the_rest():
    ax = Figure().subplots()
    drawing.draw_cluster_sizes(ax, example(sizes=(8, 20, 4, 0)), COLOURS, chosen=3, bars=2)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "3", "2 others"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([62.5, 0, 37.5])
    assert np.allclose(ax.patches[0].get_facecolor()[:3], COLOURS[1])
    assert ax.get_xlabel() == "share of 32 tokens (%)"


def test_a_sheet_shows_patches_in_rows_with_their_tokens_framed():
    figure = plots.patch_sheet([MAP], [3, 1], COLOURS, columns=2, side=3)
    [ax] = figure.axes
    sheet = ax.images[0].get_array()
    assert sheet.shape == (8, 8, 3)
    [patch, *_] = centroids.typical_patches([MAP], 3, 2, 3)
    assert np.array_equal(sheet[:3, :3], patch.picture)
    frame = ax.collections[0].get_paths()[0].get_extents()
    assert (frame.x0, frame.y0) == (patch.at[1] - 0.5, patch.at[0] - 0.5)
    words = [text.get_text() for text in ax.texts]
    assert words[0].startswith("cluster 3\n25.0% of tokens\ncosine 1.000 to ")


def test_an_empty_cluster_is_said_to_be_empty():
    view = view_cluster("lcoan", {1: MAP, 40: example(sizes=(12, 4, 0, 0))}, 40, 3)
    words = [text.get_text() for ax in plots.cluster_view(view).axes for text in ax.texts]
    assert "empty: no token of this image is in it" in words
    assert any("not recorded" in text for text in words)
    assert "holds 0 of 16 tokens (0.0%); its drift was not recorded" in stats.describe_cluster(view)


def test_a_cluster_in_words():
    assert stats.describe_cluster(VIEW) == (
        "lcoan at step 40: cluster 1 holds 4 of 16 tokens (25.0%); its centroid has turned by 2.0° since "
        "step 1 (median of all 3.0°)."
    )


def test_typical_tokens_at_the_edge_are_noticed():
    inside = np.ones((12, 12), int)
    inside[0] = 0
    middle = ClusterMap(np.zeros((12, 12, 3), np.uint8), inside, np.ones((12, 12)), np.eye(2))
    assert "1 shown hold 8.3% of all tokens" in stats.describe_typical([middle], [0], side=3)
    assert "100% lie on the outermost pixels" in stats.describe_typical([middle], [0], side=3)
    assert stats.describe_typical([middle], [0], side=3).endswith("from the rest.")
    similarity = np.zeros((12, 12))
    similarity[4:8, 4:8] = 1
    centred = ClusterMap(middle.picture, inside, similarity, np.eye(2))
    assert stats.describe_typical([centred], [1], columns=1).endswith("of all tokens 31%.")


def test_drift_in_words_says_what_was_not_recorded(monkeypatch):
    for name in ("SRLAB_DATA", "SRLAB_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    study = Study("smoke")
    kept, missing = (study.record(study.training("lcoan", clusters=k)) for k in (4, 8))
    said = stats.describe_drift([kept, missing], drifts(run=kept.run.hash), evenness())
    first, found = said.split("\n")
    assert first == f"- Not recorded, since these runs kept no centroids: `{missing.run.name}`."
    assert found.startswith(
        "- k = 4: from step 1 to 40 half of the centroids turned by 3.0° or more (quartiles 1.5° and 4.5°)"
    )
    assert "25% stood still from step 20 on" in found and "20.0% of tokens would be" in found
    assert "goes from 0.500 to 0.700 (medians over 2 images, 1 run)" in found
    assert stats.describe_drift([missing], *NOTHING) == first


def test_lines_of_ways_end_at_the_last_cluster_in_use_and_markers_are_medians():
    figure = plots.cluster_ways(*by_way())
    ranked, empty, largest, _ = figure.axes
    ends = [line.get_xdata()[-1] for line in ranked.lines[:-1]]  # a way and network each; the last: all alike
    assert ends == [1, 1, 2, 2, 4, 4, 4, 4, 4, 4]
    assert ranked.lines[4].get_ydata() == pytest.approx(np.array([12, 6, 4, 2]) / 0.24)
    assert [line.get_xdata()[0] for line in empty.lines] == [3, 2, 0, 0, 0]
    percent = np.array([24, 20, 12, 6, 10]) / 0.24
    assert [line.get_xdata()[0] for line in largest.lines] == pytest.approx(percent)
    assert [text.get_text() for text in ranked.texts] == [*WAYS, "if all were alike"]
    assert "3 images with 24 tokens, 2 networks" in figure.get_supxlabel()
    assert figure.get_suptitle() == "Of 4 clusters 3 are empty as trained, and 0 iterated, re-seeding"


def test_ways_in_words_blame_what_is_at_fault():
    said = stats.describe_ways(*by_way())
    assert said.startswith("24 tokens of 3 images, 2 seeds (medians):")
    assert "- **as trained**: 3 of 4 clusters are empty, the largest holds 100.0%" in said
    assert "fill 4.0 times as many when divided anew" in said
    assert "is where training left the centroids" in said
    alike = stats.describe_ways(*by_way(held=[HELD[2]] * 5))
    assert "fill 1.0 times as many when divided anew" in alike
    assert "the tokens themselves lie unevenly" in alike
