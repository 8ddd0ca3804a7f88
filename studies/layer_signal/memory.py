"""The memory of one estimate by each signal, each in a process of its own. Rows: results/layer_signal_memory.jsonl"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import time

import torch

from studies.layer_signal.signals import ALL, SLOW
from studies.shared.rows import RESULTS, read

WIDTHS = (64, 2_048, 16_384)
EXAMPLES = 1_000
ROWS = RESULTS / "layer_signal_memory.jsonl"


def main() -> None:
    """A row for each signal and width: the most memory above that of the data, and the processor seconds."""
    if len(sys.argv) > 1:
        print(json.dumps(one(sys.argv[1], int(sys.argv[2]))))
        return
    done = {(row["signal"], row["width"]) for row in read(ROWS)}
    for width, signal in itertools.product(WIDTHS, ALL):
        if (signal, width) in done or (signal == SLOW and width == WIDTHS[-1]):
            continue
        command = [sys.executable, "-m", "studies.layer_signal.memory", signal, str(width)]
        row = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        with open(ROWS, "a") as file:
            file.write(row)
        print(row, end="", flush=True)


def one(signal: str, width: int) -> dict[str, float | str]:
    """One estimate of ten classes in float32 columns."""
    torch.set_num_threads(1)
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(EXAMPLES) % 10
    values = (
        torch.randn(EXAMPLES, width, generator=draws) + torch.randn(10, width, generator=draws)[labels] / 8
    )
    ALL[signal](values[:100, :50], labels[:100])  # what is loaded at the first call
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    ALL[signal](values, labels)
    seconds = time.process_time() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "signal": signal,
        "width": width,
        "megabytes": round((most - before) / 1024, 1),
        "seconds": round(seconds, 3),
    }


if __name__ == "__main__":
    main()
