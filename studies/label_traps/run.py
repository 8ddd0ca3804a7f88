"""Information about labels where estimators go wrong: ours beside the forms in use; see README.md.

- scale: activations of a layer (ten classes, 64 rectified units) times 0.1 .. 100; the information stays the same
- ties: a layer of which 97 % of the rows are equal, and a constant one; the label is independent, so 0 nats
- null: d = 784 and 3,072 standard normals; the label is independent, so 0 nats

Beside ours: plain Ross, which counts distances <= radius with k instead of the tied count (Ross 2014, as in
scikit-learn's mutual_info_classif, but for vectors); KSG-1 on (layer, one-hot label) with the maximum norm; and
H(T) + H(Y) - H(T, Y) with three Kozachenko-Leonenko entropies, the label one-hot ("3 entropies"). n = 1000, k = 3, no
noise added. Rows: results/label_traps.jsonl
"""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.special import digamma, gammaln

from infopace import mutual_information
from infopace.estimators import entropy

RESULTS = Path(__file__).resolve().parents[2] / "results" / "label_traps.jsonl"
N, K, CLASSES, SEEDS = 1000, 3, 10, 5


def ours(x: np.ndarray, y: np.ndarray) -> float:
    return mutual_information(x, y, k=K, std_error=False).nats


def plain_ross(x: np.ndarray, y: np.ndarray) -> float:
    """psi(n) + psi(k) - < psi(N_c) + psi(m_i) >, m_i the examples within the radius, example i included."""
    distances = cdist(x, x)
    own, counts = np.empty(N), np.empty(N)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        radius = np.sort(distances[np.ix_(rows, rows)], 1)[:, K]
        own[rows] = len(rows)
        counts[rows] = (distances[rows] <= radius[:, None]).sum(1) - 1
    return float(digamma(N) + digamma(K) - np.mean(digamma(own) + digamma(counts)))


def one_hot_ksg(x: np.ndarray, y: np.ndarray) -> float:
    """psi(k) + psi(n) - < psi(n_x + 1) + psi(n_y + 1) > with the label as a vector of 0 and 1."""
    of_x, of_y = cdist(x, x, "chebyshev"), (y[:, None] != y[None, :]).astype(float)
    joint = np.maximum(of_x, of_y)
    np.fill_diagonal(joint, np.inf)
    radius = np.sort(joint, 1)[:, K - 1 : K]
    inside = [np.maximum((block < radius).sum(1) - 1, 0) for block in (of_x, of_y)]
    return float(digamma(K) + digamma(N) - np.mean(digamma(inside[0] + 1) + digamma(inside[1] + 1)))


def three_entropies(x: np.ndarray, y: np.ndarray) -> float:
    hot = np.eye(CLASSES)[y]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(kozachenko_leonenko(x) + entropy(y) - kozachenko_leonenko(np.hstack([x, hot])))


def kozachenko_leonenko(x: np.ndarray) -> float:
    """psi(n) - psi(k) + ln V_d + d < ln rho_i >, V_d the volume of the unit ball (Euclidean)."""
    radius = np.sort(cdist(x, x), 1)[:, K]
    width = x.shape[1]
    volume = width / 2 * math.log(math.pi) - gammaln(width / 2 + 1)
    return digamma(N) - digamma(K) + volume + width * np.mean(np.log(radius))


FORMS = {"ours": ours, "plain Ross": plain_ross, "KSG, one-hot": one_hot_ksg, "3 entropies": three_entropies}


def layer(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rectified units around a centre a class, well apart: the label is all but a function of the layer."""
    y = generator.integers(CLASSES, size=N)
    centres = generator.normal(size=(CLASSES, 64))
    return np.maximum(centres[y] + 0.3 * generator.normal(size=(N, 64)), 0), y


def tied(generator: np.random.Generator, share: float) -> tuple[np.ndarray, np.ndarray]:
    x = generator.normal(size=(N, 64)) * (generator.uniform(size=(N, 1)) >= share)
    return x, generator.integers(CLASSES, size=N)


def null(generator: np.random.Generator, width: int) -> tuple[np.ndarray, np.ndarray]:
    return generator.normal(size=(N, width)), generator.integers(CLASSES, size=N)


def cases(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray, float | None]]:
    """Case -> x, y and the truth; for the scaled layer the truth is H(Y) of the drawn labels."""
    found: dict[str, tuple[np.ndarray, np.ndarray, float | None]] = {}
    for factor in (0.1, 1.0, 10.0, 100.0):
        x, y = layer(np.random.default_rng([31, seed]))
        found[f"layer x {factor:g}"] = (factor * x, y, entropy(y))
    found["97 % equal rows"] = (*tied(np.random.default_rng([32, seed]), 0.97), 0.0)
    found["constant layer"] = (*tied(np.random.default_rng([33, seed]), 1.0), 0.0)
    for width in (784, 3072):
        found[f"nothing, d = {width}"] = (*null(np.random.default_rng([34, seed]), width), 0.0)
    return found


def main() -> None:
    """All forms on all cases."""
    torch.set_num_threads(1)
    rows = []
    for seed in range(SEEDS):
        for name, (x, y, truth) in cases(seed).items():
            values = {form: formula(x, y) for form, formula in FORMS.items()}
            # JSON has no nan or inf.
            kept = {form: value if math.isfinite(value) else str(value) for form, value in values.items()}
            rows.append({"case": name, "seed": seed, "n": N, "k": K, "truth": truth, **kept})
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(
        f"{'mean of ' + str(SEEDS) + ' seeds, nats':22} {'truth':>8}"
        + "".join(f"{form:>14}" for form in FORMS)
    )
    for name in dict.fromkeys(row["case"] for row in rows):
        same = [row for row in rows if row["case"] == name]
        means = [statistics.fmean(float(row[column]) for row in same) for column in ("truth", *FORMS)]
        print(f"{name:22} {means[0]:8.3f}" + "".join(f"{mean:14.3f}" for mean in means[1:]))
    nulls = [abs(row["ours"]) for row in rows if row["truth"] == 0]
    print(f"largest |ours| of a single draw where the truth is 0: {max(nulls):.4f}")


if __name__ == "__main__":
    main()
