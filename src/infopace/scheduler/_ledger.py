"""The ledger of a run: what was measured, what was decided for each unit of time and why, and the rates used.

A unit of time is an epoch, or a fixed number of optimizer steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from infopace.model.layers import nearest_measured, weight_layers, with_neighbours
from infopace.policies import Bounds, Decision, HeldOut, Observed, Policy
from infopace.policies._policy import decide
from infopace.policies._within_plan import best_epoch
from infopace.probe import Measurement
from infopace.scheduler._explain import Line
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._held_out_record import HeldOutRecord

# A rate in float32 differs by less from the one that was decided.
_SAME = 1e-6
_ABSENT = Decision(0.0, "hold", "its layer drove no parameter group yet")


@dataclass(frozen=True)
class Used:
    """The rates of the unit of time that is over.

    Attributes:
        first: Of each layer's groups, at the first optimizer step.
        last: At the last one.
        set_here: Whether the scheduler has set them before each step, so that no other code can have.
    """

    first: Mapping[str, list[float]]
    last: Mapping[str, list[float]]
    set_here: bool = False


def nats_by_layer(
    measurement: Measurement, model: nn.Module, history: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Information by layer, in nats. A layer that cannot be measured has its neighbour's.

    One that could be until now, and was not this time, keeps its last value: a jump to another layer's would be read as
    learning.
    """
    layers = list(weight_layers(model))
    found = with_neighbours(measurement.layers, measurement.left_out, layers)
    nats = {layer: one.estimate.nats for layer, one in found.items()}
    for layer in measurement.left_out:
        neighbour = nearest_measured(layer, layers, measurement.layers)
        if layer in history and history[layer] != history.get(neighbour):
            nats[layer] = history[layer][-1]
    return nats


