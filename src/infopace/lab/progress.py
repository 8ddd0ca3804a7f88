"""Progress of a run: live on a terminal, plain lines in a file, or silent."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from infopace.lab.config import Plan
from infopace.lab.run_folder import Row
from infopace.range_test import Candidate

_PLAIN_LINES = 50  # about as many lines, however many epochs there are
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
_NOTABLE_MOVE = 0.1  # between those lines, an epoch is shown if its rate moved by this share


@runtime_checkable
class Listener(Protocol):
    """What a run reports to."""

    def candidate(self, trial: int, candidate: Candidate) -> None:
        """The range test before the run has finished a candidate."""

    def started(self, plan: Plan, folder: Path, n_parameters: int, rows: list[Row]) -> None:
        """The run starts, or continues after the last of `rows`."""

    def batch(self, done: int, total: int) -> None:
        """`done` of the epoch's `total` batches are finished."""

    def epoch(self, row: Row) -> None:
        """An epoch has ended."""

    def note(self, text: str) -> None:
        """Something unusual, in one line."""

    def close(self) -> None:
        """The run has ended, successfully or not."""


def heading(plan: Plan, folder: Path, n_parameters: int, rows: list[Row]) -> list[str]:
    """The run that starts, in two lines."""
    precision = ", bf16" if plan.config.bf16 else ""
    epochs = f"{plan.epochs} epoch{'s' * (plan.epochs > 1)}"
    done = len(rows) - 1
    resumed = f"; resuming after epoch {done}" if done else ""
    return [
        f"{plan.workload.name}: {n_parameters:,} parameters, {epochs} on {plan.device}{precision},"
        f" {_pacing(plan, rows)}",
        f"run folder: {folder}{resumed}",
    ]


def _pacing(plan: Plan, rows: list[Row]) -> str:
    if plan.baseline is not None:
        return f"{plan.baseline.name} at learning rate {plan.lr:g}"
    kind = "a learning rate a layer" if plan.config.layer_wise else "one learning rate"
    if plan.bounds is None:
        return f"{kind}, found in the run"
    first = rows[1]["lr"] if len(rows) > 1 else [plan.bounds.lr_top]
    return f"{kind} in [{plan.bounds.lr_min:g}, {plan.bounds.lr_max:g}] from {rates(first)}"


def rates(lrs: list[float]) -> str:
    """Learning rates as text: one if they are equal, otherwise their range."""
    low, high = min(lrs), max(lrs)
    return f"{low:.4g}" if low == high else f"{low:.4g}..{high:.4g}"


def output_information(row: Row) -> str | None:
    """The information at the output: '2.281 ± 0.021 of 2.303 nats', where the reference is known. None without one."""
    if not row["information"]:
        return None
    found = row["information"]["output"]
    error = "" if found["std_error"] is None else f" ± {found['std_error']:.3f}"
    reference = "" if row["reference"] is None else f" of {row['reference']:.3f}"
    return f"{found['nats']:.3f}{error}{reference} nats"


def _lowest(row: Row) -> dict[str, Any]:
    """The decision of the group with the lowest learning rate."""
    return min(row["decisions"], key=lambda d: d["lr"])


def last_reason(row: Row) -> str:
    """The reason for the epoch's learning rate; with several groups, for the lowest one."""
    if row.get("finding"):
        return "trials at several learning rates, from the same weights"
    decision = _lowest(row)
    where = "" if len(row["decisions"]) == 1 else f"{decision['layer']}: "
    return f"{where}{decision['reason']}"


def _new(row: Row, warned: set[tuple[str, str]]) -> Iterator[str]:
    """The warnings of a layer and a kind that are not in `warned` yet, whatever their numbers; adds them.

    Not of trials, whose networks are left again.
    """
    for warning in [] if row.get("finding") else row["warnings"]:
        layer, _, text = warning.partition(": ")
        kind = layer, _NUMBER.sub("", text)
        if kind not in warned:
            warned.add(kind)
            yield warning


