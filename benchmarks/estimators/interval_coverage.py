"""Do the error bars tell the truth? And is the permutation p-value uniform where there is nothing to find?

    python benchmarks/estimators/interval_coverage.py [--draws 200]

For each case with a known answer: draws of n = 1000, and how often the truth lies in value +- 1.96 standard errors;
beside it the bias and the true spread, so that a miss can be laid at the right door, and the coverage of an interval
widened by the bias that the parts of the sample show. Then p-values of 200 draws
without information, 99 permutations each, against the uniform distribution (Kolmogorov-Smirnov).
Rows: results/coverage.jsonl.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.stats
import torch

from infopace import mutual_information
from infopace.estimators._distances import pairwise_distances
from infopace.estimators._error_bar import subsampling_errors
from infopace.estimators._ksg import ksg1
from infopace.estimators._permutation import p_value, permutation_null
from infopace.estimators._ross import ross
from infopace.estimators._scale import standardized_distances

RESULTS = Path(__file__).resolve().parents[2] / "results" / "coverage.jsonl"
N, NULL_N, PERMUTATIONS = 1000, 200, 99
Sample = tuple[np.ndarray, np.ndarray]


def mixture(width: int, centres: list[float]) -> tuple[float, Callable[[np.random.Generator], Sample]]:
    """Unit normals around centres on one line of a space of `width` dimensions; the label is the class."""
    grid = np.linspace(min(centres) - 10, max(centres) + 10, 200_001)
    densities = np.exp(-((grid[:, None] - np.array(centres)) ** 2) / 2) / math.sqrt(2 * math.pi)
    whole = densities.mean(1)
    # Only the coordinate along the line depends on the label: h(whole) - h(one normal).
    truth = -np.trapezoid(whole * np.log(whole + 1e-300), grid) - 0.5 * math.log(2 * math.pi * math.e)

    def draw(generator: np.random.Generator) -> Sample:
        y = generator.integers(len(centres), size=N)
        x = generator.normal(size=(N, width))
        x += np.array(centres)[y, None] / math.sqrt(width)
        return x, y

    return float(truth), draw


def normal(width: int, rho: float) -> tuple[float, Callable[[np.random.Generator], Sample]]:
    """A scalar y that has the correlation rho with one direction of a standard normal x."""

    def draw(generator: np.random.Generator) -> Sample:
        x = generator.normal(size=(N, width))
        y = rho * x.mean(1) * math.sqrt(width) + math.sqrt(1 - rho**2) * generator.normal(size=N)
        return x, y

    return -0.5 * math.log(1 - rho**2), draw


CASES = {
    "three classes, d = 1": mixture(1, [-2.0, 0.0, 2.0]),
    "three classes, d = 10": mixture(10, [-2.0, 0.0, 2.0]),
    "bivariate normal, rho = .5": normal(1, 0.5),
    "bivariate normal, rho = .9": normal(1, 0.9),
    "linear, d = 5, rho = .7": normal(5, 0.7),
}


def coverage(name: str, draws: int) -> dict[str, object]:
    truth, draw = CASES[name]
    samples = [draw(np.random.default_rng([17, seed])) for seed in range(draws)]
    estimates = [mutual_information(*sample) for sample in samples]
    widened = [math.hypot(e.std_error, bias(*sample)) for e, sample in zip(estimates, samples, strict=True)]
    values = [estimate.nats for estimate in estimates]
    covered = [abs(e.nats - truth) <= 1.96 * e.std_error for e in estimates]
    mean = statistics.fmean(values)
    return {
        "case": name,
        "method": estimates[0].method,
        "n": N,
        "draws": draws,
        "truth": truth,
        "mean": mean,
        "bias": mean - truth,
        "spread": statistics.stdev(values),
        "std_error": statistics.fmean(e.std_error for e in estimates),
        "coverage": statistics.fmean(covered),
        # What the interval would cover if it were centred: parts the error bar from the bias.
        "coverage_with_bias": statistics.fmean(
            abs(value - truth) <= 1.96 * width for value, width in zip(values, widened, strict=True)
        ),
        "coverage_of_mean": statistics.fmean(abs(e.nats - mean) <= 1.96 * e.std_error for e in estimates),
    }


def bias(x: np.ndarray, y: np.ndarray) -> float:
    """What the parts of the sample say about the bias of the whole."""
    labels = torch.from_numpy(y) if y.ndim == 1 and y.dtype.kind == "i" else None
    return subsampling_errors(
        lambda part: mutual_information(x[part.numpy()], y[part.numpy()], std_error=False).nats, N, 3, labels
    )[1]


def null_p_value(kind: str, seed: int) -> float:
    generator = np.random.default_rng([18, seed])
    x = torch.from_numpy(generator.normal(size=(NULL_N, 3)))
    if kind == "labels":
        y = torch.from_numpy(generator.integers(4, size=NULL_N))
        distances = pairwise_distances(x, "euclidean")
        value = ross(distances, y, 3)
        null = permutation_null(lambda order: ross(distances, y[order], 3), NULL_N, PERMUTATIONS, seed)
    else:
        y = torch.from_numpy(generator.normal(size=(NULL_N, 1)))
        dx, dy = (standardized_distances(block, "euclidean", "block") for block in (x, y))
        value = ksg1(dx, dy, 3)
        null = permutation_null(lambda order: ksg1(dx, dy.subset(order), 3), NULL_N, PERMUTATIONS, seed)
    return p_value(value, null)


def uniformity(kind: str, draws: int) -> dict[str, object]:
    values = [null_p_value(kind, seed) for seed in range(draws)]
    # Values are multiples of 1/100; a draw inside its step makes them continuous without favour.
    jitter = np.random.default_rng(19).uniform(size=draws) / (PERMUTATIONS + 1)
    test = scipy.stats.kstest(np.array(values) - jitter, "uniform")
    return {
        "case": f"p-value without information, {kind}",
        "n": NULL_N,
        "draws": draws,
        "permutations": PERMUTATIONS,
        "below_05": statistics.fmean(value <= 0.05 for value in values),
        "ks_statistic": float(test.statistic),
        "ks_p": float(test.pvalue),
    }


def main() -> None:
    """Measure every case and print what was found."""
    parser = argparse.ArgumentParser(description="Coverage of the 95 % interval")
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    torch.set_num_threads(1)
    rows = []
    for name in CASES:
        rows.append(coverage(name, draws))
        print(
            " ".join(f"{k}={v:.4f}" if isinstance(v, float) else str(v) for k, v in rows[-1].items()),
            flush=True,
        )
    for kind in ("labels", "floats"):
        rows.append(uniformity(kind, draws))
        print(
            " ".join(f"{k}={v:.4f}" if isinstance(v, float) else str(v) for k, v in rows[-1].items()),
            flush=True,
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
