"""How much our rule's constants matter: python -m studies.rule_constants.run WORKLOAD

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

from typing import Any
from unittest.mock import patch

from infopace import HoldAndDecay
from infopace.lab.workloads import find_workload
from infopace.policies import _hold_and_decay
from studies.shared.driven import train
from studies.shared.rows import Setting, make_missing, moved_alone, sweep_arguments, tested_bounds

VALUES = {
    "visible": (0.62, 1.1, 3.5, 6.2),
    "window": (0.16, 0.28, 0.71, 0.9),
    "longest": (0.1, 0.25, 0.75, 0.9),
    "middle": (0.0, 0.25, 0.75, 1.0),
}
STANDARD = {name: getattr(_hold_and_decay, f"_{name.upper()}") for name in VALUES}


def main() -> None:
    """Run what is missing."""
    arguments = sweep_arguments("Our rule with other constants", VALUES, 10, horizons=("known", "free"))
    workload, epochs = arguments.workload, find_workload(arguments.workload).epochs

    def run(setting: Setting) -> dict[str, Any]:
        rule = HoldAndDecay(epochs if setting["horizon"] == "known" else None)
        values = {f"_{name.upper()}": setting[name] for name in STANDARD}
        with patch.multiple(_hold_and_decay, **values):
            return train(workload, setting["seed"], rule, tested_bounds(workload))

    make_missing("policy_constants", moved_alone(arguments, VALUES, STANDARD, needs_epochs="longest"), run)


if __name__ == "__main__":
    main()
