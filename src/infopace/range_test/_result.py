"""RangeTest: what a range test found, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from infopace.policies import Bounds
from infopace.range_test._records import Trial
from infopace.range_test._table import Row, table


@dataclass(frozen=True)
class RangeTest:
    """The outcome of a range test.

    Attributes:
        bounds: LR_min, LR_max, LR_top and epsilon, for one learning rate.
        layer_bounds: The same for each layer, where the test was layer-wise; otherwise empty.
        attribute: "accuracy", "loss" or "information": what was looked at.
        method: "race" or "algorithm 2".
        trials: Every trial with the curves of all its candidates: those of one rate for all layers, then, of a
            layer-wise race, those of each layer alone.
        trial_bounds: The bounds that each trial gives alone; None where a trial alone gives none.
        steps: Optimizer steps that the test took.
        planned_steps: Optimizer steps of the training that it serves.
        seconds: Seconds that the candidates took, all processes together.
        notes: What a reader should know, a line each.
    """

    bounds: Bounds
    layer_bounds: dict[str, Bounds]
    attribute: str
    method: str
    trials: tuple[Trial, ...]
    trial_bounds: tuple[Bounds | None, ...]
    steps: int
    planned_steps: int
    seconds: float
    notes: tuple[str, ...] = field(default=())

    @property
    def table(self) -> tuple[Row, ...]:
        """A row a learning rate for all layers, averaged over the trials that completed it."""
        return table(self.shared_trials)

    @property
    def shared_trials(self) -> tuple[Trial, ...]:
        """The trials of one rate for all layers."""
        return self.trials[: len(self.trial_bounds)]

    @property
    def cost(self) -> float:
        """Steps of the test as a share of those of the training that it serves."""
        return self.steps / self.planned_steps

    @property
    def spread(self) -> dict[str, float]:
        """Decades from the smallest to the largest of the trials' own lr_min, lr_top and lr_max; nan for one trial."""
        alone = [bounds for bounds in self.trial_bounds if bounds is not None]
        if len(alone) < 2:
            return dict.fromkeys(("lr_min", "lr_top", "lr_max"), math.nan)
        values = {
            "lr_min": [b.lr_min for b in alone],
            "lr_top": [b.lr_top for b in alone],
            "lr_max": [b.lr_max for b in alone],
        }
        return {name: math.log10(max(found) / min(found)) for name, found in values.items()}

    def __str__(self) -> str:
        b = self.bounds
        spread = {name: decades for name, decades in self.spread.items() if math.isfinite(decades)}
        lines = [
            f"{name:8} {value:.3g}" + (f"   trials spread over {spread[name]:.2f} decades" if name in spread else "")
            for name, value in (
                ("lr_min", b.lr_min), ("lr_top", b.lr_top), ("lr_max", b.lr_max), ("epsilon", b.epsilon),
            )
        ]  # fmt: skip
        for layer, own in self.layer_bounds.items():
            lines.append(
                f"{layer}: lr_min {own.lr_min:.3g}, lr_top {own.lr_top:.3g}, lr_max {own.lr_max:.3g}"
            )
        lines.append(
            f"by {self.attribute}, {len(self.trials)} trials, {self.seconds:.0f} s, {self.steps:,} steps: "
            f"{self.cost:.1%} of the training's"
        )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def plot(self, path: str | Path) -> Path:
        """Draw the curves of `shared_trials` and the bounds into a picture file; returns its path. Needs matplotlib.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from infopace.range_test._picture import draw

        return draw(self.shared_trials, self.bounds, f"{self.method}, by {self.attribute}", Path(path))
