"""What a workload is: data, model, loss, metric and the recipe they are trained with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from infopace import Bounds


@dataclass(frozen=True)
class Data:
    """Training and test set as tensors. Images stay uint8; a batch is cast when it is used."""

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor

    def to(self, device: torch.device) -> Data:
        """The same data on `device`; data sets of this size fit there as a whole."""
        return Data(*(part.to(device) for part in self.parts()))

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Training inputs and targets, test inputs and targets."""
        return self.train_inputs, self.train_targets, self.test_inputs, self.test_targets

    def digest(self) -> str:
        """A short SHA-256 of all values: a resumed run must see the data it was started with."""
        sha = hashlib.sha256()
        for part in self.parts():
            sha.update(f"{part.dtype}{tuple(part.shape)}".encode())
            sha.update(part.contiguous().numpy().tobytes())
        return sha.hexdigest()[:16]


@dataclass(frozen=True)
class Metric:
    """How good outputs are on the test set: the mean of `score` over rows, or over rows and columns."""

    name: str
    score: Callable[[Tensor, Tensor], Tensor]
    higher_is_better: bool
    scale: float = 1.0
    unit: str = ""

    def show(self, value: float) -> str:
        """The value as a person reads it, with its unit: '98.61 %', '1.013 °C'."""
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
MAE_CELSIUS = Metric("MAE", _absolute_error, higher_is_better=False, unit="°C")


def pixels_to_unit(batch: Tensor) -> Tensor:
    """(n, channels, height, width) uint8 pixels -> float32 in [0, 1]."""
    return batch.float().div_(255.0)


def as_is(batch: Tensor) -> Tensor:
    """Inputs that are already what the model takes."""
    return batch


@dataclass(frozen=True)
class Workload:
    """One experiment: everything that fixes its numbers, but for the command line's choices."""

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
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    probe_size: int = 1000
    channels_last: bool = False
    # A small model runs faster on one CPU thread than on several that wait for each other.
    threads: int | None = None
