"""Algorithm 2 of Vasudevan 2020: every candidate trains whole epochs; a table of learning rates gives the bounds."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import ClassVar

from infopace._checks import flag, is_finite, positive, shown, whole
from infopace.policies import Bounds
from infopace.probe import Measuring
from infopace.range_test._method import Keep, Method, Settings
from infopace.range_test._records import Candidate, Evaluation, Trial, value_of
from infopace.range_test._result import RangeTest, RangeTestError
from infopace.range_test._trainee import Crashed, Trainee

# "By half of their best" is the reading's; a fall of that size is no noise.
_FALL = 0.5


def paper_grid(low: float = 1e-5, high: float = 1.0) -> tuple[float, ...]:
    """The paper's candidates, roughly 1-2-5 x 10^-k, from `low` to `high`.

    >>> paper_grid(0.01, 0.2)
    (0.01, 0.02, 0.05, 0.1, 0.2)
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5))
    return tuple(lr for lr in steps if low * (1 - 1e-9) <= lr <= high * (1 + 1e-9))


@dataclass(frozen=True)
class Algorithm2(Method):
    """The test of Vasudevan 2020, Algorithm 2, with its constants. It costs more than many a run.

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

    name: ClassVar[str] = "algorithm 2"

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
        positive("c1", self.c1)
        positive("c2", self.c2)
        flag("retry", self.retry)

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

    def first_trials(self, steps: int) -> int:
        """How many trials every test has, whatever the steps of the run."""
        return self.trials

    def all_trials(self, steps: int, layers: int = 0) -> int:
        """The largest number of trials: layers are measured in the same ones."""
        return self.trials

    def measuring(self, layers: Sequence[str]) -> Measuring:
        """The layers, each driven by its own information."""
        return Measuring(layers=layers) if layers else Measuring()

    def check_layers(self, layers: Collection[str], measured: Collection[str]) -> None:
        """Raise ValueError where the probe does not measure one of the layers."""
        without = [layer for layer in layers if layer not in measured]
        if without:
            raise ValueError(
                f"layer_wise by Algorithm2 must measure every layer, got no measurement of {without[0]!r}; "
                'give Measuring(layers="all")'
            )

    def trials_needed(self, settings: Settings, finished: Mapping[int, Trial]) -> int:
        """How many trials the result takes."""
        return self.trials

    def trials_before(self, settings: Settings, number: int) -> range:
        """With `retry`, a trial goes on where the one before it crashed."""
        return range(number - 1, number) if self.retry and number else range(0)

    def run_trial(
        self,
        settings: Settings,
        number: int,
        trainee: Trainee,
        finished: Mapping[int, Trial],
        known: Mapping[float, Candidate],
        keep: Keep,
    ) -> Trial:
        """Run a trial; see `Method`."""
        rates, smaller = self.rates, []
        if self.retry and number:
            before = [finished[n] for n in range(number)]
            crashed = before[-1].crashed
            rates = tuple(lr for lr in rates if not crashed or lr >= crashed[0].lr)
            smaller = [c for trial in before for c in trial.completed if c.lr < rates[0]]
        return paper_trial(trainee, number, rates, self.epochs, smaller=smaller, known=known, keep=keep)

    def conclude(self, settings: Settings, trials: Mapping[int, Trial]) -> RangeTest:
        """The result of the trials. Raises RangeTestError where they give no answer."""
        everything = tuple(trials[number] for number in range(self.trials))
        bounds = paper_bounds(everything, settings.attribute, self.c1, self.c2)
        alone: list[Bounds | None] = []
        for trial in everything:
            try:
                alone.append(paper_bounds([trial], settings.attribute, self.c1, self.c2))
            except RangeTestError:
                alone.append(None)
        # A layer's own bounds by its own information, in the same trials.
        layer_bounds = {
            layer: paper_bounds(everything, "information", self.c1, self.c2, layer)
            for layer in settings.layers
        }
        return RangeTest(
            bounds,
            layer_bounds,
            settings.attribute,
            self.name,
            everything,
            tuple(alone),
            settings.planned_steps,
        )


def paper_trial(
    trainee: Trainee,
    number: int,
    rates: Sequence[float],
    epochs: int,
    *,
    smaller: Sequence[Candidate] = (),
    known: Mapping[float, Candidate],
    keep: Keep,
) -> Trial:
    """One trial: candidates in ascending order from the trial's weights, up to the first that crashes.

    Args:
        trainee: What trains.
        number: Of the trial.
        rates: The candidates.
        epochs: Of each candidate.
        smaller: Candidates of earlier trials at lower rates. Where one of them trained, chance level is a crash.
        known: The candidates by rate that an interrupted test has finished.
        keep: Called with each new candidate.
    """
    trainee.begin(number)
    done: list[Candidate] = []
    untrained: Evaluation | None = next((candidate.first for candidate in known.values()), None)
    for lr in sorted(rates):
        candidate = known.get(lr)
        if candidate is None:
            candidate = _candidate(trainee, lr, epochs, untrained, [*smaller, *done])
            keep(candidate)
        untrained = candidate.first
        done.append(candidate)
        if candidate.crash:
            break
    return Trial(number, tuple(done))


def _candidate(
    trainee: Trainee, lr: float, epochs: int, untrained: Evaluation | None, smaller: Sequence[Candidate]
) -> Candidate:
    began = time.perf_counter()
    trainee.start(trainee.rates(lr))
    found = [trainee.untrained() if untrained is None else untrained]
    crash = ""
    try:
        for _ in range(epochs):
            trainee.train(trainee.steps_per_epoch)
            found.append(trainee.evaluate())
            crash = crash_of(found, smaller)
            if crash:
                break
    except Crashed as error:
        crash = str(error)
    return Candidate(lr, tuple(found), crash, time.perf_counter() - began, trainee.step)


def crash_of(found: Sequence[Evaluation], smaller: Sequence[Candidate]) -> str:
    """Why a candidate with these evaluations crashed, "" where it did not.

    *Reading* of a paper that names crashes without defining them: accuracy and information both fell to half of
    their best while the loss rose; or the model is at chance level where a smaller rate trained. Chance level is
    information within two standard errors of 0. (A loss that is not finite ends a candidate before.)

    Args:
        found: In the order of steps.
        smaller: Completed candidates at lower rates.
    """
    last, best_loss = found[-1], min(evaluation.loss for evaluation in found)
    fell = [_fell([evaluation.information["output"] for evaluation in found])]
    if last.accuracy is not None:
        fell.append(_fell([e.accuracy for e in found if e.accuracy is not None]))
    if all(fell) and last.loss > best_loss:
        return "accuracy and information fell to half of their best while the loss rose"
    if _at_chance(last) and any(_trained(candidate) for candidate in smaller):
        return "it is at the level of chance where a smaller rate trained"
    return ""


def _fell(values: Sequence[float]) -> bool:
    return max(values) > 0 and values[-1] < _FALL * max(values)


def _at_chance(found: Evaluation) -> bool:
    error = 0.0 if math.isnan(found.std_error) else found.std_error
    return found.information["output"] < 2 * error or found.information["output"] <= 0


def _trained(candidate: Candidate) -> bool:
    return candidate.last.loss < candidate.first.loss and not _at_chance(candidate.last)


def paper_bounds(
    trials: Sequence[Trial], attribute: str, c1: float, c2: float, layer: str = "output"
) -> Bounds:
    """Bounds from trials, each rate's values averaged over the trials that completed it.

        d1n = final - initial value of a rate           MAXVAL = best final value, Thresh = MAXVAL / C1
        dnn = MAXVAL - final value of a rate
        LR_top   the rate of MAXVAL
        LR_min   the smallest rate with d1n >= Thresh
        LR_max   the smallest rate above LR_top with dnn >= Thresh for it and all larger ones; if there is none,
                 the largest that was completed
        epsilon  C2 * median over rates of min(ds), ds the relative change of information between evaluations

    *Readings*: of rates with equal values the smaller is LR_top. The median of min(ds) is negative where information
    fell somewhere at most rates; its absolute value is then taken. Where it is 0, the default of `Bounds` is. The loss
    counts by what it has fallen.

    Raises:
        RangeTestError: every rate crashed; no rate gained Thresh; the best rate is the smallest or the largest of
            the candidates, so that the best may lie outside.
    """
    rates = sorted({c.lr for trial in trials for c in trial.candidates})
    done = {lr: found for lr in rates if (found := [c for t in trials for c in t.completed if c.lr == lr])}
    if not done:
        raise RangeTestError(
            "crashed", f"every candidate crashed, the smallest at {rates[0]:g}; start from smaller rates"
        )
    values = {
        lr: (
            fmean(value_of(c.first, c.first, attribute, layer) for c in found),
            fmean(value_of(c.last, c.first, attribute, layer) for c in found),
        )
        for lr, found in done.items()
    }
    best = max(final for _, final in values.values())
    top = min(lr for lr, (_, final) in values.items() if final == best)
    threshold = best / c1
    learning = [lr for lr, (initial, final) in values.items() if final - initial >= threshold > 0]
    if not learning:
        gained = max(final - initial for initial, final in values.values())
        raise RangeTestError(
            "nothing-learned",
            f"no rate gained {threshold:.3g} of {attribute} ({best:.3g} / C1 = {c1:g}), at most {gained:.3g}; "
            "train each candidate longer or raise the rates",
        )
    if top in (rates[0], rates[-1]):
        edge = "smallest" if top == rates[0] else "largest"
        raise RangeTestError(
            "narrow",
            f"the range is too narrow: the best rate, {top:g}, is the {edge} candidate of "
            f"{rates[0]:g}..{rates[-1]:g}, so a better one may lie outside; widen the range",
        )
    above = [lr for lr in values if lr > top]
    falling = [
        lr for lr in above if all(best - values[larger][1] >= threshold for larger in above if larger >= lr)
    ]
    changes = median(fmean(c.smallest_change(layer) for c in found) for found in done.values())
    return Bounds(
        lr_min=min(min(learning), top),
        lr_max=min(falling) if falling else max(values),
        lr_top=top,
        epsilon=abs(c2 * changes) or Bounds(1.0, 1.0).epsilon,
    )
