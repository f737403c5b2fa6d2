"""The explorer page as a reader uses it: from the file system, without a server."""

import math
import re

import numpy as np
import pytest
from faked import new_study, teach, write_comparison
from kept import ROOT
from lab import BLANK, PICTURE, brightness
from networks import small
from playwright.sync_api import expect

from srlab.chapters.recall.images import enlarge
from srlab.measure.evaluation import super_resolve
from srlab.models.registry import label
from srlab.report import explorer
from srlab.study.study import Study

pytestmark = pytest.mark.slow

TAUGHT = ("no_attention", "trunk_nla", "lcoan", "trunk_window", "nlsn")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The smoke study with two photographs, and NLSN, which sorts in several rounds; nothing is trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explorer, "GRIDS", (4,))
        study = new_study(tmp_path_factory.mktemp("results"), patch, "brick", "page_left")
        study.profile = study.profile.model_copy(update={"models": (*study.profile.models, "nlsn")})
        yield study


@pytest.fixture(scope="module")
def untrained(study):
    path = explorer.write_explorer(study)
    return path.rename(path.with_name("untrained.html"))


@pytest.fixture(scope="module")
def trained(study, untrained):
    """The page with five networks as if they were trained, and a table with one more."""
    for model in TAUGHT:
        teach(study, model)
    write_comparison(study.folder, (*TAUGHT, "trunk_bra"))
    return explorer.write_explorer(study)


@pytest.fixture
def shown(page, complaints, trained):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto("about:blank")
    page.goto(trained.as_uri())
    expect(page.locator("#map[data-row]")).to_be_visible()
    yield page
    assert complaints == []
    assert {url.partition("#")[0] for url in asked if not url.startswith(("data:", "about:"))} == {trained.as_uri()}


def at(page, row, col):
    expect(page.locator(f"#map[data-row='{row}'][data-col='{col}']")).to_be_visible()


def drawn(page, number=0):
    return page.locator(".maps canvas").nth(number).evaluate(PICTURE)


def changed(page, before, number=0):
    script = f"before => ({PICTURE})(document.querySelectorAll('.maps canvas')[{number}]) !== before"
    page.wait_for_function(script, arg=before)


def test_it_opens_on_lcoa_beside_windows_with_their_own_maps(shown):
    for suffix, model in (("", "lcoan"), ("2", "trunk_window")):
        expect(shown.locator(f"#network{suffix} option:checked")).to_have_text(label(model))
        expect(shown.locator(f"#name{suffix}")).to_have_text(label(model))
    expect(shown.locator(".small canvas")).to_have_count(5)  # LR, clusters, windows; window, position bias
    assert all(drawn(shown, number) != BLANK for number in range(7))
    assert drawn(shown, 0) != drawn(shown, 1)
    expect(shown.locator("#untrained")).to_be_hidden()
    expect(shown.locator("#rounds")).to_be_hidden()


def test_another_image_another_network_another_layer_another_round(shown):
    before = drawn(shown)
    shown.locator("#image").select_option("page_left")
    changed(shown, before)
    expect(shown.locator("#left")).to_have_attribute("alt", re.compile("page_left"))
    shown.locator("#network").select_option(label("trunk_window"))
    expect(shown.locator("#rightname")).to_contain_text(label("trunk_window"))
    before = drawn(shown, 4)  # the position bias
    shown.locator("#layer").select_option("1")
    changed(shown, before, 4)
    shown.locator("#network2").select_option(label("nlsn"))
    expect(shown.locator("#round2 option")).to_have_count(4)
    before = drawn(shown, 5)  # hash buckets
    shown.locator("#round2").select_option("2")
    changed(shown, before, 5)
    for suffix in ("", "2"):
        shown.locator(f"#network{suffix}").select_option(label("no_attention"))
    expect(shown.locator(".small canvas")).to_have_count(1)
    shown.evaluate("location.hash = '#trunk_window'")
    expect(shown.locator("#network option:checked")).to_have_text(label("trunk_window"))
    expect(shown.locator("#network2 option:checked")).to_have_text(label("no_attention"))


