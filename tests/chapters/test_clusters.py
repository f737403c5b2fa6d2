"""Clusters: maps follow centroids, evenness and drift are exact, and the explorer shows what functions return."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from legible import faults
from made_records import FEW, study_of
from matplotlib.backend_bases import MouseEvent
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from srlab import analysis
from srlab.analysis.images import pair, picture
from srlab.analysis.layers import LayerTrace, trace
from srlab.attention import SortedWindows
from srlab.chapters import clusters
from srlab.chapters.clusters import explorer as widget
from srlab.chapters.clusters import figures, frames, maps
from srlab.chapters.clusters.explorer import ClusterExplorer
from srlab.chapters.clusters.maps import ClusterMap, clusters_at, kept_centroids, typical_patches
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build
from srlab.study import Study
from srlab.training import centroids_of

SIZES = {"channels": 8, "groups": 2, "blocks": 1}
LR = embedded().benchmarks["held-out"][1].read()[:, :14, :19]
PROFILE = FEW | {
    "models": ["trunk_lsp", "no_attention"],
    "chapters": {"clusters": {"clusters": [4, 8], "windows": [16, 32], "decays": [0.0]}},
}


def by_hand(own, similarity=None, k=4, light=None):
    """A map of grey rows, or of tokens as light as their cluster says; centroids a right angle apart."""
    own = np.array(own)
    similarity = np.zeros(own.shape) if similarity is None else np.array(similarity, float)
    grey = np.arange(len(own), dtype=np.uint8)[:, None] if light is None else np.array(light, np.uint8)[own]
    return ClusterMap(np.broadcast_to(grey[..., None], (*own.shape, 3)), own, similarity, np.eye(k))


def directed(angles=(0, 10, 80, 90), light=(10, 80, 160, 250), sizes=(4, 4, 4, 4)):
    """A map of clusters in these directions (degrees)."""
    own = np.repeat(np.arange(len(sizes)), sizes).reshape(-1, 4)
    radians = np.radians(angles)
    found = by_hand(own, light=light)
    return ClusterMap(found.picture, own, found.similarity, np.stack([np.cos(radians), np.sin(radians)], 1))


@pytest.fixture(scope="module")
def study(tmp_path_factory, patch):
    patch.setattr(clusters, "IMAGES", 2)
    return study_of(tmp_path_factory.mktemp("clusters"), PROFILE, patch)


@pytest.fixture(scope="module")
def tables(study):
    return study.chapter("clusters").tables()


def made(study, **options):
    return study.obtain(study.training("lcoan", **options))


# --- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("lcoan", {}), ("trunk_lsp", {"rounds": 2})])
def test_by_its_own_centroids_a_network_has_its_own_clusters(name, options):
    network = build(name, 2, seed=0, **SIZES, clusters=5, window=20, **options)
    layer = trace(network, LR)[0]
    found = clusters_at(LR, layer, centroids_of(network)[layer.name])
    assert np.array_equal(found.clusters, analysis.clusters(layer))
    assert found.sizes.sum() == 14 * 19 and len(found.sizes) == 5
    assert np.array_equal(found.picture, picture(LR))


def test_each_token_goes_to_the_centroid_of_the_smallest_angle():
    layer = trace(build("lcoan", 2, seed=0, **SIZES, clusters=5, window=20), LR)[0]
    means = torch.nn.functional.normalize(torch.randn(1, 7, 8), dim=-1)
    found = clusters_at(LR, layer, means)
    tokens = layer.pattern.query[0, 0].double().numpy()
    cosine = tokens @ means[0].double().numpy().T / np.linalg.norm(tokens, axis=1, keepdims=True)
    assert np.array_equal(found.clusters.ravel(), cosine.argmax(1))
    assert np.allclose(found.similarity.ravel(), cosine.max(1), atol=1e-5)


def test_networks_without_centroids_are_refused():
    dense, hashed = (build(name, 2, seed=0, **SIZES) for name in ("trunk_nla", "nlsn"))
    for network, name in ((dense, "NLA"), (hashed, "NLSA")):
        with pytest.raises(InputError, match=name):
            clusters_at(LR, trace(network, LR)[0], torch.eye(8)[None])
        with pytest.raises(InputError, match="centroids"):
            maps.divided(network, embedded().benchmarks["held-out"][:1], 2)


def test_typical_patches_are_the_nearest_members_apart_from_each_other():
    similarity = np.zeros((9, 12))
    similarity[4, 3], similarity[4, 5], similarity[0, 11], similarity[8, 4], similarity[4, 8] = 9, 8, 7, 6, 99
    own = np.ones((9, 12), int)
    own[4, 8] = 2
    first, second, third, *_ = typical_patches([by_hand(own, similarity)], 1, count=5, side=3)
    assert [(patch.row, patch.col) for patch in (first, second, third)] == [(4, 3), (0, 11), (8, 4)]
    assert (first.similarity, first.at, first.picture.shape) == (9, (1, 1), (3, 3, 3))
    assert first.picture[:, 0, 0].tolist() == [3, 4, 5]
    assert second.at == (0, 2) and third.at == (2, 1)  # the image ends there
    frame = figures.framed(first)
    assert frame.shape == (24, 24, 3) and (frame[8, 8:16] == 255).all() and (frame[9, 9:15] == 0).all()


def test_typical_patches_of_several_images_and_of_few_tokens():
    both = [by_hand([[0, 0, 1]], [[0.5, 0.9, 1]]), by_hand([[1, 0, 1], [3, 3, 3]], [[1, 0.7, 1], [0, 0, 0]])]
    found = typical_patches(both, 0, count=9, side=1)
    assert [(patch.image, patch.row, patch.col) for patch in found] == [(0, 0, 1), (1, 0, 1), (0, 0, 0)]
    assert len(typical_patches(both, 0, count=2, side=1)) == 2
    assert typical_patches(both, 2, count=2) == []
    assert typical_patches(both, 0, count=2)[0].picture.shape == (1, 3, 3)  # no larger than the image
    assert maps.total_sizes(both).tolist() == [3, 3, 0, 3] and maps.largest_first(both) == [0, 1, 3, 2]
    with pytest.raises(InputError, match="4"):
        typical_patches(both, 4, count=2)


def test_colours_follow_directions_from_dark_to_light_and_sizes():
    weights = (0.2126, 0.7152, 0.0722)
    light = figures.cluster_colours([directed()]) @ weights
    assert (np.diff(light) > 0).all()
    assert (np.diff(figures.cluster_colours([directed(light=(250, 160, 80, 10))]) @ weights) < 0).all()
    large = figures.cluster_colours([directed(angles=(0, 45, 46, 90), sizes=(100, 1, 3, 100))]) @ weights
    assert large[3] - large[0] > 0.35 and large[2] - large[1] < 0.1
    both = figures.cluster_colours([directed(), directed(sizes=(0, 0, 8, 8))])
    assert np.allclose(both, figures.cluster_colours([directed(sizes=(4, 4, 12, 12))]))


def test_the_chosen_cluster_has_a_colour_of_its_own():
    own, colours = directed(), figures.cluster_colours([directed()])
    assert np.array_equal(figures.mapped(own, colours), colours[own.clusters])
    shown = figures.mapped(own, colours, 2)
    assert np.allclose(shown[own.clusters == 2], to_rgb(figures.CHOSEN))
    assert not (shown[own.clusters != 2] == to_rgb(figures.CHOSEN)).all(-1).any()


# --- tables -----------------------------------------------------------------------------------------------------------


def test_effective_clusters_and_pure_windows():
    assert frames.effective(np.array([3, 3, 3])) == pytest.approx(3)
    assert frames.effective(np.array([7, 0, 0])) == 1
    for codes, window, share in (([0, 1] * 4, 3, 2 / 3), ([0] * 20, 4, 1)):  # sorted: 0 0 0, 0 1 1, 1 1 1
        codes = torch.tensor(codes)
        points = torch.randn(1, 1, len(codes), 4)
        pattern = SortedWindows(points, points, codes[None, None], window)
        assert frames.pure_windows(LayerTrace("layer", "LSP", pattern, 2, len(codes) // 2)) == pytest.approx(share)


@given(st.floats(0, 180), st.integers(0, 1000))
def test_angles_of_known_turns(degrees, seed):
    one, other = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 2)))[0].T[:, None]
    turned = np.cos(np.radians(degrees)) * one + np.sin(np.radians(degrees)) * other
    assert frames.angle(one, turned) == pytest.approx(degrees, abs=1e-6)
    assert frames.angle(one, one) == 0


def test_kept_centroids_end_with_the_networks_own(study):
    record = made(study)
    kept = kept_centroids(record)
    assert list(kept) == [1, 2, 4]
    assert torch.equal(kept[4]["groups.0.attention"], centroids_of(record.network())["groups.0.attention"])
    assert kept_centroids(study.obtain(study.training("no_attention"))) == {}


def test_drift_is_the_angle_between_what_was_kept(study, tables):
    kept = kept_centroids(made(study, clusters=8))
    first, last = (kept[step]["groups.0.attention"][0].double() for step in (1, 4))
    cosine = torch.nn.functional.cosine_similarity(first, last).clamp(-1, 1)
    rows = tables["clusters_drift"].query("arm == 'k = 8'").set_index("step")
    assert list(rows.index) == [1, 2, 4] and (rows.loc[1, ["q25", "median", "q75"]] == 0).all()
    assert rows.loc[4, "median"] == pytest.approx(np.median(np.degrees(np.arccos(cosine))), abs=1e-3)
    frozen = tables["centroids_drift"].query("arm == 'frozen'")
    assert (frozen["median"] == 0).all() and (frozen["still"].dropna() == 1).all()
    assert tables["centroids_drift"].query("arm == 'λ = 0' and step == 4")["median"].item() > 0


def test_evenness_counts_the_tokens_of_clusters(study, tables):
    refs = study.pictures[:2]
    own = maps.divided(made(study, clusters=8).network(), refs, 2)
    rows = tables["clusters_evenness"].query("arm == 'k = 8'")
    assert rows["name"].tolist() == [ref.name for ref in refs]
    assert rows["largest"].tolist() == [each.sizes.max() / each.sizes.sum() for each in own]
    assert rows["empty"].tolist() == [np.count_nonzero(each.sizes == 0) for each in own]
    last = tables["clusters_training"].query("arm == 'k = 8' and step == 4")
    assert (last["elsewhere"] == 0).all() and last["gini"].tolist() == rows["gini"].tolist()
    assert set(tables["window_evenness"]["window"]) == {16, 32} and "window_drift" not in tables
    assert set(tables["centroids_evenness"]["arm"]) == {"frozen", "λ = 0"}


def test_ways_divide_the_same_tokens_and_the_first_is_the_networks_own(study, tables):
    sizes = tables["cluster_ways_sizes"]
    assert len(sizes) == 5 * 8 and len(tables["cluster_ways_evenness"]) == 5 * 2
    own = maps.divided(made(study, clusters=8).network(), study.pictures[:2], 2)
    assert set(sizes.groupby("way")["tokens"].sum()) == {sum(each.clusters.size for each in own)}
    trained = sizes.query("way == 'as trained'")
    assert trained["tokens"].tolist() == sorted(maps.total_sizes(own), reverse=True)
    assert (sizes.query("way == 'iterated, re-seeding'")["tokens"] > 0).all()


def test_figures_show_every_group_way_and_k(study, tables):
    chapter = study.chapter("clusters")
    even = figures.cluster_evenness(tables)
    assert len(even.axes) == 2 * 3
    medians = tables["clusters_evenness"].groupby("clusters")["gini"].median()
    assert even.axes[0].lines[0].get_ydata() == pytest.approx(medians.to_numpy())
    empty, *_ = figures.cluster_ways(tables).axes
    assert len(empty.get_yticks()) == 5
    drift = figures.cluster_drift(tables)
    assert [len(ax.lines) for ax in drift.axes] == [2, 2, 2]
    divided = figures.cluster_maps(study, chapter.settings)
    assert len(divided.axes) == 3
    patches = figures.typical(study, chapter.settings)
    assert patches.axes[0].images[0].get_array().shape == (120, 120, 3)
    for figure in (even, figures.cluster_ways(tables), drift, divided, patches):
        assert faults(figure) == []
    assert len(clusters.answer(tables)) > 100


# --- the explorer -----------------------------------------------------------------------------------------------------


@pytest.fixture
def explorer(study):
    for run in (study.training("lcoan"), study.training("trunk_lsp")):
        study.obtain(run)
    return ClusterExplorer(study)


def expected(explorer, run):
    """The map that plain functions return for the explorer's choice."""
    record = explorer.study.record(run)
    lr, _ = pair(explorer.image.value, 2)
    layer = next(each for each in trace(record.network(), lr) if each.name == explorer.layer.value)
    return clusters_at(lr, layer, kept_centroids(record)[explorer.step.value][layer.name])


