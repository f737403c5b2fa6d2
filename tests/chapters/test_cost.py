"""Cost: runs, tables, figures and the answer, from records made by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from legible import faults
from made_records import images, study_of, write

from srlab.chapters.cost import FIGURES, timed
from srlab.chapters.cost import tables as all_tables
from srlab.chapters.cost.frames import DENSE, growth
from srlab.chapters.cost.limits import LimitsRun
from srlab.errors import InputError
from srlab.measure.processes import MEASURED, TIME
from srlab.models.registry import label
from srlab.study.records import Record
from srlab.study.runs import run_of

MODELS = ["no_attention", DENSE, "trunk_nla_shared", "trunk_lsp", "lcoan", "trunk_bra"]
COST = {"models": MODELS, "sizes": [16, 32], "limits": [64, 128, 256], "tops": [4]}
PROFILE = {"models": MODELS[:-1], "timing": {"repeats": 3, "warmup": 1}, "chapters": {"cost": COST}}
LAYERS = "non-local layers"
STAGES = ("projections", "choosing", "sorting", "copies", "attending")
#: Time of a label's layers on 32×32 pixels, ms.
MS = {DENSE: 10.0, "trunk_nla_shared": 8.0, "trunk_lsp": 6.0, "lcoan": 4.0, "lcoan (stored)": 2.0, "trunk_bra": 12.0}


def write_timing(record, noise=(0.9, 1.0, 1.1)):
    """Write a timing run's record: time and memory grow as the pixels, dense attention's as their square."""
    run, rows, times = record.run, [], []
    for (name, network), part, side in itertools.product(run.networks.items(), ("network", LAYERS), run.sizes):
        if part == LAYERS and network.model == "no_attention":
            continue
        ms = MS.get(name, 5.0) * (side / 32) ** (4 if name == DENSE else 2)
        facts = {"label": name, "part": part, "size": side}
        quartiles = {"median_ms": ms, "q25_ms": 0.9 * ms, "q75_ms": 1.1 * ms, "repeats": 3, "warmup": 1}
        work = {"peak_mib": ms / 2, "gflops": 0.1, "moved_mib": 1.0, "energy_j": None}
        rows.append(facts | {"height": side, "width": side} | quartiles | work)
        times += [facts | {"repeat": repeat, "ms": ms * share} for repeat, share in enumerate(noise)]
    labels = [name for name in run.networks if name != "no_attention"]
    inside = pd.DataFrame(list(itertools.product(labels, STAGES)), columns=["label", "stage"])
    own = {"inside": inside.assign(size=run.sizes[-1], share=0.2, repeats=3)} if run.inside else {}
    write(record, times=pd.DataFrame(times), profile=pd.DataFrame(rows), **own)


def write_limits(record):
    """Write a limits run's record: dense attention is too slow on the second map, BRA on the first."""
    rows = []
    for name in record.run.networks:
        last = {DENSE: 1, "trunk_bra": 0}.get(name, 3)
        for number, (height, width) in enumerate(record.run.sizes[: last + 1]):
            ms = (height * width) ** 0.5 if number < last else np.nan
            costs = {"median_ms": ms, "q25_ms": ms, "q75_ms": ms, "repeats": 5, "peak_mib": ms}
            state = MEASURED if number < last else TIME
            rows.append({"label": name, "height": height, "width": width, "state": state} | costs)
    write(record, limits=pd.DataFrame(rows))


@pytest.fixture(scope="module")
def study(tmp_path_factory, patch):
    study = study_of(tmp_path_factory.mktemp("cost"), PROFILE, patch, "amd-epyc")
    for run in study.chapter("cost").runs:
        if run.kind == "training":
            write(study.record(run), images=images(30.0 + 0.01 * len(run.network.model), run.benchmarks))
        else:
            {"timing": write_timing, "limits": write_limits}[run.kind](study.record(run))
    return study


@pytest.fixture(scope="module")
def tables(study):
    return study.chapter("cost").tables()


# --- runs -----------------------------------------------------------------------------------------------------------


def test_networks_that_share_weights_are_timed_both_ways(study):
    run = timed.growth(study, study.settings["cost"])
    stored = {f"{model} (stored)" for model in ("lcoan", "trunk_nla_shared")}
    assert set(run.networks) == {*MODELS, *stored} and run.inside and run.repeats == 3
    assert {name for name, each in run.networks.items() if each.options.get("sharing") == "stored"} == stored


def test_limits_are_of_one_layer_of_each_mechanism(study):
    run = timed.limits(study, study.settings["cost"])
    assert set(run.networks) == set(MODELS) - {"no_attention"} and run.sizes == ((64, 64), (128, 128), (256, 256))
    assert {(each.options["groups"], each.options["blocks"]) for each in run.networks.values()} == {(1, 1)}
    assert run_of(run.model_dump(mode="json")) == run and isinstance(run, LimitsRun)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"sizes": []}, "sizes"), ({"models": ["x"]}, "models"), ({"backends": ["y"]}, "backends"), ({"z": 1}, "z")],
)
def test_settings_name_what_is_wrong(tmp_path, monkeypatch, change, named):
    with pytest.raises(InputError, match=named):
        study_of(tmp_path, PROFILE | {"chapters": {"cost": COST | change}}, monkeypatch, "amd-epyc")


def test_a_profile_without_timing_is_refused(tmp_path, monkeypatch):
    study = study_of(tmp_path, {key: PROFILE[key] for key in ("models", "chapters")}, monkeypatch, "amd-epyc")
    with pytest.raises(InputError, match="timing"):
        assert study.chapter("cost").runs


