"""The study as one page, clicked through from the file system; recall by networks that learnt nothing."""

import json
import re
from types import SimpleNamespace

import pandas as pd
import pytest
from kept import ROOT
from lab import BLANK, PICTURE, brightness
from playwright.sync_api import expect

from srlab.report.site import write_site
from srlab.report.site_data import Results
from srlab.stats.rules import rules
from srlab.study.study import Study

pytestmark = pytest.mark.slow

ARMS = {"trunk_lsp": 0.9, "trunk_lsp tied=0": 0.5, "no_attention": 0.0}
MISSING = ".missing"


def write_recall(study):
    """Write tables of recall of two arms, one falling with distance."""
    ends, tables = rules().recall.bins, study.folder / "tables"
    tables.mkdir(parents=True)
    rows = [{"league": "equal keys", "arm": arm, "model": arm.split()[0], "recall": at} for arm, at in ARMS.items()]
    arms = pd.DataFrame(rows)
    arms = arms.assign(low=arms["recall"] - 0.1, high=arms["recall"] + 0.1, seeds=5, run="none")
    bins = pd.DataFrame({"from_px": ends[:-1], "to_px": ends[1:], "falls": range(len(ends) - 1)})
    far = arms.merge(bins, how="cross")
    far["recall"] -= far["falls"] / 10
    far.to_csv(tables / "recall.csv", index=False)
    groups = arms.assign(group=1, near=1.0, invented=-0.4, invented_low=-0.5, invented_high=-0.3, seen=288)
    groups.to_csv(tables / "recall_groups.csv", index=False)
    cells = {"tied": 0.9, "untied": 0.5, "difference": 0.4, "low": 0.3, "high": 0.5, "verdict": "tied", "seeds": 5}
    pd.DataFrame([{"model": "trunk_lsp"} | cells]).to_csv(tables / "recall_embedding.csv", index=False)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page as if nothing of recall were there, and with recall."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("results")
        patch.setenv("SRLAB_RESULTS", str(folder / "own"))
        study = Study("recall", ROOT)
        folders = Results.folders
        with pytest.MonkeyPatch.context() as without:
            without.setattr(Results, "folders", lambda own, name: [] if name == "recall" else folders(own, name))
            alone = write_site(study, folder / "alone")

        def untrained(study, run):
            network = run.network.build(run.scale, run.seed).eval()
            return SimpleNamespace(run=run, network=lambda: network) if study.label(run) in ARMS else None

        patch.setattr(Study, "weights", untrained)
        write_recall(study)
        yield {"alone": alone, "recall": write_site(study)}


@pytest.fixture
def shown(request, page, complaints, pages):
    """The page with recall, at the address that the test names; it asks for nothing but its own files."""
    path, asked = pages["recall"], []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto("about:blank")
    page.goto(path.as_uri() + getattr(request, "param", ""))
    expect(page.locator("#look-network button")).not_to_have_count(0)
    yield page
    own = path.parent.as_uri()
    assert [url for url in asked if not url.startswith((own, "data:", "about:"))] == [] and complaints == []


def drawn(page, name):
    return page.locator(f"#{name}").evaluate(PICTURE)


def numbers(page, name):
    """The numbers at the ends of a chart's rows."""
    return page.locator(f"#{name} .row:not(.axis) > :last-child").all_inner_texts()


def slide(page, name, value):
    page.locator(f"#{name}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }", value
    )


def address(page):
    return page.evaluate("decodeURIComponent(location.hash)")


def test_a_tap_shows_where_a_mechanism_looks(shown):
    before = drawn(shown, "look-map")
    shown.locator("#look-network button").nth(1).click()
    shown.wait_for_function(f"before => ({PICTURE})(document.querySelector('#look-map')) !== before", arg=before)
    assert shown.locator("#look-network [aria-pressed=true]").count() == 1
    before = address(shown)
    shown.locator("#look-input").focus()
    shown.keyboard.press("ArrowRight")
    shown.wait_for_function("before => decodeURIComponent(location.hash) !== before", arg=before)
    shown.locator("#look-input").click(position={"x": 5, "y": 5})
    assert address(shown).startswith("#photo/") and address(shown) != before
    shown.locator("#look-image button").first.click()
    expect(shown.locator("#look-facts canvas")).to_have_count(3)  # damaged, truth, written
    assert "px/" in address(shown)


