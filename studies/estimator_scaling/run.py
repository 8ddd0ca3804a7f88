"""Time and memory against n, for blocks of distances; see README.md. Rows: results/estimators_scaling.jsonl

Each n runs once, in a process of its own. `peak_mb` is the most memory that the process held, data and torch included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

from infopace import mutual_information

RESULTS = Path(__file__).resolve().parents[2] / "results" / "estimators_scaling.jsonl"
TARGETS = ("labels", "floats")


def measure(target: str, n: int, width: int) -> dict[str, object]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, width, generator=generator)
    if target == "labels":
        y = torch.arange(n) % 10
        x += (torch.randn(10, width, generator=generator) * (3 / width**0.5))[y]
    else:
        y = x[:, :1] + torch.randn(n, 1, generator=generator)
    start, cpu = time.perf_counter(), time.process_time()
    estimate = mutual_information(x, y, std_error=False)
    return {
        "target": target,
        "n": n,
        "d": width,
        "method": estimate.method,
        "nats": estimate.nats,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure every n in its own process."""
    parser = argparse.ArgumentParser(description="Time and memory against n")
    parser.add_argument("--cell", nargs=3, metavar=("TARGET", "N", "D"), help="one measurement, as JSON")
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 2000, 5000, 10_000, 20_000, 50_000])
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.cell:
        target, n, width = arguments.cell
        print(json.dumps(measure(target, int(n), int(width))))
        return
    environment = dict(
        os.environ, OMP_NUM_THREADS=str(arguments.threads), MKL_NUM_THREADS=str(arguments.threads)
    )
    rows = []
    arguments.out.parent.mkdir(exist_ok=True)
    for n in arguments.rows:
        for target in TARGETS:
            command = [sys.executable, __file__, "--cell", target, str(n), str(arguments.width)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout) | {"threads": arguments.threads, "torch": torch.__version__})
            print("{target} n={n} d={d} {seconds:.2f} s ({cpu_seconds:.2f} s of processor) {peak_mb:.0f} MB"
                  .format(**rows[-1]), flush=True)  # fmt: skip
            # The last n takes the longest: what is there stays if it is cut short.
            arguments.out.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
