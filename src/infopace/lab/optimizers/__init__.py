"""Optimizers of baselines that no sound package provides."""

from __future__ import annotations

from infopace.lab.optimizers._dog import DoG as DoG
from infopace.lab.optimizers._l4 import L4Mom as L4Mom
from infopace.lab.optimizers._yamadam import YamAdam as YamAdam
