"""The rule of Wang, Wang and Zhang 2024: cycles of epochs, attenuated by the information each has brought."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from infopace._checks import flag, whole
from infopace.policies._bounds import Bounds
from infopace.policies._policy import Decision, Observed, Phase, Policy
from infopace.policies._signals import deficit, relative_change

_STRONGEST = 0.5  # [reading] no cycle more than halves the learning rate


@dataclass(frozen=True)
class Wang2024(Policy):
    """S. Wang, F. Wang, Y. Zhang, "Learning Rate Decay Algorithm Based on Mutual Information in Deep Learning",
    ICDCOT 2024, reconstructed.

        cycle 1:        top = LR_top
        cycle c + 1:    top = max(top * f, LR_min)    f = 1 if r >= epsilon, else clip(dp(c) / dp(c-1), 1/2, 1)

        r = (I_c - I_{c-1}) / I_c                       what cycle c brought
        dp(c) = clip(1 - max(I so far) / I_ref, 0, 1)   what is still to be learned after it

    I_c is the information after cycle c in nats, I_0 the untrained model's, I_ref the reference I(X;Y). The learning
    rate is top throughout the cycle. With a triangle (cyclical learning rates: L. N. Smith, "Cyclical Learning Rates
    for Training Neural Networks", WACV 2017) it is, in epoch j = 1..n of a cycle of n, with its peak in epoch m:

        LR = LR_min + (top - LR_min) * min(j / m, (n + 1 - j) / (n + 1 - m))    m = floor((n + 1) / 2)

    The rate never rises from cycle to cycle. A cycle that brings a share epsilon or more leaves it as it is. So does a
    settled cycle without a new best, because the deficit is then the same.

    The abstract has a range test first, and an attenuation of each cycle by the change of information. The formulas,
    the length of a cycle and the triangle's place in it are a reconstruction [reading]. So is that a cycle with
    I_c <= 0 has r = 1, and that f = 1/2 where dp(c-1) = 0.

    Attributes:
        cycle: n, epochs in a cycle, or other units of time.
        triangle: Whether the rate rises to top and falls again within each cycle.

    Raises:
        ValueError: a cycle of less than one epoch.
    """

    reads_reference: ClassVar[bool] = True

    cycle: int = 5
    triangle: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "cycle", whole("cycle", self.cycle, 1, "epoch"))
        flag("triangle", self.triangle)

    def decide(self, observed: Observed) -> Decision:
        """The learning rate of the epoch about to run."""
        history, epoch, bounds = observed.history, observed.epoch, observed.bounds
        done, before = divmod(epoch - 1, self.cycle)
        ends = history[:: self.cycle]
        missing = [deficit(best, observed.reference) for best in accumulate(history, max)][:: self.cycle]
        top, factor = bounds.lr_top, 1.0
        unit = "epoch" if observed.unit is None else f"{observed.unit} steps"
        for c in range(1, done + 1):
            settled = relative_change(ends[c], ends[c - 1]) < bounds.epsilon
            factor = _attenuation(missing[c - 1], missing[c]) if settled else 1.0
            top = max(top * factor, bounds.lr_min)
        place = f"{unit} {before + 1} of {self.cycle} in cycle {done + 1}"
        if epoch == 1:
            phase, why = "hold", f"start with lr_top = {bounds.lr_top:g}"
        elif before > 0:
            phase, why = "hold", f"held: {place}"
        else:
            phase, why = _turn(done, relative_change(ends[-1], ends[-2]), factor, top, bounds)
        if not self.triangle or top <= bounds.lr_min:
            return Decision(top, phase, why)
        why = f"{place}, a triangle up to {top:.4g}" + (f"; {why}" if before == 0 else "")
        return Decision(self._on_triangle(before + 1, top, bounds), phase, why)

    def _on_triangle(self, j: int, top: float, bounds: Bounds) -> float:
        n, m = self.cycle, (self.cycle + 1) // 2
        share = min(j / m, (n + 1 - j) / (n + 1 - m))
        # Counted down from top, so that the peak is top to the last bit.
        return max(top - (1 - share) * (top - bounds.lr_min), bounds.lr_min)


def _attenuation(before: float, now: float) -> float:
    return min(max(now / before, _STRONGEST), 1.0) if before > 0 else _STRONGEST


def _turn(done: int, change: float, factor: float, top: float, bounds: Bounds) -> tuple[Phase, str]:
    """Phase and reason where cycle `done` has just ended."""
    if change >= bounds.epsilon:
        reason = f"held: cycle {done} brought information (r = {change:+.2g}, epsilon = {bounds.epsilon:g})"
        return "hold", reason
    why = f"cycle {done} brought little information (r = {change:+.2g} < {bounds.epsilon:g})"
    if factor == 1:
        return "hold", f"held: {why}, but no less is left to learn"
    if top <= bounds.lr_min:
        return "decay", f"{why}: at the floor lr_min = {bounds.lr_min:g}"
    return "decay", f"{why}: attenuated by {factor:.3g}"
