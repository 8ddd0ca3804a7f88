"""Bounds of each layer, alone and together; see README.md. Rows: results/range_layers.jsonl"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from infopace import layer_groups
from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload

RESULTS = Path(__file__).resolve().parents[2] / "results" / "range_layers.jsonl"
SEEDS = range(10)


def main() -> None:
    """Read the test, train, write the rows."""
    parser = argparse.ArgumentParser(description="Bounds of each layer, alone and together")
    parser.add_argument("folder", type=Path, help="of infopace range-test digits --layer-wise --threads 1")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    found = json.loads((folder / "range-test.json").read_text())
    record = json.loads((folder / "run.json").read_text())
    made = {name: record[name] for name in ("settings", "versions", "hardware", "commit")}
    rows = [{"kind": "test", **{name: value for name, value in found.items() if name != "table"}, **made}]
    layers = {"(all at one rate)": found["bounds"], **found["layer_bounds"]}
    rows += [{"kind": "bounds", "layer": layer, **own} for layer, own in layers.items()]
    for row in runs(find_workload(found["workload"]), found):
        print(row, flush=True)
        rows.append(row)
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows))


def runs(workload: Workload, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per run: its learning rates, its seed, the test metric at the end."""
    own: dict[str, float] = {layer: bounds["lr_top"] for layer, bounds in found["layer_bounds"].items()}
    shared = {layer: float(found["bounds"]["lr_top"]) for layer in own}
    for seed in SEEDS:
        for name, lrs in (("the shared lr_top", shared), ("each layer's lr_top", own)):
            yield {"kind": "training", "rates": name, "seed": seed, "final": train(workload, lrs, seed)}


def train(workload: Workload, lrs: dict[str, float], seed: int) -> float:
    """Train at constant learning rates. Returns the test metric after the last epoch."""
    data = workload.load()
    inputs, targets = workload.prepare(torch.as_tensor(data.train_inputs)), data.train_targets
    torch.manual_seed(seed)
    model = workload.build_model()
    optimizer = torch.optim.SGD(
        [{**group, "lr": lrs[group["layer"]]} for group in layer_groups(model)],
        **vars(workload.sgd),
    )
    for _ in range(workload.epochs):
        for batch in torch.randperm(len(inputs)).split(workload.batch_size):
            optimizer.zero_grad()
            workload.task.loss(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        outputs = model.eval()(workload.prepare(torch.as_tensor(data.test_inputs)))
    return float(workload.metric.score(outputs, data.test_targets).mean())


if __name__ == "__main__":
    main()
