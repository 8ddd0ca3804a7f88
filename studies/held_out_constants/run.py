"""How much the constants of held-out rows matter: python -m studies.held_out_constants.run WORKLOAD

Each is moved while the others stay:

    held_out          0.1, the share of the training rows that is held out; 0: none
    visible           1.96, the standard errors that a rise must exceed, and what counts as a fall, a loss or a leap
    fewest_held_out   3, the values through which a rise is looked for

Bounds of the comparison's range test, seeds of their own, the number of epochs known; without it the same trainings
come about, as long as twice the hold is within it. Rows go to results/policy_held_out.jsonl; those that are there are
not made again.

Expected, written before the first run: visible from 1.1 to 3.5 is within the noise everywhere, and at .62 the
workloads that memorize lose a little; more values than three hold longer than is good on diabetes, cancer-mlp and
noisy-mlp, where a network knows all it can learn after four epochs, and are better on deep-mlp; a share of .3 loses on
digits, one of .03 ends the hold by chance.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from infopace.lab.config import HELD_OUT
from infopace.lab.workloads import find_workload
from infopace.policies import _hold_and_decay
from studies.shared.rows import Setting, make_missing, moved_alone, sweep_arguments, tested_bounds, trained

VALUES = {
    "held_out": (0.0, 0.03, 0.2, 0.3),
    "visible": (0.62, 1.1, 3.5, 6.2),
    "fewest_held_out": (4, 6),
}
STANDARD = {
    "held_out": HELD_OUT,
    "visible": _hold_and_decay._VISIBLE,
    "fewest_held_out": _hold_and_decay._FEWEST_HELD_OUT,
}


def main() -> None:
    """Run what is missing."""
    arguments = sweep_arguments(
        "Our rule with other constants of held-out rows", VALUES, 6, horizons=("known",)
    )
    make_missing("policy_held_out", moved_alone(arguments, VALUES, STANDARD), _run)


def _run(setting: Setting) -> dict[str, Any]:
    name: str = setting["workload"]
    bounds = tested_bounds(name)
    epochs = find_workload(name).epochs
    values = {f"_{name.upper()}": setting[name] for name in ("visible", "fewest_held_out")}
    with patch.multiple(_hold_and_decay, **values):
        choices = {name: setting[name] for name in ("held_out", "horizon", "seed")}
        rows = trained(name, bounds, epochs=epochs, **choices)
    decisions = [row["decisions"][0] for row in rows[1:]]
    return {
        "planned": epochs,
        "epochs": len(decisions),
        "test": [row["test"] for row in rows[1:]],
        "values": [row["information"]["output"]["nats"] for row in rows],
        "held_out": [row["held_out"]["output"] for row in rows if "held_out" in row],
        "lr": [decision["lr"] for decision in decisions],
        "causes": [decision["cause"] for decision in decisions],
    }


if __name__ == "__main__":
    main()
