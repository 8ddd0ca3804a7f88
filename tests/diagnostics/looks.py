"""The diagnostics of the tests, each with its slow reference, its sign, its null and what leaves it unchanged."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.distributions import Normal
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from infopace import Probe
from infopace.diagnostics import ActivationSpread, GoldilocksRatio, GradientNoise, InformationPlane
from infopace.estimators import ridge_information, usable_information

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
    return scaled_units(net, lambda d: torch.linspace(0.25, 4.0, d, dtype=torch.float64))


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


def flat_plane(probe: Probe) -> Diagnostic:
    """The plane of the two hidden layers and the output, as numbers."""
    plane = InformationPlane(probe, NOISE, layers=["1", "3"], draws=DRAWS)

    def numbers(net: nn.Module) -> dict[str, float]:
        points = plane(net).points.items()
        inputs = {f"{name} inputs": point.about_inputs.nats for name, point in points}
        return inputs | {f"{name} targets": point.about_targets.nats for name, point in points}

    return numbers


def through_noise(t: Tensor, noise: float, draws: int, seed: int = 0) -> float:
    """I(X; T + N) from the densities themselves, example by example, with the noise that the library draws."""
    n, deviation = len(t), noise * float(t.square().mean().sqrt())
    generator = torch.Generator().manual_seed(seed)
    torch.randperm(n, generator=generator)
    terms: list[float] = []
    for _ in range(draws):
        z = t + deviation * torch.randn(t.shape, generator=generator, dtype=t.dtype)
        for i in range(n):
            densities = Normal(t, deviation).log_prob(z[i]).sum(1).exp()  # of z_i around each t_j
            terms.append(math.log(densities[i] / densities.mean()))
    return sum(terms) / len(terms)


def of_plane(probe: Probe, net: Net) -> dict[str, float]:
    """The layers one after the other; the slow part with fewer draws, in `test_plane`."""
    with torch.no_grad():
        given = {"1": net[:2](probe.inputs), "3": net[:4](probe.inputs)}
        output = net(probe.inputs)
    found = {f"{name} targets": ridge_information(t, probe.targets).nats for name, t in given.items()}
    inputs = {"output inputs": through_noise(output, NOISE, DRAWS)}
    return {**found, **inputs, "output targets": usable_information(output, probe.targets).nats}


def with_wider_spread(net: Net) -> Net:
    """Units of the second hidden layer that are centred on the examples of the probe: they differ more between them."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        linear(net, 2).bias.sub_(net[:3](small_probe().inputs).mean(0))
    return net


def trained(net: Net) -> Net:
    """The network after 60 steps on the probe's examples."""
    net, probe = copy.deepcopy(net), small_probe()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(probe.inputs), probe.targets).backward()
        optimizer.step()
    return net


def constant_net() -> tuple[Probe, Net]:
    """A network whose second hidden layer gives the same for every example."""
    net = small_net()
    with torch.no_grad():
        linear(net, 2).weight.zero_()
        linear(net, 2).bias.fill_(1.0)
    return small_probe(), net


OF_NOISE = frozenset({"noise_scale", "unbiased_noise_scale", "participation", "top_share"})
NOISE, DRAWS = 1.0, 200
TARGETS = frozenset({"1 targets", "3 targets", "output targets"})
PLANE = TARGETS | {"1 inputs", "3 inputs", "output inputs"}
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
            "permuted examples": OF_NOISE,
            "permuted units": OF_NOISE,
            "rescaled units": frozenset(),
            "rescaled layers": frozenset(),
        },
        higher={"noise_scale": trained, "unbiased_noise_scale": trained},
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
    "information plane": Row(
        flat_plane,
        of_plane,
        unchanged={
            "permuted examples": PLANE,
            "permuted units": PLANE,
            # Factors of single units change the distances in a layer, though no function.
            "rescaled units": frozenset({"output inputs", "output targets"}),
            "rescaled layers": PLANE,
        },
        higher={"3 inputs": with_wider_spread, "output targets": trained, "3 targets": trained},
        null=dict.fromkeys(("3 inputs", "output inputs", "3 targets"), (0.0, constant_net)),
        refused={
            "noise must be given, because I(X; T) of a deterministic network is infinite": lambda: (
                InformationPlane(small_probe())
            ),
            "noise must be a positive number, got 0": lambda: InformationPlane(small_probe(), 0.0),
            "draws must be at least 1, got 0": lambda: InformationPlane(small_probe(), 1.0, draws=0),
            "layers must be 'output', 'all' or names": lambda: InformationPlane(
                small_probe(), 1.0, layers=[]
            ),
            "unknown layer 'no'": lambda: InformationPlane(small_probe(), 1.0, layers="no")(small_net()),
            "layer '1'": lambda: InformationPlane(small_probe(), 1.0, layers=["1"])(broken()),
        },
        tolerance=0.04,
    ),
}


def broken() -> Net:
    """A network with nan in its first weights."""
    net = small_net()
    with torch.no_grad():
        linear(net, 0).weight.fill_(torch.nan)
    return net
