"""The answer on released networks, a paragraph a kind of measurement."""

from __future__ import annotations

from srlab.chapters.released.figures import changes
from srlab.chapters.released.frames import BICUBIC, GAIN, INDEX, NOTHING
from srlab.chapters.released.sharing import OWN, WEIGHTS
from srlab.models.registry import label
from srlab.stats.gains import ALL, pareto
from srlab.stats.words import between, count, listed, number, signed
from srlab.study.chapter import Tables


def field(tables: Tables) -> str:
    """Report the best network, and for each output size those that no other beats in both PSNR and latency."""
    found = tables["field"]
    one, best = found.iloc[0], found.loc[found["psnr_y"].idxmax()]
    fronts = [
        f"for {size} px out {listed([label(model) for model in pareto(own, 'median_ms', 'psnr_y')['model']])}"
        for size, own in found.groupby("output", sort=False)
    ]
    networks, images = count(found["model"].nunique(), "released network"), count(int(one["images"]), "image")
    return (
        f"Of {networks} ×4, {label(best['model'])} has the highest PSNR on {one['dataset']}, {number(best['psnr_y'])} "
        f"dB ({images}). Networks that no other beats in both PSNR and latency ({one['name']}, "
        f"{count(int(one['threads']), 'thread')}): {'; '.join(fronts)}."
    )


def reach(tables: Tables) -> str:
    """Report reach of each network, and that it is no measure of use."""
    places, pairs = tables["reach_places"], tables["reach_pairs"]
    middle = places.groupby("model", sort=False)[[INDEX, "lam_90"]].median().sort_values(INDEX, ascending=False)
    widths = [f"{label(model)} {number(row[INDEX], 1)} ({row['lam_90']:.0f} px)" for model, row in middle.iterrows()]
    apart = int(((pairs["low"] > 0) | (pairs["high"] < 0)).sum())
    return (
        "Diffusion index of local attribution, and the radius that holds 90 % of it, medians of "
        f"{count(places['name'].nunique(), 'place')}: {listed(widths)}; {apart} of {count(len(pairs), 'pair')} differ "
        "significantly. Reach is not use: attribution shows what an output responds to, not what it needs. Networks "
        "differ in much else, so nothing follows about reach as a cause of quality."
    )


def similarity(tables: Tables) -> str:
    """Report the correlation of gains and leads with self-similarity."""
    found = tables["similarity_correlations"]
    found = found[found["dataset"] == ALL]
    gains, leads = found[found["against"] == BICUBIC], found[found["against"] != BICUBIC]
    more = {control: int((leads[leads["control"] == control]["low"] > 0).sum()) for control in (NOTHING, GAIN)}
    images, pairs = count(int(gains["images"].iloc[0]), "image"), count(len(leads) // 2, "pair")
    return (
        f"Networks gain more over bicubic on images that repeat themselves: Spearman's ρ is {between(gains['rho'])} "
        f"({images}). The lead over another network grows with self-similarity in {more[NOTHING]} of {pairs}, and with "
        f"the other's gain held equal in {more[GAIN]}."
    )


def sharing(tables: Tables) -> str:
    """Summarise where ELAN-light looks, and what weights of their own would change in its layers that reuse some."""
    weights, alike, change = tables["maps"], tables["reused"], changes(tables["reused_psnr"])
    weights = weights[weights["what"] == WEIGHTS]
    means = weights.groupby(["side", "block"])[["on_query", "keys_effective", "keys_seen"]].mean()
    least, most = weights["side"].min(), weights["side"].max()
    small, large = means.loc[least], means.loc[most]
    own = alike[alike["stand_in"] == OWN].groupby("block")["likeness"].mean()
    losses = [f"{name} {signed(change[name].mean())} dB" for name in change]
    return (
        f"In ELAN-light, {least}×{least} windows give the query itself more than half of the weight in "
        f"{int((small['on_query'] > 0.5).sum())} of {count(len(small), 'block')}; {most}×{most} windows use "
        f"{between(large['keys_effective'], 0)} of {number(large['keys_seen'].mean(), 0)} keys. If its layers that "
        f"reuse weights computed their own, the mean cosine of these to the reused ones would be {number(own.mean())} "
        f"({number(own.min())} in block {own.idxmin()}). PSNR with other weights in place of the reused ones changes: "
        f"{listed(losses)}. A network trained without sharing may differ."
    )


#: The texts by the table that each needs, in order.
TEXTS = {"field": field, "reach_pairs": reach, "similarity_correlations": similarity, "maps": sharing}
