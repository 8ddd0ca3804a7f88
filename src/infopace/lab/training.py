"""A run, an epoch at a time: train, evaluate, measure the information, let the scheduler decide."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from infopace import MutualInformationLR, Policy, Probe
from infopace.lab.baselines import Setting
from infopace.lab.batches import batches_of_an_epoch, caster, drawn_batches, hold_out, some_batches
from infopace.lab.config import OWN, PACED, SWITCHES, Plan, signal_of
from infopace.lab.environment import seed_epoch
from infopace.lab.errors import InputError, NotFinite
from infopace.lab.evaluation import in_eval_mode, values
from infopace.lab.inside import diagnostics_of, tested
from infopace.lab.lazy_images import in_turn
from infopace.lab.processes import Parts, as_one, own_draws
from infopace.lab.run_folder import Row
from infopace.lab.steps import PacedSteps, Steps, check_loaded
from infopace.lab.trial import check_untrained
from infopace.lab.workload import Data, Rows
from infopace.model import processes_of
from infopace.probe import Measuring, reference_of
from infopace.scheduler import RollBack, RollBackError

# As many as the packages of schedule-free optimizers advise.
_SETTLING_BATCHES = 50


class Training:
    """Model, optimizer, scheduler and data of one run.

    Every epoch seeds its own random numbers from (seed, epoch), so a resumed run needs no generator state. Without
    `std_error` information is measured without error bars. `note` says why nothing is held out, if that is unusual.
    """

    def __init__(
        self,
        plan: Plan,
        data: Data,
        *,
        std_error: bool = True,
        policy: Policy | None = None,
        roll_back: bool | RollBack | None = None,
    ) -> None:
        workload = plan.workload
        self.plan, self._std_error, self._seed = plan, std_error, plan.config.seed
        # A study may choose both. Otherwise they are the method's.
        self._policy, self._may_roll_back = policy, roll_back
        self.device, self.note = plan.device, ""
        held_out: Rows | None = None
        # All training examples while some are held out; None once they have joined, or if none were.
        self._whole: Data | None = None
        if plan.held_out:
            try:
                rest, held_out = hold_out(data, plan.held_out)
            except InputError as error:
                if plan.config.held_out is not None:
                    raise
                self.note = f"no examples are held out: {error}"
            else:
                self._whole, data = data.to(plan.device), rest
        self.data = data.to(plan.device)
        # By steps, epochs have as many steps after the held-out examples have joined as before, for the plan's sake.
        self._most = None if plan.every is None else len(data.train_targets)
        self._inputs = caster(workload)
        seed_epoch(self._seed, 0)
        self.processes = processes_of()
        self.model = workload.build_model().to(plan.device)
        if workload.channels_last:
            self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        # The same model, for the forward passes of training.
        self._trained = as_one(self.model, self.processes, lambda model: self._loss(model, torch.arange(2)))
        # A mask may hold -inf from the start.
        self._never_finite = self._not_finite()
        if plan.baseline is None:
            with self._autocast():
                self.steps: Steps = self._paced(held_out)
        else:
            self.steps = plan.baseline.build(self._setting())
        self._diagnostics = diagnostics_of(plan.config.diagnostics, self.model, lambda: self._probes(None)[0])

    def _paced(self, held_out: Rows | None) -> PacedSteps:
        config = self.plan.config
        optimizer = self.plan.optimizer.build(
            self.model,
            self.plan.optimizer.usual if self.plan.bounds is None else self.plan.bounds.lr_max,
            layer_wise=config.layer_wise,
        )
        probe, held_out_probe = self._probes(held_out)
        policy = self._policy or PACED[config.method](
            {} if config.horizon == "free" else self._planned,
            stop_early=config.stop_early,
            **{name: getattr(config, name) for name in SWITCHES},
        )
        self._reads_reference = policy.reads_reference
        # The published rules do not roll back.
        roll_back = config.method in OWN if self._may_roll_back is None else self._may_roll_back
        return PacedSteps(
            optimizer,
            MutualInformationLR(
                optimizer,
                self.model,
                probe,
                self.plan.bounds,
                policy,
                held_out=held_out_probe,
                roll_back=roll_back,
                every=self.plan.every,
                steps_per_epoch=batches_of_an_epoch(self.plan.workload, len(self.data.train_targets)),
                measuring=self._measuring(probe),
            ),
        )

    @property
    def _planned(self) -> dict[str, int]:
        """The planned length of the run, in the unit in which the scheduler counts."""
        if self.plan.every is None:
            return {"epochs": self.plan.epochs}
        batches = batches_of_an_epoch(self.plan.workload, len(self.data.train_targets))
        return {"steps": self.plan.epochs * batches}

    def _measuring(self, probe: Probe) -> Measuring:
        reference, targets = self.plan.workload.reference, self.data.train_targets
        # From all examples it is more precise than from the probe's, and takes time that only such a rule is worth.
        numbers = targets.is_floating_point() and not bool(((targets == 0) | (targets == 1)).all())
        if self._reads_reference and reference in ("auto", "ksg") and numbers:
            reference = reference_of(self.data.train_set(), seed=self._seed)
        return Measuring(
            layers="all" if self.plan.config.layer_wise else "output",
            signal=signal_of(self.plan.config.signal, probe) if self.plan.bounds else self.plan.config.signal,
            reference=reference,
            std_error=self._std_error,
        )

    def _probes(self, held_out: Rows | None) -> tuple[Probe, Probe | None]:
        """The probe on training examples, and the probe on held-out examples if there are any."""
        n = min(self.plan.workload.probe_size, len(self.data.train_targets))
        probe = self._probe(self.data.train_set(), n)
        if held_out is None:
            return probe, None
        held_out_probe = self._probe(held_out, min(n, self.n_held_out))
        if self.plan.config.held_out is None and held_out_probe.classes != probe.classes:
            assert self._whole is not None, "examples are held out"
            self.note = "no examples are held out: too few of a class for two samples"
            self.data, self._whole = self._whole, None
            self._most = None if self.plan.every is None else len(self.data.train_targets)
            return self._probes(None)
        return probe, held_out_probe

    def _setting(self) -> Setting:
        plan, workload = self.plan, self.plan.workload
        assert plan.lr is not None, "a plan with a baseline has a learning rate"
        return Setting(
            self.model,
            plan.epochs,
            batches_of_an_epoch(workload, len(self.data.train_targets)),
            plan.lr,
            plan.optimizer,
            workload.sgd,
            self._settle_norms,
            workload.adamw,
            plan.config.budget,
        )

    def _probe(self, rows: Rows, n: int) -> Probe:
        """A probe on a fixed sample of these examples, cast as a batch is and without augmentation."""
        sample = Probe.sample(rows, n=n, seed=self._seed)
        return Probe(self._inputs(sample.inputs), sample.targets).to(self.device)

    @property
    def n_held_out(self) -> int:
        """Number of examples that are held out now."""
        return 0 if self._whole is None else len(self._whole.train_targets) - len(self.data.train_targets)

    @property
    def n_parameters(self) -> int:
        """Trainable parameters of the model."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def groups(self) -> list[str]:
        """A name for each parameter group: the layer that drives it, if one does."""
        return self.steps.groups

    def untrained_row(self) -> Row:
        """Epoch 0: the untrained network. Its information was measured when the steps were built."""
        started, found = time.perf_counter(), self.evaluate()
        seconds = {
            "train": 0.0,
            "evaluate": time.perf_counter() - started,
            "measure": self.steps.measured().seconds if isinstance(self.steps, PacedSteps) else 0.0,
        }
        return {
            "epoch": 0,
            "lr": [],
            "train_loss": None,
            **found,
            **self.steps.facts(),
            "decisions": [],
            "seconds": seconds,
        }

    def run_epoch(self, epoch: int, on_batch: Callable[[int, int], None]) -> Row:
        """Train epoch `epoch` (1-based) and return its row. Raises NotFinite if the run diverged.

        A paced epoch in which the network diverges or collapses is rolled back, and its row has no training loss. The
        test set is evaluated only here, and no decision depends on the result.
        """
        steps, finding = self.steps, self.steps.finding
        lrs, decisions, rolled_back = steps.lrs(), steps.decisions(epoch), steps.rolled_back
        times = [time.perf_counter()]
        try:
            loss: float | None = self.train_epoch(epoch, on_batch)
        except NotFinite as error:
            with self._autocast():
                if not self._roll_back(str(error)):
                    raise
            loss = None
        times.append(time.perf_counter())
        if loss is not None or finding:
            self._end_epoch(loss or 0.0)
        times.append(time.perf_counter())
        found = self._evaluated()
        times.append(time.perf_counter())
        spent = np.diff(times).tolist()
        return {
            "epoch": epoch,
            "lr": lrs,
            "train_loss": None if self.steps.rolled_back > rolled_back and not self.steps.by_steps else loss,
            **found,
            **self.steps.facts(),
            "decisions": decisions,
            "batches": self._batches,
            **({"finding": True} if finding else {}),
            "seconds": dict(zip(("train", "measure", "evaluate"), spent, strict=True)),
        }

    def _evaluated(self) -> dict[str, Any]:
        """As `evaluate`; a trial whose outputs are not finite ends."""
        try:
            return self.evaluate()
        except NotFinite as error:
            if not self.steps.finding:
                raise
            self._roll_back(str(error))
            return self.evaluate()

    def _end_epoch(self, loss: float) -> None:
        try:
            with self._autocast():
                self.steps.end_epoch(loss)
        # The weights may be finite, and an activation of the probe not.
        except (ValueError, RollBackError) as error:
            raise NotFinite(str(error)) from error

    def _roll_back(self, why: str) -> bool:
        try:
            return self.steps.roll_back(why)
        except RollBackError as error:
            raise NotFinite(str(error)) from error

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs."""
        return {"model": self.model.state_dict(), **self.steps.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Load a state. Raises ValueError, RuntimeError, or whatever torch raises, if it is another model's."""
        self.model.load_state_dict(state["model"])
        own = [dict(group) for group in self.steps.optimizer.param_groups]
        self.steps.load_state_dict(state)
        check_loaded(self.steps.optimizer, own)

    def train_epoch(self, epoch: int, on_batch: Callable[[int, int], None]) -> float:
        """Train for one epoch and return the mean training loss.

        Raises NotFinite if the run diverged, InputError if a loss is not finite with untrained weights either.
        """
        if self._whole is not None and not self.steps.holds_out:
            self.data, self._whole = self._whole, None
        data, workload = self.data, self.plan.workload
        order = seed_epoch(self._seed, epoch)
        rolled_back, finding = self.steps.rolled_back, self.steps.finding
        drawn = drawn_batches(workload, len(data.train_inputs), order, self._most)
        parts = Parts([batch.to(self.device) for batch in drawn], self.processes)
        self._batches = len(parts.own)
        order = own_draws(self._seed, epoch, self.processes, order)
        losses: list[torch.Tensor] = []
        self.model.train()
        drawn_inputs = zip(parts.own, in_turn(data.train_inputs, parts.own), strict=True)
        for i, (batch, inputs) in enumerate(drawn_inputs):
            self.steps.optimizer.zero_grad(set_to_none=True)
            if workload.augment is not None:
                inputs = workload.augment(inputs, order)
            with self.processes.exchange("a training step"):
                loss = self._loss(self._trained, batch, inputs)
                parts.weighted(loss, i).backward()
            self._step(
                parts.of_all(loss, i) if self.steps.wants_loss else loss,
                functools.partial(self._again, parts, i, inputs),
            )
            losses.append(loss.detach())
            on_batch(i + 1, len(parts.own))
        # Steps of a unit of time may have been rolled back; its batches may have had no finite loss.
        put_back = finding or self.steps.rolled_back > rolled_back
        mean = parts.mean(losses, only_finite=put_back and bool(torch.isfinite(losses[-1])))
        if not math.isfinite(mean):
            if (first := parts.first_not_finite(losses)) is not None:
                check = functools.partial(self._check_untrained, epoch, first)
                self.processes.from_first("the loss of untrained weights", check)
            raise NotFinite(f"the training loss is {mean}")
        if self._not_finite() > self._never_finite:
            raise NotFinite("a weight is not finite")
        return mean

    def _again(self, parts: Parts, number: int, inputs: Tensor) -> Tensor:
        """The loss of a batch at the present weights, in eval mode, so that the statistics of batch norm stay."""
        with in_eval_mode(self.model):
            return parts.of_all(self._loss(self.model, parts.own[number], inputs), number)

    def _loss(self, model: nn.Module, batch: Tensor, inputs: Tensor | None = None) -> Tensor:
        """The training loss of some examples, whose inputs may be given, augmented."""
        if inputs is None:
            (inputs,) = in_turn(self.data.train_inputs, [batch.to(self.device)])
        with self._autocast():
            outputs = model(self._inputs(inputs))
            return self.plan.workload.task.loss(outputs, self.data.train_targets[batch.to(self.device)])

    @torch.no_grad()
    def _check_untrained(self, epoch: int, number: int) -> None:
        """Raise InputError if the loss of a batch of an epoch is not finite with untrained weights either."""
        data, workload = self.data, self.plan.workload
        order = seed_epoch(self._seed, epoch)
        drawn = drawn_batches(workload, len(data.train_inputs), order, self._most)[: number + 1]
        batches = [batch.to(self.device) for batch in drawn]
        inputs = torch.empty(0)
        for inputs in in_turn(data.train_inputs, batches):
            if workload.augment is not None:
                inputs = workload.augment(inputs, order)
        seed_epoch(self._seed, 0)
        with self._autocast():
            where = f"in training batch {number} of epoch {epoch}"
            check_untrained(workload, self._inputs(inputs), data.train_targets[batches[-1]], where)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """The metric on the test set and on validation examples, if there are any, in eval mode; and diagnostics.

        Raises NotFinite if a value, or an output, is not finite.
        """
        workload, data = self.plan.workload, self.data
        test = functools.partial(values, self.model, data, workload.metric, self._inputs, self._autocast)
        test = functools.partial(tested, test, self._diagnostics, self._autocast)
        # All processes do this, because it may change the last bits of the weights.
        with self.steps.evaluating():
            return self.processes.from_first("the test", test)

    def _not_finite(self) -> int:
        """Number of weights that are not finite."""
        return sum(int((~torch.isfinite(weight)).sum()) for weight in self.model.parameters())

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        # A disabled autocast costs time too, which a small model feels in every batch.
        if not self.plan.config.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _step(self, loss: Tensor, again: Callable[[], Tensor]) -> None:
        by_steps = self.steps.by_steps
        try:
            # The scheduler may measure at the end of a step.
            with self._autocast() if by_steps else contextlib.nullcontext():
                self.steps.step(loss, again)
        except (ValueError, RollBackError) as error:
            if not by_steps:
                raise
            raise NotFinite(str(error)) from error
        except (OverflowError, RuntimeError) as error:  # torch refuses a step beyond float32
            if isinstance(error, RuntimeError) and "overflow" not in str(error):
                raise
            raise NotFinite("a step is not finite") from error

    def _settle_norms(self) -> None:
        """Recompute batch norm's running statistics for the present weights, over some training batches.

        The batches are the same every time. Without batch norm none is drawn.
        """
        with self._autocast():
            some = some_batches(self.plan.workload, self.data, _SETTLING_BATCHES, self._seed)
            update_bn(map(self._inputs, some), self.model)
