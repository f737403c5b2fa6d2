"""A copy of the checkout to change, and a Python that imports this copy alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kept import ROOT


def copy_checkout(copy: Path, *files: str) -> Path:
    """Copy the library, the profiles, the notebooks and these files, by their places below the root."""
    for folder in ("srlab", "profiles", "notebooks"):
        shutil.copytree(ROOT / folder, copy / folder)
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    return copy


def python(checkout: Path, *arguments: str) -> str:
    """Run Python in a copy, with its results in a folder of its own, and return the output."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "SRLAB_RESULTS": str(checkout / "results")}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
