"""Figures of matplotlib, which is imported when the first one is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from infopace.pictures._palette import GRID, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any

_WIDTH, _TITLE, _LINE = 9.6, 0.45, 0.162  # inches


def new_figure(**options: Any) -> Figure:
    """A figure that pyplot does not know: a notebook shows it once, and nothing has to close it.

    Args:
        **options: Those of `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from infopace.pictures._shown import Shown
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "infopace[plot]"') from error
    return Shown(layout="constrained", facecolor="white", **options)


def new_panels(heights: Sequence[float], title: str, lines: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A figure with panels of these heights, in inches, one below the other, and lines of text at the bottom.

    Raises:
        ImportError: matplotlib is not installed.
    """
    text = _LINE * len(lines) + 0.1
    figure = new_figure(figsize=(_WIDTH, sum(heights) + text + _TITLE))
    *panels, bottom = figure.subplots(len(heights) + 1, 1, height_ratios=(*heights, text))
    bottom.axis("off")
    bottom.text(
        0,
        1,
        "\n".join(lines),
        fontsize=8.2,
        va="top",
        color=TEXT,
        transform=bottom.transAxes,
        linespacing=1.35,
    )
    figure.suptitle(title, fontsize=12.5, fontweight="bold", x=0.012, ha="left")
    return figure, panels


def share_time(panels: Sequence[Axes], last: float | int, name: str) -> None:
    """Give all panels one time axis, from 0 to `last`, with its name below the lowest."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlim(-0.015 * last, 1.015 * last)
        axes.tick_params(labelbottom=axes is panels[-1])
    panels[-1].set_xlabel(name)
