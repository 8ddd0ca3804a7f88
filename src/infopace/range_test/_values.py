"""What the rules look at: an attribute of a look as a number that grows as the model learns, and its noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from infopace.range_test._records import Look

ATTRIBUTES = ("accuracy", "loss", "information")
# The two-sided 95 % quantile of the normal: what counts as visible.
VISIBLE = 1.96


def value_of(look: Look, before: Look, attribute: str, layer: str = "output") -> float:
    """Accuracy and information (nats) as they are; for the loss, which falls, what it has fallen since `before`.

    *Reading*: the paper compares values to a fraction of the best, which has no meaning for a loss itself.
    """
    if attribute == "loss":
        return before.loss - look.loss
    if attribute == "information":
        return look.information[layer]
    return math.nan if look.accuracy is None else look.accuracy


def error_of(look: Look, attribute: str) -> float:
    """Standard error of the attribute, from the probe's rows being a sample."""
    if attribute == "loss":
        return _error_of_mean(look.part_losses)
    if attribute == "information":
        return look.std_error
    share = math.nan if look.accuracy is None else look.accuracy
    # One row more of each kind: a share of 0 or 1 of a sample is not without error (Agresti and Coull 1998).
    share = (share * look.rows + 1) / (look.rows + 2)
    return math.sqrt(share * (1 - share) / look.rows)


def visibly_worse(look: Look, best: Look, before: Look, attribute: str) -> bool:
    """Whether a value is below the best by more than the noise of the two."""
    noise = math.hypot(error_of(look, attribute), error_of(best, attribute))
    return value_of(best, before, attribute) - value_of(look, before, attribute) > VISIBLE * noise


def merit_of(look: Look, before: Look, attribute: str) -> float:
    """What decides which of two rates learns better; 0 for a model that learned nothing.

    Where accuracy or loss is the attribute, the logarithm of how far the loss has fallen: from 0.1 to 0.05 is as
    much as from 1 to 0.5, and the loss tells two rates apart where a thousand rows show equal accuracy. A loss that
    is not positive is compared as it is.
    """
    if attribute == "information":
        return look.information["output"] - before.information["output"]
    if _positive(look, before):
        return math.log(before.loss / look.loss)
    return before.loss - look.loss


def merit_limit(look: Look, best: Look, before: Look, attribute: str) -> float:
    """The merit below which `look` is visibly behind the best.

    Two losses are of the same rows and most of what makes rows hard they share, so the error of their difference is
    taken part by part.
    """
    if attribute == "information":
        return merit_of(best, before, attribute) - VISIBLE * math.hypot(look.std_error, best.std_error)
    error = _error_of_mean([a - b for a, b in zip(look.part_losses, best.part_losses, strict=True)])
    limit = best.loss + VISIBLE * error
    if limit > 0 and _positive(best, before):
        return math.log(before.loss / limit)
    return before.loss - limit


def _error_of_mean(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    return statistics.stdev(values) / math.sqrt(len(values))


def _positive(*looks: Look) -> bool:
    return all(look.loss > 0 for look in looks)
