"""Headline findings are made from tables, say no more than those, and README says nothing else."""

import re
import shutil

import pandas as pd
import pytest
from kept import ROOT, reference

from srlab.errors import InputError
from srlab.report.catalogue import PAGES
from srlab.report.readme import LAST, findings_block
from srlab.stats import headlines
from srlab.stats.judging import judged
from srlab.stats.tables import claims_markdown


def gains(*rows, by="model", seeds=3, benchmark="Set5"):
    """`(name, gain, low, high)` a row; told apart as `differences` says it."""
    table = pd.DataFrame(rows, columns=[by, "gain_db", "low_db", "high_db"])
    apart = ((table["low_db"] > 0) | (table["high_db"] < 0)) & (seeds >= 3)
    return table.assign(benchmark=benchmark, seeds=seeds, told_apart=apart, run="aa")


BETTER, WORSE = ("trunk_nla", 0.21, 0.1, 0.3), ("trunk_bra", -0.2, -0.3, -0.1)
OPEN, NONE = ("trunk_lsp", 0.1, -0.02, 0.22), ("trunk_fgca", 0.01, 0.002, 0.03)


def test_each_network_is_judged_once_and_what_is_within_the_margin_is_no_effect():
    told = judged(gains(BETTER, WORSE, OPEN, NONE), "model")
    assert told == (
        "`trunk_nla` better, by 0.210 dB; `trunk_bra` worse, by 0.200 dB; `trunk_fgca`: no effect beyond ±0.05 dB; "
        "1 of 4 not told apart (95 % intervals within ±0.22 dB)"
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([BETTER, ("enlcn", 0.11, 0.06, 0.2)], "`trunk_nla`, `enlcn` better, by 0.110 to 0.210 dB"),
        ([OPEN, ("esc", -0.1, -0.35, 0.01)], "2 of 2 not told apart (95 % intervals within ±0.35 dB)"),
        ([NONE], "`trunk_fgca`: no effect beyond ±0.05 dB"),
        (
            4 * [NONE] + [OPEN],
            "none better, none worse; 4 of 5: no effect beyond ±0.05 dB; 1 of 5 not told apart (95 % "
            "intervals within ±0.22 dB)",
        ),
    ],
)
def test_what_there_is_none_of_is_not_named(rows, told):
    assert judged(gains(*rows), "model") == told


def test_few_seeds_give_no_verdict_and_all_benchmarks_count_before_each():
    assert judged(gains(BETTER, seeds=2), "model") == "+0.210 dB, of 2 seeds, which gives no verdict"
    both = pd.concat([gains(WORSE), gains(("trunk_bra", 0.21, 0.1, 0.3), benchmark="all")])
    assert judged(both, "model") == "`trunk_bra` better, by 0.210 dB"


def test_attention_is_judged_on_the_trunk_only():
    told = headlines.attention(gains(BETTER, ("hit_srf", -0.7, -0.8, -0.6), ("esc", 0.5, 0.4, 0.6)))
    assert "`trunk_nla` better" in told and "hit_srf" not in told and "esc" not in told


def test_what_attention_adds_to_a_trunk_says_on_how_many():
    told = headlines.branched(gains(NONE, WORSE, ("trunk_conv7", 0.3, 0.2, 0.4), by="arm", seeds=5))
    assert told.endswith(
        "Attached to 5 trunks, against going on without it: `trunk_bra` worse, by 0.200 dB; `trunk_fgca`: no effect "
        "beyond ±0.05 dB."
    )


def test_verdicts_are_counted_each_kind_once_of_quality_and_of_costs():
    rows = [("a", "smaller", "psnr_gain_db"), ("b", "confirmed", "memory_ratio"), ("b", "smaller", "memory_ratio")]
    told = headlines.claimed(pd.DataFrame(rows, columns=["id", "verdict", "quantity"]))
    assert told.endswith(
        "Of 3 comparisons for 2 claims: about quality none confirmed, 1 smaller; about time and memory 1 confirmed, "
        "1 smaller."
    )


def test_crossings_are_of_our_code_and_may_never_come():
    columns = ["id", "against", "code", "judged", "claimed", "from_no_effect", "from_claim"]
    rows = [
        ("lcoa-time", "trunk_nla", "ours", True, 83, 1024, 9216),
        ("lcoa-time", "trunk_nla", "ours", False, 83, 1024, 9216),
        ("lcoa-time", "trunk_lsp", "ours", True, 83, 1024, float("nan")),
        ("lcoa-time", "enlcn", "ours", True, 83, float("nan"), float("nan")),
        ("lcoa-time", "nlsn", "as published", True, 83, 576, 576),
    ]
    told = headlines.crossings(pd.DataFrame(rows, columns=columns))
    assert told.endswith(
        "save the claimed 83 % against `trunk_nla` from 96×96 px on; time, but never the claimed 83 %, against `trunk_lsp` from "
        "32×32 px on; nothing against `enlcn`."
    )
    assert headlines.crossings(pd.DataFrame(rows[-1:], columns=columns)) == ""


