"""Labels against labels with a known answer: how far counts are off, and how often the interval covers the truth.

    python benchmarks/estimators/sparse_tables.py results/sparse_tables.jsonl

One JSON line a case and estimator. It takes about two minutes on one core.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from infopace import mutual_information

SEEDS = 10
SIZES = {2: (30, 300), 5: (50, 300), 20: (100, 1000), 50: (300, 1000, 5000), 200: (300, 1000, 5000)}


def laws() -> list[tuple[str, np.ndarray, int]]:
    """Name, joint probabilities and number of examples."""
    found = []
    for classes, sizes in SIZES.items():
        for noise in (1.0, 0.7, 0.3, 0.0):
            law = np.full((classes, classes), noise / classes**2) + np.eye(classes) * (1 - noise) / classes
            found += [(f"channel {classes}, noise {noise}", law, n) for n in sizes]
    zipf = 1 / np.arange(1, 101)
    zipf /= zipf.sum()
    groups = np.zeros((200, 20))
    groups[np.arange(200), np.arange(200) // 10] = 1 / 200
    place = np.arange(60)
    band = (np.abs(place[:, None] - place) <= 5) * 1.0
    rate = np.linspace(0.05, 0.95, 100)
    others = {
        "zipf 100, independent": np.outer(zipf, zipf),
        "zipf 100, half copied": (np.outer(zipf, zipf) + np.diag(zipf)) / 2,
        "groups of 10": groups,
        "groups of 10, noise 0.4": 0.6 * groups + 0.4 / groups.size,
        "band of 11 in 60": band / band.sum(),
        "2 x 100": np.stack([rate, 1 - rate]) / 100,
    }
    return found + [(name, law, n) for name, law in others.items() for n in (300, 1000)]


def main(path: str) -> None:
    """Measure every case and write the rows."""
    with open(path, "w", encoding="utf-8") as file:
        for name, law, n in laws():
            product = law.sum(1, keepdims=True) * law.sum(0, keepdims=True)
            kept = law > 0
            truth = float((law[kept] * np.log(law[kept] / product[kept])).sum())
            drawn = [np.random.default_rng(s).choice(law.size, n, p=law.ravel()) for s in range(SEEDS)]
            for estimator in ("plug-in", "auto"):
                pairs = [np.divmod(cells, law.shape[1]) for cells in drawn]
                values = [mutual_information(x, y, estimator=estimator) for x, y in pairs]
                error = np.mean([abs(value.nats - truth) for value in values])
                alone = np.mean([abs(v.nats - truth) <= 1.96 * v.std_error + 1e-9 for v in values])
                covers = np.mean(
                    [v.interval[0] <= truth + 1e-9 and truth <= v.interval[1] + 1e-9 for v in values]
                )
                row = {"case": name, "n": n, "estimator": estimator, "truth": round(truth, 4)}
                row |= {
                    "mean": round(float(np.mean([v.nats for v in values])), 4),
                    "mae": round(float(error), 4),
                }
                row |= {"covered_by_error": float(alone), "covered": float(covers)}
                row |= {"cautioned": float(np.mean([v.warnings != () for v in values]))}
                file.write(json.dumps(row) + "\n")
                file.flush()


if __name__ == "__main__":
    main(sys.argv[1])
