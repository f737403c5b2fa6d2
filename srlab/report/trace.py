"""Find a run by its hash, and list its config, code, machine and tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

from srlab.errors import InputError
from srlab.files import read_table
from srlab.study.profile import find_root, results_folder
from srlab.study.records import Record, records_in

HASH = re.compile(r"[0-9a-f]{4,10}")


def trace(digits: str, results: Path | None = None) -> str:
    """Describe the finished runs with a hash, or its first four digits or more, in every results folder.

    `results`, by default SRLAB_RESULTS or results/, holds all results folders. InputError if the digits are no hash, no
    finished run has it, or runs of different hashes do.
    """
    if not HASH.fullmatch(digits):
        raise InputError(f"hash '{digits}': 4 to 10 hexadecimal digits are expected")
    results = results or results_folder(find_root())
    studies = {path.parent for path in (*results.glob("**/runs.zip"), *results.glob("**/runs"))}
    found = [record for study in sorted(studies) for record in records_in(study, f"*-{digits}*")]
    if not found:
        raise InputError(f"hash '{digits}': no finished run in {results} has it")
    if len({record.run.hash for record in found}) > 1:
        names = ", ".join(sorted({record.run.name for record in found}))
        raise InputError(f"hash '{digits}' is the beginning of several: {names}; give more digits")
    return "\n\n".join(describe(record) for record in found)


def describe(record: Record) -> str:
    """List the facts of a finished run, one a line."""
    facts, study = record.facts, record.folder.parents[1]
    environment = facts["environment"]
    lines = {
        "kind": record.run.kind,
        "config": json.dumps(facts["config"], ensure_ascii=False),
        "device": f"{record.run.device}: {environment['name']}, {environment['threads']} CPU threads",
        "software": f"torch {environment['torch']}, Python {environment['python']}, {environment['platform']}",
        "code": f"commit {environment['commit']}",
        "rules": ", ".join(f"{part} {code}" for part, code in facts.get("rules", {}).items()) or "none",
        "finished": facts["finished"],
        "again": f"srlab run --profile {study.name.removesuffix(f'-{record.run.device}')} --only {record.run.name}",
        "in tables": ", ".join(_tables(study, record.run.hash)) or "none",
    }
    return "\n".join([str(record.folder), *(f"  {name:<10}{value}" for name, value in lines.items())])


def _tables(study: Path, digits: str) -> list[str]:
    """List the tables with rows of the run, with their numbers of rows."""
    found = []
    for file in sorted((study / "tables").glob("*.csv")):
        named = (
            read_table(file)
            .reindex(columns=["run", "run_reference"])
            .astype(object)
            .fillna("")
            .astype(str)
            .agg(" ".join, axis=1)
        )
        if rows := sum(digits in hashes.split() for hashes in named):
            found.append(f"{file.stem} ({rows})")
    return found