def test_it_starts_at_the_last_step_with_the_largest_cluster_and_shows_others(explorer, study):
    run = study.training("lcoan")
    found = expected(explorer, run)
    assert explorer.step.value == 4 and explorer.cluster.max == 3
    assert explorer.cluster.value == found.sizes.argmax()
    assert np.array_equal(explorer.map.clusters, found.clusters)
    explorer.step.value = 1
    assert np.array_equal(explorer.map.clusters, expected(explorer, run).clusters)
    explorer.image.index = 1
    assert np.array_equal(explorer.map.clusters, expected(explorer, run).clusters)
    explorer.cluster.value = 99
    assert explorer.cluster.value == 3


def test_another_network_has_layers_of_its_own(explorer, study):
    [lsp] = [name for name, run in explorer._runs.items() if run == study.training("trunk_lsp")]
    explorer.network.value = lsp
    assert len(explorer.layer.options) == 2
    explorer.layer.index = 1
    assert np.array_equal(explorer.map.clusters, expected(explorer, study.training("trunk_lsp")).clusters)


def test_a_click_on_image_or_map_chooses_the_cluster_there(explorer):
    found, canvas = explorer.map.clusters, explorer.canvas
    others = [cluster for cluster in np.unique(found) if cluster != explorer.cluster.value]
    for panel, cluster in ((1, others[0]), (0, explorer.cluster.value)):
        row, col = np.argwhere(found == cluster)[0]
        canvas.draw()
        x, y = canvas.figure.axes[panel].transData.transform((col, row))
        canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", canvas, x, y, 1))
        assert explorer.cluster.value == cluster


def test_what_is_missing_is_explained(explorer, study, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "runs_folder", tmp_path)
    other = ClusterExplorer(study)
    assert other.map is None and study.training("lcoan").name in other.status.value
    assert not other.canvas.figure.axes
    monkeypatch.setattr(Study, "comparison", lambda self: [])
    monkeypatch.setattr(clusters, "runs", lambda study, settings: [])
    assert "made" in ClusterExplorer(study).status.value


def test_without_kept_centroids_only_the_last_step_is_there(explorer, monkeypatch):
    monkeypatch.setattr(widget, "kept_centroids", lambda record: {})
    without = ClusterExplorer(explorer.study)
    assert without.step.options == (4,) and without.step.disabled
    assert np.array_equal(without.map.clusters, explorer.map.clusters)
    assert len(without.canvas.figure.axes) == len(explorer.canvas.figure.axes) - 1 == 3


def test_networks_and_controls(explorer):
    assert len(explorer.network.options) == 6  # k, w, λ, frozen, and LSP
    assert all(each.tooltip for each in (explorer.image, explorer.network, explorer.layer, explorer.step))
    assert isinstance(explorer.canvas.figure, Figure)
