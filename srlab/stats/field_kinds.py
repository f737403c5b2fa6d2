"""For which images released networks are good: gains against self-similarity, and on kinds of image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from srlab.errors import InputError
from srlab.measure.field import BICUBIC
from srlab.stats.frames import ALL, count
from srlab.stats.statistics import Estimate, spearman

#: A data set with fewer images has no correlation of its own: its interval would hold almost everything.
FEWEST = 30
#: Images without which there is no interval at all.
LEAST = 4
#: What is held equal when a lead is correlated.
NOTHING, GAIN = "nothing", "gain of the other"


def tables(
    records: Sequence[dict], similarity: pd.DataFrame, kinds: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """What the figure is drawn from: `images`, their `correlations`, and `gains_by_kind` of the same networks."""
    found = images(records, similarity)
    networks = {record["model"] for record in records}
    return found, correlations(found), gains_by_kind(kinds[kinds["model"].isin(networks)])


def images(records: Sequence[dict], similarity: pd.DataFrame) -> pd.DataFrame:
    """Gain of every network over bicubic on every image whose self-similarity is known.

    Parameters
    ----------
    records : sequence of dict
        Those of bicubic interpolation among them.
    similarity : DataFrame
        As of `srlab.analysis.field_kinds.measure_similarity`.

    Returns
    -------
    DataFrame
        model, dataset, name, gain_db, self_similarity; networks by falling mean gain.

    Raises
    ------
    InputError
        If there is none.
    """
    each = pd.DataFrame(
        {"model": r["model"], "dataset": r["dataset"], "name": image["name"], "psnr_y": image["psnr_y"]}
        for r in records
        for image in r["images"]
    )
    keys = ["dataset", "name"]
    base = each[each["model"] == BICUBIC].rename(columns={"psnr_y": "bicubic"}).drop(columns="model")
    found = each[each["model"] != BICUBIC].merge(base, on=keys).merge(similarity, on=keys)
    if found.empty:
        raise InputError("no image with a record of bicubic interpolation and of a network, and its self-similarity")
    found["gain_db"] = found["psnr_y"] - found["bicubic"]
    return _by_gain(found)[["model", *keys, "gain_db", "self_similarity"]]


def gains_by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """The same of kinds.csv: model, kind, name, gain_db, self_similarity."""
    keys = ["kind", "name"]
    base = table.loc[table["model"] == BICUBIC, [*keys, "psnr_y"]].rename(columns={"psnr_y": "bicubic"})
    found = table[table["model"] != BICUBIC].merge(base, on=keys)
    found["gain_db"] = found["psnr_y"] - found["bicubic"]
    return _by_gain(found)[["model", *keys, "gain_db", "self_similarity"]]


def _by_gain(found: pd.DataFrame) -> pd.DataFrame:
    mean = found.groupby("model")["gain_db"].transform("mean")
    return found.assign(mean=mean).sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def correlations(found: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation with self-similarity of each network's gain, and of its lead over each network that gains less.

    Where all networks gain much, leads are large too. So each lead stands twice: as it is, and with the gain of the
    network that is led held equal, which leaves what self-similarity says beyond that. (This control was added when
    the correlations had been seen.)

    Parameters
    ----------
    found : DataFrame
        As of `images`.

    Returns
    -------
    DataFrame
        model, against ("bicubic", or another network), control (`NOTHING` or `GAIN`), dataset (`ALL` for all together,
        and of several those with `FEWEST` images or more), images, gain_db (mean), rho, low, high. Intervals of gains
        hold all at once in a data set, and so do those of leads of each control.

    Raises
    ------
    InputError
        If there are fewer than `LEAST` images.
    """
    models = list(found["model"].unique())
    sets = found.drop_duplicates(["dataset", "name"])["dataset"].value_counts(sort=False)
    if sets.sum() < LEAST:
        raise InputError(f"{count(int(sets.sum()), 'image')}: a correlation with self-similarity needs {LEAST} or more")
    own_ones = sets.index[sets >= FEWEST] if len(sets) > 1 else []
    groups = [(ALL, found), *((name, found[found["dataset"] == name]) for name in own_ones)]
    leads = list(combinations(models, 2))
    rows = []
    for dataset, own in groups:
        wide = own.pivot(index=["dataset", "name", "self_similarity"], columns="model", values="gain_db")
        like = wide.index.get_level_values("self_similarity")
        compared = [(model, BICUBIC, NOTHING, wide[model], None, len(models)) for model in models]
        for one, other in leads:
            lead = wide[one] - wide[other]
            compared += [
                (one, other, NOTHING, lead, None, len(leads)),
                (one, other, GAIN, lead, wide[other], len(leads)),
            ]
        for model, against, control, gain, given, family in compared:
            row = {"model": model, "against": against, "control": control, "dataset": dataset, "images": len(gain)}
            rho = spearman(like, gain, family, given)
            rows.append(row | {"gain_db": gain.mean()} | dict(zip(("rho", "low", "high"), rho, strict=True)))
    return pd.DataFrame(rows)


def answer(table: pd.DataFrame, kinds: pd.DataFrame) -> str:
    """What may be said of self-similarity and quality.

    Parameters
    ----------
    table, kinds : DataFrame
        As of `correlations` and `gains_by_kind`.
    """
    gains, leads = (table[(table["against"] == BICUBIC) == over] for over in (True, False))
    parts = ["Rank correlation of an image's self-similarity with gains over bicubic:"]
    told = [
        f"{_where(own)} {own['rho'].min():+.2f} to {own['rho'].max():+.2f} ({_told(own)})"
        for _, own in gains.groupby("dataset", sort=False)
    ]
    parts.append("; ".join(told) + ".")
    if len(leads):
        as_it_is, beyond = (leads[leads["control"] == control] for control in (NOTHING, GAIN))
        told = [f"{_where(own)} {_told(own)}" for _, own in as_it_is.groupby("dataset", sort=False)]
        parts.append(f"Does a network's lead over another grow with self-similarity? {'; '.join(told)}.")
        told = [f"{_where(own)} {_told(own)}" for _, own in beyond.groupby("dataset", sort=False)]
        parts.append(f"And with the gain of the network that is led held equal? {'; '.join(told)}.")
    mean = kinds.groupby(["kind", "model"], sort=False)["gain_db"].mean()
    told = [
        f"{kind} {own.min():+.2f} to {own.max():+.2f} dB (`{own.idxmax()[1]}` most)"
        for kind, own in mean.groupby("kind", sort=False)
    ]
    parts.append(
        f"Mean gains on generated kinds of image, {count(kinds['name'].nunique(), 'image')}: {', '.join(told)}."
    )
    return " ".join(parts)


def _where(own: pd.DataFrame) -> str:
    """ "Urban100, 100 images:"."""
    name = own["dataset"].iloc[0]
    return f"{'all data sets' if name == ALL else name}, {count(int(own['images'].iloc[0]), 'image')}:"


def _told(own: pd.DataFrame) -> str:
    """Of how many rows the interval leaves out zero, and on which side."""
    estimates = [Estimate(*each) for each in own[["rho", "low", "high"]].itertuples(index=False)]
    sure = [each for each in estimates if each.excludes_zero]
    more = sum(each.value > 0 for each in sure)
    rest = len(estimates) - len(sure)
    words = [(more, "above zero"), (len(sure) - more, "below zero"), (rest, "not told from zero")]
    return ", ".join(f"{number} of {len(estimates)} {word}" for number, word in words if number)
