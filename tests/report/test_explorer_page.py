"""The page that shows where a pixel looks: what is packed in it is what the widgets' functions say."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from faked import new_study, teach
from kept import ROOT, reference
from networks import small
from PIL import Image

from srlab import stats
from srlab.analysis import centre, pair, picture, trace, view
from srlab.analysis.views import Boxes, Groups, Values, Windows, panels
from srlab.data.layouts import held_out
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality
from srlab.models import build
from srlab.plots import STYLE
from srlab.report import explorer
from srlab.report.explorer import comparison, mark, write_explorer
from srlab.report.packing import pack
from srlab.study.study import Study

#: One of each mechanism: those with panels of each kind, several rounds, no weights, a map that is filled up.
ATTENDING = [
    "trunk_nla",
    "lcoan",
    "nlsn",
    "enlcn",
    "trunk_window",
    "trunk_conv_attn",
    "trunk_conv7",
    "trunk_fgca",
    "trunk_bra",
    "esc",
    "hit_srf",
]
ATTENDING += ["elan_light"]
PLACES = [(3, 4), (20, 31)]
STEP = 10 ** (4 / 254)  # between neighbouring levels of weights


def unpack(content):
    data = zlib.decompress(content)
    start = 4 + int.from_bytes(data[:4], "little")
    told, rest = json.loads(data[4:start]), data[start:]
    planes = []
    for height, width in told["shapes"]:
        planes.append(np.frombuffer(rest[: height * width], np.uint8).reshape(height, width))
        rest = rest[height * width :]
    assert rest == b""
    return told["layers"], planes


@pytest.fixture(scope="module")
def lr():
    """Neither square nor of whole windows."""
    return pair(held_out().hr[0], 2)[0][:, 8:36, 8:44]


@pytest.mark.parametrize("model", ATTENDING)
def test_what_is_packed_is_what_widgets_draw(model, lr):
    layers = trace(small(model).eval(), lr)
    shown, planes = unpack(pack(layers, lr, PLACES))
    assert [each["title"] for each in shown] == [
        f"{layer.mechanism}, layer {i} of {len(layers)}" for i, layer in enumerate(layers, 1)
    ]
    for layer, each in zip(layers, shown, strict=True):
        assert each["rounds"] == layer.rounds == len(each["queries"][0]["panels"])
        for place, query in zip(PLACES, each["queries"], strict=True):
            seen = view(layer, lr, *place)
            levels = planes[query["plane"]]
            assert np.array_equal(levels > 0, seen.seen > 0) and levels.shape == lr.shape[1:]
            assert query["says"] == stats.describe(seen)
            assert query["weighed"] == (seen.weights is not None)
            if query["weighed"]:
                relative = (seen.weights * seen.weights.size)[levels > 0]
                kept = 0.1 * STEP ** (levels[levels > 0].astype(float) - 1)
                assert np.abs(np.log(kept / relative.clip(0.1, 1000))).max() <= np.log(STEP) / 2 + 1e-4
            for turn, packed in enumerate(query["panels"]):
                widgets = panels(layer.pattern, layer, *place, turn)
                assert [panel["title"] for panel in packed] == [panel.title for panel in widgets]
                for panel, kept in zip(widgets, packed, strict=True):
                    check(panel, kept, planes, lr.shape[1:])


def check(panel, kept, planes, size):
    own = [planes[number] for number in kept.get("planes", ())]
    on_image = np.s_[: size[0], : size[1]]
    match panel:
        case Groups():
            assert np.array_equal(own[0] + 256 * own[1].astype(int), panel.labels[on_image])
            assert kept["own"] == panel.own and (panel.labels == panel.own).any()
        case Windows():
            assert np.array_equal(own[0], panel.labels[on_image])
        case Boxes():
            assert (tuple(kept["query"]), tuple(map(tuple, kept["keys"]))) == (panel.query, panel.keys)
        case Values():
            values = panel.values[on_image] if panel.on_image else panel.values
            there, largest = np.isfinite(values), np.nanmax(np.abs(values)) or 1.0  # as it is drawn
            least = -largest if panel.signed else 0
            levels = least + (own[0].astype(float) - 1) / 254 * (largest - least)
            assert np.array_equal(own[0] > 0, there)
            assert np.abs(levels - values)[there].max() <= (largest - least) / 254 / 2 + 1e-6
            assert kept["largest"] == pytest.approx(largest, rel=5e-3)
            assert (kept["signed"], kept["onImage"]) == (panel.signed, panel.on_image)


def test_a_map_that_is_shown_twice_is_kept_once(lr):
    """A layer of CoA looks where the first layer looks."""
    layers = trace(small("lcoan").eval(), lr)
    shown, planes = unpack(pack(layers, lr, PLACES))
    assert [query["plane"] for query in shown[0]["queries"]] == [query["plane"] for query in shown[1]["queries"]]
    assert len({plane.tobytes() for plane in planes}) == len(planes)


def test_numbers_of_groups_need_not_fit_a_byte(lr):
    layers = trace(build("trunk_lsp", 2, seed=0, channels=8, groups=1, blocks=1, clusters=600, window=8).eval(), lr)
    layer = layers[0]
    shown, planes = unpack(pack([layer], lr, PLACES))
    groups, _ = panels(layer.pattern, layer, *PLACES[0], 0)
    assert groups.labels.max() > 255
    check(groups, shown[0]["queries"][0]["panels"][0][0], planes, lr.shape[1:])


class Reader(HTMLParser):
    """The scripts of a page by their attributes, and every address that a tag names."""

    def __init__(self, html):
        super().__init__()
        self.scripts, self.addresses, self.policy = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.addresses += [value for name, value in attributes.items() if name in ("src", "href", "data", "srcset")]
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append((attributes, ""))
        if tag == "meta" and "http-equiv" in attributes:
            self.policy = attributes["content"]

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.scripts and self.inside:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)

    @property
    def facts(self):
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "facts"))

    @property
    def packed(self):
        return {
            (attributes["data-image"], attributes["data-network"]): base64.b64decode(text)
            for attributes, text in self.scripts
            if "data-image" in attributes
        }


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The smoke study with two photographs, of one of which there are two parts; nothing is trained."""
    refs = {ref.name: ref for ref in held_out().hr}
    chosen = tuple(refs[name] for name in ("page_left", "page_right", "brick"))
    monkeypatch.setattr(Study, "pictures", chosen)
    monkeypatch.setattr(explorer, "GRIDS", (3, 2))
    return new_study(tmp_path, monkeypatch)


