"""The field of released networks as tables: what was measured here, and what papers publish, kept apart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from srlab.errors import InputError
from srlab.measure.field import BICUBIC, DATA_SETS, SCALE, SIZES
from srlab.measure.published import SOURCE, published_costs
from srlab.stats.frames import count, pareto

#: What a row of the chart's table takes over from the costs.
KEPT = ("median_ms", "q25_ms", "q75_ms", "repeats", "peak_mib", "gflops", "parameters", "kind", "name", "threads")
NOT_YET = "not measured yet"


def output(height: int, width: int) -> str:
    """The image that comes out of an LR image, as papers name it: width first, in pixels."""
    return f"{SCALE * width}×{SCALE * height}"


def common_data_set(records: Sequence[dict]) -> str:
    """The last of `DATA_SETS` on which every network was tested: the one that charts show.

    Raises
    ------
    InputError
        If there is none.
    """
    tested = {name: {r["model"] for r in records if r["dataset"] == name} for name in DATA_SETS}
    networks = {record["model"] for record in records} - {BICUBIC}
    shared = [name for name in DATA_SETS if networks and networks <= tested[name]]
    if not shared:
        raise InputError(f"no data set on which all of {', '.join(sorted(networks))} were tested")
    return shared[-1]


def measured(records: Sequence[dict], costs: pd.DataFrame) -> pd.DataFrame:
    """PSNR on the common data set beside the cost of each network, both measured here.

    Parameters
    ----------
    records : sequence of dict
    costs : DataFrame
        As of `srlab.measure.field.measure_costs`.

    Returns
    -------
    DataFrame
        A row a network and output size: model, dataset, images, psnr_y, output, median_ms, q25_ms, q75_ms, repeats,
        peak_mib, gflops, parameters, kind (cpu, cuda), name (of the processor), threads. Networks that were not timed
        with the same file of weights are left out.
    """
    dataset = common_data_set(records)
    rows = []
    for record in records:
        own = costs[costs["label"] == record["model"]] if record["dataset"] == dataset else costs[:0]
        for cost in own.to_dict("records"):
            if cost["sha256"] == record["weights"]["sha256"]:
                facts = {"model": record["model"], "dataset": dataset, "images": len(record["images"])}
                facts |= {"psnr_y": record["psnr_y"], "output": output(cost["height"], cost["width"])}
                rows.append(facts | {key: cost[key] for key in KEPT})
    if not rows:
        raise InputError("costs of none of the networks with records; `srlab field costs` measures them")
    return pd.DataFrame(rows)


def elsewhere(dataset: str) -> pd.DataFrame:
    """What papers publish of networks ×4: method, dataset, psnr_y, latency_ms, memory_mb, parameters, source."""
    rows = published_costs(dataset, SCALE)
    return rows.assign(dataset=dataset, source=SOURCE)


def answer(table: pd.DataFrame) -> str:
    """What may be said of quality and price.

    Parameters
    ----------
    table : DataFrame
        As of `measured`.
    """
    first = table[table["output"] == table["output"].iloc[0]].sort_values("psnr_y", ascending=False)
    best, fastest = first.iloc[0], first.loc[first["median_ms"].idxmin()]
    front = ", ".join(f"`{model}`" for model in pareto(first, "median_ms", "psnr_y")["model"])
    told = (
        f"On {best['dataset']}, {count(int(best['images']), 'image')} ×4, `{best['model']}` reaches most, "
        f"{best['psnr_y']:.2f} dB, and `{fastest['model']}` is fastest with {fastest['psnr_y']:.2f} dB, "
        f"{fastest['median_ms']:,.0f} ms for {best['output']} px ({count(len(first), 'network')}, "
        f"{count(int(best['threads']), 'thread')} of {best['name']})."
    )
    return f"{told} Beaten by none in both PSNR and latency: {front}."


def costs_markdown(records: Sequence[dict], costs: pd.DataFrame | None) -> str:
    """A row a network: parameters, and for each output size time, memory and operations, as Markdown."""
    networks = [name for name in dict.fromkeys(record["model"] for record in records) if name != BICUBIC]
    rows = []
    for name in networks:
        own = costs[costs["label"] == name] if costs is not None else pd.DataFrame()
        row = {"Model": name, "parameters (K)": f"{own['parameters'].iloc[0] / 1e3:.0f}" if len(own) else "–"}
        for height, width in SIZES:
            made = own[(own["height"] == height) & (own["width"] == width)] if len(own) else own
            cells = (NOT_YET, "–", "–")
            for cost in made.itertuples():
                spread = f"{cost.median_ms:,.0f} ({cost.q25_ms:,.0f}–{cost.q75_ms:,.0f})"
                cells = (spread, f"{cost.peak_mib:,.0f}", f"{cost.gflops:,.0f}")
            of = output(height, width)
            row |= dict(zip((f"{of}: ms", f"{of}: MiB", f"{of}: GFLOPs"), cells, strict=True))
        rows.append(row)
    table = pd.DataFrame(rows)
    align = ("left", *["right"] * (table.shape[1] - 1))
    note = "Costs: median (quartiles) of calls in turn, peak of what a call holds, a multiply-add as two operations"
    if costs is not None:
        first = costs.iloc[0]
        note += (
            f"; {first['repeats']:.0f} repeats, float32, batch 1, {first['threads']:.0f} threads of "
            f"{first['name']}, PyTorch {first['torch']}"
        )
    return f"{table.to_markdown(index=False, colalign=align, disable_numparse=True)}\n\n{note}.\n"
