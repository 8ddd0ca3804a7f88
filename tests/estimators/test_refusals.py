"""Every refusal, word for word."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from infopace import mutual_information
from infopace.estimators import decoder_bound, entropy

from .samples import Examples, labels, normal

X, Y, Z = normal(10, 4), labels(10, 2), normal(10, 2, 3)


def holed(value: float) -> Examples:
    x = X.copy()
    x[7, 2] = value
    return x


MI = mutual_information
HOLE = "in 1 of 10 examples, first at example 7, column 2"
NAN = f'x must be finite, got nan {HOLE}; missing="drop" leaves them out'
REFUSALS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    (MI, (holed(math.nan), Y), {}, NAN),
    (MI, (holed(math.inf), Y), {}, "x must be finite, got inf at example 7, column 2"),
    (MI, (holed(-math.inf), Y), {}, "x must be finite, got -inf at example 7, column 2"),
    (MI, (holed(math.nan).reshape(10, 2, 2), Y), {}, NAN),
    (MI, (X, holed(math.nan)), {}, NAN.replace("x", "y", 1)),
    (MI, (holed(-1e200), Y), {}, "x must be within 1e+150 of 0, got -1e+200 at example 7, column 2"),
    (MI, (X, holed(1e200)), {}, "y must be within 1e+150 of 0, got 1e+200 at example 7, column 2"),
    (MI, (1.0, Y), {}, "x must be one number or vector for each example, got a scalar 1.0"),
    (MI, (X.astype(complex), Y), {}, "x must be floating, got dtype complex128"),
    (
        MI,
        (X.astype(str), Y),
        {},
        "x must be numbers or one column of labels, got labels of shape (10, 4); give one column, or its values as "
        "columns of 0 and 1",
    ),
    (MI, (None, Y), {}, "x must be numbers or labels, one for each example, got NoneType"),
    (MI, (X, {1, 2}), {}, "y must be numbers or labels, one for each example, got set"),
    (MI, (X, Y.astype(complex)), {}, "y must be integer labels or floating targets, got dtype complex128"),
    (MI, (X[:0], Y[:0]), {}, "x must not be empty, got shape (0, 4)"),
    (MI, (X[:, :0], Y), {}, "x must not be empty, got shape (10, 0)"),
    (MI, ([], []), {}, "x must not be empty, got shape (0,)"),
    (MI, (X, Z[:, :0]), {}, "y must not be empty, got shape (10, 0)"),
    (MI, (X, Y[:9]), {}, "x and y must have the same number of examples, got 10 and 9"),
    (MI, (X, Z[:9]), {}, "x and y must have the same number of examples, got 10 and 9"),
    (MI, (X, 1), {}, "x and y must have the same number of examples, got 10 and a scalar"),
    (
        MI,
        (X, np.arange(10)),
        {},
        "labels must repeat, got 10 examples with 10 different labels; where y is a quantity, give it as floats",
    ),
    (
        MI,
        (np.arange(10), X),
        {},
        "labels must repeat, got 10 examples with 10 different labels; where x is a quantity, give it as floats",
    ),
    (MI, (X, Z), {"estimator": "adjusted"}, "estimator 'adjusted' needs two sets of labels, got a vector"),
    (MI, (X, Y), {"k": 0}, "k must be in 1..n-1, got k = 0 with n = 10"),
    (MI, (X, Z), {"k": 10}, "k must be in 1..n-1, got k = 10 with n = 10"),
    (MI, (X[:3], Y[:3]), {}, "k must be in 1..n-1, got k = 3 with n = 3"),
    (MI, (X, Y), {"k": True}, "k must be a whole number, got True"),
    (MI, (X, Y), {"norm": "l2"}, "norm must be one of 'euclidean', 'chebyshev', got 'l2'"),
    (
        MI,
        (X, Z),
        {"standardize": "no"},
        "standardize must be one of 'auto', 'ranks', 'block', 'columns', 'none', got 'no'",
    ),
    (MI, (X, Z), {"estimator": "ross"}, "estimator 'ross' needs integer labels, got floating targets"),
    (MI, (X, Y), {"estimator": "ksg1"}, "estimator 'ksg1' needs floating targets, got integer labels"),
    (MI, (X, Y), {"estimator": "ksg2"}, "estimator 'ksg2' needs floating targets, got integer labels"),
    (decoder_bound, (holed(math.nan), Y), {}, f"scores must be finite, got nan {HOLE}"),
    (decoder_bound, (X, Y[:9]), {}, "scores and labels must have the same number of examples, got 10 and 9"),
    (
        decoder_bound,
        (X, X),
        {},
        "labels must be whole numbers or text, one for each example, got float64 of shape (10, 4)",
    ),
    (decoder_bound, (X, Y - 1), {}, "labels must be in 0..C-1 for scores with C = 4 columns, got label -1"),
    (decoder_bound, (X, Y + 3), {}, "labels must be in 0..C-1 for scores with C = 4 columns, got label 4"),
    (
        decoder_bound,
        (X[:, :1], Y + 1),
        {},
        "labels must be in 0..C-1 for scores with C = 2 columns, got label 2",
    ),
    (
        entropy,
        ([],),
        {},
        "labels must be whole numbers or text, one for each example, got float64 of shape (0,)",
    ),
    (
        entropy,
        ([0.5],),
        {},
        "labels must be whole numbers or text, one for each example, got float64 of shape (1,)",
    ),
    (entropy, (3,), {}, "labels must be whole numbers or text, one for each example, got int64 of shape ()"),
    (
        entropy,
        (np.eye(3, dtype=int),),
        {},
        "labels must be whole numbers or text, one for each example, got int64 of shape (3, 3)",
    ),
]


@pytest.mark.parametrize(("function", "arguments", "options", "message"), REFUSALS)
def test_refusal(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        function(*arguments, **options)


def test_an_unknown_estimator_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^estimator must be one of 'auto', 'ross', .*, got 'minne'$"):
        mutual_information(X, Y, estimator="minne")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_nan_is_found_in_every_format(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=f"^x must be finite, got nan {HOLE}$"):
        mutual_information(torch.as_tensor(holed(math.nan)).to(dtype), Y)


def sentences(*arguments: object, **options: object) -> list[str]:
    return [str(caution) for caution in mutual_information(*arguments, **options).warnings]


def kinds(*arguments: object, **options: object) -> list[str]:
    return [caution.kind for caution in mutual_information(*arguments, **options).warnings]


def test_warnings_say_what_to_know() -> None:
    x, y = np.full((60, 3), 2.0), np.repeat([0, 1, 2], [50, 9, 1])
    assert sentences(x, y)[:3] == [
        "1 example is alone in its class and was left out",
        "the smallest class has 1 example, under 20: the value is too low, or too high where classes are nearly apart; "
        "take more examples or the decoder bound",
        "x is constant: it carries no information",
    ]
    assert sentences(x, np.ones(60))[:2] == [
        "x is constant: it carries no information",
        "y is constant: it carries no information",
    ]
    assert sentences(normal(60, 2), np.zeros(60, dtype=int))[0] == "y is constant: it carries no information"
    apart = normal(60, 3) + 9 * labels(60, 2)[:, None]
    assert sentences(apart, labels(60, 2)) == []


def test_warnings_come_from_the_data() -> None:
    two = labels(400, 2)
    wide = normal(400, 500)
    assert kinds(wide, two) == ["beyond-reach", "inside-noise"]
    assert kinds(wide, normal(400, 1, 5), estimator="ksg1") == ["beyond-reach", "inside-noise"]
    dead = np.concatenate([normal(400, 1) + 9 * two[:, None], np.zeros((400, 2))], 1)
    assert kinds(dead, two) == ["dead-columns"]
    assert kinds(normal(400, 1), normal(400, 1, 5), estimator="gaussian") == ["inside-noise"]


def test_examples_left_out_do_not_count() -> None:
    result = mutual_information(normal(60, 3), np.repeat([0, 1, 2], [40, 19, 1]))
    assert result.n == 59
    assert result.ceiling == entropy(np.repeat([0, 1], [40, 19]))
