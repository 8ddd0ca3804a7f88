"""The state of a run in a file, beside a network that the framework saves by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from infopace import MutualInformationLR


class Backup:
    """States by the number of optimizer steps after which they were taken.

    The last two are kept. The network is saved a moment later, so a run that is killed in between needs the older one.

    Args:
        path: The file; None: nothing is saved.
    """

    def __init__(self, path: str | Path | None) -> None:
        self._path = None if path is None else Path(path)

    def save(self, step: int, scheduler: MutualInformationLR) -> None:
        """Save the state of a scheduler after so many steps."""
        if self._path is None:
            return
        states = {**dict(list(self._saved().items())[-1:]), step: scheduler.state_dict()}
        part = self._path.with_suffix(".part")
        torch.save(states, part)
        part.replace(self._path)

    def load(self, step: int) -> dict[str, Any] | None:
        """The state after so many steps; None: the run begins.

        Raises:
            ValueError: states of other steps only.
        """
        states = self._saved() if step else {}
        if states and step not in states:
            raise ValueError(f"{self._path} must be of step {step}, got steps {', '.join(map(str, states))}")
        return states.get(step)

    def delete(self) -> None:
        """The run is over."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _saved(self) -> dict[int, dict[str, Any]]:
        if self._path is None or not self._path.exists():
            return {}
        return torch.load(self._path, weights_only=True)
