"""Label against label: the table of counts, its correction and its error bar."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from infopace.estimators._plug_in import plug_in, plug_in_std_error


def slow(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The value and its standard error, term by term."""
    n = len(x)
    pairs = Counter(zip(x.tolist(), y.tolist(), strict=True))
    rows, columns = Counter(x.tolist()), Counter(y.tolist())
    gains = {(a, b): math.log(c * n / (rows[a] * columns[b])) for (a, b), c in pairs.items()}
    raw = sum(c / n * gains[pair] for pair, c in pairs.items())
    square = sum(c / n * gains[pair] ** 2 for pair, c in pairs.items())
    correction = (len(rows) - 1 + len(columns) - 1 - (len(pairs) - 1)) / (2 * n)
    return raw + correction, math.sqrt(max(0.0, square - raw**2) / n)


def labels(n: int, share: float, seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    """y equals x with the given probability and is otherwise drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(classes, (n,), generator=generator)
    drawn = torch.randint(classes, (n,), generator=generator)
    return x, torch.where(torch.rand(n, generator=generator) < share, x, drawn)


def truth(share: float, classes: int = 4) -> float:
    same = share + (1 - share) / classes
    other = (1 - share) / classes
    return math.log(classes) + same * math.log(same) + (classes - 1) * other * math.log(other)


@pytest.mark.parametrize(
    ("n", "share", "classes"), [(1, 0.0, 2), (7, 0.5, 3), (200, 0.4, 5), (1000, 0.9, 50)]
)
def test_equals_the_sum_term_by_term(n: int, share: float, classes: int) -> None:
    x, y = labels(n, share, seed=n, classes=classes)
    value, error = slow(x, y)
    assert plug_in(x, y) == pytest.approx(value, abs=1e-12)
    assert plug_in_std_error(x, y) == pytest.approx(error, abs=1e-12)


def test_a_copy_has_the_entropy_of_the_labels_and_a_product_table_nothing() -> None:
    x = torch.tensor([0, 1, 2, 3]).repeat(25)
    assert plug_in(x, 3 - x) == pytest.approx(math.log(4) + 3 / 200)
    assert plug_in_std_error(x, x) == 0.0
    independent = torch.tensor([0, 1]).repeat_interleave(4).repeat(12)[:96]
    x = torch.tensor([0, 1, 2, 3]).repeat(24)
    assert plug_in(x, independent) == pytest.approx(-3 / 192)
    assert plug_in_std_error(x, independent) == 0.0


def test_names_and_order_of_labels_do_not_matter() -> None:
    x, y = labels(300, 0.5, seed=1)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    assert plug_in(x, y) == pytest.approx(plug_in(-7 * x[order] + 2**40, y[order]), abs=1e-12)
    assert plug_in(x, y) == pytest.approx(plug_in(y, x), abs=1e-12)
    assert plug_in(x, torch.zeros_like(x)) == 0.0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_the_correction_removes_the_bias_and_the_error_bar_is_the_spread(share: float) -> None:
    draws = [labels(150, share, seed) for seed in range(300)]
    values = torch.tensor([plug_in(x, y) for x, y in draws])
    errors = torch.tensor([plug_in_std_error(x, y) for x, y in draws])
    spread = float(values.std())
    assert abs(float(values.mean()) - truth(share)) < 4 * spread / math.sqrt(300) + 5e-4
    # At independence the formula is too large by the root of 2, and by no more.
    assert 0.85 < float(errors.square().mean().sqrt()) / spread < (1.7 if share == 0 else 1.2)


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 examples"):
        plug_in(torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))
