"""Several optimizers under one scheduler that do not step alike, and groups that are added to one of them."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe
from infopace.probe import Measuring

from ..small_run import data, same


class Two:
    """A body and a head, each with an optimizer of its own, the body's first in the list."""

    def __init__(
        self, *, extra: bool = False, rates: tuple[float, float] = (1e-2, 1e-3), **options: Any
    ) -> None:
        torch.manual_seed(0)
        self.body, self.head, self.extra = nn.Linear(8, 16), nn.Linear(16, 4), nn.Linear(4, 4)
        self.model = nn.Sequential(self.body, nn.ReLU(), self.head, self.extra)
        parts = zip((self.body, self.head), rates, strict=True)
        self.optimizers = [AdamW(part.parameters(), lr=rate) for part, rate in parts]
        if extra:
            self.add()
        inputs, labels = data()
        self.used: list[float] = []
        self.scheduler = MutualInformationLR(
            self.optimizers,
            self.model,
            Probe(inputs[:200], labels[:200]),
            **{"bounds": Bounds(1e-4, 1e-2), "policy": HoldAndDecay(steps=200), **options},
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
            self.place = place
            handle = self.optimizers[place].register_step_pre_hook(self.note)
            self.optimizers[place].step()
            handle.remove()

    def note(self, *_: Any) -> None:
        self.used.append(self.rates[self.place][0])

    @property
    def rates(self) -> list[list[float]]:
        return [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]


@pytest.mark.filterwarnings("ignore:optimizers must be listed in the order")
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


def test_an_order_that_is_not_that_of_the_steps_is_warned_of() -> None:
    two = Two()
    two.step(1, 0)
    two.step(1, 0)
    with pytest.warns(UserWarning, match="listed in the order in which they step, got a step of number 0"):
        two.step(1, 0)


@pytest.mark.parametrize("order", [[(0, 1), *4 * [(1,)]], [(0, 1), *4 * [(0,)]]])
def test_an_optimizer_that_skips_steps_takes_the_others_rate_in_trials(order: list[tuple[int, ...]]) -> None:
    """The first trial begins with step 0, the second with step 5, when both step again."""
    two = Two(bounds=None, extra=True, rates=(1e-2, 1e-2))
    for step in range(40):
        before = len(two.used)
        two.step(*order[step % len(order)])
        assert len(set(two.used[before:])) == 1, step


def test_a_trial_leaves_no_gradient_to_the_next_one() -> None:
    """It ends as the first optimizer begins its next step, with the gradients of weights that are put back."""
    two = Two(bounds=None, extra=True)
    first = copy.deepcopy(two.model.state_dict())
    for step in range(6):
        two.step(*((0, 1) if step % 2 == 0 and step < 4 else (0,)))
    assert same(two.model.state_dict(), first)
    two.step(0)
    assert not same(two.model.state_dict(), first)


@pytest.mark.parametrize("bounds", [None, Bounds(1e-4, 1e-2)])
@pytest.mark.parametrize("stop", [2, 4, 56, pytest.param(96, marks=pytest.mark.slow)])
def test_a_step_that_was_not_over_is_resumed(stop: int, bounds: Bounds | None) -> None:
    """Only the first has stepped when the state is taken."""
    orders = [(0, 1), (0,), (0,)]
    whole, again = Two(bounds=bounds, extra=True), Two(bounds=bounds, extra=True)
    for step in range(stop + 1):
        whole.step(*orders[step % 3])
    parts = [[one.model, *one.optimizers, one.scheduler] for one in (whole, again)]
    for new, old in zip(parts[1], copy.deepcopy([part.state_dict() for part in parts[0]]), strict=True):
        new.load_state_dict(old)
    for step in range(stop + 1, 140):
        whole.step(*orders[step % 3])
        again.step(*orders[step % 3])
        assert whole.rates == again.rates, step
    assert same(again.scheduler.state_dict(), whole.scheduler.state_dict())
    assert same(again.model.state_dict(), whole.model.state_dict())


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
