"""The two signals that the published rules take from a history of information."""

from __future__ import annotations


def relative_change(now: float, before: float) -> float:
    """ds = (now - before) / now: the change since, as a share of what is there now.

    Without information now (now <= 0) there is no share. It counts as 1, still moving [reading].
    """
    return (now - before) / now if now > 0 else 1.0


def known(nats: float, reference: float | None) -> float:
    """clip(nats / reference, 0, 1): the share of the reference that is learned.

    Raises:
        TypeError: no reference.
    """
    return min(max(nats / _given(reference), 0.0), 1.0)


def deficit(best: float, reference: float | None) -> float:
    """dp = clip(1 - best / reference, 0, 1): the share of the reference that is still to be learned.

    Raises:
        TypeError: no reference.
    """
    return min(max(1 - best / _given(reference), 0.0), 1.0)


def _given(reference: float | None) -> float:
    if reference is None:
        raise TypeError("reference must be a number of nats for a policy that reads it, got None")
    return reference
