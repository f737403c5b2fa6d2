"""How far seeds agree: about a network, and about its difference to another of the same seed."""

from __future__ import annotations

import pandas as pd

from srlab.stats.frames import paired


def spreads(quality: pd.DataFrame, reference: str = "no_attention") -> pd.DataFrame:
    """How much results of one network differ between seeds, and how much differences to a reference do.

    Networks of one seed begin with one trunk and meet the same patches, which a difference between them leaves
    out: the less it differs from seed to seed, the fewer seeds tell networks apart.

    Returns
    -------
    DataFrame
        model, seeds, spread_db (standard deviation over seeds of the mean Y-PSNR), paired_spread_db (of its
        difference to the reference's of the same seed), run; NaN of a single seed.
    """
    rows = []
    gains = paired(quality, "model", reference)
    for model, own in gains.groupby("model", sort=False):
        each = own.groupby("seed")[["psnr_y", "gain_db"]].mean().std()
        spread = {"spread_db": each["psnr_y"], "paired_spread_db": each["gain_db"]}
        facts = {"model": model, "seeds": own["seed"].nunique(), **spread}
        rows.append(facts | {"run": " ".join(own["run"].unique())})
    return pd.DataFrame(rows)
