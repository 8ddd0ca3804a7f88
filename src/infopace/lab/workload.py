"""A workload: data, model, loss, metric and the recipe of the training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from infopace import Bounds
from infopace.lab.lazy_images import LazyImages, Pairs

# Inputs and targets, in a form from which `Probe.sample` draws.
Rows = tuple[Tensor, Tensor] | Pairs


@dataclass(frozen=True)
class Data:
    """Training and test set as tensors. Images stay uint8; a batch is cast when it is used.

    If the images do not fit in memory, the inputs are LazyImages.
    """

    train_inputs: Tensor | LazyImages
    train_targets: Tensor
    test_inputs: Tensor | LazyImages
    test_targets: Tensor

    def to(self, device: torch.device) -> Data:
        """The same data on `device`: tensors as a whole, lazy images when they are indexed."""
        return Data(
            self.train_inputs.to(device),
            self.train_targets.to(device),
            self.test_inputs.to(device),
            self.test_targets.to(device),
        )

    def parts(self) -> tuple[Tensor | LazyImages, Tensor, Tensor | LazyImages, Tensor]:
        """Training inputs and targets, test inputs and targets."""
        return self.train_inputs, self.train_targets, self.test_inputs, self.test_targets

    def train_set(self) -> Rows:
        """The training set, to draw a probe from."""
        if isinstance(self.train_inputs, LazyImages):
            return Pairs(self.train_inputs, self.train_targets)
        return self.train_inputs, self.train_targets

    def digest(self) -> str:
        """A short SHA-256 of all values, by which a run recognizes its data; of lazy images, of a sample."""
        sha = hashlib.sha256()
        for part in self.parts():
            if isinstance(part, LazyImages):
                sha.update(part.digest())
                continue
            sha.update(f"{part.dtype}{tuple(part.shape)}".encode())
            sha.update(part.contiguous().numpy().tobytes())
        return sha.hexdigest()[:16]


@dataclass(frozen=True)
class Metric:
    """The quality of outputs on the test set: the mean of `score` over examples, or over examples and columns."""

    name: str
    score: Callable[[Tensor, Tensor], Tensor]
    higher_is_better: bool
    scale: float = 1.0
    unit: str = ""

    def show(self, value: float) -> str:
        """The value as text, with its unit: '98.61 %', '1.013 °C'."""
        digits = 2 if self.scale == 100.0 else 3
        return f"{value * self.scale:.{digits}f} {self.unit}".rstrip()

    def best(self, values: list[float]) -> int:
        """The position of the best value (the first of equals)."""
        return values.index(max(values) if self.higher_is_better else min(values))


def _correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(1) == targets).double()


def _absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.double() - targets.double()).abs()


ACCURACY = Metric("accuracy", _correct, higher_is_better=True, scale=100.0, unit="%")
ABSOLUTE_ERROR = Metric("MAE", _absolute_error, higher_is_better=False)
MAE_CELSIUS = Metric("MAE", _absolute_error, higher_is_better=False, unit="°C")


def mlp(*widths: int) -> nn.Module:
    """Fully connected layers of these widths, the inputs' first, with ReLU between them."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def pixels_to_unit(batch: Tensor) -> Tensor:
    """(n, channels, height, width) uint8 pixels -> float32 in [0, 1]."""
    return batch.float().div_(255.0)


@dataclass(frozen=True)
class Standardise:
    """Pixels to numbers with mean 0 and standard deviation 1 over a data set, channel by channel.

    Attributes:
        mean: Of each channel's pixels, which count as 0..1.
        std: Their standard deviations.
        size: Height and width of the middle part that is kept; None keeps all.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        """(n, channels, height, width) uint8 -> float32."""
        if self.size is not None:
            top, left = ((side - self.size) // 2 for side in batch.shape[2:])
            batch = batch[:, :, top : top + self.size, left : left + self.size]
        mean, std = (
            torch.tensor(values, device=batch.device).view(-1, 1, 1) for values in (self.mean, self.std)
        )
        return pixels_to_unit(batch).sub_(mean).div_(std)


def as_is(batch: Tensor) -> Tensor:
    """Inputs that are already what the model takes."""
    return batch


@dataclass(frozen=True)
class Workload:
    """One experiment: everything that determines its numbers, except the options of the command line."""

    name: str
    summary: str
    load: Callable[[], Data]
    build_model: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    metric: Metric
    bounds: Bounds
    epochs: int
    batch_size: int
    prepare: Callable[[Tensor], Tensor] = as_is
    # For training batches only, before `prepare`. Its numbers must come from the generator, so that a run can resume.
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    probe_size: int = 1000  # of a smaller training set all examples
    # I(X;Y) as for `Probe`: "auto", or in nats if it is known better than a neighbour estimate.
    reference: str | float = "auto"
    channels_last: bool = False
    # A small model runs faster on one CPU thread than on several.
    threads: int | None = None
    # Values of the test metric. A comparison reports when each was reached.
    levels: tuple[float, ...] = ()
    # Of a user's own workload: a digest that distinguishes it from others of its name, filled in when it is found.
    code: str = ""

    def __post_init__(self) -> None:
        """Raise TypeError for a part of the wrong kind, before a run starts."""
        for name in ("load", "build_model", "loss", "prepare", "augment"):
            part = getattr(self, name)
            if not (callable(part) or (name == "augment" and part is None)):
                raise TypeError(f"{name} must be a function, got {part!r}")
        for name, kind in (("name", str), ("summary", str), ("metric", Metric), ("bounds", Bounds)):
            part = getattr(self, name)
            if not isinstance(part, kind):
                raise TypeError(f"{name} must be {kind.__name__}, got {type(part).__name__} {part!r}")
        for name in ("epochs", "batch_size", "probe_size"):
            part = getattr(self, name)
            if not isinstance(part, int) or isinstance(part, bool):
                raise TypeError(f"{name} must be a whole number, got {part!r}")
        for name in ("momentum", "weight_decay"):
            part = getattr(self, name)
            if not isinstance(part, int | float) or isinstance(part, bool) or not 0 <= part < math.inf:
                raise ValueError(f"{name} must be a number of at least 0, got {part!r}")
