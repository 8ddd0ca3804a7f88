"""Gradient noise: the covariance of per-sample gradients, by its scale and its shape."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from infopace._checks import whole
from infopace._typing import Float
from infopace.diagnostics._loss import (
    Loss,
    LossOfWeights,
    Weights,
    copied,
    differentiable,
    doubled,
    finite,
    number_of,
    pairs_of,
)
from infopace.diagnostics._outputs import ready
from infopace.model.forward import map_tensors, part_of
from infopace.probe import Probe

# Gradients of all examples with respect to so many numbers are held at a time: 1 GiB in float32.
_HELD = 2**28
# A batch and its examples one by one have losses that differ by rounding. Others' differ by more.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class NoiseOfGradients:
    """D, the covariance of per-sample gradients g_i with mean g, of all weights or of a layer's; see `gradient_noise`.

    Attributes:
        trace: tr D, the sum of the variances.
        squared_mean: |g|^2.
        participation: (tr D)^2 / |D|_F^2: in how many directions the noise is. At most n - 1, and the weights' number.
        top: The share of tr D in the first direction; nan without noise, as the participation then is.
        examples: n.
        layers: The same of each layer, by the name of the module that has the weights; empty for a layer.
    """

    trace: float
    squared_mean: float
    participation: float
    top: float
    examples: int
    layers: Mapping[str, NoiseOfGradients] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """The noise scale, `trace / squared_mean`, of the gradient of these n examples; inf where that is 0.

        The squared mean has tr D / n by chance. So the scale hardly exceeds n where the true gradient is near 0.
        """
        return _ratio(self.trace, self.squared_mean)

    @property
    def unbiased_scale(self) -> float:
        """The noise scale where tr D / n, which is by chance, is taken off the squared mean; inf where nothing is left.

        The batch size at which the noise of a batch's gradient is as large as the gradient itself.
        """
        return _ratio(self.trace, max(self.squared_mean - self.trace / self.examples, 0.0))


def gradient_noise(
    model: nn.Module, loss: Loss, inputs: Any, targets: Tensor, *, chunk: int = 64
) -> NoiseOfGradients:
    """Scale and shape of the noise of stochastic gradients, from the gradients of n single examples.

        D = sum_i (g_i - g)(g_i - g)' / (n - 1),    g_i = d loss(model(x_i), y_i) / dw,    g = < g_i >

        noise scale     tr D / |g|^2
        participation   (tr D)^2 / |D|_F^2        top share   largest eigenvalue of D / tr D

    D has as many rows as there are weights, and at most n - 1 eigenvalues that are not 0. They are those of the n x n
    Gram matrix of the centred gradients, which is all that is computed. With few directions the noise is not isotropic,
    as an explanation of SGD by a temperature would have it.

    The model is measured in evaluation mode: dropout is off, and batch norm uses its running statistics. Gradients of
    single examples have no other meaning there, because in training mode batch norm mixes examples. It is left as it
    was found, bit for bit. Values by layer change under rescalings of a ReLU network that leave its outputs as they
    are, and so do those of all weights.

    Gradients come from vmap(grad); modules that vmap cannot run, such as recurrent ones, take a backward pass for each
    example. Where the gradients of all n examples exceed 1 GiB, a few layers at a time are computed.

    Args:
        model: Any torch module.
        loss: (outputs, targets) -> scalar, the mean over the examples, such as `cross_entropy`.
        inputs: n examples: a tensor (n, ...); a tuple gives arguments, a mapping keywords.
        targets: (n, ...).
        chunk: Examples of a pass.

    Raises:
        TypeError: no module, no function, targets that are no tensor.
        ValueError: fewer than two examples; half precision; a loss that is not finite, or not the mean over examples
            that do not know of each other.

    Sources: Fioresi, Chaudhari and Soatto, A geometric interpretation of stochastic gradient descent using diffusion
        metrics, Entropy 2020, 22(1):101 (D); McCandlish et al., An empirical model of large-batch training, 2018,
        arXiv:1812.06162 (noise scale).

    Two examples with opposite gradients 1 and -1 of one weight, and two of 3:

    >>> model = nn.Linear(1, 1, bias=False)
    >>> inputs = torch.tensor([[1.0], [-1.0], [3.0], [3.0]])
    >>> found = gradient_noise(model, lambda outputs, targets: outputs.mean(), inputs, torch.zeros(4))
    >>> round(found.trace, 3), found.squared_mean, round(found.scale, 3), found.participation, list(found.layers)
    (3.667, 2.25, 1.63, 1.0, ['model'])
    """
    chunk, n = whole("chunk", chunk, 1), number_of(inputs, targets, 2)
    of = LossOfWeights(model, loss)
    with differentiable(of.model):
        check_examples(of, inputs, targets, n, chunk)
        layers: dict[str, tuple[Tensor, float]] = {}
        for some in _packed(_by_layer(of.weights), n, of.weights):
            layers |= _grams(of, some, inputs, targets, n, chunk)
    grams, means = zip(*layers.values(), strict=True)
    whole_noise = _of_gram(torch.stack(grams).sum(0), sum(means), n)
    by_layer = {name: _of_gram(gram, mean, n) for name, (gram, mean) in layers.items()}
    return replace(whole_noise, layers=by_layer)


class GradientNoise:
    """The noise of gradients on a probe's examples, for the course of a run; see `gradient_noise`.

    Calling it with a model gives {"noise_scale", "unbiased_noise_scale", "participation", "top_share"}, and leaves the
    model as it was.

    Args:
        probe: The examples.
        loss: (outputs, targets) -> scalar, the mean over the examples.
        chunk: Examples of a pass.

    Raises:
        TypeError: a probe that is none, no function.
        ValueError: a bad number, a probe with a forward of its own; when called, as `gradient_noise`.

    >>> from infopace import Probe
    >>> inputs = torch.tensor([[1.0], [-1.0], [3.0], [3.0]])
    >>> probe = Probe(inputs, inputs / 2)
    >>> noise = GradientNoise(probe, lambda outputs, targets: outputs.mean())
    >>> {name: round(value, 2) for name, value in noise(nn.Linear(1, 1, bias=False)).items()}
    {'noise_scale': 1.63, 'unbiased_noise_scale': 2.75, 'participation': 1.0, 'top_share': 1.0}
    """

    def __init__(self, probe: Probe, loss: Loss, chunk: int = 64) -> None:
        self.probe, self.loss, self.chunk = pairs_of(probe, loss), loss, whole("chunk", chunk, 1)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """The four numbers of the model as it is."""
        ready(self.probe, model)
        found = gradient_noise(model, self.loss, self.probe.inputs, self.probe.targets, chunk=self.chunk)
        return {
            "noise_scale": found.scale,
            "unbiased_noise_scale": found.unbiased_scale,
            "participation": found.participation,
            "top_share": found.top,
        }


def check_examples(of: LossOfWeights, inputs: Any, targets: Tensor, n: int, chunk: int) -> None:
    """Raise ValueError where the loss is not a mean, or an example's output depends on the others."""
    for name, module in of.model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"examples must not know of each other, got batch norm without running statistics in {name!r}; "
                "track_running_stats=True, or group norm, gives gradients of single examples"
            )
    few = min(n, chunk, 8)
    with torch.no_grad():
        together = of(of.weights, *_examples(inputs, targets, n, 0, few))
        alone = [of(of.weights, *_examples(inputs, targets, n, place, place + 1)) for place in range(few)]
        value, mean = finite("the loss", together), finite("the loss", torch.stack(alone).mean())
    if abs(value - mean) > _ROUNDING * max(abs(value), abs(mean), 1e-6):
        raise ValueError(
            f"the loss must be a mean over examples that do not know of each other, got {value:.6g} for {few} together "
            f'and {mean:.6g} as the mean of each; reduction="mean" gives one, and a model without statistics of a batch'
        )


