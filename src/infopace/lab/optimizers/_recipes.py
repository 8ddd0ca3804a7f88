"""The optimizers that a run can be paced with: one recipe each, with all its numbers except the learning rate."""

from __future__ import annotations

import dataclasses
import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from infopace import layer_groups
from infopace.lab.errors import InputError
from infopace.lab.optimizers._kernel_muon import KernelMuon
from infopace.scheduler import Optimizers

Groups = list[dict[str, Any]]
# Ten rates, half a decade apart. They are wide enough for every workload here.
SGD_GRID = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
# Ten rates in steps of 1-2-5, around the published 1e-3.
ADAM_GRID = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
# Its authors advise a third to a tenth of the rates of AdamW.
_LION_GRID = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
# Its steps are relative to the size of the weights; the published rate is 1e-2.
_ADAFACTOR_GRID = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1)


@dataclass(frozen=True)
class Recipe(ABC):
    """An optimizer with its numbers, the learning rate apart. A workload names one, and so does `--optimizer`.

    Attributes:
        name: Its name on the command line.
        usual: The learning rate of one who has not tuned it, from which a search in the run begins.
        grid: The learning rates over which the baselines `cosine` and `linear` are tuned with it.
    """

    name: ClassVar[str]
    usual: ClassVar[float] = 1e-3
    grid: ClassVar[tuple[float, ...]]

    def __post_init__(self) -> None:
        """Raise ValueError for a number that no optimizer can use."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for part in value if isinstance(value, tuple) else (value,):
                is_switch = isinstance(part, bool)
                if is_switch != isinstance(field.default, bool) or not isinstance(part, int | float):
                    raise ValueError(f"{field.name} must be like {field.default!r}, got {value!r}")
                if not 0 <= part < math.inf:
                    raise ValueError(f"{field.name} must be at least 0 and finite, got {value!r}")

    def build(self, model: nn.Module, lr: float, *, layer_wise: bool = False) -> Optimizer:
        """The optimizer of all weights of a model; with a parameter group a layer if `layer_wise`.

        Raises InputError for a model that it cannot train.
        """
        return self._build(
            layer_groups(model) if layer_wise else [{"params": [*model.parameters()]}], lr, model
        )

    @abstractmethod
    def _build(self, groups: Groups, lr: float, model: nn.Module) -> Optimizer:
        """The optimizer of these parameter groups of a model."""

    def settings(self) -> dict[str, Any]:
        """Its name and its numbers, as JSON gives them back from run.json and from the rows of a comparison."""
        numbers = {n: [*v] if isinstance(v, tuple) else v for n, v in dataclasses.asdict(self).items()}
        return {"name": self.name, **numbers}


@dataclass(frozen=True)
class SGDRecipe(Recipe):
    """SGD with momentum. The weight decay is a penalty in the loss."""

    name: ClassVar[str] = "sgd"
    usual: ClassVar[float] = 1e-2
    grid: ClassVar[tuple[float, ...]] = SGD_GRID
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0

    def _build(self, groups: Groups, lr: float, model: nn.Module) -> Optimizer:
        return torch.optim.SGD(groups, lr, **vars(self))


@dataclass(frozen=True)
class AdamWRecipe(Recipe):
    """AdamW (Loshchilov, Hutter 2019) with torch's constants."""

    name: ClassVar[str] = "adamw"
    grid: ClassVar[tuple[float, ...]] = ADAM_GRID
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01

    def _build(self, groups: Groups, lr: float, model: nn.Module) -> Optimizer:
        return torch.optim.AdamW(groups, lr, self.betas, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class MuonRecipe(Recipe):
    """Muon (Jordan 2024) for the matrices and kernels of hidden layers, AdamW for all other weights.

    Others are embeddings, the last linear layer, norms and biases, as its author advises. Muon's steps are scaled to
    the size of AdamW's, so one learning rate serves both (Liu et al. 2025).
    """

    name: ClassVar[str] = "muon"
    grid: ClassVar[tuple[float, ...]] = ADAM_GRID
    momentum: float = 0.95
    nesterov: bool = True
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01

    def _build(self, groups: Groups, lr: float, model: nn.Module) -> Optimizer:
        hidden = set(_hidden_matrices(model))
        if not hidden:
            raise InputError(
                "muon needs a hidden layer with a matrix of weights or a convolution, got none in this model; "
                "take adamw"
            )
        matrices, others = _split(groups, hidden)
        muon = KernelMuon(
            matrices,
            lr,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
            adjust_lr_fn="match_rms_adamw",
        )
        rest = [torch.optim.AdamW(others, lr, self.betas, weight_decay=self.weight_decay)] if others else []
        return Optimizers([muon, *rest])


@dataclass(frozen=True)
class LionRecipe(Recipe):
    """Lion (Chen et al. 2023), which steps by the sign of an averaged gradient. Its decay is ten times AdamW's."""

    name: ClassVar[str] = "lion"
    usual: ClassVar[float] = 1e-4
    grid: ClassVar[tuple[float, ...]] = _LION_GRID
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1

    def _build(self, groups: Groups, lr: float, model: nn.Module) -> Optimizer:
        from pytorch_optimizer import Lion

        return Lion(groups, lr, self.betas, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class AdafactorRecipe(Recipe):
    """Adafactor (Shazeer, Stern 2018), as torch has it: steps relative to the size of the weights."""

    name: ClassVar[str] = "adafactor"
    usual: ClassVar[float] = 1e-2
    grid: ClassVar[tuple[float, ...]] = _ADAFACTOR_GRID
    weight_decay: float = 0.0

    def _build(self, groups: Groups, lr: float, model: nn.Module) -> Optimizer:
        return torch.optim.Adafactor(groups, lr, weight_decay=self.weight_decay)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (SGDRecipe(), AdamWRecipe(), MuonRecipe(), LionRecipe(), AdafactorRecipe())
}


def find_recipe(name: str | None, own: Recipe) -> Recipe:
    """The recipe called `name`: the workload's `own`, where it has this name or none is given.

    Raises InputError that lists the names.
    """
    if name is None or name == own.name:
        return own
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name.lower(), RECIPES, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise InputError(f"unknown optimizer {name!r}{hint} The optimizers are: {', '.join(RECIPES)}")


def _hidden_matrices(model: nn.Module) -> Iterator[nn.Parameter]:
    """Kernels, and weights with two dimensions, except those of embeddings and of the last linear layer."""
    outer = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    outer += [module.weight for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    apart = set(outer)
    kernels = {module.weight for module in model.modules() if isinstance(module, _ConvNd)}
    return (w for w in model.parameters() if w in kernels or (w.ndim == 2 and w not in apart))


def _split(groups: Groups, chosen: set[nn.Parameter]) -> tuple[Groups, Groups]:
    """The groups with their chosen weights, and those with the others; a group without any is left out."""
    parts: tuple[Groups, Groups] = ([], [])
    for group in groups:
        for part, taken in zip(parts, (True, False), strict=True):
            weights = [weight for weight in group["params"] if (weight in chosen) is taken]
            if weights:
                part.append({**group, "params": weights})
    return parts
