"""MutualInformationLR: probe -> policy -> optimizer, as a torch learning-rate scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from infopace.estimators import OutOfRangeError
from infopace.model.layers import check_model, check_parameters, holds_all, unwrap
from infopace.model.snapshot import Weights
from infopace.policies import Bounds, Decision, HeldOut, HoldAndDecay, Policy
from infopace.probe import Measurement, Measuring, Probe
from infopace.scheduler._arguments import check_arguments, check_bounds, check_driven, check_held_out
from infopace.scheduler._held_out_record import HeldOutRecord
from infopace.scheduler._ledger import Ledger, shortened
from infopace.scheduler._misuse import Misuse, Warner
from infopace.scheduler._optimizer_steps import OptimizerSteps
from infopace.scheduler._parameter_groups import ParameterGroups
from infopace.scheduler._roll_back import LastEpoch, lost_all, no_rate_helps
from infopace.scheduler._roll_back import RollBackError as RollBackError
from infopace.scheduler._state import VERSION, check_state

# An epoch is undone that leaves less than this share of the information, and leaves the bounds this share of theirs.
# studies/bounds_too_high/run.py moves both.
_LEFT, _LOWERED = 0.5, 0.5


class MutualInformationLR(LRScheduler):
    """Paces the learning rate by the information between a model's layers and the targets.

        scheduler = MutualInformationLR(optimizer, model, probe, bounds=bounds)
        for epoch in range(epochs):
            train_one_epoch()
            scheduler.observe()
            scheduler.step()

    The untrained model is measured at once, which sets the learning rate of the first epoch. `observe` measures
    and decides, once an epoch; `step` applies the last decision, and calling it more often changes nothing. Each
    parameter group gets a decision of its own: a group made by `layer_groups` from its layer's information, any
    other from the output's. Composes with `SequentialLR`, for a warm-up first: call `observe` in every epoch
    all the same.

    Ratios between the learning rates with which parameter groups were made are kept: the group with the largest has the
    rate that was decided, a group made with a hundredth of it a hundredth. So no group is above lr_max, and lr_min is
    the floor of the largest. Bounds for each layer hold the ratios between layers; then ratios are kept within a layer.

    Groups may be added while the run goes on, with `optimizer.add_param_group`, or come with a new scheduler that loads
    the state: a group takes up the decisions and the history of the layer that drives it. Its learning rate is read as
    if it had been given with the others, when the optimizer was made; left out, it is theirs. A layer that has driven
    no group before begins like a new run, with what it tells now and the epochs that are left.

    Two misuses are warned of, once: calls of `step` without any of `observe`, and of `observe` without an optimizer
    step between, which counts as no epoch. So is other code that changes the learning rate `step` has set.

    An epoch that ruins the network is undone: where a weight or an output is not finite, or all weights are so large
    that those of before are rounding errors beside them; or where the outputs tell less than half of what they told
    before, and no more than those of the untrained network (the 95 % intervals now and before do not meet, and the one
    now reaches down to what was told untrained, or to 0). Weights, buffers and the optimizer's state are put back as
    they were when the epoch began, and from then on lr_top and lr_max are half of what they were, but never below
    lr_min: they had promised too much. The policy does not hear of such an epoch; one that has a number of epochs has
    one less. What was not finite from the start does not count, and weights that begin at zero may grow as large as
    others are (see `LastEpoch.ruin`). Where epoch after epoch is rolled back, RollBackError says so.

    What the training keeps beside the network, such as a moving average of the weights, is not known here and would
    stay ruined: name it in `also`, and it is rolled back too.

    Args:
        optimizer: Any torch optimizer of the model's parameters.
        model: The model; compiled and wrapped models are measured as the plain module inside.
        probe: The examples to measure on.
        bounds: The range of the learning rate; or one for each driving layer, by its name (what a layer-wise
            `find_bounds` finds).
        policy: The rule; None: `HoldAndDecay()`, which needs no number of epochs.
        held_out: A second sample, of examples that are not trained on; for a policy that reads
            it, as `HoldAndDecay` does to tell learning from memorizing. It is measured while `holds_out` is true.
            Those of a validation set do, or some that are kept out of training until then and join it afterwards.
        undo: Whether an epoch that ruins the network is undone, for which a copy of the weights and of the optimizer's
            state is kept. Without, such a network goes on, or `observe` raises where an output is not finite. Nothing
            is undone where the optimizer does not hold all trainable weights.
        also: What else is put back with the network: modules (`torch.optim.swa_utils.AveragedModel`, a teacher),
            tensors, or objects with `state_dict` and `load_state_dict`, as many averages and a `GradScaler` are.
        measuring: What is measured of the probe and the held-out examples, and how. None: the layers that drive the
            parameter groups, or else the output. A group that is added later needs its layer among them:
            `Measuring(layers="all")`.

    Attributes:
        history: Per layer, information in nats after 0, 1, 2, .. epochs; of those that were undone, none.
        undone: The epochs, from 1, that were undone.
        measurement: The latest measurement; None just after loading a state.
        reference: I(X;Y) in nats.

    Raises:
        TypeError: not an optimizer, not a probe, not a policy, no bounds, a held_out that is no probe or that the
            policy does not read, something in `also` that has no state.
        ValueError: an optimizer that holds parameters which are not the model's, a group whose layer is not measured
            or has no bounds, or whose learning rate is not finite, held-out examples of other classes than the probe's,
            outputs that are not finite before any training, and all that `Probe.measure` refuses.
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
        roll_back: bool = True,
        also: Sequence[Any] = (),
        measuring: Measuring | None = None,
    ) -> None:
        check_arguments(optimizer, probe, policy, bounds)
        check_model(model)
        check_parameters(optimizer, model)
        self._model, self._probe, self._held_out = model, probe, held_out
        self.policy: Policy = HoldAndDecay() if policy is None else policy
        if held_out is not None:
            check_held_out(held_out, probe, self.policy)
        self.bounds = bounds
        self._groups = ParameterGroups(optimizer, one_scale=isinstance(bounds, Bounds))
        check_bounds(self.driving_layers, bounds)
        self._measuring = (
            Measuring(layers=list(dict.fromkeys(self.driving_layers))) if measuring is None else measuring
        )
        self.history: dict[str, list[float]] = {}
        self._record = HeldOutRecord()
        self._ledger = Ledger(self.driving_layers)
        self.rolled_back: list[int] = []
        # Where another optimizer trains the rest, its part of an epoch could not be undone.
        whole = roll_back and holds_all(optimizer, model)
        self._last = LastEpoch(unwrap(model), optimizer, also) if whole else None
        self.reference = probe.reference(self._measuring)
        self.measurement: Measurement | None = None
        self._steps = OptimizerSteps(optimizer, unwrap(model), self._before_first_step)
        self._added: list[Weights] = []
        self._warner = Warner()
        self.observe()
        self._warner.begin()
        super().__init__(optimizer)

    def observe(self) -> Measurement:
        """Measure the model and decide the learning rate of the next epoch; call it once, at the end of an epoch.

        Without an optimizer step since the last call nothing is decided, and the last measurement is returned.
        """
        self._adopt()
        self._warner.observed()
        if self.can_roll_back and self._last is not None and (why := self._last.ruin):
            return self.roll_back(why)
        if self._ledger and not self._steps.any:
            return self._observed_before()
        try:
            measurement, record = self._probe.measure(self._model, self._measuring), self._record
            if self._held_out is not None and self.holds_out:
                record = record.measured(self._held_out, self._model, self._measuring, self._ledger.begun)
        except OutOfRangeError as error:  # an output is not finite, though all weights are
            if self.can_roll_back:
                return self.roll_back(str(error))
            if self._ledger:
                raise
            raise ValueError(
                f"the model cannot be measured before training: {error}; check the probe's inputs, the weights, "
                "frozen ones too, and the model in evaluation mode"
            ) from error
        if self.can_roll_back and (
            why := lost_all(
                self._probe, self._model, self._measuring, measurement, self.history["output"], _LEFT
            )
        ):
            return self.roll_back(why)
        check_driven(self.driving_layers, measurement.layers)
        # All anew, and kept only once the policy has decided: an error on the way leaves everything as it was.
        nats = {name: found.estimate.nats for name, found in measurement.layers.items()}
        history = {layer: [*self.history.get(layer, ()), value] for layer, value in nats.items()}
        decided = self._decide(history, record)
        self.history, self._record, self.measurement = history, record, measurement
        self._end_epoch(decided)
        self._record = record.trimmed(filter(self._ledger.past_hold, decided) if self.holds_out else decided)
        if self._last is not None:
            self._last.forget()
        return measurement

    @property
    def can_roll_back(self) -> bool:
        """Whether there is an epoch to undo: steps were taken since the last observation, and `undo` was not False."""
        return self._last is not None and self._last.known and bool(self._ledger)

    def roll_back(self, why: str) -> Measurement:
        """Undo the epoch that has just been trained, in place of `observe`, which does so by itself where it must.

        For a loop that knows before: its loss is nan. Returns what was measured before the epoch.

        Raises:
            RuntimeError: there is nothing to undo.
            RollBackError: no rate helps: the third epoch in a row, or a later one, at lr_min, or the tenth at any rate.
                The network is put back all the same.
        """
        if self._last is None or not self.can_roll_back:
            raise RuntimeError("there must be an epoch to undo, got no step since the last observation")
        self._last.put_back()
        for weights in self._added:
            weights.put_back()
        if self.measurement is None:  # a state was loaded since
            self.measurement = self._probe.measure(self._model, self._measuring)
        epoch = len(self._ledger)
        shares = zip(self.driving_layers, self._groups.factors, strict=True)
        lowest = [self._bounds_of(layer).lr_min * factor for layer, factor in shares]
        if tried := no_rate_helps(self.decisions, self.rolled_back, lowest):
            raise RollBackError(
                f"{tried}; the last because {why}; check the data and the loss for nan or inf, and the model in "
                "evaluation mode"
            )
        self.rolled_back.append(epoch)
        self._end_epoch(
            {
                layer: replace(
                    decision, reason=f"epoch {epoch} undone, bounds halved: {why}; then {decision.reason}"
                )
                for layer, decision in self._decide(self.history, self._record).items()
            }
        )
        return self.measurement

    def step(self, epoch: int | None = None) -> None:
        """Apply the last decision. The argument, deprecated by torch, is there for `SequentialLR` and ignored."""
        self._adopt()
        self._warner.stepped(self._steps.taken)
        self._step_count += 1
        self._update_lr()

    def _update_lr(self, epoch: int | None = None) -> None:
        super()._update_lr(epoch)
        # Not while schedulers are built: a `SequentialLR` then begins with another.
        if epoch is not None or self._step_count > 1:
            self._steps.applied = self._steps.rates()

    @property
    def driving_layers(self) -> list[str]:
        """Per parameter group, the layer whose information drives it."""
        return self._groups.layers

    @property
    def decisions(self) -> list[list[Decision]]:
        """Per epoch from the first to the next, undone or not, the decision of each parameter group.

        Its lr is the group's own; a group whose layer drove none yet has one of lr 0.
        """
        return self._ledger.table(self._groups)

    @property
    def held_out_history(self) -> dict[str, list[float]]:
        """The same as `history` of the held-out examples, for as long as they were measured; empty without any."""
        return self._record.history

    @property
    def held_out_examples(self) -> dict[str, HeldOut]:
        """Per driving layer, what each held-out example contributed to that, as far as the policy still reads it."""
        return self._record.examples

    @property
    def holds_out(self) -> bool:
        """Whether there are examples still to be kept out of training: until every group has begun to anneal once.

        A group whose layer drove none at first does not count.
        """
        layers = self._record.examples
        return self._held_out is not None and not (layers and self._ledger.all_past_hold(layers))

    @property
    def finished(self) -> bool:
        """Whether the policy says of every parameter group that the run is over."""
        return all(decision.phase == "finished" for decision in self._ledger.decided[-1].values())

    def get_lr(self) -> list[float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Learning rate of each parameter group, as last decided."""
        return self._groups.spread({}, self._ledger.rates)

    def explain(self) -> str:
        """Why the learning rate moved: a line for each epoch and group in which it did, with the reason.

        Where an epoch was trained at a rate that other code has set, a warm-up for one, that rate is named.
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
            **self._groups.state(),
            "reference": self.reference,
            "rolled_back": list(self.rolled_back),
            "history": {layer: list(values) for layer, values in self.history.items()},
            "held_out_rows": 0 if self._held_out is None else self._held_out.n,
            **self._record.state(),
            **self._ledger.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state. The optimizer's own state is loaded by the optimizer, before or after.

        Building a scheduler sets the learning rate of the first epoch. This sets back the rates that the optimizer had
        when the state was taken, so that it does not matter whether its state was loaded before the scheduler was
        built.

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
            held_out_rows=0 if self._held_out is None else self._held_out.n,
            reference=self.reference,
        )
        record, ledger = HeldOutRecord.of_state(state_dict), Ledger.of_state(state_dict)
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict["step_count"]
        self.rolled_back = list(state_dict["rolled_back"])
        self.history = {layer: list(values) for layer, values in state_dict["history"].items()}
        self._record, self._ledger = record, ledger
        self._groups.load(state_dict)
        for layer in dict.fromkeys(self.driving_layers):
            if layer not in ledger.begun:
                ledger.begin(layer, *self._first(layer))
        self.measurement = None
        self._last_lr[:] = self._groups.spread(state_dict["last_lr"], self._ledger.rates)
        self._groups.set_rates(self._groups.spread(state_dict["group_lrs"], self._ledger.rates))
        if self._last is not None:
            self._last.forget()
        self._steps.begin()
        self._added = []
        self._warner.begin()

    def _bounds_of(self, layer: str) -> Bounds:
        """The bounds of a driving layer, halved as often as an epoch was undone, down to lr_min."""
        bounds = self.bounds[layer] if isinstance(self.bounds, Mapping) else self.bounds
        if not self.rolled_back:
            return bounds
        share = _LOWERED ** len(self.rolled_back)
        top, high = (max(lr * share, bounds.lr_min) for lr in (bounds.lr_top, bounds.lr_max))
        return Bounds(bounds.lr_min, high, top, bounds.epsilon)

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
        fresh = {layer: self._first(layer) for layer in added if layer not in self._ledger.begun}
        self._groups.add()
        for layer, (decision, begun) in fresh.items():
            self._ledger.begin(layer, decision, begun)
        self.base_lrs += [group["initial_lr"] for group in self.optimizer.param_groups[known:]]
        rates = self.get_lr()[known:]
        self._last_lr.extend(rates)
        if driven:
            self._groups.set_rates(rates, first=known)
        if self.can_roll_back:  # in the middle of an epoch: of these weights nothing was kept
            parameters = [p for group in self.optimizer.param_groups[known:] for p in group["params"]]
            self._added.append(Weights(parameters, torch.device("cpu")))

    def _first(self, layer: str) -> tuple[Decision, int]:
        """The first decision of a layer that drives from now on, and where its history begins: at its last value."""
        begun = len(self.history[layer]) - 1
        return self._decide_for(layer, self.history[layer], begun), begun

    def _before_first_step(self) -> None:
        self._adopt()
        self._warner.compare(self._steps.rates(), self._steps.applied)

    def _observed_before(self) -> Measurement:
        if self.measurement is None:  # a state was loaded since
            self.measurement = self._probe.measure(self._model, self._measuring)
        else:
            self._warner.say(Misuse.TWICE)
        return self.measurement

    def _end_epoch(self, decided: dict[str, Decision]) -> None:
        """Keep what was decided, and at what rates the epoch before was trained."""
        if self._ledger:
            first, last = self._steps.first_rates, self._steps.last_rates
            self._warner.compare(last, self._steps.applied)
            now = self._steps.rates()
            self._ledger.use(self._groups.by_layer(first or now), self._groups.by_layer(last or now))
        self._ledger.add(decided)
        self._steps.begin()
        self._added = []

    def _decide(self, history: dict[str, list[float]], record: HeldOutRecord) -> dict[str, Decision]:
        return {
            layer: self._decide_for(layer, history[layer], begun, record.examples.get(layer))
            for layer, begun in self._ledger.begun.items()
        }

    def _decide_for(
        self, layer: str, history: list[float], begun: int, held_out: HeldOut | None = None
    ) -> Decision:
        return shortened(self.policy, begun + len(self.rolled_back)).decide(
            history[begun:],
            epoch=len(history) - begun,
            reference=self.reference,
            bounds=self._bounds_of(layer),
            **({} if held_out is None else {"held_out": held_out}),
        )