def test_the_address_leads_to_the_same_view(shown):
    shown.locator("#image").select_option("page_left")
    shown.locator("#network2").select_option(label("nlsn"))
    shown.locator("#round2").select_option("2")
    shown.locator("#layer").select_option("1")
    shown.locator("#map2").press("ArrowUp")
    expect(shown).to_have_url(re.compile("#image=page_left&net=lcoan&beside=nlsn&at=8,[0-9]+&layer=2,1&round=1,3$"))
    address, before = shown.url, [drawn(shown, number) for number in range(3)]
    shown.goto("about:blank")
    shown.goto(address)
    expect(shown).to_have_url(address)
    expect(shown.locator("#round2 option:checked")).to_have_text("3 of 4")
    assert [drawn(shown, number) for number in range(3)] == before
    for wrong in ("#image=none&net=none&at=x&layer=9,9&round=0", "#net=%E0%A4%A"):
        shown.evaluate("hash => { location.hash = hash }", wrong)
        expect(shown.locator("#map[data-row]")).to_be_visible()
    expect(shown.locator("#name")).to_have_text(label("lcoan"))


def test_shares_of_the_weight_are_beside_the_logarithmic_colours(shown):
    shares = shown.locator("#weightkey .shares span").all_inner_texts()
    assert shares == ["0.002 %", "0.02 %", "0.2 %", "2 %", "20 %"]  # multiples of an even spread over 64×64 pixels
    disc, width = (
        shown.locator("#weightkey .ten").bounding_box()["width"],
        shown.locator("#map").bounding_box()["width"],
    )
    assert disc == pytest.approx(0.2 * 0.1**0.5 * width, abs=2.5)


def test_lr_hr_and_both_sr_are_shown_around_the_query(shown):
    pictures = shown.locator("#crops canvas")
    expect(pictures).to_have_count(4)
    assert shown.locator("#crops figcaption").all_inner_texts() == [
        *("LR", "HR"),
        *(f"SR by {label(model)}" for model in ("lcoan", "trunk_window")),
    ]
    before = [pictures.nth(number).evaluate(PICTURE) for number in range(4)]
    assert len(set(before)) == 4
    shown.locator("#map").press("ArrowLeft")
    moved = "before => ![...document.querySelectorAll('#crops canvas')].some((each, i) => (%s)(each) === before[i])"
    shown.wait_for_function(moved % PICTURE, arg=before)


def test_links_lead_to_the_other_pages(shown):
    assert shown.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))") == [
        "index.html",
        "questions.html",
        "report.html",
    ]


def test_clicks_and_arrow_keys_move_the_query(shown):
    for number, (x, y), place in ((1, (0.9, 0.3), (24, 56)), (3, (0.3, 0.9), (56, 24)), (0, (0.01, 0.01), (8, 8))):
        canvas = shown.locator(".maps canvas").nth(number)
        box = canvas.bounding_box()
        canvas.click(position={"x": x * box["width"], "y": y * box["height"]})
        at(shown, *place)
    for key, place in (("Right", (8, 24)), ("Down", (24, 24)), ("Left", (24, 8)), ("Left", (24, 8))):
        shown.keyboard.press(f"Arrow{key}")
        at(shown, *place)
    assert shown.evaluate("scrollY") == 0  # the keys are the map's, not the page's


def test_the_keyboard_reaches_every_control(shown):
    reached = []
    for _ in range(30):
        shown.keyboard.press("Tab")
        reached.append(shown.evaluate("document.activeElement.id || document.activeElement.getAttribute('href')"))
    controls = ["image", "network", "layer", "network2", "layer2", "map", "map2", "against", "wipe", "set", "#lcoan"]
    assert [each for each in reached if each in controls][: len(controls)] == controls


def test_the_wipe_shows_more_of_sr_or_less(shown):
    left = shown.locator("#left")
    expect(left).to_have_css("clip-path", "inset(0px 50% 0px 0px)")
    shown.locator("#wipe").focus()
    shown.keyboard.press("Home")
    expect(left).to_have_css("clip-path", "inset(0px 100% 0px 0px)")
    box = shown.locator("#pictures").bounding_box()
    shown.locator("#pictures").click(position={"x": 0.75 * box["width"], "y": 20})
    expect(left).to_have_css("clip-path", "inset(0px 25% 0px 0px)")
    bicubic = left.get_attribute("src")
    shown.locator("#against").select_option("HR")
    expect(left).not_to_have_attribute("src", bicubic)


