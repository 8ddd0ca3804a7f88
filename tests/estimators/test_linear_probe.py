"""The cross-validated linear probe, against scikit-learn fitted fold by fold on the same splits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from infopace.estimators._error_bar import stratified_parts
from infopace.estimators._linear_probe import _coordinates, _scales, linear_probe_bound
from infopace.estimators._plug_in import entropy
from infopace.estimators._softmax_regression import softmax_regression_path


def mixture(n: int, width: int, classes: int, distance: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    centres = torch.randn(classes, width, generator=generator, dtype=torch.float64) * distance / width**0.5
    return centres[y] + torch.randn(n, width, generator=generator, dtype=torch.float64), y


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_fit_is_as_good_as_that_of_scikit_learn(strength: float, classes: int) -> None:
    x, y = mixture(120, 6, classes, 3.0)
    x = x - x.mean(0)

    def loss(weights: Tensor, intercepts: Tensor) -> float:
        gain = (x @ weights + intercepts).log_softmax(1)[torch.arange(len(y)), y]
        return float(strength / 2 * weights.square().sum() - gain.mean())

    *_, ours = softmax_regression_path(x, y, classes, [10.0, strength])
    # Its two-class form has one weight vector: two opposite halves, at half the penalty.
    halves = 2 if classes == 2 else 1
    peer = LogisticRegression(C=halves / (strength * len(x)), tol=1e-10, max_iter=10_000)
    peer.fit(x.numpy(), y.numpy())
    weights, intercepts = torch.from_numpy(peer.coef_.T.copy()), torch.from_numpy(peer.intercept_)
    if classes == 2:
        weights, intercepts = torch.cat([-weights, weights], 1) / 2, torch.cat([-intercepts, intercepts]) / 2
    assert loss(ours[:-1], ours[-1]) == pytest.approx(loss(weights, intercepts), abs=2e-5)


@pytest.mark.parametrize("width", [7, 300])
def test_the_coordinates_keep_every_product_of_scaled_rows(width: int) -> None:
    x, y = mixture(150, width, 3, 4.0)
    x[:, 1] = 5.0  # a constant column carries nothing
    x[:, 2] *= 1e3
    parts = stratified_parts(y, 5)
    means, factors = _scales(x, parts, 5)
    train, test = (parts != 2).nonzero()[:, 0], (parts == 2).nonzero()[:, 0]
    fitted, held_out = _coordinates(x, train, test, means[2], factors[2])
    deviation = x[train].std(0, correction=0)
    alive = deviation > 0
    scaled = ((x - x[train].mean(0)) / deviation)[:, alive] / int(alive.sum()) ** 0.5
    assert float(fitted.square().sum(1).mean()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(fitted @ fitted.T, scaled[train] @ scaled[train].T, rtol=0, atol=1e-5)
    torch.testing.assert_close(held_out @ fitted.T, scaled[test] @ scaled[train].T, rtol=0, atol=1e-5)
    covariance = fitted.T @ fitted
    assert float((covariance - covariance.diag().diag()).abs().max()) < 1e-6


def test_the_bound_is_what_scikit_learn_reaches_on_the_same_folds() -> None:
    x, y = mixture(300, 4, 3, 2.0)
    estimate = linear_probe_bound(x, y)
    parts = stratified_parts(y, 5).numpy()
    held_out = np.empty(len(y))
    for part in range(5):
        train, test = parts != part, parts == part
        mean, deviation = x.numpy()[train].mean(0), x.numpy()[train].std(0)
        scaled = (x.numpy() - mean) / deviation
        # Weak enough that the strength does not matter with 4 columns.
        peer = LogisticRegression(C=1.0).fit(scaled[train], y.numpy()[train])
        log_probability = peer.predict_log_proba(scaled[test])
        held_out[test] = log_probability[np.arange(test.sum()), y.numpy()[test]]
    assert estimate.nats == pytest.approx(entropy(y) + held_out.mean(), abs=0.02)
    assert estimate.std_error == pytest.approx(held_out.std(ddof=1) / len(y) ** 0.5, abs=0.005)
    assert (estimate.method, estimate.n, estimate.k, estimate.norm) == ("linear-probe", 300, 0, "")


def test_two_normal_classes_reach_their_information() -> None:
    # Two unit normals at -1 and 1 share 0.3369 nats with their label (numerical integral); the optimal
    # classifier is linear, so the bound is tight up to what fitting two weights costs.
    x, y = mixture(4000, 1, 2, 0.0, seed=3)
    estimate = linear_probe_bound(x + 2.0 * y[:, None] - 1, y)
    grid = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    normal = (-(grid - 1).square() / 2).exp() / math.sqrt(2 * math.pi)
    truth = math.log(2) - float(torch.trapezoid(normal * torch.log1p(torch.exp(-2 * grid)), grid))
    assert truth == pytest.approx(0.3369, abs=1e-3)
    assert abs(estimate.nats - truth) < 3 * estimate.std_error
    assert 0.003 < estimate.std_error < 0.02


@pytest.mark.parametrize("width", [1, 10, 5000])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_measures_nothing(width: int, seed: int) -> None:
    # 5000 columns separate 200 rows perfectly: only held-out examples show it.
    x, y = mixture(200, width, 3, 0.0, seed)
    assert -0.03 < linear_probe_bound(x, y).nats < 0.01


def test_wide_examples_with_a_few_informative_columns() -> None:
    x, y = mixture(300, 1000, 2, 0.0)
    x[:, :40] += 1.5 * y[:, None]
    estimate = linear_probe_bound(x.float(), y)
    assert 0.3 < estimate.nats < math.log(2)


def test_a_wide_fit_is_no_surer_of_held_out_examples_than_it_is_right() -> None:
    # 60 of 5000 columns separate four classes. Every strength alone leaves the probe too unsure or too sure.
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 4
    x = torch.randn(400, 5000, generator=generator)
    x[:, :60] += torch.randn(4, 60, generator=generator)[y]
    estimate = linear_probe_bound(x, y)
    assert 0.45 < estimate.nats < math.log(4)


def test_a_signal_under_a_larger_nuisance_is_found() -> None:
    # Only the difference of the two columns separates the classes, at a fiftieth of what they share.
    x, y = mixture(400, 1, 2, 0.0)
    noise = torch.randn(400, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    estimate = linear_probe_bound(torch.cat([50 * x, 50 * x + noise + 4.0 * y[:, None]], 1), y)
    assert estimate.nats > 0.5


@pytest.mark.slow
def test_scale_offset_and_order_of_columns_and_names_of_classes_do_not_matter() -> None:
    x, y = mixture(150, 5, 3, 2.0)
    value = pytest.approx(linear_probe_bound(x, y).nats, abs=1e-4)
    scales = torch.tensor([1e-3, 1.0, 10.0, 1e4, 0.5], dtype=torch.float64)
    moved = (x * scales + 100 * scales)[:, [3, 0, 4, 1, 2]]
    with_constants = torch.cat([x, torch.full((150, 3), 2.5)], 1)
    assert linear_probe_bound(moved, y).nats == value
    assert linear_probe_bound(x, y * 7 - 3).nats == value
    assert linear_probe_bound(with_constants, y).nats == value


def test_a_row_cannot_change_how_its_own_fold_is_scaled() -> None:
    x, y = mixture(60, 3, 2, 1.0)
    parts = stratified_parts(y, 5)
    means, factors = _scales(x, parts, 5)
    x[0] *= 1e6
    new_means, new_factors = _scales(x, parts, 5)
    own = int(parts[0])
    torch.testing.assert_close(new_means[own], means[own], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(new_factors[own], factors[own], rtol=1e-3, atol=0)
    assert float((new_factors[(own + 1) % 5] / factors[(own + 1) % 5]).max()) < 1e-2


def test_one_wild_row_of_the_wrong_class_does_not_sink_the_mean() -> None:
    x, y = mixture(300, 3, 2, 6.0)
    value = linear_probe_bound(x, y).nats
    x[0] += 10 * (x[1] - x[0])
    assert linear_probe_bound(x, y).nats > value - math.log(2 * 241) / 300 - 0.1


def test_folds_are_stratified() -> None:
    y = torch.tensor([0] * 50 + [1] * 23 + [2] * 7)
    parts = stratified_parts(y, 5)
    for of in (slice(None), y == 0, y == 1, y == 2):
        counts = torch.bincount(parts[of], minlength=5)
        assert int(counts.max() - counts.min()) <= 1


def test_rare_classes_and_lone_rows() -> None:
    x, y = mixture(80, 3, 2, 3.0)
    y[0], y[1], y[2] = 7, 8, 8
    estimate = linear_probe_bound(x, y)
    assert estimate.n == 79
    assert math.isfinite(estimate.nats)
    assert estimate.ceiling == pytest.approx(entropy(y[1:]))
    assert tuple(map(str, estimate.warnings)) == ("1 example is alone in its class and was left out",)


def test_constant_examples_measure_nothing() -> None:
    estimate = linear_probe_bound(torch.ones(60, 4), torch.arange(60) % 3)
    assert estimate.nats == pytest.approx(0, abs=0.01)


def test_deterministic_without_the_global_generator() -> None:
    x, y = mixture(60, 80, 2, 3.0)
    before = torch.get_rng_state()
    first, second = linear_probe_bound(x, y), linear_probe_bound(x, y)
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("x", "y", "folds", "message"),
    [
        (torch.ones(4, 2), torch.rand(4), 5, "labels must be whole numbers or text, .* got float32"),
        (torch.ones(4, 2), torch.tensor([0, 0, 1, 1]), 5, "folds must be in 2..n, got folds = 5 with n = 4"),
        (torch.ones(4, 2), torch.tensor([0, 0, 1, 1]), 1, "folds must be in 2..n, got folds = 1 with n = 4"),
        (torch.ones(4, 2), torch.arange(4), 2, "labels must repeat, got 4 examples with 4 different labels"),
        (
            torch.tensor([[1.0], [math.nan]]),
            torch.tensor([0, 0]),
            2,
            "got nan in 1 of 2 examples, first at example 1",
        ),
        (torch.ones(4, 2), torch.tensor([0, 1]), 2, "same number of examples, got 4 and 2"),
    ],
)
def test_refusals_echo_the_value(x: Tensor, y: Tensor, folds: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linear_probe_bound(x, y, folds=folds)
