"""The page that shows where a pixel looks, as a reader uses it: from the file system, with no server and no host."""

import re
import shutil

import pandas as pd
import pytest
from faked import new_study, teach
from kept import reference
from lab import BLANK, PICTURE
from playwright.sync_api import expect

from srlab.data.layouts import held_out
from srlab.report import explorer
from srlab.study.study import Study

pytestmark = pytest.mark.slow

TAUGHT = ("no_attention", "trunk_nla", "lcoan", "trunk_window", "nlsn")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The smoke study with two photographs, and NLSN, which sorts in several rounds; nothing is trained."""
    refs = {ref.name: ref for ref in held_out().hr}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Study, "pictures", (refs["brick"], refs["page_left"]))
        patch.setattr(explorer, "GRIDS", (4,))
        study = new_study(tmp_path_factory.mktemp("results"), patch)
        study.profile = study.profile.model_copy(update={"models": (*study.profile.models, "nlsn")})
        yield study


@pytest.fixture(scope="module")
def untrained(study):
    """The page of a study without weights."""
    path = explorer.write_explorer(study)
    return path.rename(path.with_name("untrained.html"))


@pytest.fixture(scope="module")
def trained(study, untrained):
    """The page with four networks as if they were trained, and the table that quick's reference has."""
    for model in TAUGHT:
        teach(study, model)
    shutil.copytree(reference("quick") / "tables", study.folder / "tables")
    return explorer.write_explorer(study)


@pytest.fixture(scope="module")
def asked(page):
    """Every address that the browser asks for."""
    addresses: list[str] = []
    page.context.on("request", lambda request: addresses.append(request.url))
    return addresses


@pytest.fixture
def shown(page, complaints, asked, trained):
    """The page, just opened, in the light, on a screen."""
    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto("about:blank")
    asked.clear()
    page.goto(trained.as_uri())
    expect(page.locator("#says")).to_contain_text("sees")
    yield page
    assert complaints == []
    assert asked == [trained.as_uri()]  # pictures inside the page are no requests


def place(page):
    """Row and column of the query, as the sentence says."""
    said = page.locator("#says").inner_text()
    return tuple(int(number) for number in re.search(r"row (\d+), column (\d+)", said).groups())


def drawn(page, number=0):
    """A hash of what a map shows."""
    return page.locator(".maps canvas").nth(number).evaluate(PICTURE)


def test_it_opens_on_lcoa_with_its_clusters_and_windows(shown, screenshots):
    expect(shown.locator("#network option:checked")).to_have_text("lcoan")
    expect(shown.locator(".small figcaption")).to_have_count(3)
    for words in ("LR", "clusters", "sorted windows"):
        expect(shown.locator(".small figcaption", has_text=words)).to_be_visible()
    assert all(drawn(shown, number) != BLANK for number in range(4))
    expect(shown.locator("#untrained")).to_be_hidden()
    expect(shown.locator("#whose")).to_have_text("Weights: lcoan (trained here).")
    shown.screenshot(path=screenshots / "explorer_page.png", full_page=True)


def test_another_image_another_network_another_layer(shown):
    before = drawn(shown)
    shown.get_by_label("image", exact=True).select_option("page_left")
    expect(shown.locator("#left")).to_have_attribute("alt", re.compile("page_left: bicubic"))
    shown.wait_for_function(f"before => ({PICTURE})(document.getElementById('map')) !== before", arg=before)
    shown.get_by_label("network", exact=True).select_option("trunk_window")
    expect(shown.locator("#says")).to_contain_text("WindowAttention, groups.0.attention")
    expect(shown.locator("#rightsays")).to_contain_text("SR by trunk_window")
    expect(shown.locator(".small figcaption", has_text="position bias")).to_be_visible()
    shown.get_by_label("layer", exact=True).select_option("1")
    expect(shown.locator("#says")).to_contain_text("WindowAttention, groups.1.attention")
    shown.get_by_label("network", exact=True).select_option("no_attention")
    expect(shown.locator("#says")).to_contain_text("no_attention has no attention layer")
    expect(shown.locator(".small figcaption")).to_have_count(1)


def test_rounds_are_offered_only_where_a_layer_has_several(shown):
    expect(shown.locator("#turn")).to_be_hidden()
    shown.get_by_label("network", exact=True).select_option("nlsn")
    shown.get_by_label("round", exact=True).select_option("3 of 4")
    expect(shown.locator(".small figcaption", has_text="hash buckets, round 3 of 4")).to_be_visible()


@pytest.mark.parametrize("number", [0, 1, 2], ids=["weights", "image", "clusters"])
def test_a_click_on_a_map_asks_the_pixel_nearest_to_it(shown, number):
    before = drawn(shown)
    canvas = shown.locator(".maps canvas").nth(number)
    box = canvas.bounding_box()
    canvas.click(position={"x": 0.30 * box["width"], "y": 0.90 * box["height"]})
    expect(shown.locator("#says")).to_contain_text("row 56, column 24 sees")
    assert drawn(shown) != before


