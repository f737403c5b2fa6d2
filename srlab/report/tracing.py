"""Where a number came from: by the hash of its run, by the number as printed, or by its row in a table."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd

from srlab.errors import InputError
from srlab.report.catalogue import PAGES
from srlab.report.printed import PRINTED, trace_number, trace_row
from srlab.study.study import find_root

HASH = re.compile(r"[0-9a-f]{4,10}")


def trace(what: str, profile: str | None = None, results: Path | None = None) -> str:
    """Where something came from.

    Parameters
    ----------
    what : str
        The first digits of a run's hash, four or more; a number as it is printed, of which a whole one of four
        digits or more needs its comma or unit; or TABLE:ROW, a table's name and a row, counted from 1.
    profile : str, optional
        Only in the results of this one.
    results : Path, optional
        The folder of all results folders; SRLAB_RESULTS, or else results/, if not given.

    Raises
    ------
    InputError
        If it is none of these, or nothing is found.
    """
    results = results or find_root() / (os.environ.get("SRLAB_RESULTS") or "results")
    printed = what.strip().replace("−", "-")
    if row := re.fullmatch(r"(\w+):(\d+)", printed):
        return trace_row(row[1], int(row[2]), results, profile)
    if PRINTED.fullmatch(printed) and not HASH.fullmatch(printed):
        return trace_number(printed, results, profile)
    return "\n\n".join(describe(folder) for folder in find_runs(printed, results, profile))


def find_runs(digits: str, results: Path, profile: str | None = None) -> list[Path]:
    """The folders of the finished runs of a hash; several if several results folders hold it.

    Parameters
    ----------
    digits : str
        The hash, or its first digits: four or more.
    results : Path
        The folder of all results folders.
    profile : str, optional
        Only in the results of this one.

    Raises
    ------
    InputError
        If these are no such digits, no finished run has them, or runs of different hashes do.
    """
    if not HASH.fullmatch(digits):
        raise InputError(
            f"'{digits}': the first 4 to 10 digits of a run's hash, a number as it is printed, or TABLE:ROW are expected"
        )
    studies = f"{profile}-*" if profile else "*"
    folders = (*results.glob(f"{studies}/runs"), *results.glob(f"reference/{studies}/runs"))
    files = sorted(file for folder in folders for file in folder.glob(f"*-{digits}*/run.json"))
    found = {file.parent: _hash(file.parent) for file in files if _hash(file.parent).startswith(digits)}
    if not found:
        raise InputError(f"hash '{digits}': no finished run in {results} has it")
    if len(set(found.values())) > 1:
        names = ", ".join(sorted({folder.name for folder in found}))
        raise InputError(f"hash '{digits}' is the beginning of several: {names}; give more digits")
    return list(found)


def _hash(run: Path) -> str:
    return run.name.rpartition("-")[2]


def describe(run: Path) -> str:
    """All that is known of a finished run, a fact a line.

    Parameters
    ----------
    run : Path
        Its folder, PROFILE-DEVICE/runs/NAME in results/ or results/reference/.
    """
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    config, environment, study = facts["config"], facts["environment"], run.parents[1]
    profile = study.name.removesuffix(f"-{config['device']}")
    training = config["kind"] == "training"
    lines = {
        "kind": config["kind"],
        **(_of_training(config, facts) if training else _of_measurement(config)),
        "device": f"{config['device']}: {environment['name']}, {environment['threads']} CPU threads",
        "software": f"torch {environment['torch']}, Python {environment['python']}",
        "platform": environment["platform"],
        "code": f"commit {environment['commit']}",
        "finished": facts["finished"],
        "results": "; ".join(_quality(run) if training else _rows(run)),
        "again": f"srlab run --profile {profile} --only {run.name}",
        "shown in": f"\n{'':13}".join(_tables(study, _hash(run))) or "no table",
    }
    return "\n".join([str(run), *(f"  {name:<11}{told}" for name, told in lines.items())])


def _settings(settings: dict) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def _of_training(config: dict, facts: dict) -> dict[str, str]:
    photographs = config.get("photographs")
    drawn = "all training images" if photographs is None else f"{photographs} training images"
    return {
        "network": f"{config['network']['model']}: {_settings(config['network']['options'])}",
        "scale": f"×{config['scale']}",
        "data": f"{facts['data']}, fingerprint {config['data']}, {drawn}",
        "benchmarks": ", ".join(config["benchmarks"]),
        "budget": _settings(config["budget"]),
        "seed": config["seed"],
    }


def _of_measurement(config: dict) -> dict[str, str]:
    sizes = ["×".join(map(str, size)) if isinstance(size, list) else str(size) for size in config["sizes"]]
    bounds = {key: config[key] for key in ("repeats", "warmup", "limit_s", "limit_mib") if key in config}
    return {
        "networks": ", ".join(config["networks"]),
        "scale": f"×{config['scale']}",
        "sizes": f"{', '.join(sizes)} pixels (LR; height×width, or the side of a square)",
        "bounds": _settings(bounds),
    }


def _quality(run: Path) -> list[str]:
    quality = pd.read_csv(run / "images.csv").groupby("benchmark", sort=False)["psnr_y"]
    return [f"{name} {of.mean():.3f} dB PSNR on Y ({of.size} images)" for name, of in quality]


def _rows(run: Path) -> list[str]:
    return [f"{file.name}, {_count(len(pd.read_csv(file)))}" for file in sorted(run.glob("*.csv"))]


def _count(rows: int) -> str:
    return f"{rows} row{'s' * (rows != 1)}"


def _tables(study: Path, digits: str) -> list[str]:
    """The tables of a results folder with rows of the run, and the notebook that writes each."""
    told = []
    for file in sorted((study / "tables").glob("*.csv")):
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        named = table.reindex(columns=["run", "run_reference"], fill_value="").agg(" ".join, axis=1)
        rows = sum(digits in hashes.split() for hashes in named)
        if rows:
            pages = [page for page in PAGES if file.stem in page.tables]
            drawn = "".join(f"; notebook {page.name}, figures {', '.join(page.figures)}" for page in pages)
            told.append(f"{file.relative_to(study)}, {_count(rows)}{drawn}")
    return told
