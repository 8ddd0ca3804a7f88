"""What training changes, and copies of it to go back to: the start of a search, the best of a run."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from infopace.model.layers import parameters_of
from infopace.model.snapshot import (
    Buffers,
    Contents,
    OptimizerState,
    Thawing,
    Weights,
    contents_of,
    optimizers_in,
    where_to_keep,
)


class Trained:
    """What training changes: trainable weights, buffers, the optimizer's state, and what else is named.

    Copies of a model on a GPU lie in the computer's memory.

    Args:
        model: The plain model.
        optimizer: Its optimizer.
        also: Tensors, modules or objects with a state.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, also: Sequence[Any] = ()) -> None:
        self._model, self._optimizer, self._also = model, optimizer, tuple(also)

    @property
    def memory(self) -> float:
        """Over how many gradients a step averages, as with momentum, and as those of Adam do: 1 / (1 - momentum).

        With several optimizers, the longest.
        """
        groups = [group for one in optimizers_in(self._optimizer) for group in one.param_groups]
        return round(1 / (1 - max((_average(group) for group in groups), default=0.0)), 3)

    def copied(self) -> list[Contents]:
        """A copy of it, as it is now."""
        keep_on = where_to_keep(self._model)
        return [
            Weights([weight for weight in parameters_of(self._model) if weight.requires_grad], keep_on),
            Buffers(self._model, keep_on),
            OptimizerState(self._optimizer, keep_on),
            *(part for holder in self._also for part in contents_of(holder, keep_on)),
        ]

    def frozen(self, copies: Sequence[Contents]) -> Weights:
        """A copy, as of now, of the weights of these copies that are trained no more."""
        held = [weight for part in copies if isinstance(part, Weights) for weight in part.weights]
        return self.copied_too([weight for weight in held if not weight.requires_grad])

    def copied_too(self, weights: Iterable[Tensor]) -> Weights:
        """A copy of some weights."""
        return Weights(weights, where_to_keep(self._model))

    def thawing(self) -> Thawing:
        """What finds the weights that thaw from now on."""
        return Thawing(self._optimizer)

    def rates(self) -> list[Any]:
        """The learning rates of the parameter groups, as they are now."""
        return [_cloned(group["lr"]) for group in self._optimizer.param_groups]

    def put_rates(self, rates: Sequence[Any]) -> None:
        """Learning rates as `rates` gave them. Groups that were added since keep theirs."""
        for group, rate in zip(self._optimizer.param_groups, rates, strict=False):
            if isinstance(group["lr"], Tensor):
                group["lr"].copy_(rate)
            else:
                group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """The same in a form that can be saved."""
        also = [
            one.detach().clone() if isinstance(one, Tensor) else copy.deepcopy(one.state_dict())
            for one in self._also
        ]
        return {
            "model": {name: _cloned(value) for name, value in self._model.state_dict().items()},
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "also": also,
        }

    def check(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError for a state of another network."""
        model = state.get("model") if isinstance(state, Mapping) else None  # a damaged file may hold anything
        mine, theirs = (_shapes(one) for one in (self._model.state_dict(), model))
        if mine != theirs:
            name = next(name for name in (*mine, *theirs) if mine.get(name) != theirs.get(name))
            raise ValueError(
                f"scheduler state must be of this model, with {name} of shape {mine.get(name)}, got "
                f"{theirs.get(name)}"
            )

    def load(self, state: Mapping[str, Any]) -> None:
        """All as `state` gave it."""
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        for one, its in zip(self._also, state["also"], strict=True):
            if isinstance(one, Tensor):
                one.detach().copy_(its)
            else:
                one.load_state_dict(copy.deepcopy(its))


class Kept:
    """A copy of what training changes, as it was at one moment; at first there is none.

    A copy that comes from a saved state stays as it was saved until it is put back. By then all else has been loaded.
    """

    def __init__(self, trained: Trained) -> None:
        self._trained = trained
        self._parts: list[Contents] | None = None
        self._thawing = trained.thawing()
        self._rates: list[Any] = []
        self._saved: Mapping[str, Any] | None = None

    def __bool__(self) -> bool:
        return self._parts is not None or self._saved is not None

    def keep(self) -> None:
        """Copy all as it is now."""
        self._parts, self._rates, self._saved = self._trained.copied(), self._trained.rates(), None
        self._thawing.copied()

    def take_up_thawed(self) -> None:
        """A step is about to begin: copy weights too that were frozen until now."""
        if self._parts is not None and (thawed := self._thawing.lacking(self._parts)):
            self._parts.append(self._trained.copied_too(thawed))

    def forget(self) -> None:
        """No copy is needed any more."""
        self._parts = self._saved = None

    def put_back(self) -> None:
        """All as it was when it was copied."""
        if self._saved is not None:
            rates = self._trained.rates()
            self._trained.load(self._saved)
            self._trained.put_rates(rates)  # which copies leave alone
        for part in self._parts or ():
            part.put_back()

    def state(self) -> Mapping[str, Any] | None:
        """The copy in a form that can be saved; None: there is none. What is trained stays as it is."""
        if self._parts is None:
            return self._saved
        now, rates = [*self._trained.copied(), self._trained.frozen(self._parts)], self._trained.rates()
        self.put_back()
        # Copies leave the learning rates alone, which are the scheduler's.
        self._trained.put_rates(self._rates)
        found = self._trained.state()
        for part in now:
            part.put_back()
        self._trained.put_rates(rates)
        return found

    def check(self, state: Mapping[str, Any] | None) -> None:
        """Raise ValueError for what `state` gave of another network."""
        if state is not None:
            self._trained.check(state)

    def load(self, state: Mapping[str, Any] | None) -> None:
        """From what `state` gave."""
        self._parts, self._saved = None, state


def _shapes(state: Any) -> dict[str, tuple[int, ...]]:
    """Of each weight and buffer."""
    if not isinstance(state, Mapping):
        return {}
    return {name: tuple(one.shape) for name, one in state.items() if isinstance(one, Tensor)}


def _cloned(value: Any) -> Any:
    """A state dict may hold what is no tensor."""
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)


def _average(group: Mapping[str, Any]) -> float:
    """The share of the average of gradients that a step keeps, 0.99 at most; 0 where none is named as a number."""
    betas = group.get("betas")
    first = betas[0] if isinstance(betas, tuple | list) and betas else None
    shares = [float(one) for one in (group.get("momentum"), first) if isinstance(one, int | float | Tensor)]
    # A number of 32 bits is not quite the one that was given.
    return min(max([round(share, 6) for share in shares], default=0.0), 0.99)
