"""Gains against self-similarity: joined by image, correlated by data set, leads also at equal gain."""

import numpy as np
import pandas as pd
import pytest

from srlab.errors import InputError
from srlab.stats import field_kinds
from srlab.stats.field_kinds import GAIN, NOTHING
from srlab.stats.frames import ALL

#: So much of the common gain has each network: the lead grows where all gain, and says nothing beyond that.
SHARE = {"lesser": 1.0, "better": 1.2}
SETS = {"Set5": 5, "B100": 60, "Urban100": 80}


def made():
    random = np.random.default_rng(0)
    records, like = [], []
    for dataset, number in SETS.items():
        similar = random.uniform(0.4, 1, number)
        common = 3 * similar + random.normal(0, 0.3, number)
        names = [f"img_{n:03d}" for n in range(number)]
        like.append(pd.DataFrame({"dataset": dataset, "name": names, "self_similarity": similar}))
        gains = {"bicubic": np.zeros(number)} | {
            model: share * common + random.normal(0, 0.1 * (share > 1), number) for model, share in SHARE.items()
        }
        for model, gain in gains.items():
            images = [{"name": name, "psnr_y": 25 + each} for name, each in zip(names, gain, strict=True)]
            records.append({"model": model, "dataset": dataset, "images": images})
    return records, pd.concat(like, ignore_index=True)


@pytest.fixture(scope="module")
def images():
    return field_kinds.images(*made())


def kinds():
    rows = [("text", "a", 1.0), ("text", "b", 3.0), ("repeated", "c", -1.0)]
    table = pd.DataFrame(rows, columns=["kind", "name", "gain"])
    models = {"bicubic": 0, "lesser": 1, "better": 2}
    parts = [table.assign(model=model, psnr_y=20 + times * table["gain"]) for model, times in models.items()]
    return pd.concat(parts, ignore_index=True).assign(sha256="", self_similarity=0.9)


def test_gains_are_over_bicubic_of_the_same_image(images):
    records, like = made()
    assert list(images["model"].unique()) == ["better", "lesser"]  # by falling gain
    assert len(images) == 2 * len(like) == 2 * sum(SETS.values())
    [own] = [r for r in records if (r["model"], r["dataset"]) == ("lesser", "B100")]
    row = images.query("model == 'lesser' and dataset == 'B100' and name == 'img_007'").iloc[0]
    assert row["gain_db"] == pytest.approx(own["images"][7]["psnr_y"] - 25)
    assert row["self_similarity"] == like.query("dataset == 'B100' and name == 'img_007'")["self_similarity"].iloc[0]
    with pytest.raises(InputError, match="no image with a record of bicubic"):
        field_kinds.images(records, like.assign(dataset="another"))


def test_data_sets_of_few_images_have_no_correlation_of_their_own(images):
    table = field_kinds.correlations(images)
    assert table.groupby("dataset", sort=False)["images"].first().to_dict() == {ALL: 145, "B100": 60, "Urban100": 80}
    one = field_kinds.correlations(images[images["dataset"] == "B100"])
    assert set(one["dataset"]) == {ALL} and set(one["images"]) == {60}
    with pytest.raises(InputError, match="3 images: a correlation with self-similarity needs 4 or more"):
        field_kinds.correlations(
            images[images["name"].isin(["img_000", "img_001", "img_002"]) & (images["dataset"] == "Set5")]
        )


def test_a_lead_that_grows_only_because_all_gain_is_told_apart(images):
    table = field_kinds.correlations(images).query("dataset == @ALL").set_index(["model", "against", "control"])
    assert (table.loc[[("better", "bicubic", NOTHING), ("lesser", "bicubic", NOTHING)], "low"] > 0.8).all()
    assert table.loc[("better", "lesser", NOTHING), "low"] > 0.3
    assert table.loc[("better", "lesser", GAIN), "low"] < 0 < table.loc[("better", "lesser", GAIN), "high"]


def test_the_answer_counts_what_is_told_from_zero(images):
    told = field_kinds.answer(field_kinds.correlations(images), field_kinds.gains_by_kind(kinds()))
    assert "all data sets, 145 images: +0." in told and "(2 of 2 above zero)" in told
    assert "held equal? all data sets, 145 images: 1 of 1 not told from zero" in told
    assert "text +2.00 to +4.00 dB (`better` most), repeated -2.00 to -1.00 dB (`lesser` most)" in told
    assert "3 images" in told
