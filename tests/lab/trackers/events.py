"""TensorBoard's files as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def accumulator(folder: Path) -> EventAccumulator:
    """Everything, with no reservoir that leaves steps out."""
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})


def scalars(accumulated: EventAccumulator) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of every scalar."""
    accumulated.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulated.Scalars(tag)]
        for tag in accumulated.Tags()["scalars"]
    }


def texts(folder: Path, tag: str) -> list[tuple[int, str]]:
    """Steps and texts of a tag, by the reader that TensorBoard itself uses; the other one purges no texts."""
    accumulated = plugin_event_accumulator.EventAccumulator(str(folder), tensor_size_guidance={"text": 0})
    accumulated.Reload()
    found = accumulated.Tensors(f"{tag}/text_summary")
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in found]
