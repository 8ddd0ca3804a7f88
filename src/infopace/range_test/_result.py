"""What a range test found, and how sure it is: bounds, a table, a picture; or why it found nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from infopace.policies import Bounds
from infopace.range_test._records import Candidate, Evaluation, Trial

# Blue, vermilion, green, purple, orange: colour-blind readers can separate them (Okabe and Ito 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
Refusal = Literal["narrow", "crashed", "nothing-learned", "disagreement", "unfinished"]


class RangeTestError(RuntimeError):
    """The test cannot answer. It gives the reason in one line and does not guess.

    Attributes:
        kind: "narrow", "crashed", "nothing-learned", "disagreement" or "unfinished".
    """

    def __init__(self, kind: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.kind: Refusal = kind


@dataclass(frozen=True)
class Row:
    """What the trials that completed a learning rate found there, averaged.

    Attributes:
        lr: The learning rate.
        min_ds: Smallest relative change of information from one evaluation to the next.
        initial_loss, final_loss: Before training, after it.
        initial_accuracy, final_accuracy: None for continuous targets.
        initial_information, final_information: Of the output, nats.
        trials: How many trials completed this rate.
        crashes: How many crashed at it.
    """

    lr: float
    min_ds: float
    initial_loss: float
    final_loss: float
    initial_accuracy: float | None
    final_accuracy: float | None
    initial_information: float
    final_information: float
    trials: int
    crashes: int


@dataclass(frozen=True)
class RangeTest:
    """The outcome of a range test.

    Attributes:
        bounds: lr_min, lr_max, lr_top and epsilon for one learning rate: that of the parameter group with the largest.
        layer_bounds: The same for each layer, where the test was layer-wise; otherwise empty.
        attribute: "accuracy", "loss" or "information": what candidates were compared by.
        method: "race" or "algorithm 2".
        trials: Every trial with the curves of all its candidates. Those of one rate for all layers come first. Those of
            each layer alone follow, where a race was layer-wise.
        trial_bounds: The bounds that each trial gives alone; None where a trial alone gives none.
        planned_steps: Optimizer steps of the run that the test serves.
        notes: What a reader should know, a line each.
    """

    bounds: Bounds
    layer_bounds: dict[str, Bounds]
    attribute: str
    method: str
    trials: tuple[Trial, ...]
    trial_bounds: tuple[Bounds | None, ...]
    planned_steps: int
    notes: tuple[str, ...] = field(default=())

    @property
    def table(self) -> tuple[Row, ...]:
        """A row a learning rate for all layers, averaged over the trials that completed it, ascending."""
        trials = self.shared_trials
        rates = sorted({candidate.lr for trial in trials for candidate in trial.completed})
        return tuple(_row(lr, trials) for lr in rates)

    @property
    def shared_trials(self) -> tuple[Trial, ...]:
        """The trials of one rate for all layers."""
        return self.trials[: len(self.trial_bounds)]

    @property
    def steps(self) -> int:
        """Optimizer steps that the test took."""
        return sum(trial.steps for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Seconds that the candidates took, all processes together."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def cost(self) -> float:
        """Steps of the test as a share of those of the run that it serves."""
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
            f"{self.cost:.1%} of the run's"
        )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def plot(self, path: str | Path) -> Path:
        """Draw the curves of `shared_trials` and the bounds into a picture file; returns its path.

        The format follows from the file's name. Needs matplotlib.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError('plots need matplotlib: pip install "infopace[plot]"') from error
        trials, b, path = self.shared_trials, self.bounds, Path(path)
        labels = {"accuracy": "accuracy", "loss": "loss", "information": "information, nats"}
        if trials[0].candidates[0].first.accuracy is None:
            del labels["accuracy"]
        figure = Figure(figsize=(7.5, 2.3 * len(labels) + 0.8), layout="constrained")
        axes = figure.subplots(len(labels), sharex=True, squeeze=False)[:, 0]
        for (what, label), ax in zip(labels.items(), axes, strict=True):
            for trial in trials:
                _draw(ax, trial, what)
            ax.set_xscale("log")
            ax.set_ylabel(label)
            if what == "loss":
                ax.set_yscale("log")
            ax.grid(alpha=0.25, which="both", lw=0.5)
            ax.axvspan(b.lr_min, b.lr_max, color="0.5", alpha=0.10, lw=0)
            ax.axvline(b.lr_top, color="0.25", lw=1, ls="--")
        axes[0].legend(fontsize=8, ncols=3, loc="lower left")
        axes[-1].set_xlabel("learning rate")
        rates = f"lr_min {b.lr_min:.3g}   lr_top {b.lr_top:.3g}   lr_max {b.lr_max:.3g}"
        figure.suptitle(f"{rates}   ({self.method}, by {self.attribute})", fontsize=11)
        figure.savefig(path, dpi=140)
        return path


def _draw(ax: Any, trial: Trial, what: str) -> None:
    """A trial's final values over the learning rate; a cross at the lower edge for each crash, which has no value."""
    colour = _COLOURS[trial.number % len(_COLOURS)]
    points = [(c.lr, value) for c in trial.completed if (value := _final(c, what)) is not None]
    if points:
        rates, values = zip(*points, strict=True)
        ax.plot(rates, values, "o-", ms=3.5, lw=1.2, color=colour, label=f"trial {trial.number}")
    crashes = [c.lr for c in trial.crashed]
    edge = {"transform": ax.get_xaxis_transform(), "clip_on": False}
    ax.plot(crashes, [0.03] * len(crashes), "x", ms=5, color=colour, **edge)


def _final(candidate: Candidate, what: str) -> float | None:
    last = candidate.last
    if what == "information":
        return last.information.get("output")
    return last.loss if what == "loss" else last.accuracy


def _row(lr: float, trials: Sequence[Trial]) -> Row:
    done = [c for trial in trials for c in trial.completed if c.lr == lr]
    return Row(
        lr,
        fmean(c.smallest_change() for c in done),
        fmean(c.first.loss for c in done),
        fmean(c.last.loss for c in done),
        _mean_accuracy([c.first for c in done]),
        _mean_accuracy([c.last for c in done]),
        fmean(c.first.information["output"] for c in done),
        fmean(c.last.information["output"] for c in done),
        len(done),
        sum(c.lr == lr for trial in trials for c in trial.crashed),
    )


def _mean_accuracy(found: Sequence[Evaluation]) -> float | None:
    values = [evaluation.accuracy for evaluation in found if evaluation.accuracy is not None]
    return fmean(values) if values else None
