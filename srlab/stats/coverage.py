"""Do intervals cover the truth? Studies simulated from the spreads of our own records, and four ways to judge them.

`python -m srlab.stats.coverage` reads the records of `cpu`'s comparison and writes results/pilots/intervals.csv
and intervals_spreads.csv.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy
from jaxtyping import Float

from srlab.stats.statistics import LEVEL, matrix, seed_difference

#: Networks that do not stand on the trunk.
OWN_NETWORKS = ("esc", "sscan", "hit_srf")
#: How many seeds our profiles have.
SEEDS = (3, 5, 6)
RESAMPLES = 1000
#: Ways to make an interval: `seed_difference`, scipy's, one variance for all arms, and what this project had before.
OURS, DUNNETT, POOLED, BOOTSTRAP = WAYS = ("t, own variance", "Dunnett", "t, pooled variance", "bootstrap")


def spreads(quality: pd.DataFrame, reference: str = "no_attention") -> pd.DataFrame:
    """How seeds and images move each network, from what its runs reached.

    What a seed does to all networks alike leaves their differences and is taken off; what it does to each alone
    is estimated without bias from all networks together (Shukla's stability variance), and set to zero where
    that falls below it.

    Parameters
    ----------
    quality : DataFrame
        As of `srlab.stats.quality`, every network with the same seeds and images.

    Returns
    -------
    DataFrame
        model, the reference first; standard deviations in dB: seed_db (of a seed's mean), interaction_db (of one
        image in one seed, beyond that), image_db (over images of the gain over the reference); paired_db (over
        seeds of the mean gain, as measured); images, seeds, run.
    """
    models = [reference, *(model for model in quality["model"].unique() if model != reference)]
    psnr = np.stack([matrix(quality[quality["model"] == model], "psnr_y") for model in models])
    _, seeds, images = psnr.shape
    moved = psnr - psnr.mean(1, keepdims=True)
    means = moved.mean(2)
    rest = (moved - means[:, :, None]).reshape(len(models), -1)
    interaction = _own_variance(rest, (seeds - 1) * (images - 1))
    of_seeds = _own_variance(means, seeds - 1) - interaction / images
    gains = psnr - psnr[0]
    runs = quality.groupby("model")["run"].agg(lambda own: " ".join(own.unique()))
    return pd.DataFrame(
        {
            "model": models,
            "seed_db": np.sqrt(of_seeds.clip(0)),
            "interaction_db": np.sqrt(interaction),
            "image_db": gains.mean(1).std(1, ddof=1),
            "paired_db": gains.mean(2).std(1, ddof=1),
            "images": images,
            "seeds": seeds,
            "run": runs.loc[models].to_numpy(),
        }
    )


def _own_variance(moved: Float[np.ndarray, "networks cells"], free: int) -> Float[np.ndarray, " networks"]:
    """Variance of each network about what all have in common, where the sum of squares has `free` degrees."""
    number = len(moved)
    squares = ((moved - moved.mean(0)) ** 2).sum(1)
    own = (number * (number - 1) * squares - squares.sum()) / (free * (number - 1) * (number - 2))
    return own.clip(0)


def coverage(spreads: pd.DataFrame, studies: int = 2000) -> pd.DataFrame:
    """How often intervals cover the truth in simulated studies: with the spreads that we found, and others.

    Parameters
    ----------
    spreads : DataFrame
        Of the function of this name.
    studies : int

    Returns
    -------
    DataFrame
        networks ("on the trunk", "all", or "all, alike": as if seeds moved all of them equally), images ("the
        same" in every study, about whose mean the truth is, or "others"), and the columns of `coverage_with`.
    """
    trunk = spreads[~spreads["model"].isin(OWN_NETWORKS)]
    alike = spreads.assign(seed_db=np.sqrt((spreads["seed_db"] ** 2).mean()))
    asked = [("on the trunk", trunk), ("all", spreads), ("all, alike", alike)]
    parts = [
        coverage_with(known, seeds, studies, others).assign(
            networks=networks, images="others" if others else "the same"
        )
        for networks, known, others in [*((*each, False) for each in asked), ("all", spreads, True)]
        for seeds in SEEDS
    ]
    found = pd.concat(parts, ignore_index=True)
    return found[["networks", "images", *(name for name in parts[0] if name not in ("networks", "images"))]]


def coverage_with(spreads: pd.DataFrame, seeds: int, studies: int, other_images: bool = False) -> pd.DataFrame:
    """The same with one number of seeds.

    Returns
    -------
    DataFrame
        arms, seeds, way, one (share of intervals that cover), worst (the same of the worst arm), all_at_once
        (share of studies all of whose intervals cover), half_width_db (mean), studies.
    """
    means, gains, truth = simulated(spreads, seeds, studies, other_images)
    rows = []
    for way, (middle, half) in _intervals(means, gains).items():
        covers = np.abs(middle - truth) <= half
        shares = {"one": covers.mean(), "worst": covers.mean(0).min(), "all_at_once": covers.all(1).mean()}
        facts = {"arms": gains.shape[1], "seeds": seeds, "way": way}
        rows.append(facts | shares | {"half_width_db": half.mean(), "studies": studies})
    return pd.DataFrame(rows)


def simulated(
    spreads: pd.DataFrame, seeds: int, studies: int, other_images: bool = False
) -> tuple[
    Float[np.ndarray, "studies networks seeds"],
    Float[np.ndarray, "studies arms seeds images"],
    Float[np.ndarray, " arms"],
]:
    """Studies of networks that differ from image to image alone, normally distributed.

    Returns
    -------
    tuple
        Of each study the mean of each network and seed, the reference first, and the gain over it of each arm,
        seed and image; the true mean gain of each arm: of the images, which are the same in every study, or
        with `other_images` of all that might have been drawn.
    """
    draw = np.random.default_rng(0).normal
    images = int(spreads["images"].iloc[0])
    seed, interaction, image = (
        spreads[f"{name}_db"].to_numpy()[:, None, None] for name in ("seed", "interaction", "image")
    )
    of_seeds = seed[..., 0] * draw(size=(studies, len(spreads), seeds))
    each = of_seeds[..., None] + interaction * draw(size=(studies, len(spreads), seeds, images))
    of_images = image * draw(size=(studies if other_images else 1, len(spreads), 1, images))
    gains = each[:, 1:] - each[:, :1] + of_images[:, 1:]
    truth = np.zeros(gains.shape[1]) if other_images else of_images[0, 1:].mean((1, 2))
    return each.mean(3), gains, truth


def _intervals(
    means: Float[np.ndarray, "studies networks seeds"], gains: Float[np.ndarray, "studies arms seeds images"]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Middle and half-width of each arm's interval in each study, by each way."""
    arms, seeds = gains.shape[1:3]
    middle, of_seeds = gains.mean((2, 3)), gains.mean(3)
    ours = [[seed_difference(arm, arms) for arm in study] for study in gains]
    pooled = np.sqrt(of_seeds.var(2, ddof=1).mean(1, keepdims=True))
    quantile = scipy.stats.t.ppf((1 + LEVEL ** (1 / arms)) / 2, arms * (seeds - 1))
    every = np.broadcast_to
    low, high = bootstrap(gains)
    return {
        OURS: (
            middle,
            np.array([[(found.high - found.low) / 2 for found in study] for study in ours]),
        ),
        DUNNETT: (middle, every(_dunnett(means), middle.shape)),
        POOLED: (middle, every(quantile * pooled / seeds**0.5, middle.shape)),
        BOOTSTRAP: ((low + high) / 2, (high - low) / 2),
    }


def _dunnett(means: Float[np.ndarray, "studies networks seeds"]) -> Float[np.ndarray, "studies 1"]:
    """Half-widths of Dunnett's intervals, which are alike for all arms.

    What seeds do to all networks alike is not in `means`, so that pairing has nothing to add. How many standard
    errors wide an interval is depends on the numbers of networks and seeds alone: scipy is asked once.
    """
    seeds = means.shape[2]
    errors = np.sqrt(means.var(2, ddof=1).mean(1, keepdims=True) * 2 / seeds)
    control, *arms = means[0]
    found = scipy.stats.dunnett(*arms, control=control, rng=np.random.default_rng(0)).confidence_interval(LEVEL)
    return errors * (found.high[0] - found.low[0]) / 2 / errors[0]


def bootstrap(
    gains: Float[np.ndarray, "studies arms seeds images"],
) -> tuple[Float[np.ndarray, "studies arms"], Float[np.ndarray, "studies arms"]]:
    """Ends of the intervals that this project had before: seeds and images resampled, percentiles, arm by arm."""
    studies, arms, seeds, images = gains.shape
    generator = np.random.default_rng(0)
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    of_images = generator.multinomial(images, np.full(images, 1 / images), RESAMPLES) / images
    weights = np.einsum("rs,ri->rsi", of_seeds, of_images).reshape(RESAMPLES, -1)
    means = gains.reshape(studies * arms, -1) @ weights.T
    low, high = np.percentile(means, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=1)
    return low.reshape(studies, arms), high.reshape(studies, arms)


def markdown(found: pd.DataFrame) -> str:
    """The table of `coverage` for people: of each way how often all intervals cover at once (and how often one)."""
    shares = [f"{100 * row.all_at_once:.1f} % ({100 * row.one:.1f} %)" for row in found.itertuples()]
    keys = ["networks", "images", "arms", "seeds"]
    shown = found.assign(covers=shares).pivot_table("covers", keys, "way", aggfunc="first", sort=False)
    return shown[list(WAYS)].reset_index().to_markdown(index=False, disable_numparse=True)


if __name__ == "__main__":
    from srlab.files import write_text
    from srlab.stats.frames import quality
    from srlab.stats.power import pilot
    from srlab.study.study import Study

    study = Study("cpu")
    known = spreads(quality(pilot(study, study.comparison())))
    for name, frame in (("intervals_spreads", known), ("intervals", coverage(known))):
        write_text(study.root / "results" / "pilots" / f"{name}.csv", frame.to_csv(index=False, float_format="%.6g"))
