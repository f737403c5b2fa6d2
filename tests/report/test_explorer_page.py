"""The explorer page packs what the plain functions return."""

import base64
import json
import re
import zlib
from io import BytesIO
from itertools import product

import numpy as np
import pytest
from faked import new_study, teach, write_comparison
from kept import ROOT
from networks import short, small
from PIL import Image

from srlab.analysis import centre, pair, picture, trace, view
from srlab.analysis.explore import describe
from srlab.analysis.views import Boxes, Values, panels
from srlab.data.layouts import held_out
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality
from srlab.models import build
from srlab.models.registry import label
from srlab.plots import STYLE
from srlab.report import explorer
from srlab.report.explorer import comparison, mark, write_explorer
from srlab.report.packing import HEAVIEST, LEAST, LEVELS, pack
from srlab.study.study import Study

#: Panels of each kind, several rounds, no weights, a padded map.
ATTENDING = ("trunk_nla", "lcoan", "nlsn", "enlcn", "trunk_window", "trunk_conv_attn", "trunk_conv7", "trunk_fgca")
ATTENDING += ("trunk_bra", "esc", "hit_srf", "elan_light", "many clusters")
ATTENDING += ("trunk_cata", "trunk_pfa", "atd_light", "pft_light")
LR = pair(held_out().hr[0], 2)[0][:, 8:36, 8:44]  # neither square nor of whole windows
PLACES = [(3, 4), (20, 31)]
STEP = 10 ** (4 / (LEVELS - 1))  # between neighbouring levels of weights


def unpack(content):
    data = zlib.decompress(content)
    start = 4 + int.from_bytes(data[:4], "little")
    facts, rest = json.loads(data[4:start]), data[start:]
    planes = []
    for height, width in facts["shapes"]:
        planes.append(np.frombuffer(rest[: height * width], np.uint8).reshape(height, width))
        rest = rest[height * width :]
    assert rest == b""
    return facts["layers"], planes


@pytest.mark.parametrize("model", ATTENDING)
def test_a_page_holds_the_views_of_every_layer(model):
    many = build("trunk_lsp", 2, seed=0, channels=8, groups=1, blocks=1, clusters=600, window=8)  # more than a byte
    layers = trace((many if model == "many clusters" else short(model)).eval(), LR)
    packed, planes = unpack(pack(layers, LR, PLACES, [None, (4, 6, 2, 2)]))
    assert len({plane.tobytes() for plane in planes}) == len(planes)  # equal maps are kept once
    assert [each["title"] for each in packed] == [layer.title for layer in layers]
    for layer, each in zip(layers, packed, strict=True):
        assert each["rounds"] == layer.rounds == len(each["queries"][0]["panels"])
        for place, query in zip(PLACES, each["queries"], strict=True):
            found, levels = view(layer, LR, *place), planes[query["plane"]]
            assert np.array_equal(levels > 0, found.seen > 0) and levels.shape == LR.shape[1:]
            assert query["text"] == describe(found) and query["weighed"] == (found.weights is not None)
            if query["weighed"]:
                relative = (found.weights * found.weights.size)[levels > 0].clip(0.1, 1000)
                assert np.abs(np.log(relative / 0.1) / np.log(STEP) - levels[levels > 0] + 1).max() <= 0.5 + 1e-3
                check_shares(query, found.weights, has_copy=place == PLACES[1])
            for number, shown in enumerate(query["panels"]):
                for panel, kept in zip(panels(layer.pattern, layer, *place, number), shown, strict=True):
                    assert kept["title"] == panel.title
                    check(panel, kept, planes, LR.shape[1:])


def check_shares(query, weights, has_copy):
    """Shares are linear: the heaviest keys in percent, and the weight on the copy's box."""
    shares = [share for *_, share in query["top"]]
    assert shares == sorted(shares, reverse=True) and len(shares) <= HEAVIEST and all(s >= LEAST for s in shares)
    assert shares == pytest.approx([100 * weights[row, col] for row, col, _ in query["top"]], abs=0.05 + 1e-6)
    assert len(shares) in (HEAVIEST, (100 * weights >= LEAST - 0.05).sum())
    assert ("onCopy" in query) == has_copy
    if has_copy:
        assert query["onCopy"] == pytest.approx(100 * weights[4:6, 6:8].sum(), rel=0.05)


def check(panel, kept, planes, size):
    first, *more = [planes[number].astype(int) for number in kept.get("planes", ())] or [None]
    on_image = np.s_[: size[0], : size[1]]
    if isinstance(panel, Boxes):
        assert (tuple(kept["query"]), tuple(map(tuple, kept["keys"]))) == (panel.query, panel.keys)
    elif isinstance(panel, Values):
        values = panel.values[on_image] if panel.on_image else panel.values
        there, largest = np.isfinite(values), np.nanmax(np.abs(values)) or 1.0
        least = -largest if panel.signed else 0
        levels = least + (first - 1) / (LEVELS - 1) * (largest - least)
        assert np.array_equal(first > 0, there)
        assert np.abs(levels - values)[there].max() <= (largest - least) / (LEVELS - 1) / 2 + 1e-6
        assert (kept["signed"], kept["onImage"]) == (panel.signed, panel.on_image)
        assert kept["largest"] == pytest.approx(largest, rel=5e-3)
    else:  # clusters in two bytes, windows in one
        assert np.array_equal(first + 256 * sum(more), panel.labels[on_image])
        assert kept.get("own") == getattr(panel, "own", None)


def read(path):
    html = path.read_text(encoding="utf-8")
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', html, re.S).group(1))
    packed = re.findall(r'data-image="(.*?)" data-network="(.*?)">(.*?)</script>', html)
    return facts, {(image, network): base64.b64decode(content) for image, network, content in packed}