def test_an_address_shows_a_tile_in_a_network(page, complaints, pages):
    looks = json.loads((pages["recall"].parent / "looks.json").read_text())
    tile = next(tile for tile in looks["images"][1]["tiles"] if tile["copy"])
    there = f"#{tile['distance']:.0f}px/no_attention/{tile['at'][0]},{tile['at'][1]}"
    page.goto("about:blank")
    page.goto(pages["recall"].as_uri() + there)
    expect(page.locator("#look-network [aria-pressed=true]")).to_have_attribute("data-key", "2")
    expect(page.locator("#look-image [aria-pressed=true]")).to_have_attribute("data-key", "recall 1")
    assert drawn(page, "look-map") != BLANK and complaints == []


def test_the_copy_can_be_dragged_away(shown):
    slide(shown, "test-distance", 4)
    near = numbers(shown, "test-bars")
    shown.locator("#test-field").scroll_into_view_if_needed()
    box = shown.locator("#test-field").bounding_box()
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shown.mouse.down()
    shown.mouse.move(box["x"] + 0.99 * box["width"], box["y"] + box["height"] / 2)
    shown.mouse.up()
    assert near[0].startswith("0.90") and numbers(shown, "test-bars")[0].startswith("0.50")
    assert address(shown) == f"#test/{rules().recall.bins[-1]}"


def test_a_guess_shows_what_networks_write(shown):
    expect(shown.locator("#invents-answer")).to_be_hidden()
    shown.locator("#invents-guess button").last.click()
    expect(shown.locator("#invents-cuts canvas")).to_have_count(1 + len(ARMS))
    assert numbers(shown, "invents-bars") == ["−0.40 [−0.50, −0.30]"] * len(ARMS)


def test_patterns_stand_beside_embeddings_with_intervals(shown):
    tied, untied, control = numbers(shown, "embedding-recall")
    assert (tied, untied, control) == ("0.90 [0.80, 1.00]", "0.50 [0.40, 0.60]", "0.00 [−0.10, 0.10]")
    assert numbers(shown, "embedding-difference") == ["+0.40 [+0.30, +0.50] · tied"]


def test_training_plays_and_stops(shown):
    slide(shown, "learn-step", 100)
    first, curves = numbers(shown, "learn-bars"), shown.locator("#learn-chart path")
    short = curves.first.get_attribute("d")
    assert address(shown) == "#learn/100" and len(first) <= curves.count()
    shown.locator("#learn-play").click()
    shown.wait_for_function("() => document.querySelector('#learn-step').value > 300")
    shown.locator("#learn-play").click()
    stopped = shown.locator("#learn-step").input_value()
    assert numbers(shown, "learn-bars") != first and len(curves.first.get_attribute("d")) > len(short)
    shown.wait_for_timeout(200)
    assert shown.locator("#learn-step").input_value() == stopped


def test_lsp_chooses_step_by_step(shown):
    seen = [drawn(shown, "lsp-canvas")]
    for _ in range(5):
        shown.locator("#lsp-next").click()
        seen.append(drawn(shown, "lsp-canvas"))
    assert len(set(seen)) == 6 and address(shown) == "#lsp/6"


def test_photographs_come_when_they_are_looked_at(shown):
    assert shown.locator("script[src]").count() == 0
    shown.locator("#wipe").scroll_into_view_if_needed()
    expect(shown.locator("#wipe img").first).to_have_attribute("src", data := re.compile("^data:"))
    first = shown.locator("#wipe img").first.get_attribute("src")
    shown.locator("#wipe-image").select_option(index=1)
    expect(shown.locator("#wipe img").first).not_to_have_attribute("src", first)
    expect(shown.locator("#wipe img").last).to_have_attribute("src", data)
    assert address(shown).split("/")[-2:] == [shown.locator(f"#wipe-{end}").input_value() for end in ("left", "right")]
    slide(shown, "wipe-edge", 20)
    expect(shown.locator("#wipe img").last).to_have_css("clip-path", "inset(0px 80% 0px 0px)")


