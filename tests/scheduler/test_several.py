"""Several optimizers under one scheduler that do not step alike, and groups that are added to one of them."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe
from infopace.probe import Measuring

from ..small_run import data, same


class Two:
    """A body and a head, each with an optimizer of its own, the body's first in the list."""

    def __init__(self, *, extra: bool = False) -> None:
        torch.manual_seed(0)
        self.body, self.head, self.extra = nn.Linear(8, 16), nn.Linear(16, 4), nn.Linear(4, 4)
        self.model = nn.Sequential(self.body, nn.ReLU(), self.head, self.extra)
        self.optimizers = [AdamW(self.body.parameters(), lr=1e-2), AdamW(self.head.parameters(), lr=1e-3)]
        if extra:
            self.add()
        inputs, labels = data()
        self.scheduler = MutualInformationLR(
            self.optimizers,
            self.model,
            Probe(inputs[:200], labels[:200]),
            Bounds(1e-4, 1e-2),
            HoldAndDecay(steps=200),
            every=10,
            measuring=Measuring(std_error=False),
        )

    def add(self) -> None:
        self.optimizers[0].add_param_group({"params": list(self.extra.parameters()), "lr": 1e-2})

    def step(self, *places: int) -> None:
        inputs, labels = data()
        self.model.zero_grad()
        nn.functional.cross_entropy(self.model(inputs[:50]), labels[:50]).backward()
        for place in places:
            self.optimizers[place].step()

    @property
    def rates(self) -> list[list[float]]:
        return [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]


@pytest.mark.parametrize(
    ("order", "steps"),
    [
        ([(0, 1)], 200),
        ([(1, 0)], 200),
        ([(0,)], 200),  # the other does not step at all
        ([(1,)], 200),
        ([(0,), (0,), (0, 1)], 200),  # as a GAN's: three steps of the one, then one of the other
        ([(1,), (1,), (1, 0)], 200),
        ([(0, 1), (1,)], 200),
    ],
)
def test_steps_are_those_of_the_optimizer_that_takes_most(order: list[tuple[int, ...]], steps: int) -> None:
    two = Two()
    for step in range(steps + 2):
        if step == steps - 2:
            assert not two.scheduler.finished
        two.step(*order[step % len(order)])
    assert two.scheduler.finished
    assert [max(rates) for rates in two.rates] == pytest.approx([1e-4, 1e-5])


def test_a_step_without_the_last_optimizer_is_rolled_back_whole() -> None:
    two = Two(extra=True)
    for _ in range(40):
        two.step(0)
    two.step(0)  # begins the second unit: the first was over with the step before
    kept = copy.deepcopy(two.model.state_dict())
    two.scheduler.roll_back("to see what was kept")
    assert len(two.scheduler.history["output"]) == 2
    assert not same(two.model.state_dict(), kept)
    again = Two(extra=True)
    for _ in range(40):
        again.step(0)
    assert same(two.model.state_dict(), again.model.state_dict())


def test_a_group_that_is_added_to_the_first_optimizer_gets_its_own_rate() -> None:
    two = Two()
    for _ in range(15):
        two.step(0, 1)
    two.add()
    two.step(0, 1)
    first, second, last = two.rates[0][0], two.rates[1][0], two.rates[0][1]
    assert last == first == pytest.approx(10 * second)
    assert two.scheduler.get_last_lr() == pytest.approx([first, second, last])


def test_a_run_with_such_a_group_resumes_where_it_is_there_from_the_start() -> None:
    whole, second = Two(), Two(extra=True)
    for _ in range(15):
        whole.step(0, 1)
    whole.add()
    for _ in range(50):
        whole.step(0, 1)
    file = io.BytesIO()
    parts = [whole.model, *whole.optimizers, whole.scheduler]
    torch.save([part.state_dict() for part in parts], file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    for part, state in zip([second.model, *second.optimizers, second.scheduler], states, strict=True):
        part.load_state_dict(state)
    assert second.rates == whole.rates
    for _ in range(100):
        whole.step(0, 1)
        second.step(0, 1)
        assert second.rates == whole.rates
    assert same(second.scheduler.state_dict(), whole.scheduler.state_dict())
    assert second.scheduler.explain() == whole.scheduler.explain()
