"""A record of diagnostics over a training run, and its picture."""

from __future__ import annotations

import copy
import json
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from infopace._checks import number, shown
from infopace.diagnostics._information_plane import InformationPlane, Row
from infopace.diagnostics._plot import plot_rows
from infopace.model.layers import check_model
from infopace.pictures._figure import Figure

# A diagnostic: of a model, its numbers by name. `ActivationSpread(probe)` is one, and so is any function.
Diagnostic = Callable[[nn.Module], Mapping[str, float]]
_TAKEN = ("epoch", "plane")


class Diagnostics:
    """What diagnostics gave over the epochs of a run: rows, their picture, a file, and a state to resume from.

        diagnostics = Diagnostics(
            model,
            InformationPlane(probe, noise=1.0),
            spread=ActivationSpread(probe),
            rates=lambda model: {"effective": optimizer.param_groups[0]["lr"] / (1 - 0.9)},
        )
        for epoch in range(epochs):
            train_one_epoch()
            diagnostics.record(epoch + 1)
        diagnostics.plot().savefig("inside.png")

    Besides the plane it takes any number of diagnostics by name. Each is a function of the model that returns {name:
    number}: those of this room, or one of your own. Diagnostics of this room leave the model as they found it.

    Args:
        model: The model.
        plane: The information plane; None: none.
        **diagnostics: The others, by the name that their numbers get in `rows` and above their curves.

    Attributes:
        rows: One row an epoch, of plain numbers: {"epoch", "plane": {"noise", "n", "layers"}, "spread": {"veca", ..}}.
            `Point.as_row` says what a layer holds. A number that is not finite is None.

    Raises:
        TypeError: a model that is none, a plane that is none, a diagnostic that is no function.
        ValueError: nothing to record, or a name that is taken.

    >>> import torch
    >>> from infopace import Probe
    >>> from infopace.diagnostics import ActivationSpread
    >>> model = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    >>> probe = Probe(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 1, 0, 1]))
    >>> diagnostics = Diagnostics(model, spread=ActivationSpread(probe, "0"), size=lambda model: {"weights": 6.0})
    >>> diagnostics.record(0)["size"]
    {'weights': 6.0}
    >>> [row["spread"]["veca"] for row in diagnostics.rows]
    [0.140625]
    """

    def __init__(
        self, model: nn.Module, plane: InformationPlane | None = None, **diagnostics: Diagnostic
    ) -> None:
        check_model(model)
        if plane is not None and not isinstance(plane, InformationPlane):
            raise TypeError(f"plane must be an InformationPlane, got {shown(plane)}")
        for name, one in diagnostics.items():
            if name in _TAKEN:
                raise ValueError(f"a diagnostic must have a name of its own, got {name!r}")
            if not callable(one):
                raise TypeError(f"diagnostic {name!r} must be a function of the model, got {shown(one)}")
        if plane is None and not diagnostics:
            raise ValueError("there must be something to record, got no plane and no diagnostic")
        self._model, self._plane, self._others = model, plane, dict(diagnostics)
        self.rows: list[Row] = []

    def measure(self) -> Row:
        """What a row holds beside the epoch, of the model as it is. Nothing is kept.

        Raises:
            TypeError: a diagnostic that gives something else than {name: number}.
            ValueError: what the diagnostics refuse.
        """
        row: Row = {} if self._plane is None else {"plane": self._plane(self._model).as_row()}
        return row | {name: _numbers(name, one(self._model)) for name, one in self._others.items()}

    def record(self, epoch: float | int) -> Row:
        """Measure the model as it is, and keep the row under this epoch. Returns the row.

        Args:
            epoch: Epochs, or steps, that the model was trained: more than in the row before.

        Raises:
            TypeError: a diagnostic that gives something else than {name: number}.
            ValueError: an epoch that is none, or not after the last; what the diagnostics refuse.
        """
        at = number("epoch", epoch, 0)
        if self.rows and at <= self.rows[-1]["epoch"]:
            raise ValueError(f"epoch must be after {self.rows[-1]['epoch']:g}, the last recorded, got {at:g}")
        row = {"epoch": int(at) if at.is_integer() else at, **self.measure()}
        self.rows.append(row)
        return row

    def plot(self) -> Figure:
        """The picture of the rows, a figure of matplotlib.

        On top the plane: I(X; T + N) and I(T; Y) of each layer, coloured by epoch, with 95 % intervals and the noise in
        the title. A hollow marker has a caution: the information about the inputs is at least that. Grey crosses are
        the nulls. Below are both over the epochs, and the numbers of each other diagnostic.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: nothing was recorded yet.
        """
        return plot_rows(self.rows)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the rows to a file, one a line, as JSON. A file that is there is replaced."""
        Path(path).write_text("".join(f"{json.dumps(row, allow_nan=False)}\n" for row in self.rows))

    def load(self, path: str | PathLike[str]) -> None:
        """Take the rows of a file that `save` wrote, instead of those that are there.

        Raises:
            OSError: a file that cannot be read.
            ValueError: a file without such rows, or with rows of other diagnostics.
        """
        self.load_state_dict({"rows": read_rows(path)})

    def state_dict(self) -> dict[str, Any]:
        """The rows, for a checkpoint; it loads with weights_only=True."""
        return {"rows": copy.deepcopy(self.rows)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.

        Raises:
            ValueError: rows of other diagnostics, or of a plane with other noise.
        """
        rows = checked_rows(state.get("rows"))
        wanted = ["plane"] * (self._plane is not None) + list(self._others)
        for row in rows[:1]:
            found = [name for name in row if name != "epoch"]
            if sorted(found) != sorted(wanted):
                raise ValueError(f"the rows must be of {', '.join(wanted)}, got {', '.join(found)}")
            if self._plane is not None and row["plane"]["noise"] != self._plane.noise:
                raise ValueError(
                    f"the rows must be of a plane with noise {self._plane.noise:g}, got {row['plane']['noise']:g}"
                )
        self.rows = copy.deepcopy(rows)


def read_rows(path: str | PathLike[str]) -> list[Row]:
    """The rows of a file that `Diagnostics.save` wrote.

    Raises:
        OSError: a file that cannot be read.
        ValueError: a file without such rows.
    """
    try:
        rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    except ValueError as error:
        raise ValueError(f"{path} must hold one row of JSON a line, got {error}") from error
    return checked_rows(rows)


def checked_rows(rows: object) -> list[Row]:
    """The rows themselves. Raises ValueError for anything else, or for epochs that do not rise."""
    if not isinstance(rows, Sequence) or not all(isinstance(row, dict) and "epoch" in row for row in rows):
        raise ValueError(f"rows must be a list of rows, each with its epoch, got {shown(rows)}")
    epochs = [number("epoch", row["epoch"], 0) for row in rows]
    if sorted(set(epochs)) != epochs:
        raise ValueError(f"the epochs of the rows must rise, got {shown(epochs)}")
    return list(rows)


def _numbers(name: str, found: object) -> dict[str, float | None]:
    if not isinstance(found, Mapping) or not all(
        isinstance(key, str) and isinstance(value, numbers.Real) for key, value in found.items()
    ):
        raise TypeError(f"diagnostic {name!r} must give {{name: number}}, got {shown(found)}")
    return {key: float(value) if math.isfinite(value) else None for key, value in found.items()}