def test_a_mark_has_a_network_s_numbers_and_leads_to_it(shown):
    tip, mark = shown.locator("#tip"), shown.locator("#plot a[href='#trunk_nla']")
    expect(tip).to_be_hidden()
    mark.locator("path").hover()
    for words in (label("trunk_nla"), "31.10 dB", "+2.10", "10.3 ms", "4.0 MiB", "60,000"):
        expect(tip).to_contain_text(words)
    shown.locator("#set").select_option("Set5: b")
    mark.focus()
    expect(tip).to_contain_text("32.00 dB")
    shown.keyboard.press("Enter")
    expect(shown.locator("#network option:checked")).to_have_text(label("trunk_nla"))
    expect(shown.locator("#map")).to_be_in_viewport()
    # A network of the table that is not on the page leads nowhere.
    assert (shown.locator("#plot a").count(), shown.locator("#plot g").count()) == (len(TAUGHT), 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone_and_is_dark_on_request(shown, scheme):
    shown.set_viewport_size({"width": 390, "height": 844})
    shown.emulate_media(color_scheme=scheme)
    expect(shown.locator("#plot svg")).to_have_attribute("width", re.compile("^3[0-9]{2}$"))
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.locator("#map").bounding_box()["width"] > 340
    heights = "texts => texts.map(text => text.getBoundingClientRect().height)"
    assert min(shown.locator("#plot text").evaluate_all(heights)) > 10  # letters do not shrink with the plot
    paper, ink = (brightness(shown, *each) for each in (("body", "backgroundColor"), ("#plot text", "fill")))
    assert (paper > 0.9 and ink < 0.4) if scheme == "light" else (paper < 0.25 and ink > 0.6)


def test_random_weights_are_impossible_to_overlook(page, complaints, untrained):
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(untrained.as_uri())
    expect(page.locator("#map[data-row]")).to_be_visible()
    expect(page.locator("#untrained")).to_be_in_viewport()
    names = page.locator("#network option").all_inner_texts()
    assert len(names) >= 6 and all(name.endswith("UNTRAINED") for name in names)
    page.locator("#rightname").scroll_into_view_if_needed()
    expect(page.locator("#untrained")).to_be_in_viewport()
    stamped = """canvas => {
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Uint32Array(data.buffer).filter(pixel => pixel === 0xff2000b0).length / data.length * 4;
    }"""  # the share of the stamp's red
    shares = page.locator(".maps canvas").evaluate_all(f"all => all.map({stamped})")
    assert len(shares) == 7 and min(*shares[:2], *shares[3:]) > 0.02  # all but the LR image
    assert page.locator("#plot").count() == 0 and complaints == []


@pytest.fixture(scope="module")
def task_page(tmp_path_factory):
    """The page of a study of recall, its first two images, with random weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRLAB_RESULTS", str(tmp_path_factory.mktemp("recall")))
        study = Study("recall_quick", ROOT)
        scenes = dict(list(study.scenes().items())[:2])
        patch.setattr(study, "scenes", lambda: scenes)
        patch.setattr(
            explorer,
            "page_networks",
            lambda study, image: [
                explorer.PageNetwork(model, "untrained", small(model).eval()) for model in ("trunk_lsp", "trunk_window")
            ],
        )
        yield study, explorer.write_explorer(study)


def test_a_task_opens_on_the_farthest_copy_and_says_what_is_given_back(page, complaints, task_page):
    study, path = task_page
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(path.as_uri())
    far = {name: math.dist(*task.lost()) for name, task in study.scenes().items()}
    expect(page.locator("#image option:checked")).to_have_text(max(far, key=far.get))
    row, col = study.scenes()[max(far, key=far.get)].start()
    at(page, row, col)
    words = page.locator("#description").inner_text()
    assert f"The copy lies {round(max(far.values()))} LR pixels away" in words
    backs = [int(back.replace("−", "-")) for back in re.findall(r"gives back (−?\d+) %", words)]
    [shown] = [task for name, task in study.scenes().items() if far[name] == max(far.values())]
    lr, hr = shown.pair(2)
    tile = np.s_[:, 2 * row : 2 * row + 4, 2 * col : 2 * col + 4]
    lost = (enlarge(lr, 2).double() - hr.double())[tile].square().sum()
    known = [
        100 * (1 - (super_resolve(small(model).eval(), lr, 2).double() - hr.double())[tile].square().sum() / lost)
        for model in ("trunk_lsp", "trunk_window")
    ]
    assert backs == pytest.approx([float(each) for each in known], abs=0.51)
    frames = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    colours = page.locator("#map").evaluate(
        f"canvas => {{ const d = ({frames})(canvas); let n = 0;"
        " for (let i = 0; i < d.length; i += 4) n += d[i] === 0 && d[i + 1] === 229 && d[i + 2] === 255; return n; }"
    )
    assert colours > 100  # the copy's frame and the line that leads to it
    assert complaints == []
