"""Other constants of held-out examples; see README.md. Rows: results/policy_held_out.jsonl"""

from __future__ import annotations

from typing import Any

from infopace import HoldAndDecay
from infopace.lab.workloads import find_workload
from studies.held_out_constants.section import STANDARD
from studies.shared.rows import Setting, make_missing, one_changed, sweep_arguments, tested_bounds, trained

VALUES = {
    "held_out": (0.0, 0.03, 0.2, 0.3),
    "z": (0.62, 1.1, 3.5, 6.2),
    "fewest_held_out": (4, 6),
}


def main() -> None:
    """Run what is missing."""
    arguments = sweep_arguments(
        "The default rule with other constants of held-out examples", VALUES, 6, horizons=("known",)
    )
    make_missing("policy_held_out", one_changed(arguments, VALUES, STANDARD), _run)


def _run(setting: Setting) -> dict[str, Any]:
    name: str = setting["workload"]
    epochs = find_workload(name).epochs
    rows = trained(
        name,
        tested_bounds(name),
        HoldAndDecay(epochs, stop_early=True, z=setting["z"], fewest_held_out=setting["fewest_held_out"]),
        epochs=epochs,
        held_out=setting["held_out"],
        horizon=setting["horizon"],
        seed=setting["seed"],
    )
    decisions = [row["decisions"][0] for row in rows[1:]]
    return {
        "planned": epochs,
        "epochs": len(decisions),
        "test": [row["test"] for row in rows[1:]],
        "values": [row["information"]["output"]["nats"] for row in rows],
        "held_out": [row["held_out"]["output"] for row in rows if "held_out" in row],
        "lr": [decision["lr"] for decision in decisions],
        "phases": [decision["phase"] for decision in decisions],
    }


if __name__ == "__main__":
    main()
