"""The diagnostics of the tests, each with its slow reference, its sign, its null and what leaves it unchanged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from infopace import Probe
from infopace.diagnostics import ActivationSpread, GoldilocksRatio, GradientNoise

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


def weights_of(net: Net) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


def of_curvature(probe: Probe, net: Net) -> dict[str, float]:
    """By the whole Hessian, between the vectors of the subspace."""
    sizes = {name: weight.shape for name, weight in net.named_parameters()}

    def loss(flat: Tensor) -> Tensor:
        parts = flat.split([size.numel() for size in sizes.values()])
        at = {name: part.view(size) for part, (name, size) in zip(parts, sizes.items(), strict=True)}
        return cross_entropy(functional_call(net, at, (probe.inputs,)), probe.targets)

    flat = weights_of(net)
    whole = hessian(loss, flat)
    assert isinstance(whole, Tensor)
    draws = torch.randn(len(flat), 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    subspace = torch.linalg.qr(draws).Q
    found = torch.linalg.eigvalsh(subspace.T @ whole @ subspace)
    return {
        "ratio": float(found.sum() / found.norm()),
        "positive": float((found > 0).double().mean()),
        "weight_norm": float(flat.norm()),
    }


def times(factor: float) -> Callable[[Net], Net]:
    def change(net: Net) -> Net:
        net = copy.deepcopy(net)
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(factor)
        return net

    return change


def of_gradients(probe: Probe, net: Net) -> dict[str, float]:
    """By a backward pass for each example, and the covariance of the gradients itself."""
    rows = []
    for x, y in zip(probe.inputs, probe.targets, strict=True):
        net.zero_grad()
        cross_entropy(net(x[None]), y[None]).backward()
        rows.append(torch.cat([w.grad.flatten() for w in net.parameters() if w.grad is not None]))
    net.zero_grad()
    gradients = torch.stack(rows)
    covariance, squared = torch.cov(gradients.T), float(gradients.mean(0).square().sum())
    trace = float(covariance.trace())
    return {
        "noise_scale": trace / squared,
        "unbiased_noise_scale": trace / (squared - trace / len(rows)),
        "participation": trace**2 / float(covariance.square().sum()),
        "top_share": float(torch.linalg.eigvalsh(covariance)[-1]) / trace,
    }


def alike() -> tuple[Probe, Net]:
    """Two examples of one class each, many times over: all gradients lie on a line between two points."""
    probe = Probe(torch.eye(6, dtype=torch.float64)[:2].repeat(10, 1), torch.arange(20) % 2)
    return probe, small_net()


def with_fitted_mean(net: Net) -> Net:
    """A few steps of gradient descent on the probe: the mean gradient becomes small, the single ones less so."""
    net, probe = copy.deepcopy(net), small_probe()
    optimizer = torch.optim.SGD(net.parameters(), 0.3)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(net(probe.inputs), probe.targets).backward()
        optimizer.step()
    return net


NOISE = frozenset({"noise_scale", "unbiased_noise_scale", "participation", "top_share"})
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
    "Goldilocks ratio": Row(
        lambda probe: GoldilocksRatio(probe, cross_entropy, 40),
        of_curvature,
        unchanged={
            "permuted examples": frozenset({"ratio", "positive", "weight_norm"}),
            # The subspace does not follow the units.
            "permuted units": frozenset({"weight_norm"}),
            # Rescaling leaves the eigenvalues' signs, by Sylvester's law: exactly so those of the whole Hessian.
            "rescaled units": frozenset({"positive"}),
            "rescaled layers": frozenset({"positive"}),
        },
        higher={"ratio": times(2.0), "positive": times(2.0), "weight_norm": times(2.0)},
        refused={
            "probe must be a Probe, got 3": lambda: GoldilocksRatio(3, cross_entropy),  # pyright: ignore[reportArgumentType]
            "loss must be a function of outputs and targets, got 'mse'": lambda: GoldilocksRatio(
                small_probe(),
                "mse",  # pyright: ignore[reportArgumentType]
            ),
            "dimensions must be at least 1, got 0": lambda: GoldilocksRatio(small_probe(), cross_entropy, 0),
            "temperature must be a positive number, got 0": lambda: GoldilocksRatio(
                small_probe(), cross_entropy, temperature=0.0
            ),
            "the loss must be finite, got nan": lambda: GoldilocksRatio(small_probe(), cross_entropy)(
                broken()
            ),
        },
    ),
    "gradient noise": Row(
        lambda probe: GradientNoise(probe, cross_entropy),
        of_gradients,
        unchanged={
            "permuted examples": NOISE,
            "permuted units": NOISE,
            "rescaled units": frozenset(),
            "rescaled layers": frozenset(),
        },
        higher={"noise_scale": with_fitted_mean, "unbiased_noise_scale": with_fitted_mean},
        null={"participation": (1.0, alike), "top_share": (1.0, alike)},
        refused={
            "probe must be a Probe, got 3": lambda: GradientNoise(3, cross_entropy),  # pyright: ignore[reportArgumentType]
            "chunk must be at least 1, got 0": lambda: GradientNoise(small_probe(), cross_entropy, 0),
            "the loss must be finite, got nan": lambda: GradientNoise(small_probe(), cross_entropy)(broken()),
            "the loss must be a mean over examples": lambda: GradientNoise(
                small_probe(), torch.nn.CrossEntropyLoss(reduction="sum")
            )(small_net()),
        },
    ),
}


def broken() -> Net:
    """A network with nan in its first weights."""
    net = small_net()
    with torch.no_grad():
        linear(net, 0).weight.fill_(torch.nan)
    return net
