"""One table through which every estimator passes: what must hold whichever way information is estimated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from infopace import Estimate, mutual_information
from infopace.estimators import decoder_bound

from .samples import Examples, bivariate, clusters, clusters_truth, normal

N = 400


@dataclass(frozen=True)
class Case:
    """An estimator, and samples with a known truth for it."""

    estimate: Callable[..., Estimate]
    draw: Callable[[int], tuple[Examples, Examples]]
    truth: float
    # The estimate of a decoder is of its scores; rescaling them makes another decoder.
    neighbours: bool = True


def _neighbours(estimator: str, norm: str) -> Callable[..., Estimate]:
    return lambda x, y, std_error=False: mutual_information(
        x, y, estimator=estimator, norm=norm, std_error=std_error
    )


def _named(estimator: str) -> Callable[..., Estimate]:
    return lambda x, y, std_error=False: mutual_information(x, y, estimator=estimator, std_error=std_error)


def _posterior(seed: int) -> tuple[Examples, Examples]:
    x, y = clusters(N, seed)
    return 2 * x, y


EVERY: dict[str, Case] = {
    **{
        f"ross {norm}": Case(_neighbours("ross", norm), lambda seed: clusters(N, seed), clusters_truth())
        for norm in ("euclidean", "chebyshev")
    },
    **{
        f"{name} {norm}": Case(
            _neighbours(name, norm), lambda seed: bivariate(N, 0.8, seed)[:2], -math.log(0.36) / 2
        )
        for name in ("ksg1", "ksg2")
        for norm in ("euclidean", "chebyshev")
    },
    "gao euclidean": Case(
        _neighbours("gao", "euclidean"), lambda seed: bivariate(N, 0.8, seed)[:2], -math.log(0.36) / 2
    ),
    "calibrated euclidean": Case(
        _named("calibrated"), lambda seed: bivariate(N, 0.8, seed)[:2], -math.log(0.36) / 2
    ),
    "gaussian": Case(_named("gaussian"), lambda seed: bivariate(N, 0.8, seed)[:2], -math.log(0.36) / 2),
    "linear-probe": Case(_named("linear-probe"), lambda seed: clusters(N, seed), clusters_truth()),
    "decoder": Case(decoder_bound, _posterior, clusters_truth(), neighbours=False),
}
NEIGHBOURS = [name for name, case in EVERY.items() if case.neighbours]


@pytest.mark.parametrize("name", EVERY)
def test_known_truth(name: str) -> None:
    case = EVERY[name]
    # The decoder's error bar costs nothing, and there is no leaving it out.
    options = {"std_error": True} if case.neighbours else {}
    results = [case.estimate(*case.draw(seed), **options) for seed in range(4)]
    mean = np.mean([result.nats for result in results])
    error = math.sqrt(np.mean([result.std_error**2 for result in results]) / len(results))
    assert 0.001 < error < 0.05
    assert mean == pytest.approx(case.truth, abs=3 * error + 0.01)
    ends = [result.interval for result in results]
    for result, (low, high) in zip(results, ends, strict=True):
        assert low < result.nats < high
        assert high - low >= 3.9 * result.std_error + abs(result.bias)
    assert sum(low <= case.truth <= high for low, high in ends) >= 3


@pytest.mark.parametrize("name", EVERY)
def test_independence_is_zero_and_never_more(name: str) -> None:
    case = EVERY[name]
    values = []
    for seed in range(4):
        x, _ = case.draw(seed)
        values.append(case.estimate(x, case.draw(seed + 100)[1]).nats)
    if case.neighbours:
        assert np.mean(values) == pytest.approx(0, abs=0.05)
    else:
        # A posterior of other data: a lower bound may be far below.
        assert np.mean(values) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_processing_loses_information(name: str) -> None:
    """Noise added to x, then x replaced by its sign: each time less, by more than the error."""
    case = EVERY[name]
    kept, noisy, sign = [], [], []
    for seed in range(3):
        x, y = case.draw(seed)
        noise = 3 * normal(len(x), 1, seed + 200).reshape(x.shape)
        kept.append(case.estimate(x, y).nats)
        noisy.append(case.estimate(x + noise, y).nats)
        sign.append(case.estimate(np.sign(x), y).nats)
    assert np.mean(noisy) < np.mean(kept) - 0.1
    assert np.mean(sign) < np.mean(kept) + 0.02


@pytest.mark.parametrize("name", EVERY)
def test_order_of_examples_and_repetition(name: str) -> None:
    case = EVERY[name]
    x, y = case.draw(0)
    result = case.estimate(x, y)
    assert case.estimate(x, y) == result
    order = np.random.default_rng(0).permutation(len(x))
    # The folds of the linear probe go by place: another order is another split.
    tolerance = 0.02 if name == "linear-probe" else 1e-12
    assert case.estimate(x[order], y[order]).nats == pytest.approx(result.nats, abs=tolerance)


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_scale_shift_and_mirror(name: str) -> None:
    case = EVERY[name]
    x, y = case.draw(0)
    expected = case.estimate(x, y).nats
    for same in (-x, 8 * x, x * 1e-3, np.round(x * 2**20) / 2**20 + 2.0**10):
        # Normal scores of mirrored ranks may be rounded differently, which decides ties.
        assert case.estimate(same, y).nats == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", EVERY)
def test_bad_input_is_refused(name: str) -> None:
    case = EVERY[name]
    x, y = case.draw(0)
    holed = x.copy()
    holed[5] = math.nan
    with pytest.raises(
        ValueError, match="must be finite, got nan in 1 of 400 examples, first at example 5, column 0"
    ):
        case.estimate(holed, y)
    with pytest.raises(ValueError, match=f"must have the same number of examples, got {N} and {N - 1}"):
        case.estimate(x, y[:-1])
    with pytest.raises(ValueError, match="must not be empty, got shape"):
        case.estimate(x[:0], y[:0])


@pytest.mark.parametrize("name", EVERY)
def test_what_is_reported(name: str) -> None:
    case = EVERY[name]
    x, y = case.draw(0)
    result = case.estimate(x, y)
    assert f"{result.method} {result.norm}".strip() == name
    assert result.n == N
    assert result.k == (3 if result.norm else 0)
    assert 0 <= result.clipped <= result.ceiling
    assert (result.ceiling == math.inf) == (not name.startswith(("ross", "linear", "decoder")))
