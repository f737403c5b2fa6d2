"""How a model is tested: all that its numbers depend on besides model, images and scale."""

from __future__ import annotations

from dataclasses import dataclass

from srlab.data.shrinking import SHRINKING
from srlab.errors import InputError
from srlab.measure.precision import Precision
from srlab.measure.tiling import OVERLAP

#: What `lr` is called where the data set's own LR files are taken.
FILES = "files"


@dataclass(frozen=True)
class Protocol:
    """One way to test; without arguments, that of most papers.

    Attributes
    ----------
    y_rounding : {"matlab", "none"}
        Whether Y is rounded to whole numbers before it is compared.
    border : int or None
        Pixels left out at each side; None: as many as the scale.
    lr : str
        How LR images are made of HR, a key of `srlab.data.shrinking.SHRINKING`, or "files": those of the data set.
    zeros : int or None
        Fill LR images with zeros at the bottom and right to multiples of so many pixels, and crop what comes out;
        None: leave it to the network, whose windows mostly are filled by reflection.
    ensemble : bool
        Average over the eight flips and rotations.
    tile, overlap : int or None, int
        Work on tiles of this side, in LR pixels, with so many around each; None: on the whole image.
    precision : {"32-true", "bf16-mixed"}
        Of the model.

    Raises
    ------
    InputError
        If `lr` is unknown, `border` below 0 or `zeros` below 1.
    """

    y_rounding: str = "matlab"
    border: int | None = None
    lr: str = "matlab"
    zeros: int | None = None
    ensemble: bool = False
    tile: int | None = None
    overlap: int = OVERLAP
    precision: Precision = "32-true"

    def __post_init__(self):
        if self.lr not in (*SHRINKING, FILES):
            raise InputError(f"lr '{self.lr}' is unknown; there are: {', '.join((*SHRINKING, FILES))}")
        if self.border is not None and self.border < 0:
            raise InputError(f"border {self.border}: at least 0 is expected")
        if self.zeros is not None and self.zeros < 1:
            raise InputError(f"zeros {self.zeros}: at least 1 is expected")

    def left_out(self, scale: int) -> int:
        """Pixels at each side of an SR image that do not count."""
        return scale if self.border is None else self.border
