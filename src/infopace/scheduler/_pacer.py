"""The pacer: probe -> policy -> learning rates by layer, without any optimizer of torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from infopace._checks import whole
from infopace.estimators import OutOfRangeError
from infopace.model.processes import Processes, processes_of
from infopace.policies import Bounds, Decision, HoldAndDecay, Policy
from infopace.probe import Measurement, Measuring, Probe
from infopace.scheduler._checks import (
    VERSION,
    check_alike,
    check_arguments,
    check_bounds,
    check_driven,
    check_driver,
    check_held_out,
    check_state,
    planned_steps,
)
from infopace.scheduler._copies import Best, Snapshot
from infopace.scheduler._finding import Found, measure_trial
from infopace.scheduler._ledger import Ledger, Used
from infopace.scheduler._roll_back import RollBack, check_that_a_rate_may_help, collapse
from infopace.scheduler._subject import Subject, errors_by_layer, nats_by_layer
from infopace.scheduler._units import Cadence, Unit


class Pacer:
    """Measures, decides, and hands the learning rates to `apply`: the scheduler without an optimizer of torch.

        pacer = Pacer(model, probe, bounds, apply=lambda rates: set_rate(rates["output"]))
        for epoch in range(epochs):
            train_one_epoch()
            pacer.decide()

    `MutualInformationLR` is a pacer with hooks of a torch optimizer. Use this one where the optimizer is of another
    library, such as Keras. The model is measured when the pacer is built, and `apply` gets the first rates.

    Args:
        model: The model that the probe measures.
        probe: The examples to measure on.
        bounds: The range of the learning rate; or one for each driving layer, by its name.
        policy: The rule; None: `HoldAndDecay()`.
        apply: Called with the learning rate of each driving layer, by its name, whenever they were decided.
        snapshot: What is rolled back where a unit of time makes the network diverge or collapse; None: nothing is.
        best: Keeps the network that a policy returns to; None: the network goes on from where it is.
        layers: The driving layers: "output", or names of layers.
        held_out: A probe of examples that are not trained on, for a policy that reads it.
        roll_back: The thresholds of the roll-back.
        every: Steps between measurements, which `decide` then counts; None: a unit of time is what lies between two
            calls of `decide`. See `MutualInformationLR`.
        measuring: What is measured, and how. None: the driving layers; see `MutualInformationLR`.
        measured: Another model to measure instead, or a function that returns it; see `MutualInformationLR`.

    Attributes:
        measurement: The latest measurement; None just after loading a state.
        seconds: What it took, with that of held-out examples.
        ledger: What was measured and decided so far.
        unit, cadence: The unit of time that runs now, and how often is measured.

    Raises:
        TypeError: not a probe, not a policy, no bounds, a held_out that is no probe or that the policy does not read,
            an apply that is no function, a snapshot that lacks one of its four members.
        ValueError: a layer that is not measured or has no bounds, held-out examples of other classes than the probe's,
            outputs that are not finite before training, and all that `Probe.measure` refuses.
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Probe,
        bounds: Bounds | Mapping[str, Bounds],
        policy: Policy | None = None,
        *,
        apply: Callable[[Mapping[str, float]], None] | None = None,
        snapshot: Snapshot | None = None,
        best: Best | None = None,
        layers: Iterable[str] = ("output",),
        held_out: Probe | None = None,
        roll_back: RollBack | None = None,
        every: int | str | None = None,
        measuring: Measuring | None = None,
        measured: nn.Module | Callable[[], nn.Module] | None = None,
    ) -> None:
        check_arguments(probe, policy, bounds)
        policy = HoldAndDecay() if policy is None else policy
        if held_out is not None:
            check_held_out(held_out, probe, policy)
        check_driver(apply, snapshot, Snapshot, policy)
        layers = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
        check_bounds(layers, bounds)
        self.model = model
        self.apply, self.snapshot, self.best = apply, snapshot, best
        usual = Measuring(layers=layers, strict=False)
        if policy.reads_reference:
            if probe.forward is not None:  # it makes the targets, which are known after one pass
                probe.measure(model, usual if measuring is None else measuring, together=True)
            # The published rules read the neighbour estimate.
            usual = usual.replace(signal="neighbours" if probe.has_distance else "auto")
        measuring = usual if measuring is None else measuring
        self._subject = Subject(model if measured is None else measured, probe, held_out, measuring)
        self._rule = RollBack() if roll_back is None else roll_back
        self.cadence, self.unit = Cadence(every, planned_steps(policy)), Unit()
        own = probe.reference(measuring) if policy.reads_reference else None
        reference = self._processes.from_first("the reference", lambda: own)
        self.ledger = self._ledger(policy, bounds, reference, layers)
        self.measurement: Measurement | None = None
        self.seconds = 0.0
        check_alike(self._processes, probe, held_out, own, self.ledger)
        self.observe()
        self._times = [time.perf_counter()]  # the starts of steps, where `decide` counts them

    def begin(self, bounds: Bounds, gone: int) -> None:
        """Begin anew within bounds that were found, after so many steps, or epochs where the caller observes them."""
        old = self.ledger
        self.ledger = self._ledger(old.policy, bounds, old.reference, old.begun, gone)
        self.ledger.untrained, self.unit = old.untrained, Unit()
        self.observe()

    def go_on(self, bounds: Bounds, gone: int) -> None:
        """Go on within other bounds, after so many steps, or epochs, that count as none."""
        self.ledger.go_on(bounds, gone)
        self._next_unit()

    def measured(self) -> Found | None:
        """The information in the outputs of a trial, now, as the first process has it; None: they are not finite."""
        own = measure_trial(self._subject.probe, self.model, self._subject.measuring)
        return self._processes.from_first("what a trial gave", lambda: own)

    def decide(self, steps: int | None = None) -> dict[str, Decision]:
        """Measure, and decide where a unit of time is over; call it once, at the end of an epoch.

        Args:
            steps: Training steps since the last call, for a pacer with `every`. Before the next measurement is due
                nothing is measured. None: an epoch is over.

        Returns:
            The decision of each driving layer, new or still valid.

        Raises:
            ValueError: steps where `every` was not given, none where it was, or more than a unit of time.
            RollBackError: as for `MutualInformationLR.roll_back`.
        """
        if self.cadence.by_steps != (steps is not None):
            needed = (
                "needs the steps since the last call"
                if self.cadence.by_steps
                else "without every takes no steps"
            )
            raise ValueError(f"decide of a pacer {needed}, got steps = {steps}")
        if steps is not None:
            self._stepped(whole("steps", steps, 0))
        if steps is None or self.cadence.is_due(self.unit.since, self.unit.steps):
            self.observe()
        return dict(self.ledger.decided[-1])

    def _stepped(self, steps: int) -> None:
        """So many steps were taken since the last call of `decide`."""
        unit, before, now = self.cadence.unit or 1, self._times[-1], time.perf_counter()
        if steps > unit:
            raise ValueError(
                f"steps must be at most a unit of time, {unit} steps, got {steps}; call decide more often, or give a "
                "larger every"
            )
        if self.cadence.every is None:
            self._times += [before + (now - before) * step / steps for step in range(1, steps + 1)]
        for _ in range(steps):
            self.unit.stepped()
        self.choose_cadence(self._times)

    def observe(self, used: Used | None = None) -> Measurement:
        """Measure, and decide where a unit of time is over. `used`: its rates, where other code sets them."""
        diverged = self.snapshot.divergence() if self.can_roll_back and self.snapshot is not None else None
        if why := self._reason_of_any(diverged, used):
            return self._put_back(why, used)
        began = time.perf_counter()
        try:
            model = self._subject.model
            measurement = self._subject.measure(model)
            held_out = self._subject.measure_held_out(model, self.ledger) if self.holds_out else {}
        except OutOfRangeError as error:  # an output is not finite, though all weights are
            if self.can_roll_back:
                return self._put_back(str(error), used)
            if self.ledger:
                raise
            raise ValueError(
                f"the model cannot be measured before training: {error}; check the probe's inputs, the weights, "
                "frozen ones too, and the model in evaluation mode"
            ) from error
        self.seconds = time.perf_counter() - began
        if self.can_roll_back:
            known = self.ledger.before_unit(), self.ledger.untrained
            if why := collapse(self._subject, measurement, *known, self._rule.left):
                return self._put_back(why, used)
        check_driven(self.ledger.begun, {**measurement.layers, **measurement.left_out})
        nats = nats_by_layer(measurement, model, self.ledger.history)
        unit = self.unit.added(nats, held_out)
        if self._unit_is_over:
            # The values of a unit are of the same examples, so their mean has the error of any.
            used, errors = used if used is not None else self._rates_used(), errors_by_layer(measurement)
            self.ledger.observe(unit.nats, unit.held_out, used, errors)
            self._decided()
            self._follow_best()
            over = self.unit.steps - (self.cadence.unit or self.unit.steps)
            self._next_unit(max(over, 0))
        else:
            self.unit = unit
        self.measurement = measurement
        return measurement

    def _follow_best(self) -> None:
        """Keep the network where information is highest, and return to it where the policy says so."""
        judge = self.ledger.judge
        if self.best is None or judge is None:
            return
        decision = self.ledger.decided[-1][judge]
        if decision.back is not None and self.best:
            self.best.put_back()
            self.ledger.say(f"back to {self.ledger.moment(decision.back)}; ")
        if decision.phase != "hold" and not decision.watched:
            self.best.forget()
        elif self.ledger.best(judge) == len(self.ledger.history[judge]) - 1:
            self.best.keep()

    def _ledger(
        self,
        policy: Policy,
        bounds: Bounds | Mapping[str, Bounds],
        reference: float | None,
        layers: Iterable[str],
        gone: int = 0,
    ) -> Ledger:
        known = (self._rule.lowered, layers, self.cadence.unit, gone, self.best is not None)
        return Ledger(policy, bounds, reference, *known)

    @property
    def can_roll_back(self) -> bool:
        """Whether there is a unit of time to roll back: steps since it began, and a snapshot."""
        return self.snapshot is not None and self.snapshot.known and bool(self.ledger)

    def roll_back(self, why: str, used: Used | None = None) -> Measurement:
        """Roll back the unit of time that runs, and decide anew. Returns the measurement from before it.

        Raises:
            RuntimeError: there is no unit to roll back.
            RollBackError: no rate helps: the third unit in a row, or a later one, at lr_min, or the tenth at any rate.
                What was kept is put back all the same.
        """
        if self.snapshot is None or not self.can_roll_back:
            raise RuntimeError("there must be an epoch to roll back, got no step since the last observation")
        return self._put_back(self._reason_of_any(why, used) or why, used)

    def _put_back(self, why: str, used: Used | None) -> Measurement:
        assert self.snapshot is not None, "something was kept"
        self.snapshot.put_back()
        if self.best is not None and self.ledger.judge is not None and self.best:
            self.best.put_back()  # what came after it may have been harmed already
        steps, self.unit = self.unit.steps, Unit()
        measurement = self.last_measurement()
        check_that_a_rate_may_help(self.ledger, why)
        self.ledger.roll_back(why, used if used is not None else self._rates_used(), steps)
        self._decided()
        self._next_unit()
        return measurement

    def last_measurement(self) -> Measurement:
        """The last measurement, made anew where a state was loaded since."""
        if self.measurement is None:
            self.measurement = self._subject.measure()
        return self.measurement

    def rates(self) -> dict[str, float]:
        """The learning rate of each driving layer, now: where the rate changes between two decisions, on its way."""
        unit = self.cadence.unit
        over = 0.5 if unit is None else min((self.unit.steps + 0.5) / unit, 1.0)
        return self.ledger.rates_at(over)

    def choose_cadence(self, times: list[float]) -> bool:
        """For every="auto": choose by what the first steps and the first measurement took; whether it is chosen now."""
        chosen = self.cadence.choose(self.seconds, times)
        if chosen:  # by the times of the first process
            self.cadence.every = self._processes.from_first(
                "how often to measure", lambda: self.cadence.every
            )
            self.ledger.unit = self.cadence.unit
        return chosen

    @property
    def holds_out(self) -> bool:
        """Whether examples are still to be kept out of training: in holds and in decays that are watched."""
        layers = self.ledger.held_out.examples
        return self._subject.held_out is not None and not (layers and self.ledger.left_hold(layers))

    @property
    def finished(self) -> bool:
        """Whether the policy says of every driving layer that the run is over, now."""
        return self.ledger.finished_after(self.unit.steps)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, by the layers' names: numbers, strings, lists, dicts and tensors."""
        return {
            "version": VERSION,
            "held_out_size": self._subject.held_out_size,
            "examples": self._subject.examples,
            "every": self.cadence.every,
            "time": self.unit.state(),
            "best": None if self.best is None else self.best.state(),
            **self.ledger.state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.

        Raises:
            ValueError: a state of another version, of other layers, of another reference, of another number of held-out
                examples, or without what each of them contributed; one in which something is missing or of another
                length. Nothing is changed then.
        """
        self.check_state(state)
        ledger, unit = self.ledger.of_state(state), Unit.of_state(state["time"])
        fresh = [layer for layer in self.ledger.begun if layer not in ledger.begun]
        self.ledger, self.unit = ledger, unit
        if state["every"] is not None:
            self.cadence.every = state["every"]
        self.ledger.begin({layer: self.ledger.first(layer) for layer in fresh})
        self.ledger.reopen(self.unit.steps)
        self.measurement = None
        if self.best is not None:
            self.best.load(state["best"])
        if self.snapshot is not None:
            self.snapshot.keep()
        self._apply()

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError for a state that does not fit, as `load_state_dict` does."""
        if self.best is not None:
            self.best.check(state["best"])
        check_state(
            state,
            driving_layers=list(self.ledger.begun),
            layers=list(self.ledger.history),
            held_out_size=self._subject.held_out_size,
            examples=self._subject.examples,
            reference=self.ledger.reference,
            cadence=self.cadence,
        )

    def add(self, layers: Iterable[str]) -> None:
        """Layers drive from now on; those that drive already go on."""
        fresh = {layer: self.ledger.first(layer) for layer in layers if layer not in self.ledger.begun}
        self.ledger.begin(fresh)

    @property
    def _processes(self) -> Processes:
        # Found anew each time, because a copy of a pacer may have a model that others train.
        return processes_of(self.model)

    def _reason_of_any(self, why: str | None, used: Used | None) -> str | None:
        """Why to roll back, if any process has a reason. All must have trained alike until now."""
        processes = self._processes
        if not processes.several:
            return why
        processes.agree({"the number of decisions": len(self.ledger), "the learning rates": used})
        reasons = processes.gather("the reasons to roll back", why)
        return next((reason for reason in reasons if reason is not None), None)

    def _decided(self) -> None:
        """What the first process has decided holds for all: a policy may be anyone's, and need not be pure."""
        decided = self.ledger.decided
        decided[-1] = self._processes.from_first("the decision", lambda: decided[-1])

    @property
    def _unit_is_over(self) -> bool:
        unit = self.cadence.unit
        return unit is None or not self.ledger or self.unit.steps >= unit

    def _next_unit(self, steps: int = 0) -> None:
        self.unit = Unit(steps)
        if self.snapshot is not None:
            self.snapshot.keep()
        self._apply()

    def _apply(self) -> None:
        if self.apply is not None:
            self.apply(self.rates())

    def _rates_used(self) -> Used | None:
        if not self.ledger:
            return None
        first, last = (
            {layer: [lr] for layer, lr in self.ledger.rates_at(over).items()} for over in (0.0, 1.0)
        )
        return Used(first, last, set_here=True)
