"""The ledger of a run: what was decided for each epoch, at which learning rates it was trained, and why they moved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any

from infopace.policies import Decision, Policy
from infopace.scheduler._parameter_groups import ParameterGroups

# A rate in float32 differs by less from the one that was decided.
_SAME = 1e-6
_ABSENT = Decision(0.0, "hold", "its layer drove no parameter group yet")


class Ledger:
    """Decisions by driving layer, from the first epoch to the next, and the rates used in those that are over.

    Attributes:
        decided: Per epoch, the decision of each layer that drove a group by then.
        begun: Per driving layer, how many values of its history are older than its first decision's.
    """

    def __init__(self, layers: Iterable[str]) -> None:
        self.decided: list[dict[str, Decision]] = []
        self.begun: dict[str, int] = dict.fromkeys(layers, 0)
        # Per epoch and layer, the rates of its groups at the first and at the last optimizer step.
        self._used: list[dict[str, list[list[float]]]] = []

    def __len__(self) -> int:
        return len(self.decided)

    def add(self, decided: dict[str, Decision]) -> None:
        """The decisions for one epoch more."""
        self.decided.append(decided)

    def begin(self, layer: str, decision: Decision, begun: int) -> None:
        """A layer drives from now on: in the epoch that was last decided, the others' decisions stand."""
        self.decided[-1][layer] = decision
        self.begun[layer] = begun

    def use(self, first: Mapping[str, list[float]], last: Mapping[str, list[float]]) -> None:
        """The last epoch that was decided was trained at these rates, of each layer's groups."""
        self._used.append({layer: [first[layer], last[layer]] for layer in first})

    @property
    def rates(self) -> dict[str, float]:
        """The last decided rate of each driving layer."""
        return {layer: float(decision.lr) for layer, decision in self.decided[-1].items()}

    def past_hold(self, layer: str) -> bool:
        """Whether a layer's last decision is past the hold."""
        return self.decided[-1][layer].phase != "hold"

    def all_past_hold(self, layers: Iterable[str]) -> bool:
        """Whether each of these layers was past a hold once."""
        return all(any(taken[layer].phase != "hold" for taken in self.decided) for layer in layers)

    def table(self, groups: ParameterGroups) -> list[list[Decision]]:
        """Per epoch the decision of each group, at its own share of the layer's rate."""
        shares = list(zip(groups.layers, groups.factors, strict=True))
        return [
            [_share(taken.get(layer, _ABSENT), factor) for layer, factor in shares] for taken in self.decided
        ]

    def explain(self, groups: ParameterGroups) -> str:
        """A line for each epoch and group in which the rate moved: the rate that was used, and the reason."""
        lines = []
        before: dict[int, tuple[float, float, bool]] = {}
        for epoch, taken in enumerate(self.table(groups)):
            for group, decision in enumerate(taken):
                layer = groups.layers[group]
                first, last = self._used_at(epoch, layer, groups.of(layer).index(group)) or (decision.lr,) * 2
                as_decided = all(math.isclose(lr, decision.lr, rel_tol=_SAME) for lr in (first, last))
                if as_decided:
                    first = last = decision.lr
                if decision is _ABSENT or before.get(group) == (first, last, as_decided):
                    continue
                before[group] = (first, last, as_decided)
                of = f"{layer}: " if len(taken) > 1 else ""
                share = "" if groups.factors[group] == 1 else f", {groups.factors[group]:.3g} of the layer's"
                rates = f"{first:.4g}" if first == last else f"{first:.4g} to {last:.4g}"
                why = f"lr {rates}{share}: {decision.reason}"
                if not as_decided:
                    why = (
                        f"lr {rates}, set by other code; decided: {decision.lr:.4g}{share}, {decision.reason}"
                    )
                lines.append(f"epoch {epoch + 1}: {of}{why}")
        return "\n".join(lines)

    def state(self) -> dict[str, Any]:
        """By the layers' names, as plain numbers, strings, lists and dicts."""
        return {
            "begun": dict(self.begun),
            "used": [dict(epoch) for epoch in self._used],
            "decisions": {
                layer: [{**asdict(d[layer]), "lr": float(d[layer].lr)} for d in self.decided if layer in d]
                for layer in self.begun
            },
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Ledger:
        """Back from what `state` gave: a layer with fewer decisions than the others began later."""
        found = cls(())
        decisions: Mapping[str, Sequence[Mapping[str, Any]]] = state["decisions"]
        epochs = max(map(len, decisions.values()))
        found.decided = [{} for _ in range(epochs)]
        for layer, taken in decisions.items():
            for epoch, one in enumerate(taken, epochs - len(taken)):
                found.decided[epoch][layer] = Decision(**one)
        found.begun = {layer: int(begun) for layer, begun in state["begun"].items()}
        found._used = [dict(epoch) for epoch in state["used"]]
        return found

    def _used_at(self, epoch: int, layer: str, place: int) -> tuple[float, float] | None:
        """First and last rate of a layer's group; None: not trained, or not yet."""
        first, last = self._used[epoch].get(layer, [[], []]) if epoch < len(self._used) else ([], [])
        return (first[place], last[place]) if place < min(len(first), len(last)) else None


def _share(decision: Decision, factor: float) -> Decision:
    return decision if factor == 1 or decision is _ABSENT else replace(decision, lr=decision.lr * factor)


def shortened(policy: Policy, over: int) -> Policy:
    """The policy, with so many epochs less where it has a number of them: they are over, or were undone."""
    epochs = getattr(policy, "epochs", None)
    if not (over and isinstance(epochs, int) and is_dataclass(policy)):
        return policy
    return replace(policy, epochs=max(epochs - over, 1))
