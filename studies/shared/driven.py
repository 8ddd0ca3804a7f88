"""A run whose learning rate follows any policy, driven by any signal. Its data or batches may change midway."""

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
from infopace.lab.config import OURS, Plan, TrainConfig, resolve
from infopace.lab.environment import set_determinism
from infopace.lab.errors import NotFinite
from infopace.lab.steps import Steps
from infopace.lab.training import Training
from infopace.lab.workload import Data
from infopace.policies import Observed
from infopace.probe import reference_of

# What drives the policy: its unit, and whether it is measured on held-out examples.
SIGNALS = {
    "information": ("nats", False),
    "decoder": ("nats", False),
    "training-loss": ("nats", False),
    "training-accuracy": ("share", False),
    "validation-information": ("nats", True),
    "validation-accuracy": ("share", True),
}
HELD_OUT = 0.1  # share of the training set


@dataclasses.dataclass(frozen=True)
class Change:
    """After so many epochs the data, the batch size or the augmentation changes."""

    after: int
    apply: Callable[[Training, Data], None]


class Driven(Steps):
    """An optimizer whose learning rate a policy decides after every epoch, from the values of a signal."""

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
        """Read the signal and decide the learning rate of the next epoch."""
        self.values.append(self._signal(loss))
        decision = self._policy.decide(Observed(self.values, self._reference, self._bounds))
        self.taken.append(decision)
        for group in self.optimizer.param_groups:
            group["lr"] = decision.lr

    @property
    def finished(self) -> bool:
        """Whether the policy says that the run is over."""
        return self.taken[-1].phase == "finished"


def train(
    workload: str,
    seed: int,
    policy: Policy,
    bounds: Bounds,
    *,
    signal: str = "information",
    changes: Sequence[Change] = (),
    epochs: int | None = None,
    probe_size: int | None = None,
) -> dict[str, Any]:
    """Train until the epochs are over or the policy has finished. Returns what happened in every epoch.

    Without `probe_size` it is the workload's.
    """
    started = time.process_time()
    plan = resolve(
        TrainConfig(
            workload,
            method=OURS,
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
    if probe_size is not None:
        plan = dataclasses.replace(plan, workload=dataclasses.replace(plan.workload, probe_size=probe_size))
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
            test.append(training.evaluate()["test"])
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
        "phases": [decision.phase for decision in steps.taken[: len(test)]],
        "processor_seconds": time.process_time() - started,
    }


def split(data: Data, seed: int) -> tuple[Data, tuple[Tensor, Tensor]]:
    """The training set without a tenth, drawn with the seed; and that tenth, which is held out."""
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
    examples = training.data.train_set()
    if held_out is None:
        probe = Probe.sample(examples, n=plan.workload.probe_size, seed=plan.config.seed)
    else:
        probe = Probe(*held_out)
    whole = held_out is not None or probe.classes is None
    reference = reference_of(examples) if whole else probe.reference()

    def read(loss: float) -> float:
        if signal == "training-loss" and loss == loss:
            return reference - loss
        outputs = _outputs(training, plan, probe)
        if signal.endswith("accuracy"):
            return float((outputs.argmax(1) == probe.targets).double().mean())
        found = probe.of_output(outputs, std_error=False)
        if signal.endswith("information"):
            return found.estimate.nats
        # Also for the untrained model, which has no training loss.
        assert found.decoder is not None, "a classifier"
        return found.decoder.nats

    assert plan.bounds is not None, "given, or found before"
    return Driven(training.steps.optimizer, policy, plan.bounds, reference, read)


@torch.no_grad()
def _outputs(training: Training, plan: Plan, probe: Probe) -> Tensor:
    training.model.eval()
    cast = caster(plan.workload)
    return torch.cat([training.model(cast(batch)) for batch in probe.inputs.split(256)])