# --- tables ---------------------------------------------------------------------------------------------------------


def test_growth_of_known_powers():
    sizes = pd.DataFrame({"height": [16, 32, 64], "width": [16, 32, 64], "part": LAYERS, "run": "r"})
    pixels = sizes["height"] * sizes["width"]
    costs = sizes.assign(model="lcoan", median_ms=3.0 * pixels, peak_mib=pixels**2.0)
    [row] = growth(pd.concat([costs, costs[:1].assign(model=DENSE)])).itertuples()
    assert (row.model, row.sizes, row.from_px, row.to_px) == ("lcoan", 3, 256, 4096)
    found = (row.time_exponent, row.time_low, row.time_high, row.memory_exponent, row.memory_low, row.memory_high)
    assert found == pytest.approx((1, 1, 1, 2, 2, 2))


def test_exponents_are_fitted_to_what_was_timed(tables):
    found = tables["growth"].query("part == @LAYERS").set_index("model")["time_exponent"]
    assert found[DENSE] == pytest.approx(2) and found["lcoan"] == pytest.approx(1)
    limits = tables["limits_growth"].set_index("model")
    assert DENSE not in limits.index and limits["time_exponent"].to_numpy() == pytest.approx(0.5)


def test_ratios_are_of_layers_on_the_largest_input(tables):
    ratios = tables["cost_ratios"].set_index(["first", "second"])
    assert (ratios["size"] == 32).all() and ratios.index.is_unique
    assert set(ratios.query("about == 'growth'").loc[(slice(None), DENSE), :].index.get_level_values(0)) == {
        *(name for name in MS if name != DENSE),
        "trunk_nla_shared (stored)",
    }
    row = ratios.loc["lcoan", "trunk_lsp"]
    assert row[["ratio", "low", "high", "memory_ratio"]].to_numpy(float) == pytest.approx([2 / 3] * 4)
    assert ("8 reference", "8 sdpa") in ratios.index and ("trunk_bra top=4", "trunk_fgca M=16 top=4") in ratios.index


def test_without_single_calls_ratios_have_no_interval(study, tables, monkeypatch):
    monkeypatch.setattr(Record, "has", lambda record, name: name != "times.csv")
    found, kept = all_tables(study, study.settings["cost"])["cost_ratios"], tables["cost_ratios"]
    assert found["ratio"].to_numpy() == pytest.approx(kept["ratio"]) and np.isinf(found[["low", "high"]]).all(axis=None)


def test_the_floor_is_the_higher_of_arithmetic_and_bytes(tables):
    rows = tables["roofline"]
    assert set(rows["size"]) == {32} and not rows["model"].str.contains("stored").any()
    assert rows["floor_ms"].to_numpy() == pytest.approx(1e3 * max(0.1 / 100, 1 / 1024 / 10))


def test_stages_are_shares_of_the_median(tables):
    whole = tables["inside"].groupby("model")["ms"].sum()
    assert whole.to_dict() == pytest.approx(MS | {"trunk_nla_shared (stored)": 5.0})


def test_layers_are_named_by_their_options(tables):
    kernels, routed = tables["backends"], tables["routing"]
    assert (kernels["side"].astype(str) + " " + kernels["backend"]).tolist() == kernels["label"].tolist()
    assert set(kernels["part"]) == set(routed["part"]) == {LAYERS}
    fgca = routed[routed["mechanism"] == "trunk_fgca"]
    assert [f"trunk_fgca M={row.window:g} top={row.top}" for row in fgca.itertuples()] == fgca["label"].tolist()
    assert routed.loc[routed["mechanism"] == "trunk_bra", "window"].isna().all()


# --- figures and answer ---------------------------------------------------------------------------------------------

PANELS = {"scaling": 4, "inside": 1, "sharing": 3, "backends": 2, "routing": 1, "limits": 2, "roofline": 2}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_can_be_read(tables, name):
    figure = FIGURES[name](tables)
    assert faults(figure) == [] and len(figure.axes) == PANELS[name]


def lines(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


def test_dense_attention_is_one_at_every_size(tables):
    time = FIGURES["scaling"](tables).axes[0]
    assert any(np.allclose(line.get_ydata(), 1) and len(line.get_xdata()) == 2 for line in lines(time, "^"))


def test_lines_of_limits_end_in_a_cross_where_the_next_map_failed(tables):
    for ax in FIGURES["limits"](tables).axes:
        [cross] = lines(ax, "x")
        assert cross.get_xdata().tolist() == [64] and ax.get_xlim()[1] > 256
        assert {text.get_text() for text in ax.texts} == {label(model) for model in MODELS[1:-1]}


def test_windows_that_are_padded_and_those_that_choose_nothing_are_hollow(tables):
    def hollow(name, column):
        ax = FIGURES[name]({name: tables[name].assign(height=column, width=column)}).axes[0]
        found = [line.get_xdata().tolist() for line in ax.lines if line.get_markerfacecolor() == "white"]
        return sorted({x for each in found for x in each})

    assert hollow("backends", 24) == [16] and hollow("backends", 16) == []
    assert hollow("routing", 16) == [16, 32]


def test_the_answer_is_written_from_tables_alone(study, tables):
    text = study.chapter("cost").answer().data
    assert "CPU Abacus" in text and "0.40 [0.40, 0.40]" in text and (study.folder / "answers" / "cost.md").is_file()
