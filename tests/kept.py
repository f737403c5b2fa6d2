"""Kept results: the committed studies, read in place."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def references() -> list[Path]:
    """List the folders of kept studies, results/reference/PROFILE-PROCESSOR."""
    return sorted(path for path in (ROOT / "results" / "reference").iterdir() if path.is_dir())


def reference(profile: str) -> Path:
    """Return the kept study of a profile, whatever the processor."""
    return next(path for path in references() if path.name.startswith(f"{profile}-"))
