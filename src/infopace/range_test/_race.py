"""The economical test, the default: few candidates, and those that crash or are clearly behind are stopped."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import ClassVar

from infopace._checks import is_finite, positive, shown, whole
from infopace.policies import Bounds
from infopace.probe import Measuring
from infopace.range_test._method import Keep, Method, Settings
from infopace.range_test._race_bounds import Clock, mean_bounds, trial_bounds
from infopace.range_test._race_trial import race_trial
from infopace.range_test._records import Candidate, Trial
from infopace.range_test._result import RangeTest, RangeTestError
from infopace.range_test._trainee import Trainee

# A trial takes about seven horizons of steps, evaluations included (measured: digits and MNIST, 7 to 8 candidates).
_HORIZONS_A_TRIAL = 7
# A run of up to 5,000 steps takes seconds or minutes, and its test may take as long: 128 steps a candidate and five
# trials. With fewer steps, rates that fail later still look best (measured on digits, 12 seeds: the best rate after 33,
# 66, 133 and 269 steps is .17, .12, .09 and .09; after a whole run it is .07 to .1). For longer runs the least horizon
# falls, so that the share counts from about 10,000 steps on.
_SHORT_RUN = 5_000
_SHORT_HORIZON, _SHORT_TRIALS, _TRIALS = 128, 5, 3
# Where trials are cheap there are more of them until their mean is known to _PRECISION, in decades. Two tests are then
# within .17 decades of each other in 95 of 100, and thirty within about a quarter (1.96 * sqrt(2) and 4.1 times it).
# Drawn again from the trials of 30 tests: 6 trials on the digits CNN, 8 on the MLP, 18 on breast cancer.
_PRECISION = 0.06
_MOST_TRIALS = 24
# Digits by `infopace train` with 4 epochs, six seeds: with 16 steps two tests find that nothing learned, with 32 none.
_LEAST_HORIZON = 32


@dataclass(frozen=True)
class Race(Method):
    """The economical test, the default: candidates race, those that crash are stopped early.

    Attributes:
        trials: Sets of fresh weights; the bounds are their trimmed geometric mean. None takes three for a run of 5,000
            steps or more. For a shorter run it takes five, and up to 24 until the standard errors of lr_top and lr_max
            are 0.06 decades or less; layer by layer it takes just the five.
        share: What the test may cost, as a share of the optimizer steps of the run that it serves. The test of a short
            run costs more: up to 128 steps a candidate. Layer by layer, each layer may cost as much again.
        low, high: The widest range that is searched.
        most: What the test of a short run should cost at most, as a multiple of that run's steps. A candidate then has
            fewer steps, and there are three trials, however precise. None sets no limit.
    """

    name: ClassVar[str] = "race"

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

    def first_trials(self, steps: int) -> int:
        """How many trials of one rate for all layers every test has, for a run of so many steps."""
        if self.trials is not None:
            return self.trials
        return _SHORT_TRIALS if self._adds_trials(steps) else _TRIALS

    def all_trials(self, steps: int, layers: int = 0) -> int:
        """The largest number of trials, those of `layers` layers alone included."""
        first = self.first_trials(steps)
        if layers:
            return first * (1 + layers)
        return _MOST_TRIALS if self._adds_trials(steps) else first

    def horizon(self, steps: int) -> int:
        """Optimizer steps of a candidate, for a run of so many steps."""
        one = steps / (self.first_trials(steps) * _HORIZONS_A_TRIAL)
        short = _SHORT_HORIZON * min(1.0, _SHORT_RUN / steps)
        if self.most is not None:
            short = min(short, self.most * one)
        return max(_LEAST_HORIZON, round(short), int(self.share * one))

    def progress_steps(self, steps: int) -> int:
        """Steps within which lr_min makes significant progress: the same share of the run."""
        return max(1, round(self.share * steps))

    def measuring(self, layers: Sequence[str]) -> Measuring:
        """The output: a layer's rate is raced by it."""
        return Measuring()

    def check_layers(self, layers: Collection[str], measured: Collection[str]) -> None:
        """Nothing: a layer's rate is raced by the output."""

    def trials_needed(self, settings: Settings, finished: Mapping[int, Trial]) -> int:
        """How many trials the result takes, as far as the finished ones can show.

        It is the smallest number n, from the first ones on, whose trials 0..n-1 make the means precise enough.
        """
        count, most = self.first_trials(settings.planned_steps), settings.all_trials
        if settings.layers:
            return most
        while count < most:
            done = [finished[number] for number in range(count) if number in finished]
            if len(done) < count or self._precise(settings, done):
                break
            count += 1
        return count

    def trials_before(self, settings: Settings, number: int) -> range:
        """Layers are raced at the lr_top of all shared trials."""
        return range(self._shared(settings)) if self._layer(settings, number) is not None else range(0)

    def run_trial(
        self,
        settings: Settings,
        number: int,
        trainee: Trainee,
        finished: Mapping[int, Trial],
        known: Mapping[float, Candidate],
        keep: Keep,
    ) -> Trial:
        """Run a trial; see `Method`.

        A layer alone is raced from its rate at the shared lr_top upwards. The other layers keep theirs.
        """
        layer, low, top = self._layer(settings, number), self.low, 0.0
        if layer is not None:
            shared = self._shared(settings)
            number %= shared
            top = mean_bounds(self._alone(settings, [finished[n] for n in range(shared)])).lr_top
            low = top * trainee.share_of(layer)
        return race_trial(
            trainee,
            number,
            self.horizon(settings.planned_steps),
            settings.attribute,
            low=low,
            high=self.high,
            rates=lambda lr: trainee.rates(lr) if layer is None else trainee.rates_of_layer(lr, layer, top),
            known=known,
            keep=keep,
        )

    def conclude(self, settings: Settings, trials: Mapping[int, Trial]) -> RangeTest:
        """The result of the trials. Raises RangeTestError where they give no answer."""
        count, shared = self.trials_needed(settings, trials), self._shared(settings)
        everything = tuple(trials[number] for number in range(count))
        of_rate = everything[:shared] if settings.layers else everything
        alone = self._alone(settings, of_rate)
        bounds = mean_bounds(alone)
        layer_bounds = {
            layer: self._layer_bounds(
                settings, [trials[shared * (1 + i) + t] for t in range(shared)], bounds, layer
            )
            for i, layer in enumerate(settings.layers)
        }
        steps, planned = sum(trial.steps for trial in everything), settings.planned_steps
        shared_steps, notes = sum(trial.steps for trial in of_rate), []
        if shared_steps > 1.5 * self.share * planned:
            notes.append(
                f"the run is short, {planned:,} steps: the test still takes {self.horizon(planned)} steps a candidate, "
                f"{shared_steps:,} in all"
            )
        if steps > shared_steps:
            notes.append(
                f"{steps - shared_steps:,} of the {steps:,} steps are for the rates of {len(settings.layers)} layers "
                "alone"
            )
        return RangeTest(
            bounds,
            layer_bounds,
            settings.attribute,
            self.name,
            everything,
            tuple(alone),
            planned,
            tuple(notes),
        )

    def _adds_trials(self, steps: int) -> bool:
        """Whether trials are cheap enough to add some until their mean is precise."""
        return self.trials is None and self.most is None and steps < _SHORT_RUN

    def _shared(self, settings: Settings) -> int:
        """How many trials of one rate for all layers come before those of layers."""
        return self.first_trials(settings.planned_steps)

    def _layer(self, settings: Settings, number: int) -> str | None:
        """The layer that a trial races alone; None for a trial of one rate for all layers."""
        shared = self._shared(settings)
        return settings.layers[number // shared - 1] if settings.layers and number >= shared else None

    def _alone(
        self, settings: Settings, trials: Collection[Trial], *, one_layer: bool = False
    ) -> list[Bounds]:
        """The bounds of each trial."""
        clock, steps = (
            Clock(settings.momentum, settings.nesterov),
            self.progress_steps(settings.planned_steps),
        )
        return [
            trial_bounds(trial, settings.attribute, steps, clock, one_layer=one_layer) for trial in trials
        ]

    def _precise(self, settings: Settings, trials: Collection[Trial]) -> bool:
        """Whether lr_top and lr_max are known well enough; where a trial gives no answer, more trials do not help."""
        try:
            alone = self._alone(settings, trials)
        except RangeTestError:
            return True
        logs = ([math.log10(b.lr_top) for b in alone], [math.log10(b.lr_max) for b in alone])
        # The trimmed mean is of two trials less.
        return all(stdev(values) <= _PRECISION * math.sqrt(len(values) - 2) for values in logs)

    def _layer_bounds(
        self, settings: Settings, trials: Collection[Trial], shared: Bounds, layer: str
    ) -> Bounds:
        """Bounds of one layer, whose rate alone was raced from the shared lr_top upwards.

        The shared lr_top is what the most delicate layer bears. Others may bear more, and get it where it is
        significantly better.

        How slow is too slow cannot be found by one layer, as the others go on learning. So its lr_min is the same share
        of its lr_top as that of the shared rate. *Reading*: the paper names layer-wise bounds as future work.
        """
        try:
            own = mean_bounds(self._alone(settings, trials, one_layer=True))
        except RangeTestError as error:
            raise RangeTestError(error.kind, f"layer {layer!r}: {error}") from error
        return Bounds(own.lr_top * shared.lr_min / shared.lr_top, own.lr_max, own.lr_top, own.epsilon)
