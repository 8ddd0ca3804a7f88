"""How variance and bias of neighbour estimates depend on the number of examples; see README.md.

The error bar treats parts of a sample as small samples of the same distribution. It rests on two laws: n times the
variance goes as n^g, and the bias as n^(-1/2). On 200 samples of the five known cases, prints g, fitted to the mean
variance over 2, 3, .. 10 parts, and the bias of the whole and of the parts beside b sqrt(m). Rows:
results/part_laws.jsonl
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infopace.estimators import part_values
from infopace.estimators._neighbour_search._choose import of_labels, of_vectors
from studies.interval_coverage.cases import KNOWN, Case

RESULTS = Path(__file__).resolve().parents[2] / "results" / "part_laws.jsonl"
# interval_coverage has other seeds.
SEEDS, DRAWS, K = 55, 200, 3
COUNTS = list(range(2, 11))
Values = tuple[float, dict[int, list[float]]]


def values(case: Case, seed: int) -> Values:
    """The value of the whole, and the values of its parts."""
    x, y = map(torch.from_numpy, case.draw(np.random.default_rng([SEEDS, seed]), case.n))
    if case.estimator == "ross":
        found, classes = of_labels(x, y, K, "euclidean"), y
    else:
        found, classes = of_vectors(case.estimator, x, y[:, None], K, "euclidean", "block"), None
    return found.nats, part_values(found.of_part, case.n, K, classes)


def laws(name: str, found: list[Values]) -> dict[str, Any]:
    """Both laws, fitted to the draws of one case."""
    case = KNOWN[name]
    # Variance over the parts, as that of the whole if n variance stood still.
    scaled = [float(np.mean([np.var(parts[m], ddof=1) / m for _, parts in found])) for m in COUNTS]
    weight = np.array(COUNTS) - 1.0
    x = np.log(COUNTS)
    x = x - np.average(x, weights=weight)
    growth = -float((weight * x * np.log(scaled)).sum() / (weight * x**2).sum())
    bias = [np.mean([whole for whole, _ in found]) - case.truth]
    bias += [np.mean([np.mean(parts[m]) for _, parts in found]) - case.truth for m in COUNTS]
    roots = np.sqrt([1, *COUNTS])
    return {
        "case": name,
        "method": case.estimator,
        "n": case.n,
        "draws": len(found),
        "seeds": SEEDS,
        "parts": [1, *COUNTS],
        "bias": [float(value) for value in bias],
        "root_law": float((roots * bias).sum() / (roots**2).sum()),
        "variance_times_1_over_parts": scaled,
        "growth": growth,
        "error_bar_without_growth": math.sqrt(float(np.average(scaled, weights=weight))),
        "spread": float(np.std([whole for whole, _ in found], ddof=1)),
    }


def main() -> None:
    """Measure every case and print what was found."""
    torch.set_num_threads(1)
    RESULTS.write_text("")
    for name, case in KNOWN.items():
        row = laws(name, [values(case, seed) for seed in range(DRAWS)])
        with RESULTS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        bias = " ".join(f"{value:+.4f}" for value in row["bias"])
        print(f"{name}: growth {row['growth']:.3f}, bias {bias}, root law {row['root_law']:+.4f}", flush=True)


if __name__ == "__main__":
    main()
