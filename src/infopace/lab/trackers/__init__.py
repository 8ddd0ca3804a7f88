"""Trackers to which a run logs its epochs: TensorBoard, wandb, trackio."""

from infopace.lab.trackers._tracked import Tracked, tracked

__all__ = ["Tracked", "tracked"]
