"""The noise of gradients along runs on digits; see README.md. Rows: results/gradient_noise.jsonl"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from infopace.diagnostics import gradient_noise
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.workloads import find_workload
from studies.shared.rows import RESULTS, read

WORKLOAD, SEEDS = "digits-mlp", (1, 2, 3)
EXAMPLES, BATCH, EPOCHS = 300, 32, (0, 1, 2, 3, 5, 7, 10, 15, 20)


def main() -> None:
    """Make the rows that are missing."""
    path = RESULTS / "gradient_noise.jsonl"
    set_determinism(1, torch.device("cpu"))
    for seed in SEEDS:
        setting = {"workload": WORKLOAD, "seed": seed}
        if setting in [row["setting"] for row in read(path)]:
            continue
        row = {"setting": setting, "epochs": run(seed)}
        row |= {"versions": versions(), "hardware": hardware(torch.device("cpu"))}
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")
        print(setting, row["epochs"][-1], flush=True)


def run(seed: int) -> list[dict[str, Any]]:
    """What was measured after some of the epochs."""
    workload = find_workload(WORKLOAD)
    data = workload.load()
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor)
    inputs, targets = workload.prepare(data.train_inputs), data.train_targets
    tests = workload.prepare(data.test_inputs)
    torch.manual_seed(seed)
    model = workload.build_model()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    found: list[dict[str, Any]] = []
    for epoch in range(max(EPOCHS) + 1):
        for batch in torch.randperm(len(inputs)).split(BATCH) if epoch else ():
            optimizer.zero_grad()
            cross_entropy(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
        if epoch not in EPOCHS:
            continue
        noise = gradient_noise(model, cross_entropy, inputs[:EXAMPLES], targets[:EXAMPLES])
        with torch.no_grad():
            accuracy = float((model(tests).argmax(1) == data.test_targets).float().mean())
        found.append(
            {
                "epoch": epoch,
                "scale": float(f"{noise.scale:.4g}"),
                "unbiased": float(f"{noise.unbiased_scale:.4g}"),
                "participation": round(noise.participation, 3),
                "top": round(noise.top, 4),
                "layers": {
                    name: [float(f"{one.scale:.4g}"), round(one.participation, 3), round(one.top, 4)]
                    for name, one in noise.layers.items()
                },
                "test": round(accuracy, 4),
            }
        )
    return found


if __name__ == "__main__":
    main()
