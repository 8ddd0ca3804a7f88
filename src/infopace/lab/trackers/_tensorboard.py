"""TensorBoard: one file of events in the run's folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from infopace.lab.trackers._facts import Epoch, Start, needed

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_EVENTS = "events.out.tfevents.*"


class TensorBoard:
    """Scalars and texts through torch's SummaryWriter; `tensorboard --logdir runs` shows them.

    A resumed run writes a new file with all its epochs, from the rows in its folder, and marks the older files as
    purged. TensorBoard then shows every epoch once, also those that a kill cut off and those before tracking was
    switched on. The older files stay, because an open TensorBoard cannot continue from a file that is gone.
    """

    def __init__(self) -> None:
        install = 'pip install "infopace[track]"'
        self._package = needed("tensorboard", "torch.utils.tensorboard", install)
        self._writer: SummaryWriter | None = None

    def start(self, start: Start, epochs: list[Epoch]) -> None:
        resumes = any(start.folder.glob(_EVENTS))
        writer: SummaryWriter = self._package.SummaryWriter(
            str(start.folder), purge_step=0 if resumes else None
        )
        self._writer = writer
        settings = "".join(f"| {name} | {value} |\n" for name, value in start.config.items())
        writer.add_text("settings", f"| setting | value |\n| --- | --- |\n{settings}", 0)
        # Rows record no time of day. The epochs are placed as if the run had not been interrupted.
        at = time.time() - sum(epoch.seconds for epoch in epochs)
        for epoch in epochs:
            at += epoch.seconds
            _write(writer, epoch, at)
        writer.flush()

    def log(self, epoch: Epoch) -> None:
        assert self._writer is not None, "start() comes first"
        _write(self._writer, epoch, time.time())
        self._writer.flush()

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _write(writer: SummaryWriter, epoch: Epoch, at: float) -> None:
    for name, value in epoch.numbers.items():
        writer.add_scalar(name, value, epoch.number, walltime=at)
    if epoch.text:
        # Two spaces at the end of a line are a line break in Markdown.
        writer.add_text("decision", epoch.text.replace("\n", "  \n"), epoch.number, walltime=at)