def test_arrow_keys_move_the_query_to_the_edge_and_no_further(shown):
    canvas = shown.locator("#map")
    canvas.click(position={"x": 1, "y": 1})
    assert place(shown) == (8, 8)
    for key, at in (("ArrowRight", (8, 24)), ("ArrowDown", (24, 24)), ("ArrowLeft", (24, 8)), ("ArrowLeft", (24, 8))):
        shown.keyboard.press(key)
        expect(shown.locator("#says")).to_contain_text("row %d, column %d sees" % at)
    assert shown.evaluate("scrollY") == 0  # the keys are the map's, not the page's


def test_all_of_it_can_be_reached_by_the_keyboard(shown):
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
    shown.get_by_label("compare SR with", exact=True).select_option("HR")
    expect(shown.locator("#leftsays")).to_have_text("HR")
    assert left.get_attribute("src") != bicubic
    widths = shown.locator("#pictures img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert widths == [128, 128]


def test_a_mark_names_network_images_and_numbers_and_leads_to_the_network(shown, trained, screenshots):
    table = pd.read_csv(trained.parent / "tables" / "comparison.csv").set_index("model")
    psnr, costs = table["psnr_y"], table.loc["trunk_nla"]
    tip, trunk_nla = shown.locator("#tip"), shown.locator("#plot a[href='#trunk_nla']")
    expect(tip).to_be_hidden()
    trunk_nla.locator("path").hover()
    expect(tip).to_contain_text("trunk_nla")
    expect(tip).to_contain_text("held-out, mean of 8 images")
    expect(tip).to_contain_text(f"{psnr['trunk_nla']:.2f} dB, {psnr['trunk_nla'] - psnr['bicubic']:+.2f} on bicubic")
    expect(tip).to_contain_text(f"{round(costs['median_ms'], 2):.1f} ms, {costs['peak_mib']:.1f} MiB")
    shown.screenshot(path=screenshots / "explorer_page_tip.png")
    shown.get_by_label("images", exact=True).select_option("held-out: brick")
    trunk_nla.focus()
    expect(tip).to_contain_text("held-out: brick")
    shown.keyboard.press("Enter")
    expect(shown.locator("#network option:checked")).to_have_text("trunk_nla")
    expect(shown.locator("#says")).to_contain_text("NLA, groups.0.attention")
    expect(shown.locator("#map")).to_be_in_viewport()
    # One that the table has and the page has not leads nowhere.
    assert shown.locator("#plot a").count() == len(TAUGHT) and shown.locator("#plot g").count() == 11 - len(TAUGHT)


def test_an_address_opens_a_network(shown, trained):
    shown.evaluate("location.hash = '#trunk_window'")
    expect(shown.locator("#says")).to_contain_text("WindowAttention")


def test_it_is_dark_where_the_reader_has_it_dark(shown, screenshots):
    light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.emulate_media(color_scheme="dark")
    dark, ink = shown.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    shown.screenshot(path=screenshots / "explorer_page_dark.png", full_page=True)
    assert brightness(light) > 240 and brightness(dark) < 60 and brightness(ink) > 200
    text = shown.locator("#plot text").first.evaluate("text => getComputedStyle(text).fill")
    assert brightness(text) > 150


def brightness(colour):
    return sum(int(number) for number in re.findall(r"\d+", colour)[:3]) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone(shown, scheme, screenshots):
    shown.set_viewport_size({"width": 390, "height": 844})
    shown.emulate_media(color_scheme=scheme)
    expect(shown.locator("#plot svg")).to_have_attribute("width", re.compile("^3[0-9]{2}$"))
    shown.screenshot(path=screenshots / f"explorer_page_390_{scheme}.png", full_page=True)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.locator("#map").bounding_box()["width"] > 340
    sizes = shown.locator("#plot text").evaluate_all("texts => texts.map(text => text.getBoundingClientRect().height)")
    assert min(sizes) > 10  # letters are not shrunk with the plot
    words = shown.locator("select:visible, input:visible").evaluate_all("all => all.map(each => each.clientHeight)")
    assert len(words) == 6


def test_random_weights_are_impossible_to_overlook(page, complaints, untrained, screenshots):
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(untrained.as_uri())
    expect(page.locator("#says")).to_contain_text("sees")
    alarm = page.locator("#untrained")
    expect(alarm).to_be_in_viewport()
    expect(alarm).to_contain_text("UNTRAINED: these weights are random")
    names = page.locator("#network option").all_inner_texts()
    assert len(names) > 6 and all(name.endswith(", UNTRAINED") for name in names)
    expect(page.locator("#rightsays")).to_contain_text("lcoan, UNTRAINED")
    page.screenshot(path=screenshots / "explorer_page_untrained.png", full_page=True)
    page.locator("#rightsays").scroll_into_view_if_needed()
    expect(alarm).to_be_in_viewport()
    stamped = """canvas => {
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Uint32Array(data.buffer).filter(pixel => pixel === 0xff2000b0).length / data.length * 4;
    }"""  # how much is of the stamp's red
    shares = page.locator(".maps canvas").evaluate_all(f"all => all.map({stamped})")
    assert len(shares) == 4 and min(shares[0], *shares[2:]) > 0.02  # the LR image shows nothing that weights made
    assert page.locator("section.below").count() == 0 and complaints == []
