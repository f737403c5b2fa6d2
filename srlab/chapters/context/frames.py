"""Tables of context: losses by image, their intervals, verdicts, and tiles with repeats far away against others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srlab.stats.intervals import Estimate, over_seeds
from srlab.stats.rules import rules
from srlab.study.records import Record

RULES = rules().context
#: The radii, LR pixels, at which tiles with and without repeats are compared.
WHERE = (0, 8, 16, 32)
#: Pairs of tiles differ by at most so much in bicubic error, dB.
CALIPER = 1.0


def images(records: list[Record]) -> pd.DataFrame:
    """Return a row per network, image, filling and radius.

    Columns: network, benchmark (with its scale), name, filling, radius (LR px), loss_db, bicubic_db, repeats (0 to 1),
    run.
    """
    rows = []
    for record in records:
        cells = record.table("context").merge(record.table("places"), on="name")
        whole = cells[cells["filling"] == "whole"].set_index("name")["mse"]
        cut = cells[cells["filling"] != "whole"]
        loss = 10 * np.log10(cut["mse"] / cut["name"].map(whole))
        cut = cut.assign(loss_db=loss, bicubic_db=10 * np.log10(255**2 / cut["bicubic_mse"]))
        cut = cut[["name", "filling", "radius", "loss_db", "bicubic_db", "repeats"]]
        facts = {"network": record.run.network, "benchmark": f"{record.run.benchmark} ×{record.run.scale}"}
        rows.append(cut.assign(**facts, run=record.run.hash))
    found = pd.concat(rows, ignore_index=True)
    return found[["network", "benchmark", *(name for name in found if name not in ("network", "benchmark"))]]


def losses(images: pd.DataFrame) -> pd.DataFrame:
    """Average losses over images, with simultaneous intervals over all cells of a benchmark.

    Columns: benchmark, network, filling, radius, loss_db, low_db, high_db, spread_db (over images), images, run.
    """
    rows = []
    for benchmark, own in images.groupby("benchmark", sort=False):
        cells = list(own.groupby(["network", "filling", "radius"], sort=False))
        for (network, filling, radius), cell in cells:
            loss = over_seeds(cell["loss_db"].to_numpy(), len(cells))
            rows.append(
                {
                    "benchmark": benchmark,
                    "network": network,
                    "filling": filling,
                    "radius": radius,
                    "loss_db": loss.value,
                    "low_db": loss.low,
                    "high_db": loss.high,
                    "spread_db": cell["loss_db"].std(ddof=1),
                    "images": len(cell),
                    "run": " ".join(cell["run"].unique()),
                }
            )
    return pd.DataFrame(rows)


def verdicts(losses: pd.DataFrame) -> pd.DataFrame:
    """Judge each network and radius by the rules of the chapter.

    Columns: benchmark, network, radius, verdict ("nothing", "loss", "undecided"), least_db and most_db (mean losses of
    the fillings that count), low_db and high_db (the outer ends of their intervals), images.
    """
    counted = losses[losses["filling"].isin(RULES.fillings)]
    rows = []
    for (benchmark, network, radius), own in counted.groupby(["benchmark", "network", "radius"], sort=False):
        low, high = own["low_db"], own["high_db"]
        nothing = (low > -RULES.margin_db).all() and (high < RULES.margin_db).all()
        loss = (low > 0).all()
        rows.append(
            {
                "benchmark": benchmark,
                "network": network,
                "radius": radius,
                "verdict": "nothing" if nothing else "loss" if loss else "undecided",
                "least_db": own["loss_db"].min(),
                "most_db": own["loss_db"].max(),
                "low_db": low.min(),
                "high_db": high.max(),
                "images": int(own["images"].min()),
            }
        )
    return pd.DataFrame(rows)


def where(images: pd.DataFrame) -> pd.DataFrame:
    """Compare losses of tiles with repeats far away and of tiles without, matched by bicubic error.

    Columns: benchmark, network, radius, with_db and without_db (mean losses over fillings), difference_db, low_db,
    high_db (simultaneous over all rows of a benchmark), pairs, repeats_with, repeats_without (means). Without a pair
    they are NaN.
    """
    counted = images[images["filling"].isin(RULES.fillings) & images["radius"].isin(WHERE)]
    keys = ["benchmark", "network", "radius", "name"]
    tiles = counted.groupby(keys, sort=False, as_index=False)[["loss_db", "bicubic_db", "repeats"]].mean()
    rows = []
    for benchmark, own in tiles.groupby("benchmark", sort=False):
        networks = own.groupby("name")["network"].transform("nunique")
        own = own[networks == own["network"].nunique()]  # some networks have more pieces than others
        pairs = _pairs(own.drop_duplicates("name").dropna(subset="repeats"))
        cells = list(own.groupby(["network", "radius"], sort=False))
        for (network, radius), cell in cells:
            by = cell.set_index("name")
            rich, poor = by.loc[[one for one, _ in pairs]], by.loc[[other for _, other in pairs]]
            difference = rich["loss_db"].to_numpy() - poor["loss_db"].to_numpy()
            found = over_seeds(difference, len(cells)) if pairs else Estimate(np.nan, np.nan, np.nan)
            rows.append(
                {
                    "benchmark": benchmark,
                    "network": network,
                    "radius": radius,
                    "with_db": rich["loss_db"].mean(),
                    "without_db": poor["loss_db"].mean(),
                    "difference_db": found.value,
                    "low_db": found.low,
                    "high_db": found.high,
                    "pairs": len(pairs),
                    "repeats_with": rich["repeats"].mean(),
                    "repeats_without": poor["repeats"].mean(),
                }
            )
    return pd.DataFrame(rows)


def _pairs(tiles: pd.DataFrame) -> list[tuple[str, str]]:
    """Pair tiles of the upper third of repeats with the nearest unused of the lower third in bicubic error."""
    ordered = tiles.sort_values("repeats", kind="stable")
    third = round(len(ordered) * RULES.third)
    poor, pairs = ordered.iloc[:third].set_index("name")["bicubic_db"], []
    for row in ordered.iloc[len(ordered) - third :].itertuples():
        far = (poor - row.bicubic_db).abs()
        if len(far) and far.min() <= CALIPER:
            pairs.append((row.name, far.idxmin()))
            poor = poor.drop(far.idxmin())
    return pairs
