"""A range test as a picture: every trial's curves over the learning rate, and the bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infopace.policies import Bounds
from infopace.range_test._records import Candidate, Trial

# Blue, vermilion, green, purple, orange: told apart by colour-blind readers (Okabe and Ito 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")


def draw(trials: Sequence[Trial], bounds: Bounds, kind: str, path: Path) -> Path:
    """Write the picture; the format follows from the file's name."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'infopace[lab]'") from error
    shown = ["accuracy"] if trials[0].candidates[0].first.accuracy is not None else []
    shown += ["loss", "information"]
    figure = Figure(figsize=(7.5, 2.3 * len(shown) + 0.8), layout="constrained")
    axes = figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0]
    for what, ax in zip(shown, axes, strict=True):
        for trial in trials:
            colour = _COLOURS[trial.number % len(_COLOURS)]
            points = [(c.lr, v) for c in trial.completed if (v := _value(c, what)) is not None]
            label = f"trial {trial.number}"
            ax.plot(
                *zip(*points, strict=True), "o-", ms=3.5, lw=1.2, color=colour, label=label
            ) if points else None
            _mark_crashes(ax, [c.lr for c in trial.crashed], colour)
        ax.set_xscale("log")
        ax.set_ylabel({"loss": "loss", "accuracy": "accuracy", "information": "information, nats"}[what])
        if what == "loss":
            ax.set_yscale("log")
        ax.grid(alpha=0.25, which="both", lw=0.5)
        _mark_bounds(ax, bounds)
    axes[0].legend(fontsize=8, ncols=3, loc="lower left")
    axes[-1].set_xlabel("learning rate")
    b = bounds
    rates = f"lr_min {b.lr_min:.3g}   lr_top {b.lr_top:.3g}   lr_max {b.lr_max:.3g}"
    figure.suptitle(f"{rates}   ({kind})", fontsize=11)
    figure.savefig(path, dpi=140)
    return path


def _value(candidate: Candidate, what: str) -> float | None:
    if what == "information":
        return candidate.last.information.get("output")
    return getattr(candidate.last, what)


def _mark_crashes(ax: Any, rates: list[float], colour: str) -> None:
    # At the lower edge whatever the scale: a crash has no value.
    ax.plot(
        rates, [0.03] * len(rates), "x", ms=5, color=colour, transform=ax.get_xaxis_transform(), clip_on=False
    )


def _mark_bounds(ax: Any, bounds: Bounds) -> None:
    ax.axvspan(bounds.lr_min, bounds.lr_max, color="0.5", alpha=0.10, lw=0)
    ax.axvline(bounds.lr_top, color="0.25", lw=1, ls="--")
