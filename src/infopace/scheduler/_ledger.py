"""The ledger of a run: what was measured, what was decided for each unit of time and why, and the rates used.

A unit of time is an epoch, or a fixed number of optimizer steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from infopace.policies import Bounds, Decision, HeldOut, Observed, Policy
from infopace.policies._policy import decide
from infopace.policies._within_plan import best_epoch
from infopace.scheduler._explain import Line, line_of, once
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._held_out_record import HeldOutRecord

# A share of a unit by steps differs by less from the one that is planned.
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
        errors: The standard errors of these values, in nats; None where one is not known.
        held_out: The same of the held-out examples.
        decided: Per unit, the decision of each layer that drove a group by then.
        begun: Per driving layer, how many values of its history are older than its first decision's.
        rolled_back: The units, from 1, that were rolled back: they have decisions and no history.
        untrained: The information in the outputs before training, and before a search for the rate.
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
        # Steps, or epochs, of a search or of looks: after how many units, and how many.
        self.unit, self._gone = unit, [(0, gone)] if gone else []
        self.history: dict[str, list[float]] = {}
        self.errors: dict[str, list[float | None]] = {}
        self.held_out = HeldOutRecord()
        self.decided: list[dict[str, Decision]] = []
        self.begun: dict[str, int] = dict.fromkeys(layers, 0)
        self.rolled_back: list[int] = []
        # Of each unit that was rolled back, how many of its steps were not taken.
        self._untaken: list[tuple[int, int]] = []
        self.untrained = math.nan
        # Per unit and layer, the rates of its groups at the first and at the last optimizer step.
        self._used: list[dict[str, list[list[float]]]] = []
        # Per unit, whether the scheduler has set them before each step.
        self._set_here: list[bool] = []

    def __len__(self) -> int:
        return len(self.decided)

    def observe(
        self,
        nats: Mapping[str, float],
        found: Mapping[str, tuple[float, list[float]]],
        used: Used | None,
        errors: Mapping[str, float],
    ) -> None:
        """Decide for one unit more. `found` is the held-out information; `used` is None before the first unit."""
        held_out = self.held_out.grown(found)
        history = {layer: [*self.history.get(layer, ()), value] for layer, value in nats.items()}
        grown = {layer: [*self.errors.get(layer, ()), errors.get(layer)] for layer in history}
        decided = {
            layer: self._decide(layer, history[layer], grown[layer], begun, held_out.examples.get(layer))
            for layer, begun in self.begun.items()
        }
        self.history, self.errors = history, grown
        if math.isnan(self.untrained):
            self.untrained = nats["output"]
        self._add(decided, used)
        all_over = self.left_hold(held_out.examples)
        self.held_out = held_out.trimmed(one for one in decided if all_over or _is_over(decided[one]))

    def roll_back(self, why: str, used: Used | None, steps: int) -> None:
        """Decide anew, at lower bounds, for the unit after the one that has just been put back, after so many steps."""
        epoch = len(self)
        self.rolled_back.append(epoch)
        self._untaken.append((epoch, 0 if self.unit is None else max(self.unit - steps, 0)))
        try:
            decided = self._decide_anew()
        except BaseException:
            self.rolled_back.pop()
            self._untaken.pop()
            raise
        why = " ".join(why.split())  # of a snapshot or a loop, in whatever form
        said = f"{self.name(epoch)} rolled back, lr_top and lr_max times {self._lowered:g}: {why}; then "
        self._add({layer: replace(d, reason=said + d.reason) for layer, d in decided.items()}, used)

    def say(self, what: str) -> None:
        """What has happened comes before the reasons of the last decisions."""
        self.decided[-1] = {
            layer: replace(one, reason=what + one.reason) for layer, one in self.decided[-1].items()
        }

    def moment(self, units: int) -> str:
        """The point in time after so many units of the history, as people count time."""
        return f"{'epoch' if self.unit is None else 'step'} {self.measured_at(units + 1)}"

    def first(self, layer: str) -> Decision:
        """The first decision of a layer that drives from now on: its history begins with the last value."""
        history = self.history[layer]
        return self._decide(layer, history, self.errors[layer], len(history) - 1)

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
        self.decided[-1] = self._decide_anew()

    def _before(self, parts: Iterable[tuple[int, int]], unit: int | None = None) -> float | int:
        """The sum of what was noted of units before this one, from 1, in units of time; None: of all."""
        steps = sum(steps for place, steps in parts if unit is None or place < unit)
        return steps if self.unit is None else steps / self.unit

    def reopen(self, steps: int) -> None:
        """Decide anew where the run was over, so many steps into the unit, and is not by the plan of now."""
        last = self.decided[-1]
        if self.finished_after(steps):
            self.decided[-1] = self._decide_anew()
            if self.finished_after(steps):
                self.decided[-1] = last

    @property
    def judge(self) -> str | None:
        """The driving layer nearest to the output: it decides when to return to an earlier network. None: none does."""
        if not (self._returns and self.policy.goes_back):
            return None
        return next(
            layer for layer in (*reversed(self.history), *reversed(self.begun)) if layer in self.begun
        )

    def best(self, judge: str) -> int:
        """After how many units the network was best."""
        held_out, epsilon = self.held_out.examples.get(judge), self.bounds_of(judge).epsilon
        return best_epoch(self.history[judge], held_out, epsilon)

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

    @property
    def held(self) -> dict[str, float | None]:
        """The rate of each driving layer that stays while momentum falls; None: the rate itself moves."""
        return {layer: decision.held for layer, decision in self.decided[-1].items()}

    def rates_at(self, over: float) -> dict[str, float]:
        """The rate of each driving layer where a share of the unit is over, not below its lr_min."""
        return {
            layer: max(decision.at(over), self.bounds_of(layer).lr_min)
            if decision.change
            else float(decision.lr)
            for layer, decision in self.decided[-1].items()
        }

    def finished_after(self, steps: int) -> bool:
        """Whether the policy says of every driving layer that the run is over, so many steps into the unit."""
        over = 0.0 if self.unit is None else steps / self.unit
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

    def lines(self, groups: ParameterGroups) -> list[Line]:
        """A line for each unit and group: the rates that were used, and the reason."""
        return [
            self._line(unit, group, decision, groups)
            for unit, taken in enumerate(self.table(groups))
            for group, decision in enumerate(taken)
            if decision is not _ABSENT
        ]

    def moves(self, groups: ParameterGroups) -> list[Line]:
        """A line for each unit and group in which the rate moved.

        Units of steps that follow each other for one reason share a line, and so do groups of which the same is to say.
        """
        lines: list[Line] = []
        latest: dict[int, Line] = {}
        for line in once(self.lines(groups)):
            before = latest.get(line.group)
            if before is not None and before.goes_on_with(line, self.unit is not None):
                before.take(line)
                continue
            latest[line.group] = line
            lines.append(line)
        return lines

    def _line(self, epoch: int, group: int, decision: Decision, groups: ParameterGroups) -> Line:
        layer = groups.layers[group]
        used = self._used_at(epoch, layer, groups.of(layer).index(group))
        set_here = epoch < len(self._set_here) and self._set_here[epoch]
        lr_min = self.bounds_of(layer).lr_min
        return line_of(epoch, group, decision, groups, used, set_here, lr_min, self.unit is not None)

    def span(self, first: int, last: int | None = None) -> tuple[int, int]:
        """Where units, from 1, begin and end on the axis of time, in epochs or optimizer steps."""
        last = first if last is None else last
        begin = first - 1 + self._before(self._gone, first) - self._before(self._untaken, first)
        end = last + self._before(self._gone, last) - self._before(self._untaken, last + 1)
        one = 1 if self.unit is None else self.unit
        return round(begin * one), round(end * one)

    def name(self, first: int, last: int | None = None) -> str:
        """Units, from 1, as people count time."""
        begin, end = self.span(first, last)
        if self.unit is None:
            return f"epoch {begin + 1}"
        if (last or first) == len(self):  # where a plan in steps may end
            end -= round((1 - min(decision.part for decision in self.decided[-1].values())) * self.unit)
        return f"steps {begin + 1} to {end}"

    def measured_at(self, values: int) -> int:
        """Where the last of so many values of the history was measured, on the axis of time."""
        if values == 1:
            return self.span(1)[0]
        kept = [unit for unit in range(1, len(self)) if unit not in self.rolled_back]
        return self.span(kept[values - 2])[1]

    def state(self) -> dict[str, Any]:
        """By the layers' names, as plain numbers, strings, lists, dicts and tensors."""
        return {
            "reference": self.reference,
            "unit": self.unit,
            "gone": [list(part) for part in self._gone],
            "rolled_back": list(self.rolled_back),
            "untaken": [list(part) for part in self._untaken],
            "untrained": self.untrained,
            "history": {layer: list(values) for layer, values in self.history.items()},
            "errors": {layer: list(values) for layer, values in self.errors.items()},
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
        found.errors = {layer: list(values) for layer, values in state["errors"].items()}
        found.rolled_back, found.untrained = list(state["rolled_back"]), state["untrained"]
        found._untaken = [(place, left) for place, left in state["untaken"]]
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
        self,
        layer: str,
        history: list[float],
        errors: list[float | None],
        begun: int,
        held_out: HeldOut | None = None,
    ) -> Decision:
        return decide(
            self.policy,
            Observed(
                history[begun:],
                self.reference,
                self.bounds_of(layer),
                held_out=held_out,
                rolled_back=len(self.rolled_back) - self._before(self._untaken),
                begun=begun + self._before(self._gone),
                unit=self.unit,
                returns=layer == self.judge,
                errors=errors[begun:],
            ),
        )

    def _decide_anew(self) -> dict[str, Decision]:
        return {
            layer: self._decide(
                layer, self.history[layer], self.errors[layer], begun, self.held_out.examples.get(layer)
            )
            for layer, begun in self.begun.items()
        }

    def _add(self, decided: dict[str, Decision], used: Used | None) -> None:
        if used is not None:
            self._used.append({layer: [used.first[layer], used.last[layer]] for layer in used.first})
            self._set_here.append(used.set_here)
        self.decided.append(decided)

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
    held = None if decision.held is None else decision.held * factor
    return replace(decision, lr=decision.lr * factor, change=decision.change * factor, held=held)
