"""Where our KSG and benchmark-mi's differ at equal settings: whose count is right? See README.md.

Floats are fractions, and so is every squared distance over an exact variance. A comparison that rounding could decide
is made in whole numbers, and all others in floats. For the rows with such a comparison three more counts are made:
ours; the peer's, by its formula with scikit-learn's distances; and the same formula with distances of differences.
The peer's counts together must give the value that it gave.
"""

import argparse
import json
import pathlib
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.special import digamma
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import StandardScaler

import infopace
from infopace.estimators import ksg1_counts, standardized_distances

Norm = Literal["euclidean", "chebyshev"]
NORMS: tuple[Norm, ...] = ("euclidean", "chebyshev")
NEIGHBOURS = (3, 5, 10)
CHUNK = 50  # rows at a time: small enough for the processor's own memory
EQUAL = 1e-9  # nats; the bar


class Exact:
    """Squared distances of the rows of a sample over its exact variances, as fractions."""

    def __init__(self, blocks: tuple[np.ndarray, ...], norm: Norm) -> None:
        self._blocks = [[[Fraction(float(v)) for v in column] for column in block.T] for block in blocks]
        self._variances = [[_variance(column) for column in block] for block in self._blocks]
        self._sum = norm == "euclidean"

    def square(self, block: int, i: int, j: int) -> Fraction:
        columns = zip(self._blocks[block], self._variances[block], strict=True)
        squares = [(column[i] - column[j]) ** 2 / variance for column, variance in columns]
        return sum(squares, Fraction()) if self._sum else max(squares)


def _variance(column: list[Fraction]) -> Fraction:
    mean = sum(column, Fraction()) / len(column)
    return sum(((value - mean) ** 2 for value in column), Fraction()) / len(column)


def explain(x: np.ndarray, y: np.ndarray, norm: Norm, recorded: dict[int, float]) -> dict:
    """Values and rows of one sample at one norm, for each k."""
    scaled = [StandardScaler().fit_transform(block) for block in (x, y)]
    counts, open_rows = exact_counts((x, y), scaled, norm)
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    of_x, of_y = (standardized_distances(block, norm, "columns") for block in tensors)
    result: dict = {"norm": norm, "k": {}}
    for k in NEIGHBOURS:
        exact, peer = counts[k], counts[k].copy()
        cases, plain_wrong = [], 0
        for i in open_rows[k]:
            ours = [int(found) for found in ksg1_counts(of_x, of_y, k, i, i + 1)[1:]]
            peer[i] = formula(
                [pairwise_distances(block[i : i + 1], block, metric=norm) for block in scaled], k
            )
            plain_wrong += (
                formula([cdist(block[i : i + 1], block, norm) for block in scaled], k) != exact[i].tolist()
            )
            if not exact[i].tolist() == ours == peer[i].tolist():
                row = {"row": i, "exact": exact[i].tolist(), "ours": ours, "peer": peer[i].tolist()}
                cases.append(row)
        nats = infopace.mutual_information(
            *tensors, k=k, norm=norm, estimator="ksg1", standardize="columns", std_error=False
        ).nats
        result["k"][k] = {
            "gap": abs(max(0.0, nats) - recorded[k]),
            "reproduced": abs(value(peer, k) - recorded[k]),
            "ours_to_exact": abs(max(0.0, nats) - value(exact, k)),
            "open_rows": len(open_rows[k]),
            "plain_wrong": plain_wrong,
            "cases": cases,
        }
    return result


