"""Lightning: the run is that of the plain loop; checkpoints, loggers and stopping are Lightning's own."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR
from infopace.integrations.lightning import MutualInformationCallback

from ..small_run import same
from .plain import BATCH, EPOCHS, STEPS, PlainRun, Shuffled, sgd, small_net, small_probe

pytestmark = pytest.mark.filterwarnings("ignore:::lightning", "ignore::UserWarning:torch.optim")


class Module(lightning.LightningModule):
    def __init__(self, scheduler: bool = False, norm: bool = False) -> None:
        super().__init__()
        self.net, self.scheduler = small_net(norm), scheduler

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.net(inputs)

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        inputs, labels = batch
        return nn.functional.cross_entropy(self(inputs), labels)

    def validation_step(self, batch: Any, number: int) -> None:
        self.log("loss_held_out", self.training_step(batch, number))

    def configure_optimizers(self) -> Any:
        optimizer = sgd(self.net)
        if not self.scheduler:
            return optimizer
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class TwoOptimizers(Module):
    """Steps by hand, as Lightning asks for where there are several."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, number: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        optimizers: Any = self.optimizers()
        loss = super().training_step(batch, number)
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in optimizers:
            optimizer.step()

    def validation_step(self, batch: Any, number: int) -> None:
        pass

    def configure_optimizers(self) -> Any:
        first, _, last = self.net
        return [torch.optim.SGD(first.parameters(), lr=0.1), torch.optim.AdamW(last.parameters(), lr=0.01)]


class Fit:
    """A run in Lightning."""

    def __init__(
        self,
        folder: Path,
        *callbacks: Any,
        batch: int = BATCH,
        options: dict[str, Any] | None = None,
        resume: str | None = None,
        module: Any = None,
        **settings: Any,
    ) -> None:
        self.module: Any = Module() if module is None else module
        self.callback = MutualInformationCallback(small_probe(), **(options or {}))
        usual = {"max_epochs": EPOCHS, "logger": False, "enable_checkpointing": False}
        self.trainer = lightning.Trainer(
            default_root_dir=folder,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[self.callback, *callbacks],
            **{**usual, **settings},
        )
        self.trainer.fit(self.module, Shuffled(batch), Shuffled(), ckpt_path=resume)

    @property
    def scheduler(self) -> MutualInformationLR:
        assert self.callback.scheduler is not None
        return self.callback.scheduler


def assert_alike(fit: Fit, run: PlainRun) -> None:
    assert fit.scheduler.explain() == run.scheduler.explain()
    assert fit.scheduler.history == run.scheduler.history
    assert fit.scheduler.decisions == run.scheduler.decisions
    assert same(fit.module.net.state_dict(), run.model.state_dict())


def test_epochs_are_those_of_the_plain_loop(tmp_path: Path) -> None:
    """With validation, and its check of sanity, between them."""
    run = PlainRun().train()
    assert not run.scheduler.finding and len(run.scheduler.history["output"]) > 5
    assert_alike(Fit(tmp_path), run)


def test_steps_are_those_of_the_plain_loop(tmp_path: Path) -> None:
    plan = HoldAndDecay(steps=EPOCHS * STEPS)
    run = PlainRun(policy=plan, every=5).train()
    assert_alike(Fit(tmp_path, options={"every": 5}), run)
    assert_alike(Fit(tmp_path, options={"every": 5}, max_epochs=-1, max_steps=EPOCHS * STEPS), run)


@pytest.mark.parametrize(
    ("every", "search"),
    [
        (None, False),
        (5, True),
        pytest.param(None, True, marks=pytest.mark.slow),
        pytest.param(5, False, marks=pytest.mark.slow),
    ],
)
def test_measuring_changes_no_average_of_batch_norm(tmp_path: Path, every: int | None, search: bool) -> None:
    """Trials begin before the first batch where it is read inside of the step, otherwise after its averages are."""
    options: dict[str, Any] = {} if search else {"bounds": Bounds(1e-3, 0.3)}
    plan: dict[str, Any] = {}
    if every is not None:
        options["every"], plan["policy"] = every, HoldAndDecay(steps=EPOCHS * STEPS)
    fit = Fit(tmp_path, module=Module(norm=True), options=options)
    assert_alike(fit, PlainRun(small_net(norm=True), **plan, **options).train(closure=search))
    counted = int(fit.module.net[1].num_batches_tracked)
    assert 0 < counted < EPOCHS * STEPS if search else counted == EPOCHS * STEPS


