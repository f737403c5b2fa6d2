"""Kept results: as they are committed, in a folder of their own, where no run writes."""

import subprocess
import tarfile
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]


@cache
def _checkout() -> TemporaryDirectory:
    folder = TemporaryDirectory(prefix="srlab-kept-")
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD", "results"], check=True, capture_output=True)
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(folder.name, filter="data")
    return folder


def results() -> Path:
    """The folder `results/` of the last commit; where there is no commit, that of the download."""
    return Path(_checkout().name if (ROOT / ".git").exists() else ROOT) / "results"


def references() -> list[Path]:
    """The folders of what our machines made of profiles, results/reference/PROFILE-PROCESSOR."""
    return sorted(path for path in (results() / "reference").iterdir() if path.is_dir())


def reference(profile: str) -> Path:
    """One of them: that of a profile, whatever the processor."""
    return next(path for path in references() if path.name.startswith(f"{profile}-"))
