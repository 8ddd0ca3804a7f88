"""One forward pass over the examples of a probe: scores, targets, and which targets count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopace.probe._targets import IGNORED, Targets
from infopace.probe.outputs import Forward, run

# Scores that are kept of all examples together. A vocabulary of 50,000 at 1,000 positions of 1,000 examples would take
# 200 GB; some positions of each example take 0.3 GB.
_MOST_SCORES = 2**26


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


class Pass:
    """Collects what `forward` finds, batch by batch; itself the forward pass that `layer_outputs` runs.

    Attributes:
        width: Numbers an example in the output.
    """

    def __init__(self, forward: Forward, n: int) -> None:
        self._forward, self._n = forward, n
        self.width = 0
        self._all: list[tuple[Tensor, Tensor | None]] = []
        self._kept: list[tuple[Tensor, Tensor | None]] = []

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """The scores of a batch, at some positions if there are too many."""
        scores, values, mask = run(self._forward, model, batch)
        self.width = scores[0].numel()
        self._all.append((values, mask))
        kept = thinned(by_position(scores, values, mask), self._n)
        self._kept.append((kept.values, kept.mask))
        return kept.scores

    def targets(self, scores: Tensor) -> Targets:
        """All targets, of the kind that fits the scores."""
        values, mask = _joined(self._all, self._n)
        return Targets.of(values, mask, scores)

    def scored(self, scores: Tensor) -> Scored:
        """The scores of all examples, with their targets."""
        return Scored(scores, *_joined(self._kept, self._n), self.width)


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


def _joined(parts: list[tuple[Tensor, Tensor | None]], n: int) -> tuple[Tensor, Tensor | None]:
    """Targets and masks of n examples; those of a few, with which a pass may begin, are left out."""
    while sum(len(values) for values, _ in parts[1:]) >= n:
        del parts[0]
    values, masks = [part for part, _ in parts], [mask for _, mask in parts]
    if all(mask is None for mask in masks):
        return torch.cat(values), None
    filled = [
        torch.ones_like(part, dtype=torch.bool) if mask is None else mask.reshape(part.shape)
        for part, mask in parts
    ]
    return torch.cat(values), torch.cat(filled)
