"""The rule of Vasudevan 2020, with every open point a named switch."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import accumulate
from typing import ClassVar

from infopace._checks import check_choice
from infopace.policies._policy import Decision, Observed, Policy, planned_number
from infopace.policies._signals import deficit, known, relative_change

DECAYS = ("linear", "printed", "none")
SATURATIONS = ("absolute", "signed")
FIRST_LRS = ("top", "information")


@dataclass(frozen=True)
class Vasudevan2020(Policy):
    """Algorithm 1 of S. Vasudevan, "Mutual Information Based Learning Rate Decay", Entropy 2020, 22(5):560.

        epoch 1:        LR = LR_top
        epoch 2:        LR = max(dp * LR_max, LR_min)
        epoch e > 2:    LR = max(dp * decay(e) * LR_max, LR_min) if information is saturated, else unchanged

        dp = clip(1 - max(I[0..e-1]) / I_ref, 0, 1)        what is still to be learned
        ds = (I[e-1] - I[e-2]) / I[e-1]                    what the last epoch brought

    The paper leaves some points open and contradicts itself in others. Each is a switch; the default is our reading.

    Attributes:
        epochs: E, the planned number of epochs; only decay "none" does without. Epochs that were rolled back, or were
            over when the history began, are taken off.
        steps: The planned number of optimizer steps, instead of epochs, where the scheduler counts steps. e and E
            are then units of time (`Observed.unit`).
        decay: Time decay: "linear", 1 - e/E, as the paper's text describes | "printed", 1 - epsilon/E as its
            algorithm prints, a constant near 1 | "none", which the paper allows.
        saturation: "absolute", |ds| < epsilon | "signed", ds < epsilon, as printed: a loss of information counts as
            saturation, too.
        first_lr: Learning rate of epoch 1: "top", LR_top | "information", max(I[0] / I_ref * LR_max, LR_min).

    A ds with I[e-1] <= 0 counts as 1 [reading].

    Raises:
        ValueError: an unknown word, fewer than one epoch, or none where the decay needs it.
    """

    reads_reference: ClassVar[bool] = True

    epochs: int | None = None
    decay: str = "linear"
    saturation: str = "absolute"
    first_lr: str = "top"
    _: KW_ONLY
    steps: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (("decay", DECAYS), ("saturation", SATURATIONS), ("first_lr", FIRST_LRS)):
            check_choice(name, getattr(self, name), choices)
        if self.epochs is None and self.steps is None and self.decay != "none":
            raise ValueError(f"decay {self.decay!r} needs the number of epochs or steps, got epochs = None")
        object.__setattr__(self, "epochs", planned_number("epochs", self.epochs))
        object.__setattr__(self, "steps", planned_number("steps", self.steps, other=self.epochs))

    def decide(self, observed: Observed) -> Decision:
        """The learning rate of the epoch about to run."""
        history, epoch, epsilon = observed.history, observed.epoch, observed.bounds.epsilon
        planned = observed.left_of(self.epochs, self.steps)
        if epoch == 1:
            return self._first(observed)
        best = list(accumulate(history, max))
        # An epoch without a decision of its own holds the one of the last epoch that had one.
        for e in range(epoch, 2, -1):
            change = relative_change(history[e - 1], history[e - 2])
            if self._saturated(change, epsilon):
                why = f"information is saturated ({self._condition(change, epsilon)})"
                moved = _pace(best[e - 1], self._decay(e, planned, epsilon), why, observed)
                break
        else:
            e, moved = 2, _pace(best[1], 1.0, "first pace", observed)
        if e == epoch:
            return moved
        change = relative_change(history[epoch - 1], history[epoch - 2])
        reason = f"held: information is still moving (ds = {change:+.2g}, epsilon = {epsilon:g})"
        return Decision(moved.lr, "hold", reason)

    def _first(self, observed: Observed) -> Decision:
        bounds = observed.bounds
        if self.first_lr == "top":
            return Decision(bounds.lr_top, "hold", f"start at lr_top = {bounds.lr_top:g}")
        share = known(observed.history[0], observed.reference)
        lr = max(share * bounds.lr_max, bounds.lr_min)
        why = f"start at {share:.3g} of lr_max, the untrained model's share of the reference"
        return Decision(lr, "hold", why)

    def _saturated(self, change: float, epsilon: float) -> bool:
        return (abs(change) if self.saturation == "absolute" else change) < epsilon

    def _condition(self, change: float, epsilon: float) -> str:
        shown = f"|ds| = {abs(change):.2g}" if self.saturation == "absolute" else f"ds = {change:+.2g}"
        return f"{shown} < {epsilon:g}"

    def _decay(self, epoch: int, planned: float | int | None, epsilon: float) -> float:
        if self.decay == "none" or planned is None:
            return 1.0
        over = epoch if self.decay == "linear" else epsilon
        return max(1 - over / planned, 0.0)


def _pace(best: float, decay: float, why: str, observed: Observed) -> Decision:
    missing, bounds = deficit(best, observed.reference), observed.bounds
    lr = missing * decay * bounds.lr_max
    share = f"{missing:.3g} of the reference still to learn"
    if decay != 1:
        share += f", time decay {decay:.3g}"
    if lr <= bounds.lr_min:
        return Decision(bounds.lr_min, "decay", f"{why}; {share}: at the floor lr_min = {bounds.lr_min:g}")
    return Decision(lr, "decay", f"{why}; {share}")
