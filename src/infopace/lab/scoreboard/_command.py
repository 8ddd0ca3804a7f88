"""`infopace compare --suite`: run what is missing, write the rows, the tables and the pictures."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from infopace.lab.batches import batches_of_an_epoch, set_aside
from infopace.lab.bounds import as_json
from infopace.lab.compare import FIRST_TUNING_SEED, CompareConfig, cores
from infopace.lab.errors import InputError, Unfinished
from infopace.lab.farm import on_this_machine
from infopace.lab.files import held_folder, parse_json, write_atomically
from infopace.lab.identity import differing, identity_of
from infopace.lab.scoreboard._board import Board, Key
from infopace.lab.scoreboard._cells import Cell, RangeCell, Row, RunCell, is_row, key_of, perform, read_row
from infopace.lab.scoreboard._picture import draw_curves, draw_profiles
from infopace.lab.scoreboard._suite import Member, Suite, find_suite
from infopace.lab.scoreboard._tables import (
    cost_table,
    failures,
    final_table,
    price_table,
    score_table,
    target_table,
)
from infopace.lab.trial import load_tried

ROWS, TABLES, SUMMARY = "rows.jsonl", "tables.md", "scoreboard.json"
Say = Callable[[str], None]
# The options of `infopace compare` that a suite takes.
_OPTIONS = ("suite", "quick", "methods", "seeds", "tuning_seeds", "finalists", "jobs", "known", "out")
# The rows of so many cells may be lost from rows.jsonl by a kill; those in the folders of the cells are not.
_ROWS_EVERY = 10


@dataclass(frozen=True)
class SuitePlan:
    """A checked command line.

    Attributes:
        suite: Workloads and methods.
        seeds: Of the runs that are scored.
        tuning_seeds: Of the runs that choose a learning rate; the first one runs every rate.
        finalists: Number of rates that are run with the other tuning seeds too.
        workers: Number of runs at the same time.
        folder: Where everything is kept.
        known: Files with rows of earlier scoreboards.
    """

    suite: Suite
    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    finalists: int
    workers: int
    folder: Path
    known: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Job:
    cell: Cell
    inputs: dict[str, Any]
    bounds: dict[str, float]


def resolve_suite(config: CompareConfig) -> SuitePlan:
    """Check a command line and fill in the defaults. Raises InputError with one line."""
    for field in dataclasses.fields(CompareConfig):
        value = getattr(config, field.name)
        if field.name not in _OPTIONS and value != field.default:
            raise InputError(f"{field.name} is no option of --suite, got {field.name} = {value}")
    assert config.suite is not None, "a suite is asked for"
    suite = find_suite(config.suite)
    if config.methods:
        suite = suite.of_methods(config.methods)
    seeds = 5 if config.seeds is None else config.seeds
    tuning_seeds = config.tuning_seeds
    if config.quick:
        seeds, tuning_seeds, suite = 1, 1, suite.quick()
    for name, value in (("seeds", seeds), ("tuning_seeds", tuning_seeds)):
        if not 1 <= value <= FIRST_TUNING_SEED:
            raise InputError(f"{name} must be in 1..{FIRST_TUNING_SEED}, got {name} = {value}")
    for name, value in (("finalists", config.finalists), ("jobs", config.jobs)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be >= 1, got {name} = {value}")
    return SuitePlan(
        suite,
        tuple(range(seeds)),
        tuple(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + tuning_seeds)),
        config.finalists,
        config.jobs or cores(),
        config.out or Path("runs") / f"suite-{suite.name}",
        config.known,
    )


def compare_suite(plan: SuitePlan, say: Say) -> list[str]:
    """Run a suite; the lines to end with. The same command again resumes and ends with the same tables.

    Raises InputError for input that cannot be used, Unfinished where runs are missing.
    """
    inputs = {member.spec: _inputs(member) for member in plan.suite.members}
    with held_folder(plan.folder, name="the folder of a scoreboard", doing="comparing"):
        bench = _Bench(plan, inputs, say)
        for title, cells in _stages(plan, bench):
            bench.run(title, cells)
        lines = bench.finish()
        if bench.lost:
            raise Unfinished(
                f"the scoreboard is incomplete, runs are missing: {len(bench.lost)}; the first: {bench.lost[0]}; the"
                " same command makes what is missing",
                lines,
            )
        return lines


def _inputs(member: Member) -> dict[str, Any]:
    """What the rows of a workload depend on, and the number of steps of its budget."""
    workload = member.workload
    data = set_aside(load_tried(workload, torch.device("cpu")), member.validation, workload.probe_size)
    steps = member.epochs * batches_of_an_epoch(workload, len(data.train_targets))
    own = {"epochs": member.epochs, "validation": member.validation, "steps": steps}
    return json.loads(json.dumps({**identity_of(workload, data, workload.optimizer), **own}))


def _stages(plan: SuitePlan, bench: _Bench) -> Iterator[tuple[str, list[Cell]]]:
    """The cells in an order in which what a cell needs has ended before. Each stage is made when it is due."""
    suite, board = plan.suite, bench.board
    first, others = plan.tuning_seeds[0], plan.tuning_seeds[1:]
    pairs = [(member, contestant) for contestant in suite.tuned for member in suite.members]
    yield (
        "tuning, every rate",
        [RunCell(m, c, lr, first) for m, c in pairs for lr in c.grid],
    )
    finals = [
        RunCell(m, c, lr, seed)
        for seed in others
        for m, c in pairs
        for lr in board().finalists(m, c, plan.finalists)
    ]
    yield "tuning, the best rates", [*finals, *_unpaced(plan, plan.seeds[0])]
    tuned = [board().cell(m, c, seed) for seed in plan.seeds for m, c in pairs]
    cells: list[Cell] = [cell for cell in tuned if cell is not None]
    for seed, following in zip(plan.seeds, (*plan.seeds[1:], None), strict=True):
        paced = [RunCell(m, c, None, seed) for c in suite.contestants if c.paced for m in suite.members]
        yield (
            f"comparison, seed {seed}",
            [*cells, *paced, *([] if following is None else _unpaced(plan, following))],
        )
        cells = []


def _unpaced(plan: SuitePlan, seed: int) -> list[Cell]:
    """Range tests and runs that need none, of one seed. The longest are first."""
    suite = plan.suite
    optimizers = dict.fromkeys(c.optimizer for c in suite.contestants if c.wants_test)
    tests = [RangeCell(m, optimizer, seed) for optimizer in optimizers for m in suite.members]
    return [
        *tests,
        *(RunCell(m, c, None, seed) for c in suite.contestants if not c.paced for m in suite.members),
    ]


class _Bench:
    """Runs the cells that are not done yet, and keeps their rows."""

    def __init__(self, plan: SuitePlan, inputs: Mapping[str, dict[str, Any]], say: Say) -> None:
        self._plan, self._inputs, self._say = plan, inputs, say
        self._rows: dict[Key, Row] = {}
        self._failures: dict[Key, str] = {}
        for path in (*plan.known, plan.folder / ROWS):
            if path in plan.known or path.exists():
                self._take(path)

    @property
    def lost(self) -> list[str]:
        """The cells that did not end, with the reason."""
        return list(self._failures.values())

    def board(self, *, tests: bool = True) -> Board:
        """The scores of what has ended; `tests`: whether range tests count."""
        plan = self._plan
        return Board(plan.suite, plan.seeds, plan.tuning_seeds, self._rows.values(), tests=tests)

    def run(self, title: str, cells: Sequence[Cell]) -> None:
        """Do the cells that are not done yet."""
        board = self.board()
        missing = []
        for cell in cells:
            if cell.key not in self._rows:
                found = read_row(cell, self._plan.folder, self._inputs[cell.member.spec])
                if found is not None:
                    self._rows[cell.key] = found
        board = self.board()
        missing = [cell for cell in cells if not board.has(cell)]
        self._say(f"{title}: {len(cells)} jobs, {len(cells) - len(missing)} of them done already")
        jobs = [job for cell in missing if (job := self._job(cell, board)) is not None]
        ended = on_this_machine(
            jobs, ("cpu",) * self._plan.workers, functools.partial(_performer, self._plan.folder)
        )
        for number, (job, failure) in enumerate(ended, 1):
            self._end(job, failure, f"{number}/{len(jobs)}")
            if number % _ROWS_EVERY == 0:
                self._write_rows()
        self._write_rows()

    def finish(self) -> list[str]:
        """Write the tables, the pictures and the file for the report; the lines to end with."""
        board, folder = self.board(), self._plan.folder
        parts = _tables(board, self.board(tests=False))
        text = "\n\n".join("\n".join([f"## {title}", "", *lines]) for title, lines in parts.items())
        write_atomically(folder / TABLES, f"{text}\n".encode())
        write_atomically(folder / SUMMARY, as_json(board.summary()))
        last = [*next(iter(parts.values()), []), f"folder: {folder}"]
        if board.members:
            paced = [contestant for contestant in board.ranked() if contestant.paced]
            draw_profiles(board, folder / "profiles.png")
            draw_curves(board, folder / "curves.png", paced[0] if paced else None)
            last += [
                f"pictures: {folder / 'profiles.png'} {folder / 'curves.png'}",
                f"report: infopace report {folder}",
            ]
        return last

    def _job(self, cell: Cell, board: Board) -> _Job | None:
        """What a worker gets; None for a run whose range test did not end."""
        bounds: dict[str, float] = {}
        if isinstance(cell, RunCell) and cell.before is not None:
            tested = board.range_test(cell.before)
            if tested is None:
                self._failures.setdefault(cell.key, f"{cell.title}: its range test did not end")
                return None
            bounds = tested["bounds"]
        return _Job(cell, self._inputs[cell.member.spec], bounds)

    def _end(self, job: _Job, failure: str | None, number: str) -> None:
        cell = job.cell
        if failure is not None:
            self._failures[cell.key] = f"{cell.title}: {failure}"
            self._say(f"{number}  {cell.title}  failed: {failure}")
            return
        row = read_row(cell, self._plan.folder, job.inputs)
        assert row is not None, "the job has ended well"
        self._rows[cell.key] = row
        self._failures.pop(cell.key, None)
        self._say(f"{number}  {cell.title}  {_ending(cell, row)}")

    def _take(self, path: Path) -> None:
        """Take the rows of an earlier scoreboard that belong to this one."""
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        specs = {member.spec for member in self._plan.suite.members}
        other = 0
        for number, line in enumerate(lines, 1):
            try:
                row = parse_json(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: {error}") from error
            if not is_row(row):
                raise InputError(f"{path}, line {number}: no row of a scoreboard, got {str(row)[:60]}")
            if row["workload"] not in specs or differing(self._inputs[row["workload"]], row["inputs"]):
                other += 1
            else:
                self._rows[key_of(row)] = row
        if other:
            self._say(f"note: {other} of {len(lines)} rows of {path} are of other workloads, data or budgets")

    def _write_rows(self) -> None:
        rows = "".join(
            f"{json.dumps(row)}\n" for _, row in sorted(self._rows.items(), key=lambda item: str(item[0]))
        )
        write_atomically(self._plan.folder / ROWS, rows.encode())


def _tables(board: Board, without: Board) -> dict[str, list[str]]:
    """Every table with its title."""
    if not board.members:
        return {}
    parts = {
        "Scores": score_table(board),
        "Targets": target_table(board),
        "Cost to reach the target, in budgets": cost_table(board),
        "Cost to reach the target relaxed by 5 %, in budgets": cost_table(board, 0.05),
        "Range test + run to the target, in budgets": price_table(board, without),
        "Final test value, 95 % interval (p against the best tuned baseline)": final_table(board),
    }
    found = failures(board)
    return parts | ({"Failures": [f"- {line}" for line in found]} if found else {})


def _ending(cell: Cell, row: Row) -> str:
    if row["failure"]:
        return row["failure"]
    if isinstance(cell, RangeCell):
        bounds = row["bounds"]
        return (
            f"[{bounds['lr_min']:.3g}, {bounds['lr_max']:.3g}]  {row['steps']} steps, {row['seconds']:.1f} s"
        )
    metric = cell.member.workload.metric
    return f"{metric.show(row['validation'][-1])}  {sum(row['train']) + sum(row['measure']):.1f} s"


def _performer(folder: Path, device: str) -> Callable[[_Job], None]:
    return functools.partial(_perform, folder)


def _perform(folder: Path, job: _Job) -> None:
    perform(job.cell, folder, job.inputs, job.bounds)