def exact_counts(
    blocks: tuple[np.ndarray, ...], scaled: list[np.ndarray], norm: Norm
) -> tuple[dict[int, np.ndarray], dict[int, list[int]]]:
    """For each k: n_x and n_y (n, 2) of every row, and the rows of which rounding could decide a comparison."""
    exact, n = Exact(blocks, norm), len(blocks[0])
    counts = {k: np.empty((n, 2), int) for k in NEIGHBOURS}
    open_rows: dict[int, list[int]] = {k: [] for k in NEIGHBOURS}
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        distances = [cdist(block[rows], block, norm) for block in scaled]
        line = np.arange(len(distances[0]))
        for block in distances:
            block[line, line + start] = np.inf
        joint = np.maximum(*distances)
        ordered = np.partition(joint, [k - 1 for k in NEIGHBOURS], axis=1)
        for k in NEIGHBOURS:
            radius = ordered[:, k - 1 : k]
            margin = rounding([block[rows] for block in scaled], radius)
            inside = np.stack([np.count_nonzero(d < radius - margin, axis=1) for d in distances], 1)
            within = np.stack([np.count_nonzero(d <= radius + margin, axis=1) for d in distances], 1)
            counts[k][rows] = inside
            # One open comparison is the k-th neighbour with itself, which is not strictly nearer.
            for i in np.flatnonzero((within - inside).sum(1) > 1).tolist():
                low, high, row = radius[i] - margin[i], radius[i] + margin[i], start + i
                near = np.flatnonzero((joint[i] >= low) & (joint[i] <= high)).tolist()
                rank = k - np.count_nonzero(joint[i] < low)
                limit = sorted(max(exact.square(b, row, j) for b in (0, 1)) for j in near)[rank - 1]
                for b in (0, 1):
                    undecided = np.flatnonzero((distances[b][i] >= low) & (distances[b][i] <= high)).tolist()
                    counts[k][row, b] += sum(exact.square(b, row, j) < limit for j in undecided)
                open_rows[k].append(row)
    return counts, open_rows


def rounding(rows: list[np.ndarray], radius: np.ndarray) -> np.ndarray:
    """An upper bound on the rounding error of a distance near the radius of each row.

    A coordinate z errs by some 2^-53 |z|, a square by the matrix product by some 2^-53 (|a|^2 + |b|^2).
    """
    largest = np.maximum(*[np.sqrt(np.square(block).sum(1, keepdims=True)) for block in rows]) + radius
    width = max(block.shape[1] for block in rows)
    return 1e-9 * radius + 2.0**-49 * (4 + width) * (largest + largest**2 / np.maximum(radius, 1e-12))


def formula(distances: list[np.ndarray], k: int) -> list[int]:
    """The peer's counts of one row from its distances to all, itself among them."""
    radius = np.sort(np.maximum(*distances)[0])[k]
    return [int((d < radius).sum()) - 1 for d in distances]


def value(counts: np.ndarray, k: int) -> float:
    return max(0.0, float(digamma(k) + digamma(len(counts)) - digamma(counts + 1).sum(1).mean()))


def summary(rows: list[dict]) -> None:
    for norm in NORMS:
        settings = [found for row in rows if row["norm"] == norm for found in row["k"].values()]
        cases = [case for found in settings for case in found["cases"]]
        print(
            f"{norm}: {len(settings)} settings; its formula gives its value to "
            f"{max(found['reproduced'] for found in settings):.0e}; equal to ours to {EQUAL:g}: "
            f"{sum(found['gap'] <= EQUAL for found in settings)}; rows that differ: {len(cases)}, ours right in "
            f"{sum(case['ours'] == case['exact'] for case in cases)}, the peer in "
            f"{sum(case['peer'] == case['exact'] for case in cases)}; ours to the exact counts' value: "
            f"{max(found['ours_to_exact'] for found in settings):.0e}; rows decided in fractions: "
            f"{sum(found['open_rows'] for found in settings)}, of these wrong with distances from differences: "
            f"{sum(found['plain_wrong'] for found in settings)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=pathlib.Path, default=pathlib.Path("samples"))
    parser.add_argument("--values", type=pathlib.Path, default=pathlib.Path("results/bmi.jsonl"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results/bmi_gaps.jsonl"))
    parser.add_argument(
        "--least", type=float, default=0.0, help="only samples whose recorded gap is above this"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    done = {(row["task"], row["norm"]) for row in rows}
    for recorded in map(json.loads, args.values.read_text().splitlines()):
        if recorded["suite"] != "list" or recorded["ksg_gap"] < args.least:
            continue
        sample = np.load(args.samples / "list" / f"{recorded['task']}.npz")
        for norm in NORMS:
            if (recorded["task"], norm) not in done:
                values = {k: recorded[f"ksg_{norm}_{k}"] for k in NEIGHBOURS}
                found = explain(sample["x"], sample["y"], norm, values)
                if max(each["reproduced"] for each in found["k"].values()) > EQUAL:
                    # The samplers multiply matrices in float32: other processors, other last bits.
                    print(f"{recorded['task']}: not the sample its values are of, left out", flush=True)
                    continue
                rows.append({"task": recorded["task"], "name": recorded["name"]} | found)
                with args.out.open("a") as stream:
                    stream.write(json.dumps(rows[-1]) + "\n")
    summary(rows)


if __name__ == "__main__":
    main()
