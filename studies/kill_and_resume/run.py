"""Twenty runs of digits, each killed once at a random instant and resumed: do they all end the same?

    python -m studies.kill_and_resume.run

One row a kill in results/kill_test.jsonl, after one of the run that nobody killed. The instants are spread
over the whole run, start-up and picture included: the i-th is uniform in the i-th of `kills` equal parts. A run that
ended before its instant is done again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infopace.lab.environment import versions
from infopace.lab.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "kill_test.jsonl"


def main() -> None:
    """Run the test, write its rows, and exit with 1 if an ending differs."""
    parser = argparse.ArgumentParser(description="Kill digits at random instants")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        began = time.monotonic()
        check(start(whole))
        duration = time.monotonic() - began
        expected = ending(whole)
        rows.append(
            {
                "kill": None,
                "seconds": round(duration, 2),
                "epoch": None,
                "checkpoint": None,
                "ending": expected,
            }
        )
        print(rows[-1], flush=True)
        for i in range(arguments.kills):
            out, died, instant = Path(scratch) / f"kill-{i}", False, 0.0
            while not died:
                # A run that was over before its instant shows nothing, but that runs have become faster.
                shutil.rmtree(out, ignore_errors=True)
                instant = (i + draw.random()) / arguments.kills * duration
                began = time.monotonic()
                process = start(out)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(instant)
                    duration = min(duration, time.monotonic() - began)
                process.send_signal(signal.SIGKILL)
                died = process.wait() == -signal.SIGKILL
            folder = RunFolder(out)
            written, kept = folder.read_rows(), folder.checkpoints()
            check(start(out))
            rows.append(
                {
                    "kill": i,
                    "seconds": round(instant, 2),
                    "epoch": written[-1]["epoch"] if written else None,
                    "checkpoint": int(kept[0].name[6:10]) if kept else None,
                    "ending": ending(out),
                }
            )
            print(rows[-1], flush=True)
    same = sum(row["ending"] == expected for row in rows[1:])
    print(f"{same} of {arguments.kills} endings are that of the run which was not killed")
    about = {
        "command": "infopace train digits --bounds workload --threads 1",
        "versions": versions(),
        "cores": os.cpu_count(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(json.dumps({**row, **about}) + "\n" for row in rows))
    sys.exit(same != arguments.kills)


def start(out: Path) -> subprocess.Popen[bytes]:
    """The command of the README, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "infopace.cli",
        "train",
        "digits",
        "--bounds",
        "workload",
        "--threads",
        "1",
        "--out",
        str(out),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def check(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run that must end well."""
    if process.wait() != 0:
        raise SystemExit(f"a run ended with exit code {process.returncode}")


def ending(out: Path) -> str:
    """A digest of every row but its seconds, and of the final weights, all bits."""
    folder = RunFolder(out)
    sha = hashlib.sha256()
    for row in folder.read_rows():
        sha.update(json.dumps({k: v for k, v in row.items() if k != "seconds"}, sort_keys=True).encode())
    state = folder.load_checkpoint(folder.checkpoints()[0])
    if state is None:
        raise SystemExit(f"the last checkpoint in {out} is corrupt")
    for name, weight in state["model"].items():
        sha.update(name.encode())
        sha.update(weight.numpy().tobytes())
    return sha.hexdigest()[:16]


if __name__ == "__main__":
    main()
