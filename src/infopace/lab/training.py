"""An epoch at a time: train, evaluate, measure the information, let the scheduler decide."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from infopace import MutualInformationLR, Policy, Probe, layer_groups
from infopace.lab.baselines import Setting
from infopace.lab.batches import caster, in_batches, spans
from infopace.lab.config import Plan
from infopace.lab.errors import InputError
from infopace.lab.hold_out import hold_out
from infopace.lab.lazy_images import in_turn
from infopace.lab.pacing import OURS, PACED, SWITCHES
from infopace.lab.run_folder import Row
from infopace.lab.steps import PacedSteps, Steps, check_loaded
from infopace.lab.workload import Data, Rows
from infopace.scheduler import RollBack, RollBackError

_EVALUATION_BATCH = 250  # [measured] 1,000 images through LeNet, one CPU thread: 0.27 s, in one go 0.47 s

# The packages of schedule-free optimizers advise as many.
_SETTLING_BATCHES = 50


class NotFinite(ArithmeticError):
    """The training has diverged; the message names what is no longer finite."""


class Training:
    """Model, optimizer, scheduler and data of one run.

    Every epoch seeds its own random numbers from (seed, epoch), so a resumed run needs no generator state. Without
    `std_error` information is measured without error bars. `note` says why no rows are held out where they usually are.
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
        self.plan, self._std_error = plan, std_error
        # A study may choose both. Otherwise they are the method's.
        self._policy, self._may_roll_back = policy, roll_back
        self.device = plan.device
        self.note = ""
        held_out: Rows | None = None
        # What is trained on once the rows that are held out join; None: nothing is held out, or no more.
        self._whole: Data | None = None
        if plan.held_out:
            try:
                rest, held_out = hold_out(data, plan.held_out)
            except InputError as error:
                if plan.config.held_out is not None:
                    raise
                self.note = f"no rows are held out: {error}"
            else:
                self._whole, data = data.to(plan.device), rest
        self.data = data.to(plan.device)
        self._inputs = caster(workload)
        self._seed_epoch(0)
        self.model = workload.build_model().to(plan.device)
        if workload.channels_last:
            self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        # A mask may hold -inf for good.
        self._never_finite = self._not_finite()
        if plan.baseline is None:
            with self._autocast():
                self.steps: Steps = self._paced(held_out)
        else:
            self.steps = plan.baseline.build(self._setting())

    def _paced(self, held_out: Rows | None) -> PacedSteps:
        workload, config = self.plan.workload, self.plan.config
        optimizer = torch.optim.SGD(
            layer_groups(self.model) if config.layer_wise else self.model.parameters(),
            lr=self.plan.bounds.lr_max,
            momentum=workload.momentum,
            nesterov=workload.nesterov,
            weight_decay=workload.weight_decay,
        )
        policy = self._policy or PACED[config.method](
            None if config.horizon == "free" else self.plan.epochs,
            **{name: getattr(config, name) for name in SWITCHES},
        )
        roll_back = self._may_roll_back
        if roll_back is None:
            roll_back = config.method == OURS  # the published rules are as they were published
        probe, unseen = self._probes(held_out)
        return PacedSteps(
            optimizer,
            MutualInformationLR(
                optimizer,
                self.model,
                probe,
                self.plan.bounds,
                policy,
                held_out=unseen,
                roll_back=roll_back,
            ),
        )

    def _probes(self, held_out: Rows | None) -> tuple[Probe, Probe | None]:
        """The sample of what is trained on, and that of what is held out, if anything is."""
        n = min(self.plan.workload.probe_size, len(self.data.train_targets))
        probe = self._probe(self.data.train_set(), n, self.plan.workload.reference)
        if held_out is None:
            return probe, None
        unseen = self._probe(held_out, min(n, self.n_held_out), probe.reference)
        if self.plan.config.held_out is None and unseen.classes != probe.classes:
            assert self._whole is not None, "rows are held out"
            self.note = "no rows are held out: too few of a class for two samples"
            self.data, self._whole = self._whole, None
            return self._probes(None)
        return probe, unseen

    def _setting(self) -> Setting:
        workload = self.plan.workload
        assert self.plan.lr is not None, "a plan with a baseline has a learning rate"
        return Setting(
            self.model,
            self.plan.epochs,
            len(spans(len(self.data.train_targets), workload.batch_size)),
            self.plan.lr,
            workload.momentum,
            workload.nesterov,
            workload.weight_decay,
            self._settle_norms,
        )

    def _probe(self, rows: Rows, n: int, reference: str | float) -> Probe:
        """The fixed sample of these rows, cast as a batch is; without augmentation."""
        config = self.plan.config
        sample = Probe.sample(rows, n=n, seed=config.seed, reference=reference)
        layers = "all" if config.layer_wise else "output"
        return Probe(
            self._inputs(sample.inputs),
            sample.targets,
            layers=layers,
            reference=sample.reference,
            std_error=self._std_error,
        ).to(self.device)

    @property
    def n_held_out(self) -> int:
        """Rows that are kept out of training for now."""
        return 0 if self._whole is None else len(self._whole.train_targets) - len(self.data.train_targets)

    @property
    def n_parameters(self) -> int:
        """Trainable parameters of the model."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def groups(self) -> list[str]:
        """A name for each parameter group: the layer that drives it, where one does."""
        return self.steps.groups

    def untrained_row(self) -> Row:
        """Epoch 0: the network before training. Its information, if any, was measured when the steps were made."""
        started = time.perf_counter()
        test = self.evaluate()
        seconds = {
            "train": 0.0,
            "evaluate": time.perf_counter() - started,
            "measure": self.steps.measured().seconds if isinstance(self.steps, PacedSteps) else 0.0,
        }
        return {
            "epoch": 0,
            "lr": [],
            "train_loss": None,
            "test": test,
            **self.steps.facts(),
            "decisions": [],
            "seconds": seconds,
        }

    def run_epoch(self, epoch: int, on_batch: Callable[[int, int], None]) -> Row:
        """Train epoch `epoch` (1-based) and return its row. Raises NotFinite where the training diverged.

        A paced epoch that ruins the network is undone, and its row has no training loss. The test set is looked at here
        and nowhere else, and no decision sees the result.
        """
        lrs, decisions, undone = self.steps.lrs(), self.steps.decisions(epoch), self.steps.rolled_back
        times = [time.perf_counter()]
        try:
            loss: float | None = self.train_epoch(epoch, on_batch)
        except NotFinite as error:
            with self._autocast():
                if not self._roll_back(str(error)):
                    raise
            loss = None
        times.append(time.perf_counter())
        if loss is not None:
            self._end_epoch(loss)
        times.append(time.perf_counter())
        test = self.evaluate()
        times.append(time.perf_counter())
        spent = np.diff(times).tolist()
        return {
            "epoch": epoch,
            "lr": lrs,
            "train_loss": None if self.steps.rolled_back > undone else loss,
            "test": test,
            **self.steps.facts(),
            "decisions": decisions,
            "seconds": dict(zip(("train", "measure", "evaluate"), spent, strict=True)),
        }

    def _end_epoch(self, loss: float) -> None:
        try:
            with self._autocast():
                self.steps.end_epoch(loss)
        except (
            ValueError,
            RollBackError,
        ) as error:  # or weights are finite, but an activation of the probe is not
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
        """Take up a state. Raises ValueError, RuntimeError, or what torch makes of it, where it is another model's."""
        self.model.load_state_dict(state["model"])
        own = [dict(group) for group in self.steps.optimizer.param_groups]
        self.steps.load_state_dict(state)
        check_loaded(self.steps.optimizer, own)

    def train_epoch(self, epoch: int, on_batch: Callable[[int, int], None]) -> float:
        """Train for one epoch and return the mean training loss.

        Raises NotFinite where it diverged, InputError where a loss would not be finite without any training.
        """
        if self._whole is not None and not self.steps.holds_out:
            self.data, self._whole = self._whole, None
        data, workload = self.data, self.plan.workload
        order = self._seed_epoch(epoch)
        n = len(data.train_inputs)
        batches = in_batches(torch.randperm(n, generator=order).to(self.device), workload.batch_size)
        losses: list[torch.Tensor] = []
        self.model.train()
        for i, (batch, inputs) in enumerate(zip(batches, in_turn(data.train_inputs, batches), strict=True)):
            self.steps.optimizer.zero_grad(set_to_none=True)
            if workload.augment is not None:
                inputs = workload.augment(inputs, order)
            with self._autocast():
                outputs = self.model(self._inputs(inputs))
                loss = workload.loss(outputs, data.train_targets[batch])
            loss.backward()
            self._step(loss)
            losses.append(loss.detach())
            on_batch(i + 1, len(batches))
        sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float64, device=self.device)
        mean = float(torch.stack(losses).double() @ sizes) / n
        if not math.isfinite(mean):
            odd = ~torch.isfinite(torch.stack(losses))
            if bool(odd.any()):
                self._check_untrained(epoch, int(odd.nonzero()[0]))
            raise NotFinite(f"the training loss is {mean}")
        if self._not_finite() > self._never_finite:
            raise NotFinite("a weight is not finite")
        return mean

    @torch.no_grad()
    def _check_untrained(self, epoch: int, number: int) -> None:
        """Raise InputError where the loss of a batch of an epoch is not finite with untrained weights either."""
        data, workload = self.data, self.plan.workload
        order = self._seed_epoch(epoch)
        every = torch.randperm(len(data.train_inputs), generator=order).to(self.device)
        batches = every.split(workload.batch_size)[: number + 1]
        inputs = torch.empty(0)
        for inputs in in_turn(data.train_inputs, batches):
            if workload.augment is not None:
                inputs = workload.augment(inputs, order)
        inputs = self._inputs(inputs)
        where = f"workload {workload.name!r}: in training batch {number} of epoch {epoch}"
        if not bool(torch.isfinite(inputs).all()):
            raise InputError(f"{where} what augment and prepare return must be finite, and is not")
        self._seed_epoch(0)
        with self._autocast():
            outputs = workload.build_model().to(self.device).train()(inputs)
            loss = workload.loss(outputs, data.train_targets[batches[-1]])
        if not bool(torch.isfinite(loss)):
            what = "loss" if bool(torch.isfinite(outputs).all()) else "the model's output"
            raise InputError(f"{where} {what} is not finite before training either; the inputs are")

    @torch.no_grad()
    def evaluate(self) -> float:
        """The metric on the test set, in eval mode. Raises NotFinite where that or an output is none."""
        metric = self.plan.workload.metric
        total, count = torch.zeros((), dtype=torch.float64, device=self.device), 0
        odd = torch.zeros((), dtype=torch.bool, device=self.device)
        self.model.eval()
        batches = spans(len(self.data.test_targets), _EVALUATION_BATCH)
        with self.steps.evaluating():
            for batch, inputs in zip(batches, in_turn(self.data.test_inputs, batches), strict=True):
                with self._autocast():
                    outputs = self.model(self._inputs(inputs))
                scores = metric.score(outputs.float(), self.data.test_targets[batch])
                total += scores.sum()
                count += scores.numel()
                odd |= outputs.isnan().any()
        # The class of an output that is nan is a class like any other.
        if bool(odd):
            raise NotFinite("an output on the test set is nan")
        value = float(total) / count
        if not math.isfinite(value):
            raise NotFinite(f"the test {metric.name} is {value}")
        return value

    def _not_finite(self) -> int:
        """How many numbers in the weights are not finite."""
        return sum(int((~torch.isfinite(weight)).sum()) for weight in self.model.parameters())

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        # One that is switched off is not free either, and a small model feels it in every batch.
        if not self.plan.config.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _step(self, loss: Tensor) -> None:
        try:
            self.steps.step(loss)
        except (
            OverflowError,
            RuntimeError,
        ) as error:  # a step beyond float32 is one that torch refuses to take
            if isinstance(error, RuntimeError) and "overflow" not in str(error):
                raise
            raise NotFinite("a step is not finite") from error

    def _settle_norms(self) -> None:
        """Replace batch norm's running statistics by those of the weights as they are, over some training batches.

        The same batches every time; without batch norm none is drawn.
        """
        with self._autocast():
            update_bn(self._some_inputs(), self.model)

    def _some_inputs(self) -> Iterator[Tensor]:
        data, workload = self.data, self.plan.workload
        draws = torch.Generator().manual_seed(self.plan.config.seed)
        order = torch.randperm(len(data.train_targets), generator=draws).to(self.device)
        batches = in_batches(order, workload.batch_size)[:_SETTLING_BATCHES]
        for inputs in in_turn(data.train_inputs, batches):
            yield self._inputs(inputs if workload.augment is None else workload.augment(inputs, draws))

    def _seed_epoch(self, epoch: int) -> torch.Generator:
        """Seed dropout and the like; return the generator of the epoch's order, a stream of its own."""
        draws = np.random.SeedSequence([self.plan.config.seed, epoch]).generate_state(2, np.uint64)
        torch.manual_seed(int(draws[0]) >> 1)
        return torch.Generator().manual_seed(int(draws[1]) >> 1)


def set_determinism(threads: int, device: torch.device) -> None:
    """The number of threads changes the last bits of sums, and so do some CUDA kernels from call to call."""
    torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
