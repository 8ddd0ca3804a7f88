"""The parameter groups of an optimizer: the layer that drives each, and its share of that layer's learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from infopace.scheduler._momentum import OWN, split
from infopace.scheduler._several import Optimizers


class ParameterGroups:
    """The factor of each group: its learning rate is the one decided for its layer times that.

        factor = initial learning rate of the group / scale

    scale is the largest initial learning rate when the scheduler is built. With one range of bounds for all layers, it
    is the largest of all groups. With bounds for each layer, it is the largest of the layer's groups, because such
    bounds already set the ratios between layers. So no group is above its bounds, and the group with the largest rate
    gets the one that was decided. Where all initial rates are 0, the ratios are unknown and the factors are 1.

    Args:
        optimizer: The optimizer.
        one_scale: Whether all layers have one scale.

    Attributes:
        layers: Per group, the layer that drives it.
        factors: Per group.
        scales: Per driving layer.

    Raises:
        ValueError: an initial learning rate that is not finite, or none at all.
    """

    def __init__(self, optimizer: Optimizer, *, one_scale: bool) -> None:
        self._optimizer, self._one_scale = optimizer, one_scale
        self.layers: list[str] = []
        self.factors: list[float] = []
        self.scales: dict[str, float] = {}
        self.add()

    @property
    def more(self) -> list[str]:
        """The driving layers of the groups that were added to the optimizer since.

        Raises:
            ValueError: there are fewer groups than before.
        """
        if len(self._optimizer.param_groups) < len(self.layers):
            raise ValueError(
                f"the optimizer must keep its {len(self.layers)} parameter groups, "
                f"got {len(self._optimizer.param_groups)}"
            )
        return [group.get("layer", "output") for group in self._optimizer.param_groups[len(self.layers) :]]

    def add(self) -> None:
        """Take up groups that were added. Their learning rates are read as if given when the optimizer was made."""
        groups = self._optimizer.param_groups[len(self.layers) :]
        for number, group in enumerate(groups, len(self.layers)):
            if not isinstance(group.get("lr"), int | float | Tensor):
                raise ValueError(
                    f"the optimizer must have a learning rate as lr in every parameter group, got {group.get('lr')!r} "
                    f"in parameter group {number}"
                )
        initial = [float(group.get("initial_lr", group["lr"])) for group in groups]
        wrong = next((i for i, lr in enumerate(initial) if not math.isfinite(lr)), None)
        if wrong is not None:
            raise ValueError(
                f"learning rates must be finite, got {initial[wrong]} in parameter group {len(self.layers) + wrong}"
            )
        added = self.more
        for layer in dict.fromkeys(added):
            if self._one_scale:
                scale = next(iter(self.scales.values()), max(initial))
            else:
                scale = max(lr for lr, of in zip(initial, added, strict=True) if of == layer)
            self.scales.setdefault(layer, scale)
        for group, layer, lr in zip(groups, added, initial, strict=True):
            group.setdefault(
                "initial_lr", group["lr"].clone() if isinstance(group["lr"], Tensor) else group["lr"]
            )
            self.layers.append(layer)
            self.factors.append(lr / self.scales[layer] if self.scales[layer] > 0 else 1.0)

    def of(self, layer: str) -> list[int]:
        """The groups that a layer drives."""
        return [group for group, driving in enumerate(self.layers) if driving == layer]

    def by_layer(self, values: Sequence[float | Tensor]) -> dict[str, list[float]]:
        """One number for each group -> those of each layer's groups."""
        return {
            layer: [float(values[group]) for group in self.of(layer) if group < len(values)]
            for layer in dict.fromkeys(self.layers)
        }

    def spread(self, values: Mapping[str, Sequence[float]], others: Mapping[str, float]) -> list[float]:
        """One number for each group, from those of each layer's groups.

        A layer that had another number of groups, or none, gets `others` times its groups' factors.
        """
        found = [0.0] * len(self.layers)
        for layer in dict.fromkeys(self.layers):
            groups = self.of(layer)
            own = values.get(layer, ())
            if len(own) != len(groups):
                own = [others[layer] * self.factors[group] for group in groups]
            for group, value in zip(groups, own, strict=True):
                found[group] = float(value)
        return found

    def set_rates(self, rates: Sequence[float], first: int = 0) -> list[float]:
        """Set the learning rates of the groups from `first` on; tensors keep their identity.

        Returns the rates as they are now: a tensor rounds to its own precision.
        """
        rates = list(rates)
        for place, group in enumerate(self._optimizer.param_groups[first : first + len(rates)]):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rates[place])
                rates[place] = torch.tensor(rates[place], dtype=group["lr"].dtype).item()
            else:
                group["lr"] = rates[place]
        return rates

    def split(
        self, rates: Sequence[float], held: Mapping[str, float | None]
    ) -> list[tuple[float, float | None]]:
        """The learning rate and momentum of each group for what was decided, by layer the rate that stays."""
        return [
            split(
                rate,
                None if (stays := held.get(layer)) is None else stays * factor,
                self.own_momentum(number),
            )
            for number, (rate, layer, factor) in enumerate(zip(rates, self.layers, self.factors, strict=True))
        ]

    def own_momentum(self, group: int) -> float | None:
        """The momentum that a group was made with, where that is lowered; otherwise None."""
        return self._optimizer.param_groups[group].get(OWN)

    def set_momenta(self, momenta: Sequence[float | None]) -> None:
        """Set the momentum of the groups that have one of their own."""
        for group, momentum in zip(self._optimizer.param_groups, momenta, strict=False):
            if momentum is not None:
                group["momentum"] = momentum

    def rates(self) -> list[float]:
        """The learning rates of the groups, now."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def momenta(self) -> dict[str, list[list[float]]]:
        """By layer, each group's own momentum and the one it has now; empty where none is lowered."""
        if any(self.own_momentum(group) is None for group in range(len(self.layers))):
            return {}
        pairs = [
            [float(group[OWN]), float(group["momentum"])]
            for group in self._optimizer.param_groups[: len(self.layers)]
        ]
        return {layer: [pairs[group] for group in self.of(layer)] for layer in dict.fromkeys(self.layers)}

    def load_momenta(self, momenta: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Take up what `momenta` gave, of layers with as many groups as they had."""
        for layer, pairs in momenta.items():
            groups = self.of(layer)
            for place, (own, now) in zip(groups, pairs, strict=False) if len(groups) == len(pairs) else ():
                self._optimizer.param_groups[place].update({OWN: own, "momentum": now})

    @property
    def rate(self) -> float:
        """The largest initial learning rate; 1e-3 where all are 0."""
        return max(self.scales.values()) or 1e-3

    @property
    def places(self) -> list[tuple[int, int]]:
        """Of each group, the number of its optimizer and its own number there."""
        if isinstance(self._optimizer, Optimizers):
            return list(self._optimizer.places)
        return [(0, number) for number in range(len(self._optimizer.param_groups))]

    def state(self) -> dict[str, Any]:
        """Scales, the places of the groups, and per layer the factors of its groups."""
        return {
            "scales": dict(self.scales),
            "places": [list(place) for place in self.places[: len(self.layers)]],
            "factors": self.by_layer(self.factors),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up scales, and factors where a layer has as many groups as it had."""
        self._order([(part, number) for part, number in state["places"]])
        for layer in self.scales:
            # A new layer takes the scale that all share.
            one = next(iter(state["scales"].values())) if self._one_scale else self.scales[layer]
            self.scales[layer] = state["scales"].get(layer, one)
        initial = [float(group["initial_lr"]) for group in self._optimizer.param_groups[: len(self.layers)]]
        for layer in self.scales:
            groups, own = self.of(layer), state["factors"].get(layer, ())
            for place, group in enumerate(groups):
                scale = self.scales[layer]
                fresh = initial[group] / scale if scale > 0 else 1.0
                self.factors[group] = own[place] if len(own) == len(groups) else fresh

    def _order(self, places: list[tuple[int, int]]) -> None:
        """Several optimizers' groups in the order of a state: one that was added later comes last there."""
        own = self.places
        if not isinstance(self._optimizer, Optimizers) or own == places or sorted(own) != sorted(places):
            return
        order = [own.index(place) for place in places]
        self._optimizer.places = places
        self.layers = [self.layers[group] for group in order]
        self.factors = [self.factors[group] for group in order]
