"""MutualInformationLR: probe -> policy -> optimizer, as a torch learning-rate scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from infopace._checks import shown
from infopace._last_epoch import LastEpoch, lost_all
from infopace._scheduler_state import VERSION, check_state
from infopace.layers import check_model, check_parameters, holds_all, unknown_layer, unwrap
from infopace.policies import Bounds, Decision, HeldOut, HoldAndAnneal, Policy
from infopace.policies._policy import check_reads_held_out
from infopace.probe import Measurement, Probe

# An epoch is undone that leaves less than this share of the information, and leaves the bounds this share of theirs.
# benchmarks/policies/too_high.py moves both.
_LEFT, _LOWERED = 0.5, 0.5
# The causes of decisions from the anneal on; a policy that reads held-out rows has these.
_PAST_HOLD = frozenset({"anneal", "floor", "finished"})


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

    An epoch that ruins the network is undone: where a weight or an output is not finite, or all weights are so large
    that those of before are rounding errors beside them; or where the outputs tell less than half of what they told
    before, and no more than those of the untrained network (the 95 % intervals now and before do not meet, and the one
    now reaches down to what was told untrained, or to 0). Weights, buffers and the optimizer's state are put back as
    they were when the epoch began, and from then on lr_top and lr_max are half of what they were: they had promised too
    much. The policy does not hear of such an epoch; one that has a number of epochs has one less.

    Args:
        optimizer: Any torch optimizer of the model's parameters.
        model: The model; compiled and wrapped models are measured as the plain module inside.
        probe: The sample to measure on; it must measure the layers of the groups (layers="all" does).
        policy: The rule; None: `HoldAndAnneal()`, which needs no number of epochs.
        bounds: The range of the learning rate; or one for each driving layer, by its name (what a layer-wise
            `range_test` finds). Must be given.
        held_out: A second sample, of rows that are not trained on, with the same layers; for a policy that reads it,
            as `HoldAndAnneal` does to tell learning from memorizing. It is measured while `holds_out` is true. Rows of
            a validation set do, or some that are kept out of training until then and join it afterwards.
        undo: Whether an epoch that ruins the network is undone, for which a copy of the weights and of the optimizer's
            state is kept. Without, such a network goes on, or `observe` raises where an output is not finite. Nothing
            is undone where the optimizer does not hold all trainable weights.

    Attributes:
        decisions: Per epoch from the first to the next, undone or not, the decision of each parameter group.
        history: Per layer, information in nats after 0, 1, 2, .. epochs; of those that were undone, none.
        held_out_history: The same of the held-out rows, for as long as they were measured; empty without any.
        held_out_pointwise: Per driving layer and epoch, what each held-out row contributed to that.
        driving_layers: Per parameter group, the layer whose information drives it.
        undone: The epochs, from 1, that were undone.
        measurement: The latest measurement; None just after loading a state.
        reference: I(X;Y) in nats.

    Raises:
        TypeError: not an optimizer, not a probe, not a policy, no bounds, a held_out that is no probe or that the
            policy does not read.
        ValueError: an optimizer that holds parameters which are not the model's, a group whose layer is not measured
            or has no bounds, held-out rows of other classes than the probe's, and all that `Probe.measure` refuses.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        probe: Probe,
        policy: Policy | None = None,
        bounds: Bounds | Mapping[str, Bounds] | None = None,
        held_out: Probe | None = None,
        *,
        undo: bool = True,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a torch Optimizer, got {type(optimizer).__name__}")
        check_model(model)
        if not isinstance(probe, Probe):
            raise TypeError(f"probe must be a Probe, got {type(probe).__name__}; Probe.sample draws one")
        if isinstance(policy, type):
            raise TypeError(f"policy must be an object, not its class: {policy.__name__}(...)")
        if not (policy is None or isinstance(policy, Policy)):
            raise TypeError(
                f"policy must have a method decide, got {shown(policy)}; bounds go by name: bounds=..."
            )
        if bounds is None:
            raise TypeError("bounds must be given, Bounds(lr_min, lr_max) or those of a range_test, got None")
        _check_bounds(bounds)
        check_parameters(optimizer, model)
        self._model, self._probe, self._held_out = model, probe, held_out
        self.policy: Policy = HoldAndAnneal() if policy is None else policy
        if held_out is not None:
            _check_held_out(held_out, probe, self.policy)
        self.bounds = bounds
        self.driving_layers: list[str] = [group.get("layer", "output") for group in optimizer.param_groups]
        without = [
            layer for layer in self.driving_layers if isinstance(bounds, Mapping) and layer not in bounds
        ]
        if without:
            raise ValueError(f"bounds must hold every driving layer, got none for {without[0]!r}")
        self.history: dict[str, list[float]] = {}
        self.held_out_history: dict[str, list[float]] = {}
        self.held_out_pointwise: dict[str, list[list[float]]] = {}
        self.decisions: list[list[Decision]] = []
        self.undone: list[int] = []
        # Where another optimizer trains the rest, its part of an epoch could not be undone.
        whole = undo and holds_all(optimizer, model)
        self._last = LastEpoch(unwrap(model), optimizer) if whole else None
        self.reference = probe.reference
        self.measurement: Measurement | None = None
        self.observe()
        super().__init__(optimizer)

    def observe(self) -> Measurement:
        """Measure the model and decide the learning rate of the next epoch; call it once, at the end of an epoch."""
        self._check_groups()
        if self.can_undo and self._last is not None and (why := self._last.ruin):
            return self.undo(why)
        try:
            measurement = self._probe.measure(self._model)
        except ValueError as error:
            if self.can_undo and "must be finite" in str(error):  # an output, though all weights are
                return self.undo(str(error))
            raise
        if self.can_undo and (
            why := lost_all(self._probe, self._model, measurement, self.history["output"], _LEFT)
        ):
            return self.undo(why)
        unseen = self._held_out.measure(self._model).layers if self._held_out and self.holds_out else {}
        for group, layer in enumerate(self.driving_layers):
            if layer not in measurement.layers:
                raise ValueError(
                    f"parameter group {group} cannot be driven: {unknown_layer(layer, measurement.layers)}"
                )
        # All anew, and kept only once the policy has decided: an error on the way leaves everything as it was.
        nats = {name: found.estimate.nats for name, found in measurement.layers.items()}
        history = _longer(self.history, nats)
        values, rows = {}, {}
        for layer in dict.fromkeys(self.driving_layers if unseen else ()):
            if layer not in unseen:
                raise ValueError(f"held_out must measure what drives: {unknown_layer(layer, unseen)}")
            estimate = unseen[layer].estimate
            assert estimate.pointwise is not None, "a probe measures by neighbours, a mean over rows"
            values[layer], rows[layer] = estimate.nats, estimate.pointwise.tolist()
        pointwise = _longer(self.held_out_pointwise, rows)
        self.decisions.append(self._decide(history, pointwise))
        self.history, self.held_out_pointwise = history, pointwise
        self.held_out_history = _longer(self.held_out_history, values)
        self.measurement = measurement
        if self._last is not None:
            self._last.forget()
        return measurement

    @property
    def can_undo(self) -> bool:
        """Whether there is an epoch to undo: steps were taken since the last observation, and `undo` was not False."""
        return self._last is not None and self._last.known and bool(self.decisions)

    def undo(self, why: str) -> Measurement:
        """Undo the epoch that has just been trained, in place of `observe`, which does so by itself where it must.

        For a loop that knows before: its loss is nan. Returns what was measured before the epoch.

        Raises:
            RuntimeError: there is nothing to undo.
        """
        if self._last is None or not self.can_undo:
            raise RuntimeError("there must be an epoch to undo, got no step since the last observation")
        self._last.put_back()
        if self.measurement is None:  # a state was loaded since
            self.measurement = self._probe.measure(self._model)
        epoch = len(self.decisions)
        self.undone.append(epoch)
        self.decisions.append(
            [
                replace(
                    decision, reason=f"epoch {epoch} undone, bounds halved: {why}; then {decision.reason}"
                )
                for decision in self._decide(self.history, self.held_out_pointwise)
            ]
        )
        return self.measurement

    def step(self, epoch: int | None = None) -> None:
        """Apply the last decision. The argument, deprecated by torch, is there for `SequentialLR` and ignored."""
        self._check_groups()
        self._step_count += 1
        self._update_lr()

    @property
    def holds_out(self) -> bool:
        """Whether there are rows still to be kept out of training: until every group has begun to anneal once."""
        begun = [any(one.cause in _PAST_HOLD for one in taken) for taken in zip(*self.decisions, strict=True)]
        return self._held_out is not None and not (begun and all(begun))

    def get_lr(self) -> list[float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Learning rate of each parameter group, as last decided."""
        return [float(decision.lr) for decision in self.decisions[-1]]

    def explain(self) -> str:
        """Why the learning rate moved: a line for each epoch and group in which it did, with the reason."""
        lines = []
        for epoch, decisions in enumerate(self.decisions, 1):
            for group, decision in enumerate(decisions):
                if epoch == 1 or decision.lr != self.decisions[epoch - 2][group].lr:
                    layer = f"{self.driving_layers[group]}: " if len(decisions) > 1 else ""
                    lines.append(f"epoch {epoch}: {layer}lr {decision.lr:.4g}: {decision.reason}")
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as plain numbers, strings, lists and dicts."""
        return {
            "version": VERSION,
            "last_epoch": self.last_epoch,
            "step_count": self._step_count,
            "base_lrs": [float(lr) for lr in self.base_lrs],
            "last_lr": [float(lr) for lr in self.get_last_lr()],
            "group_lrs": [float(group["lr"]) for group in self.optimizer.param_groups],
            "reference": self.reference,
            "undone": list(self.undone),
            "driving_layers": list(self.driving_layers),
            "history": {layer: list(values) for layer, values in self.history.items()},
            "held_out_rows": 0 if self._held_out is None else self._held_out.n,
            "held_out_history": {layer: list(values) for layer, values in self.held_out_history.items()},
            "held_out_pointwise": {layer: list(rows) for layer, rows in self.held_out_pointwise.items()},
            "decisions": [
                [{**asdict(decision), "lr": float(decision.lr)} for decision in decisions]
                for decisions in self.decisions
            ],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state. The optimizer's own state is loaded by the optimizer, before or after.

        Building a scheduler sets the learning rate of the first epoch. This sets back the rates that the optimizer had
        when the state was taken, so that it does not matter whether its state was loaded before the scheduler was
        built.

        Raises:
            ValueError: a state of another version, of other layers, of another reference, of another number of held-out
                rows, or without what each of them contributed; one in which something is missing or of another length.
                Nothing is changed then.
        """
        check_state(
            state_dict,
            driving_layers=self.driving_layers,
            layers=list(self.history),
            held_out_rows=0 if self._held_out is None else self._held_out.n,
            reference=self.reference,
        )
        decisions = [[Decision(**one) for one in taken] for taken in state_dict["decisions"]]
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict["step_count"]
        self.base_lrs = list(state_dict["base_lrs"])
        self._last_lr = list(state_dict["last_lr"])
        self.undone = list(state_dict.get("undone", []))
        self.history = {layer: list(values) for layer, values in state_dict["history"].items()}
        held_out, pointwise = (state_dict.get(f"held_out_{part}", {}) for part in ("history", "pointwise"))
        self.held_out_history = {layer: list(values) for layer, values in held_out.items()}
        self.held_out_pointwise = {layer: list(rows) for layer, rows in pointwise.items()}
        self.decisions, self.measurement = decisions, None
        if self._last is not None:
            self._last.forget()
        for group, lr in zip(self.optimizer.param_groups, state_dict.get("group_lrs", ()), strict=False):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    def _policy(self) -> Policy:
        """The policy, with as many epochs less as were undone where it has a number of them."""
        epochs = getattr(self.policy, "epochs", None)
        if not (self.undone and isinstance(epochs, int) and is_dataclass(self.policy)):
            return self.policy
        return replace(self.policy, epochs=max(epochs - len(self.undone), 1))

    def _bounds_of(self, layer: str) -> Bounds:
        """The bounds of a driving layer, halved as often as an epoch was undone."""
        bounds = self.bounds[layer] if isinstance(self.bounds, Mapping) else self.bounds
        share = _LOWERED ** len(self.undone)
        top, high = bounds.first * share, bounds.lr_max * share
        return Bounds(min(bounds.lr_min, top), high, top, bounds.epsilon) if self.undone else bounds

    def _check_groups(self) -> None:
        """`observe` also runs before torch's scheduler knows its optimizer."""
        groups = getattr(self, "optimizer", None)
        if groups is not None and len(groups.param_groups) != len(self.driving_layers):
            raise ValueError(
                f"the optimizer must keep its {len(self.driving_layers)} parameter groups, "
                f"got {len(groups.param_groups)}; build the scheduler after the last is added"
            )

    def _decide(
        self, history: dict[str, list[float]], pointwise: dict[str, list[list[float]]]
    ) -> list[Decision]:
        policy = self._policy()
        decided: dict[str, Decision] = {}
        for layer in dict.fromkeys(self.driving_layers):
            bounds = self._bounds_of(layer)
            unseen: dict[str, Any] = {}
            if self._held_out is not None:
                unseen = {"held_out": HeldOut(pointwise[layer])}
            decided[layer] = policy.decide(
                history[layer], epoch=len(history[layer]), reference=self.reference, bounds=bounds, **unseen
            )
        return [decided[layer] for layer in self.driving_layers]


def _longer(lists: dict[str, list[Any]], more: dict[str, Any]) -> dict[str, list[Any]]:
    """New lists, each with one more at its end."""
    return {
        name: [*lists.get(name, []), *([more[name]] if name in more else [])] for name in {**lists, **more}
    }


def _check_bounds(bounds: object) -> None:
    parts = list(bounds.values()) if isinstance(bounds, Mapping) else [bounds]
    wrong = next((part for part in parts if not isinstance(part, Bounds)), None)
    if wrong is not None:
        hint = "; take its .bounds" if isinstance(getattr(wrong, "bounds", None), Bounds) else ""
        kind = type(wrong).__name__
        raise TypeError(
            f"bounds must be Bounds(lr_min, lr_max), or one for each layer's name, got {kind}{hint}"
        )


def _check_held_out(held_out: Probe, probe: Probe, policy: Policy) -> None:
    if not isinstance(held_out, Probe):
        raise TypeError(f"held_out must be a Probe, got {type(held_out).__name__}")
    check_reads_held_out(policy)
    # What few classes hold at most would look like memory of the others.
    if held_out.classes != probe.classes:
        raise ValueError(
            f"held_out must have the classes of the probe, {probe.classes}, got {held_out.classes}"
        )