def pixels(address):
    return np.asarray(Image.open(BytesIO(base64.b64decode(address.removeprefix("data:image/webp;base64,")))))


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The smoke study with two photographs, the first in two parts; nothing is trained."""
    monkeypatch.setattr(explorer, "GRIDS", (3, 2))
    return new_study(tmp_path, monkeypatch, "page_left", "page_right", "brick")


def test_the_page_holds_trained_networks_on_a_part_of_each_photograph(study, monkeypatch):
    facts, _ = read(write_explorer(study))  # without weights, all networks with random ones
    assert facts["untrained"] and {each["name"] for each in facts["networks"]} >= set(study.profile.models)
    networks = {model: teach(study, model) for model in ("no_attention", "lcoan")}
    path = write_explorer(study)
    facts, packed = read(path)
    assert path == study.folder / "explorer.html" and not facts["untrained"] and facts["comparison"] is None
    assert [image["name"] for image in facts["images"]] == ["page_left", "brick"]
    assert {each["name"]: each["label"] for each in facts["networks"]} == {model: label(model) for model in networks}
    assert set(packed) == {("page_left", "lcoan"), ("brick", "lcoan")}  # no_attention has no maps

    brick = facts["images"][1]
    lr, hr = (centre(image, side) for image, side in zip(pair(study.pictures[2], 2), (64, 128), strict=True))
    for model, network in {"bicubic": None, **networks}.items():
        sr = super_resolve(network, lr, 2)
        assert np.array_equal(pixels(brick["sr"][model]["picture"]), picture(sr))
        assert brick["sr"][model]["psnr"] == round(image_quality(sr, hr, 2)["psnr_y"], 2)
    assert np.array_equal(pixels(brick["lr"]), picture(lr)) and np.array_equal(pixels(brick["hr"]), picture(hr))
    places = [(row, col) for row in brick["rows"] for col in brick["cols"]]
    assert len(places) == 9 and brick["rows"] == [10, 32, 53]
    assert packed["brick", "lcoan"] == pack(trace(networks["lcoan"], lr), lr, places, [None] * len(places))
    assert brick["targets"] == [None] * len(places)
    assert [facts["networks"][number]["name"] for number in facts["opening"]["networks"]] == ["lcoan", "no_attention"]

    assert str(ROOT) not in path.read_text(encoding="utf-8")
    monkeypatch.setattr(explorer, "LIMIT", path.stat().st_size)  # a page that grows too large has fewer queries
    assert len(read(write_explorer(study))[0]["images"][0]["rows"]) == 2


def test_a_study_of_a_task_shows_its_images_and_their_queries(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    study = Study("recall_quick", ROOT)
    name, task = next(iter(study.scenes().items()))
    monkeypatch.setattr(study, "scenes", lambda: {name: task})
    facts, _ = read(write_explorer(study))
    assert facts["task"] and len(facts["networks"]) == len(study.chapter("recall").settings.models)
    [shown] = facts["images"]
    assert (shown["rows"], shown["cols"]) == task.queries()
    assert (shown["rows"][shown["start"][0]], shown["cols"][shown["start"][1]]) == task.start()
    assert np.array_equal(pixels(shown["lr"]), picture(task.pair(2)[0]))  # the whole image


def test_a_task_leads_from_each_damaged_tile_to_its_copy(tmp_path, monkeypatch):
    """Tile and copy have one colour in LR, and one content in HR; the page opens on the farthest copy."""
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    plain = explorer.PageNetwork("no_attention", "untrained", small("no_attention").eval())
    images = [explorer._open(task, [plain], 2) for task in Study("recall_quick", ROOT).scenes().values()]
    far = []
    for image in images:
        places = list(product(*image.grid(1)))
        found = {place: target for place, target in zip(places, image.targets(places), strict=True) if target}
        far.append(np.hypot(*np.subtract(*found[image.start])[:2]))
        for (row, col), (tile, copy) in found.items():
            (top, left, height, width), (there, beside, *_) = tile, copy
            assert top <= row < top + height and left <= col < left + width
            lr = [image.lr[:2, y, x].tolist() for y, x in ((top, left), (there, beside))]
            assert lr[0] == lr[1]
            hr = [image.hr[:, 2 * y : 2 * y + 4, 2 * x : 2 * x + 4].tolist() for y, x in ((top, left), (there, beside))]
            assert hr[0] == hr[1]
        assert len(found) >= 4
    assert explorer._opening(images) == {"image": int(np.argmax(far)), "networks": [0, 0]}


def test_the_comparison_is_the_table_of_the_study_or_else_of_the_reference(study, tmp_path, monkeypatch):
    monkeypatch.setattr(Study, "reference", tmp_path / "smoke-other")
    for folder, psnr in ((study.reference, 31.0), (study.folder, 32.0)):
        write_comparison(folder, ("lcoan",), psnr)
        found = comparison(study)
        assert found["on"] == folder.name.removeprefix("smoke-") and found["side"] == 64
        assert [each["psnr"]["lcoan"] for each in found["sets"]] == [psnr, 30.0, 32.0]
        assert [(each["name"], each["ms"], each["seeds"]) for each in found["networks"]] == [("lcoan", 5.13, 3)]


def test_marks_differ_and_stand_upright():
    marks = {marker: mark(marker) for _, marker in STYLE.values()}
    assert len(set(marks.values())) == len(marks)
    corners = np.array(re.findall(r"-?\d+\.\d+", mark("^")), float).reshape(-1, 2)
    top = corners[corners[:, 1].argmin()]  # y grows downwards in SVG
    assert top[0] == pytest.approx(0) and top[1] < 0
