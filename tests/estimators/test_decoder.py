"""Entropy of labels and the decoder bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infopace.estimators import decoder_bound, entropy

from .samples import clusters, clusters_truth, labels, normal


def test_entropy_of_counts() -> None:
    assert entropy([3, 3, 3]) == 0
    assert math.copysign(1, entropy([3, 3, 3])) == 1
    assert entropy(np.arange(7)) == pytest.approx(math.log(7), abs=1e-15)
    assert entropy(torch.tensor([5, 5, 5, -1])) == pytest.approx(math.log(4) - 0.75 * math.log(3), abs=1e-15)
    assert entropy([True, False]) == pytest.approx(math.log(2), abs=1e-15)
    assert entropy([[1], [2]]) == pytest.approx(math.log(2), abs=1e-15)


def test_value_is_entropy_less_cross_entropy() -> None:
    scores, y = torch.as_tensor(normal(200, 5)), torch.as_tensor(labels(200, 5))
    result = decoder_bound(scores, y)
    expected = entropy(y) - float(torch.nn.functional.cross_entropy(scores, y))
    assert result.nats == pytest.approx(expected, abs=1e-12)
    assert (result.method, result.n, result.k, result.norm) == ("decoder", 200, 0, "")
    assert result.ceiling == entropy(y)
    assert result.clipped == max(result.nats, 0)


def test_logits_log_probabilities_and_probabilities_agree() -> None:
    scores, y = torch.as_tensor(3 * normal(200, 5)), labels(200, 5)
    expected = decoder_bound(scores, y)
    for same in (scores + 100, scores.log_softmax(1), scores.softmax(1)):
        result = decoder_bound(same, y)
        assert result.nats == pytest.approx(expected.nats, abs=1e-12)
        assert result.std_error == pytest.approx(expected.std_error, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("classes", [2, 10, 300])
def test_probabilities_of_few_digits_are_known_for_what_they_are(classes: int, dtype: torch.dtype) -> None:
    scores = torch.as_tensor(2 * normal(400, classes))
    y = scores.argmax(1)
    rounded = decoder_bound(scores.softmax(1).to(dtype), y)
    assert rounded.nats == pytest.approx(decoder_bound(scores, y).nats, abs=0.01)


def test_one_column_is_the_logit_of_label_one() -> None:
    logit, y = normal(100, 1), labels(100, 2)
    both = np.concatenate([np.zeros_like(logit), logit], 1)
    assert decoder_bound(logit, y) == decoder_bound(both, y)
    assert decoder_bound(logit[:, 0], y) == decoder_bound(both, y)


def test_saturated_softmax_stays_finite() -> None:
    certain = decoder_bound(np.eye(3)[[0, 1, 2]], [0, 1, 2])
    assert certain.nats == pytest.approx(math.log(3), abs=1e-12)
    assert math.isfinite(decoder_bound(np.eye(3)[[0, 1, 2]], [0, 1, 1]).nats)


def test_true_posterior_gives_the_truth_and_all_else_less() -> None:
    x, y = clusters(20_000, 0, 2.0)
    truth = clusters_truth(2.0)
    best = decoder_bound(2 * x, y)
    assert best.nats == pytest.approx(truth, abs=4 * best.std_error)
    for wrong in (x, 4 * x, 2 * x + 1, -2 * x, 0 * x):
        assert decoder_bound(wrong, y).nats < best.nats


def test_error_bar_of_the_bound() -> None:
    results = [decoder_bound(2 * x, y) for x, y in (clusters(300, seed) for seed in range(200))]
    spread = np.std([result.nats for result in results], ddof=1)
    assert np.mean([result.std_error for result in results]) == pytest.approx(spread, rel=0.25)
    assert math.isnan(decoder_bound([[1.0, 0.0]], [0]).std_error)
