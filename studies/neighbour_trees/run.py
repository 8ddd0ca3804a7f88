"""Neighbour trees against blocks of distances: equal values, seconds and memory; see README.md.

The data are normal. Labels: 10 classes, whose centres are standard normal draws. Continuous targets: one column, the
first of x plus noise half as large. Seconds are of the wall clock and of all processor threads. Memory is the most that
was held beyond what was held before (Linux). Blocks of distances run up to --most-blocked examples. On a busy machine
the processor seconds say more. "cold_seconds" are the processor seconds of a first call on 100 examples, which
imports and compiles. --whole measures the whole call `mutual_information(x, y)`. Rows: results/estimators_tree.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from infopace import mutual_information
from infopace.estimators import (
    ksg1,
    pairwise_distances,
    ross,
    standardized_distances,
    tree_ksg1,
    tree_ross,
)

NEIGHBOURS = 3


def samples(n: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (n,), generator=generator)
    x = torch.randn(n, width, generator=generator, dtype=torch.float64)
    centres = torch.randn(10, width, generator=generator, dtype=torch.float64)
    y = x[:, :1] + 0.5 * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return x + centres[labels], y + centres[labels][:, :1], labels


def timed(compute: Callable[[], float]) -> dict[str, float]:
    forget_peak()
    before = memory("VmRSS")
    wall, processor = time.perf_counter(), time.process_time()
    nats = compute()
    return {
        "nats": nats,
        "seconds": round(time.perf_counter() - wall, 3),
        "processor_seconds": round(time.process_time() - processor, 3),
        "peak_mb": round((memory("VmHWM") - before) / 1024),
    }


def forget_peak() -> None:
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")


def memory(what: str) -> float:
    """Kilobytes, or not a number where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) for line in lines if line.startswith(what)), float("nan"))


def blocked(estimator: str, x: Tensor, y: Tensor, labels: Tensor, norm: str) -> float:
    if estimator == "ross":
        return ross(pairwise_distances(x, norm), labels, NEIGHBOURS)
    dx, dy = (standardized_distances(block, norm, "block") for block in (x, y))
    return ksg1(dx, dy, NEIGHBOURS)


def by_tree(estimator: str, x: Tensor, y: Tensor, labels: Tensor, norm: str, search: str) -> float:
    compiled = search == "numba"
    if estimator == "ross":
        return tree_ross(x, labels, NEIGHBOURS, norm, compiled)
    return tree_ksg1(x, y, NEIGHBOURS, norm, "block", compiled)


def whole_call(estimator: str, x: Tensor, y: Tensor, labels: Tensor, norm: str, std_error: bool) -> float:
    targets = labels if estimator == "ross" else y
    found = mutual_information(x, targets, k=NEIGHBOURS, norm=norm, estimator=estimator, std_error=std_error)
    return found.nats


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--norms", nargs="+", default=["euclidean"])
    parser.add_argument("--estimators", nargs="+", default=["ross", "ksg1"])
    parser.add_argument("--search", choices=["numba", "scipy"], default="numba")
    # Blocks of distances take time as n^2: for a million examples 10,000 times as long as for 10,000.
    parser.add_argument("--most-blocked", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--std-error", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/estimators_tree.jsonl"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    if arguments.whole and arguments.search == "scipy" and find_spec("numba"):
        parser.error("--whole takes numba's tree where numba is installed; uninstall it to measure scipy's")
    cold = time.process_time()
    x, y, labels = samples(100, 2)
    for estimator in arguments.estimators:
        by_tree(estimator, x, y, labels, "euclidean", arguments.search)
    cold = time.process_time() - cold
    for n in arguments.rows:
        for width in arguments.widths:
            x, y, labels = samples(n, width)
            for estimator in arguments.estimators:
                for norm in arguments.norms:
                    compute = partial(by_tree, estimator, x, y, labels, norm, arguments.search)
                    row: dict[str, object] = {
                        "search": arguments.search, "estimator": estimator, "norm": norm,
                        "n": n, "width": width, "k": NEIGHBOURS, "threads": arguments.threads,
                    }  # fmt: skip
                    if arguments.whole:
                        compute = partial(
                            whole_call, estimator, x, y, labels, norm, std_error=arguments.std_error
                        )
                        row |= {"whole_call": True, "std_error": arguments.std_error}
                    row["tree"] = tree = timed(compute)
                    if n <= arguments.most_blocked:
                        row["blocked"] = block = timed(partial(blocked, estimator, x, y, labels, norm))
                        row["equal"] = block["nats"] == tree["nats"]
                    row |= {
                        "cold_seconds": round(cold, 2), "cores": os.cpu_count(),
                        "load": round(os.getloadavg()[0], 1), "python": platform.python_version(),
                        "torch": torch.__version__, arguments.search: version(arguments.search),
                        "machine": platform.machine(),
                    }  # fmt: skip
                    print(json.dumps(row), flush=True)
                    with arguments.out.open("a") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