@pytest.mark.slow
def test_accumulated_and_clipped_gradients(tmp_path: Path) -> None:
    run = PlainRun().train(accumulate=2, clip=0.5)
    assert_alike(Fit(tmp_path, batch=BATCH // 2, accumulate_grad_batches=2, gradient_clip_val=0.5), run)


@pytest.mark.slow
def test_mixed_precision(tmp_path: Path) -> None:
    fit = Fit(tmp_path, precision="bf16-mixed")
    assert fit.scheduler.history["output"][-1] > 1.5


class Spoilt(Module):
    """Its loss is nan in the second trial, which begins with step 4."""

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        loss = super().training_step(batch, number)
        return loss * float("nan") if self.global_step == 5 else loss


def test_an_average_of_the_weights_survives_a_trial_that_diverged(tmp_path: Path) -> None:
    fit = Fit(tmp_path, EMAWeightAveraging(decay=0.5), module=Spoilt())
    assert "diverged" in fit.scheduler.explain()
    assert all(bool(weight.isfinite().all()) for weight in fit.module.parameters())  # the average is in them


def test_a_scaler_is_rolled_back(tmp_path: Path) -> None:
    scaler, scales = torch.amp.GradScaler("cpu", init_scale=2.0**10), list[float]()

    class Shrinks(lightning.Callback):
        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if trainer.global_step == 2:
                scaler.update(2.0)
                trainer.callbacks[0].scheduler.roll_back("a test")
            scales.append(scaler.get_scale())

    Fit(tmp_path, Shrinks(), plugins=[MixedPrecision("16-mixed", "cpu", scaler)], max_epochs=1)
    assert set(scales) == {2.0**10}


@pytest.mark.parametrize(
    "after",
    [pytest.param(3 * STEPS, marks=pytest.mark.slow), 4 * STEPS + 6, pytest.param(5, marks=pytest.mark.slow)],
)
def test_a_checkpoint_resumes_with_the_same_numbers(tmp_path: Path, after: int) -> None:
    """At the end of an epoch, in the middle of one, and in the middle of a trial."""
    saves = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=after, save_top_k=-1)
    whole = Fit(tmp_path, saves, enable_checkpointing=True)
    again = Fit(tmp_path, resume=str(tmp_path / f"step={after}.ckpt"))
    assert same(again.scheduler.state_dict(), whole.scheduler.state_dict())
    assert same(again.module.state_dict(), whole.module.state_dict())


def rows(folder: Path, column: str) -> list[float]:
    (path,) = folder.rglob("metrics.csv")
    with path.open() as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)]


def test_loggers_get_information_and_the_learning_rate(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    fit = Fit(tmp_path, LearningRateMonitor("epoch"), logger=logger, log_every_n_steps=1)
    history = fit.scheduler.history["output"]
    logged = rows(tmp_path, "information")
    assert logged[-4:] == pytest.approx(history[-4:], rel=1e-6)
    rates = rows(tmp_path, "learning_rate/pg1")
    assert len(rates) == EPOCHS
    assert rates[-3:] == pytest.approx([one[0].lr for one in fit.scheduler.decisions[-4:-1]], rel=1e-6)
    shown = fit.trainer.progress_bar_metrics
    assert shown["information"] == pytest.approx(history[-1], rel=1e-6)
    assert shown["learning_rate"] == pytest.approx(max(fit.scheduler.get_last_lr()), rel=1e-6)


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_the_monitor_logs_the_rates_of_several_optimizers(tmp_path: Path, interval: Any) -> None:
    """Under the names of all as one, and of each."""
    monitor, logger = LearningRateMonitor(interval, log_momentum=True), CSVLogger(tmp_path)
    fit = Fit(tmp_path, monitor, module=TwoOptimizers(), logger=logger, log_every_n_steps=1, max_epochs=6)
    as_one, each = ("learning_rate/pg1", "learning_rate/pg2"), ("lr-SGD", "lr-AdamW")
    for one, own in zip(as_one, each, strict=True):
        assert rows(tmp_path, one) == rows(tmp_path, own) and len(rows(tmp_path, one)) >= 6
    first, second = (rows(tmp_path, name) for name in as_one)
    assert second == pytest.approx([lr / 10 for lr in first])
    assert first[-1] < max(first) / 2
    # Lightning counts the steps of both; what is measured stands where the batch does.
    assert fit.trainer.global_step == 2 * 6 * STEPS
    assert max(rows(tmp_path, "step")) == 6 * STEPS - 1


@pytest.mark.slow
def test_it_ends_where_the_rule_says_so(tmp_path: Path) -> None:
    fit = Fit(tmp_path, options={"policy": HoldAndDecay()}, max_epochs=200)
    assert fit.scheduler.finished
    assert fit.trainer.current_epoch < 200


def test_another_scheduler_is_refused(tmp_path: Path) -> None:
    trainer = lightning.Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[MutualInformationCallback(small_probe())],
    )
    with pytest.raises(ValueError, match="must return no scheduler, got StepLR"):
        trainer.fit(Module(scheduler=True), Shuffled())
