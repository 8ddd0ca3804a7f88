"""The Goldilocks ratio: how much of the loss's curvature at some weights is positive."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import check_seed, positive, whole
from infopace._typing import Float
from infopace.diagnostics._loss import (
    Loss,
    LossOfWeights,
    copied,
    differentiable,
    doubled,
    finite,
    number_of,
    pairs_of,
)
from infopace.diagnostics._outputs import ready
from infopace.model.forward import part_of
from infopace.probe import Probe


@dataclass(frozen=True, eq=False)
class Curvature:
    """The curvature of the loss in a random subspace; see `goldilocks_ratio`.

    Attributes:
        ratio: Tr(H_d) / |H_d|_F, in -sqrt(d)..sqrt(d); nan where H_d is 0. No unit. Not comparable across d.
        positive: The share of the eigenvalues of H_d that are above 0.
        eigenvalues: Those of H_d, ascending, (d,), float64.
        loss: The loss at these weights.
        norm: The norm of the trainable weights, scaled.
    """

    ratio: float
    positive: float
    eigenvalues: Tensor
    loss: float
    norm: float

    @property
    def dimensions(self) -> int:
        """d, the dimensions of the subspace."""
        return len(self.eigenvalues)


@dataclass(frozen=True)
class FullCurvature:
    """The same in the space of all weights, estimated; see `hutchinson_ratio`.

    Attributes:
        ratio: Tr(H) / |H|_F, in -sqrt(D)..sqrt(D); nan where H is 0.
        trace: Tr(H).
        trace_error: Its standard error.
        norm: |H|_F.
        norm_error: Its standard error.
        weights: D, the number of trainable weights.
    """

    ratio: float
    trace: float
    trace_error: float
    norm: float
    norm_error: float
    weights: int


def goldilocks_ratio(
    model: nn.Module,
    loss: Loss,
    inputs: Any,
    targets: Tensor,
    dimensions: int = 30,
    scale: float = 1.0,
    temperature: float = 1.0,
    *,
    batch_size: int | None = None,
    seed: int = 0,
) -> Curvature:
    """Tr(H_d) / |H_d|_F of the loss's Hessian in a random subspace, and the share of positive eigenvalues.

        H_d = R' H R,    H = d^2 L / dw^2 at scale * w,    L = loss(model(inputs) / temperature, targets)

    R (D, d) has orthonormal columns: the QR decomposition of normal numbers. H R takes d Hessian-vector products, each
    a second backward pass. The ratio is sqrt(d) where all eigenvalues are equal and positive, and near 0 where as much
    is negative. So it depends on d, and **ratios of different d are not comparable**.

    The paper scales the weights and finds an excess of positive curvature in a shell that usual initialisations lie in.
    That is `scale`. Later work finds that the shell comes from the Gauss-Newton term and the softmax: the norm of the
    weights matters only as it scales the logits, and high ratios do not go with good training. `temperature` scales the
    logits alone. It is the more robust axis where layers are normalised.

    Rescalings of a ReLU network that leave its outputs as they are change H and the ratio. The signs of the whole
    Hessian's eigenvalues stay the same (Sylvester's law of inertia), and in a subspace most of them do.

    The model is measured in evaluation mode: dropout is off, and batch norm uses its running statistics, which before
    training are 0 and 1. It is left as it was found, bit for bit. R takes D * d numbers of memory.

    Args:
        model: Any torch module.
        loss: (outputs, targets) -> scalar, the mean over the examples, such as `cross_entropy`.
        inputs: The examples: a tensor (n, ...); a tuple gives arguments, a mapping keywords.
        targets: (n, ...).
        dimensions: d; at most the number of trainable weights, which are then all there is.
        scale: What the trainable weights are multiplied by, biases too.
        temperature: What the outputs are divided by.
        batch_size: Examples of a pass, for less memory; None: all in one.
        seed: Of R.

    Raises:
        TypeError: no module, no function, targets that are no tensor.
        ValueError: a bad number; more dimensions than weights; half precision; a loss that is not finite.

    Sources: Fort and Scherlis, The Goldilocks zone, AAAI 2019, arXiv:1807.02581; Vysogorets, Dawid and Kempe, ICML
        2024, arXiv:2402.03579 (temperature, criticism).

    The Hessian of this loss is half of the identity, so the ratio is sqrt(4):

    >>> model = nn.Linear(4, 1, bias=False)
    >>> found = goldilocks_ratio(model, nn.functional.mse_loss, torch.eye(4), torch.ones(4, 1), dimensions=4)
    >>> round(found.ratio, 4), found.positive, [round(float(one), 4) for one in found.eigenvalues]
    (2.0, 1.0, [0.5, 0.5, 0.5, 0.5])
    """
    dimensions, seed = whole("dimensions", dimensions, 1), check_seed(seed)
    scale, temperature = positive("scale", scale), positive("temperature", temperature)
    at = _Hessian(model, loss, inputs, targets, scale, temperature, batch_size)
    if dimensions > at.weights:
        raise ValueError(f"dimensions must be at most the {at.weights} trainable weights, got {dimensions}")
    draws = torch.randn(at.weights, dimensions, generator=torch.Generator().manual_seed(seed), dtype=at.dtype)
    subspace = torch.linalg.qr(draws).Q.to(at.device)
    with differentiable(at.model):
        products, value = at.times(subspace.T)
    restricted = (doubled(subspace).T @ doubled(products).T).cpu()
    restricted = (restricted + restricted.T) / 2
    eigenvalues = torch.linalg.eigvalsh(restricted)
    return Curvature(
        ratio=_share(float(eigenvalues.sum()), float(eigenvalues.norm())),
        positive=float((eigenvalues > 0).double().mean()),
        eigenvalues=eigenvalues,
        loss=value,
        norm=at.norm,
    )


def hutchinson_ratio(
    model: nn.Module,
    loss: Loss,
    inputs: Any,
    targets: Tensor,
    probes: int = 30,
    scale: float = 1.0,
    temperature: float = 1.0,
    *,
    batch_size: int | None = None,
    seed: int = 0,
) -> FullCurvature:
    """Tr(H) / |H|_F of the loss's Hessian in the space of all weights, by random vectors of signs.

        Tr(H) = < v' H v >,    |H|_F^2 = < |H v|^2 >,    v_i = +-1, over `probes` vectors

    The errors are those of the mean over vectors. Arguments and errors as for `goldilocks_ratio`; `probes` is two or
    more. Values of another number of weights are not comparable either.

    Source: Hutchinson, Communications in Statistics 18(3), 1989.

    >>> model = nn.Linear(4, 1, bias=False)
    >>> found = hutchinson_ratio(model, nn.functional.mse_loss, torch.eye(4), torch.ones(4, 1), probes=2)
    >>> found.trace, found.norm, found.weights
    (2.0, 1.0, 4)
    """
    probes, seed = whole("probes", probes, 2), check_seed(seed)
    scale, temperature = positive("scale", scale), positive("temperature", temperature)
    at = _Hessian(model, loss, inputs, targets, scale, temperature, batch_size)
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (probes, at.weights), generator=generator).to(at.device, at.dtype) * 2 - 1
    with differentiable(at.model):
        products, _ = at.times(signs)
    products = doubled(products)
    traces, squares = (doubled(signs) * products).sum(1), products.square().sum(1)
    trace, norm = float(traces.mean()), math.sqrt(float(squares.mean()))
    few = math.sqrt(probes)
    return FullCurvature(
        ratio=_share(trace, norm),
        trace=trace,
        trace_error=float(traces.std()) / few,
        norm=norm,
        norm_error=float(squares.std()) / few / (2 * norm) if norm else 0.0,
        weights=at.weights,
    )


class GoldilocksRatio:
    """The Goldilocks ratio on a probe's examples, for the course of a run; see `goldilocks_ratio`.

    Calling it with a model gives {"ratio", "positive", "weight_norm"} and leaves the model as it was. The subspace is
    the same each time.

    Args:
        probe: The examples.
        loss: (outputs, targets) -> scalar, the mean over the examples.
        dimensions: d of the subspace.
        temperature: What the outputs are divided by.
        batch_size: Examples of a pass; None: all in one.
        seed: Of the subspace.

    Raises:
        TypeError: a probe that is none, no function.
        ValueError: a bad number, a probe with a forward of its own; when called, as `goldilocks_ratio`.

    >>> from infopace import Probe
    >>> probe = Probe(torch.eye(4), torch.tensor([[0.5], [1.5], [2.5], [3.5]]))
    >>> ratio = GoldilocksRatio(probe, nn.functional.mse_loss, dimensions=4)
    >>> {name: round(value, 3) for name, value in ratio(nn.Linear(4, 1, bias=False)).items() if name != "weight_norm"}
    {'ratio': 2.0, 'positive': 1.0}
    """

    def __init__(
        self,
        probe: Probe,
        loss: Loss,
        dimensions: int = 30,
        temperature: float = 1.0,
        *,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        self.probe, self.loss = pairs_of(probe, loss), loss
        self.dimensions, self.seed = whole("dimensions", dimensions, 1), check_seed(seed)
        self.temperature = positive("temperature", temperature)
        self.batch_size = batch_size if batch_size is None else whole("batch_size", batch_size, 1)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """The three numbers of the model as it is."""
        ready(self.probe, model)
        found = goldilocks_ratio(
            model,
            self.loss,
            self.probe.inputs,
            self.probe.targets,
            self.dimensions,
            temperature=self.temperature,
            batch_size=self.batch_size,
            seed=self.seed,
        )
        return {"ratio": found.ratio, "positive": found.positive, "weight_norm": found.norm}


class _Hessian:
    """The Hessian of the loss at scaled weights, as products with vectors."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        inputs: Any,
        targets: Tensor,
        scale: float,
        temperature: float,
        batch_size: int | None,
    ) -> None:
        self._loss, self._inputs, self._targets = LossOfWeights(model, loss, temperature), inputs, targets
        self._n = number_of(inputs, targets)
        self._size = self._n if batch_size is None else whole("batch_size", batch_size, 1)
        self._leaves = {name: (scale * w).requires_grad_() for name, w in self._loss.weights.items()}
        first = next(iter(self._leaves.values()))
        self.model, self.device, self.dtype = self._loss.model, first.device, first.dtype
        self.weights = sum(weight.numel() for weight in self._leaves.values())
        self.norm = math.sqrt(sum(float(doubled(w.detach()).square().sum()) for w in self._leaves.values()))
        self._hint = f" at scale = {scale:g} and temperature = {temperature:g}"

    def times(self, vectors: Float[Tensor, "k D"]) -> tuple[Float[Tensor, "k D"], float]:
        """H v for each vector, and the loss."""
        products, total = torch.zeros_like(vectors), 0.0
        for share, inputs, targets in self._batches():
            value = share * self._loss(self._leaves, inputs, targets)
            total += finite("the loss", value, self._hint)
            gradient = self._flat(value, create_graph=True)
            if not gradient.requires_grad:  # it does not depend on the weights
                continue
            for place, vector in enumerate(vectors):
                products[place] += self._flat(gradient @ vector, retain_graph=True)
        if not bool(products.isfinite().all()):
            raise ValueError(f"second derivatives of the loss must be finite, got others{self._hint}")
        return products, total

    def _batches(self) -> Iterator[tuple[float, Any, Tensor]]:
        for start in range(0, self._n, self._size):
            stop = min(start + self._size, self._n)
            inputs = copied(part_of(self._inputs, self._n, start, stop))
            yield (stop - start) / self._n, inputs, self._targets[start:stop].detach().clone()

    def _flat(self, value: Tensor, *, create_graph: bool = False, retain_graph: bool = False) -> Tensor:
        found = torch.autograd.grad(
            value,
            list(self._leaves.values()),
            create_graph=create_graph,
            retain_graph=create_graph or retain_graph,
            materialize_grads=True,
        )
        return torch.cat([part.flatten() for part in found])


def _share(trace: float, norm: float) -> float:
    return trace / norm if norm > 0 else math.nan
