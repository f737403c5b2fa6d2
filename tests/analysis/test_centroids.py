import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srlab import analysis
from srlab.analysis import centroids
from srlab.analysis.centroids import ClusterMap, angle, clusters_at, clusters_over_training, typical_patches
from srlab.analysis.layers import trace
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build
from srlab.training import centroids_of

SIZES = {"channels": 8, "groups": 2, "blocks": 1}
LR = embedded().benchmarks["held-out"][1].read()[:, :14, :19]


def learnt(name, **options):
    """A network with centroids, its first layer's trace, and the centroids."""
    network = build(name, 2, seed=0, **SIZES, clusters=5, window=20, **options)
    layer = trace(network, LR)[0]
    return layer, centroids_of(network)[layer.name]


def divided(clusters, similarity=None, k=4):
    """A map by hand, of grey rows."""
    clusters = np.array(clusters)
    similarity = np.zeros(clusters.shape) if similarity is None else np.array(similarity, float)
    rows = np.arange(len(clusters), dtype=np.uint8)[:, None, None]
    picture = np.broadcast_to(rows, (*clusters.shape, 3))
    return ClusterMap(picture, clusters, similarity, np.eye(k))


@pytest.fixture(scope="module")
def study(smoke_study):
    return smoke_study


@pytest.fixture(scope="module")
def records(study):
    return [study.obtain(study.training(model)) for model in ("lcoan", "trunk_lsp", "no_attention")]


@pytest.mark.parametrize(("name", "options"), [("lcoan", {}), ("trunk_lsp", {"rounds": 2})])
def test_by_its_own_centroids_a_network_has_its_own_clusters(name, options):
    layer, means = learnt(name, **options)
    found = clusters_at(LR, layer, means)
    assert np.array_equal(found.clusters, analysis.clusters(layer))
    assert np.array_equal(found.sizes, analysis.cluster_sizes(layer, 5)) and found.count == 5
    assert np.array_equal(found.picture, analysis.picture(LR))


def test_each_token_goes_to_the_centroid_of_the_smallest_angle():
    layer, _ = learnt("lcoan")
    means = torch.nn.functional.normalize(torch.randn(1, 7, 8), dim=-1)
    found = clusters_at(LR, layer, means)
    tokens = layer.pattern.query[0, 0].double().numpy()
    cosine = tokens @ means[0].double().numpy().T / np.linalg.norm(tokens, axis=1, keepdims=True)
    assert np.array_equal(found.clusters.ravel(), cosine.argmax(1))
    assert np.allclose(found.similarity.ravel(), cosine.max(1), atol=1e-5)


def test_layers_without_centroids_are_refused():
    trunk_nla, nlsn = (trace(build(name, 2, seed=0, **SIZES), LR)[0] for name in ("trunk_nla", "nlsn"))
    means = torch.eye(8)[None]
    for layer in (trunk_nla, nlsn):  # NLSA sorts too, but its tokens are narrower
        with pytest.raises(InputError, match=r"NL.*groups.0.attention: .* centroids of 8 channels"):
            clusters_at(LR, layer, means)
        with pytest.raises(InputError, match="this layer learns no centroids"):
            clusters_over_training(LR, layer, {1: {"elsewhere": means}})


def test_typical_patches_are_the_nearest_members_apart_from_each_other():
    similarity = np.zeros((9, 12))
    similarity[4, 3], similarity[4, 5], similarity[0, 11], similarity[8, 4], similarity[4, 8] = 9, 8, 7, 6, 99
    clusters = np.ones((9, 12), int)
    clusters[4, 8] = 2
    first, second, third, *_ = typical_patches([divided(clusters, similarity)], 1, count=5, side=3)
    assert [(patch.row, patch.col) for patch in (first, second, third)] == [(4, 3), (0, 11), (8, 4)]
    assert (first.similarity, first.at, first.picture.shape) == (9, (1, 1), (3, 3, 3))
    assert first.picture[:, 0, 0].tolist() == [3, 4, 5]
    assert second.at == (0, 2) and third.at == (2, 1)  # the image ends there
    assert third.picture[:, 0, 0].tolist() == [6, 7, 8]


def test_typical_patches_of_several_images_and_of_few_tokens():
    maps = [divided([[0, 0, 1]], [[0.5, 0.9, 1]]), divided([[1, 0, 1], [3, 3, 3]], [[1, 0.7, 1], [0, 0, 0]])]
    found = typical_patches(maps, 0, count=9, side=1)
    assert [(patch.image, patch.row, patch.col) for patch in found] == [(0, 0, 1), (1, 0, 1), (0, 0, 0)]
    assert len(typical_patches(maps, 0, count=2, side=1)) == 2
    assert typical_patches(maps, 2) == []
    assert typical_patches(maps, 0, side=15)[0].picture.shape == (1, 3, 3)  # no larger than the image
    with pytest.raises(InputError, match="cluster 4 is unknown, allowed: 0 to 3"):
        typical_patches(maps, 4)


def test_sizes_of_several_images():
    maps = [divided([[0, 0, 1]]), divided([[1, 1, 3], [3, 3, 3]])]
    assert centroids.total_sizes(maps).tolist() == [2, 3, 0, 4]
    assert centroids.largest_first(maps) == [3, 1, 0, 2]
    assert centroids.largest_first([divided([[2, 1]])]) == [1, 2, 0, 3]


