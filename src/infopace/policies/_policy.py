"""What a policy is: what was observed -> the next learning rate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args, runtime_checkable

from infopace._checks import check_choice, is_finite, number, positive, share, shown, whole
from infopace.policies._bounds import Bounds
from infopace.policies._held_out import HeldOut

Phase = Literal["hold", "decay", "finished"]


@dataclass(frozen=True)
class Decision:
    """A learning rate and why.

    Attributes:
        lr: Learning rate of the coming epoch.
        phase: "hold" while the rate is held, or raised; "decay" while it falls, or follows what is left to learn;
            "finished" once the run is over.
        reason: One sentence with the numbers that led to it.
        change: How far the rate moves until the next decision, negative where it falls; `lr` is its mean over that
            time. A scheduler that sets the rate before each step goes in a straight line from lr - change / 2 to
            lr + change / 2.
        back: The network returns to what it was after so many units of time; None: it goes on from where it is.
        watched: Whether held-out examples are to stay held out. In a hold they do so in any case.
        part: The share of that time that is planned. The rate moves within it, `lr` is its mean there, and the run is
            over after it. It is less than 1 where a plan in steps ends within a unit of time.
        held: The rate that stays while momentum falls instead; None: the rate itself moves. `lr` is then the rate of
            equal effect at the momentum mu that the optimizer was made with: the effective rate is lr / (1 - mu).

    Raises:
        ValueError: an lr or a held rate that is not finite or is negative, a change that is not finite, another phase,
            a negative number of units, a part outside (0, 1].
        TypeError: a reason that is no text.
    """

    lr: float
    phase: Phase
    reason: str
    change: float = 0.0
    back: int | None = None
    watched: bool = False
    part: float = 1.0
    held: float | None = None

    def __post_init__(self) -> None:
        # Plain numbers: a rule may compute with numpy, and a state holds none of its kinds.
        object.__setattr__(self, "lr", number("lr", self.lr, 0))
        object.__setattr__(self, "change", number("change", self.change))
        object.__setattr__(self, "part", share("part", self.part))
        check_choice("phase", self.phase, get_args(Phase))
        if self.back is not None:
            whole("back", self.back, 0)
        if self.held is not None:
            object.__setattr__(self, "held", number("held", self.held, 0))
        if not isinstance(self.reason, str):
            raise TypeError(f"reason must be a sentence, got {shown(self.reason)}")

    def at(self, over: float) -> float:
        """The rate where this share of the time until the next decision is over.

        >>> Decision(0.1, "decay", "", change=-0.02).at(0.0)
        0.11
        """
        return self.lr + self.change * (min(over / self.part, 1.0) - 0.5)


@dataclass(frozen=True)
class Observed:
    """What a policy decides on.

    Attributes:
        history: Information in nats after 0, 1, .. units of time; history[0] is the untrained model's. A unit is an
            epoch, or a fixed number of optimizer steps.
        reference: I(X;Y) in nats; None for a policy that does not read it.
        bounds: The range to stay in.
        held_out: Information about held-out examples; None: there are none.
        rolled_back: Units that were rolled back, of steps also a part of one. The history holds none of them.
        begun: Units that were over when the history began, such as those of a search, or before a layer was added.
        unit: Optimizer steps in a unit of time; None: a unit is an epoch.
        returns: Whether the network can return to an earlier one (`Decision.back`).
        errors: The standard errors of the history's values, in nats; None, or nothing, where they are not known.

    Raises:
        TypeError: a history that is no list, bounds or held-out information of another kind.
        ValueError: an empty history, information that is not finite, a reference that is not positive, a negative
            number of epochs.
    """

    history: Sequence[float]
    reference: float | None
    bounds: Bounds
    held_out: HeldOut | None = None
    rolled_back: float | int = 0
    begun: float | int = 0
    unit: int | None = None
    returns: bool = False
    errors: Sequence[float | None] = ()

    def __post_init__(self) -> None:
        _check_nats("history", self.history)
        if len(self.history) == 0:
            raise ValueError("history must begin with the untrained model's information, got []")
        if self.reference is not None:
            positive("reference", self.reference, "number of nats")
        if self.unit is not None:
            whole("unit", self.unit, 1, "step")
        if not isinstance(self.bounds, Bounds):
            kind = type(self.bounds).__name__
            raise TypeError(f"bounds must be Bounds(lr_min, lr_max), got {kind} {shown(self.bounds)}")
        if not (self.held_out is None or isinstance(self.held_out, HeldOut)):
            raise TypeError(f"held_out must be HeldOut(...), got {type(self.held_out).__name__}")
        if self.unit is None:
            whole("rolled_back", self.rolled_back, 0)
        else:
            number("rolled_back", self.rolled_back, 0)
        number("begun", self.begun, 0)

    @property
    def epoch(self) -> int:
        """The epoch, or other unit of time, about to run, from 1."""
        return len(self.history)

    def left_of(self, epochs: int | None, steps: int | None = None) -> float | int | None:
        """Of a planned run, the units that this history can still come to; None where none is planned.

        At least one epoch, or one step.

        Raises:
            ValueError: a plan in epochs where a unit is a number of steps, or the other way round.

        >>> Observed([0.1], 2.3, Bounds(1e-3, 0.1), rolled_back=2).left_of(10)
        8
        >>> Observed([0.1], 2.3, Bounds(1e-3, 0.1), unit=40).left_of(None, steps=1000)
        25.0
        """
        if self.unit is None:
            if steps is not None:
                raise ValueError(
                    f"a policy that plans steps needs a scheduler that counts them, got steps = {steps} and epochs; "
                    "give the scheduler every=.., or the policy epochs=.."
                )
            planned = epochs
        elif epochs is not None:
            raise ValueError(
                "a policy that plans epochs needs a scheduler that observes epochs, "
                f"got epochs = {epochs} and units of {self.unit} steps; give the policy steps=.."
            )
        else:
            planned = None if steps is None else steps / self.unit
        # Rounded, so that two quotients that differ by a whole number do so to the last bit.
        least = 1 if self.unit is None else 1 / self.unit
        return None if planned is None else max(round(planned - self.begun - self.rolled_back, 9), least)

    def time(self, units: float | int) -> str:
        """A point in time as people count it: "epoch 7", or "step 280". Nothing was rolled back since then.

        Args:
            units: Units of time since this history began, without those that were rolled back.

        >>> Observed([0.1], 2.3, Bounds(1e-3, 0.1), unit=40).time(7)
        'step 280'
        """
        units += self.begun + self.rolled_back
        return f"epoch {units:g}" if self.unit is None else f"step {round(units * self.unit)}"


@runtime_checkable
class Policy(Protocol):
    """A rule that sets the learning rate by information; derive yours from this class.

    A policy is pure. What was observed decides, and nothing is remembered between calls. A policy that plans its epochs
    asks `Observed.left_of`, so that rolled-back epochs count.

    >>> class Halving(Policy):
    ...     def decide(self, observed):
    ...         lr = max(observed.bounds.lr_top / 2 ** (observed.epoch - 1), observed.bounds.lr_min)
    ...         return Decision(lr, "decay", f"halved {observed.epoch - 1} times")
    >>> decisions = simulate(Halving(), [0.0, 1.5, 2.0], reference=2.3, bounds=Bounds(1e-3, 0.1))
    >>> [decision.lr for decision in decisions]
    [0.1, 0.05, 0.025]

    Attributes:
        reads_reference: Whether the rule reads `Observed.reference`. Otherwise it is not computed, and None.
        reads_held_out: Whether the rule reads `Observed.held_out`. It may read `nats`, `rise` and `knows` of it. Its
            phase stays "hold" as long as a later decision may need a new rise.
    """

    reads_reference: ClassVar[bool] = False
    reads_held_out: ClassVar[bool] = False

    @property
    def goes_back(self) -> bool:
        """Whether a decision may return to an earlier network (`Decision.back`). A copy of the best is kept then."""
        return False

    @property
    def lowers_momentum(self) -> bool:
        """Whether a decision may ask for less momentum instead of a lower rate (`Decision.held`). SGD only has it."""
        return False

    @abstractmethod
    def decide(self, observed: Observed) -> Decision:
        """The learning rate of the epoch about to run."""
        ...


def simulate(
    policy: Policy,
    trace: Sequence[float],
    *,
    bounds: Bounds,
    reference: float | None = None,
    held_out: HeldOut | None = None,
    unit: int | None = None,
    returns: bool = False,
) -> list[Decision]:
    """The decisions of a policy along a trace of information. Nothing is trained.

    Args:
        policy: The rule.
        trace: Information in nats; trace[0] is the untrained model's, trace[e] that after epoch e.
        bounds: The range to stay in.
        reference: I(X;Y) in nats; only a policy that does not read it does without.
        held_out: Information about held-out examples, for a policy that reads it; it may end before the trace.
        unit: Optimizer steps from one value to the next; None: epochs.
        returns: Whether the network can return to an earlier one.

    Returns:
        The decisions for epochs 1 .. len(trace).

    Raises:
        TypeError: no policy, a trace that is no list, held-out information for a policy that does not read it, no
            reference for one that does.
        ValueError: information that is not finite, a reference that is not positive.

    >>> from infopace import Bounds, Vasudevan2020
    >>> from infopace.policies import simulate
    >>> decisions = simulate(Vasudevan2020(epochs=10), [0.0, 1.5, 2.0], reference=2.3, bounds=Bounds(1e-3, 0.1))
    >>> [round(decision.lr, 4) for decision in decisions]
    [0.1, 0.0348, 0.0348]
    """
    check_policy(policy)
    _check_nats("trace", trace)
    if policy.reads_reference and reference is None:
        raise TypeError(
            f"reference must be a number of nats for a policy that reads it, got None for {policy!r}"
        )
    if held_out is not None:
        if not isinstance(held_out, HeldOut):
            raise TypeError(f"held_out must be HeldOut(...), got {type(held_out).__name__}")
        check_reads_held_out(policy)
    return [
        decide(
            policy,
            Observed(
                trace[:epoch],
                reference,
                bounds,
                held_out=None if held_out is None else held_out.until(epoch),
                unit=unit,
                returns=returns,
            ),
        )
        for epoch in range(1, len(trace) + 1)
    ]


def decide(policy: Policy, observed: Observed) -> Decision:
    """What a policy decides; TypeError where that is no decision."""
    decision = policy.decide(observed)
    if not isinstance(decision, Decision):
        raise TypeError(
            f"a policy must return Decision(lr, phase, reason), got {shown(decision)} from {policy!r}"
        )
    return decision


def check_policy(policy: object, hint: str = "") -> None:
    """Raise TypeError for what is no policy; `hint` ends the message."""
    if isinstance(policy, type):
        raise TypeError(f"policy must be an object, not its class: {policy.__name__}(...)")
    if not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy, with a method decide, got {shown(policy)}{hint}")


def planned_number(name: str, number: object, other: int | None = None) -> int | None:
    """A planned number of epochs or steps, or None; ValueError for less than one, or where `other` is planned too."""
    if number is not None and other is not None:
        raise ValueError(f"a policy must plan epochs or steps, got epochs = {other} and {name} = {number}")
    return None if number is None else whole(name, number, 1)


def check_reads_held_out(policy: Policy) -> None:
    """Raise TypeError for a policy that does not read held-out information."""
    if not policy.reads_held_out:
        raise TypeError(f"held_out needs a policy that reads it, got {policy!r}")


def _check_nats(name: str, values: object) -> None:
    if not isinstance(values, Collection) or isinstance(values, str | bytes | Set | Mapping):
        raise TypeError(f"{name} must be a list of numbers of nats, got {shown(values)}")
    for index, value in enumerate(values):
        if not is_finite(value):
            raise ValueError(f"information must be finite, got {shown(value)} at index {index}")