def test_the_page_holds_the_trained_networks_on_a_part_of_each_photograph(study):
    networks = {model: teach(study, model) for model in ("no_attention", "lcoan")}
    path = write_explorer(study)
    assert path == study.folder / "explorer.html"
    page = Reader(path.read_text(encoding="utf-8"))
    assert [image["name"] for image in page.facts["images"]] == ["page_left", "brick"]
    assert [(each["name"], each["untrained"]) for each in page.facts["networks"]] == [
        ("no_attention", False),
        ("lcoan", False),
    ]
    assert page.facts["networks"][1]["whose"] == "Weights: lcoan (trained here)."
    assert set(page.packed) == {("page_left", "lcoan"), ("brick", "lcoan")}  # the trunk has no layer that attends
    assert page.facts["comparison"] is None

    brick, ref = page.facts["images"][1], study.pictures[2]
    lr, hr = (centre(image, side) for image, side in zip(pair(ref, 2), (64, 128), strict=True))
    for model, network in networks.items():
        sr = super_resolve(network, lr, 2)
        assert np.array_equal(pixels(brick["sr"][model]["picture"]), picture(sr))
        assert brick["sr"][model]["psnr"] == round(image_quality(sr, hr, 2)["psnr_y"], 2)
    for name, image in (("lr", lr), ("hr", hr)):
        assert np.array_equal(pixels(brick[name]), picture(image))
    places = [(row, col) for row in brick["rows"] for col in brick["cols"]]
    assert len(places) == 9 and brick["rows"] == [10, 32, 53]
    assert page.packed["brick", "lcoan"] == pack(trace(networks["lcoan"], lr), lr, places)


def pixels(address):
    kind, content = address.split(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(content))))


def test_without_trained_weights_all_networks_are_said_to_be_untrained(study):
    page = Reader(write_explorer(study).read_text(encoding="utf-8"))
    assert {each["name"] for each in page.facts["networks"]} >= set(study.profile.models)
    assert all(each["untrained"] and each["whose"].endswith("(untrained).") for each in page.facts["networks"])


