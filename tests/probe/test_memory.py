"""The probe holds one layer at a time."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WIDE = """
import resource, sys, torch
from torch import nn
from infopace import Probe
torch.set_num_threads(1)

class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1, 100_000))
    def forward(self, x):
        return x * self.weight

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Scale() for _ in range(int(sys.argv[1])))
        self.head = nn.Linear(4, 3)
    def forward(self, x):
        wide = x[:, :1]
        for layer in self.layers:
            wide = layer(wide)
        return self.head(x)

x, y = torch.randn(200, 4), torch.arange(200) % 3
Probe(x, y).measure(Wide())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(Probe(x, y).measure(Wide(), layers="all")["layers.1"].width)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_memory_is_bounded_by_one_layer() -> None:
    # Layers of 100,000 x 200 numbers, 80 MB each. Six more of them would be 480 MB, if they were kept.
    peaks = []
    for layers in ("2", "8"):
        run = [sys.executable, "-c", _WIDE, layers]
        width, peak = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
        assert int(width) == 100_000
        peaks.append(float(peak))
    assert abs(peaks[1] - peaks[0]) < 120
