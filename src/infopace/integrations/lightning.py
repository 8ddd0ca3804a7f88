"""Lightning: a callback that paces the optimizer of a LightningModule."""

from __future__ import annotations

from typing import Any

from infopace import Measurement, MutualInformationLR, Probe
from infopace.integrations._lightning_trainer import beside_weights, steps_per_epoch
from infopace.integrations._shared import missing, planned, readings

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.utilities.types import LRSchedulerConfig
except ImportError as error:
    raise missing("lightning", error) from error


class MutualInformationCallback(Callback):
    """Sets the learning rate of what `configure_optimizers` returns, which must be optimizers alone.

        Trainer(max_epochs=20, callbacks=[MutualInformationCallback(probe)])

    With `max_epochs` it measures at the end of each epoch, before validation and checkpoints. With `max_steps`, or
    `every`, it measures by steps. Checkpoints hold the scheduler. The run stops when the rule says so.

    Args:
        probe: The examples to measure on. The module's `forward` runs on them.
        **options: What `MutualInformationLR` takes. A policy is `HoldAndDecay` for the Trainer's plan if none is given.

    Attributes:
        scheduler: The scheduler; None before the run.
    """

    def __init__(self, probe: Probe, **options: Any) -> None:
        self._probe, self._options = probe, options
        self.scheduler: MutualInformationLR | None = None
        self._logged: Measurement | None = None
        self._steps_per_epoch: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """What must not be asked of Lightning while it loads a checkpoint: it would forget the loader's state."""
        return {"steps_per_epoch": self._steps_per_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load it."""
        self._steps_per_epoch = state_dict["steps_per_epoch"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the scheduler, before a checkpoint is loaded."""
        if others := [type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs]:
            raise ValueError(f"configure_optimizers must return no scheduler, got {others[0]}")
        epochs, most = (max(most or 0, 0) or None for most in (trainer.max_epochs, trainer.max_steps))
        if trainer.ckpt_path is None or self._steps_per_epoch is None:
            self._steps_per_epoch = steps_per_epoch(trainer, epochs)
        steps = most or (epochs and self._steps_per_epoch and epochs * self._steps_per_epoch)
        options = {"every": "auto", **self._options} if most else self._options
        options = planned(options, epochs, steps, beside_weights(trainer))
        optimizers = trainer.optimizers if len(trainer.optimizers) > 1 else trainer.optimizers[0]
        self.scheduler = MutualInformationLR(optimizers, pl_module, self._probe, **options)
        trainer.strategy.lr_scheduler_configs.append(LRSchedulerConfig(self.scheduler, name="learning_rate"))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure and decide at the end of an epoch; show what was measured."""
        assert self.scheduler is not None, "fit has started"
        is_last = trainer.is_last_batch or batch_idx + 1 == trainer.num_training_batches
        if is_last and self.scheduler.unit is None:
            self.scheduler.observe()
            self.scheduler.step()
        if self.scheduler.finished:
            trainer.should_stop = True
        measurement = self.scheduler.measurement
        if is_last or measurement is not self._logged or batch_idx % 50 == 0:
            shown = readings(self.scheduler)
            pl_module.log_dict(shown, prog_bar=True, logger=False, on_step=True, on_epoch=False)
            if measurement is not self._logged:
                for logger in trainer.loggers:  # `global_step` counts each of several optimizers
                    logger.log_metrics(shown, step=trainer.fit_loop.epoch_loop._batches_that_stepped)
            self._logged = measurement
