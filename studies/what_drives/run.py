"""The rule that finds its rate in the run, driven by other numbers; see README.md. Rows: results/what_drives.jsonl"""

from __future__ import annotations

import argparse
import itertools

from infopace.lab.config import TrainConfig
from infopace.lab.environment import keep_freed_memory
from studies.constants_in_the_run.replay import asking
from studies.shared.in_the_run import DEVELOPED, Case, Row, append, run
from studies.shared.rows import RESULTS, read
from studies.what_drives.drivers import DRIVERS, driven_by

NAME = "what_drives"
# The first two are cheap, and overfit.
CASES = (Case("flipped"), Case("diabetes"), Case("noisy-mlp", "sgd"), Case("deep-mlp", "sgd"), *DEVELOPED)
SEEDS, SEEDS_OF_CHEAP = 3, 5


def main() -> None:
    """Run what is missing, seed by seed."""
    parser = argparse.ArgumentParser(description="The rule that finds its rate, driven by other numbers")
    parser.add_argument("--cases", nargs="+", default=[case.name for case in CASES])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(SEEDS_OF_CHEAP)))
    parser.add_argument("--drivers", nargs="+", default=list(DRIVERS), choices=list(DRIVERS))
    arguments = parser.parse_args()
    keep_freed_memory()
    done = {(row["case"], row["driver"], row["seed"]) for row in read(RESULTS / f"{NAME}.jsonl")}
    for seed, case, driver in itertools.product(arguments.seeds, CASES, arguments.drivers):
        many = seed < (SEEDS if case.optimizer else SEEDS_OF_CHEAP)
        if case.name in arguments.cases and many and (case.name, driver, seed) not in done:
            with driven_by(driver) as share:
                row = _row(case, driver, case.command(seed, held_out=share))
            append(NAME, {"case": case.name, "driver": driver, "seed": seed, **row})


def _row(case: Case, driver: str, command: TrainConfig) -> Row:
    """A run; with the default driver also which constants would have made it another, for constants_in_the_run."""
    if driver != "information" or case not in DEVELOPED or command.epochs is None:
        return run(command)
    with asking(command.epochs) as (policy, noted):
        return run(command, policy) | {"altered": noted}


if __name__ == "__main__":
    main()
