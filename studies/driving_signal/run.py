"""The default rule driven by other signals than information; see README.md. Rows: results/policy_ablation.jsonl"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

from infopace import HoldAndDecay
from infopace.lab.workloads import find_workload
from studies.shared.driven import SIGNALS, train
from studies.shared.rows import Setting, make_missing, tested_bounds


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="The default rule, driven by other signals")
    parser.add_argument("workload")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(3000, 3010)))
    parser.add_argument("--signals", nargs="+", default=list(SIGNALS), choices=list(SIGNALS))
    arguments = parser.parse_args()
    workload, epochs = arguments.workload, find_workload(arguments.workload).epochs

    def run(setting: Setting) -> dict[str, Any]:
        rule = HoldAndDecay(epochs if setting["horizon"] == "known" else None, stop_early=True)
        return train(workload, setting["seed"], rule, tested_bounds(workload), signal=setting["signal"])

    make_missing(
        "policy_ablation",
        (
            {"workload": workload, "signal": signal, "horizon": horizon, "seed": seed}
            for seed, signal, horizon in itertools.product(
                arguments.seeds, arguments.signals, ("known", "free")
            )
        ),
        run,
    )


if __name__ == "__main__":
    main()
