"""Run folders made by hand, for reports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeRun = Callable[..., Path]


def _row(epoch: int, layers: tuple[str, ...], shift: float) -> dict[str, Any]:
    """A run that learns fast, and whose rate falls at epochs 3 and 6."""
    learned = 1 - math.exp(-epoch / 2)
    nats = 2.3 * learned + shift
    lr = 0.1 if epoch < 3 else 0.03 if epoch < 6 else 0.01
    groups = range(max(len(layers), 1))
    return {
        "epoch": epoch,
        "lr": [lr / (1 + g) for g in groups] if epoch else [],
        "train_loss": 1 - learned if epoch else None,
        "test": 0.1 + 0.88 * learned + shift,
        "information": {
            name: {"nats": nats - 0.05 * i, "std_error": 0.02, "decoder": nats if name == "output" else None}
            for i, name in enumerate((*layers, "output"))
        },
        "reference": 2.3026,
        "warnings": [],
        "decisions": [
            {
                "layer": layers[g] if layers else "output",
                "lr": lr / (1 + g),
                "phase": {3: "decay", 6: "decay"}.get(epoch, "hold"),
                "reason": f"because of epoch {epoch}",
            }
            for g in groups
        ]
        if epoch
        else [],
        "seconds": {"train": 1.0, "evaluate": 0.1, "measure": 0.2},
    }


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run folder as `infopace train` does: its name, how many epochs are done, what differs."""

    def make(
        name: str = "run",
        *,
        done: int = 8,
        epochs: int = 8,
        layers: tuple[str, ...] = (),
        finished: bool = True,
        **settings: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        chosen = {
            "workload": "tiny",
            "layer_wise": bool(layers),
            "seed": 0,
            "lr_min": "range test",
            "epochs": epochs,
        }
        chosen |= settings
        record = {
            "settings": chosen,
            "groups": list(layers) or ["output"],
            "bounds": {"lr_min": 0.001, "lr_max": 0.1, "epsilon": 0.01, "lr_top": 0.1},
            "metric": {"name": "accuracy", "unit": "%", "scale": 100.0, "higher_is_better": True},
            "versions": {"infopace": "0.1.0", "torch": "2.13.0"},
            "hardware": {"cpu": "a processor"},
            "commit": "0123456789abcdef",
            "started": "2026-11-25T00:00:00+00:00",
            "threads": 1,
        }
        (folder / "run.json").write_text(json.dumps(record))
        rows = [_row(epoch, layers, 0.01 * chosen["seed"]) for epoch in range(done + 1)] if done >= 0 else []
        (folder / "epochs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        if finished:
            (folder / "summary.json").write_text(json.dumps({"final": 0.97}))
        return folder

    return make


@pytest.fixture
def range_test_json() -> dict[str, Any]:
    """What a range test writes; test_range_test_reports.py holds it against a real one."""

    def row(lr: float, accuracy: float, loss: float, nats: float, trials: int = 2) -> dict[str, Any]:
        means = {"final_accuracy": accuracy, "final_loss": loss, "final_information": nats}
        ends = {name: [value * 0.9, value * 1.05] for name, value in means.items()}
        return {"lr": lr, "trials": trials, "crashes": 2 - trials, **means, "range": ends}

    return {
        "workload": "tiny",
        "method": "race",
        "attribute": "accuracy",
        "bounds": {"lr_min": 0.002, "lr_max": 0.4, "lr_top": 0.1, "epsilon": 0.005},
        "layer_bounds": {
            "conv": {"lr_min": 0.004, "lr_max": 0.9, "lr_top": 0.2, "epsilon": 0.005},
            "fc": {"lr_min": 0.003, "lr_max": 0.8, "lr_top": 0.15, "epsilon": 0.005},
        },
        "trial_bounds": [None, None],
        "steps": 1234,
        "share_of_the_training": 0.104,
        "seconds": 61.7,
        "notes": ["the run is short"],
        "table": [
            row(0.001, 0.2, 2.0, 0.4),
            row(0.01, 0.605, 1.0, 1.2),
            row(0.1, 0.9, 0.3, 2.2),
            row(0.3, 0.8, 0.4, 2.0, trials=1),
        ],
        "crashes": [{"lr": 0.3, "trials": 1}, {"lr": 1.0, "trials": 2}],
    }


@pytest.fixture
def comparison_json() -> dict[str, Any]:
    """What a comparison will hand over."""
    return {
        "workload": "tiny",
        "metric": "accuracy",
        "unit": "%",
        "baseline": "SGD cosine",
        "caption": "30 epochs each.",
        "methods": [
            {"method": "paced", "n": 10, "mean": 98.1, "low": 97.9, "high": 98.3, "p": 0.0004},
            {"method": "SGD cosine", "n": 10, "mean": 97.5, "low": 97.25, "high": 97.75},
            {"method": "Adam", "n": 10, "mean": 97.6, "low": 97.3, "high": 97.9, "p": 0.21},
            {"method": "Prodigy", "note": "not installed"},
        ],
    }
