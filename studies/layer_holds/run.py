"""How long each layer is held in the runs of a comparison; see README.md. Rows: results/layer_clocks.jsonl"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

from studies.shared.rows import RESULTS, read

METHODS = ("hold-and-decay", "hold-and-decay-layer-wise")


def main() -> None:
    """Read the runs and write the rows."""
    parser = argparse.ArgumentParser(description="How long each layer is held")
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
    """For each driving layer: length of the first hold, number of later holds, information at the end in nats."""
    found = []
    for i, first in enumerate(epochs[1]["decisions"]):
        phases = [epoch["decisions"][i]["phase"] for epoch in epochs[1:]]
        held = phases.index("decay") if "decay" in phases else len(phases)
        found.append(
            {
                "layer": first["layer"],
                "held": held,
                "held_again": sum(a != "hold" == b for a, b in itertools.pairwise(phases)),
                "nats": epochs[-1]["information"][first["layer"]]["nats"],
            }
        )
    return found


if __name__ == "__main__":
    main()
