"""The share of an epoch of mnist-lenet spent on measuring; see README.md. Rows: results/measuring_share.jsonl"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

import torch

from infopace.lab.config import OURS, TrainConfig, resolve
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.training import Training

RESULTS = Path(__file__).resolve().parents[2] / "results" / "measuring_share.jsonl"
BARS = {False: 0.01, True: 0.05}


def main() -> None:
    """Time a few epochs of each setting, print the shares and append the rows."""
    parser = argparse.ArgumentParser(description="The share of an epoch spent on measuring")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--epochs", type=int, default=2, help="timed; one more runs before them")
    arguments = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    for layer_wise, bar in BARS.items():
        config = TrainConfig(
            workload="mnist-lenet",
            method=OURS,
            layer_wise=layer_wise,
            held_out=0.0,
            device=arguments.device,
            bf16=arguments.bf16,
            threads=arguments.threads,
        )
        plan = resolve(config)
        set_determinism(arguments.threads, plan.device)
        training = Training(plan, plan.workload.load())
        seconds = []
        for epoch in range(1, arguments.epochs + 2):
            row = training.run_epoch(epoch, lambda done, total: None)
            seconds.append(row["seconds"])
        share = median(s["measure"] / sum(s.values()) for s in seconds[1:])
        what = "all layers" if layer_wise else "output only"
        verdict = "under" if share < bar else "OVER"
        print(
            f"{what}: {share:.2%} of an epoch is spent on measuring, {verdict} the bar of {bar:.0%}",
            flush=True,
        )
        result = {
            "workload": "mnist-lenet",
            "layers": what,
            "share": share,
            "bar": bar,
            "seconds": seconds[1:],
            "threads": arguments.threads,
            "bf16": arguments.bf16,
            "versions": versions(),
            "hardware": hardware(plan.device),
        }
        with open(RESULTS, "a") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
