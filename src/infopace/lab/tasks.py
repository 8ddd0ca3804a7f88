"""What a workload predicts: the loss and the metric of classes, labels, tokens, pixels and numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# The target of a pixel or a token that does not count, as in torch's cross_entropy.
IGNORED = -100


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


def _all_labels_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs > 0) == (targets > 0.5)).flatten(1).all(1).double()


def _pixels_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return _correct(outputs, targets)[targets != IGNORED]


def _tokens_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(-1) == targets)[targets != IGNORED].double()


def _token_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    kept = targets != IGNORED
    return F.cross_entropy(outputs[kept].double(), targets[kept].long(), reduction="none")


def token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the tokens that count, of scores (n, T, C) and targets (n, T)."""
    return F.cross_entropy(outputs.flatten(0, -2), targets.flatten().long(), ignore_index=IGNORED)


ACCURACY = Metric("accuracy", _correct, higher_is_better=True, scale=100.0, unit="%")
ABSOLUTE_ERROR = Metric("MAE", _absolute_error, higher_is_better=False)
MAE_CELSIUS = Metric("MAE", _absolute_error, higher_is_better=False, unit="°C")
# All labels of an example must be right.
EXACT_MATCH = Metric("exact match", _all_labels_correct, higher_is_better=True, scale=100.0, unit="%")
PIXEL_ACCURACY = Metric("pixel accuracy", _pixels_correct, higher_is_better=True, scale=100.0, unit="%")
TOKEN_ACCURACY = Metric("token accuracy", _tokens_correct, higher_is_better=True, scale=100.0, unit="%")
TOKEN_LOSS = Metric("cross-entropy", _token_losses, higher_is_better=False, unit="nats a token")


@dataclass(frozen=True)
class Task:
    """A kind of target: the loss, the metric, and the best prediction that does not use the inputs.

    Attributes:
        loss: (scores, targets) -> the mean loss.
        metric: Of the test set.
        guess: Training targets (n, ...) -> scores (1, ...) for every example; None where nobody needs it.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    metric: Metric
    guess: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        """Raise TypeError for a part of the wrong kind."""
        for name in ("loss", "guess"):
            part = getattr(self, name)
            if not (callable(part) or (name == "guess" and part is None)):
                raise TypeError(f"{name} must be a function, got {part!r}")
        if not isinstance(self.metric, Metric):
            raise TypeError(f"metric must be Metric, got {type(self.metric).__name__} {self.metric!r}")

    def without_inputs(self, train_targets: Tensor, test_targets: Tensor) -> float:
        """The test metric of the best constant prediction, which every network must beat.

        Raises ValueError for a task without a guess.
        """
        if self.guess is None:
            raise ValueError("the task must have a guess, got None")
        scores = self.guess(train_targets)
        expanded = scores.expand(len(test_targets), *scores.shape[1:])
        return float(self.metric.score(expanded, test_targets).double().mean())


def _log_shares(targets: Tensor) -> Tensor:
    """(C,) the logarithm of each class's share of the targets that count."""
    counts = torch.bincount(targets[targets != IGNORED].flatten().long())
    return (counts / counts.sum()).log()


def _class_shares(targets: Tensor) -> Tensor:
    return _log_shares(targets)[None]


def _token_shares(targets: Tensor) -> Tensor:
    return _log_shares(targets).expand(1, targets.shape[1], -1)


def _pixel_shares(targets: Tensor) -> Tensor:
    return _log_shares(targets)[None, :, None, None].expand(1, -1, *targets.shape[1:])


def _commonest_labels(targets: Tensor) -> Tensor:
    """The set of labels that most examples have, as scores of 1 and -1."""
    sets, counts = targets.unique(dim=0, return_counts=True)
    return 2.0 * sets[counts.argmax()].float()[None] - 1.0


def _medians(targets: Tensor) -> Tensor:
    return targets.median(0, keepdim=True).values


# One of C classes for an example: scores (n, C), targets (n,).
CLASSES = Task(F.cross_entropy, ACCURACY, _class_shares)
# Any of L labels for an example: scores (n, L), targets (n, L) of 0.0 and 1.0.
MULTI_LABEL = Task(F.binary_cross_entropy_with_logits, EXACT_MATCH, _commonest_labels)
# One of C classes for each token: scores (n, T, C), targets (n, T).
TOKENS = Task(token_loss, TOKEN_LOSS, _token_shares)
# One of C classes for each pixel: scores (n, C, H, W), targets (n, H, W).
PIXELS = Task(F.cross_entropy, PIXEL_ACCURACY, _pixel_shares)
# Numbers: outputs and targets (n, d).
NUMBERS = Task(F.mse_loss, ABSOLUTE_ERROR, _medians)
