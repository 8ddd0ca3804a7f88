"""One forward pass over the examples of a probe: scores, targets, and which targets count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopace.model.forward import layer_outputs, tensors_of
from infopace.model.processes import Processes
from infopace.probe._measuring import Measuring
from infopace.probe._targets import IGNORED, Targets
from infopace.probe.outputs import Forward, Plain, run

# Scores that are kept of all examples together. A vocabulary of 50,000 at 1,000 positions of 1,000 examples would take
# 200 GB; some positions of each example take 0.3 GB.
_MOST_SCORES = 2**26
# Examples per forward pass if only the output is kept. Larger batches are no faster (measured on a small LeNet, CPU).
_OUTPUT_BATCH = 256
# Positions with a target per forward pass: each has a score for every class, of which a language model has thousands.
_OUTPUT_POSITIONS = 2**14


@dataclass(frozen=True)
class Scored:
    """Scores of n examples and what they are compared with.

    Attributes:
        scores: (n, ..); for labels at positions (n, P, V).
        values: The targets; for labels at positions (n, P).
        mask: Which targets count; None: all.
        width: Numbers an example in the output.
    """

    scores: Tensor
    values: Tensor
    mask: Tensor | None
    width: int


@dataclass(frozen=True)
class Compared:
    """What the scores of one batch are compared with.

    Attributes:
        values: All targets.
        mask: Which of them count; None: all.
        kept: The targets at those positions whose scores are kept.
        kept_mask: Which of those count.
        width: Numbers an example in the output.
    """

    values: Tensor
    mask: Tensor | None
    kept: Tensor
    kept_mask: Tensor | None
    width: int


def _batch_size(forward: Forward, examples: Any) -> int:
    """Examples per forward pass if only the output is kept."""
    if isinstance(forward, Plain):
        positions = examples[1][0].numel()
    else:  # a position for each token
        whole = [t for t in tensors_of(examples) if t.dtype in (torch.int32, torch.int64)]
        positions = max((tensor[0].numel() for tensor in whole if tensor.ndim), default=1)
    return max(2, min(_OUTPUT_BATCH, _OUTPUT_POSITIONS // positions))


def layers_and_scores(
    model: nn.Module,
    forward: Forward,
    examples: Any,
    n: int,
    layers: dict[str, nn.Module],
    measuring: Measuring,
    receive: Callable[[str, Tensor], None],
    processes: Processes,
) -> tuple[dict[str, str], Scored, list[Compared]]:
    """One forward pass: the layers that were left out, with the reasons; the scores, at some positions if there are too
    many; and what the scores of each batch are compared with. `receive` gets the outputs of layers and the scores.
    """
    outputs: list[Tensor] = []
    size = measuring.batch_size or (None if layers else _batch_size(forward, examples))

    def run_batch(model: nn.Module, batch: Any) -> tuple[Tensor, Compared]:
        scores, values, mask = run(forward, model, batch)
        kept = thinned(by_position(scores, values, mask), n)
        return kept.scores, Compared(values, mask, kept.values, kept.mask, scores[0].numel())

    def receive_all(name: str, values: Tensor) -> None:
        if name == "output":
            outputs[:] = [values]
        receive(name, values)

    left_out, parts = layer_outputs(
        model,
        examples,
        n,
        layers,
        size,
        receive_all,
        strict=measuring.is_strict,
        forward=run_batch,
        processes=processes,
    )
    values, mask = _joined([(part.kept, part.kept_mask) for part in parts])
    return left_out, Scored(outputs[0], values, mask, parts[-1].width), parts


def targets_of(parts: Sequence[Compared], scores: Tensor) -> Targets:
    """All targets, of the kind that fits the scores."""
    values, mask = _joined([(part.values, part.mask) for part in parts])
    return Targets.of(values, mask, scores)


def by_position(scores: Tensor, values: Tensor, mask: Tensor | None) -> Scored:
    """Class scores at positions as (n, P, V), from (n, .., V) or (n, V, ..). Others stay as they are.

    Raises:
        ValueError: scores without a dimension of classes beside those of the targets.
    """
    n, width = len(values), scores[0].numel()
    if values.numel() == n or values.is_floating_point() or scores.ndim != values.ndim + 1:
        return Scored(scores, values, mask, width)
    last = scores.shape[:-1] == values.shape
    first = scores.shape[:1] + scores.shape[2:] == values.shape
    if not (last or first):
        raise ValueError(
            "scores at positions must be (n, .., V) or (n, V, ..) for targets "
            f"{tuple(values.shape)}, got shape {tuple(scores.shape)}"
        )
    # Where both fit: sequences have the classes last, images have them second.
    if first and not (last and values.ndim == 2):
        scores = scores.movedim(1, -1)
    mask = None if mask is None else mask.reshape(n, -1)
    return Scored(scores.reshape(n, -1, scores.shape[-1]), values.reshape(n, -1), mask, width)


def thinned(whole: Scored, n: int) -> Scored:
    """Some positions of each example, always the same, if all positions of n examples have too many scores."""
    scores, values, mask = whole.scores, whole.values, whole.mask
    if values.is_floating_point() or scores.ndim != 3 or scores.shape[:2] != values.shape:
        return whole
    positions, most = values.shape[1], max(1, _MOST_SCORES // (n * scores.shape[2]))
    if positions <= most:
        return whole
    order = torch.rand(positions, generator=torch.Generator().manual_seed(0)).to(scores.device)
    order = order.expand(len(values), positions)
    counts = values != IGNORED
    if mask is not None:
        counts = counts & mask
    places = (order + (~counts).float()).topk(most, 1, largest=False).indices.sort(1).values
    scores = scores.gather(1, places[..., None].expand(-1, -1, scores.shape[2]))
    mask = None if mask is None else mask.gather(1, places)
    return Scored(scores, values.gather(1, places), mask, whole.width)


def _joined(parts: Sequence[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    values, masks = [part for part, _ in parts], [mask for _, mask in parts]
    if all(mask is None for mask in masks):
        return torch.cat(values), None
    filled = [
        torch.ones_like(part, dtype=torch.bool) if mask is None else mask.reshape(part.shape)
        for part, mask in parts
    ]
    return torch.cat(values), torch.cat(filled)
