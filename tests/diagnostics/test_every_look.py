"""One table for every diagnostic: its value, sign and null, what leaves it unchanged, what it refuses."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn

from infopace import Probe

from .looks import ROWS, SYMMETRIES, Row, small_net, small_probe

EVERY = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


@EVERY
def test_the_values_are_those_of_the_slow_reference(row: Row) -> None:
    probe, net = small_probe(), small_net()
    found, wanted = row.build(probe)(net), row.reference(probe, net)
    assert {name: found[name] for name in wanted} == pytest.approx(dict(wanted), rel=row.tolerance)
    assert all(isinstance(value, float) and math.isfinite(value) for value in found.values())


@EVERY
def test_a_second_time_gives_the_same_numbers(row: Row) -> None:
    net = small_net()
    diagnostic = row.build(small_probe())
    assert diagnostic(net) == diagnostic(net) == row.build(small_probe())(net)


@EVERY
def test_the_model_is_left_as_it_was_found(row: Row) -> None:
    net = nn.Sequential(*small_net(), nn.BatchNorm1d(3).double(), nn.Dropout(0.5), nn.Linear(3, 3).double())
    net[0].eval()
    net(small_probe().inputs).sum().backward()
    before = copy.deepcopy(net.state_dict())
    gradients = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    modes = [module.training for module in net.modules()]
    wanted = [p.requires_grad for p in net.parameters()]
    # Python's own random numbers are not compared: beartype draws some, under pytest.
    state = torch.get_rng_state()
    row.build(small_probe())(net)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert [p.requires_grad for p in net.parameters()] == wanted
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or parameter.grad is None or torch.equal(parameter.grad, gradient)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@EVERY
def test_what_leaves_the_values_unchanged(row: Row) -> None:
    probe, net = small_probe(), small_net()
    order = torch.arange(probe.n).flip(0)
    before = row.build(probe)(net)
    after = {name: row.build(probe)(change(net)) for name, change in SYMMETRIES.items()}
    after["permuted examples"] = row.build(Probe(probe.inputs[order], probe.targets[order]))(net)
    same = {
        change: frozenset(
            name
            for name, value in found.items()
            if math.isclose(value, before[name], rel_tol=row.tolerance, abs_tol=1e-12)
        )
        for change, found in after.items()
    }
    assert same == dict(row.unchanged)


@EVERY
def test_the_sign(row: Row) -> None:
    net = small_net()
    diagnostic = row.build(small_probe())
    before = diagnostic(net)
    for name, change in row.higher.items():
        assert diagnostic(change(net))[name] > 1.05 * before[name], name


@EVERY
def test_where_there_is_nothing_to_find(row: Row) -> None:
    for make in dict.fromkeys(make for _, make in row.null.values()):
        probe, net = make()
        found = row.build(probe)(net)
        wanted = {name: value for name, (value, of) in row.null.items() if of is make}
        assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)


@EVERY
def test_what_is_refused(row: Row) -> None:
    for line, call in row.refused.items():
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        # Under pytest a wrong type is refused before the diagnostic sees it.
        if not isinstance(caught.value, TypeCheckError):
            assert str(caught.value).startswith(line)
            assert "\n" not in str(caught.value)
