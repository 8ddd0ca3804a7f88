"""A real process, really killed while it tracks: TensorBoard's files, and a package of wandb's form that writes one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
EPOCHS = 5


def start(folder: Path) -> subprocess.Popen[bytes]:
    (folder / "packages").mkdir(exist_ok=True)
    (folder / "packages" / "wandb.py").write_text(WANDB)
    path = [str(folder / "packages"), *(p for p in sys.path if p)]
    options = ["--bounds", "workload", "--threads", "1", "--out", "cut", "--track", "tensorboard", "wandb"]
    command = [sys.executable, "-m", "infopace.cli", "train", "digits", "--epochs", str(EPOCHS), *options]
    with open(folder / "log", "ab") as log:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def rows(folder: Path) -> int:
    path = folder / "cut" / "epochs.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_and_resumed_it_has_each_epoch_once(tmp_path: Path) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 300
    while rows(tmp_path) < 4:  # epochs 0 to 3
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert start(tmp_path).wait(timeout=300) == 0, (tmp_path / "log").read_text()

    steps = list(range(EPOCHS + 1))
    found = scalars(accumulator(tmp_path / "cut"))
    assert [step for step, _ in found["test_accuracy"]] == steps
    assert [step for step, _ in found["lr"]] == steps[1:]

    (server,) = (tmp_path / "cut").glob("server-*.jsonl")
    kept = [json.loads(line) for line in server.read_text().splitlines()]
    trained = [json.loads(line) for line in (tmp_path / "cut" / "epochs.jsonl").read_text().splitlines()]
    assert kept == [[row["epoch"], row["test"]] for row in trained]
