"""The pacer: measured, decided and rolled back without an optimizer of torch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import jaxtyping
import pytest
import torch
from torch import nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Policy, Probe, Vasudevan2020
from infopace.probe import Measuring
from infopace.scheduler import Pacer, Snapshot

from ..small_run import BOUNDS, data, same


class ByHand:
    """Gradient descent with a learning rate of its own, and a snapshot of its weights."""

    def __init__(self, *, every: int | None = None, bounds: Bounds = BOUNDS, restores: bool = True) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        self.lr, self.lrs = math.nan, list[float]()
        self.kept: dict[str, torch.Tensor] = {}
        self.stepped = False
        inputs, labels = data()
        self.pacer = Pacer(
            self.model,
            Probe(inputs[:200], labels[:200]),
            bounds,
            HoldAndDecay(),
            apply=self.apply,
            snapshot=self if restores else None,
            every=every,
            measuring=Measuring(std_error=False),
        )

    def apply(self, rates: Mapping[str, float]) -> None:
        self.lr = rates["output"]
        self.lrs.append(self.lr)

    def train(self, steps: int) -> None:
        inputs, labels = data()
        for _ in range(steps):
            loss = nn.functional.cross_entropy(self.model(inputs), labels)
            gradients = torch.autograd.grad(loss, list(self.model.parameters()))
            with torch.no_grad():
                for weight, gradient in zip(self.model.parameters(), gradients, strict=True):
                    weight -= self.lr * gradient
            self.stepped = True

    @property
    def known(self) -> bool:
        return self.stepped

    def divergence(self) -> str | None:
        finite = all(bool(weight.isfinite().all()) for weight in self.model.parameters())
        return None if finite else "a weight is not finite"

    def keep(self) -> None:
        self.kept, self.stepped = copy.deepcopy(self.model.state_dict()), False

    def put_back(self) -> None:
        self.model.load_state_dict(self.kept)
        self.keep()


def test_it_decides_what_the_scheduler_decides() -> None:
    ours = ByHand()
    theirs = ByHand()
    optimizer = torch.optim.SGD(theirs.model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(
        optimizer,
        theirs.model,
        theirs.pacer._subject.probe,
        BOUNDS,
        HoldAndDecay(),
        measuring=Measuring(std_error=False),
    )
    inputs, labels = data()
    for _ in range(14):
        ours.train(5)
        ours.pacer.decide()
        for _ in range(5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(theirs.model(inputs), labels).backward()
            optimizer.step()
        scheduler.observe()
        scheduler.step()
    assert [taken["output"] for taken in ours.pacer.ledger.decided] == [
        taken[0] for taken in scheduler.decisions
    ]
    assert ours.lrs == [taken[0].lr for taken in scheduler.decisions]


def test_it_rolls_back_what_diverges() -> None:
    run = ByHand()
    assert isinstance(run, Snapshot)
    run.train(5)
    run.pacer.decide()
    weights, lr = copy.deepcopy(run.model.state_dict()), run.lr
    run.train(1)
    with torch.no_grad():
        next(run.model.parameters()).fill_(math.nan)
    run.pacer.decide()
    assert run.pacer.ledger.rolled_back == [2]
    assert same(run.model.state_dict(), weights)
    assert run.lr == lr / 2


def test_without_a_snapshot_what_diverges_is_an_error() -> None:
    run = ByHand(restores=False)
    run.train(1)
    with torch.no_grad():
        next(run.model.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match="the output"):
        run.pacer.decide()


def test_by_steps_it_measures_when_that_is_due() -> None:
    run = ByHand(every=20)
    for _ in range(30):
        run.train(4)
        run.pacer.decide(steps=4)
    assert len(run.pacer.ledger.history["output"]) == 4
    assert run.pacer.unit.steps == 0


def test_its_state_resumes() -> None:
    whole, first, second = ByHand(every=10), ByHand(every=10), ByHand(every=10)

    def train(run: ByHand, times: int) -> None:
        for _ in range(times):
            run.train(5)
            run.pacer.decide(steps=5)

    train(whole, 60)
    train(first, 25)
    second.model.load_state_dict(first.model.state_dict())
    second.pacer.load_state_dict(copy.deepcopy(first.pacer.state_dict()))
    assert second.lr == first.lr
    train(second, 35)
    assert same(second.pacer.state_dict(), whole.pacer.state_dict())
    assert same(second.model.state_dict(), whole.model.state_dict())


@pytest.mark.parametrize(("every", "steps"), [(None, 3), (20, None), (20, -1)])
def test_steps_that_do_not_fit(every: int | None, steps: int | None) -> None:
    with pytest.raises(ValueError, match=r"steps"):
        ByHand(every=every).pacer.decide(steps)


def making_targets(model: nn.Module, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """A forward that makes the targets: they are not known before it has run."""
    inputs, labels = batch
    return model(inputs), labels % 4


@pytest.mark.parametrize("makes_targets", [False, True])
@pytest.mark.parametrize(
    ("policy", "signal"), [(HoldAndDecay(), "usable"), (Vasudevan2020(epochs=3), "neighbours")]
)
def test_the_default_rule_reads_usable_information_and_published_ones_neighbours(
    policy: Policy, signal: str, makes_targets: bool
) -> None:
    torch.manual_seed(0)
    inputs, labels = data()
    probe = Probe(inputs[:200], labels[:200], forward=making_targets if makes_targets else None)
    pacer = Pacer(nn.Linear(8, 4), probe, BOUNDS, policy)
    assert pacer.measurement is not None
    assert pacer.measurement.output.estimate.choice.startswith(signal)
    # Positions have no distances to compare.
    tokens = Probe(inputs[:200], labels[:200, None].expand(-1, 3))
    pacer = Pacer(nn.Sequential(nn.Linear(8, 12), nn.Unflatten(1, (3, 4))), tokens, BOUNDS, policy)
    assert pacer.measurement is not None
    assert pacer.measurement.output.estimate.choice.startswith("usable")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"apply": 3}, "apply must be a function of learning rates by layer, got 3"),
        (
            {"snapshot": object()},
            "snapshot must have known, divergence, keep and put_back, see infopace.scheduler.Snapshot, got object",
        ),
    ],
)
def test_what_cannot_be_called_or_rolled_back(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of them first
    inputs, labels = data()
    with pytest.raises(TypeError) as error:
        Pacer(nn.Linear(8, 4), Probe(inputs[:200], labels[:200]), BOUNDS, **wrong)
    assert str(error.value) == message


def test_one_layer_may_be_given_without_a_list() -> None:
    inputs, labels = data()
    pacer = Pacer(nn.Linear(8, 4), Probe(inputs[:200], labels[:200]), BOUNDS, layers="output")
    assert list(pacer.rates()) == ["output"]


def test_a_reason_of_several_lines_is_explained_in_one() -> None:
    run = ByHand(every=10)
    run.train(5)
    run.pacer.roll_back("the loss is\n nan")
    assert "times 0.5: the loss is nan; then start" in run.pacer.ledger.decided[-1]["output"].reason