def _by_layer(weights: Weights) -> dict[str, list[str]]:
    """The names of the weights of each module that has some."""
    found: dict[str, list[str]] = {}
    for name in weights:
        found.setdefault(name.rpartition(".")[0] or "model", []).append(name)
    return found


def _packed(layers: dict[str, list[str]], n: int, sizes: Weights) -> Iterator[dict[str, list[str]]]:
    """Layers together, as long as the gradients of all examples take no more than is held at a time."""
    some: dict[str, list[str]] = {}
    held = 0
    for layer, names in layers.items():
        own = n * sum(sizes[name].numel() for name in names)
        if some and held + own > _HELD:
            yield some
            some, held = {}, 0
        some[layer] = names
        held += own
    yield some


def _grams(
    of: LossOfWeights, layers: dict[str, list[str]], inputs: Any, targets: Tensor, n: int, chunk: int
) -> dict[str, tuple[Float[Tensor, "n n"], float]]:
    """Per layer the Gram matrix of the centred gradients over n - 1, and |g|^2."""
    names = [name for own in layers.values() for name in own]
    parts: list[dict[str, Tensor]] = []
    for start in range(0, n, chunk):
        examples = _examples(inputs, targets, n, start, min(start + chunk, n))
        parts.append(_gradients(of, names, *examples))
    found: dict[str, tuple[Tensor, float]] = {}
    for layer, own in layers.items():
        gram, squared = torch.zeros(n, n, dtype=torch.float64), 0.0
        for name in own:
            rows = doubled(torch.cat([part.pop(name).flatten(1) for part in parts]))
            mean = rows.mean(0)
            rows -= mean
            gram += (rows @ rows.T).cpu() / (n - 1)
            squared += float(mean.square().sum())
        found[layer] = gram, squared
    return found


