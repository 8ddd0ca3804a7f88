"""The rule that finds its rate in the run with other constants; see README.md.

Rows: results/constants_in_the_run.jsonl. The default is in results/what_drives.jsonl.
"""

from __future__ import annotations

import argparse
import itertools

from infopace import HoldAndDecay
from infopace.lab.environment import keep_freed_memory
from studies.constants_in_the_run.constants import CHANGES
from studies.constants_in_the_run.replay import CAN_REPLAY, key_of
from studies.shared.in_the_run import DEVELOPED, Row, append, run
from studies.shared.rows import RESULTS, read

NAME = "constants_in_the_run"


def main() -> None:
    """Run what is missing, seed by seed."""
    constants = list(dict.fromkeys(change.constant for change in CHANGES))
    parser = argparse.ArgumentParser(description="The rule that finds its rate, with other constants")
    parser.add_argument("--workloads", nargs="+", default=[case.workload for case in DEVELOPED])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--constants", nargs="+", default=constants, choices=constants)
    arguments = parser.parse_args()
    keep_freed_memory()
    done = {
        (row["case"], row["constant"], row["value"], row["seed"]) for row in read(RESULTS / f"{NAME}.jsonl")
    }
    same = same_as_default()
    for seed, change, case in itertools.product(arguments.seeds, CHANGES, DEVELOPED):
        wanted = case.workload in arguments.workloads and change.constant in arguments.constants
        key = case.name, change.constant, change.value, seed
        if not wanted or key in done or key in same:
            continue
        command = case.command(seed, **change.choices)
        policy = HoldAndDecay(command.epochs, **change.policy) if change.policy else None
        with change.made():
            row = run(command, policy)
        named = {"case": case.name, "constant": change.constant, "value": change.value, "seed": seed}
        append(NAME, {**named, **row})


def same_as_default() -> dict[tuple[str, str, str, int], Row]:
    """The default's run for each (case, constant, value, seed) in which no decision would have been another."""
    return {
        (row["case"], change.constant, change.value, row["seed"]): row
        for row in read(RESULTS / "what_drives.jsonl")
        for change in CAN_REPLAY
        if "altered" in row and key_of(change) not in row["altered"]
    }


if __name__ == "__main__":
    main()
