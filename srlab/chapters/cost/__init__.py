"""Cost: time and memory over the size of the image, inside a layer, up to where it fails, and under the roofline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, field_validator

from srlab.chapters.cost import figures, frames, timed
from srlab.errors import InputError
from srlab.measure.processes import MEASURED
from srlab.models.registry import label
from srlab.stats.gains import MARGIN, differences, pooled
from srlab.stats.intervals import Estimate
from srlab.stats.words import between, listed, number, say
from srlab.study.frames import named, quality, timings
from srlab.study.profile import Size, known
from srlab.study.runs import Run
from srlab.study.study import Study

QUESTION = "What does each mechanism cost, and up to which size?"

Some = Field(min_length=1)
Sides = Annotated[tuple[PositiveInt, ...], Some]


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter; repeats and warm-up are the profile's."""

    models: tuple[str, ...] = ()  # those of the comparison by default
    network: dict[str, PositiveInt] = {}  # sizes of the timed trunk, instead of the profile's
    sizes: Sides = (16, 24)  # of square LR inputs, px
    # Windows of one window attention layer, by each back-end, on a map as large as the largest input.
    sides: Sides = (8, 16)
    backends: Annotated[tuple[Literal["reference", "sdpa", "flex", "rib"], ...], Some] = ("reference", "sdpa", "rib")
    tops: Sides = (4,)  # windows that a window of FGCA and BRA chooses
    # Ever larger inputs of one layer alone, until a call takes more than `limit_s` seconds or `limit_mib` MiB.
    limits: Annotated[tuple[Size, ...], Some] = (16, 32)
    limit_s: PositiveFloat = 1.0
    limit_mib: PositiveInt = 1024

    _models = field_validator("models")(known)


def runs(study: Study, settings: Settings) -> list[Run]:
    """Return the measurements, and the comparison's networks with dense or sparse, own or shared weights."""
    if study.profile.timing is None:
        raise InputError(f"profile '{study.profile.name}' has no 'timing', which the chapter 'cost' needs")
    single = [run(study, settings) for run in (timed.growth, timed.windows, timed.routing, timed.limits)]
    return [*single, *timed.sharing(study)]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute costs of each measurement, the columns to look at (`*_costs`), ratios, exponents, gains of sharing."""
    measured = (timed.growth, timed.windows, timed.routing)
    growth, windows, routing = (study.obtain(run(study, settings)) for run in measured)
    timing, limits = timings(growth), frames.limits(study.obtain(timed.limits(study, settings)))
    large = limits[limits["height"] * limits["width"] >= frames.FITTED]
    images = quality([study.obtain(run) for run in timed.sharing(study)])
    sharing = timing[timing["model"].isin(images["model"]) & (timing["size"] == timing["size"].max())]
    found = {
        "timing": timing,
        "timing_by_size": timing.sort_values(["size", "part"], kind="stable")[["size", "part", "model", *frames.COSTS]],
        "growth": frames.growth(timing),
        "cost_ratios": frames.ratios(growth, windows, routing),
        "inside": frames.inside(growth),
        "backends": frames.backends(windows),
        "routing": frames.routing(routing),
        "limits": limits,
        "limits_growth": frames.growth(large[large["state"] == MEASURED]),
        "roofline": frames.roofline(growth),
        "sharing_images": images,
        "sharing_costs": sharing,
        "sharing_gains": differences(images),
        "sharing_layers": sharing.loc[sharing["part"] == frames.LAYERS, ["model", "size", *frames.COSTS]],
    }
    return found | {f"{name}_costs": found[name][columns] for name, columns in frames.SHOWN.items()}


FIGURES = {
    "scaling": figures.scaling,
    "inside": figures.inside,
    "sharing": figures.sharing,
    "backends": figures.backends,
    "routing": figures.routing,
    "limits": figures.limits,
    "roofline": figures.roofline,
}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Summarise ratios of times and memory, gains of sharing, the largest maps, and the distance from the roofline."""
    ratios, timing, roofline = tables["cost_ratios"], tables["timing"], tables["roofline"]
    growth = ratios[ratios["about"] == "growth"]
    dense, size, device = frames.reference(timing), growth["size"].iloc[0], growth["device"].iloc[0]
    against = growth[growth["second"] == dense]
    gains = named(pooled(tables["sharing_gains"]))
    over = (roofline["median_ms"] / roofline["floor_ms"]).set_axis(roofline["model"].map(label))
    paragraphs = [
        f"Time of the non-local layers at {size:g}×{size:g} px on {device}, {label(dense)} = 1 ({_groups(against)}). "
        f"Their peak memory is {between(against['memory_ratio'])} times that of {label(dense)}.",
        f"Gain in Y-PSNR over no attention:\n\n{say(gains, MARGIN)}",
        _limits(tables["limits"], tables["limits_growth"]),
        f"Layers take {number(over.min(), 1)} ({over.idxmin()}) to {number(over.max(), 1)} times ({over.idxmax()}) as "
        "long as arithmetic and memory traffic need on this device.",
        "Ratios of one layer to another: medians of interleaved rounds, with 95 % intervals in brackets, if known (1 "
        "inside: no difference).",
        pd.DataFrame(
            {"layer": ratios["first"].map(label), "against": ratios["second"].map(label), "time": _ratios(ratios)}
        )
        .assign(memory=ratios["memory_ratio"].map(number), rounds=ratios["rounds"])
        .to_markdown(index=False, disable_numparse=True),
    ]
    return "\n\n".join(paragraphs)


def _ratios(rows: pd.DataFrame) -> pd.Series:
    return pd.Series([f"{Estimate(*ends):.2f}" for ends in rows[["ratio", "low", "high"]].to_numpy()], rows.index)


def _groups(rows: pd.DataFrame) -> str:
    """List ratios by verdict; without intervals there is none."""
    rows = rows.sort_values("ratio")
    verdicts = (rows["high"] < 1, "faster"), (rows["low"] > 1, "slower"), (rows["high"] < np.inf, "not significant")
    words = np.select(*zip(*verdicts, strict=True), default="without an interval")
    found = (rows["first"].map(label) + " " + _ratios(rows)).groupby(words, sort=False).agg(list)
    return "; ".join(f"{verdict}: {listed(own)}" for verdict, own in found.items())


def _limits(found: pd.DataFrame, growth: pd.DataFrame) -> str:
    """State the largest map of each layer, and exponents of growth that enough sizes measure."""
    largest = []
    for model, own in found.groupby("model", sort=False):
        done, failed = own[own["state"] == MEASURED], own.loc[own["state"] != MEASURED, "state"]
        side = f"{done['width'].iloc[-1]}×{done['height'].iloc[-1]} px" if len(done) else "none"
        largest.append(f"{label(model)} {side}" + (f" (then {failed.iloc[0]})" if len(failed) else ""))
    fitted = growth[growth["sizes"] >= frames.SIZES]
    ends = fitted[["time_exponent", "time_low", "time_high"]].itertuples(index=False)
    exponents = [f"{label(model)} {Estimate(*found):.2f}" for model, found in zip(fitted["model"], ends, strict=True)]
    grown = f" Time grows as the number of pixels to the power of {listed(exponents)}." if exponents else ""
    few = f" Fewer than {frames.SIZES} maps measure no exponent of growth." * (len(fitted) < len(growth))
    return f"Largest maps of one layer: {listed(largest)}.{grown}{few}"
