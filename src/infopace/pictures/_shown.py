"""A figure that shows itself in a notebook, and the numbers of its logarithmic axis."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

_DPI = 110


class Shown(Figure):
    """A figure of matplotlib. A notebook shows it where pyplot was not imported, too."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=2 * _DPI)
        width, height = (round(_DPI * inches) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


class Plain(LogFormatter):
    """Numbers such as 0.03 where a logarithmic axis has room for one."""

    def __init__(self) -> None:
        super().__init__(minor_thresholds=(1, 0.4))

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""
