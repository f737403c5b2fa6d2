"""Figures of released networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.chapters.released.frames import BICUBIC, GAIN, INDEX, NOTHING
from srlab.chapters.released.sharing import SHARED, WEIGHTS
from srlab.measure.published import PUBLISHED_AS
from srlab.models.registry import label
from srlab.plots.charts import front, groups, heat, points
from srlab.plots.estimates import forest, part
from srlab.plots.images import FRAMES, frame, key, show
from srlab.plots.marks import logarithmic
from srlab.plots.style import DOUBLE, HOUSE, INK, STYLE, Appearance, blank, drawn
from srlab.plots.text import caption, name_points
from srlab.stats.gains import ALL, pareto
from srlab.stats.words import between, count
from srlab.study.chapter import Tables
from srlab.study.frames import averaged

#: Area of a marker in square points for a MiB.
AREA = 0.16


@rc_context(HOUSE)
def field(tables: Tables) -> Figure:
    """Draw PSNR against latency for the first output size: filled as measured, hollow as published."""
    measured, published = tables["field"], tables["field_published"]
    own = measured[measured["output"] == measured["output"].iloc[0]]
    one = own.iloc[0]
    ours = {name: model for model, name in PUBLISHED_AS.items()}
    here = own.assign(name=own["model"].map(label), x=own["median_ms"], y=own["psnr_y"], area=AREA * own["peak_mib"])
    there = published.rename(columns={"method": "name", "latency_ms": "x", "psnr_y": "y"})
    looks = [STYLE.get(ours.get(name), Appearance(INK, "o")) for name in there["name"]]
    there = pd.concat([there.assign(area=AREA * there["memory_mb"]), pd.DataFrame(looks, there.index)], axis=1)
    figure = blank(DOUBLE, 3.6)
    axes = figure.subplots(1, 2, width_ratios=[2, 3])
    names = {}
    for ax, rows, where in zip(axes, (here, there), ("(a) measured here", "(b) as published, on a GPU"), strict=True):
        front(ax, pareto(rows, "x", "y"), until=rows["x"].max())
        names[ax] = points(ax, rows, hollow=rows is there)
        ax.margins(x=0.15, y=0.16)
        logarithmic(ax, "x")
        ax.set(title=where, xlabel="latency (ms)", ylabel=f"Y-PSNR on {one['dataset']} (dB)")
    images, threads = count(int(one["images"]), "image"), count(int(one["threads"]), "thread")
    note = f"{one['output']} px out. (a) {images}; {one['name']}, {threads}, median of {one['repeats']:.0f} calls. (b) "
    note += f"{published['source'].iloc[0]}. Area: peak memory, {between(own['peak_mib'], 0)} MiB in (a). "
    note += "Line: Pareto front."
    caption(figure, "Quality and latency of released networks ×4", note)
    name_points(names)
    return figure


@rc_context(HOUSE)
def reach(tables: Tables) -> Figure:
    """Draw the diffusion index of each network, and the radii that hold 90 % of attribution and receptive field."""
    places = tables["reach_places"]
    one, images = places.iloc[0], count(places["name"].nunique(), "place")
    names = [f"{label(row.model)}, {row.dataset_psnr:.2f} dB" for row in places.itertuples()]
    places = places.assign(name=names, model=drawn(places["model"]))
    figure = blank(DOUBLE, 0.45 * places["name"].nunique() + 1.2)
    wide, far = figure.subplots(1, 2, sharey=True)
    forest(wide, *_spread(places, INDEX), zero=None)
    forest(far, *_spread(places, "lam_90"), zero=None)
    forest(far, _spread(places, "erf_90")[0], zero=None, shift=-0.2, hollow=True)
    wide.set(xlabel="diffusion index of local attribution (of 100)", title="(a) how widely")
    far.set(xlabel="radius that holds 90 % (LR px)", title="(b) how far", xlim=(0, None))
    note = (
        f"{images} of {one['dataset']}, one an image, where bicubic errs most, in crops of {one['side']}×{one['side']} "
    )
    note += f"LR px. Large: median; bars: quartiles; small: a place. Filled: local attribution, {one['steps']} steps; "
    note += f"hollow: effective receptive field. Networks by PSNR on {one['dataset']}."
    caption(figure, "Reach of released networks ×4: local attribution and receptive fields", note)
    return figure


def _spread(places: pd.DataFrame, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return median and quartiles of a column for each network, and its values."""
    groups = places.groupby(["name", "model"], sort=False)[column]
    ends = {"value": 0.5, "low": 0.25, "high": 0.75}
    found = pd.DataFrame({name: groups.quantile(share) for name, share in ends.items()}).reset_index()
    return found, places.assign(value=places[column])


