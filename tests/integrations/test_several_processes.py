"""Two processes under each framework train at one learning rate."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

_SCRIPT = """
import json, os, sys, warnings
warnings.filterwarnings("ignore")
import torch
torch.set_num_threads(1)
from tests.integrations.ranks import {start} as start
print(json.dumps(start(sys.argv[1])), file=open(sys.argv[1] + "/rank" + os.environ["RANK"], "w"))
"""


def on_two(folder: Path, start: str) -> list[str]:
    """What a function of `ranks` gives in each of two processes, which know of one another as torchrun has it."""
    script = folder / "script.py"
    script.write_text(_SCRIPT.format(start=start))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    known |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
    known |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", "NODE_RANK": "0"}
    ran = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env={
                **os.environ,
                **known,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "ACCELERATE_USE_CPU": "1",
            },
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for one in ran:
            _, said = one.communicate(timeout=240)
            assert one.returncode == 0, said[-3000:]
    finally:
        for one in ran:
            one.kill()
    return [(folder / f"rank{rank}").read_text() for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["lightning", "transformers", "accelerate"])
def test_one_learning_rate_on_all(tmp_path: Path, framework: str) -> None:
    """With batch norm, whose averages differ between processes."""
    first, second = on_two(tmp_path, framework)
    assert first == second
    assert '"finding": false' in first
