"""The picture of recall: one damaged tile, where mechanisms look from it, and what they write there."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from srlab.chapters.recall.figures import FAR
from srlab.chapters.recall.looks import read_looks
from srlab.errors import InputError
from srlab.models.registry import label
from srlab.plots.looks import Panel, place
from srlab.plots.style import DOUBLE
from srlab.stats.words import count, listed, number, percent
from srlab.study.chapter import Tables
from srlab.study.study import Study

#: Networks in the picture, as far as they are trained.
SHOWN = ("trunk_nla", "trunk_lsp", "nlsn", "trunk_window", "no_attention")


def recall_hero(study: Study, settings: object) -> Figure:
    """Draw the picture for a page: one row."""
    return _hero(study, DOUBLE)


def recall_hero_narrow(study: Study, settings: object) -> Figure:
    """Draw the picture for a telephone: two columns."""
    return _hero(study, DOUBLE / 2, 2)


def _hero(study: Study, width: float, columns: int | None = None) -> Figure:
    """Draw the tile of the first image that is farthest from its copy, from the study's `looks.json`."""
    chapter = study.chapter("recall")
    path = chapter.module.looks(study, chapter.settings) or study.folder / "looks.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file, and no trained weights to make it from")
    found, runs = read_looks(path), {run.hash: run for run in chapter.runs}
    if others := [network["arm"] for network in found["networks"] if network["run"] not in runs]:
        raise InputError(f"{path}: the profile has other runs than those shown of {listed(others)}; make it anew")
    image = found["images"][0]
    best = max(range(len(image["tiles"])), key=lambda each: image["tiles"][each]["distance"] or 0)
    tile, scale = image["tiles"][best], found["scale"]
    damaged = tile["damaged"].repeat(scale, 0).repeat(scale, 1)
    pair = np.concatenate([damaged, np.full_like(damaged[:, :2], 255), tile["truth"]], 1)
    panels = [Panel("LR image", image["lr"], None, "{0}×{0} px\n ".format(image["side"]), pair, "damaged, truth")]
    networks, means, note = {network["arm"]: network for network in found["networks"]}, *_means(Tables(study.folder))
    for arm in [arm for arm in SHOWN if arm in networks] or list(networks)[: len(SHOWN)]:
        look, side = networks[arm]["looks"][0][best], runs[networks[arm]["run"]].network.options.get("side")
        words = "no attention\nlayer"
        if look["keys"]:
            words = f"sees {look['keys']:,} px\n{percent(look['weight'])} on the copy"
        title = label(f"{arm} side={side}" if arm == "trunk_window" else arm)
        result = f"recall {number(look['recall'])}{means.get(arm, '')}"
        panels.append(Panel(title, image["lr"], look["weights"], words, look["cut"], result))
    title = f"One tile lost its detail. Its only copy lies {tile['distance']:.0f} pixels away. Who looks there?"
    note = (
        "Red ring: the damaged tile; green square: its only copy. Blue: what it sees; orange: where its weight goes, "
        "by area, in the layer with most on the copy. Below: what each network writes. Recall: share of lost detail "
        f"given back, 0 no help, 1 a perfect copy. The picture is of one tile and the first seed. {note}"
    )
    ends = (tuple(tile[name]) for name in ("at", "copy"))
    return place(panels, *ends, columns or len(panels), width, (title, note))


def _means(tables: Tables) -> tuple[dict[str, str], str]:
    """Word the mean over tiles and seeds of each arm, with its interval if there is one, and what these words say."""
    if "recall_groups" not in tables:
        return {}, "There is no verdict yet."
    table, found = tables["recall_groups"].set_index("arm"), {}
    for row in table[table["league"] == table["league"].iloc[0]].itertuples():
        interval = f"\n{number(row.low)} to {number(row.high)}" if np.isfinite(row.high - row.low) else ""
        found[row.Index] = f"\n(all {number(row.recall)}{interval})"
    seeds = int(table["seeds"].min())
    note = f"In brackets: mean of copies {FAR}, {count(seeds, 'seed')}"
    return found, f"{note}, simultaneous 95 % intervals." if seeds > 1 else f"{note}; there is no verdict."