@rc_context(HOUSE)
def similarity(tables: Tables) -> Figure:
    """Draw gains against self-similarity image by image, and the rank correlations of gains and of leads."""
    images, found = tables["similarity_images"], tables["similarity_correlations"]
    mean = images.groupby(["dataset", "name", "self_similarity"], sort=False, as_index=False)["gain_db"].mean()
    sizes = mean["dataset"].map(mean["dataset"].value_counts())
    mean = mean.assign(group=mean["dataset"] + ", " + sizes.astype(str)).iloc[(-sizes).argsort(kind="stable")]
    found = found[found["dataset"] == ALL].rename(columns={"rho": "value"})
    over = found["against"] == BICUBIC
    names = found["model"].map(label).where(over, found["model"].map(label) + " − " + found["against"].map(label))
    found = found.assign(name=names, model=drawn(found["model"]))
    plain = found[found["control"] == NOTHING].sort_values("against", key=lambda names: names != BICUBIC, kind="stable")
    figure = blank(DOUBLE, 3.4)
    ax, rho = figure.subplots(1, 2)
    groups(ax, mean.rename(columns={"self_similarity": "x", "gain_db": "y"}))
    ax.set(xlabel="self-similarity of HR", ylabel="gain over bicubic (dB)", title="(a) image by image")
    forest(rho, plain)
    held = found.loc[found["control"] == GAIN, ["name", "value", "low", "high"]]
    forest(rho, plain[["name", "model"]].merge(held, how="left", on="name"), shift=0.3, hollow=True)
    part([rho], [int(against != BICUBIC) for against in plain["against"]])
    rho.set(xlabel="Spearman's ρ with self-similarity", title="(b) gains over bicubic, and leads")
    number, networks = count(int(plain["images"].iloc[0]), "image"), count(images["model"].nunique(), "network")
    note = (
        f"×4, {number}. (a) Mean over {networks}. (b) Above: gains; below: leads of one network over another, hollow "
    )
    note += "with the other's gain held equal. Bars: 95 % intervals, simultaneous for gains and for leads."
    caption(figure, "Gains of released networks over bicubic against self-similarity of the image", note)
    return figure


@rc_context(HOUSE)
def maps(tables: Tables) -> Figure:
    """Draw where ELAN-light looks: one query in its larger windows, and means over many queries in all."""
    measured, example, around = tables["maps"], tables["maps_example"], tables["maps_around"]
    blocks, sides = (list(example[name].drop_duplicates()) for name in ("block", "side"))
    figure = blank(DOUBLE, 1.6 * len(blocks) + 3.0)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.6 * len(blocks) + 0.7, 2.0])
    grid = upper.subplots(len(blocks), len(sides), squeeze=False)
    query = around.loc[around["query"], ["row", "col"]].iloc[0]
    at = int(query["row"]), int(query["col"])
    for axes, block in zip(grid, blocks, strict=True):
        windows = {side: own for side, own in example[example["block"] == block].groupby("side")}
        corners = {side: (int(own["row"].min()), int(own["col"].min())) for side, own in windows.items()}
        height, width = around["row"].nunique(), around["col"].nunique()
        pixels = around[["red", "green", "blue"]].to_numpy(np.uint8).reshape(height, width, 3)
        first = int(around["row"].min()), int(around["col"].min())
        show(axes[0], pixels, first, at)
        for side, colour in zip(sides, FRAMES, strict=False):
            frame(axes[0], (*corners[side], side, side), colour)
        axes[0].set_title(f"block {block}: LR, windows")
        for ax, side in zip(axes[1:], sides[1:], strict=True):
            weights = windows[side].pivot(index="row", columns="col", values=WEIGHTS).to_numpy() * side**2
            show(ax, weights, corners[side], at)
            ax.set_title(f"weights, {side}×{side}")
    key(upper, grid, "weight ÷ weight of a key if all of the window weighed the same")
    weights = measured[measured["what"] == WEIGHTS].assign(window=lambda rows: rows["side"].map("{0}×{0}".format))
    weights = weights.assign(used=weights["keys_effective"] / weights["keys_seen"])
    shares = {"on_query": "weight on the query itself (share)", "used": "keys in use (share of those in the window)"}
    for ax, (column, words) in zip(lower.subplots(2, 1, sharex=True), shares.items(), strict=True):
        cells = weights.pivot_table(index="window", columns="block", values=column, sort=False)
        heat(ax, cells)
        ax.set_title(words)
    ax.set_xlabel("block")
    queries = weights.drop_duplicates("image")["queries"]
    note = f"Above: {example['image'].iloc[0]}, its strongest corner (circle); weights of the block's first attention, "
    note += f"which the second reuses. Below: means over {queries.sum()} queries on a grid, "
    note += f"{count(len(queries), 'photograph')}. Keys in use: exponential of the entropy."
    caption(figure, "Where released ELAN-light looks, in windows of three sizes, block by block", note)
    return figure


@rc_context(HOUSE)
def reused(tables: Tables) -> Figure:
    """Draw the change of PSNR when other weights replace the reused ones."""
    change = changes(tables["reused_psnr"])
    rows = change.melt(var_name="name").assign(model="elan_light")
    figure = blank(DOUBLE, 0.3 * change.shape[1] + 1.1)
    ax = figure.subplots()
    forest(ax, averaged(rows), rows)
    ax.set_xlabel(f"change of Y-PSNR on {tables['reused_psnr']['benchmark'].iloc[0]} (dB)")
    note = f"Large: mean; small: {count(len(change), 'image')}. Own features: the block's embedding of what enters the "
    note += (
        "reusing layer. Even, query alone: weights that do not choose. Replaced in every layer that reuses weights; "
    )
    note += "the network was trained with shared ones."
    caption(figure, "ELAN-light with other weights in place of those that its layers reuse", note)
    return figure


def changes(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the change of PSNR (dB) by each stand-in, an image a row; the least loss stands first."""
    wide = measured.pivot(index="image", columns="stand_in", values="psnr_y")
    change = wide.drop(columns=SHARED).sub(wide[SHARED], axis=0)
    return change[change.mean().sort_values(ascending=False).index]
