"""How far `auto` is from known answers, and whether it says so; see README.md."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infopace import Estimate, mutual_information
from studies.known_answers import labelled, structures, vectors
from studies.known_answers.task import Task, halves

RESULTS = Path(__file__).resolve().parents[2] / "results" / "known_answers.jsonl"
# Warnings that the value or its interval may be wrong.
FLAGS = {"beyond-reach", "few-examples", "sparse-table", "repeated", "many-labels", "copied", "dominated"}
Row = dict[str, Any]


def every_task() -> list[Task]:
    """All tasks, in order."""
    return [*vectors.tasks(), *structures.tasks(), *labelled.tasks()]


def sample(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The sample of a task and a seed; it does not depend on the other tasks."""
    generator = np.random.default_rng([zlib.crc32(f"{task.kind}: {task.name}".encode()), seed])
    return task.draw(generator, task.n)


def measure(task: Task, seed: int, half: str, label: str) -> Row:
    """One row."""
    x, y = sample(task, seed)
    start = time.process_time()
    found = mutual_information(x, y)
    seconds = time.process_time() - start
    row = {
        "label": label,
        "half": half,
        "kind": task.kind,
        "task": task.name,
        "seed": seed,
        "n": task.n,
        "truth": task.truth,
        "auto": found.nats,
        "interval": list(found.interval),
        "ceiling": found.ceiling,
        "warnings": [caution.kind for caution in found.warnings],
        "choice": found.choice,
        "seconds": round(seconds, 3),
    }
    if y.dtype.kind == "f":
        row |= {name: _plain(x, y, name) for name in ("ksg1", "gaussian")}
    return row


def _plain(x: np.ndarray, y: np.ndarray, estimator: str) -> float:
    try:
        found: Estimate = mutual_information(x, y, estimator=estimator, std_error=False)
    except ValueError:
        return math.nan
    return found.nats


def off(row: Row, key: str = "auto") -> float:
    """Absolute error of the value, cut to what information can be."""
    return abs(min(max(row[key], 0.0), row["ceiling"]) - row["truth"])


def covers(row: Row) -> bool:
    """Whether the interval holds the truth; without one it does not."""
    low, high = row["interval"]
    return low <= row["truth"] <= high


def flagged(row: Row) -> bool:
    """Whether a warning says that the value or the interval may be wrong."""
    return bool(FLAGS & set(row["warnings"]))


def beyond(row: Row) -> float:
    """By how much the interval misses the truth."""
    low, high = row["interval"]
    return 0.0 if covers(row) else max(low - row["truth"], row["truth"] - high)


def loss(rows: list[Row]) -> float:
    """Mean error of `auto` over that of the better of ksg1 and gaussian, for a task with two vectors."""
    others = [statistics.fmean(off(row, name) for row in rows) for name in ("ksg1", "gaussian")]
    return statistics.fmean(map(off, rows)) - min(other for other in others if math.isfinite(other))


def summary(rows: list[Row]) -> dict[str, float]:
    """The numbers that the README names."""
    by_task: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_task.setdefault((row["kind"], row["task"]), []).append(row)
    unflagged = [row for row in rows if not flagged(row)]
    pairs = [group for group in by_task.values() if "ksg1" in group[0]]
    losses = [loss(group) for group in pairs]
    return {
        "tasks": len(by_task),
        "samples": len(rows),
        "error": statistics.fmean(map(off, rows)),
        "covered": statistics.fmean(map(covers, rows)),
        "unflagged": len(unflagged),
        "unflagged covered": statistics.fmean(map(covers, unflagged)),
        "unflagged misses over .3": sum(
            beyond(row) > 0.3 or (off(row) > 0.3 and not covers(row)) for row in unflagged
        ),
        "loss": statistics.fmean(losses),
        "loss, only where worse": statistics.fmean(max(0.0, each) for each in losses),
        "tasks worse by .05": sum(each > 0.05 for each in losses),
        "seconds": sum(row["seconds"] for row in rows),
    }


def show(rows: list[Row]) -> None:
    """A line a task, and the numbers of each half."""
    for half in ("development", "judging"):
        part = [row for row in rows if row["half"] == half]
        if not part:
            continue
        for kind, name in dict.fromkeys((row["kind"], row["task"]) for row in part):
            group = [row for row in part if (row["kind"], row["task"]) == (kind, name)]
            values = " ".join(
                f"{row['auto']:.3f}{'' if covers(row) else '!'}{'*' if flagged(row) else ''}" for row in group
            )
            beside = [
                f"{statistics.fmean(row[e] for row in group):.3f}"
                for e in ("ksg1", "gaussian")
                if e in group[0]
            ]
            head = f"{kind:12} {name[:38]:38} {group[0]['truth']:6.3f}"
            print(f"{head}  {values}  {' '.join(beside)}  {group[0]['choice'][:40]}")
        print(half, {key: round(value, 3) for key, value in summary(part).items()}, "\n")


def main() -> None:
    """Make the rows that are missing, and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--label", default="now", help="the state of the library")
    parser.add_argument("--half", choices=("development", "judging", "both"), default="both")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="*")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--limit", type=float, default=math.inf, help="seconds after which no more rows are made"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = (
        [json.loads(line) for line in arguments.out.read_text().splitlines()]
        if arguments.out.exists()
        else []
    )
    rows = [row for row in rows if row["label"] == arguments.label]
    done = {(row["kind"], row["task"], row["seed"]) for row in rows}
    start = time.monotonic()
    for seed in range(arguments.seeds):
        for half, tasks in halves(every_task()).items():
            for task in tasks:
                wanted = arguments.half in (half, "both") and (
                    not arguments.kinds or task.kind in arguments.kinds
                )
                late = time.monotonic() - start > arguments.limit
                if wanted and not late and (task.kind, task.name, seed) not in done:
                    rows.append(measure(task, seed, half, arguments.label))
                    with arguments.out.open("a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
    show([row for row in rows if arguments.half in (row["half"], "both")])


if __name__ == "__main__":
    main()
