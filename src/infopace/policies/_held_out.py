"""Information about held-out examples, as a policy reads it: the mean, and rises with their standard errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infopace._checks import shown


class HeldOut:
    """Information about examples that are not trained on, example by example.

    A rise of information is known much better than its level: the examples stay the same, and so does what makes one
    of them easy and another hard.

    A rise that was computed once is remembered. So a long run need not keep all values. `grown` and `trimmed` are for
    the scheduler, which keeps only the values that its policy may still read.

    Args:
        pointwise: (epochs, n) in nats: what each example contributes after 0, 1, .. epochs (`Estimate.pointwise`), for
            as long as these examples were kept out of training.

    Attributes:
        nats: (epochs,) the information: the mean over the examples.
        pointwise: (epochs - begin, n) the values that are kept.
        begin: Epochs whose values are no longer kept.

    Raises:
        ValueError: a number of dimensions other than two, fewer than two examples, or a value that is not finite.
    """

    def __init__(self, pointwise: ArrayLike) -> None:
        try:
            self.pointwise: NDArray[np.float64] = np.array(pointwise, dtype=np.float64)
        except (TypeError, ValueError) as error:  # numpy's, of lists of several lengths, words, ..
            kind = type(pointwise).__name__
            raise ValueError(
                f"held-out information must be (epochs, n) numbers in one array, got {kind} {shown(pointwise)}"
            ) from error
        if self.pointwise.ndim != 2 or self.pointwise.shape[1] < 2:
            raise ValueError(
                "held-out information must be (epochs, n) for two examples or more, "
                f"got shape {self.pointwise.shape}"
            )
        self.nats: list[float] = self.pointwise.mean(1).tolist()
        wrong = next((i for i, value in enumerate(self.nats) if not math.isfinite(value)), None)
        if wrong is not None:
            raise ValueError(f"information must be finite, got {self.nats[wrong]} at index {wrong}")
        self.begin = 0
        self._rises: dict[tuple[int, int], tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self.nats)

    def until(self, epoch: int) -> HeldOut:
        """The values that were known when an epoch began."""
        return self._with(self.pointwise[: max(epoch - self.begin, 0)], self.nats[:epoch], self.begin)

    def rise(self, first: int, last: int) -> tuple[float, float]:
        """Rise of the least-squares line through nats[first..last], and its standard error, in nats.

        Each example has a line of its own, and the mean of their rises is the rise of the mean. Its standard error is
        that of a mean of n independent values.

        A scheduler drops the values before `first` once a rise up to the last epoch was asked for. A policy must not go
        back behind them, except for rises that it has asked for before.

        Raises:
            ValueError: fewer than two epochs, or an epoch whose values are not known.
        """
        if not 0 <= first < last < len(self):
            raise ValueError(
                f"a rise must be between two of {len(self)} epochs, got first = {first} and last = {last}"
            )
        if (first, last) not in self._rises:
            if first < self.begin:
                raise ValueError(
                    f"a rise must be of epochs that are kept, from {self.begin}, got first = {first}"
                )
            window = self.pointwise[first - self.begin : last + 1 - self.begin]
            x = np.arange(len(window)) - (last - first) / 2
            rises = x @ (window - window[-1]) / (x @ x) * (last - first)
            self._rises[first, last] = (
                float(rises.mean()),
                float(rises.std(ddof=1)) / math.sqrt(len(rises)),
            )
        return self._rises[first, last]

    def knows(self, first: int, last: int) -> bool:
        """Whether `rise(first, last)` can still be given."""
        return 0 <= first < last < len(self) and (first >= self.begin or (first, last) in self._rises)

    def grown(self, pointwise: ArrayLike) -> HeldOut:
        """With one epoch more. `pointwise`: (n,), what each example contributes after it."""
        more = HeldOut(np.asarray(pointwise)[None])
        return self._with(
            np.concatenate([self.pointwise, more.pointwise]), [*self.nats, *more.nats], self.begin
        )

    def trimmed(self, *, wholly: bool = False) -> HeldOut:
        """Without the values that no rise needs any more: those before the last rise, or all of them."""
        latest = [first for first, last in self._rises if last == len(self) - 1]
        begin = len(self) if wholly else max(min(latest, default=0), self.begin)
        return self._with(self.pointwise[begin - self.begin :].copy(), self.nats, begin)

    def parts(self) -> dict[str, NDArray[np.float64]]:
        """All that is kept, as arrays: nats (epochs,), pointwise, and rises (k, 4) of first, last, rise, error."""
        rises = [[*ends, *found] for ends, found in sorted(self._rises.items())]
        return {
            "nats": np.array(self.nats),
            "pointwise": self.pointwise,
            "rises": np.array(rises, dtype=np.float64).reshape(-1, 4),
        }

    @classmethod
    def of_parts(cls, parts: dict[str, Any]) -> HeldOut:
        """From what `parts` returned.

        Raises:
            ValueError: a part that is missing or does not fit the others.
        """
        nats, pointwise, rises = (np.asarray(parts.get(name, ())) for name in ("nats", "pointwise", "rises"))
        found = cls(pointwise)
        if nats.ndim != 1 or rises.ndim != 2 or rises.shape[1] != 4 or len(nats) < len(found):
            raise ValueError(
                "held-out information must have nats (epochs,), pointwise (up to epochs, n) and rises (k, 4), "
                f"got shapes {nats.shape}, {pointwise.shape} and {rises.shape}"
            )
        found = found._with(found.pointwise, nats.tolist(), len(nats) - len(found))
        found._rises = {(int(first), int(last)): (rise, error) for first, last, rise, error in rises.tolist()}
        return found

    def _with(self, pointwise: NDArray[np.float64], nats: list[float], begin: int) -> HeldOut:
        other = object.__new__(HeldOut)
        other.pointwise, other.nats, other.begin = pointwise, nats, min(begin, len(nats))
        other._rises = {ends: found for ends, found in self._rises.items() if ends[1] < len(nats)}
        return other
