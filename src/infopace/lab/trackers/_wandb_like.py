"""Weights & Biases, and trackio, which has the same interface: init(...), run.log(numbers, step), run.finish()."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from infopace.lab.files import write_atomically
from infopace.lab.trackers._facts import Epoch, Start, needed

_PROJECT = "infopace"
_MARK = "track-id"


class WandbLike:
    """A package with wandb's interface.

    The run has a random mark in its folder, by which it is found again. Its name alone would also find another run
    with the same settings. A resumed run logs only what the tracker lacks: both packages send epochs in order and in
    the background, so a kill loses the last ones. Offline, wandb finds no earlier run. Then every start is a whole run,
    and the last one has all epochs.

    Args:
        package: The module.
        next_step: The step that a run of the package expects next, 0 for a new run.
        arguments: Further arguments of `init` for a start and a mark.
    """

    def __init__(
        self,
        package: Any,
        next_step: Callable[[Any], int],
        arguments: Callable[[Start, str], dict[str, str]],
    ) -> None:
        self._package, self._next_step, self._arguments = package, next_step, arguments
        self._run: Any = None

    def start(self, start: Start, epochs: list[Epoch]) -> None:
        mark = _mark(start)
        self._run = self._package.init(
            project=_PROJECT,
            name=f"{start.folder.resolve().name}-{mark}",
            config=start.config,
            resume="allow",
            **self._arguments(start, mark),
        )
        self._expected = self._next_step(self._run)
        for epoch in epochs:
            self.log(epoch)

    def log(self, epoch: Epoch) -> None:
        # An epoch after the checkpoint is trained again, with the same numbers, and may be logged already.
        if epoch.number >= self._expected:
            text = {"decision": epoch.text} if epoch.text else {}
            self._run.log({**epoch.numbers, **text}, step=epoch.number)

    def finish(self) -> None:
        if self._run is not None:
            self._run.finish()


def wandb() -> WandbLike:
    """Weights & Biases, with its files in the run's folder."""
    return WandbLike(
        needed("wandb", "wandb", "pip install wandb"),
        lambda run: run.starting_step,
        lambda start, mark: {"id": mark, "dir": str(start.folder)},
    )


def trackio() -> WandbLike:
    """Trackio, with its files in TRACKIO_DIR. It has no public attribute for the next step."""
    return WandbLike(
        needed("trackio", "trackio", "pip install trackio"),
        lambda run: run._next_step,
        lambda start, mark: {},
    )


def _mark(start: Start) -> str:
    path = start.folder / _MARK
    if not path.exists():
        write_atomically(path, secrets.token_hex(4).encode())
    return path.read_text()
