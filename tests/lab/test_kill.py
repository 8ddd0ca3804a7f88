"""A real process, really killed. studies/kill_and_resume does the same a hundred times, to all commands."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

KILLS = 3


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [
        sys.executable,
        "-m",
        "infopace.cli",
        "train",
        "digits",
        "--epochs",
        "4",
        "--bounds",
        "workload",
        "--threads",
        "1",
        "--out",
        out,
    ]
    with open(folder / f"{out}.log", "ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


@pytest.mark.slow
def test_killed_at_random_instants_it_ends_with_the_same_numbers(tiny: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    assert start(tmp_path, "whole").wait(timeout=300) == 0, (tmp_path / "whole.log").read_text()
    duration = time.monotonic() - began

    seed = random.randrange(2**32)  # printed where the test fails
    instants = [random.Random(seed).uniform(0.2, 1.0) * duration for _ in range(KILLS)]
    killed = 0
    for instant in instants:
        process = start(tmp_path, "cut")
        time.sleep(instant)
        process.send_signal(signal.SIGKILL)
        killed += process.wait(timeout=60) == -signal.SIGKILL
    print(f"seed {seed}: {killed} of {KILLS} kills came before the end, at {instants} of {duration} s")

    assert start(tmp_path, "cut").wait(timeout=300) == 0, (tmp_path / "cut.log").read_text()
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")
    assert not list((tmp_path / "cut").glob(".*.tmp"))
