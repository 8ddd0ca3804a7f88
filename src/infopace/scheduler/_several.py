"""Several optimizers of one model, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.optim import Optimizer

from infopace._checks import shown


class Optimizers(Optimizer):
    """Several optimizers of one model as one, such as Muon for matrices and AdamW for the rest.

        optimizers = Optimizers([muon, adamw])

    The parameter groups are those of all, in order; a group that is added to a part later is the last. `step` steps
    each. The ratios of their learning rates are kept by a scheduler as those of groups are. Each may be stepped by
    itself instead, and not all of them in every step.

    Args:
        parts: The optimizers, one or more.

    Attributes:
        parts: The same.

    Raises:
        TypeError: something else than torch optimizers.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        wrong = [part for part in parts if not isinstance(part, Optimizer)]
        if wrong or not parts:
            got = type(wrong[0]).__name__ + " among them" if wrong else "none"
            raise TypeError(f"optimizers must be one or more torch Optimizers, got {got}")
        # torch's own __init__ would take the groups away from the parts.
        self.parts = list(parts)
        self._places: list[tuple[int, int]] = []

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The groups of all optimizers, as they are now."""
        groups = [part.param_groups for part in self.parts]
        return [groups[part][number] for part, number in self.places]

    @property
    def defaults(self) -> dict[str, Any]:
        """The options that all optimizers have, as the first has them."""
        first, *others = [part.defaults for part in self.parts]
        return {name: value for name, value in first.items() if all(name in other for other in others)}

    @property
    def places(self) -> list[tuple[int, int]]:
        """Of each group, the number of its optimizer and its own number there."""
        sizes = [len(part.param_groups) for part in self.parts]
        if len(self._places) != sum(sizes):
            here = [(part, number) for part, size in enumerate(sizes) for number in range(size)]
            self._places = [place for place in self._places if place in here]
            self._places += [place for place in here if place not in self._places]
        return self._places

    @places.setter
    def places(self, places: Sequence[tuple[int, int]]) -> None:
        self._places = list(places)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Step each optimizer; `closure` is called by the first."""
        loss = self.parts[0].step(closure) if closure is not None else self.parts[0].step()
        for part in self.parts[1:]:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Not here: a group belongs to one of the parts."""
        raise TypeError(
            f"a parameter group must be added to one of the {len(self.parts)} optimizers, got {shown(param_group)}"
        )

    def state_dict(self) -> dict[str, Any]:
        """The state of each."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of each.

        Raises:
            ValueError: the state of another number of optimizers.
        """
        states = state_dict.get("parts", ())
        if len(states) != len(self.parts):
            raise ValueError(f"optimizer state must be of {len(self.parts)} optimizers, got {len(states)}")
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)

    def __getstate__(self) -> dict[str, Any]:
        return {"parts": self.parts, "places": self._places}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.parts, self._places = state["parts"], list(state["places"])

    def __repr__(self) -> str:
        return f"Optimizers({self.parts!r})"


def as_one(optimizer: object) -> Optimizer:
    """An optimizer, or several in a list, as one.

    Raises:
        TypeError: something else.
    """
    if isinstance(optimizer, list | tuple):
        return Optimizers(optimizer)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be a torch Optimizer, or several in a list, got {type(optimizer).__name__}"
        )
    return optimizer


def parts_of(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizers that are one here; of any other, itself."""
    if not isinstance(optimizer, Optimizers):
        return [optimizer]
    return [one for part in optimizer.parts for one in parts_of(part)]
