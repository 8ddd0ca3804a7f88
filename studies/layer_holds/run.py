"""How long each layer was held, from the runs of a comparison: python -m studies.layer_holds.run FOLDER

FOLDER is that of an `infopace compare` with hold-and-decay-layer-wise among its methods. One row a run and layer in
results/layer_clocks.jsonl; rows of the same workload are replaced.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from studies.shared.rows import RESULTS, read

METHODS = ("hold-and-decay", "hold-and-decay-layer-wise")


def main() -> None:
    """Read the runs and write the rows."""
    parser = argparse.ArgumentParser(description="How long each layer was held")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    workload = json.loads((folder / "compare.json").read_text())["settings"]["workload"]
    path = RESULTS / "layer_clocks.jsonl"
    rows = [row for row in read(path) if row["workload"] != workload]
    for method in METHODS:
        for run in sorted(folder.glob(f"runs/{method}-seed*")):
            rows += [
                {"workload": workload, "method": method, "seed": int(run.name.rpartition("seed")[2]), **layer}
                for layer in _layers(read(run / "epochs.jsonl"))
            ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _layers(epochs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each driving layer: epochs held before the first anneal, later holds, information at the end in nats."""
    found = []
    for i, first in enumerate(epochs[1]["decisions"]):
        causes = [epoch["decisions"][i]["cause"] for epoch in epochs[1:]]
        found.append(
            {
                "layer": first["layer"],
                "held": causes.index("anneal") if "anneal" in causes else len(causes),
                "held_again": causes.count("restart"),
                "nats": epochs[-1]["information"][first["layer"]]["nats"],
            }
        )
    return found


if __name__ == "__main__":
    main()
