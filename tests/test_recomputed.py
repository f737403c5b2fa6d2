"""Numbers of kept tables, computed again from the packed records by pandas, numpy and scipy alone.

`srlab.stats` is not used here. Tables name the runs of each row; every number is taken from the files of those runs
(`bicubic_images.csv` stands for the enlargement, which no run makes).
"""

import json
import zipfile
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy
from kept import references

LAYERS = "non-local layers"
#: What tables of gains compare: by which column, and with which of its values.
GAINS = {
    "sharing": ("model", lambda values: "no_attention"),
    "comparison": ("model", lambda values: "no_attention"),
    "clusters": ("clusters", min),
    "window": ("window", min),
    "sides": ("side", min),
}


def table(study: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(study / "tables" / f"{name}.csv", dtype={"run": str})


@cache
def packed(study: Path) -> tuple[zipfile.ZipFile, dict[str, str]]:
    """Return the packed records, and the folder of each hash."""
    file = zipfile.ZipFile(study / "runs.zip")
    return file, {Path(name).parent.name.rpartition("-")[2]: Path(name).parent.name for name in file.namelist()}


def text(study: Path, digits: str, name: str) -> str:
    file, folders = packed(study)
    return file.read(f"{folders[digits]}/{name}").decode()


@cache
def read(study: Path, digits: str, name: str) -> pd.DataFrame:
    return pd.read_csv(StringIO(text(study, digits, name)))


@cache
def facts(study: Path, digits: str) -> dict:
    return json.loads(text(study, digits, "run.json"))


def psnr(study: Path, digits: str) -> pd.Series:
    """Y-PSNR by benchmark and image."""
    return read(study, digits, "images.csv").set_index(["benchmark", "name"])["psnr_y"]


def profile(study: Path, digits: str, part: str = LAYERS) -> pd.DataFrame:
    """Of a timing run's largest input: what each label costs."""
    rows = read(study, digits, "profile.csv")
    rows = rows[rows["part"] == part]
    return rows[rows["size"] == rows["size"].max()].set_index("label")


def timing(study: Path, kind: str) -> str:
    """The hash of the timing run of that kind that tables name."""
    [digits] = set(table(study, kind)["run"])
    return digits


def seeds(study, digits):
    """Y-PSNR of some runs, by seed."""
    return {facts(study, each)["config"]["seed"]: psnr(study, each) for each in digits}


def interval(over_seeds, family):
    """The mean, and Student's t over seeds, wide enough for a family of intervals at once."""
    half = scipy.stats.t.ppf((1 + 0.95 ** (1 / family)) / 2, len(over_seeds) - 1) * scipy.stats.sem(over_seeds)
    return np.mean(over_seeds), np.mean(over_seeds) - half, np.mean(over_seeds) + half


# Each of these gives (what, printed, computed again) of a study; the tables that it needs stand beside it below.


def qualities(study):
    for row in table(study, "comparison").query("model != 'bicubic'").itertuples():
        runs = [psnr(study, digits)[row.benchmark] for digits in row.run.split()]
        means = [run.mean() for run in runs]
        again = (np.mean(means), min(means), max(means), len(means), len(runs[0]))
        printed = (row.psnr_y, row.lowest_db, row.highest_db, row.seeds, row.images)
        yield f"{row.model} on {row.benchmark}", printed, again


def costs(study):
    [digits] = set(table(study, "comparison_costs")["run"])
    whole = profile(study, digits, "network")
    for row in table(study, "comparison").query("model != 'bicubic'").itertuples():
        own = whole.loc[row.model]
        yield row.model, (row.median_ms, row.peak_mib, row.gflops), own[["median_ms", "peak_mib", "gflops"]]


def layers(study):
    for (digits, part), own in table(study, "comparison_costs").groupby(["run", "part"]):
        columns = ["median_ms", "peak_mib", "gflops"]
        yield f"{part} of {digits}", own[columns], profile(study, digits, part).loc[own["model"], columns]


def medians(study):
    """Check the timing runs with kept single calls."""
    file, folders = packed(study)
    for digits, name in folders.items():
        if f"{name}/times.csv" in file.namelist():
            times = read(study, digits, "times.csv").groupby(["label", "part", "size"])["ms"]
            times = times.quantile([0.25, 0.5, 0.75]).unstack()
            rows = read(study, digits, "profile.csv").set_index(["label", "part", "size"])
            for place, own in rows.iterrows():
                yield f"{name} {place}", own[["q25_ms", "median_ms", "q75_ms"]], times.loc[place]


def gains(study):
    for name, (by, reference) in GAINS.items():
        if not (study / "tables" / f"{name}_gains.csv").is_file():
            continue
        kept = table(study, f"{name}_gains")
        runs = table(study, f"{name}_images")[["run", "seed", by]].drop_duplicates()
        basis = runs[runs[by] == reference(list(runs[by]))].set_index("seed")["run"]
        for row in kept.to_dict("records"):
            own = runs[runs[by] == row[by]].set_index("seed")["run"]
            apart = pd.DataFrame({seed: psnr(study, own[seed]) - psnr(study, basis[seed]) for seed in own.index})
            if row["benchmark"] != "all":
                apart = apart.loc[[row["benchmark"]]]
            over_seeds = apart.mean()
            printed = [row["gain_db"], row["images_higher"], row["images"], row["seeds"]]
            again = [over_seeds.mean(), (apart.mean(axis=1) > 0).sum(), *apart.shape]
            if row["seeds"] > 1 and "spread_db" in row:
                printed += [row["spread_db"], row["low_db"], row["high_db"]]
                again += [over_seeds.std(), *interval(over_seeds, (kept["benchmark"] == row["benchmark"]).sum())[1:]]
            yield f"{name} {row[by]} on {row['benchmark']}", printed, again


def images(study):
    """Every image of every table of images is the record's."""
    for file in sorted(study.glob("tables/*_images.csv")):
        kept = table(study, file.stem)
        if "run" not in kept:
            continue
        for digits, own in kept.groupby("run"):
            again = read(study, digits, "images.csv").set_index(["benchmark", "name"])
            own = own.set_index(["benchmark", "name"])
            yield f"{file.stem} {digits}", own["psnr_y"], again.loc[own.index, "psnr_y"]
            yield f"{file.stem} {digits}", own["ssim_y"], again.loc[own.index, "ssim_y"]


def exponents(study):
    for name, file in (("limits_growth", "limits.csv"), ("growth", "profile.csv")):
        for row in table(study, name).itertuples():
            own = read(study, row.run, file)
            own = own[own["label"] == row.model]
            if file == "limits.csv":
                own = own[(own["state"] == "measured") & (own["height"] * own["width"] >= 64**2)]
            else:
                own = own[own["part"] == row.part]
            for cost, value, low in (
                ("median_ms", row.time_exponent, row.time_low),
                ("peak_mib", row.memory_exponent, row.memory_low),
            ):
                line = scipy.stats.linregress(np.log(own["height"] * own["width"]), np.log(own[cost]))
                yield f"{name} {row.model} {row.part} {cost}", value, line.slope
                if len(own) > 2:
                    again = line.slope - line.stderr * scipy.stats.t.ppf(0.975, len(own) - 2)
                    yield f"{name} {row.model} {row.part} {cost}, low", low, again


def recipes(study):
    kept = table(study, "recipes")
    chosen = kept[kept["recipe"] == "as chosen"].set_index("model")["run"]
    bicubic = []
    for row in kept.itertuples():
        own = psnr(study, row.run)
        budget = facts(study, row.run)["config"]["budget"]
        printed = (row.change_db, row.images, row.steps, row.patch, row.seconds)
        change = (own - psnr(study, chosen[row.model])).mean()
        seconds = facts(study, row.run)["seconds"]
        yield row.recipe, printed, (change, len(own), budget["steps"], budget["patch"], seconds)
        bicubic.append(own.mean() - row.gain_db)
    yield "bicubic is the same for all", bicubic, np.full(len(bicubic), bicubic[0])
    assert bicubic[0] == pytest.approx(33.65, abs=0.005)  # the known baseline of Set5 ×2, Y rounded


def branches(study):
    kept = table(study, "branched_gains")
    for row in kept.itertuples():
        own, basis = seeds(study, row.run.split()), seeds(study, row.run_reference.split())
        over_seeds = [(own[seed] - basis[seed]).mean() for seed in own]
        printed = (row.gain_db, row.low_db, row.high_db, row.spread_db)
        yield row.arm, printed, (*interval(over_seeds, len(kept)), np.std(over_seeds, ddof=1))


def judged(study):
    """The claims about quality; "run" names the runs of one side, then those of the other."""
    every = table(study, "claims").query("quantity == 'psnr_gain_db'")
    for row in every.query("basis == 'full size' and run != 'none'").itertuples():  # image by image
        [other] = (each for each in references() if each.name.startswith("released"))
        own, rival = (read(other, digits, "images.csv").set_index(["dataset", "name"]) for digits in row.run.split())
        leads = (own["psnr_y"] - rival["psnr_y"]).loc["Urban100"]
        yield f"{row.id} {row.basis}", (row.measured, row.low, row.high), interval(leads, 1)
    kept = every.query("basis != 'full size'")
    contrasts = kept.assign(tested=kept["workload"].str.rpartition("; ")[2])
    family = len(contrasts[["arm", "against", "basis", "tested"]].drop_duplicates())
    for row in contrasts.itertuples():
        runs = row.run.split()
        own, other = (seeds(study, side) for side in (runs[: len(runs) // 2], runs[len(runs) // 2 :]))
        apart = [own[seed] - other[seed] for seed in own]
        over_seeds = [(each if row.tested == "all benchmarks" else each.loc[row.tested]).mean() for each in apart]
        yield f"{row.id} {row.against}", (row.measured, row.low, row.high), interval(over_seeds, family)


def recalls(study):
    """Recall by distance: the mean over tiles of each seed, then over seeds, with its simultaneous interval."""
    kept = table(study, "recall")
    for row in kept.itertuples():
        last = row.to_px == kept["to_px"].max()
        of_seeds, seen = [], []
        for digits in row.run.split():
            tiles = read(study, digits, "tiles.csv").query("setting == 'far'")
            tiles = tiles[(tiles["distance"] >= row.from_px) & ((tiles["distance"] < row.to_px) | last)]
            of_seeds.append(tiles["recall"].mean())
            seen.append(tiles.get("found", pd.Series([np.nan])))  # a trunk without attention sees nothing
        again = (np.mean(of_seeds), pd.concat(seen).mean())
        yield f"{row.arm} {row.from_px}", (row.recall, row.found), again
        if len(of_seeds) > 1:
            _, low, high = interval(of_seeds, (kept["league"] == row.league).sum())
            yield f"{row.arm} {row.from_px}", row.high - row.low, high - low


def released(study):
    """Quality of networks of others: records have the images of one network each."""
    for row in table(study, "released_quality").itertuples():
        own = read(study, row.run, "images.csv").query("dataset == @row.dataset")
        again = own[["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]].mean()
        yield f"{row.model} {row.dataset}", (row.psnr_y, row.ssim_y, row.psnr_rgb, row.ssim_rgb), again


def ceilings(study):
    """Gains of fusers over their own neighbourhoods: means over seeds by image, then over images."""
    kept = table(study, "ceiling")
    for row in kept.itertuples():
        errors = read(study, row.run, "errors.csv").query("distance == @row.distance")
        decibels = (10 * np.log10(errors.set_index(["match", "content", "name", "seed"])["mse"])).sort_index()
        gains = decibels["own", "SR"] - decibels[row.match, row.content]
        family = len(kept.query("benchmark == @row.benchmark and fuser == @row.fuser"))
        printed = (row.gain_db, row.low_db, row.high_db)
        what = f"{row.base} {row.benchmark} {row.fuser} {row.distance} {row.match} {row.content}"
        yield what, printed, interval(gains.groupby("name").mean(), family)


def contexts(study):
    """Losses against the whole image, over images, with intervals for all cells of a benchmark at once."""
    kept = table(study, "context")
    families = kept.groupby("benchmark").size()
    for row in kept.itertuples():
        cells = pd.concat(read(study, digits, "context.csv") for digits in row.run.split()).set_index("name")
        whole = cells.loc[cells["filling"] == "whole", "mse"]
        cut = cells.loc[(cells["filling"] == row.filling) & (cells["radius"] == row.radius), "mse"]
        loss = 10 * np.log10(cut / whole)
        what = f"{row.benchmark} {row.network} {row.filling} {row.radius}"
        yield what, (row.loss_db, row.low_db, row.high_db), interval(loss, families[row.benchmark])


def ablated(study):
    """Losses of released networks by altered attention, over images, with intervals for all cells at once."""
    kept = table(study, "ablation_released")
    for row in kept.itertuples():
        images = pd.concat(read(study, digits, "images.csv") for digits in row.run.split())
        again = interval(images.loc[images["change"] == row.change, "drop_db"], len(kept))
        yield f"{row.network} {row.benchmark} {row.change}", (row.drop_db, row.low_db, row.high_db), again


def frozen(study):
    """Gains of heads over the local layer and the features alone, on all images, over seeds."""
    found = table(study, "frozen")

    def means(digits, column):
        last = {each: read(study, each, "images.csv").query("third == 3") for each in digits.split()}
        return {facts(study, each)["config"]["seed"]: rows[column].mean() for each, rows in last.items()}

    local = pd.Series(means(found.set_index("arm")["run"]["trunk_conv7"], "psnr_y"))
    base = pd.Series(means(found.set_index("arm")["run"]["trunk_conv7"], "base_psnr_y"))
    for row in found.itertuples():
        own = base if row.arm == "nothing" else pd.Series(means(row.run, "psnr_y"))
        again = ((own - base).mean(), *interval(own - local, len(found) - 1))
        yield row.arm, (row.gain_db, row.over_local_db, row.low_db, row.high_db), again


CHECKS = {
    frozen: ("frozen",),
    ablated: ("ablation_released",),
    contexts: ("context",),
    ceilings: ("ceiling",),
    released: ("released_quality",),
    recalls: ("recall",),
    branches: ("branched_gains",),
    judged: ("claims",),
    qualities: ("comparison",),
    costs: ("comparison", "comparison_costs"),
    layers: ("comparison_costs",),
    medians: ("timing",),
    gains: ("comparison_gains",),
    images: ("comparison_images",),
    exponents: ("growth", "limits_growth"),
    recipes: ("recipes",),
}


def has(study: Path, check: Callable, *tables: str) -> bool:
    there = all((study / "tables" / f"{name}.csv").is_file() for name in tables)
    return there and (check is not medians or any(name.endswith("times.csv") for name in packed(study)[0].namelist()))


def compare(study: Path, check: Callable) -> int:
    """Compare what is printed with what is computed again; return how many numbers these are."""
    count = 0
    for what, printed, again in check(study):
        pair = (np.asarray(side, float) for side in (printed, again))
        np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-9, err_msg=what)
        count += np.size(printed)
    return count


@pytest.mark.parametrize("name", [study.name for study in references() if (study / "tables").is_dir()])
def test_tables_follow_from_records_in_more_than_twenty_numbers_a_study(name):
    [study] = (study for study in references() if study.name == name)
    counts = [compare(study, check) for check, tables in CHECKS.items() if has(study, check, *tables)]
    assert all(counts) and sum(counts) > 20


def test_a_wrong_number_is_found(tmp_path):
    study = next(each for each in references() if has(each, gains, *CHECKS[gains]))
    copy = tmp_path / study.name
    copy.mkdir()
    (copy / "runs.zip").symlink_to(study / "runs.zip")
    (copy / "tables").mkdir()
    for file in study.glob("tables/comparison*.csv"):
        (copy / "tables" / file.name).write_bytes(file.read_bytes())
    assert compare(copy, gains)
    changed = table(copy, "comparison_gains")
    changed.loc[len(changed) - 1, "gain_db"] += 1e-6
    changed.to_csv(copy / "tables" / "comparison_gains.csv", index=False)
    with pytest.raises(AssertionError):
        compare(copy, gains)
