"""A range test on targets that are not one label an example, and on outputs that are not one tensor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Probe, find_bounds
from infopace.range_test import Race

from .small import clouds, small_net, small_test

V = 12


class NextToken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(V, 16), nn.Linear(16, V)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids))


def test_bounds_of_a_small_language_model() -> None:
    first = torch.randint(V, (256, 1), generator=torch.Generator().manual_seed(0))
    ids = (first + torch.arange(7)[None]) % V
    inputs, targets = ids[:, :-1], ids[:, 1:]
    model = NextToken()
    found = find_bounds(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        lambda out, tokens: F.cross_entropy(out.flatten(0, 1), tokens.flatten()),
        list(zip(inputs.split(32), targets.split(32), strict=True)),
        Probe(inputs[:100], targets[:100]),
        epochs=4,
        method=Race(trials=1),
        fresh=NextToken,
    )
    # SGD with momentum on a convex problem with one-hot inputs: it learns at 0.1 and more.
    assert 0.1 < found.bounds.lr_max <= 100


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.net(x)
        return logits * 0 + 1, logits


def test_outputs_that_could_all_be_scores_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^the output must hold one tensor that can be scores .* give forward=f"
    ):
        small_test(model=Both(), fresh=Both)


def test_a_probe_with_a_forward_is_refused() -> None:
    inputs, labels = clouds()

    def forward(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        return model(batch[0]), batch[1]

    with pytest.raises(
        ValueError, match=r"^find_bounds trains on \(inputs, targets\) and needs a probe of such"
    ):
        small_test(probe=Probe(inputs, labels, forward=forward))