class Silent:
    """Prints nothing. A comparison, which runs many, has a progress of its own."""

    def candidate(self, trial: int, candidate: Candidate) -> None:
        pass

    def started(self, plan: Plan, folder: Path, n_parameters: int, rows: list[Row]) -> None:
        pass

    def batch(self, done: int, total: int) -> None:
        pass

    def epoch(self, row: Row) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class PlainProgress:
    """A line an epoch. Of many epochs it shows about fifty, and those where the learning rate moved notably."""

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        # Flushed, so that the file can be followed.
        self._say = functools.partial(print, flush=True) if say is None else say
        self._plan: Plan | None = None
        self._shown_lrs: list[float] = []
        self._shown_reason = self._shown_phase = ""
        self._warned: set[tuple[str, str]] = set()
        self._trial = -1

    def close(self) -> None:
        pass

    def candidate(self, trial: int, candidate: Candidate) -> None:
        if trial != self._trial:
            self._trial = trial
            self._say(f"range test: trial {trial}")

    def started(self, plan: Plan, folder: Path, n_parameters: int, rows: list[Row]) -> None:
        self._plan = plan
        for line in heading(plan, folder, n_parameters, rows):
            self._say(line)

    def batch(self, done: int, total: int) -> None:
        pass

    def epoch(self, row: Row) -> None:
        assert self._plan is not None, "started() comes first"
        epoch, epochs = row["epoch"], self._plan.epochs
        moved = _moved(self._shown_lrs, row["lr"]) or self._begins_phase(row)
        if not (moved or epoch == epochs or epoch % max(1, epochs // _PLAIN_LINES) == 0):
            return
        self._shown_lrs = row["lr"]
        metric = self._plan.workload.metric
        seconds = sum(row["seconds"].values())
        found = output_information(row)
        self._say(
            f"epoch {epoch:{len(str(epochs))}}/{epochs}  lr {rates(row['lr'])}"
            f"{f'  information {found}' if found else ''}  test {metric.name} {metric.show(row['test'])}"
            f"  {_loss(row)}  {seconds:.2f} s"
        )
        if moved and row["decisions"] and (reason := last_reason(row)) != self._shown_reason:
            self._shown_reason = reason  # the epochs of a decay phase share one
            self._shown_phase = _lowest(row)["phase"]
            self._say(f"    {reason}")
        for warning in _new(row, self._warned):
            self.note(warning)

    def _begins_phase(self, row: Row) -> bool:
        """Whether the learning rate moved, however little, and the phase is another one than was shown."""
        moved = bool(row["decisions"]) and row["lr"] != self._shown_lrs
        return moved and _lowest(row)["phase"] != self._shown_phase

    def note(self, text: str) -> None:
        self._say(f"note: {text}")


def _moved(before: list[float], now: list[float]) -> bool:
    if len(before) != len(now):
        return True
    return any(abs(math.log(b / a)) > math.log1p(_NOTABLE_MOVE) for a, b in zip(before, now, strict=True))


class LiveProgress:
    """A panel that stays in place: bars of epochs and batches, learning rate, information, metric, last reason."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plan: Plan | None = None
        self._epochs = Progress(
            TextColumn("{task.description:<7}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._task: TaskID | None = None
        self._batches: TaskID | None = None
        self._row: Row | None = None
        self._warned: set[tuple[str, str]] = set()
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._panel)

    def close(self) -> None:
        self._live.stop()

    def candidate(self, trial: int, candidate: Candidate) -> None:
        crash = "  crashed" if candidate.crash else ""
        line = f"range test: trial {trial}, learning rate {candidate.lr:g}{crash}"
        self._console.print(f"{line:70}", end="\r", highlight=False, soft_wrap=True)

    def started(self, plan: Plan, folder: Path, n_parameters: int, rows: list[Row]) -> None:
        self._plan = plan
        for line in heading(plan, folder, n_parameters, rows):
            self._console.print(line, highlight=False, soft_wrap=True)
        self._row = rows[-1]
        self._task = self._epochs.add_task("epochs", total=plan.epochs, completed=len(rows) - 1)
        self._batches = self._epochs.add_task("batches", total=None)
        self._live.start()

    def batch(self, done: int, total: int) -> None:
        if self._batches is not None:
            self._epochs.update(self._batches, completed=done, total=total)

    def epoch(self, row: Row) -> None:
        self._row = row
        if self._task is not None:
            self._epochs.update(self._task, completed=row["epoch"])
        for warning in _new(row, self._warned):
            self.note(warning)

    def note(self, text: str) -> None:
        self._console.print(f"note: {text}", highlight=False, soft_wrap=True)

    def _panel(self) -> Group:
        if self._row is None or self._plan is None:
            return Group(Text(""))
        row, metric = self._row, self._plan.workload.metric
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column()
        if row["lr"]:
            table.add_row("learning rate", rates(row["lr"]))
        if (found := output_information(row)) is not None:
            table.add_row("information", found)
        table.add_row(f"test {metric.name}", metric.show(row["test"]))
        if row["decisions"]:
            table.add_row("reason", last_reason(row))
        return Group(self._epochs, table)


def make_progress() -> PlainProgress | LiveProgress:
    """Live if standard output is a terminal, plain lines if it is a file or a pipe."""
    console = Console()
    return LiveProgress(console) if console.is_terminal and not console.is_dumb_terminal else PlainProgress()


def _loss(row: Row) -> str:
    return "rolled back" if row["train_loss"] is None else f"loss {row['train_loss']:.4g}"
