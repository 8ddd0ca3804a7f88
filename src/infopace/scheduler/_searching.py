"""The search for the rate inside a scheduler: what its hooks and calls do while trials run."""

from __future__ import annotations

from collections.abc import Callable

from infopace.probe import Measurement
from infopace.scheduler._checks import planned_epochs
from infopace.scheduler._finding import Finding
from infopace.scheduler._pacer import Pacer
from infopace.scheduler._steps import OptimizerSteps


class Searching:
    """Hands the steps of trials to the search, and all others to the pacer.

    Args:
        finding: The search.
        pacer: Begins when the search is over, and waits while a look runs.
        steps: The steps of the optimizer.
        apply: Sets the learning rates as they are now.
    """

    def __init__(
        self, finding: Finding, pacer: Pacer, steps: OptimizerSteps, apply: Callable[[], object]
    ) -> None:
        self.finding, self._pacer, self._steps, self._apply = finding, pacer, steps, apply
        # The last trial has ended, and no step was taken since.
        self._just_ended = False

    @property
    def running(self) -> bool:
        """Whether a trial runs."""
        return not self.finding.over

    def before_step(self) -> bool:
        """A step is about to begin. Returns whether it is one of a trial."""
        self._just_ended = False
        if self.running:
            self.finding.before_step()
        return self.running

    def after_step(self) -> None:
        """A step of a trial is over."""
        if self.finding.after_step() and self._steps.of_several:
            self._steps.forget_gradients()
        self._go_on()

    def diverged(self) -> None:
        """The trial that runs has ruined the network."""
        self.finding.end_trial(diverged=True)
        self._go_on()

    def observed(self) -> Measurement | None:
        """An epoch is over. Returns the last measurement if it was one of trials, otherwise None."""
        steps, by_steps = self._steps, self._pacer.cadence.by_steps
        if steps.total:  # of all since the run began, also where a state was loaded in the first epoch
            self.finding.first_epoch_over(steps.total, planned_epochs(self._pacer.ledger.policy))
        if self.running:
            if steps.any:
                self.finding.epochs += 1
                steps.begin()
            return self._pacer.last_measurement()
        if self._just_ended and not by_steps and not steps.any:
            # The last trial took all that was left of the epoch.
            self._just_ended = False
            self._pacer.go_on(self.finding.bounds, 1)
            return self._pacer.last_measurement()
        return None

    def look(self) -> None:
        """A unit of time is over: look whether a higher rate is better, unless there are signs that it is too high."""
        ledger = self._pacer.ledger
        held = all(
            one.phase == "hold" and one.lr == ledger.bounds_of(layer).lr_max
            for layer, one in ledger.decided[-1].items()
        )
        if held and not ledger.rolled_back:
            self.finding.look(self._steps.total)

    def _go_on(self) -> None:
        """Where no trial runs any more, the pacer goes on with the rate that was found."""
        if self.running:
            return
        gone = self.finding.gone if self._pacer.cadence.by_steps else self.finding.epochs
        go_on = self._pacer.go_on if self.finding.looked else self._pacer.begin
        go_on(self.finding.bounds, gone)
        self._steps.begin()
        self._just_ended = True
        self._apply()
