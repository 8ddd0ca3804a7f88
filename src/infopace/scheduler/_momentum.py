"""A lower rate by less momentum: what a parameter group gets where a decision asks for that."""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, Optimizer

from infopace.model.snapshot import with_state
from infopace.policies import Policy
from infopace.policies._policy import check_policy

# In the parameter groups, as torch's schedulers keep initial_lr there: an optimizer's state has it.
OWN = "initial_momentum"


def check_momentum(optimizer: Optimizer, policy: Policy) -> None:
    """Raise TypeError, in one line, for an optimizer whose momentum a policy cannot lower, ValueError without any.

    Otherwise the momentum of each group is noted as its own.
    """
    check_policy(policy)
    if not policy.lowers_momentum:
        return
    others = [one for one in with_state(optimizer) if not isinstance(one, SGD)]
    if others:
        raise TypeError(
            f"a policy that lowers momentum needs torch's SGD, got {type(others[0]).__name__}; decays='rate' is for any"
        )
    own = [note_own(group) for group in optimizer.param_groups]
    if not any(own):
        raise ValueError("a policy that lowers momentum needs SGD with momentum, got momentum = 0")


def note_own(group: dict[str, Any]) -> float:
    """The momentum that a group of SGD was made with."""
    return group.setdefault(OWN, float(group["momentum"]))


def split(rate: float, held: float | None, own: float | None) -> tuple[float, float | None]:
    """The learning rate and momentum of a group whose decided rate is `rate` at its own momentum.

        (held, 1 - (1 - own) held / rate), and where that is below 0 (rate / (1 - own), 0)

    So lr / (1 - momentum) is rate / (1 - own) in any case. None: the group has no momentum that is lowered.

    >>> lr, momentum = split(0.05, held=0.1, own=0.9)
    >>> lr, round(momentum, 3), split(0.005, held=0.1, own=0.9)[1]
    (0.1, 0.8, 0.0)
    """
    if own is None or held is None or rate >= held:
        return rate, own
    if rate <= (1 - own) * held:
        return rate / (1 - own), 0.0
    return held, 1 - (1 - own) * held / rate


def rate_of(group: dict[str, Any]) -> float:
    """The learning rate of a group, now, as one of equal effect at its own momentum."""
    lr, own = float(group["lr"]), group.get(OWN)
    if own is None or group["momentum"] == own:
        return lr
    return lr * (1 - own) / (1 - float(group["momentum"]))
