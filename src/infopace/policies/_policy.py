"""What a policy is: a history of information -> the next learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from infopace._checks import is_finite, positive, shown, whole
from infopace.policies._bounds import Bounds
from infopace.policies._held_out import HeldOut

Phase = Literal["hold", "decay", "finished"]


@dataclass(frozen=True)
class Decision:
    """A learning rate and why.

    Attributes:
        lr: Learning rate of the coming epoch.
        phase: "hold" while the rate is held, or raised; "decay" while it falls, or follows what is left to learn; "finished"
            once the run is over.
        reason: One sentence with the numbers that led to it.
    """

    lr: float
    phase: Phase
    reason: str


@runtime_checkable
class Policy(Protocol):
    """A rule that paces the learning rate by information.

    Pure: equal arguments give the equal decision, and nothing is remembered between calls. A rule that can use examples
    which are not trained on takes one more, `held_out: HeldOut | None = None`. It reads `nats`, `rise` and `knows` of
    it. It leaves the phase "hold" once no later decision needs a new rise among the values up to then.
    """

    def decide(self, history: Sequence[float], *, epoch: int, reference: float, bounds: Bounds) -> Decision:
        """The learning rate of an epoch.

        Args:
            history: Information in nats after 0, 1, .. epoch - 1 epochs; history[0] is the untrained model's.
            epoch: The epoch about to run, from 1.
            reference: I(X;Y) in nats.
            bounds: The range to stay in.

        Raises:
            TypeError, ValueError: a history, an epoch, a reference or bounds that are none.
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

    >>> from infopace import Bounds, Vasudevan2020
    >>> from infopace.policies import simulate
    >>> decisions = simulate(Vasudevan2020(epochs=10), [0.0, 1.5, 2.0], reference=2.3, bounds=Bounds(1e-3, 0.1))
    >>> [round(decision.lr, 4) for decision in decisions]
    [0.1, 0.0348, 0.0348]
    """
    if isinstance(policy, type) or not isinstance(policy, Policy):
        raise TypeError(f"policy must be an object with a method decide, got {shown(policy)}")
    _check_sequence("trace", trace)
    if held_out is not None:
        if not isinstance(held_out, HeldOut):
            raise TypeError(f"held_out must be HeldOut(...), got {type(held_out).__name__}")
        check_reads_held_out(policy)
    decisions = []
    for epoch in range(1, len(trace) + 1):
        more: dict[str, Any] = {} if held_out is None else {"held_out": held_out.until(epoch)}
        decisions.append(
            policy.decide(trace[:epoch], epoch=epoch, reference=reference, bounds=bounds, **more)
        )
    return decisions


def check_reads_held_out(policy: Policy) -> None:
    """Raise TypeError for a policy whose `decide` takes no held-out information."""
    takes = inspect.signature(policy.decide).parameters.values()
    if not any(one.name == "held_out" or one.kind is one.VAR_KEYWORD for one in takes):
        raise TypeError(f"held_out needs a policy that reads it, got {policy!r}")


def check_history(history: Sequence[float], epoch: int, reference: float, bounds: Bounds) -> None:
    """A history fits an epoch if it holds one finite value for the untrained model and each epoch before."""
    _check_sequence("history", history)
    whole("epoch", epoch)
    if epoch < 1 or len(history) != epoch:
        raise ValueError(
            f"epoch e needs the e values before it, got epoch = {epoch} with {len(history)} values"
        )
    _check_finite(history)
    positive("reference", reference, "number of nats")
    if not isinstance(bounds, Bounds):
        raise TypeError(f"bounds must be Bounds(lr_min, lr_max), got {type(bounds).__name__} {shown(bounds)}")


def _check_sequence(name: str, values: object) -> None:
    if (
        isinstance(values, str | bytes)
        or not hasattr(values, "__len__")
        or not hasattr(values, "__getitem__")
    ):
        raise TypeError(f"{name} must be a list of numbers of nats, got {shown(values)}")


def _check_finite(nats: Sequence[float]) -> None:
    wrong = next((i for i, value in enumerate(nats) if not is_finite(value)), None)
    if wrong is not None:
        raise ValueError(f"information must be finite, got {shown(nats[wrong])} at index {wrong}")
