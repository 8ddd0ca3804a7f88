"""Traces of information along three runs on digits, for the pictures of the policies; see README.md.

    fast    infopace train digits --method vasudevan-2020 --bounds workload --threads 1
    slow    a constant learning rate of 0.0005: information rises slowly and settles short of the reference
    jump    a constant 0.03, on the digits 0 to 4 for half of the epochs, then on all ten; the probe has all ten

Rows: results/policy_traces.jsonl, written anew.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import torch

from infopace.lab.config import OURS, TrainConfig, resolve
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.training import Training
from infopace.lab.workload import Data

RESULTS = Path(__file__).resolve().parents[2] / "results" / "policy_traces.jsonl"


def main() -> None:
    """Train, print the last value of each and write the rows."""
    slow, jump = 0.0005, 0.03
    settings: list[tuple[str, TrainConfig, Callable[[Data, int], Data]]] = [
        (
            "fast",
            TrainConfig(method="vasudevan-2020", bounds="workload", threads=1),
            lambda data, epoch: data,
        ),
        (
            "slow",
            TrainConfig(method=OURS, lr_min=slow, lr_max=slow, held_out=0.0, threads=1),
            lambda data, epoch: data,
        ),
        (
            "jump",
            TrainConfig(method=OURS, lr_min=jump, lr_max=jump, held_out=0.0, threads=1),
            lambda data, epoch: low_digits(data) if epoch <= 15 else data,
        ),
    ]
    rows = []
    for name, config, data_of in settings:
        plan = resolve(config)
        set_determinism(1, plan.device)
        data = plan.workload.load()
        training = Training(plan, data)
        epochs = [training.untrained_row()]
        for epoch in range(1, plan.epochs + 1):
            training.data = data_of(data, epoch)
            epochs.append(training.run_epoch(epoch, lambda done, total: None))
        row = {
            "trace": name,
            "reference": epochs[0]["reference"],
            "nats": [epoch["information"]["output"]["nats"] for epoch in epochs],
            "lr": [epoch["lr"][0] for epoch in epochs[1:]],
            "settings": plan.settings(),
            "versions": versions(),
            "hardware": hardware(plan.device),
        }
        rows.append(row)
        print(f"{name}: {row['nats'][-1]:.3f} of {row['reference']:.3f} nats", flush=True)
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows))


def low_digits(data: Data) -> Data:
    """The data, with only the digits 0 to 4 to train on."""
    assert isinstance(data.train_inputs, torch.Tensor)
    low = data.train_targets < 5
    return dataclasses.replace(
        data, train_inputs=data.train_inputs[low], train_targets=data.train_targets[low]
    )


if __name__ == "__main__":
    main()
