"""Figures into files."""

from __future__ import annotations

from pathlib import Path

from IPython.display import Image
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.files import replacing
from srlab.plots.style import HOUSE


def save(figure: Figure, study_folder: Path, name: str) -> Image:
    """Write figures/NAME.png (150 dpi) and figures/NAME.svg, the same bytes for the same numbers.

    Returns
    -------
    Image
        The figure, for display in a notebook.
    """
    with rc_context(HOUSE):
        for kind, metadata in (("png", {}), ("svg", {"Date": None})):
            with replacing(study_folder / "figures" / f"{name}.{kind}") as beside:
                figure.savefig(beside, format=kind, metadata=metadata)
    png = study_folder / "figures" / f"{name}.png"
    return Image(png.read_bytes(), width=round(100 * figure.get_figwidth()), alt=name.replace("_", " "))
