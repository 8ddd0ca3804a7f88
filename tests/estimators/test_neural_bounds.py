"""The bounds on scores, against slow loops and against gradients taken by autograd through the formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from infopace.estimators._neural_bounds import (
    donsker_varadhan,
    infonce,
    jensen_shannon,
    log_mean_exp,
    pair_scores,
    running_log_mean,
    smile,
)


def normal_scores(shape: tuple[int, ...], seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_pair_scores_are_the_diagonal_and_the_rest() -> None:
    joint, product = pair_scores(torch.arange(9.0).reshape(3, 3))
    assert joint.tolist() == [0, 4, 8]
    assert product.tolist() == [1, 2, 3, 5, 6, 7]


def test_values_are_those_of_the_formulas() -> None:
    scores = normal_scores((5, 5), scale=4)
    joint = [float(scores[i, i]) for i in range(5)]
    product = [float(scores[i, j]) for i in range(5) for j in range(5) if i != j]
    first = sum(joint) / 5
    donsker = first - math.log(sum(map(math.exp, product)) / 20)
    clipped = first - math.log(sum(math.exp(min(max(s, -2), 2)) for s in product) / 20)
    contrast = sum(scores[i, i] - math.log(sum(math.exp(s) for s in scores[i]) / 5) for i in range(5)) / 5
    correct = sum(math.log1p(math.exp(-s)) for s in joint) / 5
    mistaken = sum(math.log1p(math.exp(s)) for s in product) / 20
    assert float(donsker_varadhan(*pair_scores(scores))) == pytest.approx(donsker)
    assert float(smile(*pair_scores(scores), clip=2.0)) == pytest.approx(clipped)
    assert float(infonce(scores)) == pytest.approx(float(contrast))
    assert float(jensen_shannon(*pair_scores(scores))) == pytest.approx(-correct - mistaken)


def test_the_exact_log_ratio_gives_the_information_of_a_normal_pair() -> None:
    rho, n = 0.7, 1500
    x, noise = normal_scores((n,)), normal_scores((n,), 1)
    y = rho * x + math.sqrt(1 - rho**2) * noise
    squares = rho**2 * (x[:, None].square() + y[None, :].square()) - 2 * rho * x[:, None] * y[None, :]
    scores = -0.5 * math.log(1 - rho**2) - squares / (2 * (1 - rho**2))
    truth = -0.5 * math.log(1 - rho**2)
    for value in (donsker_varadhan(*pair_scores(scores)), smile(*pair_scores(scores)), infonce(scores)):
        assert float(value) == pytest.approx(truth, abs=0.05)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("n", [2, 16, 100])
def test_infonce_never_exceeds_the_logarithm_of_the_batch(n: int, scale: float) -> None:
    for seed in range(5):
        scores = normal_scores((n, n), seed, scale) + scale * torch.eye(n, dtype=torch.float64)
        assert float(infonce(scores)) <= math.log(n) + 1e-12


def test_large_scores_do_not_overflow() -> None:
    joint, product = torch.full((4,), 1e4), torch.full((12,), 900.0)
    for value in (donsker_varadhan(joint, product), smile(joint, product), jensen_shannon(joint, product)):
        assert math.isfinite(float(value))
    assert float(log_mean_exp(product)) == pytest.approx(900.0)


def test_clipping_at_infinity_is_donsker_varadhan() -> None:
    joint, product = normal_scores((6,)), normal_scores((30,), 1, 5.0)
    assert float(smile(joint, product, math.inf)) == float(donsker_varadhan(joint, product))


def test_running_log_mean_is_the_logarithm_of_the_moving_average() -> None:
    batches = [normal_scores((30,), seed, 3.0) for seed in range(6)]
    average, log_mean = None, None
    for batch in batches:
        now = float(batch.exp().mean())
        average = now if average is None else 0.9 * average + 0.1 * now
        log_mean = running_log_mean(log_mean, batch, rate=0.1)
        assert float(log_mean) == pytest.approx(math.log(average))


def test_the_correction_changes_the_gradient_as_the_formula_says_and_not_the_value() -> None:
    # T = theta . z, one feature vector z a pair. The reference differentiates e^T term by term.
    joint_z, product_z = normal_scores((7, 3)), normal_scores((20, 3), 1)
    theta = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64, requires_grad=True)
    average = torch.tensor(3.7, dtype=torch.float64)

    plain = donsker_varadhan(joint_z @ theta, product_z @ theta)
    corrected = donsker_varadhan(joint_z @ theta, product_z @ theta, average.log())
    assert torch.equal(corrected, plain)

    def mean_gradient(terms: list[Tensor]) -> Tensor:
        return torch.stack([torch.autograd.grad(term, theta)[0] for term in terms]).mean(0)

    of_joint = mean_gradient([z @ theta for z in joint_z])
    of_exponentials = mean_gradient([(z @ theta).exp() for z in product_z])
    batch_mean = (product_z @ theta).detach().exp().mean()
    (got,) = torch.autograd.grad(plain, theta)
    torch.testing.assert_close(got, of_joint - of_exponentials / batch_mean)
    (got,) = torch.autograd.grad(corrected, theta)
    torch.testing.assert_close(got, of_joint - of_exponentials / average)
    assert not torch.allclose(of_exponentials / batch_mean, of_exponentials / average)


def test_the_running_mean_carries_no_gradient() -> None:
    product = normal_scores((5,)).requires_grad_()
    assert not running_log_mean(None, product).requires_grad


def test_clipped_pairs_have_no_gradient_and_jensen_shannon_has_one_everywhere() -> None:
    joint, product = normal_scores((4,)), torch.tensor([-9.0, 0.0, 9.0], dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(smile(joint, product, 5.0), product)
    assert (gradient != 0).tolist() == [False, True, False]
    (gradient,) = torch.autograd.grad(jensen_shannon(joint, product), product)
    assert bool((gradient < 0).all())
