"""A training whose rate follows any policy, driven by any signal, while its data or batches may change midway."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from infopace import Bounds, Decision, Policy, Probe
from infopace.lab.batches import caster
from infopace.lab.config import Plan, TrainConfig, resolve
from infopace.lab.steps import Steps
from infopace.lab.training import NotFinite, Training, set_determinism
from infopace.lab.workload import Data
from infopace.probe import reference_of

# What drives the policy: its unit, and whether it is measured on rows that are kept out of training.
SIGNALS = {
    "information": ("nats", False),
    "decoder": ("nats", False),
    "training-loss": ("nats", False),
    "training-accuracy": ("share", False),
    "validation-information": ("nats", True),
    "validation-accuracy": ("share", True),
}
HELD_OUT = 0.1  # of the training set


@dataclasses.dataclass(frozen=True)
class Change:
    """After so many epochs the training becomes another one: its data, its batch size or its augmentation."""

    after: int
    apply: Callable[[Training, Data], None]


class Driven(Steps):
    """An optimizer whose rate a policy decides after every epoch, from the values of a signal."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        policy: Policy,
        bounds: Bounds,
        reference: float,
        signal: Callable[[float], float],
    ) -> None:
        super().__init__(optimizer)
        self._policy, self._bounds, self._reference, self._signal = policy, bounds, reference, signal
        self.values: list[float] = []
        self.taken: list[Decision] = []
        self.end_epoch(float("nan"))

    def end_epoch(self, loss: float) -> None:
        """Read the signal and decide the rate of the next epoch."""
        self.values.append(self._signal(loss))
        decision = self._policy.decide(
            self.values, epoch=len(self.values), reference=self._reference, bounds=self._bounds
        )
        self.taken.append(decision)
        for group in self.optimizer.param_groups:
            group["lr"] = decision.lr

    @property
    def finished(self) -> bool:
        """Whether the policy says that the training is over."""
        return self.taken[-1].cause == "finished"


def train(
    workload: str,
    seed: int,
    policy: Policy,
    bounds: Bounds,
    *,
    signal: str = "information",
    changes: Sequence[Change] = (),
    epochs: int | None = None,
) -> dict[str, Any]:
    """Train until the epochs are over or the policy has finished; what happened in every epoch."""
    started = time.process_time()
    plan = resolve(
        TrainConfig(
            workload,
            held_out=0.0,
            seed=seed,
            threads=1,
            epochs=epochs,
            lr_min=bounds.lr_min,
            lr_max=bounds.lr_max,
            lr_top=bounds.lr_top,
            epsilon=bounds.epsilon,
        )
    )
    set_determinism(1, plan.device)
    data = plan.workload.load()
    data, held_out = split(data, seed) if SIGNALS[signal][1] else (data, None)
    training = Training(plan, data)
    training.steps = steps = _driven(training, plan, policy, held_out, signal)
    test: list[float] = []
    with contextlib.suppress(NotFinite):
        for epoch in range(1, plan.epochs + 1):
            for change in changes:
                if epoch == change.after + 1:
                    change.apply(training, data)
            loss = training.train_epoch(epoch, lambda done, total: None)
            test.append(training.evaluate())
            steps.end_epoch(loss)
            if steps.finished:
                break
    metric = plan.workload.metric.name
    return {
        "metric": metric,
        "bounds": dataclasses.asdict(bounds),
        "planned": plan.epochs,
        "epochs": len(test),
        "test": test,
        "values": steps.values,
        "lr": [decision.lr for decision in steps.taken[: len(test)]],
        "causes": [decision.cause for decision in steps.taken[: len(test)]],
        "processor_seconds": time.process_time() - started,
    }


def split(data: Data, seed: int) -> tuple[Data, tuple[Tensor, Tensor]]:
    """A tenth of the training set kept out of training, drawn with the seed; what is left, and that tenth."""
    assert isinstance(data.train_inputs, Tensor), "data in memory"
    n = len(data.train_targets)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    out, rest = order[: int(HELD_OUT * n)], order[int(HELD_OUT * n) :]
    kept = dataclasses.replace(
        data, train_inputs=data.train_inputs[rest], train_targets=data.train_targets[rest]
    )
    return kept, (data.train_inputs[out], data.train_targets[out])


def _driven(
    training: Training, plan: Plan, policy: Policy, held_out: tuple[Tensor, Tensor] | None, signal: str
) -> Driven:
    rows = training.data.train_set()
    if held_out is None:
        probe = Probe.sample(rows, n=plan.workload.probe_size, seed=plan.config.seed)
    else:
        probe = Probe(*held_out)
    whole = held_out is not None or probe.classes is None
    reference = reference_of(rows) if whole else probe.reference()

    def read(loss: float) -> float:
        if signal == "training-loss" and loss == loss:
            return reference - loss
        outputs = _outputs(training, plan, probe)
        if signal.endswith("accuracy"):
            return float((outputs.argmax(1) == probe.targets).double().mean())
        found = probe.of_output(outputs, std_error=False)
        if signal.endswith("information"):
            return found.estimate.nats
        assert found.decoder is not None, (
            "a classifier"
        )  # the untrained model's too, which has no training loss
        return found.decoder.nats

    return Driven(training.steps.optimizer, policy, plan.bounds, reference, read)


@torch.no_grad()
def _outputs(training: Training, plan: Plan, probe: Probe) -> Tensor:
    training.model.eval()
    cast = caster(plan.workload)
    return torch.cat([training.model(cast(batch)) for batch in probe.inputs.split(256)])
