"""Shows a range test while it runs, and its table at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.live import Live
from rich.table import Table

from infopace import RangeTest
from infopace.lab.range_config import RangePlan
from infopace.range_test import Candidate

_SHOWN = 16  # candidates that the live table holds


@runtime_checkable
class RangeListener(Protocol):
    """What a range test reports while it runs."""

    def started(self, plan: RangePlan, folder: Path) -> None:
        """The test begins or resumes."""

    def candidate(self, trial: int, candidate: Candidate) -> None:
        """A candidate is finished."""

    def note(self, text: str) -> None:
        """Something unusual, in one line."""

    def close(self) -> None:
        """The test has ended, with or without bounds."""


def heading(plan: RangePlan, folder: Path) -> str:
    """What is about to run, in one line."""
    return (
        f"{plan.workload.name}: range test, {plan.method.name}, for a run of {plan.epochs} "
        f"epoch{'s' * (plan.epochs > 1)} on {plan.device}; folder: {folder}"
    )


def cells(trial: int, candidate: Candidate) -> list[str]:
    """The cells of a candidate: trial, rate, steps, loss, accuracy, information, crash."""
    last = candidate.last
    nats = last.information.get("output")
    return [
        str(trial),
        f"{candidate.lr:g}",
        str(candidate.steps),
        f"{last.loss:.4g}",
        "" if last.accuracy is None else f"{last.accuracy:.3f}",
        "" if nats is None else f"{nats:.3f}",
        "crashed" if candidate.crash else "",
    ]


def row_lines(found: RangeTest) -> list[str]:
    """The table of a finished test, line by line."""
    labelled = any(row.final_accuracy is not None for row in found.table)
    lines = [f"{'lr':>9}  {'loss':>9}  {'accuracy':>8}  {'information':>11}  trials  crashes"]
    for row in found.table:
        accuracy = f"{row.final_accuracy:.3f}" if labelled and row.final_accuracy is not None else ""
        lines.append(
            f"{row.lr:9.3g}  {row.final_loss:9.4g}  {accuracy:>8}  {row.final_information:11.3f}"
            f"  {row.trials:6d}  {row.crashes:7d}"
        )
    return lines


class PlainRangeProgress:
    """One line for each candidate."""

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        # Flushed: somebody may be following the file.
        self._say = functools.partial(print, flush=True) if say is None else say

    def started(self, plan: RangePlan, folder: Path) -> None:
        self._say(heading(plan, folder))

    def candidate(self, trial: int, candidate: Candidate) -> None:
        _, lr, steps, loss, accuracy, nats, _ = cells(trial, candidate)
        found = (
            f"loss {loss}"
            + (f"  accuracy {accuracy}" if accuracy else "")
            + (f"  {nats} nats" if nats else "")
        )
        crash = f"  crashed: {candidate.crash}" if candidate.crash else ""
        self._say(f"trial {trial}  lr {lr:<8}  {steps} steps  {found}{crash}")

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def close(self) -> None:
        pass


class LiveRangeProgress:
    """The latest candidates in a table that stays in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[list[str]] = []
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._table)

    def started(self, plan: RangePlan, folder: Path) -> None:
        self._console.print(heading(plan, folder), highlight=False, soft_wrap=True)
        self._live.start()

    def candidate(self, trial: int, candidate: Candidate) -> None:
        self._rows.append(cells(trial, candidate))

    def note(self, text: str) -> None:
        self._console.print(f"note: {text}", highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for title in ("trial", "lr", "steps", "loss", "accuracy", "nats", ""):
            table.add_column(title, justify="left" if not title else "right")
        for row in self._rows[-_SHOWN:]:
            table.add_row(*row)
        return table


def make_range_progress() -> PlainRangeProgress | LiveRangeProgress:
    """Live where standard output is a terminal, plain lines where it is a file or a pipe."""
    console = Console()
    return (
        LiveRangeProgress(console)
        if console.is_terminal and not console.is_dumb_terminal
        else PlainRangeProgress()
    )
