"""Runs with one rate for all layers, or one for each; see README.md. Rows: results/layer_wise.jsonl"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from infopace.lab.config import TrainConfig
from infopace.lab.errors import Diverged
from infopace.lab.progress import Silent
from infopace.lab.run import train
from infopace.lab.run_folder import RunFolder
from studies.shared.rows import RESULTS, read

NAME = "layer_wise"
WORKLOADS = ("cancer-mlp", "diabetes", "friedman-300", "digits", "mnist-1k")
SEEDS = (40, 41, 42, 43, 44)
KINDS: dict[str, dict[str, Any]] = {
    "global": {},
    "layer-wise": {"layer_wise": True},
    "layer-wise, neighbours": {"layer_wise": True, "signal": "neighbours"},
}


def main() -> None:
    """Run what is missing, seed by seed."""
    parser = argparse.ArgumentParser(description="One rate a layer, or one for all")
    parser.add_argument("workloads", nargs="*", default=WORKLOADS, help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    path = RESULTS / f"{NAME}.jsonl"
    for seed, workload, kind in itertools.product(arguments.seeds, arguments.workloads, KINDS):
        done = {(row["workload"], row["kind"], row["seed"]) for row in read(path)}
        if (workload, kind, seed) not in done:
            row = {"workload": workload, "kind": kind, "seed": seed, **one(workload, kind, seed)}
            with open(path, "a") as file:
                file.write(json.dumps(row) + "\n")
            print(workload, kind, seed, row["failure"] or row["test"][-1], flush=True)


def one(workload: str, kind: str, seed: int) -> dict[str, Any]:
    """One run at the defaults of `infopace train`, as a row."""
    failure, began = "", time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        config = TrainConfig(workload, seed=seed, threads=1, out=out, **KINDS[kind])
        try:
            train(config, Silent(), picture=False, std_error=False)
        except Diverged as error:
            failure = str(error).partition(";")[0]
        rows = RunFolder(out).read_rows()[1:]
    return {
        "failure": failure,
        "test": [round(row["test"], 6) for row in rows],
        "lr": [[float(f"{lr:.4g}") for lr in row["lr"]] for row in rows],
        "falls": sum(
            "fell" in str(now["reason"]) and now["phase"] == "hold" and now["reason"] != before["reason"]
            for one, other in itertools.pairwise(row["decisions"] for row in rows)
            for before, now in zip(one, other, strict=True)
        ),
        "nats": {
            layer: [round(row["information"][layer]["nats"], 4) for row in rows]
            for layer in rows[-1]["information"]
        },
        "seconds": round(time.process_time() - began, 2),
        "measure": round(sum(row["seconds"]["measure"] for row in rows), 2),
    }


if __name__ == "__main__":
    main()
