"""Finding the learning rate in the first steps of a run, from the batches that the run itself trains on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from infopace._checks import warn
from infopace.estimators import OutOfRangeError
from infopace.model.trained import Kept, Trained
from infopace.policies import Bounds
from infopace.probe import Measuring, Probe
from infopace.scheduler._search import STRIDE, Trial, best, chosen, cliff, next_place, raised, rate_of

# The share of the planned steps that trials may put back.
SHARE = 0.1
# A search takes about so many trials. Steps of a trial: where steps are planned from LEAST to MOST, otherwise USUAL.
# [measured] Of AdamW the best rate stands out after 16 steps, of SGD after 64, on workloads of this project.
_TRIALS, _LEAST, _MOST, _USUAL = 7, 4, 128, 32
# Rather fewer trials, of FEW, than trials of less than ENOUGH steps: momentum takes as long to come into its own.
_FEW, _ENOUGH = 4, 8
# Short trials, in a plan of so many times as many steps, find a rate that is too high by half a decade on average. With
# momentum the first steps are smaller than those to come. [measured] For Adam too, and not without an average.
_TIMES = 20
# The shares of the planned steps after which nobody waits any longer for something to be learned, or looks again.
_LONGEST, _LAST_LOOK = 0.5, 0.25
# The share of a trial in which its rate rises in a line.
WARMUP = 0.5
# lr_min, as a share of the rate that was found.
_FLOOR = 1e-3


def steps_of_a_trial(planned: int | None) -> int:
    """Optimizer steps of a trial, for a run of so many planned steps; None: none are planned."""
    if planned is None:
        return _USUAL
    longest = max(math.floor(SHARE * planned / _TRIALS), min(math.floor(SHARE * planned / _FEW), _ENOUGH))
    return min(max(longest, _LEAST), _MOST, max(planned // 2, 1))


Found = tuple[float, Tensor]
"""Information in nats, and what each example of the probe contributes to it, (n,)."""


def measure_trial(probe: Probe, model: nn.Module, measuring: Measuring) -> Found | None:
    """Usable information in the outputs, where there are scores; None where the trial has ruined the network."""
    # A network with small weights orders the classes after a few steps. To say so it needs many more, and a rate for
    # these.
    usable = measuring.replace(layers="output", signal="auto", sharpen=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            estimate = probe.measure(model, usable, together=True).output.estimate
        except OutOfRangeError:
            return None
    assert estimate.pointwise is not None, "what is measured is a mean over examples"
    return estimate.nats, estimate.pointwise.detach().cpu()


class Finding:
    """The search for the rate, in trials on the batches that come. Each trains for the same number of steps.

    Search: trials begin at the weights of the first step. The rate rises in a line over the first half of a trial.
    `_search` says which rate is next, by the information after these steps, and which is taken. The network goes on
    from where the best trial ended.

    Settle: where the rate is below that of the best trial, which was too high for the network, there is one more trial
    at the rate, from which the network goes on, if all others may be put back.

    Wait: where no trial has learned anything, the last one goes on instead, at the optimizer's own rate if that did no
    harm. Whenever its steps have doubled, and still nothing is learned, the rate is raised. Where it diverges, it
    begins anew at a lower rate. With half of the planned steps it ends, so that a decay is left.

    Look: after the search, and whenever the steps have doubled since, the network trains on at its rate, and then at
    one half a decade above from the same weights. While information is significantly higher there, a still higher one
    is next. The rate is raised to the place below the highest that was better, or lowered by a place where the network
    diverges at its own. Few steps from new weights may find a rate that is too low for a warm network. After a wait
    nothing is looked for.

    Args:
        first: The rate of the first trial, the optimizer's own.
        planned: The planned number of steps; None: none, or not known yet.
        trained: What trials change.
        measure: Measures the network; None where it has diverged.

    Attributes:
        steps: Optimizer steps of a trial.
        trials: What the trials of the search gave, in their order.
        over: Whether no trial runs.
        gone: Optimizer steps of the search, or of the last look.
        epochs: Epochs that ended in it.
        copies: The network where trials begin, and where the best ended.
    """

    def __init__(
        self, first: float, planned: int | None, trained: Trained, measure: Callable[[], Found | None]
    ) -> None:
        self._first, self._planned, self._measure = first, planned, measure
        self._memory = trained.memory
        self._before: Tensor | None = None
        self.steps = steps_of_a_trial(planned)
        self.trials: list[Trial] = []
        self.over, self.gone, self.epochs = False, 0, 0
        self._stage = "search"
        # Of the trial that runs: its place, its steps so far, and after how many steps to measure.
        self._place, self._taken, self._until = 0, 0, self.steps
        # Steps that were put back, and after how many of the run to look again.
        self._wasted, self._next_look = 0, 0
        # The place that the search found; None: it is not over, or found none. What it had no steps left to try, and
        # the place for which it stayed below the best trial.
        self._found: int | None = None
        self._untried = ""
        self._cliff: int | None = None
        # The trial at the rate that the search found, and whether it ruined the network. Those of the wait, each of
        # which went on from the one before unless that diverged. Those of the last look.
        self._settled: Trial | None = None
        self._ruined = False
        self._waited: list[Trial] = []
        self._looked: list[Trial] = []
        self._looks: list[str] = []
        self._start, self._best = self.copies = Kept(trained), Kept(trained)

    @property
    def rate(self) -> float:
        """The rate of the next step of the trial that runs, or the one that was found."""
        share = 1.0
        if not self.over and self._stage != "look":
            share = min((self._taken + 1) / max(round(WARMUP * self.steps), 1), 1.0)
        return rate_of(self._first, self._place) * share

    @property
    def _short(self) -> bool:
        """Whether trials are shorter than the memory of the optimizer, and much shorter than the plan."""
        known = self._planned is not None and _TIMES * self.steps <= self._planned
        return known and self.steps < self._memory

    @property
    def looked(self) -> bool:
        """Whether the search is over, and what runs, or ran last, is a look."""
        return self._stage == "look"

    @property
    def bounds(self) -> Bounds:
        """The range of the learning rate, as it is known now."""
        rate = rate_of(self._first, self._place)
        return Bounds(_FLOOR * rate, rate, rate)

    def before_step(self) -> None:
        """A step is about to begin."""
        if self._start:
            return
        if self._stage == "search":
            self._before = self._measured().each
        self._start.keep()

    def after_step(self) -> bool:
        """A step is over; after the last one of a trial the network is measured, and the next trial begins."""
        self._taken, self.gone = self._taken + 1, self.gone + 1
        ends = self._taken >= self._until or (self._stage == "wait" and self.gone >= self._longest)
        if ends:
            self.end_trial()
        return ends

    def first_epoch_over(self, steps: int, planned: int | None) -> None:
        """The first epoch had so many steps, and so many epochs are planned. Later calls change nothing.

        A first trial that still runs is cut to what such a plan allows.
        """
        if self._planned is None and planned is not None:
            self._planned = planned * steps
            if not self.trials:
                allowed = max(steps_of_a_trial(self._planned), self._taken + 1)
                self._until = self.steps = min(self.steps, allowed)

    def end_trial(self, diverged: bool = False) -> None:
        """The trial that runs is over."""
        trial = Trial(self._place, -math.inf) if diverged else self._measured()
        after = {"search": self._after_search, "settle": self._after_settle, "wait": self._after_wait}
        after.get(self._stage, self._after_look)(trial)

    def look(self, total: int) -> bool:
        """Whether to look whether a higher rate is better now, after so many steps of the run; begins to."""
        early = self._planned is None or total <= _LAST_LOOK * self._planned
        due = self._next_look and total >= self._next_look
        if not (early and due and self._may_waste(1)):
            return False
        self.over, self._stage, self._looked = False, "look", []
        self.gone = self.epochs = 0
        self._taken, self._until, self._next_look = 0, self.steps, 2 * total
        return True

    def _after_search(self, trial: Trial) -> None:
        self.trials.append(trial)
        if best(self.trials) is trial and trial.each is not None:
            self._best.keep()
        place = next_place(self.trials, self._short)
        alive = any(one.each is not None for one in self.trials)
        if place is not None and (self._may_waste(len(self.trials)) or not alive):
            self._go(place)
        elif best(self.trials).learned:
            self._found, self._untried = chosen(self.trials, self._short), _beyond(self.trials, place)
            below = self._found < best(self.trials).place
            self._cliff = cliff(self.trials) if below and not self._short else None
            if below and self._may_waste(len(self.trials)):
                self._stage = "settle"
                self._go(self._found)
            else:
                self._end_search(len(self.trials) - 1, self._best)
        else:
            self._stage = "wait"
            self._go(raised(self.trials))

    def _after_settle(self, trial: Trial) -> None:
        # Should it have met batches that it cannot bear, the best trial still holds.
        self._settled, self._ruined = trial, trial.harmed
        self._end_search(len(self.trials), self._best if self._ruined else None)

    def _end_search(self, put_back: int, begin: Kept | None) -> None:
        assert self._found is not None, "a trial has learned"
        self._wasted += put_back * self.steps
        self._next_look = self.gone
        self._end(self._found, begin)

    def _after_wait(self, trial: Trial) -> None:
        self._waited.append(trial)
        every = [*self.trials, *self._waited]
        if trial.begins_to_learn:
            self._end(self._place)
        elif self.gone >= self._longest:
            low, high = (rate_of(self._first, end([one.place for one in every])) for end in (min, max))
            warn(
                f"nothing was learned in {self.gone} steps, at learning rates from {low:.3g} to {high:.3g}; check the "
                "data, the loss and the targets of the probe, or begin nearer to a rate that you know"
            )
            diverged = trial.each is None
            place = raised(every, self._place) if diverged else self._place
            self._end(place, self._start if diverged else None)
        elif trial.each is None:
            self._wasted += self._taken
            self._go(raised(every, self._place))
        else:
            self._until, self._place = 2 * self._taken, raised(every, self._place)

    def _after_look(self, trial: Trial) -> None:
        kept = self._looked[-1] if self._looked else None
        self._looked.append(trial)
        if kept is None and trial.each is None:
            self._end_look(trial.place - 1, self._start)
            return
        if kept is None or trial.beats(kept):
            kept = trial
            self._best.keep()
            if self._may_waste(len(self._looked)):
                self._go(trial.place + (STRIDE if len(self._looked) == 1 else 1))
                return
        self._wasted += (len(self._looked) - 1) * self.steps
        first = self._looked[0]
        self._end_look(kept.place if kept is first else kept.place - 1, self._best)

    def _end_look(self, place: int, begin: Kept) -> None:
        found = self._listed(self._looked)
        change = place - self._looked[0].place
        what = "raised to" if change > 0 else "lowered to" if change < 0 else "kept"
        self._looks.append(
            f"{what} lr {rate_of(self._first, place):.4g} after step {self._next_look // 2}, "
            f"looks of {self.steps} steps: {found}"
        )
        self._end(place, begin)

    @property
    def _longest(self) -> float:
        """The step with which a wait ends."""
        return math.inf if self._planned is None else math.floor(_LONGEST * self._planned)

    def _may_waste(self, trials: int) -> bool:
        """Whether so many trials may still be put back."""
        return self._planned is None or self._wasted + trials * self.steps <= SHARE * self._planned

    def _go(self, place: int) -> None:
        """A trial begins."""
        self._start.put_back()
        self._place, self._taken, self._until = place, 0, self.steps

    def _end(self, place: int, begin: Kept | None = None) -> None:
        """No trial runs any more; the network goes on from `begin`."""
        if begin is not None:
            begin.put_back()
        self.over, self._place = True, place
        self._start.forget()
        self._best.forget()

    def _measured(self) -> Trial:
        found = self._measure()
        return Trial(self._place, -math.inf) if found is None else Trial(self._place, *found, self._before)

    def _listed(self, trials: Sequence[Trial]) -> str:
        """What each of these gave, in words."""
        return ", ".join(f"{one.found} at {rate_of(self._first, one.place):.3g}" for one in trials)

    def explain(self) -> str:
        """What was tried and found, in a line for the search and for each look."""
        tried = self._listed(sorted(self.trials, key=lambda trial: trial.place))
        what = f"trials of {self.steps} steps: {tried or 'the first runs'}"
        if self._stage == "wait":
            found = f"no trial learned, lr {self.rate:.4g} after {self.gone} steps"
            if self._waited:
                what += f"; then waiting: {self._listed(self._waited)}"
        elif self._found is None:
            found = "finding the learning rate"
        else:
            found = f"found lr {rate_of(self._first, self._found):.4g}"
            if self._untried:
                found += f", no steps were left to try {self._untried} ones"
            if self._cliff is not None:
                edge = rate_of(self._first, self._cliff)
                found += f", below the best trial because the network collapses at {edge:.3g}"
            elif self._found < best(self.trials).place:
                found += ", half a decade below the best trial because trials are short"
            if self._stage == "settle" and self._settled is None:
                what += "; one more at this rate runs"
            elif self._settled is not None:
                what += f"; one more at this rate: {self._settled.found}"
                what += ", so the run goes on from the best" if self._ruined else ""
        return "\n".join([f"{found}, {what}", *self._looks])

    def state(self) -> dict[str, Any]:
        """As plain numbers, lists, dicts and tensors."""
        return {
            "first": self._first,
            "before": self._before,
            "planned": self._planned,
            "steps": self.steps,
            "gone": self.gone,
            "epochs": self.epochs,
            "over": self.over,
            "stage": self._stage,
            "place": self._place,
            "taken": self._taken,
            "until": self._until,
            "wasted": self._wasted,
            "next_look": self._next_look,
            "found": self._found,
            "untried": self._untried,
            "cliff": self._cliff,
            "looks": list(self._looks),
            "trials": _as_state(self.trials, self._stage == "look"),
            "settled": _as_state([self._settled] if self._settled else [], True),
            "ruined": self._ruined,
            "waited": _as_state(self._waited, self.over),
            "looked": _as_state(self._looked, self.over),
            "start": self._start.state(),
            "best": self._best.state(),
        }

    def check(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError for what `state` gave of another network."""
        for kept in ("start", "best"):
            self._start.check(state.get(kept))

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._first, self._before = float(state["first"]), state["before"]
        self._planned, self.over, self._stage = state["planned"], bool(state["over"]), str(state["stage"])
        self._found, self._untried, self._cliff = state["found"], str(state["untried"]), state["cliff"]
        self.steps, self.gone, self.epochs = (int(state[name]) for name in ("steps", "gone", "epochs"))
        self._place, self._taken, self._until = (int(state[name]) for name in ("place", "taken", "until"))
        self._wasted, self._next_look = int(state["wasted"]), int(state["next_look"])
        self._looks = list(state["looks"])
        self.trials, settled, self._waited, self._looked = (
            [Trial(**one, before=self._before) for one in state[name]]
            for name in ("trials", "settled", "waited", "looked")
        )
        self._settled, self._ruined = settled[0] if settled else None, bool(state["ruined"])
        self._start.load(state["start"])
        self._best.load(state["best"])


def _beyond(trials: Sequence[Trial], wanted: int | None) -> str:
    """Where the search would go on beyond all rates that it has tried: to higher ones or lower ones, in a word."""
    tried, top = [trial.place for trial in trials], best(trials).place
    if wanted is not None and wanted > max(tried) == top:
        return "higher"
    return "lower" if wanted is not None and wanted < min(tried) == top else ""


def _as_state(trials: Sequence[Trial], over: bool) -> list[dict[str, Any]]:
    """Of trials that are over only the numbers are read again, and whether there were any."""
    return [
        {
            "place": one.place,
            "nats": one.nats,
            "each": None if one.each is None else one.each[: 2 if over else None].clone(),
        }
        for one in trials
    ]
