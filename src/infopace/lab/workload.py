"""A workload: data, model, task and the recipe of the training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from infopace import Bounds
from infopace.lab.lazy_images import LazyImages, Pairs
from infopace.lab.optimizers import AdamWRecipe, Recipe, SGDRecipe
from infopace.lab.tasks import Metric, Task

# Inputs and targets, in a form from which `Probe.sample` draws.
Rows = tuple[Tensor, Tensor] | Pairs


@dataclass(frozen=True)
class Data:
    """Training and test set as tensors. Images stay uint8; a batch is cast when it is used.

    If the images do not fit in memory, the inputs are LazyImages. `validation` are inputs and targets that only score
    a run, where some were set aside.
    """

    train_inputs: Tensor | LazyImages
    train_targets: Tensor
    test_inputs: Tensor | LazyImages
    test_targets: Tensor
    validation: tuple[Tensor | LazyImages, Tensor] | None = field(default=None, kw_only=True)

    def to(self, device: torch.device) -> Data:
        """The same data on `device`: tensors as a whole, lazy images when they are indexed."""
        return Data(
            self.train_inputs.to(device),
            self.train_targets.to(device),
            self.test_inputs.to(device),
            self.test_targets.to(device),
            validation=None
            if self.validation is None
            else (self.validation[0].to(device), self.validation[1].to(device)),
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
    task: Task
    bounds: Bounds  # for its own optimizer
    epochs: int
    batch_size: int
    prepare: Callable[[Tensor], Tensor] = as_is
    # For training batches only, before `prepare`. Its numbers must come from the generator, so that a run can resume.
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    optimizer: Recipe = field(default_factory=SGDRecipe)
    # Of a training set with very many examples, those of one epoch, drawn anew for each; None: all.
    epoch_examples: int | None = None
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
        for name in ("load", "build_model", "prepare", "augment"):
            part = getattr(self, name)
            if not (callable(part) or (name == "augment" and part is None)):
                raise TypeError(f"{name} must be a function, got {part!r}")
        kinds = {"name": str, "summary": str, "task": Task, "bounds": Bounds, "optimizer": Recipe}
        for name, kind in kinds.items():
            part = getattr(self, name)
            if not isinstance(part, kind):
                raise TypeError(f"{name} must be {kind.__name__}, got {type(part).__name__} {part!r}")
        for name in ("epochs", "batch_size", "probe_size", "epoch_examples"):
            part = getattr(self, name)
            if name == "epoch_examples" and part is None:
                continue
            if not isinstance(part, int) or isinstance(part, bool):
                raise TypeError(f"{name} must be a whole number, got {part!r}")

    @property
    def metric(self) -> Metric:
        """The task's metric."""
        return self.task.metric

    @property
    def sgd(self) -> SGDRecipe:
        """SGD as the workload has it, for baselines that are SGD: its own optimizer, or else the usual numbers."""
        return self.optimizer if isinstance(self.optimizer, SGDRecipe) else SGDRecipe()

    @property
    def adamw(self) -> AdamWRecipe:
        """AdamW as the workload has it: its own optimizer, or else torch's constants."""
        return self.optimizer if isinstance(self.optimizer, AdamWRecipe) else AdamWRecipe()
