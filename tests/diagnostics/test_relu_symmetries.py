"""Symmetries of ReLU networks: which measurements of the library they leave as they are, and which they change.

Units may be permuted, and a unit may be multiplied by a positive factor that the next layer takes back. For two layers
these are all symmetries but for degenerate cases (Petzka et al. 2020). `looks.ROWS` has the diagnostics.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from infopace.diagnostics import gradient_noise
from infopace.estimators import decoder_bound, linear_probe_bound, mutual_information, ridge_information
from infopace.probe import Measuring
from infopace.regularizers import (
    CauchySchwarz,
    EnsembleDecorrelation,
    MatrixRenyi,
    NormalizedHSIC,
)

from .looks import SYMMETRIES, Net, hidden, small_net, small_probe

PROBE = small_probe(90)
ALL = frozenset(SYMMETRIES)
# Neither a permutation nor one factor for the whole layer turns the order of distances around.
OF_DISTANCES = ALL - {"rescaled units"}
PERMUTED = frozenset({"permuted units"})


@functools.cache
def trained_net() -> Net:
    """A network that has learned something, so that its layers carry information."""
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), 0.2)
    for _ in range(40):
        optimizer.zero_grad()
        cross_entropy(net(PROBE.inputs), PROBE.targets).backward()
        optimizer.step()
    return net


def of_outputs(measure: Callable[[Tensor], float]) -> Callable[[Net], float]:
    return lambda net: measure(net(PROBE.inputs).detach())


def of_hidden(measure: Callable[[Tensor], float]) -> Callable[[Net], float]:
    return lambda net: measure(hidden(PROBE, net))


def probed(layer: str, **options: str) -> Callable[[Net], float]:
    measuring = Measuring(layers=["3"], std_error=False).replace(**options)
    return lambda net: PROBE.measure(net, measuring).layers[layer].estimate.nats


def term(make: Callable[[], nn.Module]) -> Callable[[Net], float]:
    return of_hidden(lambda values: float(make()(values, PROBE.targets)))


def of_layer(name: str) -> Callable[[Net], float]:
    def found(net: Net) -> float:
        return gradient_noise(net, cross_entropy, PROBE.inputs, PROBE.targets).layers[name].scale

    return found


MEASURES: dict[str, tuple[Callable[[Net], float], frozenset[str]]] = {
    "an output": (of_outputs(lambda values: float(values[0, 0])), ALL),
    "I(T;Y) of the outputs, Ross": (
        of_outputs(lambda values: mutual_information(values, PROBE.targets, std_error=False).nats),
        ALL,
    ),
    "decoder bound": (of_outputs(lambda values: decoder_bound(values, PROBE.targets).nats), ALL),
    "usable information of the outputs": (probed("output"), ALL),
    "neighbours of the outputs": (probed("output", signal="neighbours"), ALL),
    # The hidden layer's own values change.
    "I(T;Y) of a hidden layer, Ross": (
        of_hidden(lambda values: mutual_information(values, PROBE.targets, std_error=False).nats),
        OF_DISTANCES,
    ),
    "neighbours of a hidden layer": (probed("3", hidden="neighbours"), OF_DISTANCES),
    "components of a hidden layer": (probed("3", hidden="components"), OF_DISTANCES),
    # A ridge penalty takes the scales of units as they are; the linear probe standardises them.
    "usable information of a hidden layer": (probed("3", hidden="usable"), OF_DISTANCES),
    "ridge information": (of_hidden(lambda v: ridge_information(v, PROBE.targets).nats), OF_DISTANCES),
    "linear probe": (of_hidden(lambda values: linear_probe_bound(values, PROBE.targets, folds=2).nats), ALL),
    "nHSIC": (term(NormalizedHSIC), OF_DISTANCES),
    "nHSIC of a fixed width": (term(lambda: NormalizedHSIC(5.0, "sqrt(d)")), PERMUTED),
    "matrix Renyi": (term(MatrixRenyi), OF_DISTANCES),
    "Cauchy-Schwarz": (term(CauchySchwarz), OF_DISTANCES),
    "EDM of single units": (of_hidden(lambda values: float(EnsembleDecorrelation(5)(values))), ALL),
    "DeCov": (
        of_hidden(lambda values: float(EnsembleDecorrelation(5, correlations=False)(values))),
        PERMUTED,
    ),
    # What is measured of the weights.
    "weight norm": (
        lambda net: math.sqrt(sum(float(w.detach().square().sum()) for w in net.parameters())),
        PERMUTED,
    ),
    # One factor for all gradients of a layer cancels in the ratio. Those of the last layer's bias have none.
    "gradient noise of the first layer": (of_layer("0"), OF_DISTANCES),
    "gradient noise of the last layer": (of_layer("4"), PERMUTED),
}


@pytest.mark.parametrize("name", MEASURES)
def test_what_stays_the_same_and_what_changes(name: str) -> None:
    measure, unchanged = MEASURES[name]
    net = trained_net()
    before = measure(net)
    assert before != 0
    after = {symmetry: measure(change(net)) for symmetry, change in SYMMETRIES.items()}
    same = {one for one, value in after.items() if math.isclose(value, before, rel_tol=1e-4, abs_tol=1e-7)}
    assert same == unchanged, (before, after)


def test_the_outputs_are_the_same_to_rounding() -> None:
    net = trained_net()
    for change in SYMMETRIES.values():
        assert torch.allclose(change(net)(PROBE.inputs), net(PROBE.inputs), rtol=0, atol=1e-12)


def test_degenerate_units_have_more_symmetries() -> None:
    """relu(z) - relu(-z) is z: two units of opposite sign may share a linear part as they like."""
    inputs = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    first, last = net[0], net[2]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    with torch.no_grad():
        first.weight[1] = -first.weight[0]
        first.bias[1] = -first.bias[0]
        before = net(inputs)
        # z is taken from the units and given to the bias and inputs: here only the split between the two is moved.
        line = first(inputs)[:, :1]
        last.weight += torch.tensor([[0.5, -0.5]])
        assert torch.allclose(net(inputs) - before, 0.5 * line)