def test_nothing_moves_when_pictures_come(shown):
    top = "document.getElementById('context').offsetTop"
    before = shown.evaluate(top)
    shown.locator("#wipe").scroll_into_view_if_needed()
    expect(shown.locator("#wipe img").last).to_have_attribute("src", re.compile("^data:"))
    assert shown.evaluate(top) == before


def test_the_radius_moves_along_the_curve(shown):
    slide(shown, "context-radius", 0)
    first = numbers(shown, "context-bars")
    shown.locator("#context-benchmark button").nth(1).click()
    assert numbers(shown, "context-bars") != first
    chart = shown.locator("#context-chart")
    places = chart.evaluate(
        "chart => [...chart.querySelectorAll('.banded .mark')].slice(0, 6).map(mark => Number(mark.getAttribute('cx')))"
    )
    chart.click(position={"x": places[3], "y": 90})
    assert address(shown) == "#context/B100 ×4/16"
    shares = [(place - places[0]) / (places[-1] - places[0]) for place in places]
    assert shares == pytest.approx([radius / 48 for radius in (0, 4, 8, 16, 32, 48)])
    slide(shown, "context-radius", 5)
    assert address(shown) == "#context/B100 ×4/48" and shown.locator("#context-chart .line").count() == len(first)


def test_bands_hold_the_intervals_of_all_networks_or_of_one_of_many(shown):
    benchmarks = shown.evaluate("facts.context.benchmarks")
    for place, benchmark in enumerate(benchmarks):
        shown.locator("#context-benchmark button").nth(place).click()
        bands, networks = shown.locator("#context-chart .interval"), benchmark["networks"]
        assert bands.count() == (len(networks) if len(networks) <= 4 else 1)
        shown.locator("#context-band").select_option(networks[-1]["name"])
        [band] = [re.findall(r"[-\d.]+", each.get_attribute("d")) for each in bands.all()]
        assert len(band) == 4 * len(networks[-1]["curve"])  # x and y, there and back
        low, high = float(band[1]), float(band[-1])  # at the first radius, pixels from the top
        [line] = [each.get_attribute("d") for each in shown.locator("#context-chart .banded .line").all()]
        assert high < float(re.findall(r"[-\d.]+", line)[1]) < low


def test_every_chart_says_what_its_axes_measure(shown):
    shown.locator("#invents-guess button").last.click()
    units = shown.locator(".forest .unit").all_inner_texts()
    assert len(units) == shown.locator(".forest").count() >= 9 and all(units)
    titled = "chart => chart.querySelectorAll('text[transform]').length"
    assert [chart.evaluate(titled) for chart in shown.locator("svg[role=img]").all()] == [1, 1]
    first = shown.locator("#cost-bars .unit").inner_text()
    shown.locator("#cost-case").select_option(index=1)
    assert shown.locator("#cost-bars .unit").inner_text() != first


def test_the_ceiling_and_the_cost_follow_their_choices(shown):
    near = numbers(shown, "ceiling-bars")  # of both fusers
    shown.locator("#ceiling-far button[aria-pressed=false]").last.click()
    far = numbers(shown, "ceiling-bars")  # of the linear one
    assert len(near) == 2 * len(far) == 8 and not set(near) & set(far)
    shown.locator("#ceiling-case").select_option(index=0)
    assert numbers(shown, "ceiling-bars") != far
    before = numbers(shown, "cost-bars")
    slide(shown, "cost-size", 0)
    assert numbers(shown, "cost-bars") != before and address(shown).endswith("/24")
    shown.locator("#cost-case").select_option(index=1)
    assert len(numbers(shown, "cost-bars")) == 2


