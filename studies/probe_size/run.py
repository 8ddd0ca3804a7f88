"""The default rule with probes of other sizes; see README.md. Rows: results/policy_probe_size.jsonl"""

from __future__ import annotations

import argparse
from typing import Any

from infopace import HoldAndDecay
from infopace.lab.workloads import WORKLOADS, find_workload
from studies.shared.driven import train
from studies.shared.rows import Setting, make_missing, tested_bounds


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="The default rule with probes of other sizes")
    parser.add_argument("workload", choices=list(WORKLOADS))
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    arguments = parser.parse_args()
    name: str = arguments.workload
    epochs = find_workload(name).epochs

    def run(setting: Setting) -> dict[str, Any]:
        size = setting["probe_size"]
        return train(
            name, setting["seed"], HoldAndDecay(epochs, stop_early=True), tested_bounds(name), probe_size=size
        )

    make_missing(
        "policy_probe_size",
        (
            {"workload": name, "probe_size": n, "seed": seed}
            for seed in arguments.seeds
            for n in arguments.sizes
        ),
        run,
    )


if __name__ == "__main__":
    main()
