"""What a policy is: a history of information -> the next learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from infopace.policies._bounds import Bounds
from infopace.policies._held_out import HeldOut


@dataclass(frozen=True)
class Decision:
    """A learning rate and why.

    Attributes:
        lr: Learning rate of the coming epoch.
        reason: One sentence with the numbers that led to it.
        cause: The reason in a word. Of every rule: "start", "held" (the rate is the last epoch's) and "floor" (lr_min
            holds it up). Of `Vasudevan2020`: "pace", the first by the information still missing, and "saturated",
            paced again. Of `Vasudevan2018`: "change", by the relative change, and "deficit", by what is missing. Of
            `Wang2024`: "attenuated", after a cycle that brought little, and "triangle", an epoch's place in its cycle.
            Of `HoldAndAnneal`: "raised", from LR_top to the rate that is held, "lowered", back to it because
            information fell, "anneal", "restart", a hold after something else has changed, and "finished". Of the
            scheduler: "absent", of an epoch before the layer had parameters to train.
    """

    lr: float
    reason: str
    cause: str


@runtime_checkable
class Policy(Protocol):
    """A rule that paces the learning rate by information.

    Pure: equal arguments give the equal decision, and nothing is remembered between calls. A rule that can use examples
    which are not trained on takes one more, `held_out: HeldOut | None = None`. It reads `nats`, `rise` and `knows` of
    it. It gives one of the causes "anneal", "floor" and "finished" once no later decision needs a new rise among the
    values up to then.
    """

    def decide(self, history: Sequence[float], *, epoch: int, reference: float, bounds: Bounds) -> Decision:
        """The learning rate of an epoch.

        Args:
            history: Information in nats after 0, 1, .. epoch - 1 epochs; history[0] is the untrained model's.
            epoch: The epoch about to run, from 1.
            reference: I(X;Y) in nats.
            bounds: The range to stay in.
        """
        ...


def simulate(
    policy: Policy,
    trace: Sequence[float],
    *,
    reference: float,
    bounds: Bounds,
    held_out: HeldOut | None = None,
) -> list[Decision]:
    """The decisions a policy takes along a trace of information, without any training.

    trace[0] is the information of the untrained model and trace[e] that after epoch e, in nats; the result holds the
    decisions for epochs 1 .. len(trace). `held_out` is for a policy that reads it, and may be shorter.

    >>> from infopace import Bounds, Vasudevan2020, simulate
    >>> decisions = simulate(Vasudevan2020(epochs=10), [0.0, 1.5, 2.0], reference=2.3, bounds=Bounds(1e-3, 0.1))
    >>> [round(decision.lr, 4) for decision in decisions]
    [0.1, 0.0348, 0.0348]
    """
    decisions = []
    for epoch in range(1, len(trace) + 1):
        more: dict[str, Any] = {} if held_out is None else {"held_out": held_out.until(epoch)}
        decisions.append(
            policy.decide(trace[:epoch], epoch=epoch, reference=reference, bounds=bounds, **more)
        )
    return decisions


def check_history(history: Sequence[float], epoch: int, reference: float) -> None:
    """A history fits an epoch if it holds one finite value for the untrained model and each epoch before."""
    if epoch < 1 or len(history) != epoch:
        raise ValueError(
            f"epoch e needs the e values before it, got epoch = {epoch} with {len(history)} values"
        )
    _check_finite(history)
    if not (math.isfinite(reference) and reference > 0):
        raise ValueError(f"reference must be a positive number of nats, got {reference}")


def _check_finite(nats: Sequence[float]) -> None:
    wrong = next((i for i, value in enumerate(nats) if not math.isfinite(value)), None)
    if wrong is not None:
        raise ValueError(f"information must be finite, got {nats[wrong]} at index {wrong}")
