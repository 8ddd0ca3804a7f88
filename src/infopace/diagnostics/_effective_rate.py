"""The effective rate eta / (1 - mu): how far a gradient moves the weights in the end, its momentum included."""

from __future__ import annotations

from typing import Any

from torch import optim
from torch.optim import Optimizer

from infopace._checks import number, shown
from infopace.model.snapshot import with_state

# Of these a step has no memory of gradients, or averages them with weights that sum to 1.
_OWN_RATE = tuple(
    kind
    for name in (
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "ASGD",
        "Muon",
        "NAdam",
        "RAdam",
        "SparseAdam",
    )
    if (kind := getattr(optim, name, None)) is not None
)


def effective_rate(lr: float, momentum: float = 0.0, dampening: float = 0.0) -> float:
    """eta (1 - tau) / (1 - mu) of SGD with momentum: what a gradient adds to the weights over all steps to come.

        v <- mu v + (1 - tau) g,    w <- w - eta v        a gradient moves w by eta (1 - tau) (1 + mu + mu^2 + ..)
        w <- w - eta (g + mu v)     Nesterov's            by eta (1 + mu (1 + mu + mu^2 + ..)), the same

    Near a minimum with curvature lam and gradients of noise sd s, the weights settle with variance

        var w = eta s^2 (1 + mu) / (lam (1 - mu) (2 (1 + mu) - eta lam)),    near eta s^2 / (2 lam (1 - mu))

    So as long as eta lam is small, only the effective rate counts: halving it by eta or by 1 / (1 - mu) leaves the same
    noise. Plot it instead of eta wherever momentum differs or moves.

    Args:
        lr: eta.
        momentum: mu, in 0..1, below 1.
        dampening: tau, in 0..1.

    Raises:
        ValueError: a number out of its range.

    Source: Liu et al., Toward deeper understanding of nonconvex stochastic optimization with momentum using diffusion
        approximations, 2018, arXiv:1802.05155. They name the update MSGD, and advise to lower the rate, or momentum,
        near optima.

    >>> round(effective_rate(0.1, momentum=0.9), 3), effective_rate(0.1, momentum=0.5, dampening=0.5)
    (1.0, 0.1)
    """
    lr, momentum, dampening = (
        number("lr", lr, 0),
        number("momentum", momentum, 0),
        number("dampening", dampening, 0),
    )
    if momentum >= 1:
        raise ValueError(f"momentum must be below 1, got {shown(momentum)}")
    if dampening > 1:
        raise ValueError(f"dampening must be at most 1, got {shown(dampening)}")
    return lr * (1 - dampening) / (1 - momentum)


def effective_rates(optimizer: Optimizer) -> list[float]:
    """The effective rate of each parameter group of a torch optimizer, as it is now.

        SGD                        eta (1 - tau) / (1 - mu), with and without Nesterov's momentum
        RMSprop                    eta / (1 - mu): its buffer is a sum, of normalised gradients
        Adam and its kin, Muon     eta: beta_1 does not count
        no momentum                eta

    Adam's first moment is m = beta_1 m + (1 - beta_1) g. Over all steps a gradient adds (1 - beta_1)(1 + beta_1 +
    beta_1^2 + ..) = 1 to it, so beta_1 spreads the step over time and does not lengthen it. In the form v = beta_1 v +
    g the rate would be eta (1 - beta_1), and divided by 1 - beta_1 it is eta again. Division by the second moment then
    scales the step, as RMSprop's does: such rates are comparable among themselves, and not with SGD's. The same holds
    for Muon, which averages in the same way before it orthogonalises. The first steps, which Adam corrects for bias,
    are not covered.

    Args:
        optimizer: One of torch, or a class derived from one.

    Raises:
        TypeError: no torch optimizer.
        ValueError: one with momentum that torch does not have: whether it sums or averages is not known.

    >>> from torch import nn
    >>> weights = nn.Linear(2, 2).parameters()
    >>> [round(one, 3) for one in effective_rates(optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True))]
    [1.0]
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch Optimizer, got {type(optimizer).__name__}")
    kinds: dict[int, Optimizer] = {id(g): one for one in with_state(optimizer) for g in one.param_groups}
    return [_of_group(group, kinds.get(id(group), optimizer)) for group in optimizer.param_groups]


def _of_group(group: dict[str, Any], optimizer: Optimizer) -> float:
    lr, momentum = float(group["lr"]), float(group.get("momentum", 0.0))
    if isinstance(optimizer, optim.SGD | optim.RMSprop):
        return effective_rate(lr, momentum, float(group.get("dampening", 0.0)) if momentum else 0.0)
    if isinstance(optimizer, _OWN_RATE) or (momentum == 0 and "betas" not in group):
        return lr
    raise ValueError(
        f"the optimizer must be one of torch to know how it sums gradients, got {type(optimizer).__name__}; "
        "effective_rate(lr, momentum) is that of a plain sum"
    )