class Ledger:
    """Measurements and decisions by driving layer, from the first unit of time to the next.

    A policy that fails, fails before anything is written.

    Args:
        policy: The rule.
        bounds: The range of the learning rate, or one for each driving layer.
        reference: I(X;Y) in nats; None: the policy does not read it.
        lowered: What a unit that is rolled back leaves of lr_top and lr_max.
        layers: The driving layers.
        unit: Optimizer steps in a unit of time; None: epochs.
        gone: Optimizer steps, or epochs, that were over when the history began.
        returns: Whether the network can return to an earlier one.

    Attributes:
        history: Per layer that is measured, information in nats after 0, 1, 2, .. units.
        held_out: The same of the held-out examples.
        decided: Per unit, the decision of each layer that drove a group by then.
        begun: Per driving layer, how many values of its history are older than its first decision's.
        rolled_back: The units, from 1, that were rolled back: they have decisions and no history.
    """

    def __init__(
        self,
        policy: Policy,
        bounds: Bounds | Mapping[str, Bounds],
        reference: float | None,
        lowered: float,
        layers: Iterable[str],
        unit: int | None = None,
        gone: int = 0,
        returns: bool = False,
    ) -> None:
        self.policy, self.bounds, self.reference, self._lowered = policy, bounds, reference, lowered
        self._returns = returns
        self.unit, self._gone = unit, [(0, gone)] if gone else []
        self.history: dict[str, list[float]] = {}
        self.held_out = HeldOutRecord()
        self.decided: list[dict[str, Decision]] = []
        self.begun: dict[str, int] = dict.fromkeys(layers, 0)
        self.rolled_back: list[int] = []
        # Per unit and layer, the rates of its groups at the first and at the last optimizer step.
        self._used: list[dict[str, list[list[float]]]] = []
        # Per unit, whether the scheduler has set them before each step.
        self._set_here: list[bool] = []

    def __len__(self) -> int:
        return len(self.decided)

    def observe(
        self, nats: Mapping[str, float], found: Mapping[str, tuple[float, list[float]]], used: Used | None
    ) -> None:
        """Decide for one unit more. `found` is the held-out information; `used` is None before the first unit."""
        held_out = self.held_out.grown(found)
        history = {layer: [*self.history.get(layer, ()), value] for layer, value in nats.items()}
        decided = {
            layer: self._decide(layer, history[layer], begun, held_out.examples.get(layer))
            for layer, begun in self.begun.items()
        }
        self.history = history
        self._add(decided, used)
        over = decided if self.left_hold(held_out.examples) else filter(self._past_hold, decided)
        self.held_out = held_out.trimmed(over)

    def roll_back(self, why: str, used: Used | None) -> None:
        """Decide anew, at lower bounds, for the unit after the one that has just been put back."""
        epoch = len(self)
        self.rolled_back.append(epoch)
        try:
            decided = {
                layer: self._decide(layer, self.history[layer], begun, self.held_out.examples.get(layer))
                for layer, begun in self.begun.items()
            }
        except BaseException:
            self.rolled_back.pop()
            raise
        why = " ".join(why.split())  # of a snapshot or a loop, in whatever form
        said = f"{self._name(epoch)} rolled back, lr_top and lr_max times {self._lowered:g}: {why}; then "
        self._add({layer: replace(d, reason=said + d.reason) for layer, d in decided.items()}, used)

    def say(self, what: str) -> None:
        """What has happened comes before the reasons of the last decisions."""
        self.decided[-1] = {
            layer: replace(one, reason=what + one.reason) for layer, one in self.decided[-1].items()
        }

    def moment(self, units: int) -> str:
        """The point in time after so many units of the history, as people count time."""
        point = units + self.before(max(units, 1)) + sum(epoch <= units for epoch in self.rolled_back)
        return f"epoch {point}" if self.unit is None else f"step {round(point * self.unit)}"

    def first(self, layer: str) -> Decision:
        """The first decision of a layer that drives from now on: its history begins with the last value."""
        return self._decide(layer, self.history[layer], len(self.history[layer]) - 1)

    def begin(self, decisions: Mapping[str, Decision]) -> None:
        """Layers drive from now on: in the unit that was last decided, the others' decisions stand."""
        for layer, decision in decisions.items():
            self.decided[-1][layer] = decision
            self.begun[layer] = len(self.history[layer]) - 1

    def bounds_of(self, layer: str) -> Bounds:
        """The bounds of a driving layer, lowered as often as a unit was rolled back, down to lr_min."""
        bounds = self.bounds[layer] if isinstance(self.bounds, Mapping) else self.bounds
        if not self.rolled_back:
            return bounds
        left = self._lowered ** len(self.rolled_back)
        top, high = (max(lr * left, bounds.lr_min) for lr in (bounds.lr_top, bounds.lr_max))
        return Bounds(bounds.lr_min, high, top, bounds.epsilon)

    def go_on(self, bounds: Bounds, gone: int) -> None:
        """Decide anew for the next unit, within other bounds; so many steps, or epochs, before it count as none."""
        self.bounds = bounds
        self._gone.append((len(self) - 1, gone))
        self.decided[-1] = {
            layer: self._decide(layer, self.history[layer], begun, self.held_out.examples.get(layer))
            for layer, begun in self.begun.items()
        }

    def before(self, unit: int | None = None) -> float | int:
        """Units of time that were over when the history began, or lie between it and a unit, from 1; None: the next."""
        gone = sum(gone for place, gone in self._gone if unit is None or place < unit)
        return gone if self.unit is None else gone / self.unit

    @property
    def judge(self) -> str | None:
        """The layer whose decisions return to an earlier network: of those that drive, the one nearest to the output.

        None: no decision does.
        """
        if not (self._returns and self.policy.goes_back):
            return None
        return next(
            layer for layer in [*reversed(self.history), *reversed(self.begun)] if layer in self.begun
        )

    def best(self, judge: str) -> int:
        """After how many units the network was best."""
        return best_epoch(
            self.history[judge], self.held_out.examples.get(judge), self.bounds_of(judge).epsilon
        )

    def before_unit(self) -> float:
        """The information in the outputs of the network that this unit began with, which may be an earlier one."""
        back = None
        if (judge := self.judge) is not None:
            back = self.decided[-1][judge].back
            if back is None and self.rolled_back[-1:] == [len(self) - 1]:
                back = self.best(judge)
        return self.history["output"][-1 if back is None else back]

    @property
    def rates(self) -> dict[str, float]:
        """The last decided rate of each driving layer."""
        return {layer: float(decision.lr) for layer, decision in self.decided[-1].items()}

    def rates_at(self, over: float) -> dict[str, float]:
        """The rate of each driving layer where a share of the unit is over, not below its lr_min."""
        return {
            layer: max(decision.at(over), self.bounds_of(layer).lr_min)
            if decision.change
            else float(decision.lr)
            for layer, decision in self.decided[-1].items()
        }

    def finished_at(self, over: float) -> bool:
        """Whether the policy says of every driving layer that the run is over, where a share of the unit is over."""
        return all(
            decision.phase == "finished" or (decision.part < 1 and over + _SAME >= decision.part)
            for decision in self.decided[-1].values()
        )

    def left_hold(self, layers: Iterable[str]) -> bool:
        """Whether each of these layers has left the hold phase once, and its decay is not watched."""
        return all(any(_is_over(taken[layer]) for taken in self.decided) for layer in layers)

    def table(self, groups: ParameterGroups) -> list[list[Decision]]:
        """Per epoch the decision of each group, at its own share of the layer's rate."""
        shares = list(zip(groups.layers, groups.factors, strict=True))
        return [
            [_share(taken.get(layer, _ABSENT), factor) for layer, factor in shares] for taken in self.decided
        ]

    def explain(self, groups: ParameterGroups) -> str:
        """A line for each unit and group in which the rate moved: the rate that was used, and the reason.

        Units of steps that follow each other for one reason share a line.
        """
        lines: list[Line] = []
        latest: dict[int, Line] = {}
        for epoch, taken in enumerate(self.table(groups)):
            for group, decision in enumerate(taken):
                if decision is _ABSENT:
                    continue
                line = self._line(epoch, group, decision, groups)
                before = latest.get(group)
                if before is not None and before.goes_on_with(line, self.unit is not None):
                    before.take(line)
                    continue
                latest[group] = line
                lines.append(line)
        return "\n".join(line.text(self._name) for line in lines)

    def _line(self, epoch: int, group: int, decision: Decision, groups: ParameterGroups) -> Line:
        layer, factor = groups.layers[group], groups.factors[group]
        first, last = self._used_at(epoch, layer, groups.of(layer).index(group)) or (decision.lr,) * 2
        set_here = epoch < len(self._set_here) and self._set_here[epoch]
        as_decided = set_here or all(math.isclose(lr, decision.lr, rel_tol=_SAME) for lr in (first, last))
        if as_decided and not set_here:
            first = last = decision.lr
        # Nothing else sets a lower rate before each step.
        least = max(min(decision.at(0.0), decision.at(1.0)), self.bounds_of(layer).lr_min * factor)
        warming_up = set_here and first < min(least, decision.lr) * (1 - _SAME)
        share = "" if factor == 1 else f", {factor:.3g} of the layer's"
        of = f"{layer}: " if len(groups.layers) > 1 else ""
        return Line(epoch + 1, epoch + 1, of, first, last, share, decision, as_decided, warming_up)

    def _name(self, first: int, last: int | None = None) -> str:
        """Units from `first`, from 1, as people count time."""
        begin, end = (unit + self.before(unit) for unit in (first, first if last is None else last))
        if self.unit is None:
            return f"epoch {begin}"
        return f"steps {round((begin - 1) * self.unit) + 1} to {round(end * self.unit)}"

    def state(self) -> dict[str, Any]:
        """By the layers' names, as plain numbers, strings, lists, dicts and tensors."""
        return {
            "reference": self.reference,
            "unit": self.unit,
            "gone": [list(part) for part in self._gone],
            "rolled_back": list(self.rolled_back),
            "history": {layer: list(values) for layer, values in self.history.items()},
            **self.held_out.state(),
            "begun": dict(self.begun),
            "used": [dict(epoch) for epoch in self._used],
            "set_here": list(self._set_here),
            "decisions": {
                layer: [{**asdict(d[layer]), "lr": float(d[layer].lr)} for d in self.decided if layer in d]
                for layer in self.begun
            },
        }

    def of_state(self, state: Mapping[str, Any]) -> Ledger:
        """Another ledger of the same policy, from what `state` returned.

        A layer with fewer decisions than the others began later.

        Raises:
            ValueError: held-out examples that are not whole.
        """
        found = Ledger(self.policy, self.bounds, self.reference, self._lowered, (), state["unit"])
        found._returns, found._gone = self._returns, [(place, gone) for place, gone in state["gone"]]
        found.held_out = HeldOutRecord.of_state(state)
        found.history = {layer: list(values) for layer, values in state["history"].items()}
        found.rolled_back = list(state["rolled_back"])
        decisions: Mapping[str, Sequence[Mapping[str, Any]]] = state["decisions"]
        epochs = max(map(len, decisions.values()))
        found.decided = [{} for _ in range(epochs)]
        for layer, taken in decisions.items():
            for epoch, one in enumerate(taken, epochs - len(taken)):
                found.decided[epoch][layer] = Decision(**one)
        found.begun = {layer: int(begun) for layer, begun in state["begun"].items()}
        found._used, found._set_here = [dict(epoch) for epoch in state["used"]], list(state["set_here"])
        return found

    def _decide(
        self, layer: str, history: list[float], begun: int, held_out: HeldOut | None = None
    ) -> Decision:
        return decide(
            self.policy,
            Observed(
                history[begun:],
                self.reference,
                self.bounds_of(layer),
                held_out=held_out,
                rolled_back=len(self.rolled_back),
                begun=begun + self.before(),
                unit=self.unit,
                returns=layer == self.judge,
            ),
        )

    def _add(self, decided: dict[str, Decision], used: Used | None) -> None:
        if used is not None:
            self._used.append({layer: [used.first[layer], used.last[layer]] for layer in used.first})
            self._set_here.append(used.set_here)
        self.decided.append(decided)

    def _past_hold(self, layer: str) -> bool:
        return _is_over(self.decided[-1][layer])

    def _used_at(self, epoch: int, layer: str, place: int) -> tuple[float, float] | None:
        """First and last rate of a layer's group; None: not trained, or not yet."""
        first, last = self._used[epoch].get(layer, [[], []]) if epoch < len(self._used) else ([], [])
        return (first[place], last[place]) if place < min(len(first), len(last)) else None


def _is_over(decision: Decision) -> bool:
    """Whether held-out examples need not be held out any more."""
    return decision.phase != "hold" and not decision.watched


def _share(decision: Decision, factor: float) -> Decision:
    if factor == 1 or decision is _ABSENT:
        return decision
    return replace(decision, lr=decision.lr * factor, change=decision.change * factor)
