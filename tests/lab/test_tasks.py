"""Losses, metrics and constant predictions of each kind of target, against slow forms and worked-out values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from infopace.lab.tasks import (
    CLASSES,
    IGNORED,
    MULTI_LABEL,
    NUMBERS,
    PIXELS,
    TOKEN_ACCURACY,
    TOKENS,
    Metric,
    Task,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(classes: int, *shape: int) -> Tensor:
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(1))


def test_tokens_are_scored_one_by_one_and_those_to_ignore_are_left_out() -> None:
    scores, targets = drawn(3, 4, 5), labels(5, 3, 4)
    targets[0, 1] = targets[2, 3] = IGNORED
    losses, right = [], []
    for example in range(3):
        for place in range(4):
            if targets[example, place] != IGNORED:
                shares = scores[example, place].softmax(0)
                losses.append(-math.log(float(shares[targets[example, place]])))
                right.append(float(shares.argmax() == targets[example, place]))
    assert len(losses) == 10
    mean = sum(losses) / 10
    assert float(TOKENS.loss(scores, targets)) == pytest.approx(mean, rel=1e-6)
    assert float(TOKENS.metric.score(scores, targets).mean()) == pytest.approx(mean, rel=1e-6)
    assert TOKEN_ACCURACY.score(scores, targets).tolist() == right
    assert TOKENS.metric.show(1.23456) == "1.235 nats a token"


def test_bytes_are_targets_of_tokens_too() -> None:
    scores, targets = drawn(3, 4, 5), labels(5, 3, 4)
    assert TOKENS.loss(scores, targets.byte()) == TOKENS.loss(scores, targets)
    assert torch.equal(TOKENS.metric.score(scores, targets.byte()), TOKENS.metric.score(scores, targets))


def test_pixels_are_right_or_wrong_and_those_to_ignore_are_left_out() -> None:
    scores, targets = drawn(2, 3, 4, 4), labels(3, 2, 4, 4)
    targets[:, 0] = IGNORED
    right = [
        float(scores[i, :, y, x].argmax() == targets[i, y, x])
        for i in range(2)
        for y in range(1, 4)
        for x in range(4)
    ]
    assert PIXELS.metric.score(scores, targets).tolist() == right
    kept = scores.permute(0, 2, 3, 1)[targets != IGNORED]
    assert float(PIXELS.loss(scores, targets)) == pytest.approx(
        float(F.cross_entropy(kept, targets[targets != IGNORED]))
    )


def test_an_example_matches_if_all_of_its_labels_do() -> None:
    targets = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    scores = torch.tensor([[2.0, -1.0, 0.1], [-1.0, 0.2, 3.0], [-1.0, -0.1, -2.0]])
    assert MULTI_LABEL.metric.score(scores, targets).tolist() == [1.0, 0.0, 0.0]
    assert MULTI_LABEL.metric.show(0.5) == "50.00 %"


def test_the_best_prediction_without_inputs() -> None:
    train, test = torch.tensor([0, 1, 1, 2]), torch.tensor([1, 1, 0, 2, 2])
    assert CLASSES.without_inputs(train, test) == pytest.approx(2 / 5)
    # A median, for the absolute error.
    numbers = torch.tensor([[0.0], [1.0], [10.0]])
    assert NUMBERS.without_inputs(numbers, torch.tensor([[2.0], [1.0]])) == pytest.approx(0.5)
    sets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert MULTI_LABEL.without_inputs(sets, torch.tensor([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(0.5)
    # Cross-entropy of the test targets under the shares of the training targets: 3/4 and 1/4.
    tokens = torch.tensor([[0, 0], [0, 1]])
    expected = -(math.log(0.75) + 3 * math.log(0.25)) / 4
    assert TOKENS.without_inputs(tokens, torch.tensor([[1, 1], [1, 0]])) == pytest.approx(expected)
    pixels = torch.tensor([[[0, 0], [0, 1]], [[IGNORED, 1], [1, 1]]])
    assert PIXELS.without_inputs(pixels, torch.tensor([[[1, 0], [IGNORED, 1]]])) == pytest.approx(2 / 3)


def test_a_task_without_a_guess_has_no_such_prediction() -> None:
    task = Task(F.mse_loss, Metric("error", lambda o, t: (o - t).abs(), higher_is_better=False))
    with pytest.raises(ValueError, match="the task must have a guess, got None"):
        task.without_inputs(torch.zeros(3, 1), torch.zeros(3, 1))
