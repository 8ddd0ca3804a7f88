"""Does the size of the probe matter to the trained network? python -m studies.probe_size.run mnist-10k

Our rule with a probe of 500, 1000 and 2000 rows, the bounds of the comparison's range test, the number of epochs known.
Rows go to results/policy_probe_size.jsonl; those that are there are not made again.

Expected, written before the first run: no difference beyond .1 points. Half as many rows make the value noisier by a
factor of 1.4 and bias it, but what ends the hold is its rise, and epsilon is the range test's for all.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any
from unittest.mock import patch

from infopace import HoldAndDecay
from infopace.lab.workloads import WORKLOADS, find_workload
from studies.shared.driven import train
from studies.shared.rows import Setting, make_missing, tested_bounds


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="Our rule with probes of other sizes")
    parser.add_argument("workload", choices=list(WORKLOADS))
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    arguments = parser.parse_args()
    name, workload = arguments.workload, find_workload(arguments.workload)

    def run(setting: Setting) -> dict[str, Any]:
        sized = dataclasses.replace(workload, probe_size=setting["probe_size"])
        with patch.dict(WORKLOADS, {name: sized}):
            return train(name, setting["seed"], HoldAndDecay(workload.epochs), tested_bounds(name))

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
