"""What may be said of layers that reuse weights: where they look, and whether weights of their own would differ."""

from __future__ import annotations

import pandas as pd

from srlab.analysis.reuse import ALONE, EVEN, NEXT, NEXT_BUT_ONE, OWN, REUSING, SHARED, WEIGHTS
from srlab.stats.frames import count

#: Windows that look mostly at the query give it more weight than all other keys together.
MOSTLY = 0.5


def mostly_query(weights: pd.DataFrame, side: int) -> list[int]:
    """The blocks whose windows of a size give the query more than half of the weight, on average over images."""
    on_query = weights[weights["side"] == side].groupby("block")["on_query"].mean()
    return on_query.index[on_query > MOSTLY].tolist()


def gaps(measured: pd.DataFrame) -> pd.DataFrame:
    """Change of PSNR (dB) by each stand-in, an image a row; first what loses least on average."""
    wide = measured.pivot(index="image", columns="stand_in", values="psnr_y")
    lost = wide.drop(columns=SHARED).sub(wide[SHARED], axis=0)
    return lost[lost.mean().sort_values(ascending=False).index]


def by_block(alike: pd.DataFrame) -> pd.DataFrame:
    """Mean likeness over images: a row a block and size of windows, a column a stand-in."""
    return alike.pivot_table(index=["block", "side"], columns="stand_in", values="likeness")


def told_by_maps(maps: pd.DataFrame) -> str:
    """Where blocks look, from the first table of `srlab.analysis.reuse.look`."""
    weights, reusing = (maps[maps["what"] == what] for what in (WEIGHTS, REUSING))
    blocks, told = weights["block"].nunique(), []
    for side, own in weights.groupby("side"):
        of = own.groupby("block")[["on_query", "keys_effective", "keys_seen", "distance", "distance_even"]].mean()
        told.append(
            f"{side}×{side}: {_span(of['on_query'], '.2f')} of the weight on the query itself (mean "
            f"{of['on_query'].mean():.2f}), more than half in {len(mostly_query(weights, side))} of {blocks} blocks; "
            f"{_span(of['keys_effective'], '.0f')} of {of['keys_seen'].mean():.0f} keys in use, "
            f"{_span(of['distance'], '.1f')} px away (alike: {of['distance_even'].mean():.1f} px)"
        )
    keys = ["image", "block", "side"]
    moved = (reusing.set_index(keys)["on_query"] - weights.set_index(keys)["on_query"]).groupby(keys[1:]).mean().abs()
    asked = weights.drop_duplicates("image")["queries"]
    return (
        f"**Where it looks** (by block, least to most; {asked.sum()} queries on a grid, "
        f"{count(len(asked), 'photograph')}). {'. '.join(told)}. The layer that reuses the weights takes its values "
        f"from the same places: the query's share differs by {moved.max():.2f} at most."
    )


def told_by_stand_ins(alike: pd.DataFrame, measured: pd.DataFrame) -> str:
    """Whether weights of their own would differ, from the second table of `look` and that of `quality`."""
    table, lost = by_block(alike), gaps(measured)
    own = table[OWN].groupby("block").mean()
    beyond = int((table[OWN] > table[[EVEN, ALONE]].max(axis=1)).sum())
    compared = (name for name in (NEXT, NEXT_BUT_ONE, EVEN, ALONE) if name in table)  # few blocks have none
    others = "; ".join(f"{name} {table[name].mean():.2f}" for name in compared)
    changes = ", ".join(
        f"{name} {lost[name].mean():+.2f} ({lost[name].min():+.2f} to {lost[name].max():+.2f})" for name in lost
    )
    return (
        "**Would layers of their own look elsewhere?** Were the layers that reuse weights to ask by the block's own "
        "embedding of their own features, on which it was not trained, their weights would be alike to the shared "
        f"ones by a mean cosine of {table[OWN].mean():.2f}, from {own.max():.2f} (block {own.idxmax()}) to "
        f"{own.min():.2f} (block {own.idxmin()}); in {beyond} of {len(table)} windows more alike than both weights "
        f"that look for nothing. Others, by the same measure: {others}. In place of the shared weights they change "
        f"the PSNR of {measured['benchmark'].iloc[0]}, {count(len(lost), 'image')}, in dB: {changes}. That is of a "
        "network trained to share: what one would reach that was trained with weights of its own in every layer, it "
        "does not say."
    )


def _span(values: pd.Series, digits: str) -> str:
    return f"{values.min():{digits}} to {values.max():{digits}}"
