"""The diagnostics whose cost is measured, each called once after an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

DIAGNOSTICS: dict[str, Callable[[nn.Module, Tensor, Tensor], Any]] = {}