def test_claims_are_filtered_and_sorted(shown):
    rows = shown.locator("#claims-table tbody tr")
    shown.locator("#claims-kind button", has_text="confirmed").click()
    assert {row.get_attribute("data-kind") for row in rows.all() if row.is_visible()} == {"confirmed"}
    shown.locator("#claims-kind button").first.click()
    shown.locator("#claims-table th button", has_text="verdict").click()
    verdicts = shown.locator("#claims-table .verdict").all_inner_texts()
    assert verdicts == sorted(verdicts) and len(verdicts) == rows.count()
    claims = [row.get_attribute("data-claim") for row in rows.all()]
    titled = [row.locator(".title").is_visible() for row in rows.all()]
    assert titled == [claim != before for claim, before in zip(claims, [None, *claims], strict=False)]
    assert not all(titled)
    rows.first.locator("summary").click()
    expect(rows.first.locator("details")).to_have_attribute("open", "")


def test_the_leaderboard_sorts_and_shows_printed_rows(shown):
    table = shown.locator("#released table")
    shown.locator("#released-kind button").last.click()
    assert table.locator("tr.printed").first.is_visible()
    table.locator("th button", has_text="ms").click()
    times = [text for text in table.locator("tbody td:nth-child(4)").all_inner_texts() if text]
    assert [float(time) for time in times] == sorted(float(time) for time in times)


def test_two_conventions_differ_by_what_their_images_do(shown):
    shown.locator("#db-one").select_option("the default")
    shown.locator("#db-other").select_option("self-ensemble of 8")
    expect(shown.locator("#db-result")).to_contain_text("+0.123 dB")
    assert "+0.123" in numbers(shown, "db-all") and len(numbers(shown, "db-all")) == 15
    shown.locator("#db-other").select_option("the default")
    expect(shown.locator("#db-result")).to_contain_text("0.000 dB")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone(shown, scheme):
    shown.set_viewport_size({"width": 390, "height": 844})
    shown.emulate_media(color_scheme=scheme)
    shown.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    paper, ink = (brightness(shown, "body", name) for name in ("backgroundColor", "color"))
    assert (paper > 0.9 and ink < 0.2) if scheme == "light" else (paper < 0.2 and ink > 0.8)
    colours = "line => [getComputedStyle(line).stroke, line.style.getPropertyValue('--c')].join()"
    drawn_as, own = shown.locator("#learn-chart .line").first.evaluate(colours).rsplit(",", 1)
    assert ("oklab" in drawn_as) == (scheme == "dark") and own.startswith("#")  # in the dark, mixed with white


SLIDERS = ("test-distance", "learn-step", "lsp-step", "wipe-edge", "context-radius", "cost-size")


@pytest.mark.parametrize("slider", SLIDERS)
def test_arrow_keys_move_each_slider(shown, slider):
    before = shown.locator(f"#{slider}").input_value()
    shown.locator(f"#{slider}").focus()
    shown.keyboard.press("ArrowRight")
    if shown.locator(f"#{slider}").input_value() == before:  # at its end
        shown.keyboard.press("ArrowLeft")
    assert shown.locator(f"#{slider}").input_value() != before


def test_without_recall_the_page_says_so_and_works(page, complaints, pages):
    page.goto(pages["alone"].as_uri())
    expect(page.locator("#look-network button")).not_to_have_count(0)
    sections = ", ".join(f"#{name} {MISSING}" for name in ("test", "invents", "embedding"))
    assert page.locator(sections).count() == 3 and page.locator("#test-bars").count() == 0
    links = page.evaluate("[...document.links].map(link => link.href).filter(link => link.startsWith('file:'))")
    anchors = [link.split("#")[1] for link in links if "#" in link]
    assert (
        page.evaluate("anchors => anchors.filter(a => !document.getElementById(a))", anchors) == [] and not complaints
    )


def test_the_first_screens_weigh_little(pages):
    assert all(path.stat().st_size < 3_000_000 for path in pages.values())
