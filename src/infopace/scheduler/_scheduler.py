"""MutualInformationLR: probe -> policy -> optimizer, as a torch learning-rate scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from infopace.estimators import OutOfRangeError
from infopace.model.layers import check_model, check_parameters, holds_all, unwrap
from infopace.policies import Bounds, Decision, HeldOut, HoldAndDecay, Policy
from infopace.probe import Measurement, Measuring, Probe
from infopace.scheduler._checks import (
    VERSION,
    check_arguments,
    check_bounds,
    check_driven,
    check_held_out,
    check_state,
)
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._ledger import HeldOutRecord, Ledger, Used, nats_by_layer
from infopace.scheduler._roll_back import LastEpoch, RollBack, check_that_a_rate_may_help, collapse
from infopace.scheduler._steps import Misuse, OptimizerSteps


class MutualInformationLR(LRScheduler):
    """Sets the learning rate by the information between a model's layers and the targets.

        scheduler = MutualInformationLR(optimizer, model, probe, bounds=bounds)
        for epoch in range(epochs):
            train_one_epoch()
            scheduler.observe()
            scheduler.step()

    The untrained model is measured at once, which sets the learning rate of the first epoch. `observe` measures and
    decides, once an epoch. `step` applies the last decision; extra calls change nothing. Each parameter group gets a
    decision of its own: a group made by `layer_groups` from its layer's information, any other from the output's. A
    layer that cannot be measured, such as position embeddings, follows its nearest neighbour. For a
    warm-up, compose with `SequentialLR` and call `observe` in every epoch all the same.

    Ratios between the learning rates of parameter groups are kept. The group that was made with the largest rate gets
    the rate that was decided, a group made with a hundredth of it a hundredth. So no group is above lr_max, and lr_min
    is the floor of the largest. Bounds for each layer set the ratios between layers; ratios are then kept within a
    layer.

    Groups may be added during the run with `optimizer.add_param_group`, or come with a new scheduler that loads the
    state. A group takes up the decisions and the history of the layer that drives it. Its learning rate is read as if
    it had been given when the optimizer was made; left out, it is that of the others. A layer that has driven no group
    before begins like a new run, with its information now and the epochs that are left.

    Three misuses are warned of, once each: calls of `step` without any of `observe`; a call of `observe` without an
    optimizer step before it, which counts as no epoch; other code that changes the learning rate `step` has set.

    An epoch is rolled back if it makes the network diverge or collapse. Diverged: a weight or an output is no longer
    finite, or the weights are so large that the earlier ones are rounding errors beside them. Collapsed: the outputs
    carry less than half of the information they had before, and no more than the untrained network's (the 95 %
    intervals now and before do not meet, and the one now reaches down to the untrained value, or to 0). Weights,
    buffers and the optimizer's state return to the beginning of the epoch. From then on lr_top and lr_max are half of
    what they were, but never below lr_min, because the bounds were too high. The policy sees no value of such an epoch,
    only that there was one (`Observed.rolled_back`). What was not finite from the start does not count, and weights
    that begin at zero may grow as large as others are. Where epoch after epoch is rolled back, RollBackError says so.

    The scheduler does not know what you keep beside the network, such as a moving average of the weights. Name it in
    `also`, and it is rolled back too.

    Args:
        optimizer: Any torch optimizer of the model's parameters.
        model: The model; compiled and wrapped models are measured as the plain module inside.
        probe: The examples to measure on.
        bounds: The range of the learning rate; or one for each driving layer, by its name (what a layer-wise
            `find_bounds` finds).
        policy: The rule; None: `HoldAndDecay()`, which needs no number of epochs.
        held_out: A probe of examples that are not trained on, with the same layers, for a policy that reads it:
            `HoldAndDecay` separates learning from overfitting by it. It is measured while `holds_out` is true.
            Validation examples will do, or training examples that join the training set afterwards.
        roll_back: Whether an epoch that makes the network diverge or collapse is rolled back; a `RollBack` sets the
            thresholds. It takes a copy of the weights and of the optimizer's state. With False such a network goes on,
            or `observe` raises where an output is not finite. Nothing is rolled back where the optimizer does not hold
            all trainable weights.
        also: What else is rolled back: modules (`torch.optim.swa_utils.AveragedModel`, a teacher), tensors, or objects
            with `state_dict` and `load_state_dict`, such as many averages and a `GradScaler`.
        measuring: What is measured on the probe and on the held-out examples, and how. None: the layers that drive the
            parameter groups, or else the output. A group that is added later needs its layer among them:
            `Measuring(layers="all")`.

    Attributes:
        measurement: The latest measurement; None just after loading a state.

    Raises:
        TypeError: not an optimizer, not a probe, not a policy, no bounds, a held_out that is no probe or that the
            policy does not read, something in `also` that has no state.
        ValueError: an optimizer that holds parameters which are not the model's, a group whose layer is not measured
            or has no bounds, or whose learning rate is not finite, held-out examples of other classes than the probe's,
            outputs that are not finite before training, and all that `Probe.measure` refuses.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        probe: Probe,
        bounds: Bounds | Mapping[str, Bounds],
        policy: Policy | None = None,
        *,
        held_out: Probe | None = None,
        roll_back: bool | RollBack = True,
        also: Sequence[Any] = (),
        measuring: Measuring | None = None,
    ) -> None:
        check_arguments(optimizer, probe, policy, bounds, roll_back)
        check_model(model)
        check_parameters(optimizer, model)
        policy = HoldAndDecay() if policy is None else policy
        if held_out is not None:
            check_held_out(held_out, probe, policy)
        self._model, self._probe, self._held_out = model, probe, held_out
        self._groups = ParameterGroups(optimizer, one_scale=isinstance(bounds, Bounds))
        check_bounds(self.driving_layers, bounds)
        layers = list(dict.fromkeys(self.driving_layers))
        self._measuring = Measuring(layers=layers, strict=False) if measuring is None else measuring
        self._rule = roll_back if isinstance(roll_back, RollBack) else RollBack()
        self._ledger = Ledger(
            policy, bounds, probe.reference(self._measuring), self._rule.lowered, self.driving_layers
        )
        # Where another optimizer trains the rest, its part of an epoch could not be rolled back.
        whole = roll_back is not False and holds_all(optimizer, model)
        self._last = LastEpoch(unwrap(model), optimizer, also) if whole else None
        self.measurement: Measurement | None = None
        self._steps = OptimizerSteps(optimizer, unwrap(model), self._adopt)
        self.observe()
        self._steps.warner.begin()
        super().__init__(optimizer)

    def observe(self) -> Measurement:
        """Measure the model and decide the learning rate of the next epoch; call it once, at the end of an epoch.

        Without an optimizer step since the last call nothing is decided, and the last measurement is returned.
        """
        self._adopt()
        self._steps.warner.observed()
        if self.can_roll_back and self._last is not None and (why := self._last.divergence):
            return self.roll_back(why)
        if self._ledger and not self._steps.any:
            if self.measurement is not None:
                self._steps.warner.say(Misuse.TWICE)
            return self._last_measurement()
        try:
            measurement, held_out = (
                self._probe.measure(self._model, self._measuring),
                self._measure_held_out(),
            )
        except OutOfRangeError as error:  # an output is not finite, though all weights are
            if self.can_roll_back:
                return self.roll_back(str(error))
            if self._ledger:
                raise
            raise ValueError(
                f"the model cannot be measured before training: {error}; check the probe's inputs, the weights, "
                "frozen ones too, and the model in evaluation mode"
            ) from error
        if self.can_roll_back:
            outputs = self.history["output"]
            if why := collapse(
                self._probe, self._model, self._measuring, measurement, outputs, self._rule.left
            ):
                return self.roll_back(why)
        check_driven(self.driving_layers, {**measurement.layers, **measurement.left_out})
        self._ledger.observe(nats_by_layer(measurement, self._model, self.history), held_out, self._used())
        self.measurement = measurement
        self._begin_epoch()
        return measurement

    @property
    def can_roll_back(self) -> bool:
        """Whether there is an epoch to roll back: steps since the last observation, and roll_back was not False."""
        return self._last is not None and self._last.known and bool(self._ledger)

    def roll_back(self, why: str) -> Measurement:
        """Roll back the epoch that has just been trained, instead of `observe`, which does so by itself where needed.

        For a loop that knows before: its loss is nan. Returns the measurement from before the epoch.

        Raises:
            RuntimeError: there is no epoch to roll back.
            RollBackError: no rate helps: the third epoch in a row, or a later one, at lr_min, or the tenth at any rate.
                The network is put back all the same.
        """
        if self._last is None or not self.can_roll_back:
            raise RuntimeError("there must be an epoch to roll back, got no step since the last observation")
        self._last.put_back()
        measurement = self._last_measurement()
        shares = zip(self.driving_layers, self._groups.factors, strict=True)
        lowest = [self._ledger.bounds_of(layer).lr_min * factor for layer, factor in shares]
        check_that_a_rate_may_help(self.decisions, self.rolled_back, lowest, why)
        self._ledger.roll_back(why, self._used())
        self._begin_epoch()
        return measurement

    def step(self, epoch: int | None = None) -> None:
        """Apply the last decision. The argument, deprecated by torch, is there for `SequentialLR` and ignored."""
        self._adopt()
        self._steps.warner.stepped(self._steps.taken)
        self._step_count += 1
        self._update_lr()

    def _update_lr(self, epoch: int | None = None) -> None:
        super()._update_lr(epoch)
        # Not while schedulers are built: a `SequentialLR` then begins with another.
        if epoch is not None or self._step_count > 1:
            self._steps.applied = self._steps.rates()

    @property
    def policy(self) -> Policy:
        """The rule."""
        return self._ledger.policy

    @property
    def bounds(self) -> Bounds | Mapping[str, Bounds]:
        """The range of the learning rate as it was given, or that of each driving layer."""
        return self._ledger.bounds

    @property
    def reference(self) -> float:
        """I(X;Y) in nats."""
        return self._ledger.reference

    @property
    def history(self) -> dict[str, list[float]]:
        """Per layer, information in nats after 0, 1, 2, .. epochs, without those that were rolled back."""
        return self._ledger.history

    @property
    def rolled_back(self) -> list[int]:
        """The epochs, from 1, that were rolled back."""
        return self._ledger.rolled_back

    @property
    def driving_layers(self) -> list[str]:
        """Per parameter group, the layer whose information drives it."""
        return self._groups.layers

    @property
    def decisions(self) -> list[list[Decision]]:
        """Per epoch from the first to the next, rolled back or not, the decision of each parameter group.

        Its lr is the group's own; a group whose layer drove none yet has one of lr 0.
        """
        return self._ledger.table(self._groups)

    @property
    def held_out_history(self) -> dict[str, list[float]]:
        """The same as `history` of the held-out examples, for as long as they were measured; empty without any."""
        return self._ledger.held_out.history

    @property
    def held_out_examples(self) -> dict[str, HeldOut]:
        """Per driving layer, what each held-out example contributed to that, as far as the policy still reads it."""
        return self._ledger.held_out.examples

    @property
    def holds_out(self) -> bool:
        """Whether there are examples still to be kept out of training: until every group has left its hold once.

        A group whose layer drove none at first does not count.
        """
        layers = self.held_out_examples
        return self._held_out is not None and not (layers and self._ledger.left_hold(layers))

    @property
    def finished(self) -> bool:
        """Whether the policy says of every parameter group that the run is over."""
        return self._ledger.finished

    def get_lr(self) -> list[float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Learning rate of each parameter group, as last decided."""
        return self._groups.spread({}, self._ledger.rates)

    def explain(self) -> str:
        """Why the learning rate moved: a line for each epoch and group in which it did, with the reason.

        The rate is named with which an epoch was trained, also where other code has set it, such as a warm-up.
        """
        return self._ledger.explain(self._groups)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, by the layers' names: numbers, strings, lists, dicts and tensors."""
        return {
            "version": VERSION,
            "last_epoch": self.last_epoch,
            "step_count": self._step_count,
            "last_lr": self._groups.by_layer(self.get_last_lr()),
            "group_lrs": self._groups.by_layer(self._steps.rates()),
            "held_out_size": 0 if self._held_out is None else self._held_out.n,
            **self._groups.state(),
            **self._ledger.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state. The optimizer's own state is loaded by the optimizer, before or after.

        Building a scheduler sets the learning rate of the first epoch. This puts back the rates that the optimizer had
        when the state was taken. So its state may also be loaded before the scheduler is built.

        Raises:
            ValueError: a state of another version, of other layers, of another reference, of another number of held-out
                examples, or without what each of them contributed; one in which something is missing or of another
                length. Nothing is changed then.
        """
        self._adopt()
        check_state(
            state_dict,
            driving_layers=self.driving_layers,
            layers=list(self.history),
            held_out_size=0 if self._held_out is None else self._held_out.n,
            reference=self.reference,
        )
        self._ledger = self._ledger.of_state(state_dict)
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict["step_count"]
        self._groups.load(state_dict)
        fresh = [layer for layer in self.driving_layers if layer not in self._ledger.begun]
        self._ledger.begin({layer: self._ledger.first(layer) for layer in fresh})
        self.measurement = None
        self._last_lr[:] = self._groups.spread(state_dict["last_lr"], self._ledger.rates)
        self._groups.set_rates(self._groups.spread(state_dict["group_lrs"], self._ledger.rates))
        self._begin_epoch()
        self._steps.warner.begin()

    def _adopt(self) -> None:
        """Take up parameter groups that were added to the optimizer."""
        if not self._ledger:  # the first observation: torch's scheduler does not know its optimizer yet
            return
        known = len(self.driving_layers)
        if len(self.optimizer.param_groups) == known:
            return
        check_parameters(self.optimizer, self._model)
        added = self._groups.more
        check_bounds(added, self.bounds)
        check_driven(added, self.history, known)
        # While another scheduler drives the others it drives these.
        driven = self._steps.rates()[:known] == [float(lr) for lr in self._last_lr]
        fresh = {layer: self._ledger.first(layer) for layer in added if layer not in self._ledger.begun}
        self._groups.add()
        self._ledger.begin(fresh)
        self.base_lrs += [group["initial_lr"] for group in self.optimizer.param_groups[known:]]
        rates = self.get_lr()[known:]
        self._last_lr.extend(rates)
        if driven:
            self._groups.set_rates(rates, first=known)
        if self._last is not None:
            self._last.add(p for group in self.optimizer.param_groups[known:] for p in group["params"])

    def _last_measurement(self) -> Measurement:
        if self.measurement is None:  # a state was loaded since
            self.measurement = self._probe.measure(self._model, self._measuring)
        return self.measurement

    def _measure_held_out(self) -> HeldOutRecord:
        """The held-out information so far, with one measurement more if any is still to be made."""
        record = self._ledger.held_out
        if self._held_out is None or not self.holds_out:
            return record
        return record.measured(self._held_out, self._model, self._measuring, self._ledger.begun)

    def _used(self) -> Used | None:
        """The rates of the epoch that ends; None before the first."""
        if not self._ledger:
            return None
        first, last = self._steps.used()
        return self._groups.by_layer(first), self._groups.by_layer(last)

    def _begin_epoch(self) -> None:
        self._steps.begin()
        if self._last is not None:
            self._last.forget()
