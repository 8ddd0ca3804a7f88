"""The ratios between the learning rates of parameter groups are kept, as the scheduler keeps them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.optim import Optimizer

from infopace import Bounds, MutualInformationLR, Probe, RangeTest, layer_groups
from infopace.probe import Measuring
from infopace.range_test import Algorithm2, Race
from infopace.range_test._trainee import Trainee

from .small import clouds, small_net, small_test

PAPER = Algorithm2(trials=1, epochs=1, rates=(0.001, 0.03, 0.1, 3.0, 30.0), c1=100.0, retry=False)


def with_rates(*rates: float) -> Callable[[Any], Optimizer]:
    """An optimizer whose groups, one a parameter, have these learning rates in turn."""

    def build(groups: Any) -> Optimizer:
        made = list(groups)
        split = made if isinstance(made[0], dict) else [{"params": [parameter]} for parameter in made]
        # One group a parameter, with the layer where there is one.
        single = [{**group, "params": [p]} for group in split for p in group["params"]]
        given = [{**group, "lr": rates[number % len(rates)]} for number, group in enumerate(single)]
        return torch.optim.SGD(given, momentum=0.9)

    return build


class Seen:
    """The learning rates of all groups in each training step."""

    def __init__(self, *rates: float) -> None:
        self._build = with_rates(*rates)
        self.rates: list[list[float]] = []

    def __call__(self, groups: Any) -> Optimizer:
        optimizer = self._build(groups)
        optimizer.register_step_pre_hook(
            lambda one, *_: self.rates.append([float(group["lr"]) for group in one.param_groups])
        )
        return optimizer


def losses(found: RangeTest) -> list[Any]:
    return [found.bounds, [[e.loss for c in t.candidates for e in c.evaluations] for t in found.trials]]


@pytest.mark.parametrize("method", [Race(trials=1), PAPER], ids=["race", "paper"])
def test_a_candidate_is_the_rate_of_the_group_with_the_largest(method: Any) -> None:
    seen = Seen(0.04, 0.01)
    found = small_test(method=method, attribute="loss", optimizer=seen)
    candidates = {c.lr for trial in found.trials for c in trial.candidates}
    assert {rates[0] for rates in seen.rates} == candidates
    assert all(rates == [rates[0], rates[0] / 4] * 2 for rates in seen.rates)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Race(trials=1), PAPER], ids=["race", "paper"])
def test_equal_rates_of_any_size_give_the_same_bits(method: Any) -> None:
    options: dict[str, Any] = {"method": method, "attribute": "loss"}
    expected = losses(small_test(**options))
    for rates in ((1.0,), (0.03,), (0.0,)):
        assert losses(small_test(optimizer=with_rates(*rates), **options)) == expected


def test_what_the_test_tried_is_what_the_scheduler_sets() -> None:
    model = small_net()
    optimizer = with_rates(0.3, 0.1, 0.02)(model.parameters())
    trainee = Trainee(model, optimizer, F.cross_entropy, [clouds()], Probe(*clouds()), measuring=Measuring())
    assert all("initial_lr" not in group for group in optimizer.param_groups)
    tried = trainee.rates(0.05)
    scheduler = MutualInformationLR(optimizer, model, Probe(*clouds()), Bounds(0.001, 0.1, 0.05))
    assert scheduler.get_last_lr() == tried == pytest.approx([0.05, 0.05 / 3, 0.05 / 15, 0.05])


@pytest.mark.slow
def test_a_layer_alone_keeps_the_ratio_of_its_groups_and_the_others_theirs() -> None:
    seen = Seen(0.04, 0.01, 0.02, 0.01)
    found = small_test(layer_wise=True, method=Race(trials=1), optimizer=seen)
    top = found.bounds.lr_top
    # Layer "0" has the first two groups, layer "3" the others.
    first, second = ({c.lr for c in trial.candidates} for trial in found.trials[1:])
    of_first = [rates for rates in seen.rates if rates[2:] == [top * 0.5, top * 0.25] and rates[0] in first]
    assert {rates[0] for rates in of_first} == first
    assert all(rates[1] == rates[0] / 4 for rates in of_first)
    of_second = [rates for rates in seen.rates if rates[:2] == [top, top * 0.25] and rates[2] in second]
    assert {rates[2] for rates in of_second} == second
    assert all(rates[3] == rates[2] / 2 for rates in of_second)
    assert min(second) < top <= min(first)  # from where the layer stands at the shared rate


def test_a_folder_with_other_ratios_is_refused(tmp_path: Path) -> None:
    small_test(method=PAPER, attribute="loss", folder=tmp_path, optimizer=with_rates(0.1, 0.1))
    with pytest.raises(
        ValueError, match=r"holds another range test: lr_factors is \[1.0, 1.0, 1.0, 1.0\] there"
    ):
        small_test(method=PAPER, attribute="loss", folder=tmp_path, optimizer=with_rates(0.1, 0.05))


def test_a_rate_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="learning rates must be finite, got inf in parameter group 1"):
        small_test(optimizer=with_rates(0.1, float("inf")))


def test_a_layer_whose_rates_are_all_zero_is_raced_all_the_same() -> None:
    model = small_net()
    optimizer = with_rates(0.0, 0.0, 0.1, 0.1)(layer_groups(model))
    trainee = Trainee(model, optimizer, F.cross_entropy, [clouds()], Probe(*clouds()), measuring=Measuring())
    assert trainee.rates(0.5) == [0.0, 0.0, 0.5, 0.5]
    assert trainee.rates_of_layer(0.5, "3", 0.1) == [0.0, 0.0, 0.5, 0.5]
    assert trainee.share_of("0") == 1.0