@given(st.floats(0, 180), st.integers(0, 1000))
def test_angles_of_known_turns(degrees, seed):
    one, other = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 2)))[0].T[:, None]
    turned = np.cos(np.radians(degrees)) * one + np.sin(np.radians(degrees)) * other
    assert angle(one, turned) == pytest.approx(degrees, abs=1e-6)
    assert angle(one, one) == 0


def test_drift_is_the_angle_between_what_was_kept(records):
    found = centroids.drift(records)
    assert list(found) == centroids.DRIFT
    assert set(found["run"]) == {record.run.hash for record in records[:2]}
    lcoan, trunk_lsp = (found[found["run"] == record.run.hash] for record in records[:2])
    assert len(lcoan) == 3 * 4 and len(trunk_lsp) == 2 * len(lcoan)
    kept = records[0].centroids()

    def between(one, other, cluster):
        a, b = (kept[step]["groups.0.attention"][0, cluster].double().numpy() for step in (one, other))
        return np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))

    at_2 = lcoan[(lcoan["step"] == 2)].set_index("cluster")
    for cluster in range(4):
        expected = [between(2, step, cluster) for step in (1, 1, 4)]
        columns = ["from_previous", "from_first", "from_last"]
        assert at_2.loc[cluster, columns].tolist() == pytest.approx(expected, abs=1e-3)
    assert lcoan.loc[lcoan["step"] == 1, "from_previous"].isna().all()
    assert (lcoan.loc[lcoan["step"] == 1, "from_first"] == 0).all()
    assert (lcoan.loc[lcoan["step"] == 4, "from_last"] == 0).all()
    assert (lcoan.loc[lcoan["step"] == 4, "from_first"] > 0).any()


def test_runs_that_kept_nothing_have_no_rows(records, study):
    refs = study.data.benchmarks["held-out"][:1]
    assert centroids.drift(records[2:]).empty
    empty = centroids.evenness_over_training(records[2:], refs)
    assert empty.empty and list(empty) == centroids.EVENNESS
    with pytest.raises(InputError, match=r"run no_attention-.*: its network learns no centroids"):
        centroids.divided(records[2], refs)


def test_evenness_at_the_last_step_is_the_trained_networks(records, study):
    refs = study.data.benchmarks["held-out"][:2]
    found = centroids.evenness_over_training(records, refs)
    assert list(found) == centroids.EVENNESS
    assert len(found) == (1 + 2) * 2 * 3
    trained = analysis.evenness(records[:1], refs)
    last = found[(found["run"] == records[0].run.hash) & (found["step"] == 4)]
    assert (last["elsewhere"] == 0).all()
    for column in ("name", "gini", "largest", "empty"):
        assert last[column].tolist() == trained[column].tolist()
    maps = centroids.divided(records[0], refs)
    assert [each.sizes.max() / each.sizes.sum() for each in maps] == last["largest"].tolist()


def test_a_view_holds_one_cluster_at_one_step(records, study):
    lr, _ = analysis.pair(study.data.benchmarks["held-out"][0], 2)
    maps = clusters_over_training(lr, trace(records[0].network(), lr)[0], records[0].centroids())
    view = centroids.view_cluster("lcoan", maps, 2, 1, count=3, side=5)
    assert view.now is maps[2] and view.last is maps[4] and view.drift is None
    assert all(view.now.clusters[patch.row, patch.col] == 1 for patch in view.patches)
    assert len(view.patches) == 3 and view.side == 5
    with pytest.raises(InputError, match="step 3 was not kept, allowed: 1, 2, 4"):
        centroids.view_cluster("lcoan", maps, 3, 1)


def test_ways_divide_the_same_tokens_and_the_first_is_the_networks_own(study, records):
    refs = study.pictures[:2]
    sizes, evenness = centroids.ways(records[:2], refs)
    assert len(sizes) == 2 * 5 * 4 and len(evenness) == 2 * 5 * 2
    totals = sizes.groupby(["run", "way"])["tokens"].sum()
    maps = [centroids.divided(record, refs) for record in records[:2]]
    assert set(totals) == {sum(each.clusters.size for each in maps[0])}
    for record, own in zip(records, maps, strict=False):
        found = sizes[(sizes["run"] == record.run.hash) & (sizes["way"] == "as trained")]
        assert found["rank"].tolist() == [1, 2, 3, 4]
        assert found["tokens"].tolist() == sorted(centroids.total_sizes(own), reverse=True)
    reseeded = sizes[sizes["way"] == "iterated, re-seeding"]
    assert (reseeded["tokens"] > 0).all()
    pd.testing.assert_frame_equal(centroids.ways(records[:1], refs)[0], sizes.iloc[:20])
    with pytest.raises(InputError, match="no_attention.* learns no centroids"):
        centroids.ways(records[2:], refs)


def test_as_even_as_so_many_clusters_of_one_size():
    assert analysis.effective(np.array([3, 3, 3])) == pytest.approx(3)
    assert analysis.effective(np.array([7, 0, 0])) == 1
    assert 1 < analysis.effective(np.array([7, 1, 0])) < 2
