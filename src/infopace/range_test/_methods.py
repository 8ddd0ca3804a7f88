"""The two ways to test a range, and their settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from infopace._checks import is_finite, positive, shown, whole
from infopace.range_test._paper import grid as paper_grid

# A trial takes about seven horizons of steps, looks included (measured: digits and MNIST, 7 to 8 candidates).
_HORIZONS_A_TRIAL = 7
# A training of up to 5,000 steps takes seconds or minutes, and so may its test: 128 steps a candidate and five
# trials. With fewer steps, rates that fail later still look best (measured on digits, 12 seeds: the best rate after 33,
# 66, 133 and 269 steps is .17, .12, .09 and .09; after a whole training it is .07 to .1). For longer trainings the
# least horizon falls, so that the share counts from about 10,000 steps on.
_SHORT_TRAINING = 5_000
_SHORT_HORIZON, _SHORT_TRIALS, _TRIALS = 128, 5, 3
# Where trials are cheap there are more of them until their mean is known to PRECISION, in decades: two tests are then
# within .17 decades of each other in 95 of 100, and thirty within about a quarter (1.96 * sqrt(2) and 4.1 times it).
# Drawn again from the trials of 30 tests: 6 trials on the digits CNN, 8 on the MLP, 18 on breast cancer.
PRECISION = 0.06
_MOST_TRIALS = 24
# Digits by `infopace train` with 4 epochs, six seeds: with 16 steps two tests see nothing learned, with 32 none.
_LEAST_HORIZON = 32


@dataclass(frozen=True)
class Race:
    """The economical test, the default: candidates race, those that crash are stopped early.

    Attributes:
        trials: Sets of fresh weights; the bounds are their trimmed geometric mean. None takes three. For a training of
            less than 5,000 steps it takes five, and up to 24 until the standard errors of lr_top and lr_max are 0.06
            decades or less; layer by layer just the five.
        share: What the test may cost, as a share of the optimizer steps of the training that it serves. A short
            training's test costs more: up to 128 steps a candidate. Layer by layer, each layer may cost as much again.
        low, high: The widest range that is searched.
        most: What the test of a short training should cost at most, as a multiple of that training's steps: fewer
            steps a candidate then, and three trials, however precise. None sets no limit.
    """

    trials: int | None = None
    share: float = 0.1
    low: float = 1e-7
    high: float = 10.0
    most: float | None = None

    def __post_init__(self) -> None:
        if self.trials is not None:
            whole("trials", self.trials, 1)
        if self.most is not None:
            positive("most", self.most, "number of training runs")
        if not (is_finite(self.share) and 0 < self.share <= 1):
            raise ValueError(f"share must be in (0, 1], got {shown(self.share)}")
        if positive("high", self.high) < 10 * positive("low", self.low):
            raise ValueError(
                f"low and high must be at least a decade apart, got low = {self.low} and high = {self.high}"
            )

    def for_steps(self, steps: int) -> Race:
        """The same with the number of trials for a training of so many steps filled in."""
        if self.trials is not None:
            return self
        precise = steps < _SHORT_TRAINING and self.most is None
        return replace(self, trials=_SHORT_TRIALS if precise else _TRIALS)

    def most_trials(self, steps: int) -> int:
        """The largest number of trials of one rate for all layers, for a training of so many steps."""
        if self.trials is None and self.most is None and steps < _SHORT_TRAINING:
            return _MOST_TRIALS
        return self.for_steps(steps).trials or _TRIALS

    def horizon(self, steps: int) -> int:
        """Optimizer steps of a candidate, for a training of so many steps."""
        one = steps / ((self.for_steps(steps).trials or _TRIALS) * _HORIZONS_A_TRIAL)
        short = _SHORT_HORIZON * min(1.0, _SHORT_TRAINING / steps)
        if self.most is not None:
            short = min(short, self.most * one)
        return max(_LEAST_HORIZON, round(short), int(self.share * one))

    def progress_steps(self, steps: int) -> int:
        """Steps within which LR_min makes visible progress: the same share of the training."""
        return max(1, round(self.share * steps))


@dataclass(frozen=True)
class Algorithm2:
    """The test of Vasudevan 2020, Algorithm 2, with its constants; it costs more than many a training.

    Attributes:
        trials: Sets of fresh weights. *Reading*: what the paper counts as its outer loop.
        epochs: Epochs that each candidate trains.
        rates: The candidates, ascending; by default those of `grid()`.
        c1: A rate learns, or falls behind, by the best value / c1. The paper takes 10, and 30 for ImageNet.
        c2: epsilon in medians of the smallest relative change of information. The paper's formula has 1, its
            experiments .01 and .005.
        retry: A crash ends a trial, and the next starts at that rate, as printed. False starts every trial at the
            smallest rate, so that trials can be farmed out.
    """

    trials: int = 3
    epochs: int = 5
    rates: tuple[float, ...] = paper_grid()
    c1: float = 10.0
    c2: float = 1.0
    retry: bool = True

    def __post_init__(self) -> None:
        whole("trials", self.trials, 1)
        whole("epochs", self.epochs, 1)
        rates = list(self.rates) if isinstance(self.rates, list | tuple) else []
        numbers = all(is_finite(rate) and rate > 0 for rate in rates)
        if len(rates) < 3 or not numbers or rates != sorted(set(rates)):
            raise ValueError(
                f"rates must be at least 3 positive numbers in ascending order, got {shown(self.rates)}"
            )
        for name in ("c1", "c2"):
            positive(name, getattr(self, name))

    @staticmethod
    def grid(low: float = 1e-5, high: float = 1.0) -> tuple[float, ...]:
        """The paper's candidates, roughly 1-2-5 x 10^-k, from `low` to `high`: what `rates` takes.

        Raises:
            ValueError: numbers that are not positive, finite and ascending, or with fewer than 3 candidates in between.

        >>> Algorithm2.grid(0.01, 0.2)
        (0.01, 0.02, 0.05, 0.1, 0.2)
        """
        low, high = positive("low", low), positive("high", high)
        if low >= high:
            raise ValueError(f"low must be < high, got low = {low:g} and high = {high:g}")
        found = paper_grid(low, high)
        if len(found) < 3:
            raise ValueError(
                f"low and high must have at least 3 candidates (1, 2, 5 x 10^-k) between them, got {low:g} and {high:g}"
            )
        return found
