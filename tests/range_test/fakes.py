"""A trainee without a network: how its loss falls, and where it fails, are known."""

from __future__ import annotations

import math
from types import SimpleNamespace

from infopace.range_test._records import Candidate, Evaluation
from infopace.range_test._trainee import Crashed, Trainee

UNTRAINED_LOSS = 2.3


class FakeTrainee(Trainee):
    """The loss falls exponentially in the time lr * steps; rates from `edge` on blow up after a few steps.

    Near the edge there is noise, (lr / edge)^4 of a tenth, so that the best rate lies below it.
    """

    def __init__(
        self, *, edge: float = 0.3, speed: float = 1.0, steps_per_epoch: int = 50, diverges: bool = False
    ) -> None:
        self.edge, self.speed, self.diverges = edge, speed, diverges
        self.steps_per_epoch = steps_per_epoch
        self.momentum, self.nesterov = 0.0, False
        self.factors, self.optimizer = [1.0], SimpleNamespace(param_groups=[{"lr": 0.0}])
        self.first_batch_loss = UNTRAINED_LOSS
        self._attribute = "loss"
        self.started: list[float] = []
        self.steps_taken = 0
        self.trials: list[int] = []

    def begin(self, trial: int) -> None:
        self.trials.append(trial)

    def start(self, lrs: list[float]) -> None:
        self.lr, self.step = lrs[0], 0
        self.started.append(self.lr)

    def train(self, steps: int) -> None:
        self.step += steps
        self.steps_taken += steps
        if self.diverges and self.lr >= self.edge and self.step > 8:
            raise Crashed(f"the loss is not finite within {self.step} steps")

    def evaluate(self, *, information: bool = True) -> Evaluation:
        loss = (UNTRAINED_LOSS - 0.01) * math.exp(-self.speed * self.lr * self.step) + 0.01
        if self.step and self.lr >= self.edge:
            loss = UNTRAINED_LOSS + self.step
        elif self.step:
            loss += 0.1 * (self.lr / self.edge) ** 4
        accuracy = max(0.1, 1 - loss / UNTRAINED_LOSS)
        parts = tuple(loss * (1 + 0.02 * (part - 4.5) / 4.5) for part in range(10))
        nats = UNTRAINED_LOSS * (accuracy - 0.1) / 0.9
        return Evaluation(
            self.step,
            loss,
            parts,
            accuracy,
            {"output": nats} if information else {},
            0.02 if information else math.nan,
            1000,
            math.nan if self.step == 0 else loss,
        )


def evaluation(
    step: int = 0,
    loss: float = UNTRAINED_LOSS,
    accuracy: float | None = 0.1,
    nats: float = 0.0,
    **layers: float,
) -> Evaluation:
    """An evaluation with these values."""
    return Evaluation(step, loss, (loss,) * 10, accuracy, {"output": nats, **layers}, 0.02, 1000)


def candidate(lr: float, *found: Evaluation, crash: str = "") -> Candidate:
    """A candidate with these evaluations."""
    return Candidate(lr, found, crash, 0.5, found[-1].step)
