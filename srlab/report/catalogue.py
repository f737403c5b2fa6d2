"""The pages: which notebook asks what, needs which runs, and draws which figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from srlab.errors import InputError
from srlab.plots.drawings import DRAWINGS
from srlab.stats.statistics import SEEDS
from srlab.study.profiles import Profile
from srlab.study.runs import Run
from srlab.study.study import Study


def trains(profile: Profile) -> bool:
    """Whether there are networks to compare."""
    return bool(profile.models)


def times(profile: Profile) -> bool:
    """Whether there are networks to compare, and times of theirs."""
    return bool(profile.models) and profile.timing is not None


@dataclass(frozen=True)
class Page:
    """One notebook of the study.

    Attributes
    ----------
    name, title : str
        The file's name in notebooks/ without its ending; what it asks.
    runs : callable
        The runs that it reads.
    figures : dict of str to str
        What each figure that it draws shows, by name.
    tables : tuple of str
        Names of the tables it shows; those that its figures are drawn from are not named again.
    answered : bool
        Whether it leaves an answer for the report.
    in_report : tuple of str
        Figures for the report that are not drawn from tables.
    asked : callable
        Whether a profile that names no pages has something for it.
    """

    name: str
    title: str
    runs: Callable[[Study], list[Run]]
    figures: dict[str, str]
    tables: tuple[str, ...] = ()
    answered: bool = True
    in_report: tuple[str, ...] = ()
    asked: Callable[[Profile], bool] = trains

    def source(self, study: Study) -> Path:
        return study.root / "notebooks" / f"{self.name}.ipynb"

    def executed(self, study: Study) -> Path:
        return study.folder / "notebooks" / f"{self.name}.ipynb"

    def answer(self, study: Study) -> Path:
        return study.folder / "answers" / f"{self.name}.md"

    @property
    def all_tables(self) -> tuple[str, ...]:
        """Those that it shows and those that its figures are drawn from."""
        drawn = [table for name in self.figures if name in DRAWINGS for table in DRAWINGS[name].tables]
        return tuple(dict.fromkeys([*self.tables, *drawn]))

    def outputs(self, study: Study) -> list[Path]:
        """Every file that executing the page makes."""
        executed = self.executed(study)
        files = [executed, executed.with_suffix(".html")]
        for name in self.figures:
            files += [study.folder / "figures" / f"{name}{end}" for end in (".png", ".svg")]
            if name in DRAWINGS:
                files.append(study.folder / "figures" / f"{name}.json")
        if self.answered:
            files.append(self.answer(study))
        return files + [study.folder / "tables" / f"{name}.csv" for name in self.all_tables]


PAGES = (
    Page(
        "00_start_here",
        "What there is: networks, images, runs",
        lambda study: [],
        {"data": "Some of the images trained on, and held out: LR above HR."},
        ("bicubic",),
        answered=False,
    ),
    Page(
        "01_train_one_variant",
        "How one network trains, and what it makes of an image",
        lambda study: [study.training("lcoan", seed) for seed in study.profile.seeds],
        {
            "training": "Loss and held-out PSNR, step by step.",
            "restored": "HR, bicubic and the network around each image's strongest corner, with PSNR.",
        },
        ("trained", "spent"),
        answered=False,
    ),
    Page(
        "02_lsp_and_coa",
        "LSP against CoA: sparse or dense, shared or not",
        lambda study: [*study.sharing(), study.timing()],
        {"sharing": "Gain per image over no_attention; time and memory of the non-local layers alone."},
        ("sharing_gains", "sharing_layers"),
        asked=times,
    ),
    Page(
        "03_clusters",
        "The number of clusters k",
        lambda study: [*study.cluster_sweep(), study.costs()],
        {
            "clusters": "Quality, time, memory and evenness of the clusters against k.",
            "cluster_sizes": "Tokens in each cluster of one image, largest first.",
            "cluster_ways": "Evenness of the clusters as trained, iterated on, re-seeded and divided anew.",
            "cluster_maps": "A whole image in the clusters of each k, with their sizes.",
            "typical_patches": "The places that are most typical of the largest clusters.",
            "centroid_drift": "How centroids turn in training, and what that does to the clusters.",
        },
        ("clusters", "clusters_gains"),
        asked=lambda profile: bool(profile.clusters),
    ),
    Page(
        "04_window",
        "The window w",
        lambda study: [*study.window_sweep(), study.costs()],
        {"window": "Quality, time, memory and purity of the windows against w."},
        ("window", "window_gains"),
        asked=lambda profile: bool(profile.windows),
    ),
    Page(
        "05_time_and_memory",
        "Time and memory against the size of the image",
        lambda study: [study.timing()],
        {
            "scaling": "Latency and peak memory, whole network and non-local layers alone, against image size.",
            "inside": "Where the time of non-local layers goes: projections, choosing, sorting, copies, attending.",
        },
        ("timing_by_size", "growth"),
        asked=times,
    ),
    Page(
        "06_comparison",
        "Quality against latency against memory",
        lambda study: [*study.comparison(), study.costs()],
        {
            "comparison": "Gain over bicubic against latency, peak memory and parameters.",
            "gains": "Gain over the trunk without attention, image by image.",
            "convergence": "PSNR of held-out patches in training, and what its last quarter still gained.",
            "crops": "Parts of photographs as the networks restore them, HR first.",
        },
        ("comparison", "comparison_gains", "comparison_pairing"),
        in_report=("crops",),
        asked=times,
    ),
    Page(
        "07_attention_maps",
        "Where a pixel looks",
        lambda study: [
            study.training(model)
            for model in dict.fromkeys(("lcoan", "trunk_lsp", "trunk_nla", *study.profile.models))
            if model != "no_attention"
        ],
        {
            "attention": "Attention weights of one query pixel (the strongest corner) in each mechanism.",
            "clusters_and_windows": "Clusters of the tokens, and the windows that the query sees.",
            "gallery_1": "One pixel in every network: where it looks, what it makes of the image.",
            "gallery_2": "The same for a pixel of a second image.",
            "gallery_3": "And of a third.",
        },
        ("reach",),
        in_report=("attention", "clusters_and_windows"),
    ),
    Page(
        "08_centroids",
        "How centroids are learnt",
        lambda study: study.centroid_sweep(),
        {"centroids": "Quality, drift of the centroids and evenness of the clusters for each λ, and frozen."},
        ("centroids_gains",),
        asked=lambda profile: bool(profile.decays),
    ),
    Page(
        "09_depth_of_sharing",
        "How deep weights can be shared",
        lambda study: [*study.renewal_sweep(), *study.similarity(), study.costs()],
        {"depth": "How alike layers are, and quality and time where weights are computed anew every n layers."},
        ("depth_gains",),
        asked=lambda profile: bool(profile.renewals),
    ),
    Page(
        "10_units",
        "The number of units",
        lambda study: [*study.unit_sweep(), study.costs()],
        {"units": "Quality against the number of units, latency and parameters, with attention and without."},
        ("units_gains",),
        asked=lambda profile: bool(profile.units),
    ),
    Page(
        "11_windows_and_routing",
        "Windows: how large, by which kernel, and which to look at",
        lambda study: [*study.side_sweep(), study.windows_timing(), study.routing_timing()],
        {
            "backends": "Time and memory of one window attention layer against the side of its windows.",
            "sides": "What larger windows gain over the smallest.",
            "routing": "Time and memory of one layer of FGCA and of BRA as the map grows.",
        },
        ("backends_costs", "sides_gains", "routing_costs"),
        asked=lambda profile: bool(profile.sides),
    ),
    Page(
        "12_scale_and_size",
        "Scale, and images up to 8K",
        lambda study: [*study.scale_timing(), study.limits()],
        {
            "limits": "Time and memory of one layer against the pixels of its map, up to where it fails.",
            "scales": "Latency and memory of whole networks at each scale.",
        },
        ("scales_costs", "limits_costs", "limits_growth"),
        asked=times,
    ),
    Page(
        "13_kinds_of_image",
        "On what kind of image looking far helps",
        lambda study: [
            study.training(model, seed)
            for model in ("no_attention", "lcoan", "trunk_nla", "trunk_window", "trunk_fgca")
            if model in study.profile.models
            for seed in study.profile.seeds
        ],
        {
            "kinds": "Gain on each kind of image, and image by image against self-similarity.",
            "kinds_images": "Some images of each kind.",
        },
        ("kinds_gains",),
        in_report=("kinds_images",),
    ),
    Page(
        "14_roofline_and_reach",
        "How near to the hardware, how far across the image",
        lambda study: [study.timing(), *(study.training(model) for model in study.profile.models)],
        {
            "roofline": "Speed under the roofs of the device, and time against the floor that they set.",
            "reach_maps": "Effective receptive fields and local attribution maps of every network.",
        },
        ("roofline_costs", "attribution"),
        in_report=("reach_maps",),
        asked=times,
    ),
    Page(
        "15_photographs",
        "More photographs",
        lambda study: study.photograph_sweep(),
        {"photographs": "Quality against the number of photographs trained on."},
        ("photographs_gains",),
        asked=lambda profile: bool(profile.photographs),
    ),
    Page(
        "16_recipe",
        "What does the recipe do?",
        lambda study: [run for runs in study.recipe_sweep().values() for run in runs],
        {"recipes": "Gain over bicubic by the chosen recipe, and with one thing changed at a time."},
        ("recipe_changes",),
        asked=lambda profile: bool(profile.recipes),
    ),
    Page(
        "17_at_work",
        "Is attention at work?",
        lambda study: [*study.comparison(), *study.branches()],
        {"at_work": "What each network loses when its attention weights are altered."},
        ("at_work_losses", "at_work_gains"),
        asked=lambda profile: trains(profile) and len(profile.seeds) >= SEEDS,
    ),
    Page(
        "18_branched",
        "What does attention add to a trained trunk?",
        lambda study: study.branches(),
        {"branched": "What each arm adds to a trained trunk, and how far it opened its gates."},
        asked=lambda profile: profile.branch is not None,
    ),
    Page(
        "19_recall",
        "Who finds the other tile?",
        lambda study: study.recalls(),
        {
            "recall": "Recall of a copy far away, and what the damaged tile's pixels see of it.",
            "recall_images": "A recall image, and what networks make of it.",
            "recall_look": "Where a pixel of a damaged tile looks, in networks that find its copy and that do not.",
            "recall_dials": "Recall along each dial: distance, other tiles, size, likeness, copies.",
            "recall_cost": "Recall against how many keys a query sees.",
            "recall_curves": "Recall in training.",
        },
        in_report=("recall_images", "recall_look"),
        asked=lambda profile: profile.recall is not None,
    ),
    Page(
        "20_field",
        "The field",
        lambda study: [],
        {
            "field": "PSNR of released networks against latency, with memory as area, beside what papers publish.",
            "reach": "How far released networks look, beside their PSNR and what they gain there.",
            "similarity": "For which images released networks are good: gains against self-similarity, and by kind.",
        },
    ),
    Page(
        "claims",
        "The papers' claims",
        lambda study: [*study.comparison(), *study.branches(), *study.claims_timing()],
        {
            "claims": "What was measured of each claim, beside what is claimed, in the colour of its verdict.",
            "cost_claims": "Time and memory over the size of the map, on the code as published and on ours.",
        },
        ("cost_slopes",),
        asked=lambda profile: profile.branch is not None,
    ),
)


def pages_of(study: Study) -> tuple[Page, ...]:
    """The pages of a study: those that its profile names, or else all that it has something for.

    Raises
    ------
    InputError
        If the profile names one that is unknown.
    """
    named = study.profile.pages
    if unknown := set(named) - {page.name for page in PAGES}:
        raise InputError(
            f"pages of profile '{study.profile.name}': {', '.join(sorted(unknown))} unknown; there are: "
            f"{', '.join(page.name for page in PAGES)}"
        )
    return tuple(page for page in PAGES if (page.name in named if named else page.asked(study.profile)))
