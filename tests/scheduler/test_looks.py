"""After the search a run looks whether a higher rate is better by now: on a network that is one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from infopace.model.trained import Trained
from infopace.scheduler._finding import Finding

EACH = torch.randn(200, generator=torch.Generator().manual_seed(0)).double()


class Course:
    """A network that is one number, its information: a step adds what the curve says of the rate."""

    def __init__(self, curve: Callable[[float], float], planned: int = 1400) -> None:
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        module = nn.Module()
        module.weight = self.weight
        self.curve, self.total = curve, 0
        optimizer = torch.optim.SGD([self.weight], lr=1.0)
        self.finding = Finding(0.1, planned, Trained(module, optimizer), self.measure)

    def measure(self) -> tuple[float, torch.Tensor] | None:
        nats = float(self.weight.detach())
        return (nats, nats + 0.1 * (EACH - EACH.mean())) if math.isfinite(nats) else None

    def train(self) -> None:
        """Steps until no trial runs."""
        while not self.finding.over:
            self.finding.before_step()
            with torch.no_grad():
                self.weight += self.curve(self.finding.rate)
            self.finding.after_step()
            self.total += 1


def hump(best: float) -> Callable[[float], float]:
    return lambda rate: 0.02 * math.exp(-((math.log10(rate / best) / 0.7) ** 2))


def test_a_look_raises_a_rate_that_was_found_too_low() -> None:
    course = Course(hump(0.1))
    course.train()
    found = course.finding.bounds.lr_max
    assert 0.03 <= found <= 0.1
    course.curve = hump(1.0)  # a warm network can use a higher rate
    assert course.finding.look(course.total)
    course.train()
    assert found * 1.5 < course.finding.bounds.lr_max <= 1.0
    assert "raised to lr" in course.finding.explain()
    before = float(course.weight.detach())
    course.curve = hump(0.01)
    if course.finding.look(2 * course.total):
        rate = course.finding.bounds.lr_max
        course.train()
        assert course.finding.bounds.lr_max == rate  # a look never lowers it
        assert "kept lr" in course.finding.explain()
    assert float(course.weight.detach()) >= before


def test_looks_come_as_the_steps_double_and_end_at_a_quarter_of_the_plan() -> None:
    course = Course(hump(0.1), planned=100_000)
    course.train()
    finding = course.finding
    assert not finding.look(course.total - 1)
    looked = [
        total for total in range(course.total, 40_000, 10) if finding.look(total) and course.train() is None
    ]
    assert len(looked) >= 3
    assert all(after >= 2 * before for before, after in pairwise(looked))
    assert looked[-1] <= 25_000
    assert finding._wasted <= 10_000


def test_a_look_whose_first_trial_diverges_goes_back_and_lowers_the_rate() -> None:
    course = Course(hump(0.1))
    course.train()
    rate, before = course.finding.bounds.lr_max, float(course.weight.detach())
    course.curve = lambda rate: math.inf
    assert course.finding.look(course.total)
    course.train()
    assert course.finding.bounds.lr_max < rate
    assert "lowered to lr" in course.finding.explain()
    assert float(course.weight.detach()) == before
