"""The warm-up of optimizers that divide by second moments, which the first steps do not know yet."""

from __future__ import annotations

import math

from torch.optim import Optimizer, RAdam

from infopace._checks import shown, whole
from infopace.model.snapshot import optimizers_in
from infopace.policies import Policy
from infopace.scheduler._checks import planned_steps
from infopace.scheduler._units import STEPS

# No more of a planned run than this is warm-up.
_SHARE = 0.05


def warmup_steps(wanted: int | str, optimizer: Optimizer, policy: Policy) -> int:
    """Steps of a linear warm-up. "auto": none but for Adam-like optimizers, where it is

        min(2 / (1 - beta2), planned / 20)          beta2: decay of the second moments

    Without a plan it is at most one unit of time, 40 steps. 2 / (1 - beta2) is the untuned warm-up of Ma and Yarats
    ("On the adequacy of untuned warmup for adaptive optimization", AAAI 2021). The limits are a reading: with
    beta2 = 0.999 it would be 2,000 steps, more than many a run has.

    Raises:
        ValueError: another word, or a negative number.
    """
    if not isinstance(wanted, str):
        return whole("warmup", wanted, 0, "steps")
    if wanted != "auto":
        raise ValueError(f"warmup must be a number of steps or 'auto', got {shown(wanted)}")
    planned = planned_steps(policy)
    most = STEPS if planned is None else max(math.floor(_SHARE * planned), 1)
    found = [_untuned(one) for one in optimizers_in(optimizer)]
    return min(max(found, default=0), most)


def _untuned(optimizer: Optimizer) -> int:
    # An optimizer of this kind names both hyperparameters: the decays of its moments, and what keeps the divisor above
    # 0. RAdam corrects for the first steps by itself.
    defaults = getattr(optimizer, "defaults", {})
    betas = defaults.get("betas")
    if (
        isinstance(optimizer, RAdam)
        or "eps" not in defaults
        or not isinstance(betas, tuple | list)
        or len(betas) < 2
    ):
        return 0
    beta2 = float(betas[1])
    return round(2 / (1 - beta2)) if 0 < beta2 < 1 else 0
