"""What README says of the study's findings."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import fill

from srlab.errors import InputError
from srlab.stats.headlines import headlines

#: Between these two lines of README stand the findings.
FIRST = "<!-- findings: `srlab readme --profile {profile}` prints these lines -->"
LAST = "<!-- end of findings -->"


def findings_block(study_folder: Path, root: Path, profile: str) -> str:
    """The headline findings as README shows them, with the two lines that enclose them.

    Parameters
    ----------
    study_folder : Path
        Holds tables/ and answers/.
    root : Path
        The checkout: links are from there.
    profile : str

    Raises
    ------
    InputError
        If the study has no tables that a finding is made of.
    """
    found = headlines(study_folder)
    if not found:
        raise InputError(f"{study_folder / 'tables'}: no tables of a finding; `bash run_all.sh {profile}` makes them")
    place = Path(os.path.relpath(study_folder, root)).as_posix()
    said = (
        f"From the tables of [`{place}`]({place}/tables); intervals are of 95 %, times and memory of the machine that "
        f"it is named after."
    )
    lines = [FIRST.format(profile=profile), _wrapped(said), ""]
    for finding in found:
        links = ", ".join(
            f"[{page[:2] if page[:2].isdigit() else page}]({place}/answers/{page}.md)" for page in finding.pages
        )
        lines.append(_wrapped(f"- {finding.sentences} ({links})"))
    return "\n".join([*lines, LAST]) + "\n"


def _wrapped(line: str) -> str:
    indent = "  " if line.startswith("- ") else ""
    return fill(line, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
