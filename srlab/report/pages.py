"""The pages of a study: three notebooks to start with, and one notebook a chapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srlab.errors import InputError
from srlab.report.texts import title_of
from srlab.study.chapter import Chapter
from srlab.study.runs import Run
from srlab.study.study import Study

#: Notebooks without a chapter.
FIRST = ("00_start_here", "00_attention_in_40_lines", "01_train_one_variant")


@dataclass(frozen=True)
class Page:
    """A notebook of the study, of a chapter or not."""

    study: Study
    source: Path
    chapter: Chapter | None = None

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def title(self) -> str:
        return self.chapter.question if self.chapter else title_of(self.source)

    @property
    def runs(self) -> list[Run]:
        """Every run that the notebook may read."""
        costs = self.study.costs()
        own = self.chapter.runs if self.chapter else self.study.comparison()
        return [*own, *([costs] if costs else [])]

    @property
    def executed(self) -> Path:
        return self.study.folder / "notebooks" / f"{self.name}.ipynb"

    @property
    def answer(self) -> Path | None:
        return self.study.folder / "answers" / f"{self.chapter.name}.md" if self.chapter else None

    @property
    def figures(self) -> list[str]:
        """The chapter's figures that this study has drawn."""
        names = self.chapter.module.FIGURES if self.chapter else ()
        return [name for name in names if (self.study.folder / "figures" / f"{name}.png").is_file()]

    @property
    def outputs(self) -> list[Path]:
        """The files that executing the notebook certainly makes."""
        files = [self.executed, self.executed.with_suffix(".html")]
        return [*files, self.answer] if self.answer else files


def pages_of(study: Study) -> list[Page]:
    """List the pages of a study: the first notebooks if it trains a comparison, then its chapters."""
    first = [Page(study, study.root / "notebooks" / f"{name}.ipynb") for name in FIRST if study.profile.models]
    return first + [Page(study, chapter.notebook, chapter) for chapter in study.chapters]


def page_named(study: Study, name: str) -> Page:
    """Find a page by its notebook or its chapter; InputError if the study has none of that name."""
    pages = pages_of(study)
    found = [page for page in pages if name in (page.name, page.chapter and page.chapter.name)]
    if not found:
        there = ", ".join(page.name for page in pages)
        raise InputError(f"notebook '{name}' is unknown to profile '{study.profile.name}'; its notebooks are: {there}")
    return found[0]
