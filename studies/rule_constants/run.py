"""The default rule with other constants; see README.md. Rows: results/policy_constants.jsonl"""

from __future__ import annotations

from typing import Any

from infopace import HoldAndDecay
from infopace.lab.workloads import find_workload
from studies.rule_constants.section import STANDARD
from studies.shared.driven import train
from studies.shared.rows import Setting, make_missing, one_changed, sweep_arguments, tested_bounds

VALUES = {
    "z": (0.62, 1.1, 3.5, 6.2),
    "window": (0.16, 0.28, 0.71, 0.9),
    "longest": (0.1, 0.25, 0.75, 0.9),
    "middle": (0.0, 0.25, 0.75, 1.0),
}


def main() -> None:
    """Run what is missing."""
    arguments = sweep_arguments("The default rule with other constants", VALUES, 10, ("known", "free"))
    workload, epochs = arguments.workload, find_workload(arguments.workload).epochs

    def run(setting: Setting) -> dict[str, Any]:
        rule = HoldAndDecay(
            epochs if setting["horizon"] == "known" else None,
            stop_early=True,
            z=setting["z"],
            window=setting["window"],
            longest=setting["longest"],
            middle=setting["middle"],
        )
        return train(workload, setting["seed"], rule, tested_bounds(workload))

    make_missing("policy_constants", one_changed(arguments, VALUES, STANDARD, needs_epochs="longest"), run)


if __name__ == "__main__":
    main()
