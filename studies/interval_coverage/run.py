"""Coverage of the 95 % interval, and uniformity of permutation p-values; see README.md.

The cases are in cases.py. For each case: how often `Estimate.interval` holds the true information, and how often value
+- 1.96 standard errors does. Beside it the two sides on which it is missed, the bias, the true spread, and the share of
samples with the caution "beyond-reach". Then p-values of samples without information, 99 permutations each, against the
uniform distribution (Kolmogorov-Smirnov), on two sets of seeds. Rows: results/coverage.jsonl, appended as they come;
of a case that was run again the last row counts.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import torch

from infopace import Estimate, mutual_information
from infopace.estimators import (
    ksg1,
    p_value,
    pairwise_distances,
    permutation_null,
    ross,
    standardized_distances,
)
from studies.interval_coverage.cases import CALIBRATED, CALIBRATED_HELD_OUT, HELD_OUT, KNOWN, Case

RESULTS = Path(__file__).resolve().parents[2] / "results" / "coverage.jsonl"
NULL_N, PERMUTATIONS = 200, 99
GROUPS: dict[str, dict[str, Case]] = {
    "known": KNOWN,
    "held out": HELD_OUT,
    "calibrated": CALIBRATED,
    "calibrated, held out": CALIBRATED_HELD_OUT,
}
# The second set is larger, to decide where the first looks odd.
P_VALUE_SETS = {18: 200, 21: 400}
Row = dict[str, Any]


def coverage(group: str, name: str, draws: int, seeds: int) -> Row:
    """How often the interval holds the truth."""
    case = GROUPS[group][name]
    estimates = [estimate(case, seeds, seed) for seed in range(draws)]
    values = [found.nats for found in estimates]
    ends = [found.interval for found in estimates]
    plain = [abs(found.nats - case.truth) <= 1.96 * found.std_error for found in estimates]
    return {
        "group": group,
        "case": name,
        "method": estimates[0].method,
        "n": case.n,
        "draws": draws,
        "seeds": seeds,
        "truth": case.truth,
        "mean": statistics.fmean(values),
        "bias": statistics.fmean(values) - case.truth,
        "spread": statistics.stdev(values),
        "std_error": math.sqrt(statistics.fmean(found.std_error**2 for found in estimates)),
        "bias_seen": statistics.fmean(found.bias for found in estimates),
        "bias_seen_spread": statistics.stdev(found.bias for found in estimates),
        "corrected_spread": statistics.stdev(found.nats - found.bias for found in estimates),
        "width": statistics.fmean(high - low for low, high in ends),
        "coverage": statistics.fmean(low <= case.truth <= high for low, high in ends),
        "truth_below": statistics.fmean(case.truth < low for low, _ in ends),
        "truth_above": statistics.fmean(case.truth > high for _, high in ends),
        "coverage_of_std_error": statistics.fmean(plain),
        "beyond_reach": statistics.fmean(
            any(caution.kind == "beyond-reach" for caution in found.warnings) for found in estimates
        ),
    }


def estimate(case: Case, seeds: int, seed: int) -> Estimate:
    return mutual_information(
        *case.draw(np.random.default_rng([seeds, seed]), case.n), estimator=case.estimator
    )


def null_p_value(kind: str, seeds: int, seed: int) -> float:
    generator = np.random.default_rng([seeds, seed])
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


def uniformity(kind: str, seeds: int, draws: int) -> Row:
    values = [null_p_value(kind, seeds, seed) for seed in range(draws)]
    # Values are multiples of 1/100. A uniform draw within the step makes them continuous.
    jitter = np.random.default_rng(19).uniform(size=draws) / (PERMUTATIONS + 1)
    test = scipy.stats.kstest(np.array(values) - jitter, "uniform")
    return {
        "group": "p-value",
        "case": f"{kind}, {draws} draws",
        "n": NULL_N,
        "draws": draws,
        "seeds": seeds,
        "permutations": PERMUTATIONS,
        "below_05": statistics.fmean(value <= 0.05 for value in values),
        "ks_statistic": float(test.statistic),
        "ks_p": float(test.pvalue),
    }


def keep(row: Row) -> None:
    """Append a row at once, so that a run that is cut short loses at most one."""
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(
        " ".join(f"{k}={v:.4f}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True
    )


def main() -> None:
    """Measure every case of the groups asked for."""
    parser = argparse.ArgumentParser(description="Coverage of the 95 % interval")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument(
        "--seeds", type=int, default=17, help="first number of the seeds (17, 0), (17, 1), ..."
    )
    parser.add_argument("--only", nargs="+", choices=[*GROUPS, "p-value"], default=[*GROUPS, "p-value"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for group in options.only:
        for name in GROUPS.get(group, {}):
            keep(coverage(group, name, options.draws, options.seeds))
    if "p-value" in options.only:
        for seeds, draws in P_VALUE_SETS.items():
            for kind in ("labels", "floats"):
                keep(uniformity(kind, seeds, draws))


if __name__ == "__main__":
    main()
