"""Neighbour trees against blocks of distances: equal values at n = 20,000, seconds up to n = 1,000,000.

    python benchmarks/estimators/tree.py [--rows 20000 1000000] [--widths 1 3 10] [--out FILE]

Normal rows. Labels: 10 classes, whose centres are standard normal draws. Continuous targets: one column, the
first of x plus noise half as large. A line a measurement: wall seconds, processor seconds (of all threads),
and the blocked path's value and seconds up to n = 20,000. On a busy machine the processor seconds say more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import scipy
import torch
from torch import Tensor

from infopace.estimators._distances import pairwise_distances
from infopace.estimators._ksg import ksg1
from infopace.estimators._ross import ross
from infopace.estimators._scale import standardized_distances
from infopace.estimators._tree import tree_ksg1, tree_ross

NEIGHBOURS = 3
# Blocks of distances take time as n^2: at a million rows 2,500 times as long as at 20,000.
MOST_BLOCKED = 20_000


def samples(n: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (n,), generator=generator)
    x = torch.randn(n, width, generator=generator, dtype=torch.float64)
    centres = torch.randn(10, width, generator=generator, dtype=torch.float64)
    y = x[:, :1] + 0.5 * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return x + centres[labels], y + centres[labels][:, :1], labels


def timed(compute: Callable[[], float]) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    nats = compute()
    return {
        "nats": nats,
        "seconds": round(time.perf_counter() - wall, 3),
        "processor_seconds": round(time.process_time() - processor, 3),
    }


def blocked(estimator: str, x: Tensor, y: Tensor, labels: Tensor, norm: str) -> float:
    if estimator == "ross":
        return ross(pairwise_distances(x, norm), labels, NEIGHBOURS)
    dx, dy = (standardized_distances(block, norm, "block") for block in (x, y))
    return ksg1(dx, dy, NEIGHBOURS)


def by_tree(estimator: str, x: Tensor, y: Tensor, labels: Tensor, norm: str) -> float:
    if estimator == "ross":
        return tree_ross(x, labels, NEIGHBOURS, norm)
    return tree_ksg1(x, y, NEIGHBOURS, norm, "block")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 1_000_000])
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--norms", nargs="+", default=["euclidean", "chebyshev"])
    parser.add_argument("--estimators", nargs="+", default=["ross", "ksg1"])
    parser.add_argument("--out", type=Path, default=Path("results/estimators_tree.jsonl"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for n in arguments.rows:
        for width in arguments.widths:
            x, y, labels = samples(n, width)
            for estimator in arguments.estimators:
                for norm in arguments.norms:
                    row = {
                        "estimator": estimator, "norm": norm, "n": n, "width": width, "k": NEIGHBOURS,
                        "tree": timed(partial(by_tree, estimator, x, y, labels, norm)),
                    }  # fmt: skip
                    if n <= MOST_BLOCKED:
                        row["blocked"] = timed(partial(blocked, estimator, x, y, labels, norm))
                        row["equal"] = row["blocked"]["nats"] == row["tree"]["nats"]
                    row |= {
                        "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1),
                        "python": platform.python_version(), "torch": torch.__version__,
                        "scipy": scipy.__version__, "machine": platform.machine(),
                    }  # fmt: skip
                    print(json.dumps(row), flush=True)
                    with arguments.out.open("a") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