def _gradients(of: LossOfWeights, names: Iterable[str], inputs: Any, targets: Tensor) -> dict[str, Tensor]:
    """The gradients of single examples, (n, ...), by weight."""
    chosen = {name: of.weights[name] for name in names}
    others = {name: weight for name, weight in of.weights.items() if name not in chosen}

    def loss_of_one(weights: Weights, example: Any, target: Tensor) -> Tensor:
        one = map_tensors(example, lambda tensor: tensor[None])
        return of({**others, **weights}, one, target[None])

    n = len(targets)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        try:
            return vmap(grad(loss_of_one), (None, 0, 0), randomness="different")(chosen, inputs, targets)
        except (RuntimeError, ValueError, TypeError):  # a loop meets any other fault again
            pass
    found: dict[str, list[Tensor]] = {name: [] for name in chosen}
    for place in range(n):
        leaves = {name: weight.clone().requires_grad_() for name, weight in chosen.items()}
        value = of({**others, **leaves}, *_examples(inputs, targets, n, place, place + 1))
        own = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
        for name, gradient in zip(leaves, own, strict=True):
            found[name].append(gradient)
    return {name: torch.stack(rows) for name, rows in found.items()}


def _examples(inputs: Any, targets: Tensor, n: int, start: int, stop: int) -> tuple[Any, Tensor]:
    return copied(part_of(inputs, n, start, stop)), targets[start:stop].detach().clone()


def _of_gram(gram: Float[Tensor, "n n"], squared_mean: float, n: int) -> NoiseOfGradients:
    trace, squares = float(gram.trace()), float(gram.square().sum())
    if squares == 0:
        return NoiseOfGradients(trace, squared_mean, math.nan, math.nan, n)
    top = float(torch.linalg.eigvalsh(gram)[-1])
    return NoiseOfGradients(trace, squared_mean, trace**2 / squares, top / trace, n)


def _ratio(part: float, of: float) -> float:
    if of > 0:
        return part / of
    return math.inf if part > 0 else math.nan
