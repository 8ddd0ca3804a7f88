"""How much our rule's constants matter: python benchmarks/policies/constants.py WORKLOAD

Each is moved over a decade while the others stay:

    visible    1.96, the quantile of what counts as visible
    window     1/2, the share of the hold in which a rise is looked for
    longest    1/2, the share of the epochs, where their number is known, that the hold may take
    middle     1/2, where between LR_top (0) and LR_max (1) the hold lies, on a log scale

Bounds of the comparison's range test, seeds of their own; with the number of epochs known, and without. Rows go to
results/policy_constants.jsonl; those that are there are not made again.

Expected, written before the first run: within .2 points of the standard value everywhere but for `middle` at 0, which
is known to be too slow on digits, and at 1, where a training may die.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from driven import train
from rows import Setting, make_missing, tested_bounds

from infopace import HoldAndAnneal
from infopace.lab.workloads import find_workload
from infopace.policies import _hold_and_anneal

VALUES = {
    "visible": (0.62, 1.1, 3.5, 6.2),
    "window": (0.16, 0.28, 0.71, 0.9),
    "longest": (0.1, 0.25, 0.75, 0.9),
    "middle": (0.0, 0.25, 0.75, 1.0),
}
STANDARD = {name: getattr(_hold_and_anneal, f"_{name.upper()}") for name in VALUES}


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="Our rule with other constants")
    parser.add_argument("workload")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(3000, 3010)))
    parser.add_argument("--constants", nargs="+", default=list(VALUES), choices=list(VALUES))
    parser.add_argument("--horizons", nargs="+", default=["known", "free"], choices=["known", "free"])
    arguments = parser.parse_args()
    workload, epochs = arguments.workload, find_workload(arguments.workload).epochs

    def run(setting: Setting) -> dict[str, Any]:
        rule = HoldAndAnneal(epochs if setting["horizon"] == "known" else None)
        values = {f"_{name.upper()}": setting[name] for name in STANDARD}
        with patch.multiple(_hold_and_anneal, **values):
            return train(workload, setting["seed"], rule, tested_bounds(workload))

    make_missing("policy_constants", _settings(arguments), run)


def _settings(arguments: argparse.Namespace) -> Iterator[Setting]:
    for seed in arguments.seeds:
        for horizon in arguments.horizons:
            moved = [{}, *({name: value} for name in arguments.constants for value in VALUES[name])]
            for one in moved:
                if horizon == "known" or "longest" not in one:
                    yield {
                        "workload": arguments.workload,
                        "horizon": horizon,
                        "seed": seed,
                        **STANDARD,
                        **one,
                    }


if __name__ == "__main__":
    main()
