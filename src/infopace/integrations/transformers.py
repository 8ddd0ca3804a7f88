"""Transformers: `pace` gives a Trainer this scheduler instead of its own."""

from __future__ import annotations

from typing import Any

from infopace import MutualInformationLR, Probe
from infopace.integrations._shared import missing, planned, readings

try:
    from accelerate.optimizer import AcceleratedOptimizer
    from transformers import ProgressCallback, Trainer, TrainerCallback, TrainerControl
except ImportError as error:
    raise missing("transformers", error) from error


class _Stop(TrainerCallback):
    """Stops a run when the rule says so."""

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **kwargs: Any) -> None:
        if kwargs["lr_scheduler"].finished:
            control.should_training_stop = True


def pace(trainer: Any, probe: Probe, *, every: int | str = "auto", **options: Any) -> None:
    """Let infopace set the learning rate of a Trainer, also one of a subclass. Call it before `train`.

        trainer = Trainer(model, args, train_dataset=data)
        pace(trainer, probe)
        trainer.train()

    `lr_scheduler_type` and warm-up arguments are then not read. `learning_rate` is where the search for the rate
    begins. Checkpoints of the Trainer hold the scheduler, its logs "information" in nats. `trainer.lr_scheduler` is the
    scheduler, once training has begun.

    Args:
        trainer: A `transformers.Trainer`.
        probe: The examples to measure on. Items with `labels` are read as the Trainer reads them.
        every: Optimizer steps between two measurements; "auto": so that measuring takes less than 1 % of the time.
        **options: What `MutualInformationLR` takes. Without a policy it is `HoldAndDecay` for the Trainer's steps.

    Raises:
        TypeError: no trainer.
        ValueError: a trainer that has a scheduler of its own.
    """
    if not issubclass(type(trainer), Trainer):
        raise TypeError(f"trainer must be a transformers.Trainer, got {type(trainer).__name__}")
    own_log, built = trainer.log, dict[str, Any]()
    if trainer.lr_scheduler is not None:
        raise ValueError(
            f"the trainer must be given no scheduler beside infopace's, got {type(trainer.lr_scheduler).__name__}"
        )

    def create_scheduler(num_training_steps: int, optimizer: Any = None) -> MutualInformationLR:
        optimizer = trainer.optimizer if optimizer is None else optimizer
        if isinstance(optimizer, AcceleratedOptimizer):  # it has no hooks
            optimizer = optimizer.optimizer
        # Training begins anew, with a smaller batch or in a second call of `train`, and not in the middle of a trial.
        if built.get("for") is optimizer and built["scheduler"].finding and not trainer.state.global_step:
            built["scheduler"].roll_back("training begins anew")
        scaler = trainer.accelerator.scaler
        found = planned({"every": every, **options}, None, num_training_steps, [scaler])
        trainer.lr_scheduler = MutualInformationLR(optimizer, trainer.model, probe, **found)
        built.update({"for": optimizer, "scheduler": trainer.lr_scheduler})
        trainer._created_lr_scheduler = True  # for a search over hyperparameters, which begins anew
        return trainer.lr_scheduler

    def log(logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "learning_rate" in logs:  # those of training steps
            logs.update(readings(trainer.lr_scheduler) | logs)
            for one in trainer.callback_handler.callbacks:
                if isinstance(one, ProgressCallback) and one.training_bar is not None:
                    one.training_bar.set_postfix(readings(trainer.lr_scheduler))
        own_log(logs, *args, **kwargs)

    trainer.create_scheduler, trainer.log = create_scheduler, log
    trainer.add_callback(_Stop())
