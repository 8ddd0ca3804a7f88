"""The terms of the gallery: how each is built, what it is about, and at which betas it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from infopace.regularizers import (
    CLUB,
    MINE,
    CauchySchwarz,
    EnsembleDecorrelation,
    InfoNCE,
    MatrixRenyi,
    NormalizedHSIC,
    VariationalBottleneck,
)

NOISE = 0.3  # of rms(T): MINE's, in the loss and where information is measured
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Widths:
    """Units of the layer, features of an input, and classes (or columns of the target)."""

    units: int
    inputs: int
    targets: int


@dataclass(frozen=True)
class Shown:
    """A term of the gallery.

    Args:
        title: How the figure calls it.
        build: The term for a layer of some width.
        about: What the layer is to say less of, or more; "itself": the term takes the layer alone.
        betas: What the term is multiplied by in the loss.
        unit: Of its value.
        task: The examples.
        layer: The layer's name in the network: before its ReLU, or after it.
        measured: What is drawn beside beta: what the layer says of inputs or targets, or correlation between groups.
        log: Whether the value needs a logarithmic axis.
        beside: beta of a CLUB term about the inputs that is in the loss as well.
    """

    title: str
    build: Callable[[Widths], nn.Module]
    about: Literal["inputs", "targets", "itself"]
    betas: tuple[float, ...]
    unit: str = "nats"
    task: Literal["digits", "friedman"] = "digits"
    layer: str = "3"
    measured: Literal["inputs", "targets", "between"] = "inputs"
    log: bool = False
    beside: float = 0.0


def club(widths: Widths) -> CLUB:
    """About the inputs."""
    return CLUB(widths.units, widths.inputs)


def mine(widths: Widths) -> MINE:
    """In the loss, and with a new critic the measurement of every run."""
    return MINE(widths.units, widths.inputs, noise=NOISE, hidden=64, projection=64, steps=2, lr=1e-3)


TERMS = {
    "nhsic": Shown("nHSIC", lambda w: NormalizedHSIC(), "inputs", (0.0, 0.3, 1.0, 3.0), unit="no unit"),
    "matrix-renyi": Shown("matrix-based Renyi", lambda w: MatrixRenyi(), "inputs", (0.0, 1.0, 3.0, 10.0)),
    "cauchy-schwarz": Shown(
        "Cauchy-Schwarz", lambda w: CauchySchwarz(), "inputs", (0.0, 1.0, 3.0, 10.0), task="friedman"
    ),
    "edm": Shown(
        "EDM",
        lambda w: EnsembleDecorrelation(w.units, 4),
        "itself",
        (0.0, 0.1, 1.0, 10.0),
        unit="no unit",
        layer="4",
        measured="between",
    ),
    "club": Shown("CLUB", club, "inputs", (0.0, 0.0003, 0.003, 0.03), log=True),
    "infonce": Shown(
        "InfoNCE, kept large beside CLUB",
        lambda w: InfoNCE(w.units, w.targets),
        "targets",
        (0.0, -0.1, -0.3, -1.0),
        measured="targets",
        log=True,
        beside=0.01,
    ),
    "mine": Shown("MINE", mine, "inputs", (0.0, 0.03, 0.1, 0.3)),
    "vib": Shown(
        "variational bottleneck",
        lambda w: VariationalBottleneck(w.units),
        "itself",
        (0.0, 0.001, 0.01, 0.1),
        log=True,
    ),
}


def change_of(term: nn.Module) -> Change | None:
    """What the term does to the layer before the rest of the network gets it."""
    if isinstance(term, MINE):
        return term.noise
    return term.sample if isinstance(term, VariationalBottleneck) else None


def own_parameters(term: nn.Module) -> list[nn.Parameter]:
    """What the optimizer of the network is to train; a critic is fitted by itself."""
    return list(term.parameters()) if isinstance(term, VariationalBottleneck) else []


def apart(units: Tensor) -> Tensor:
    """Each unit with its examples in an order of its own: the same values, and no dependence between units."""
    return units.gather(0, torch.rand_like(units).argsort(0))
