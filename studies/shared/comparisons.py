"""What studies that run `infopace compare` on several workloads have in common."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from infopace.lab.compare import CompareConfig, compare
from infopace.lab.errors import Unfinished
from infopace.lab.files import write_atomically


def run_missing(
    what: str, name: str, workloads: Sequence[str], compared: Callable[[str, Path, int], bool], jobs: int
) -> None:
    """The command of a study: run what is missing on each workload. Exit code 3 where runs are missing at the end.

    Args:
        what: The study in a line.
        name: Its name.
        workloads: Those that there are.
        compared: (workload, scratch, jobs) -> whether no run is missing.
        jobs: Processes, unless the command says how many.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("workloads", nargs="*", default=list(workloads), help="default: all")
    parser.add_argument("--jobs", type=int, default=jobs)
    parser.add_argument("--scratch", type=Path, default=Path("runs") / name)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.workloads) - set(workloads)):
        parser.error(f"workloads must be among {', '.join(workloads)}, got {unknown[0]!r}")
    missing = [one for one in arguments.workloads if not compared(one, arguments.scratch, arguments.jobs)]
    if missing:
        print(f"runs are missing: {', '.join(missing)}; the same command makes them", file=sys.stderr)
        sys.exit(3)


def compare_shown(config: CompareConfig) -> bool:
    """Run a comparison and print what it says. Whether no run is missing."""
    print(f"{config.workload}:", flush=True)
    whole = True
    try:
        lines = compare(config, functools.partial(print, flush=True))
    except Unfinished as error:
        lines, whole = [*error.lines, str(error)], False
    print(*lines, sep="\n", flush=True)
    return whole


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Replace a file of rows, a line each; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
