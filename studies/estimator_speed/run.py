"""Seconds and memory of one estimate, ours and others; see README.md. Rows: results/estimators_speed.jsonl

Every cell runs in a process of its own, after a small call that warms it up. Seconds are the least of three times, or
the only one where it takes over 5 s. Memory is the peak of the process, and how much of it came during the call.
Trees stop at d = 10,000. They are "not run" beyond that, as is everything that exceeds the time limit. Several numbers
of examples make a table each.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).resolve().parents[2] / "results" / "estimators_speed.jsonl"
OURS = "ours"
METHODS = (
    OURS, "ours, error bar", "ours, Chebyshev", "ours, auto",
    "scikit-learn KDTree", "scikit-learn BallTree", "scipy cdist", "torch.cdist", "infomeasure", "NPEET",
    "scikit-learn",
)  # fmt: skip
TREES = ("scikit-learn KDTree", "scikit-learn BallTree", "infomeasure", "NPEET")
MOST_TREE_WIDTH = 10_000
TARGETS = ("labels", "floats")


def estimator(name: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """The method by its name; packages are imported here, so that each process holds only its own."""
    if name.startswith(OURS):
        from infopace import mutual_information

        options = {
            "norm": "chebyshev" if "Chebyshev" in name else "euclidean",
            "std_error": "error bar" in name,
        }

        def ours(x: np.ndarray, y: np.ndarray) -> float:
            # For two vectors "auto" chooses another estimator than the others, which takes longer.
            same = "ross" if y.ndim == 1 else "ksg1"
            return mutual_information(x, y, estimator="auto" if "auto" in name else same, **options).nats

        return ours
    import peers

    if name == "scipy cdist":
        return partial(peers.with_matrix, peers.scipy_matrix)
    if name == "torch.cdist":
        return partial(peers.with_matrix, peers.torch_matrix)
    if name == "infomeasure":
        return peers.infomeasure_ksg
    if name == "NPEET":
        return peers.npeet
    if name == "scikit-learn":
        return peers.column_of_scikit_learn
    from sklearn.neighbors import BallTree, KDTree

    return partial(peers.with_tree, KDTree if name.endswith("KDTree") else BallTree)


def sample(n: int, width: int, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Ten normal classes; or a normal block that shares its first column with a scalar target."""
    generator = np.random.default_rng(width)
    x = generator.normal(size=(n, width))
    if target == "labels":
        y = np.arange(n) % 10
        x += (generator.normal(size=(10, width)) * (3 / width**0.5))[y]
        return x, y
    y = x[:, :1] + generator.normal(size=(n, 1))
    # Unit columns, so that all methods with one norm give one value.
    return (x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0)


def measure(name: str, target: str, n: int, width: int) -> dict[str, object]:
    run = estimator(name)
    run(*sample(60, 3, target))
    x, y = sample(n, width, target)
    before = resident_mb()
    seconds, cpu, nats = [], [], 0.0
    while len(seconds) < 3 and (not seconds or seconds[0] < 5):
        start, start_cpu = time.perf_counter(), time.process_time()
        nats = run(x, y)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": min(seconds),
        "cpu_seconds": min(cpu),
        "nats": nats,
        "peak_mb": peak,
        "call_mb": max(0.0, peak - before),
    }


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cell(name: str, target: str, n: int, width: int, threads: int, limit: float) -> dict[str, object]:
    """One measurement in its own process, or why there is none."""
    if name == "infomeasure" and target == "labels":
        return {"not_run": "no vector x label estimator"}
    if name == "scikit-learn" and width > 1:
        return {"not_run": "one column at a time"}
    if name in TREES and width > MOST_TREE_WIDTH:
        return {"not_run": f"trees stop at d = {MOST_TREE_WIDTH:,}"}
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    command = [sys.executable, __file__, "--cell", name, target, str(n), str(width)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"not_run": f"over {limit:g} s"}
    if done.returncode:
        return {"not_run": (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def show(rows: list[dict]) -> None:
    for target in TARGETS:
        print(f"\n{target}: seconds (times ours) and MB during the call")
        widths = list(dict.fromkeys(row["d"] for row in rows))
        print(f"{'':22}" + "".join(f"{f'd = {width:,}':>26}" for width in widths))
        for name in dict.fromkeys(row["method"] for row in rows):
            cells = ""
            for width in widths:
                at = {row["method"]: row for row in rows if row["d"] == width and row["target"] == target}
                row, own = at.get(name, {}), at.get(OURS, {})
                text = "not run"
                if "seconds" in row:
                    ratio = f"({row['seconds'] / own['seconds']:.1f}x)" if "seconds" in own else ""
                    text = f"{row['seconds']:.3f} {ratio} {row['call_mb']:.0f} MB"
                cells += f"{text:>26}"
            print(f"{name:22}{cells}")


def main() -> None:
    """Measure every cell, write the rows, print the table."""
    parser = argparse.ArgumentParser(description="Seconds and memory of one estimate")
    parser.add_argument("--cell", nargs=4, metavar=("METHOD", "TARGET", "N", "D"), help="one cell, as JSON")
    parser.add_argument("--n", type=int, nargs="+", default=[1000])
    parser.add_argument("--widths", type=int, nargs="+", default=[10, 100, 1000, 10_000, 100_000])
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--limit", type=float, default=900.0, help="seconds a cell may take, its three calls together"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.cell:
        name, target, n, width = arguments.cell
        print(json.dumps(measure(name, target, int(n), int(width))))
        return
    packages = ("torch", "numpy", "scipy", "scikit-learn", "infomeasure", "npeet-plus")
    versions = {package: installed(package) for package in packages}
    about = {
        "threads": arguments.threads,
        "machine": platform.processor() or platform.machine(),
        "versions": versions,
    }
    arguments.out.parent.mkdir(exist_ok=True)
    rows = []
    cells = itertools.product(arguments.n, arguments.widths, arguments.targets, arguments.methods)
    for n, width, target, name in cells:
        found = cell(name, target, n, width, arguments.threads, arguments.limit)
        rows.append({"method": name, "target": target, "n": n, "d": width, **found})
        print(rows[-1], flush=True)
        # A run cut short keeps what it has.
        arguments.out.write_text("".join(json.dumps(row | about) + "\n" for row in rows))
    for n in arguments.n:
        print(f"\nn = {n:,}")
        show([row for row in rows if row["n"] == n])


def installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
