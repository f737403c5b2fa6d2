"""Arrays of pixels as they are, with a title above: quick to draw, for explorers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes

from srlab.plots.maps import LR_PIXELS
from srlab.plots.style import bare


def raster(ax: Axes, image: Shaped[np.ndarray, "_h _w 3"], title: str = "", *, clickable: bool = False) -> None:
    """Draw an RGB image, a square a pixel, without ticks.

    Parameters
    ----------
    image : array
        UInt8, or floats of 0 to 1.
    title : str
        Plain text: a title of the axes takes three times as long.
    clickable : bool
        Label the axes `LR_PIXELS`: explorers take a click there for the pixel.
    """
    bare(ax)
    ax.set_label(LR_PIXELS if clickable else "")
    ax.imshow(image, interpolation="nearest")
    ax.text(0.5, 1.03, title, transform=ax.transAxes, ha="center", va="bottom")
