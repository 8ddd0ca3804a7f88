"""Traces of information, and what `HoldAndDecay` decides along them."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from infopace import Bounds, HoldAndDecay
from infopace.policies import HeldOut, simulate

from .every import moves

BOUNDS = Bounds(1e-3, 0.3, 0.1, epsilon=0.01)
HOLD = math.sqrt(0.1 * 0.3)
REFERENCE = 2.3
# Values that are apart or equal: what is significant must not depend on the last bits of sums.
TRACES = st.lists(st.integers(-1000, 24_000).map(lambda i: i / 10_000), min_size=1, max_size=40)


def rates(
    policy: HoldAndDecay, trace: list[float], bounds: Bounds = BOUNDS, held_out: HeldOut | None = None
) -> list[float]:
    found = simulate(policy, trace, reference=REFERENCE, bounds=bounds, held_out=held_out)
    return [decision.lr for decision in found]


def moved(policy: HoldAndDecay, trace: list[float], held_out: HeldOut | None = None) -> list[str]:
    return moves(simulate(policy, trace, reference=REFERENCE, bounds=BOUNDS, held_out=held_out))


def saturating(epochs: int, tau: float, noise: float = 0.0, seed: int = 0) -> list[float]:
    generator = np.random.default_rng(seed)
    return [2.25 * (1 - math.exp(-e / tau)) + noise * generator.standard_normal() for e in range(epochs)]


def spread(nats: list[float], scatter: float) -> HeldOut:
    """Held-out examples with these means, each of which scatters around them."""
    noise = np.random.default_rng(0).normal(0, scatter, (len(nats), 25))
    return HeldOut(np.asarray(nats)[:, None] + noise - noise.mean(1, keepdims=True))
