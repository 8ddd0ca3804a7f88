"""The diagnostics of the tests, each with its slow reference, its sign, its null and what leaves it unchanged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from infopace import Probe
from infopace.diagnostics import ActivationSpread

Diagnostic = Callable[[nn.Module], Mapping[str, float]]
Net = nn.Sequential


def small_net(seed: int = 0) -> Net:
    """6-8-5-3 with ReLU, in double precision."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)).double()


def small_probe(n: int = 40, seed: int = 1) -> Probe:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    return Probe(torch.randn(n, 6, generator=generator, dtype=torch.float64) + labels[:, None], labels)


def linear(net: Net, place: int) -> nn.Linear:
    layer = net[place]
    assert isinstance(layer, nn.Linear)
    return layer


def permuted_units(net: Net) -> Net:
    """The same function: the units of both hidden layers in another order."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        for place, following in ((0, 2), (2, 4)):
            order = torch.arange(linear(net, place).out_features).flip(0)
            linear(net, place).weight.copy_(linear(net, place).weight[order].clone())
            linear(net, place).bias.copy_(linear(net, place).bias[order].clone())
            linear(net, following).weight.copy_(linear(net, following).weight[:, order].clone())
    return net


def scaled_units(net: Net, factors: Callable[[int], Tensor]) -> Net:
    net = copy.deepcopy(net)
    with torch.no_grad():
        for place, following in ((0, 2), (2, 4)):
            by = factors(linear(net, place).out_features)
            linear(net, place).weight.mul_(by[:, None])
            linear(net, place).bias.mul_(by)
            linear(net, following).weight.div_(by)
    return net


def rescaled_units(net: Net) -> Net:
    """The same function: each hidden unit times a factor of its own, and the next layer's weights by 1 / it."""
    return scaled_units(net, lambda d: torch.linspace(0.5, 2.0, d, dtype=torch.float64))


def rescaled_layers(net: Net) -> Net:
    """The same function: each hidden layer times one factor."""
    return scaled_units(net, lambda d: torch.full((d,), 1.7, dtype=torch.float64))


# Changes of the network that leave its function as it is.
SYMMETRIES: dict[str, Callable[[Net], Net]] = {
    "permuted units": permuted_units,
    "rescaled units": rescaled_units,
    "rescaled layers": rescaled_layers,
}


@dataclass(frozen=True)
class Row:
    """A diagnostic of a small ReLU network.

    Attributes:
        build: Of a probe.
        reference: (probe, model) -> what the diagnostic must give, by a slow and obvious way: some or all of its names.
        unchanged: Of each symmetry of the network, and of "permuted examples", the names that stay the same. All other
            names must change under it.
        higher: A name, and (model) -> one in which it must be higher: the sign.
        null: A name, the value it has where there is nothing to find, and such a probe and model.
        refused: The beginning of each error line, and what raises it.
        tolerance: Relative, of the reference and of what stays the same.
    """

    build: Callable[[Probe], Diagnostic]
    reference: Callable[[Probe, Net], Mapping[str, float]]
    unchanged: Mapping[str, frozenset[str]]
    higher: Mapping[str, Callable[[Net], Net]]
    null: Mapping[str, tuple[float, Callable[[], tuple[Probe, Net]]]] = field(default_factory=dict)
    refused: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    tolerance: float = 1e-6


def hidden(probe: Probe, net: Net) -> Tensor:
    with torch.no_grad():
        return net[:4](probe.inputs)


def of_spread(probe: Probe, net: Net) -> dict[str, float]:
    """By the eigenvalues themselves."""
    covariance = torch.cov(hidden(probe, net).T, correction=0)
    eigenvalues = torch.linalg.eigvalsh(covariance)
    veca, mean = float(eigenvalues.var(correction=0)), float(eigenvalues.mean())
    vovu = float(covariance.diag().var(correction=0))
    return {"veca": veca, "veca_normalised": veca / mean**2, "vovu": vovu, "mean_variance": mean}


def with_twin_units(net: Net) -> Net:
    """The last hidden layer with units that are copies of the first: all of its variance in one direction."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        linear(net, 2).weight.copy_(linear(net, 2).weight[:1].clone().expand(5, 8))
        linear(net, 2).bias.fill_(5.0)  # no unit is at 0
    return net


def with_larger_units(net: Net) -> Net:
    """The last hidden layer times 2."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        linear(net, 2).weight.mul_(2)
        linear(net, 2).bias.mul_(2)
    return net


def evenly_spread() -> tuple[Probe, Net]:
    """A last hidden layer of uncorrelated units of equal variance."""
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 2.0])] * 3).double()
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        linear(net, 0).weight.copy_(torch.eye(3))
        linear(net, 0).bias.zero_()
    return Probe(corners, torch.arange(8) % 2), net


SPREAD = frozenset({"veca", "veca_normalised", "vovu", "mean_variance"})
ROWS: dict[str, Row] = {
    "activation spread": Row(
        ActivationSpread,
        of_spread,
        unchanged={
            "permuted examples": SPREAD,
            "permuted units": SPREAD,
            "rescaled units": frozenset(),
            "rescaled layers": frozenset({"veca_normalised"}),
        },
        higher={"veca_normalised": with_twin_units, "veca": with_larger_units, "vovu": with_larger_units},
        null={
            "veca": (0.0, evenly_spread),
            "vovu": (0.0, evenly_spread),
            "mean_variance": (1.0, evenly_spread),
        },
        refused={
            "probe must be a Probe, got 3": lambda: ActivationSpread(3),  # pyright: ignore[reportArgumentType]
            "layer must be the name of a layer, got ''": lambda: ActivationSpread(small_probe(), ""),
            "unknown layer 'no'": lambda: ActivationSpread(small_probe(), "no")(small_net()),
            "layer must name one layer, got '*'": lambda: ActivationSpread(small_probe(), "*")(small_net()),
            "activations must be finite, got nan": lambda: ActivationSpread(small_probe())(broken()),
        },
    ),
}


def broken() -> Net:
    """A network with nan in its first weights."""
    net = small_net()
    with torch.no_grad():
        linear(net, 0).weight.fill_(torch.nan)
    return net
