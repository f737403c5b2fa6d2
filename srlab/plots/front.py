"""The Pareto front of a panel of points."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes


def front(ax: Axes, costs: Sequence[float], qualities: Sequence[float]) -> None:
    """Draw a grey step behind the points: the best quality that each cost reaches; costs rise."""
    ax.plot(costs, qualities, color="#cccccc", linewidth=2, drawstyle="steps-post", zorder=0)
