"""Keras 3 on torch: a callback that paces the optimizer of a compiled model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from infopace import MutualInformationLR, Probe
from infopace.integrations._backup import Backup
from infopace.integrations._keras_optimizer import KerasOptimizer, beside_weights
from infopace.integrations._shared import missing, planned, readings

try:
    import keras
except ImportError as error:
    raise missing("keras", error) from error


class MutualInformationCallback(keras.callbacks.Callback):
    """Sets the learning rate of a model's optimizer, which must be made with a number as its learning rate.

        model.fit(x, y, epochs=20, callbacks=[MutualInformationCallback(probe)])

    Give it before other callbacks, so that they see "information" and "learning_rate" in the logs.

    Args:
        probe: The examples to measure on. For a model that ends in sigmoid: its `forward` must give the logit.
        backup: A file for the state of the run, beside `keras.callbacks.BackupAndRestore` with its usual `save_freq`.
            An interrupted `fit` then goes on from there. The file is deleted when `fit` has ended.
        **options: What `MutualInformationLR` takes. Without a policy it is `HoldAndDecay` for the planned epochs.

    Attributes:
        scheduler: The scheduler; None before `fit`.

    Raises:
        RuntimeError: Keras runs on another backend than torch.
    """

    def __init__(self, probe: Probe, *, backup: str | Path | None = None, **options: Any) -> None:
        super().__init__()
        if (name := keras.backend.backend()) != "torch":
            raise RuntimeError(f"KERAS_BACKEND must be torch, got {name}; set it before Keras is imported")
        self._probe, self._options, self._backup = probe, options, Backup(backup)
        self.scheduler: MutualInformationLR | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """A run begins."""
        self.scheduler = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Build the scheduler in the first epoch, when others have restored the model."""
        if self.scheduler is not None:
            return
        model, plan = cast("Any", self.model), cast("dict[str, Any]", self.params)  # `fit` has set them
        self._optimizer = KerasOptimizer(model)
        state = self._backup.load(self._optimizer.done)
        epochs = plan["epochs"] - (epoch if state is None else 0)  # `fit` may begin at a later one
        steps = plan["steps"] and self._optimizer.updates(epochs, plan["steps"], self._options)
        options = planned(self._options, epochs, steps, beside_weights(model))
        self.scheduler = MutualInformationLR(self._optimizer, model, self._probe, **options)
        if state is not None:
            self.scheduler.load_state_dict(state)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure and decide; add to the logs what was measured."""
        assert self.scheduler is not None and self.model is not None, "an epoch has begun"
        rate = readings(self.scheduler)["learning_rate"]
        if self.scheduler.unit is None:
            self.scheduler.observe()
            self.scheduler.step()
        self._optimizer.end_epoch()
        if logs is not None:
            logs |= readings(self.scheduler) | {"learning_rate": rate}
        self.model.stop_training |= self.scheduler.finished
        self._backup.save(self._optimizer.done, self.scheduler)

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the optimizer to Keras, and delete the backup."""
        self._optimizer.release()
        self._backup.delete()
