"""Where a run's epochs are told to, beside the terminal: TensorBoard, wandb, trackio."""

from infopace.lab.trackers._tracked import Tracked, tracked

__all__ = ["Tracked", "tracked"]
