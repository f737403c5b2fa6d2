import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent

from srlab.analysis import centroids
from srlab.analysis.images import pair
from srlab.analysis.layers import trace
from srlab.widgets.cluster_explorer import ClusterExplorer


@pytest.fixture(scope="module")
def study(smoke_study):
    for run in (smoke_study.training("lcoan"), smoke_study.training("trunk_lsp")):
        smoke_study.obtain(run)
    return smoke_study


@pytest.fixture
def explorer(study):
    return ClusterExplorer(study)


def expected(explorer, run):
    """The map that plain functions return for the explorer's choice."""
    record = explorer.study.record(run)
    lr, _ = pair(explorer.image.value, 2)
    layer = next(each for each in trace(record.network(), lr) if each.name == explorer.layer.value)
    return centroids.clusters_at(lr, layer, record.centroids()[explorer.step.value][layer.name])


def test_it_starts_at_the_last_step_with_the_largest_cluster(explorer, study, monkeypatch):
    divided = expected(explorer, study.training("lcoan"))
    assert explorer.network.value == "lcoan, k = 4" and explorer.step.value == 4
    assert explorer.cluster.value == divided.sizes.argmax() and explorer.cluster.max == 3
    assert np.array_equal(explorer.view.now.clusters, divided.clusters)
    before = explorer.canvas.figure.axes[1].images[-1].get_array()
    monkeypatch.setattr("srlab.widgets.cluster_explorer.trace", lambda *_: pytest.fail("traced again"))
    explorer.step.value = 1
    divided = expected(explorer, study.training("lcoan"))
    assert np.array_equal(explorer.view.now.clusters, divided.clusters)
    same = divided.clusters == explorer.view.last.clusters
    after = explorer.canvas.figure.axes[1].images[-1].get_array()
    assert same.any() and np.array_equal(after[same], before[same])  # no cluster changes colour


def test_a_cluster_by_click_or_number(explorer):
    found = explorer.view.now.clusters
    smallest = np.unique(found)[np.bincount(found.ravel())[np.unique(found)].argmin()]
    largest = explorer.cluster.value
    for panel, cluster in ((1, smallest), (0, largest)):
        row, col = np.argwhere(found == cluster)[0]
        explorer.canvas.draw()
        x, y = explorer.canvas.figure.axes[panel].transData.transform((col, row))
        explorer.canvas.callbacks.process(
            "button_press_event", MouseEvent("button_press_event", explorer.canvas, x, y, 1)
        )
        assert explorer.cluster.value == cluster == explorer.view.cluster
    explorer.cluster.value = 99
    assert explorer.cluster.value == explorer.view.cluster == 3
    explorer.image.value = next(ref for ref in explorer.image.options.values() if ref.name == "page_left")
    assert explorer.view.cluster == 3 and explorer.view.now.clusters.shape == (84, 96)


def test_another_network_and_layer(explorer, study):
    explorer.network.value = "trunk_lsp, k = 4"
    assert explorer.layer.options == ("groups.0.attention", "groups.1.attention")
    explorer.layer.index = 1
    assert np.array_equal(explorer.view.now.clusters, expected(explorer, study.training("trunk_lsp")).clusters)
    assert set(explorer.view.drift["layer"]) == {"groups.1.attention"}
    explorer.network.value = "lcoan, k = 8"  # not trained
    assert "<b>" in explorer.status.value and explorer.view is None and not explorer.canvas.figure.axes
    explorer.network.value = "lcoan, k = 4"
    assert explorer.view is not None and explorer.layer.options == ("groups.0.attention",)


def test_a_run_that_kept_no_centroids_shows_its_last_ones(study):
    kept = study.record(study.training("trunk_lsp")).folder / "centroids.safetensors"
    aside = kept.rename(kept.with_suffix(".aside"))
    try:
        explorer = ClusterExplorer(study)
        explorer.network.value = "trunk_lsp, k = 4"
        assert explorer.step.options == (4,) and explorer.step.disabled and explorer.view.drift is None
    finally:
        aside.rename(kept)


def test_every_network_that_learns_centroids_is_offered_by_its_own_name(explorer, study, monkeypatch):
    seed = study.profile.seeds[0]
    learning = [run for run in study.trained() if "clusters" in run.network.options and run.seed == seed]
    assert len(set(explorer.network.options)) == len(explorer.network.options) == len(learning)
    monkeypatch.setattr(study, "trained", lambda: [study.training("no_attention")])
    assert "<b>" in ClusterExplorer(study).status.value
