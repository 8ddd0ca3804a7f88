"""Processor time of imports and of help, beyond importing torch; see README.md. Rows: results/import_time.jsonl"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import torch

from infopace.lab.environment import hardware, versions

RESULTS = Path(__file__).resolve().parents[2] / "results" / "import_time.jsonl"
TORCH = ("-c", "import torch")
COMMANDS = {
    "import infopace": ("-c", "import infopace"),
    "infopace --version": ("-m", "infopace", "--version"),
    "infopace --help": ("-m", "infopace", "--help"),
    "infopace train --help": ("-m", "infopace", "train", "--help"),
}


def main() -> None:
    """Time every command and append a row each."""
    parser = argparse.ArgumentParser(description="What importing costs beyond torch")
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    alone: list[float] = []
    beyond: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        torch_only = seconds(TORCH)
        taken = {name: seconds(arguments) for name, arguments in COMMANDS.items()}
        if number:  # the first round compiles the modules
            alone.append(torch_only)
            for name in COMMANDS:
                beyond[name].append(taken[name] - torch_only)
    with open(RESULTS, "a") as file:
        for name, found in beyond.items():
            row = {
                "command": name,
                "rounds": rounds,
                "torch_s": round(statistics.median(alone), 3),
                "beyond_torch_s": [round(one, 3) for one in found],
                "versions": versions(),
                "hardware": hardware(torch.device("cpu")),
            }
            print(row, flush=True)
            file.write(json.dumps(row) + "\n")


def seconds(arguments: tuple[str, ...]) -> float:
    """Processor seconds of a process of Python, user and system."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        env={**environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
