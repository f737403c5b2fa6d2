"""The Pareto front of a panel of points."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes


def front(ax: Axes, found: pd.DataFrame) -> None:
    """Draw a grey step behind the points of a Pareto front: the best quality (y) that each cost (x, rising) reaches."""
    ax.plot(found["x"], found["y"], color="#cccccc", linewidth=2, drawstyle="steps-post", zorder=0)
