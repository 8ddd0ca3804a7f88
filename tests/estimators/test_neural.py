"""Trained critics, measured on held-out examples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from infopace.estimators._critic import all_scores, new_critic, train_critic
from infopace.estimators._neural import BOUNDS, _held_out_terms, neural_bound
from infopace.estimators._neural_bounds import donsker_varadhan, pair_scores, smile
from infopace.estimators._plug_in import entropy


def normal_pair(n: int, rho: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    x, noise = torch.randn(2, n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_normal_pair_is_found(bound: str) -> None:
    estimate = neural_bound(*normal_pair(800, 0.9), bound=bound, steps=1000)
    truth = -0.5 * math.log(1 - 0.9**2)
    assert abs(estimate.nats - truth) < max(0.15, 3 * estimate.std_error)
    assert 0.01 < estimate.std_error < 0.15
    assert (estimate.method, estimate.n, estimate.ceiling) == (bound, 160, math.inf)


@pytest.mark.parametrize("bound", BOUNDS)
def test_independent_blocks_measure_nothing(bound: str) -> None:
    x, y = normal_pair(400, 0.0, seed=1)
    assert -0.1 < neural_bound(x, y, bound=bound, steps=100).nats <= 0.02
    wide = torch.randn(400, 50, generator=torch.Generator().manual_seed(2))
    assert -0.1 < neural_bound(wide, torch.arange(400) % 4, bound=bound, steps=100).nats <= 0.02


@pytest.mark.parametrize("bound", BOUNDS)
def test_labels_that_can_be_told(bound: str) -> None:
    x, _ = normal_pair(400, 0.0)
    y = torch.arange(400) % 2
    estimate = neural_bound(x + 8.0 * y[:, None], y * 5 - 2, bound=bound, steps=100)
    assert estimate.nats == pytest.approx(math.log(2), abs=0.12)
    assert estimate.ceiling == pytest.approx(entropy(y))


@pytest.mark.parametrize("batch", [4, 32])
def test_infonce_stays_below_the_logarithm_of_its_batch(batch: int) -> None:
    x = torch.randn(300, 10, generator=torch.Generator().manual_seed(0))
    estimate = neural_bound(x, x, bound="infonce", batch=batch, steps=200)
    assert 0.5 * math.log(batch) < estimate.nats <= math.log(batch)
    if batch == 4:
        assert tuple(map(str, estimate.warnings)) == (
            "the value is near its limit ln 4: take a larger batch or more examples",
        )


@pytest.mark.parametrize("bound", ["mine", "smile"])
def test_the_mean_of_the_terms_is_the_bound_and_their_spread_its_noise(bound: str) -> None:
    # A fixed critic, many samples: the spread of the values is what one sample's terms say it is.
    critic = new_critic(1, 1, torch.Generator().manual_seed(0))
    critic[-2] = 0.004 * torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    values, errors = [], []
    for seed in range(60):
        x, y = (block.float() for block in normal_pair(100, 0.8, seed))
        terms = _held_out_terms(critic, (x, y), bound, 100)
        joint, product = pair_scores(all_scores(critic, x, y).double())
        value = donsker_varadhan(joint, product) if bound == "mine" else smile(joint, product)
        assert float(terms.mean()) == pytest.approx(float(value), abs=1e-9)
        values.append(float(terms.mean()))
        errors.append(float(terms.std()) / 10)
    assert float(torch.tensor(values).std()) == pytest.approx(float(torch.tensor(errors).mean()), rel=0.35)


def test_an_untrained_critic_claims_nothing_and_a_useless_one_is_not_kept() -> None:
    critic = new_critic(3, 2, torch.Generator().manual_seed(0))
    x, y = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(1))
    assert not bool(all_scores(critic, x, y[:, :2]).any())
    kept = train_critic(
        critic, (x, y[:, :2]), lambda scores: scores.mean(), lambda critic: -float(critic[-1].abs().sum()),
        batch=5, steps=40, generator=torch.Generator().manual_seed(2),
    )  # fmt: skip
    assert all(a is b for a, b in zip(kept, critic, strict=True))


def test_training_stops_when_looks_bring_nothing() -> None:
    steps = []
    critic = new_critic(1, 1, torch.Generator().manual_seed(0))

    def loss(scores: Tensor) -> Tensor:
        steps.append(1)
        return scores.mean()

    x, y = (block.float() for block in normal_pair(20, 0.0))
    generator = torch.Generator().manual_seed(0)
    train_critic(critic, (x, y), loss, lambda critic: 0.0, batch=10, steps=10_000, generator=generator)
    assert len(steps) == 15 * 20


def test_deterministic_by_seed_without_the_global_generator() -> None:
    x, y = normal_pair(100, 0.8)
    before = torch.get_rng_state()
    first, second = (neural_bound(x, y, steps=60, seed=3) for _ in range(2))
    assert first == second
    assert neural_bound(x, y, steps=60, seed=4) != first
    assert torch.equal(torch.get_rng_state(), before)


def test_scale_and_constant_columns_do_not_matter() -> None:
    x, y = normal_pair(200, 0.9)
    value = neural_bound(x, y, bound="infonce", steps=60).nats
    moved = neural_bound(1e3 * x + 7e3, y / 50, bound="infonce", steps=60).nats
    assert moved == pytest.approx(value, abs=1e-3)
    constant = neural_bound(torch.ones(200, 2), y, steps=60)
    assert constant.nats == pytest.approx(0, abs=0.02)


def test_a_critic_that_found_nothing_says_so() -> None:
    estimate = neural_bound(torch.ones(60, 2), torch.ones(60, 1), steps=20)
    assert estimate.nats == 0
    assert tuple(map(str, estimate.warnings)) == (
        "the critic found no information that held on held-out examples",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": "club"}, "bound must be one of 'mine', 'infonce', 'smile', got 'club'"),
        ({"batch": 1}, "batch must be at least 2 for a neural bound, got 1"),
        ({"steps": 0}, "steps must be at least 1 for a neural bound, got 0"),
    ],
)
def test_refusals_echo_the_value(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        neural_bound(*normal_pair(50, 0.5), **options)
    with pytest.raises(ValueError, match="n must be at least 20 for a neural bound, got 5"):
        neural_bound(*normal_pair(5, 0.5))
