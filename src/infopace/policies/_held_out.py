"""Information about held-out examples, as a policy reads it: the mean, and rises with their standard errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infopace._checks import shown
from infopace.estimators._student import two_sided_quantile


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
        errors: (epochs,) its standard error.
        bests: (epochs,) the best epoch so far. A later one is better where it has more information by more than the
            standard error of their difference, example by example: the rule of one standard error (Breiman, Friedman,
            Olshen, Stone 1984, Classification and Regression Trees).
        falls: (epochs,) by how much information is below that of the best epoch so far, in nats, and the standard
            error of that difference.
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
        n = self.pointwise.shape[1]
        self.errors: list[float] = (self.pointwise.std(1, ddof=1) / math.sqrt(n)).tolist()
        wrong = next((i for i, value in enumerate(self.nats) if not math.isfinite(value)), None)
        if wrong is not None:
            raise ValueError(f"information must be finite, got {self.nats[wrong]} at index {wrong}")
        self.begin = 0
        self.bests: list[int] = []
        self.falls: list[tuple[float, float]] = []
        self._best_values = self.pointwise[:0]
        self._follow(self.pointwise)
        self._rises: dict[tuple[int, int], tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self.nats)

    def until(self, epoch: int) -> HeldOut:
        """The values that were known when an epoch began."""
        kept = self.pointwise[: max(epoch - self.begin, 0)]
        before = self._with(kept, self.nats[:epoch], self.errors[:epoch], self.begin)
        before.bests, before.falls = self.bests[:epoch], self.falls[:epoch]
        if before.bests != self.bests:
            best = before.bests[-1] - before.begin if before.bests else 0
            before._best_values = kept[best] if 0 <= best < len(kept) else kept[:0]
        return before

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

    def wander(self, first: int, last: int) -> float:
        """The rise that counts as none by the noise of SGD: 97.5 % of lines through steady values rise by less.

        It is Student's quantile times the standard error of the rise, by the scatter of nats[first..last] around their
        line. `rise` gives the error by the choice of the examples, which does not know how the network wanders.

        Raises:
            ValueError: fewer than three epochs.
        """
        n = last - first + 1
        x = np.arange(n) - (n - 1) / 2
        error = self.scatter(first, last) / math.sqrt(float(x @ x)) * (n - 1)
        return two_sided_quantile(float(n - 2)) * error

    def scatter(self, first: int, last: int) -> float:
        """The standard deviation of nats[first..last] around their least-squares line: the noise of SGD, in nats.

        Raises:
            ValueError: fewer than three epochs.
        """
        n = last - first + 1
        if not 0 <= first <= last < len(self) or n < 3:
            raise ValueError(
                f"noise must be that of three of {len(self)} epochs or more, got first = {first} and last = {last}"
            )
        values = np.array(self.nats[first : last + 1])
        x = np.arange(n) - (n - 1) / 2
        left = values - values.mean() - (x @ values) / (x @ x) * x
        return math.sqrt(float(left @ left) / (n - 2))

    def knows(self, first: int, last: int) -> bool:
        """Whether `rise(first, last)` can still be given."""
        return 0 <= first < last < len(self) and (first >= self.begin or (first, last) in self._rises)

    def grown(self, pointwise: ArrayLike) -> HeldOut:
        """With one epoch more. `pointwise`: (n,), what each example contributes after it."""
        more = HeldOut(np.asarray(pointwise)[None])
        both = np.concatenate([self.pointwise, more.pointwise])
        grown = self._with(both, [*self.nats, *more.nats], [*self.errors, *more.errors], self.begin)
        grown._follow(more.pointwise)
        return grown

    def _follow(self, values: NDArray[np.float64]) -> None:
        """Say of further epochs, whose values these are, which is the best so far, and how far each is below it."""
        for epoch, now in enumerate(values, len(self.bests)):
            below = self._best_values - now if self.bests else -now
            fall, error = float(below.mean()), float(below.std(ddof=1)) / math.sqrt(len(below))
            if not self.bests or -fall > error:
                self.bests.append(epoch)
                self.falls.append((0.0, 0.0))
                self._best_values = now
            else:
                self.bests.append(self.bests[-1])
                self.falls.append((fall, error))

    def trimmed(self, *, wholly: bool = False) -> HeldOut:
        """Without the values that no rise needs any more: those before the last rise, or all of them."""
        latest = [first for first, last in self._rises if last == len(self) - 1]
        begin = len(self) if wholly else max(min(latest, default=0), self.begin)
        return self._with(self.pointwise[begin - self.begin :].copy(), self.nats, self.errors, begin)

    def parts(self) -> dict[str, NDArray[Any]]:
        """All that is kept, as arrays.

        nats, errors and bests (epochs,), falls (epochs, 2), pointwise, best (n,): the values of the best epoch so far,
        rises (k, 4): first, last, rise, error.
        """
        rises = [[*ends, *found] for ends, found in sorted(self._rises.items())]
        return {
            "nats": np.array(self.nats),
            "errors": np.array(self.errors),
            "bests": np.array(self.bests, dtype=np.int64),
            "falls": np.array(self.falls, dtype=np.float64).reshape(-1, 2),
            "best": self._best_values,
            "pointwise": self.pointwise,
            "rises": np.array(rises, dtype=np.float64).reshape(-1, 4),
        }

    @classmethod
    def of_parts(cls, parts: dict[str, Any]) -> HeldOut:
        """From what `parts` returned.

        Raises:
            ValueError: a part that is missing or does not fit the others.
        """
        names = ("nats", "errors", "bests", "falls", "best", "pointwise", "rises")
        nats, errors, bests, falls, best, pointwise, rises = (
            np.asarray(parts.get(name, ())) for name in names
        )
        found = cls(pointwise)
        shapes = {
            "nats": nats.shape[:1],
            "errors": nats.shape,
            "bests": nats.shape,
            "falls": (len(nats), 2),
            "best": pointwise.shape[1:],
            "rises": (len(rises), 4),
        }
        got = {name: np.shape(parts.get(name, ())) for name in shapes}
        if got != shapes or len(nats) < len(found):
            raise ValueError(f"held-out information must have parts of shapes {shapes}, got {got}")
        found = found._with(found.pointwise, nats.tolist(), errors.tolist(), len(nats) - len(found))
        found.bests, found._best_values = bests.tolist(), best
        found.falls = [(fall, error) for fall, error in falls.tolist()]
        found._rises = {(int(first), int(last)): (rise, error) for first, last, rise, error in rises.tolist()}
        return found

    def _with(
        self, pointwise: NDArray[np.float64], nats: list[float], errors: list[float], begin: int
    ) -> HeldOut:
        other = object.__new__(HeldOut)
        other.pointwise, other.nats, other.errors, other.begin = (
            pointwise,
            nats,
            errors,
            min(begin, len(nats)),
        )
        other.bests, other.falls, other._best_values = list(self.bests), list(self.falls), self._best_values
        other._rises = {ends: found for ends, found in self._rises.items() if ends[1] < len(nats)}
        return other
