"""MutualInformationLR: probe -> policy -> optimizer, as a torch learning-rate scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from infopace._checks import shown
from infopace.model.layers import check_model, check_parameters, holds_all, unwrap
from infopace.model.trained import Kept, Trained
from infopace.policies import Bounds, HoldAndDecay, Policy
from infopace.probe import Measurement, Measuring, Probe
from infopace.scheduler._checks import (
    PACER,
    TORCH,
    check_bounds,
    check_can_search,
    check_driven,
    check_epoch,
    check_fields,
    check_groups,
    check_search,
    steps_in_plan,
)
from infopace.scheduler._finding import Finding, Found
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._ledger import Used
from infopace.scheduler._momentum import check_momentum
from infopace.scheduler._pacer import Pacer
from infopace.scheduler._readings import Readings
from infopace.scheduler._roll_back import LastEpoch, RollBack
from infopace.scheduler._searching import Searching
from infopace.scheduler._several import as_one
from infopace.scheduler._steps import Misuse, OptimizerSteps
from infopace.scheduler._subject import with_weights_of_its_own
from infopace.scheduler._warmup import warmup_steps


class MutualInformationLR(Readings, LRScheduler):
    """Sets the learning rate by the information between a model's layers and the targets.

        scheduler = MutualInformationLR(optimizer, model, probe)
        for epoch in range(epochs):
            train_one_epoch()
            scheduler.observe()
            scheduler.step()

    Without bounds the first steps of the run find the rate. They are trials at several rates, from the same weights, on
    the batches that come. The network goes on from where one of them ended. A tenth of the planned steps at
    most is put back, and `explain` says what they gave. Losses jump in these steps, and may not be finite.

    The untrained model is measured at once, which sets the learning rate of the first epoch. `observe` measures and
    decides, once an epoch. `step` applies the last decision; extra calls change nothing. Each parameter group gets a
    decision of its own: a group made by `layer_groups` from its layer's information, any other from the output's. A
    layer that cannot be measured, such as position embeddings, follows its nearest neighbour.

    With `every` a loop needs no call at all. The scheduler then measures by itself, after so many optimizer steps, and
    sets the learning rate before each step:

        scheduler = MutualInformationLR(optimizer, model, probe, policy=HoldAndDecay(steps=10_000), every=100)

    Time is then counted in units of about 40 steps, or of one measurement where that is more. What is measured within a
    unit counts as one value, its mean. So the decisions hardly depend on `every`.

    Ratios between the learning rates of parameter groups are kept. The group that was made with the largest rate gets
    the rate that was decided, a group made with a hundredth of it a hundredth. So no group is above lr_max, and lr_min
    is the floor of the largest. Bounds for each layer set the ratios between layers; ratios are then kept within a
    layer.

    Groups may be added during the run, or come with a new scheduler that loads the state. A group takes up the
    decisions and the history of its layer. Its learning rate is read as if it had been given when the optimizer was
    made. A layer that has driven no group before begins like a new run, with the epochs that are left.

    Misuses are warned of, once each: calls of `step` without any of `observe`; a call of `observe` without an optimizer
    step before it, which counts as no epoch; other code that sets the rate; a wrong `steps_per_epoch`.

    An epoch, or unit of steps, that ruins the network is rolled back, and the bounds are halved; see `RollBack`. The
    scheduler does not know what you keep beside the network, such as a moving average of the weights. Name it in
    `also`, and it is rolled back too.

    Args:
        optimizer: Any torch optimizer of the model's parameters; or several in a list, such as Muon and AdamW, in the
            order in which they step.
        model: The model; the plain module inside is measured, by all processes that train it, which then decide as one.
        probe: The examples to measure on.
        bounds: The range of the learning rate; or one for each driving layer, by its name (what a layer-wise
            `find_bounds` finds). None: the run finds the rate, beginning with the optimizer's own.
        policy: The rule; None: `HoldAndDecay()`, which needs no number of epochs.
        held_out: A probe of examples that are not trained on, with the same layers, for a policy that reads it:
            `HoldAndDecay` separates learning from overfitting by it. It is measured while `holds_out` is true.
            Validation examples will do, or training examples that join the training set afterwards.
        roll_back: Whether an epoch that ruins the network is rolled back; a `RollBack` sets the thresholds. It takes a
            copy of weights and optimizer state, and with a plan one of the best network, to which the run may return.
            With False there is neither: such a network goes on, or `observe` raises where an output is not finite.
            Nothing is rolled back where the optimizer does not hold all trainable weights.
        every: Optimizer steps between two measurements, fewer than planned; "auto": chosen so that measuring takes less
            than 1 % of the time, but at least twice in a plan. None: `observe` is called at the end of each epoch.
        steps_per_epoch: Optimizer steps in an epoch, `len(loader)`, for a policy that plans epochs: a search for the
            rate then takes a tenth of the planned steps at most. Without it, that is known after the first epoch.
        warmup: Steps of a linear warm-up within bounds, from 1 / warmup of the rate; trials have theirs. "auto": none,
            but for Adam-like optimizers min(2 / (1 - beta2), 5 % of the planned steps), at most 40 where none are
            planned. For one of your own, as by `SequentialLR`, give bounds and 0, and call `observe` in every epoch.
        also: What else is rolled back: modules (`torch.optim.swa_utils.AveragedModel`, a teacher), tensors, or objects
            with `state_dict` and `load_state_dict`, such as many averages and a `GradScaler`.
        measuring: What is measured on the probe and on the held-out examples, and how. None: the layers that drive the
            parameter groups, or else the output: its usable information, or neighbours where the policy reads the
            reference. A group that is added later needs its layer among them: `Measuring(layers="all")`.
        measured: A model to measure instead of `model`, such as `AveragedModel(model)`, or a function that returns it,
            `lambda: copy.deepcopy(lora).merge_and_unload()`. Decisions, held-out examples and the roll-back read it
            alone. Trials measure `model`: an average is too slow for a few steps. A module is rolled back with the
            network. What a function returns is not, so name its averages in `also`.

    Raises:
        TypeError: what is no optimizer, probe, policy, range or model; a held_out that is no probe or that the policy
            does not read; something in `also` that has no state; a policy that lowers momentum without torch's SGD.
        ValueError: epochs that are planned where steps are counted, or the other way round; no bounds, and an optimizer
            without some trainable weights, or one that holds others than the model's; a group whose layer is not
            measured or has no bounds, or whose rate is not finite; held-out examples of other classes than the probe's;
            outputs that are not finite before training; and all that `Probe.measure` refuses.
    """

    def __init__(
        self,
        optimizer: Optimizer | Sequence[Optimizer],
        model: nn.Module,
        probe: Probe,
        bounds: Bounds | Mapping[str, Bounds] | None = None,
        policy: Policy | None = None,
        *,
        held_out: Probe | None = None,
        every: int | str | None = None,
        steps_per_epoch: int | None = None,
        warmup: int | str = "auto",
        roll_back: bool | RollBack = True,
        also: Sequence[Any] = (),
        measuring: Measuring | None = None,
        measured: nn.Module | Callable[[], nn.Module] | None = None,
    ) -> None:
        optimizer = as_one(optimizer)
        if not isinstance(roll_back, bool | RollBack):
            raise TypeError(f"roll_back must be True, False or RollBack(...), got {shown(roll_back)}")
        check_model(model)
        check_parameters(optimizer, model)
        policy = HoldAndDecay() if policy is None else policy
        check_momentum(optimizer, policy)
        also = (*also, *with_weights_of_its_own(measured, model))
        self._groups = ParameterGroups(optimizer, one_scale=not isinstance(bounds, Mapping))
        self._warmup = warmup_steps(warmup, optimizer, policy)
        # Where another optimizer trains the rest, its part of an epoch could not be rolled back.
        keeps = roll_back is not False and holds_all(optimizer, model)
        # Its hook comes first: it may measure what another optimizer's step ended, and begin a unit of time.
        plain = unwrap(model)
        self._steps = OptimizerSteps(optimizer, plain, self._adopt, self._before_step, self._after_step)
        self._last = LastEpoch(plain, optimizer, also) if keeps else None
        trained = Trained(plain, optimizer, also)
        self._copies = [Kept(trained)]  # of the best network, and those of a search
        finding, self._epoch = None, steps_per_epoch
        if bounds is None:
            check_can_search(optimizer, model, warmup)
            planned = steps_in_plan(policy, steps_per_epoch)
            finding = Finding(self._groups.rate, planned, trained, self._measure_output)
            self._copies += finding.copies
            bounds, self._warmup = finding.bounds, 0  # each trial has one of its own
        self._pacer = Pacer(
            model,
            probe,
            bounds,
            policy,
            snapshot=self._last,
            best=self._copies[0] if keeps else None,
            layers=self.driving_layers,
            held_out=held_out,
            roll_back=roll_back if isinstance(roll_back, RollBack) else None,
            every=every,
            measuring=measuring,
            measured=measured,
        )
        self._search = Searching(finding, self._pacer, self._steps, self._set_rates) if finding else None
        self._steps.warner.begin()
        super().__init__(optimizer)

    def observe(self) -> Measurement:
        """Measure the model and decide the learning rate of the next epoch; call it once, at the end of an epoch.

        Without an optimizer step since the last call nothing is decided, and the last measurement is returned.
        """
        self._adopt()
        by_steps = self._pacer.cadence.by_steps
        if self._epoch is not None and not by_steps and self._steps.total:
            check_epoch(self._epoch, self._steps.total)
            self._epoch = None
        self._steps.warner.observed(not by_steps and self._steps.any)
        if self._search is not None and (measurement := self._search.observed()) is not None:
            return measurement
        if not (self._pacer.unit.since if by_steps else self._steps.any):
            if self._pacer.measurement is not None and not by_steps:
                self._steps.warner.say(Misuse.TWICE)
            return self._pacer.last_measurement()
        return self._measured(self._pacer.observe)

    @property
    def can_roll_back(self) -> bool:
        """Whether there is an epoch to roll back: steps since the last observation, and roll_back was not False."""
        return self.finding or self._pacer.can_roll_back

    def roll_back(self, why: str) -> Measurement:
        """Roll back the epoch that has just been trained, instead of `observe`, which does so by itself where needed.

        For a loop that knows before: its loss is nan. Returns the measurement from before the epoch.

        Raises:
            RuntimeError: there is no epoch to roll back.
            RollBackError: no rate helps: the third epoch in a row, or a later one, at lr_min, or the tenth at any rate.
                The network is put back all the same.
        """
        if self._search is not None and self.finding:
            self._search.diverged()
            return self._pacer.last_measurement()
        return self._measured(lambda used: self._pacer.roll_back(why, used))

    def step(self, epoch: int | None = None) -> None:
        """Apply the last decision; not needed with `every`. The argument, torch's, is ignored."""
        self._adopt()
        if not self._pacer.cadence.by_steps:
            self._steps.warner.stepped(self._steps.taken)
        self._step_count += 1
        self._update_lr()

    def _update_lr(self, epoch: int | None = None) -> None:
        super()._update_lr(epoch)
        self._groups.set_momenta([momentum for _, momentum in self._split()])
        # Not while schedulers are built: a `SequentialLR` then begins with another.
        if epoch is not None or self._step_count > 1:
            self._steps.applied = self._steps.rates()

    def get_lr(self) -> list[float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Learning rate of each parameter group, as last decided."""
        return [lr for lr, _ in self._split()]

    def _split(self) -> list[tuple[float, float | None]]:
        """Learning rate of each parameter group, and its momentum where that is lowered."""
        if self._search is not None and self.finding:
            rates = self._groups.spread({}, dict.fromkeys(self._groups.layers, self._search.finding.rate))
            return self._groups.split(rates, {})
        rates = self._groups.spread({}, self._pacer.rates())
        if self._steps.total < self._warmup:
            rates = [lr * (self._steps.total + 1) / self._warmup for lr in rates]
        return self._groups.split(rates, self._pacer.ledger.held)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, by the layers' names: numbers, strings, lists, dicts and tensors."""
        return {
            "last_epoch": self.last_epoch,
            "step_count": self._step_count,
            "steps": self._steps.total,
            "taken": self._steps.taken,
            "running": self._steps.running,
            "first": None if self._steps.first is None else self._groups.by_layer(self._steps.first),
            "finding": None if self._search is None else self._search.finding.state(),
            "last_lr": self._groups.by_layer(self.get_last_lr()),
            "group_lrs": self._groups.by_layer(self._groups.rates()),
            "momenta": self._groups.momenta(),
            **self._groups.state(),
            **self._pacer.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state. The optimizer's own state is loaded by the optimizer, before or after.

        Building a scheduler sets the learning rate of the first epoch. This puts back the rates that the optimizer had
        when the state was taken. So its state may also be loaded before the scheduler is built. Where the state was
        taken in the middle of a unit of steps, a roll-back of that unit goes back to there.

        Raises:
            ValueError: a state that does not fit, see `Pacer.load_state_dict`. Nothing is changed then.
        """
        self._adopt()
        check_fields(state_dict, PACER | TORCH)
        self._pacer.check_state(state_dict)
        check_groups(state_dict)
        check_search(state_dict["finding"], self._search, self.bounds)
        self._epoch = None  # the first one may go on in its middle
        if self._search is not None:
            self._search.finding.check(state_dict["finding"])
            self._search.finding.load(state_dict["finding"])
            self._pacer.ledger.bounds = self._search.finding.bounds
        self._pacer.load_state_dict(state_dict)
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict["step_count"]
        self._groups.load(state_dict)
        self.base_lrs = [group["initial_lr"] for group in self.optimizer.param_groups]
        rates = self._pacer.ledger.rates
        self._last_lr[:] = self._groups.spread(state_dict["last_lr"], rates)
        self._groups.set_rates(self._groups.spread(state_dict["group_lrs"], rates))
        self._groups.load_momenta(state_dict["momenta"])
        self._steps.begin()
        self._steps.total = state_dict["steps"]
        if self._pacer.cadence.by_steps and (first := state_dict["first"]) is not None:
            self._steps.goes_on(state_dict["taken"], self._groups.spread(first, rates))
        self._steps.runs_on(state_dict.get("running"))
        self._steps.warner.begin()

    def _adopt(self) -> None:
        """Take up parameter groups that were added to the optimizer."""
        if not hasattr(self, "optimizer"):  # torch's part does not know it yet, at the first observation
            return
        known = len(self.driving_layers)
        if len(self.optimizer.param_groups) == known:
            return
        check_parameters(self.optimizer, self._pacer.model)
        added = self._groups.more
        check_bounds(added, self.bounds)
        check_driven(added, self.history)
        # While another scheduler drives the others it drives these.
        driven = self._groups.rates()[:known] == [float(lr) for lr in self._last_lr]
        check_momentum(self.optimizer, self.policy)
        self._groups.add()
        self._pacer.add(added)
        self.base_lrs += [group["initial_lr"] for group in self.optimizer.param_groups[known:]]
        rates = self.get_lr()[known:]
        self._last_lr.extend(self._groups.set_rates(rates, first=known) if driven else rates)
        if driven:
            self._groups.set_momenta([momentum for _, momentum in self._split()])
        if self._last is not None:
            self._last.add(p for group in self.optimizer.param_groups[known:] for p in group["params"])

    def _before_step(self) -> list[float] | None:
        """Set the rates of a step where they change from step to step; None: they were not set."""
        for one in self._copies:
            one.take_up_thawed()
        if self._search is not None and self._search.before_step():
            return self._set_rates()
        by_steps = self._pacer.cadence.by_steps
        # A warm-up by another scheduler, until this one is stepped, would multiply a rate that was found without it.
        found_here = self._search is not None and self._step_count <= 1
        if not (by_steps or found_here or self._steps.total <= self._warmup > 0):
            return None
        found = None if self._steps.tensors else self._groups.rates()
        if found is not None and found != (ours := list(map(float, self._last_lr))):
            if not (by_steps or found_here):  # another scheduler drives for now
                return None
            self._steps.warner.compare(found, ours, Misuse.SET_BACK)
        elif found_here and not by_steps:
            return None
        return self._set_rates()

    def _after_step(self) -> None:
        """Measure where that is due by the number of steps."""
        pacer = self._pacer
        if self._search is not None and self.finding:
            self._search.after_step()
            return
        pacer.unit.stepped()
        pacer.choose_cadence(self._steps.times)
        if not pacer.cadence.is_due(pacer.unit.since, pacer.unit.steps):
            return
        rolled_back = len(self.rolled_back)
        self.observe()
        if len(self.rolled_back) > rolled_back:
            self._steps.forget_gradients()

    def _measured(self, measure: Callable[[Used], Measurement]) -> Measurement:
        """Measure, and where more is decided than before, begin a unit of time."""
        decided, rolled_back = len(self._pacer.ledger), len(self.rolled_back)
        try:
            measurement = measure(self._used())
        except Exception:
            if self._last is not None and self._steps.taken and not self._last.known:  # put back all the same
                self._steps.go_back()
            raise
        if len(self.rolled_back) > rolled_back:
            self._steps.go_back()
        elif len(self._pacer.ledger) > decided:
            self._steps.begin()
            if self._search is not None:
                self._search.look()
        if self._pacer.cadence.by_steps and len(self._pacer.ledger) > decided:
            self._set_rates()
        return measurement

    def _measure_output(self) -> Found | None:
        return self._pacer.measured()

    def _set_rates(self) -> list[float]:
        rates, momenta = zip(*self._split(), strict=True)
        self._last_lr[:] = self._groups.set_rates(rates)
        self._groups.set_momenta(momenta)
        rates = self._steps.rates()
        if self._steps.applied is not None or self._pacer.cadence.by_steps:
            self._steps.applied = list(rates)
        return rates

    def _used(self) -> Used:
        """The rates of the unit of time that ends."""
        first, last = self._steps.used()
        return Used(self._groups.by_layer(first), self._groups.by_layer(last), self._steps.set_here)
