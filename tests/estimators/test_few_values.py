"""Vectors that take few values are compared once each: the same terms as example by example."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from infopace import mutual_information
from infopace.estimators._neighbour_search._distances import _Direct, pairwise_distances
from infopace.estimators._neighbour_search._few_values import few_ross_terms, takes_few_values
from infopace.estimators._ross import ross_terms

from .test_tree import KINDS, NORMS, normal


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("width", [2, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_terms_to_the_bit(kind: str, width: int, norm: str) -> None:
    x = KINDS[kind](normal(200, width, 0))
    labels = torch.randint(4, (200,), generator=torch.Generator().manual_seed(1))
    labels[:2], labels[2] = 7, 8
    distances = pairwise_distances(x, norm)
    for k in (1, 3, 60):
        assert torch.equal(few_ross_terms(x, labels, k, norm), ross_terms(distances, labels, k))


def test_many_copies_of_rounded_vectors_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    y = torch.arange(6000) % 2
    x = (normal(6000, 3, 1) + y[:, None]).round()
    assert takes_few_values(x)
    assert not takes_few_values(normal(6000, 3, 1))

    rows = _Direct.rows

    def narrow(distances: _Direct, start: int, stop: int) -> tuple[Tensor, Tensor]:
        assert distances.n < 400, "all pairs were compared"
        return rows(distances, start, stop)

    monkeypatch.setattr(_Direct, "rows", narrow)
    found = mutual_information(x, y, estimator="ross")
    assert 0.2 < found.interval[0] < found.interval[1] < 0.4
