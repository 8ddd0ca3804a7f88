"""The two ways to test a range, and their settings."""

from __future__ import annotations

import math
from dataclasses import dataclass

from infopace.range_test._paper import grid

# A trial takes about seven horizons of steps, looks included (measured: digits and MNIST, 8 to 9 candidates).
_HORIZONS_A_TRIAL = 7
# Below, momentum has hardly built up and rates that fail later still look best (measured on digits, 12 seeds: the
# best rate after 33, 66, 133 and 269 steps is .17, .12, .09 and .09; after a whole training it is .07 to .1).
_SHORTEST_HORIZON = 128


@dataclass(frozen=True)
class Race:
    """The economical test, the default: candidates race, those that are clearly beaten are stopped early.

    Attributes:
        trials: Sets of fresh weights; the bounds are the median over them.
        share: What the test may cost, as a share of the optimizer steps of the training that it serves. A very
            short training gets at least 128 steps a candidate, whatever its share.
        low, high: The widest range that is searched.
    """

    trials: int = 3
    share: float = 0.1
    low: float = 1e-7
    high: float = 10.0

    def __post_init__(self) -> None:
        _check_trials(self.trials)
        if not (math.isfinite(self.share) and 0 < self.share <= 1):
            raise ValueError(f"share must be in (0, 1], got {self.share}")
        if not (self.low > 0 and self.high >= 10 * self.low and math.isfinite(self.high)):
            raise ValueError(
                f"low and high must be positive and at least a decade apart, got {self.low:g} and {self.high:g}"
            )

    def horizon(self, steps: int) -> int:
        """Optimizer steps of a candidate, for a training of so many steps."""
        return max(_SHORTEST_HORIZON, int(self.share * steps / (self.trials * _HORIZONS_A_TRIAL)))

    def progress_steps(self, steps: int) -> int:
        """Steps within which LR_min makes visible progress: the same share of the training."""
        return max(1, round(self.share * steps))


@dataclass(frozen=True)
class Algorithm2:
    """The test of Vasudevan 2020, Algorithm 2, with its constants; it costs more than many a training.

    Attributes:
        trials: Sets of fresh weights. *Reading*: what the paper counts as its outer loop.
        epochs: Epochs that each candidate trains.
        rates: The candidates, ascending; None: roughly 1-2-5 x 10^-k from 1e-5 to 1.
        c1: A rate learns, or falls behind, by the best value / c1. The paper takes 10, and 30 for ImageNet.
        c2: epsilon in medians of the smallest relative change of information. The paper's formula has 1, its
            experiments .01 and .005.
        retry: A crash ends a trial, and the next starts at that rate, as printed. False starts every trial at the
            smallest rate, so that trials can be farmed out.
    """

    trials: int = 3
    epochs: int = 5
    rates: tuple[float, ...] = grid()
    c1: float = 10.0
    c2: float = 1.0
    retry: bool = True

    def __post_init__(self) -> None:
        _check_trials(self.trials)
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")
        rates = list(self.rates)
        if (
            len(rates) < 3
            or rates != sorted(set(rates))
            or not all(math.isfinite(r) and r > 0 for r in rates)
        ):
            raise ValueError(
                f"rates must be at least 3 positive numbers in ascending order, got {self.rates}"
            )
        for name in ("c1", "c2"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, got {value}")


def _check_trials(trials: int) -> None:
    if trials < 1:
        raise ValueError(f"trials must be at least 1, got {trials}")
