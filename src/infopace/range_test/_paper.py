"""Algorithm 2 of Vasudevan 2020, as printed: every candidate trains whole epochs, one trial after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from infopace.range_test._crash import crash_of
from infopace.range_test._records import Candidate, Look, Trial
from infopace.range_test._trainee import Crashed, Trainee

Keep = Callable[[Candidate], None]


def grid(low: float = 1e-5, high: float = 1.0) -> tuple[float, ...]:
    """The paper's candidates, roughly 1-2-5 x 10^-k, from `low` to `high`.

    >>> grid(0.01, 0.2)
    (0.01, 0.02, 0.05, 0.1, 0.2)
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5))
    return tuple(lr for lr in steps if low * (1 - 1e-9) <= lr <= high * (1 + 1e-9))


def paper_trial(
    trainee: Trainee,
    number: int,
    lrs: Sequence[float],
    epochs: int,
    *,
    smaller: Sequence[Candidate] = (),
    known: Mapping[float, Candidate],
    keep: Keep,
) -> Trial:
    """One trial: candidates in ascending order from the trial's weights, up to the first that crashes.

    `smaller` are candidates of trials before at rates below these: what trained there shows that chance is a crash.
    `known` holds the candidates that an interrupted test has finished; `keep` is told of each new one.
    """
    trainee.begin(number)
    done: list[Candidate] = []
    untrained: Look | None = next((candidate.first for candidate in known.values()), None)
    for lr in sorted(lrs):
        candidate = known.get(lr)
        if candidate is None:
            candidate = _candidate(trainee, lr, epochs, untrained, [*smaller, *done])
            keep(candidate)
        untrained = candidate.first
        done.append(candidate)
        if candidate.crash:
            break
    return Trial(number, tuple(done))


def _candidate(
    trainee: Trainee, lr: float, epochs: int, untrained: Look | None, smaller: Sequence[Candidate]
) -> Candidate:
    began = time.perf_counter()
    trainee.start([lr] * len(trainee.optimizer.param_groups))
    looks = [trainee.untrained() if untrained is None else untrained]
    crash = ""
    try:
        for _ in range(epochs):
            trainee.train(trainee.steps_per_epoch)
            looks.append(trainee.look())
            crash = crash_of(looks, smaller)
            if crash:
                break
    except Crashed as error:
        crash = str(error)
    return Candidate(lr, tuple(looks), crash, time.perf_counter() - began, trainee.step)
