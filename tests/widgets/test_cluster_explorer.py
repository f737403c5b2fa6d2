import re

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


def drawn(explorer, panel):
    return explorer.canvas.figure.axes[panel].images[-1].get_array()


def expected(explorer, run):
    """The map that plain functions give for the explorer's choice."""
    record = explorer.study.record(run)
    lr, _ = pair(explorer.image.value, 2)
    layer = next(each for each in trace(record.network(), lr) if each.name == explorer.layer.value)
    return centroids.clusters_at(lr, layer, record.centroids()[explorer.step.value][layer.name])


def test_it_starts_at_the_last_step_with_the_largest_cluster(explorer, study):
    divided = expected(explorer, study.training("lcoan"))
    assert explorer.network.value == "lcoan, k = 4" and explorer.step.value == 4
    assert explorer.cluster.value == divided.sizes.argmax() and explorer.cluster.max == 3
    assert np.array_equal(explorer.view.now.clusters, divided.clusters)
    assert f"holds {divided.sizes.max():,} of 14,400 tokens" in explorer.status.value
    colours = {tuple(colour) for colour in np.asarray(drawn(explorer, 1)).reshape(-1, 3)}
    assert len(colours) == np.count_nonzero(divided.sizes)


def test_another_step_divides_by_the_centroids_of_that_step(explorer, study):
    colours = drawn(explorer, 1)
    explorer.step.value = 1
    divided = expected(explorer, study.training("lcoan"))
    assert np.array_equal(explorer.view.now.clusters, divided.clusters)
    assert "at step 1: " in explorer.status.value and "turned by 0.0° since step 1" in explorer.status.value
    same = divided.clusters == explorer.view.last.clusters
    assert same.any() and np.array_equal(drawn(explorer, 1)[same], colours[same])  # no cluster changes colour


def click(explorer, panel, row, col):
    canvas = explorer.canvas
    canvas.draw()
    x, y = canvas.figure.axes[panel].transData.transform((col, row))
    canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", canvas, x, y, 1))


def test_a_click_on_image_or_map_chooses_the_cluster_there(explorer):
    found = explorer.view.now.clusters
    smallest = np.bincount(found.ravel())[np.unique(found)].argmin()
    row, col = np.argwhere(found == np.unique(found)[smallest])[0]
    largest = explorer.cluster.value
    click(explorer, 1, row, col)
    assert explorer.cluster.value == found[row, col] == explorer.view.cluster != largest
    row, col = np.argwhere(found == largest)[0]
    click(explorer, 0, row, col)
    assert explorer.view.cluster == largest
    click(explorer, 2, 1, 1)  # the bars
    assert explorer.view.cluster == largest


def test_a_cluster_by_number_from_the_keyboard(explorer):
    for cluster in range(4):
        explorer.cluster.value = cluster
        assert explorer.view.cluster == cluster and f"cluster {cluster} holds" in explorer.status.value
    explorer.cluster.value = 99
    assert explorer.cluster.value == 3


def test_another_image_keeps_the_cluster(explorer):
    explorer.cluster.value = 2
    explorer.image.value = next(ref for ref in explorer.image.options.values() if ref.name == "page_left")
    assert explorer.view.cluster == 2 and explorer.view.now.clusters.shape == (84, 96)


def test_another_network_and_layer(explorer, study):
    explorer.network.value = "trunk_lsp, k = 4"
    assert explorer.layer.options == ("groups.0.attention", "groups.1.attention")
    explorer.layer.index = 1
    divided = expected(explorer, study.training("trunk_lsp"))
    assert np.array_equal(explorer.view.now.clusters, divided.clusters)
    assert set(explorer.view.drift["layer"]) == {"groups.1.attention"}
    explorer.network.value = "lcoan, k = 4"
    assert explorer.layer.options == ("groups.0.attention",)


def test_what_cannot_be_shown_is_explained(explorer):
    explorer.network.value = "lcoan, k = 8"
    assert re.search("<b>run lcoan-.* is not finished", explorer.status.value)
    assert explorer.view is None and not explorer.canvas.figure.axes
    explorer.canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", explorer.canvas, 9, 9, 1))
    explorer.network.value = "lcoan, k = 4"
    assert explorer.view is not None and len(explorer.canvas.figure.axes) == 5


def test_a_run_that_kept_no_centroids_is_shown_by_those_it_has(study):
    record = study.record(study.training("trunk_lsp"))
    kept = record.folder / "centroids.safetensors"
    aside = kept.rename(kept.with_suffix(".aside"))
    try:
        explorer = ClusterExplorer(study)
        explorer.network.value = "trunk_lsp, k = 4"
        assert explorer.step.options == (4,) and explorer.step.disabled
        assert "its drift was not recorded" in explorer.status.value
    finally:
        aside.rename(kept)
    again = ClusterExplorer(study)
    again.network.value = "trunk_lsp, k = 4"
    assert again.step.options == (1, 2, 4) and not again.step.disabled
    assert np.array_equal(again.view.now.clusters, explorer.view.now.clusters)


def test_a_study_without_such_networks_says_so(study, monkeypatch):
    monkeypatch.setattr(study, "trained", lambda: [study.training("no_attention")])
    assert "trains no network that learns centroids" in ClusterExplorer(study).status.value


def test_every_control_has_a_tooltip(explorer):
    for control in (explorer.image, explorer.network, explorer.layer, explorer.step, explorer.cluster):
        assert control.tooltip


def test_images_are_divided_once(explorer, monkeypatch):
    monkeypatch.setattr("srlab.widgets.cluster_explorer.trace", lambda *_: pytest.fail("traced again"))
    explorer.cluster.value = 0
    explorer.step.value = 1


def test_every_network_that_learns_centroids_has_a_name_of_its_own(explorer, study):
    seed = study.profile.seeds[0]
    learning = [run for run in study.trained() if "clusters" in run.network.options and run.seed == seed]
    names = list(explorer.network.options)
    assert len(names) == len(learning) == len(set(names))
    assert "lcoan, k = 4, centroid update = frozen" in names and "lcoan, k = 4, w = 16" in names
