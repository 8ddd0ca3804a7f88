"""Collect finished runs of `infopace train`; see README.md. Rows: results/train_runs.jsonl"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "results" / "train_runs.jsonl"
KEPT = (
    "settings",
    "fingerprint",
    "threads",
    "parameters",
    "groups",
    "metric",
    "versions",
    "hardware",
    "commit",
)


def main() -> None:
    """Read the folders, write the rows, print a line a run."""
    parser = argparse.ArgumentParser(description="Collect finished runs into results/train_runs.jsonl")
    parser.add_argument("folders", nargs="+", type=Path)
    rows = (
        {row["fingerprint"]: row for row in map(json.loads, RESULTS.read_text().splitlines())}
        if RESULTS.exists()
        else {}
    )
    for folder in parser.parse_args().folders:
        if (folder / "summary.json").exists():
            row = read_run(folder)
            rows[row["fingerprint"]] = row
            print(
                f"{folder.name}: final {row['final']:.4f}, best {row['best']:.4f} in epoch {row['best_epoch']}"
            )
        else:
            print(f"{folder.name}: not finished, left out")
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))


def read_run(folder: Path) -> dict[str, Any]:
    """One finished run as one row."""
    record = json.loads((folder / "run.json").read_text())
    epochs = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    return {
        **{name: record[name] for name in KEPT},
        **json.loads((folder / "summary.json").read_text()),
        "reference": epochs[0].get("reference"),
        "lr": [[float(f"{lr:.6g}") for lr in row["lr"]] for row in epochs[1:]],
        "train_loss": [
            None if row["train_loss"] is None else float(f"{row['train_loss']:.5g}") for row in epochs[1:]
        ],  # a rolled-back epoch has none
        "test": [float(f"{row['test']:.6g}") for row in epochs],
        "nats": {
            name: [round(row["information"][name]["nats"], 4) for row in epochs]
            for name in epochs[0].get("information", ())
        },
        "seconds": round(sum(sum(row["seconds"].values()) for row in epochs), 1),
    }


if __name__ == "__main__":
    main()
