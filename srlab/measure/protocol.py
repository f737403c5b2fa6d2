"""How a model is tested: all that its numbers depend on besides model, images and scale."""

from __future__ import annotations

from dataclasses import dataclass

from srlab.data.shrinking import SHRINKING
from srlab.errors import InputError
from srlab.measure.precision import Precision
from srlab.measure.tiling import OVERLAP

#: The value of `lr` for the data set's own LR files.
FILES = "files"


@dataclass(frozen=True)
class Protocol:
    """One way to test; the default is that of most papers. A value that cannot be is an InputError."""

    y_rounding: str = "matlab"  # Y is rounded to whole numbers before it is compared; or "none"
    border: int | None = None  # pixels ignored at each side; None: as many as the scale
    lr: str = "matlab"  # how LR images are made from HR, a key of `SHRINKING`; or "files", the data set's own
    #: Fill LR images with zeros at the bottom and right to multiples of this many pixels, and crop the output; None:
    #: leave it to the network, which mostly fills its windows by reflection.
    zeros: int | None = None
    ensemble: bool = False  # average over the eight flips and rotations
    tile: int | None = None  # side of tiles in LR pixels; None: the whole image
    overlap: int = OVERLAP  # pixels around each tile
    precision: Precision = "32-true"  # the model's; or "bf16-mixed"

    def __post_init__(self):
        if self.lr not in (*SHRINKING, FILES):
            raise InputError(f"lr '{self.lr}' is unknown; there are: {', '.join((*SHRINKING, FILES))}")
        if self.border is not None and self.border < 0:
            raise InputError(f"border {self.border}: at least 0 is expected")
        if self.zeros is not None and self.zeros < 1:
            raise InputError(f"zeros {self.zeros}: at least 1 is expected")

    def left_out(self, scale: int) -> int:
        """Return the pixels at each side of an SR image that do not count."""
        return scale if self.border is None else self.border