def test_the_changes_of_a_recipe_that_cost_most_are_named_the_worst_first():
    losses = {"as chosen": 0.0, "a": -0.1, "b": -1.4, "c": -0.5, "d": 0.1, "e": -0.3}
    rows = [(name, model, 0, 2.0 + change, change) for name, change in losses.items() for model in ("lcoan", "esc")]
    told = headlines.recipe(pd.DataFrame(rows, columns=["recipe", "model", "seed", "gain_db", "change_db"]))
    assert "Of 5 changes" in told and "2 networks" in told and "(2.00 dB)" in told
    assert "b (-1.40 dB), c (-0.50 dB), e (-0.30 dB); 1 seed, which gives no verdict" in told


def test_kinds_are_judged_one_by_one():
    each = pd.concat([gains(BETTER, benchmark="urban"), gains(WORSE, benchmark="text"), gains(OPEN, benchmark="all")])
    told = headlines.kinds(each)
    assert "`trunk_nla on urban` better" in told and "`trunk_bra on text` worse" in told and "trunk_lsp" not in told


def test_how_far_networks_get_counts_images_and_not_benchmarks():
    rows = [
        ("Set5", "bicubic", 5, 30.0), ("B100", "bicubic", 15, 28.0),
        ("Set5", "lcoan", 5, 32.0), ("B100", "lcoan", 15, 28.4),
        ("Set5", "sscan", 5, 30.0), ("B100", "sscan", 15, 28.0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["benchmark", "model", "images", "psnr_y"])
    steps = pd.DataFrame({"step": [50, 75, 100], "validation_psnr": [20.0, 21.0, 21.5]})
    curves = pd.concat(steps.assign(run=model, model=model, seed=0) for model in ("lcoan", "sscan"))
    told = headlines.reached(table, curves)
    assert "end 0.00 (`sscan`) to 0.80 dB (`lcoan`) above" in told and "rose by 0.50 to 0.50 dB" in told


def test_attention_is_at_work_where_uniform_weights_make_networks_worse():
    def losses(experiment, change, *rows):
        table = pd.DataFrame(rows, columns=["model", "drop_db", "low_db", "high_db"])
        apart = (table["low_db"] > 0) | (table["high_db"] < 0)
        return table.assign(experiment=experiment, change=change, seeds=3, told_apart=apart)

    scratch = losses("from scratch", "uniform weights", ("trunk_nla", 0.4, 0.3, 0.5), ("lcoan", 0.0, -0.02, 0.03))
    branched = losses("branched", "uniform weights", ("trunk_nla", 0.1, -0.02, 0.22))
    other = losses("branched", "shuffled keys", ("trunk_bra", 0.7, 0.6, 0.8))
    told = headlines.at_work(pd.concat([scratch, branched, other]))
    assert told.endswith(
        "From scratch: `trunk_nla` worse, by 0.400 dB; `lcoan`: no effect beyond ±0.05 dB. Branched: 1 of 1 not "
        "told apart (95 % intervals within ±0.22 dB)."
    )


def test_ratios_of_time_are_of_the_layers_alone_on_the_largest_input():
    rows = [
        ("trunk_nla", 48, 10.0, 5.0), ("trunk_nla", 96, 100.0, 10.0), ("trunk_lsp", 96, 20.0, 9.0), ("lcoan", 96, 15.0, 8.0),
        ("lcoan (stored)", 96, 30.0, 20.0),
    ]  # fmt: skip
    layers = pd.DataFrame(rows, columns=["model", "size", "median_ms", "peak_mib"]).assign(part="non-local layers")
    whole = layers.assign(part="network", median_ms=1.0)
    told = headlines.pattern(pd.concat([whole, layers]))
    assert "(`trunk_nla`, 96×96 px)" in told
    assert "the sparse pattern alone (`trunk_lsp`) 0.20, both (`lcoan`) 0.15." in told and "sharing alone" not in told
    assert "`lcoan` 2.00 times the time and 2.5 times the memory." in told


def test_options_are_named_by_their_column():
    tables = [gains(NONE, by="window"), gains(("λ = 0.9", 0.1, -0.1, 0.2), by="update")]
    told = headlines.options(*tables)
    assert "Window w: `trunk_fgca`: no effect" in told and "Update of centroids: 1 of 1 not told apart" in told


def test_fused_windows_are_compared_side_by_side():
    rows = [
        (8, "reference", 2.0, 8.0),
        (8, "sdpa", 4.0, 4.0),
        (32, "reference", 50.0, 90.0),
        (32, "sdpa", 10.0, 9.0),
    ]
    costs = pd.DataFrame(rows, columns=["side", "backend", "median_ms", "peak_mib"])
    told = headlines.windows(costs, gains((32, 0.0, -0.01, 0.01), by="side"))
    assert "saves time from windows of 32×32 on; at 32×32 the plain formula takes 5.0 times as long and 10.0" in told
    never = headlines.windows(costs[costs["side"] == 8], gains((32, 0.0, -0.01, 0.01), by="side"))
    assert "saves time at no side that was measured; at 8×8 the plain formula takes 0.5 times" in never
    assert "`32`: no effect" in told


def test_exponents_of_linear_layers_stand_apart_and_beside_those_of_smaller_maps():
    columns = ["model", "time_exponent", "from_px", "to_px"]
    limits = [
        ("trunk_lsp", 0.98, 4096, 2**20),
        ("trunk_conv_attn", 1.11, 4096, 2**20),
        ("trunk_nla", 1.93, 4096, 16384),
    ]
    sizes = [("trunk_lsp", 0.87, 576, 9216), ("trunk_conv_attn", 0.69, 576, 9216), ("trunk_nla", 1.79, 576, 9216)]
    small = pd.DataFrame(sizes, columns=columns).assign(part="non-local layers")
    small = pd.concat([small, small.assign(part="network", time_exponent=0.1)])
    told = headlines.growth(pd.DataFrame(limits, columns=columns), small)
    assert "L^0.98 (`trunk_lsp`) to L^1.11 (`trunk_conv_attn`), `trunk_nla` L^1.93." in told
    assert "measure 0.69 to 0.87 from 24×24 to 96×96 px" in told


def test_every_headline_is_shown_by_a_figure_of_its_pages():
    figures = {page.name: page.figures for page in PAGES}
    for headline in headlines.HEADLINES:
        assert any(headline.figure in figures[page] for page in headline.pages)


def test_a_finding_whose_tables_are_not_there_is_left_out(tmp_path):
    (tmp_path / "tables").mkdir()
    with pytest.raises(InputError, match="no tables of a finding; `bash run_all"):
        findings_block(tmp_path, tmp_path, "cpu")
    gains(BETTER).to_csv(tmp_path / "tables" / "comparison_gains.csv", index=False)
    [(told, pages, figure)] = headlines.headlines(tmp_path)
    assert "`trunk_nla` better" in told and pages == ("06_comparison",) and figure == "gains"
    block = findings_block(tmp_path, tmp_path.parent, "cpu")
    assert f"([06]({tmp_path.name}/answers/06_comparison.md))" in " ".join(block.split())


def of_readme() -> dict[str, str]:
    """The blocks of README, by profile."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = rf"<!-- findings: `srlab readme --profile (\w+)`.*?{re.escape(LAST)}\n"
    return {found[1]: found[0] for found in re.finditer(block, text, re.S)}


def test_readme_says_what_the_committed_tables_say():
    assert {"night", "quick"} <= of_readme().keys()
    for profile, said in of_readme().items():
        kept = reference(profile)
        assert said == findings_block(kept, kept.parents[2], profile)
        assert said.count("\n- ") <= 8


def test_every_answer_that_readme_links_is_there():
    said = "".join(of_readme().values())
    links = re.findall(r"\]\((results/[^)]+)\)", said)
    assert len(links) > 5 and all((ROOT / link).exists() for link in links)


def test_another_number_in_a_table_is_another_sentence(tmp_path):
    profile, said = "quick", of_readme()["quick"]
    kept = reference(profile)
    copy = tmp_path / "results" / "reference" / kept.name
    shutil.copytree(kept / "tables", copy / "tables")
    assert findings_block(copy, tmp_path, profile) == said
    timing = pd.read_csv(copy / "tables" / "timing.csv")
    timing.loc[timing["model"] == "trunk_lsp", "median_ms"] *= 1.1
    timing.to_csv(copy / "tables" / "timing.csv", index=False)
    assert findings_block(copy, tmp_path, profile) != said


def test_the_page_of_claims_shows_what_the_committed_table_holds():
    text = (ROOT / "CLAIMS.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"<!-- claims: `srlab claims --profile night`.*?-->\n(.*?)<!-- end of claims -->", text, re.S)
    assert shown.strip() == claims_markdown(pd.read_csv(reference("night") / "tables" / "claims.csv")).strip()
