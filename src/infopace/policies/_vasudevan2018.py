"""The two rules of Vasudevan 2018, under which the learning rate may rise again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from infopace._checks import check_choice
from infopace.policies._policy import Decision, Observed, Policy
from infopace.policies._signals import deficit, relative_change

VARIANTS = ("A", "B")


@dataclass(frozen=True)
class Vasudevan2018(Policy):
    """S. Vasudevan, "Dynamic learning rate using Mutual Information", arXiv:1805.07249 (2018), reconstructed.

        epoch 1:        LR = LR_top
        epoch e > 1:    LR = LR_min + (LR_max - LR_min) * share

        A:  share = min(|ds|, 1)               the relative change alone
        B:  share = max(min(|ds|, 1), dp)      also what is still to be learned

        ds = (I[e-1] - I[e-2]) / I[e-1]                    what the last epoch changed
        dp = clip(1 - max(I[0..e-1]) / I_ref, 0, 1)        what is still to be learned

    I[e] is the information after e epochs in nats, I[0] the untrained model's, I_ref the reference I(X;Y). The rate
    falls as information settles and may rise again. Under A it rises when information jumps, up or down, as after a
    change of data. Under B it rises only when information is lost, because no gain is more than the deficit that it
    closes. Neither variant needs the number of epochs or epsilon.

    The paper describes the two signals and recommends no rule for them. The formulas are a reconstruction [reading]. So
    are the first rate, the maximum in dp, which the same author's later paper prints, and that a ds with I[e-1] <= 0
    counts as 1.

    Attributes:
        variant: "A" or "B".

    Raises:
        ValueError: another variant.
    """

    reads_reference: ClassVar[bool] = True

    variant: str = "A"

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, VARIANTS)

    def decide(self, observed: Observed) -> Decision:
        """The learning rate of the epoch about to run."""
        history, bounds = observed.history, observed.bounds
        if observed.epoch == 1:
            return Decision(bounds.lr_top, "hold", f"start at lr_top = {bounds.lr_top:g}")
        change = relative_change(history[-1], history[-2])
        share = min(abs(change), 1.0)
        why = f"the last epoch changed information by ds = {change:+.2g}"
        if self.variant == "B":
            missing = deficit(max(history), observed.reference)
            share = max(share, missing)
            why += f", {missing:.3g} of the reference still to learn"
        # The sum can round to just above lr_max.
        lr = min(bounds.lr_min + share * (bounds.lr_max - bounds.lr_min), bounds.lr_max)
        if lr <= bounds.lr_min:
            return Decision(bounds.lr_min, "decay", f"{why}: at the floor lr_min = {bounds.lr_min:g}")
        return Decision(lr, "decay", f"{why}: {share:.3g} of the way from lr_min to lr_max")
