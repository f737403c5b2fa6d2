"""Figures of images and maps: a panel for each view, on the same pixels, and legible."""

import numpy as np
import pytest
from legible import faults
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from srlab.analysis.contrasts import Made, Part
from srlab.analysis.explore import Look, Restored
from srlab.analysis.views import Boxes, Groups, Values, View, Windows
from srlab.models.registry import label
from srlab.plots import STYLE, attention, crops, pictures, shrink_factor
from srlab.plots.galleries import COLUMNS, gallery, sorted_maps, weight_maps
from srlab.plots.maps import _means, _samples

NONE, SORTED, EVERY = slice(0), slice(2), slice(None)
MODELS = [model for model in STYLE if model not in ("bicubic", "esc_light", "esc_fp", "esc_rib")]


def example(row=3, col=4, panels=EVERY, weights=True) -> View:
    maps = np.arange(80).reshape(8, 10)
    shown = (
        Groups("clusters", maps // 20, 1),
        Windows("sorted windows", maps // 20),
        Boxes("window and its 2 chosen", (0, 4, 4, 4), ((4, 4, 4, 4), (4, 8, 4, 4))),
        Values("position bias", np.where(maps < 40, maps / 40.0, np.nan), on_image=True, signed=True),
        Values("kernel", np.eye(3), on_image=False),
        Values("receptive field", maps / 80.0, on_image=True, logarithmic=True),
    )
    weighed = np.where(maps < 40, 1 / 40, 0) if weights else None
    grey = np.full((8, 10, 3), 99, np.uint8)
    return View("LSP, layer 1 of 2", row, col, grey, weighed, (maps < 40).astype(int), shown[panels])


def example_look(model="lcoan", panels=slice(3), **options) -> Look:
    crop = np.full((6, 6, 3), 99, np.uint8)
    restored = Restored(crop, crop, np.full((6, 6), 3.0), 30.0, 31.0)
    return Look(model, "trained here", "held-out: brick", example(panels=panels, **options), restored)


def part(models) -> Part:
    hr = np.full((24, 24, 3), 99, np.uint8)
    made = {label(model): Made(hr, np.full((24, 24), 1.0 + n), 40.0 - n) for n, model in enumerate(models)}
    return Part("facade", np.full((60, 40, 3), 99, np.uint8), (8, 4, 24, 24), hr, made, 9.0)


GREY, THREE = example().picture, [example_look(), example_look("trunk_nla", NONE)]
THREE.append(example_look("hit_srf", NONE, weights=False))
WORDS = "A plain title", "A note. " * 20
FIGURES = {
    "pictures": (lambda: pictures([[("a", GREY)], [("b: LR", GREY), ("c", GREY)]], *WORDS), 3),
    "crops": (lambda: crops(part(("bicubic", *MODELS[:11])), *WORDS), 1 + 13 + 12),
    "crops of one": (lambda: crops(part(("bicubic", "lcoan")), *WORDS), 1 + 3 + 2),
    "gallery": (lambda: gallery([example_look(model) for model in MODELS[:9]], *WORDS), 2 * 10 + 1),  # and the key
    "weight maps": (lambda: weight_maps([{"LCoA": example(), "dense": example(panels=NONE)}] * 2, *WORDS), 2 * 3 + 1),
    "sorted maps": (lambda: sorted_maps([{"LCoA": example(panels=SORTED)}] * 2, *WORDS), 2 * 3 + 2 * 2),
    "attention": (lambda: attention(THREE), None),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_panel_for_each_view_and_is_legible(name):
    draw, panels = FIGURES[name]
    figure = draw()
    assert faults(figure) == []
    drawn = [ax for ax in figure.axes if ax.images or ax.collections]
    assert panels is None or len(drawn) == panels


def test_a_gallery_fills_rows_of_maps_above_their_sr():
    figure = gallery([example_look(model) for model in MODELS[: COLUMNS + 1]], *WORDS)
    shapes = [ax.images[0].get_array().shape[:2] for ax in figure.axes if ax.images]
    assert shapes.count((8, 10)) == shapes.count((6, 6)) == COLUMNS + 2


def test_errors_have_one_scale_that_holds_nearly_all_of_them():
    figure = crops(part(("bicubic", "lcoan", "nlsn")), *WORDS)
    errors = [ax.images[0] for ax in figure.axes if ax.images and ax.images[0].get_array().ndim == 2]
    assert [float(error.get_array().max()) for error in errors] == [1, 2, 3]
    assert {error.get_clim() for error in errors} == {(-4, 4)}


def test_the_strip_is_the_sorted_sequence_with_the_windows_of_the_query():
    figure = sorted_maps([{"LCoA": example(panels=SORTED)}], *WORDS)
    [whole, near] = figure.axes[-2:]
    colours = whole.images[0].get_array()[0]
    assert len(colours) == 80 and len(np.unique(colours[:20], axis=0)) == 1  # the first cluster, outside the windows
    assert whole.get_xlim() == (0, 80) and near.get_xlim()[1] <= 80


def test_a_figure_that_is_filled_again_is_as_a_new_one():
    figure, drawn = Figure((7, 5)), []
    for looks in ([example_look()], [example_look(), example_look(panels=NONE)], [example_look(row=1)]):
        for target in (attention(looks, figure), attention(looks, Figure((7, 5)))):
            target.canvas = FigureCanvasAgg(target)
            target.canvas.draw()
            drawn.append(np.asarray(target.canvas.buffer_rgba()).copy())
        assert np.array_equal(drawn[-2], drawn[-1])


def test_large_maps_are_drawn_with_fewer_squares():
    assert [shrink_factor(shape) for shape in ((128, 5), (129, 5), (100, 400))] == [1, 2, 4]
    values = np.arange(200 * 130, dtype=float).reshape(200, 130)
    values[0, 0] = np.nan
    shrunk = _means(values)
    assert shrunk.shape == (100, 65) and shrunk[3, 4] == values[6:8, 8:10].mean()
    assert shrunk[0, 0] == np.nanmean(values[:2, :2])
    labels = np.arange(200 * 130).reshape(200, 130)
    assert np.array_equal(_samples(labels), labels[1::2, 1::2])
