"""A real process, really killed while it tracks: TensorBoard's files, and a package of wandb's form that writes one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .events import accumulator, scalars

# Keeps the newest epoch in memory until the next one comes: a kill loses it.
WANDB = """
import json, pathlib

class Run:
    def __init__(self, path):
        self.path, self.held = path, None
        known = path.read_text().splitlines() if path.exists() else []
        self.starting_step = json.loads(known[-1])[0] + 1 if known else 0

    def log(self, data, step):
        self.finish()
        self.held = [step, data["test_accuracy"]]

    def finish(self):
        if self.held is not None:
            with open(self.path, "a") as file:
                file.write(json.dumps(self.held) + "\\n")
        self.held = None

def init(*, project, name, config, resume, id, dir):
    return Run(pathlib.Path(dir) / f"server-{id}.jsonl")
"""
OWN = Path(__file__).parent.with_name("own.py")
EPOCHS, BATCHES = 5, 8


def start(folder: Path) -> int:
    """The command as a process of its own; how it ended."""
    (folder / "packages").mkdir(exist_ok=True)
    (folder / "packages" / "wandb.py").write_text(WANDB)
    path = [str(folder / "packages"), *(p for p in sys.path if p)]
    options = ["--bounds", "workload", "--threads", "1", "--out", "cut", "--track", "tensorboard", "wandb"]
    command = [
        sys.executable,
        "-m",
        "infopace.cli",
        "train",
        "own.py:MINE",
        "--epochs",
        str(EPOCHS),
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with open(folder / "log", "ab") as log:
        return subprocess.run(
            command, cwd=folder, env=environment, stdout=log, stderr=log, timeout=300
        ).returncode


def json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_killed_and_resumed_it_has_each_epoch_once(tmp_path: Path) -> None:
    shutil.copy(OWN, tmp_path)
    (tmp_path / "bomb").write_text(str(3 * BATCHES))
    assert start(tmp_path) == -signal.SIGKILL, (tmp_path / "log").read_text()
    (server,) = (tmp_path / "cut").glob("server-*.jsonl")
    assert [row["epoch"] for row in json_lines(tmp_path / "cut" / "epochs.jsonl")] == [0, 1, 2, 3]
    assert [epoch for epoch, _ in json_lines(server)] == [0, 1, 2]  # the last one was sent to it, and lost
    assert start(tmp_path) == 0, (tmp_path / "log").read_text()

    steps = list(range(EPOCHS + 1))
    found = scalars(accumulator(tmp_path / "cut"))
    assert [step for step, _ in found["test_accuracy"]] == steps
    assert [step for step, _ in found["lr"]] == steps[1:]

    trained = json_lines(tmp_path / "cut" / "epochs.jsonl")
    assert json_lines(server) == [[row["epoch"], row["test"]] for row in trained]
