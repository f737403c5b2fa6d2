"""What index and report open with: of what the study is, and what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from srlab.report.catalogue import pages_of
from srlab.report.texts import html
from srlab.stats.frames import count
from srlab.stats.headlines import headlines
from srlab.stats.statistics import SEEDS
from srlab.study.records import Record
from srlab.study.study import Study

#: Findings that a page opens with, at most.
MOST = 5


def found(study: Study, image: Callable[[str], str]) -> list[dict]:
    """The first findings: each its sentences, its figure, and the pages of this study that say more.

    Parameters
    ----------
    study : Study
    image : callable
        The address of a figure's image, by its name.
    """
    pages = {page.name: page for page in pages_of(study)}
    captions = {name: caption for page in pages.values() for name, caption in page.figures.items()}
    return [
        {
            "sentences": html(finding.sentences),
            "pages": [pages[name] for name in finding.pages if name in pages],
            "figure": finding.figure,
            "caption": captions.get(finding.figure),
            "image": image(finding.figure) if finding.figure in captions else None,
        }
        for finding in headlines(study.folder)[:MOST]
    ]


def scope(study: Study, records: Sequence[Record]) -> list[str]:
    """Of what the study is, in some words each: scale, seeds, images, machines."""
    profile = study.profile
    trained = [record for record in records if record.run.kind == "training"]
    told = [f"×{profile.scale}", count(len(profile.seeds), "seed")]
    if trained:
        images = ", ".join(f"{name} ({len(refs)})" for name, refs in study.data.benchmarks.items())
        told += [f"{count(len(study.data.train), 'training photograph')}", f"test images: {images}"]
    if any(record.run.kind == "recall" for record in records):
        told.append("images made by rule (recall)")
    told += sorted({record.facts["environment"]["name"] for record in records})
    if len(profile.seeds) < SEEDS:
        told.append(f"fewer than {SEEDS} seeds, so no verdict on quality")
    return told


def machines(records: Sequence[Record]) -> list[str]:
    """On what the runs were made, and by which code, each in words."""
    on = sorted({tuple(record.facts["environment"][key] for key in ("name", "threads", "torch")) for record in records})
    commits = sorted({record.facts["environment"]["commit"] for record in records})
    told = [f"{name}, {count(threads, 'thread')}, torch {torch}" for name, threads, torch in on]
    return [*told, f"code at {', '.join(commits)}"]


def budgets(study: Study) -> list[str]:
    """How long each kind of network was trained, in words."""
    profile = study.profile
    kinds = {"From scratch": profile.training if profile.models else None}
    if profile.branch:
        kinds["Trunks"] = profile.budget(**profile.branch.trunk)
        kinds["Branches from them"] = profile.budget(**profile.branch.training)
    if profile.recall:
        kinds["On recall images"] = profile.budget(**profile.recall.training, patch=profile.recall.scene.side)
    return [
        f"{kind}: {budget.steps:,} steps of {budget.batch} × {budget.patch}×{budget.patch} LR pixels"
        for kind, budget in kinds.items()
        if budget
    ]