def test_nothing_in_the_page_can_be_asked_of_a_host(study):
    teach(study, "lcoan")
    html = write_explorer(study).read_text(encoding="utf-8")
    page = Reader(html)
    assert page.addresses == []  # pictures are shown by the script, which may show none but those inside
    assert page.policy.startswith("default-src 'none'; img-src data:;") and "connect-src" not in page.policy
    assert set(re.findall(r"https?://[^\"'\s]+", html)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert str(ROOT) not in html


def test_a_page_that_grows_too_large_asks_fewer_pixels(study, monkeypatch):
    teach(study, "lcoan")
    whole = write_explorer(study).stat().st_size
    monkeypatch.setattr(explorer, "LIMIT", whole)
    page = Reader(write_explorer(study).read_text(encoding="utf-8"))
    assert len(page.facts["images"][0]["rows"]) == 2
    assert (study.folder / "explorer.html").stat().st_size < whole


def test_the_comparison_is_the_table_of_the_reference_until_there_is_an_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    monkeypatch.setattr(Study, "reference", reference("quick"))
    study = Study("quick", ROOT)
    told = comparison(study)
    table = pd.read_csv(reference("quick") / "tables" / "comparison.csv").set_index("model")
    assert told["on"] == reference("quick").name.removeprefix("quick-")
    mean, *images = told["sets"]
    assert mean["title"] == "held-out, mean of 8 images" and len(images) == 8
    assert mean["psnr"] == table["psnr_y"].round(3).to_dict()
    each = [psnr["lcoan"] for psnr in (image["psnr"] for image in images)]
    assert np.mean(each) == pytest.approx(mean["psnr"]["lcoan"], abs=1e-3)
    assert {row["name"]: row["ms"] for row in told["networks"]} == table["median_ms"].dropna().round(2).to_dict()

    tables = study.folder / "tables"
    tables.mkdir(parents=True)
    for name in ("comparison", "comparison_images", "bicubic_images"):
        pd.read_csv(reference("quick") / "tables" / f"{name}.csv").to_csv(tables / f"{name}.csv", index=False)
    table.assign(psnr_y=20.0).reset_index().to_csv(tables / "comparison.csv", index=False)
    assert set(comparison(study)["sets"][0]["psnr"].values()) == {20.0}


def test_every_mechanism_has_a_mark_of_its_own():
    marks = {marker: mark(marker) for _, marker in STYLE.values()}
    assert len(set(marks.values())) == len(marks)
    assert all(re.fullmatch(r"(M|[LQC](?=-?\d)|Z|-?\d+\.\d+| )+", path) for path in marks.values())
    corners = np.array(re.findall(r"-?\d+\.\d+", mark("^")), float).reshape(-1, 2)
    top = corners[corners[:, 1].argmin()]  # y grows downwards in SVG
    assert top[0] == pytest.approx(0) and top[1] < 0


def test_the_committed_page_is_small_and_shows_what_quick_trained():
    path = reference("quick") / "explorer.html"
    assert path.stat().st_size < 4_000_000
    html = path.read_text(encoding="utf-8")
    networks = Reader(html).facts["networks"]
    assert [each["name"] for each in networks] == list(Study("quick", ROOT).profile.models)
    assert not any(each["untrained"] for each in networks)
    template = (ROOT / "srlab" / "pages" / "explorer.html").read_text(encoding="utf-8")
    assert html.split("<script>")[-1].strip() == template.split("<script>")[-1].strip()  # it is drawn as pages are now


def test_a_study_of_recall_shows_its_images_and_asks_damaged_tiles(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    name = "recall: copies 16 px away"
    ref = explorer.recall_refs()[name]
    monkeypatch.setattr(explorer, "recall_refs", lambda: {name: ref})
    html = write_explorer(Study("recall_quick", ROOT)).read_text(encoding="utf-8")
    page = Reader(html)
    assert "does a damaged tile look there? Click" in html and "of each photograph" not in html
    assert all(each["untrained"] and each["name"].endswith("-recall") for each in page.facts["networks"])
    [shown] = page.facts["images"]
    (row, column), _ = ref.lost()
    assert shown["rows"][shown["start"][0]] == row and shown["cols"][shown["start"][1]] == column
    damaged = ref.images(2).copy[0] >= 0
    assert all(damaged[row].any() for row in shown["rows"]) and all(damaged[:, col].any() for col in shown["cols"])
    assert np.array_equal(pixels(shown["lr"]), picture(ref.pair(2)[0]))  # the whole of it
