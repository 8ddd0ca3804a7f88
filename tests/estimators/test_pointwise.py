"""What each example contributes to an estimate: their mean is the value, and each is that example's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace import mutual_information
from infopace.estimators import decoder_bound
from infopace.estimators._neighbour_search import _trees


def examples(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draws).mul(4).round().div(4)  # with ties
    labels = torch.arange(n) % 3
    return x, x[:, :1] + torch.randn(n, 1, generator=draws), labels


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(("ross", "ksg1", "ksg2", "gao", "decoder")), st.integers(12, 60), st.integers(0, 999))
def test_the_mean_is_the_value_and_examples_keep_their_order(method: str, n: int, seed: int) -> None:
    x, y, labels = examples(n, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))

    def contributions(order: torch.Tensor) -> torch.Tensor:
        if method == "decoder":
            scores = torch.cat([x, y], 1)
            found = decoder_bound(scores[order], labels[order])
        else:
            found = mutual_information(
                x[order], (labels if method == "ross" else y)[order], estimator=method, std_error=False
            )
        assert found.pointwise is not None
        assert found.pointwise.shape == (found.n,)
        assert float(found.pointwise.mean()) == pytest.approx(found.nats, abs=1e-12)
        return found.pointwise

    assert torch.allclose(contributions(torch.arange(n))[order], contributions(order), atol=1e-12)


@pytest.mark.parametrize("method", ["ross", "ksg1"])
def test_a_tree_finds_the_same(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, labels = examples(300, 0)
    x, target = (
        x + torch.rand(300, 2, generator=torch.Generator().manual_seed(3)),
        (labels, y)[method == "ksg1"],
    )
    plain = mutual_information(x, target, estimator=method, std_error=False).pointwise
    monkeypatch.setattr(_trees, "_FEWEST", 1)
    assert _trees.suits_tree(x)
    found = mutual_information(x, target, estimator=method, std_error=False).pointwise
    assert plain is not None
    assert found is not None
    assert torch.equal(plain, found)


def test_examples_alone_in_their_class_contribute_nothing() -> None:
    x, _, labels = examples(40, 5)
    labels[7] = 9
    found = mutual_information(x, labels, std_error=False)
    assert found.pointwise is not None
    assert len(found.pointwise) == found.n == 39


def test_where_the_method_is_no_mean_over_examples_there_is_none() -> None:
    x, y, labels = examples(60, 6)
    assert mutual_information(x, y, estimator="gaussian").pointwise is None
    assert mutual_information(labels, labels).pointwise is None


def test_it_does_not_take_part_in_equality() -> None:
    x, _, labels = examples(30, 7)
    assert mutual_information(x, labels) == mutual_information(x, labels)
    assert "pointwise" not in repr(mutual_information(x, labels))
