"""Labels against labels with known information; see README.md. It takes about two minutes on one core."""

from __future__ import annotations

import json

import numpy as np

from infopace import mutual_information
from studies.shared.rows import RESULTS

SEEDS = 10
_ROUNDING = 1e-9  # nats
SIZES = {2: (30, 300), 5: (50, 300), 20: (100, 1000), 50: (300, 1000, 5000), 200: (300, 1000, 5000)}


def distributions() -> list[tuple[str, np.ndarray, int]]:
    """Name, joint probabilities and number of examples."""
    found = []
    for classes, sizes in SIZES.items():
        for noise in (1.0, 0.7, 0.3, 0.0):
            joint = np.full((classes, classes), noise / classes**2) + np.eye(classes) * (1 - noise) / classes
            found += [(f"channel {classes}, noise {noise}", joint, n) for n in sizes]
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
    return found + [(name, joint, n) for name, joint in others.items() for n in (300, 1000)]


def main() -> None:
    """Measure every case and write a row a case and estimator."""
    rows = [
        row(name, joint, n, estimator)
        for name, joint, n in distributions()
        for estimator in ("plug-in", "auto")
    ]
    (RESULTS / "sparse_tables.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))


def row(name: str, joint: np.ndarray, n: int, estimator: str) -> dict[str, object]:
    """Error and coverage of one estimator on `SEEDS` samples of n examples."""
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    kept = joint > 0
    truth = float((joint[kept] * np.log(joint[kept] / product[kept])).sum())
    drawn = [np.random.default_rng(seed).choice(joint.size, n, p=joint.ravel()) for seed in range(SEEDS)]
    found = [mutual_information(*np.divmod(cells, joint.shape[1]), estimator=estimator) for cells in drawn]
    lows, highs = np.transpose([one.interval for one in found])
    errors = np.array([one.nats - truth for one in found])
    std_errors = np.array([one.std_error for one in found])
    return {
        "case": name,
        "n": n,
        "estimator": estimator,
        "truth": round(truth, 4) + 0.0,  # no -0.0
        "mean": round(truth + float(errors.mean()), 4),
        "mean_absolute_error": round(float(np.abs(errors).mean()), 4),
        "coverage_of_std_error": float((np.abs(errors) <= 1.96 * std_errors + _ROUNDING).mean()),
        "coverage": float(((lows <= truth + _ROUNDING) & (truth <= highs + _ROUNDING)).mean()),
        "warned": float(np.mean([one.warnings != () for one in found])),
    }


if __name__ == "__main__":
    main()
