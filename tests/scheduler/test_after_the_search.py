"""The network once its learning rate is found: it returns to its best, and what counts as a collapse."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from infopace import Bounds, Decision, HoldAndDecay
from infopace.policies import Observed

from ..small_run import data
from .searching import STEPS, Loop, found


def test_a_network_that_overfits_returns_to_its_best() -> None:
    labels = data()[1].clone()
    noise = torch.randperm(500, generator=torch.Generator().manual_seed(3))[:250]
    labels[noise] = torch.randint(0, 4, (250,), generator=torch.Generator().manual_seed(4))
    loop = Loop(labels=labels, optimizer="AdamW", held_out=True, policy=HoldAndDecay(steps=3000))
    backs = []
    best = loop.scheduler._pacer.best
    assert best is not None
    put_back = best.put_back

    def noted() -> None:
        put_back()
        backs.append(loop.weights())

    best.put_back = noted
    kept: dict[int, torch.Tensor] = {}
    while not loop.scheduler.finished and loop.step < 3000:
        loop.train(1)
        values = loop.scheduler.held_out_history.get("output", [])
        if loop.scheduler.finding and len(values) < 2:
            kept = {}
        elif values and len(values) - 1 not in kept and not backs:
            kept[len(values) - 1] = loop.weights()
    assert len(backs) == 1 and loop.step < 2800
    values = loop.scheduler.held_out_history["output"]
    assert torch.equal(backs[0], kept[values.index(max(values))])
    assert "back to step" in loop.scheduler.explain()


class Forgetting(HoldAndDecay):
    """Returns to the untrained network after six units, and then learns next to nothing."""

    def decide(self, observed: Observed) -> Decision:
        back = 0 if observed.epoch == 7 else None
        return Decision(0.1 if observed.epoch < 7 else 1e-9, "hold", "as a test", back=back)


def six_units_that_return(loop: Loop) -> int:
    """Train until the untrained network is put back; returns the steps of a unit."""
    # The first network is the best as long as nothing is kept after it.
    best = loop.scheduler._pacer.best
    assert best is not None
    best.keep()
    untrained, best.keep = loop.weights(), lambda: None
    unit = loop.scheduler.unit
    assert unit is not None
    loop.train(6 * unit)
    assert torch.equal(loop.weights(), untrained)
    return unit


def test_a_network_that_returned_has_not_collapsed() -> None:
    loop = Loop(policy=Forgetting(steps=STEPS), bounds=Bounds(1e-9, 0.1), held_out=True)
    loop.train(3 * six_units_that_return(loop))
    nats = loop.scheduler.history["output"]
    assert nats[6] > 0.5 and max(nats[7:]) < 0.1
    assert loop.scheduler.rolled_back == [] and len(nats) == 10


def test_a_collapse_after_the_search_is_one_to_the_network_before_it() -> None:
    loop = Loop()
    untrained = loop.scheduler.history["output"][0]
    while loop.scheduler.finding:
        loop.train(1)
    ledger = loop.scheduler._pacer.ledger
    assert ledger.history["output"][0] > untrained == ledger.untrained
    loop.train(300)
    again = Loop()
    again.scheduler.load_state_dict(loop.scheduler.state_dict())
    assert again.scheduler._pacer.ledger.untrained == untrained
    # Well below half of what it had, and well above the untrained network: that is no collapse.
    best = loop.scheduler.history["output"][-1]
    inner = loop.model[3]
    assert isinstance(inner, nn.Linear)
    with torch.no_grad():
        inner.weight += 2.0 * torch.randn(inner.weight.shape, generator=torch.Generator().manual_seed(0))
    left = loop.scheduler._pacer._subject.measure().output.estimate.nats
    assert untrained + 0.1 < left < best / 2
    rolled_back = len(loop.scheduler.rolled_back)
    loop.scheduler._pacer.unit.since = 20
    loop.scheduler.observe()
    assert len(loop.scheduler.rolled_back) == rolled_back


class OfOneLayer(HoldAndDecay):
    """Returns to the untrained network after six units, where a layer may."""

    asked: list[bool]

    def decide(self, observed: Observed) -> Decision:
        OfOneLayer.asked.append(observed.returns)
        back = 0 if observed.epoch == 7 and observed.returns else None
        return Decision(0.1 if observed.epoch < 7 else 1e-9, "hold", "as a test", back=back)


def test_with_a_rate_for_each_layer_the_last_one_says_where_the_network_returns_to() -> None:
    OfOneLayer.asked = []
    loop = Loop(policy=OfOneLayer(steps=STEPS), bounds=Bounds(1e-9, 0.1), held_out=True, layer_wise=True)
    six_units_that_return(loop)
    assert OfOneLayer.asked == [False, True] * 7
    assert "back to step 0; " in loop.scheduler.explain()


def frozen_layer(loop: Loop) -> tuple[nn.Linear, torch.Tensor]:
    """The first layer, which is frozen from now on, and a copy of its weights."""
    layer = loop.model[0]
    assert isinstance(layer, nn.Linear)
    layer.requires_grad_(False)
    return layer, layer.weight.detach().clone()


@pytest.mark.parametrize("another_freezes", [False, True])
def test_weights_that_thaw_within_a_trial_are_put_back(another_freezes: bool) -> None:
    loop = Loop()
    layer, first = frozen_layer(loop)
    loop.train(5)
    layer.requires_grad_(True)
    loop.model[3].requires_grad_(not another_freezes)
    loop.train(14)
    assert not torch.equal(layer.weight, first)
    loop.train(1)
    assert len(found(loop).trials) == 1 and torch.equal(layer.weight, first)


def test_a_state_leaves_weights_alone_that_were_frozen_after_the_copy() -> None:
    loop = Loop()
    loop.train(10)
    layer, now = frozen_layer(loop)
    loop.scheduler.state_dict()
    assert torch.equal(layer.weight, now)


def test_a_copy_of_the_best_network_takes_up_weights_that_thaw() -> None:
    loop = Loop(bounds=Bounds(1e-4, 0.1))
    layer, first = frozen_layer(loop)
    loop.train(45)
    layer.requires_grad_(True)
    loop.train(5)
    assert not torch.equal(layer.weight, first)
    assert loop.scheduler._pacer.best
    loop.scheduler._pacer.best.put_back()
    assert torch.equal(layer.weight, first)


@pytest.mark.parametrize("every", [1, "auto"])
@pytest.mark.parametrize("steps", [3, 4, 5, 6, 7])
def test_a_plan_of_a_few_steps_ends_with_its_last_one(steps: int, every: int | str) -> None:
    loop = Loop(policy=HoldAndDecay(steps=steps), every=every)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "nothing was learned")
        loop.train(steps)
    assert loop.scheduler.finished
