"""The explorer page as a reader uses it: from the file system, without a server."""

import re

import pytest
from faked import new_study, teach, write_comparison
from lab import BLANK, PICTURE, brightness
from playwright.sync_api import expect

from srlab.models.registry import label
from srlab.report import explorer

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
    assert {url for url in asked if not url.startswith(("data:", "about:"))} == {trained.as_uri()}


def at(page, row, col):
    expect(page.locator(f"#map[data-row='{row}'][data-col='{col}']")).to_be_visible()


def drawn(page, number=0):
    return page.locator(".maps canvas").nth(number).evaluate(PICTURE)


def changed(page, before, number=0):
    script = f"before => ({PICTURE})(document.querySelectorAll('.maps canvas')[{number}]) !== before"
    page.wait_for_function(script, arg=before)


def test_it_opens_on_lcoa_with_its_clusters_and_windows(shown):
    expect(shown.locator("#network option:checked")).to_have_text(label("lcoan"))
    expect(shown.locator(".small canvas")).to_have_count(3)
    assert all(drawn(shown, number) != BLANK for number in range(4))
    expect(shown.locator("#untrained")).to_be_hidden()
    expect(shown.locator("#rounds")).to_be_hidden()


def test_another_image_another_network_another_layer_another_round(shown):
    before = drawn(shown)
    shown.locator("#image").select_option("page_left")
    changed(shown, before)
    expect(shown.locator("#left")).to_have_attribute("alt", re.compile("page_left"))
    shown.locator("#network").select_option(label("trunk_window"))
    expect(shown.locator("#rightname")).to_contain_text(label("trunk_window"))
    before = drawn(shown, 3)  # the position bias
    shown.locator("#layer").select_option("1")
    changed(shown, before, 3)
    shown.locator("#network").select_option(label("nlsn"))
    expect(shown.locator("#round option")).to_have_count(4)
    before = drawn(shown, 2)  # hash buckets
    shown.locator("#round").select_option("2")
    changed(shown, before, 2)
    shown.locator("#network").select_option(label("no_attention"))
    expect(shown.locator(".small canvas")).to_have_count(1)
    shown.evaluate("location.hash = '#trunk_window'")
    expect(shown.locator("#network option:checked")).to_have_text(label("trunk_window"))


def test_clicks_and_arrow_keys_move_the_query(shown):
    for number, (x, y), place in ((1, (0.9, 0.3), (24, 56)), (2, (0.3, 0.9), (56, 24)), (0, (0.01, 0.01), (8, 8))):
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
    for _ in range(25):
        shown.keyboard.press("Tab")
        reached.append(shown.evaluate("document.activeElement.id || document.activeElement.getAttribute('href')"))
    controls = ["image", "network", "layer", "map", "against", "wipe", "set", "#lcoan"]
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
    assert len(shares) == 4 and min(shares[0], *shares[2:]) > 0.02  # all but the LR image
    assert page.locator("#plot").count() == 0 and complaints == []
