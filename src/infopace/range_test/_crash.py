"""When a candidate has crashed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from infopace.range_test._records import Candidate, Look

# "By half of their best" is the reading's; a fall of that size is no noise.
_FALL = 0.5


def crash_of(looks: Sequence[Look], smaller: Sequence[Candidate]) -> str:
    """Why these looks are a crash, "" where they are not. `smaller`: completed candidates at lower rates.

    *Reading* of a paper that names crashes without defining them: accuracy and information both fell to half of
    their best while the loss rose; or the model is at the level of chance where a smaller rate trained. Chance is
    the information of a model that tells nothing: within two standard errors of 0. (A loss that is not finite ends
    a candidate before it comes here.)
    """
    last, best_loss = looks[-1], min(look.loss for look in looks)
    fell = [_fell([look.information["output"] for look in looks])]
    if last.accuracy is not None:
        fell.append(_fell([look.accuracy for look in looks if look.accuracy is not None]))
    if all(fell) and last.loss > best_loss:
        return "accuracy and information fell to half of their best while the loss rose"
    if _knows_nothing(last) and any(_trained(candidate) for candidate in smaller):
        return "it is at the level of chance where a smaller rate trained"
    return ""


def _fell(values: Sequence[float]) -> bool:
    return max(values) > 0 and values[-1] < _FALL * max(values)


def _knows_nothing(look: Look) -> bool:
    noise = 0.0 if math.isnan(look.std_error) else look.std_error
    return look.information["output"] < 2 * noise or look.information["output"] <= 0


def _trained(candidate: Candidate) -> bool:
    return candidate.last.loss < candidate.first.loss and not _knows_nothing(candidate.last)
