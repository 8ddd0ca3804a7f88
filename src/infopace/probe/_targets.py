"""What targets are: one label an example, several, numbers; which of them count, and how much there is to learn."""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace.estimators import entropy

# The target that torch's cross-entropy leaves out unless it is given another.
IGNORED = -100
# Probabilities in half precision sum to 1 within this.
_SUM_TOLERANCE = 1e-2


class Kind(enum.Enum):
    """What targets are; the value says it in words."""

    LABELS = "one label an example"
    NUMBERS = "continuous targets"
    POSITIONS = "labels at several positions"
    MULTI_LABEL = "several labels of yes or no"
    SOFT = "soft labels"


@dataclass(frozen=True)
class Targets:
    """Targets of n examples.

    Attributes:
        values: (n,) or (n, ..) int64, or (n, ..) floating.
        kind: What they are. None: whole numbers 0 and 1 in several columns, which are classes of positions or answers
            to several questions; the model's output shows which.
        mask: Which of them count, in the shape of `values`; None: all.

    Raises:
        ValueError: targets that are nan or inf, that do not differ, or an example of which none counts.
    """

    values: Tensor
    kind: Kind | None
    mask: Tensor | None = None

    @classmethod
    def of(cls, values: Tensor, mask: Tensor | None = None, scores: Tensor | None = None) -> Targets:
        """Targets of any kind, from their type, their values and the shape of the scores, if those are known."""
        kind = _kind_of(values, scores)
        if kind in (Kind.LABELS, Kind.POSITIONS):
            values = (values.reshape(-1) if kind is Kind.LABELS else values).long()
        if mask is not None:
            mask = mask.reshape(values.shape)
        return cls(values, kind, counting(values, mask) if kind is Kind.POSITIONS else mask)

    def __post_init__(self) -> None:
        counted = self.counted
        n = len(self.values)
        if counted.is_floating_point() and not bool(torch.isfinite(counted).all()):
            raise ValueError(f"targets must be finite, got {counted[~torch.isfinite(counted)][0]}")
        if self.mask is not None and not bool((some := self.mask.reshape(n, -1).any(1)).all()):
            raise ValueError(
                "every example must have a target that counts, "
                f"got none in {int((~some).sum())} of {n} examples, first in example {int((~some).nonzero()[0])}"
            )
        if self.kind is Kind.NUMBERS or int(counted.min()) != int(counted.max()):
            return
        if self.kind is Kind.LABELS:
            raise ValueError(
                f"the probe needs at least 2 classes, got only class {int(counted[0])} in {n} examples"
            )
        if self.kind is not Kind.SOFT:
            raise ValueError(f"targets must differ, got only {int(counted.min())} in {n} examples")

    @property
    def counted(self) -> Tensor:
        """The values that count, in one dimension if there is a mask."""
        return self.values if self.mask is None else self.values[self.mask]

    @functools.cached_property
    def entropy(self) -> float:
        """The most that there is to learn in nats; inf for continuous targets.

        For labels it is H(Y), for labels at positions that of one position's, for several labels the sum of theirs. For
        soft labels t_i it is the entropy of their mean less the mean of their entropies.
        """
        if self.kind is Kind.NUMBERS:
            return math.inf
        if self.kind is Kind.LABELS or self.kind is Kind.POSITIONS:
            return entropy(self.counted.reshape(-1))
        values = self.values.double()
        if self.kind is Kind.SOFT:
            shares = values.movedim(1 if _sums_to_one(values, 1) else -1, -1).flatten(0, -2)
            return float(_entropies(shares.mean(0)) - _entropies(shares).mean())
        counts = torch.ones_like(values) if self.mask is None else self.mask.reshape(values.shape).double()
        yes = (values * counts).sum(0) / counts.sum(0).clamp(min=1)
        return float(_entropies(torch.stack([yes, 1 - yes], 1)).sum())

    def to(self, device: torch.device) -> Targets:
        """The same on another device."""
        if self.values.device == device:
            return self
        mask = None if self.mask is None else self.mask.to(device)
        moved = object.__new__(Targets)  # checked before
        for name, part in (("values", self.values.to(device)), ("kind", self.kind), ("mask", mask)):
            object.__setattr__(moved, name, part)
        return moved


def counting(values: Tensor, mask: Tensor | None) -> Tensor | None:
    """The mask of labels at positions, without those that are to be ignored; None: all count."""
    if not bool((values == IGNORED).any()):
        return mask
    return values != IGNORED if mask is None else (values != IGNORED) & mask


def _kind_of(values: Tensor, scores: Tensor | None) -> Kind | None:
    several = values.numel() > len(values)
    if not values.is_floating_point():
        if not several:
            return Kind.LABELS
        if values.dtype == torch.bool and values.ndim == 2:
            return Kind.MULTI_LABEL
        if values.ndim > 2 or not _is_binary(values):
            return Kind.POSITIONS
        if scores is None:
            return None
        return Kind.MULTI_LABEL if scores.numel() == values.numel() else Kind.POSITIONS
    if _is_binary(values):
        # Numbers for a loss such as binary cross-entropy. In a grid each place is a position with two classes.
        if not several:
            return Kind.LABELS
        if _are_shares(values):
            return Kind.SOFT
        return Kind.MULTI_LABEL if values.ndim == 2 else Kind.POSITIONS
    return Kind.SOFT if several and _are_shares(values) else Kind.NUMBERS


def _is_binary(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def _are_shares(values: Tensor) -> bool:
    """Whether each target is a distribution, over the second dimension or the last."""
    if values.shape[1] < 2 or not bool((values >= 0).all()):
        return False
    return _sums_to_one(values, 1) or (values.ndim > 2 and values.shape[-1] > 1 and _sums_to_one(values, -1))


def _sums_to_one(values: Tensor, axis: int) -> bool:
    return bool(((values.double().sum(axis) - 1).abs() < _SUM_TOLERANCE).all())


def _entropies(shares: Tensor) -> Tensor:
    """The entropy of each row of shares."""
    return -torch.xlogy(shares, shares).sum(-1)
