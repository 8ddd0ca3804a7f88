"""A workload in a file of its own: processes that are started anew find it there."""

from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.optimizers import SGDRecipe as SGDRecipe  # for tests that change the recipe
from infopace.lab.tasks import ACCURACY, Task
from infopace.lab.workload import Data, Workload

# A file that kills the process which comes upon it, after the number of batches that it holds (none: the first). There
# is none in this folder, but a copy may have one beside it.
_BOMB = Path(__file__).with_name("bomb")
_batches = itertools.count()


def load() -> Data:
    """Three overlapping clouds in four dimensions, the same every time."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(180) % 3
    inputs = 2.0 * torch.eye(3, 4)[labels] + torch.randn(180, 4, generator=generator)
    return Data(inputs[:120], labels[:120], inputs[120:], labels[120:])


def build() -> nn.Module:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy; takes its process with it, once, where the bomb lies."""
    if _BOMB.exists() and next(_batches) >= int(_BOMB.read_text() or 0):
        _BOMB.unlink()
        os.kill(os.getpid(), 9)
    return F.cross_entropy(outputs, targets)


MINE = Workload(
    name="mine",
    summary="for tests",
    load=load,
    build_model=build,
    task=Task(loss, ACCURACY),
    bounds=Bounds(lr_min=0.001, lr_max=0.2, lr_top=0.1),
    epochs=3,
    batch_size=16,
    probe_size=120,  # all there is: on fewer rows the trials of a range test are long in agreeing
    levels=(0.5,),
)
WIDE = dataclasses.replace(
    MINE, name="wide", build_model=lambda: nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
)
