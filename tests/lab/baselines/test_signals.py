"""The rules that cut a rate by a signal: on series made for them, and against slow forms of their formulas."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from infopace.lab.baselines import BASELINES
from infopace.lab.baselines._refined import refined
from infopace.lab.errors import InputError
from infopace.lab.optimizers import ABEL, SALSA, SASA
from infopace.lab.optimizers._sasa import falls, stationary

Settings = Callable[..., Any]


def cuts(norms: list[float], epochs: int) -> list[int]:
    """The epochs after which ABEL cuts, for these squared norms of the weights, the first at the start."""
    weight = nn.Parameter(torch.tensor([math.sqrt(norms[0])], dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], 1.0)
    schedule = ABEL(optimizer, epochs)
    found: list[int] = []
    for epoch, norm in enumerate(norms[1:], 1):
        before = optimizer.param_groups[0]["lr"]
        optimizer.step()
        weight.data[:] = math.sqrt(norm)
        schedule.step()
        if optimizer.param_groups[0]["lr"] == pytest.approx(before / 10):
            found.append(epoch)
    return found


def test_abel_cuts_at_the_second_turn_of_the_norm_and_near_the_end() -> None:
    falling = [10 - 0.1 * i for i in range(21)]
    assert cuts(falling, 20) == [17]
    # A minimum at epoch 2, seen at 3. The maximum at epoch 5 is seen at 6, the next pair of turns at 8 and 10.
    assert cuts([9, 7, 5, 6, 7, 8, 6, 5, 6, 7, 6, 5, 4], 100) == [6, 10]
    assert cuts([9, 7, 5, 6, 7, 8, 9, 10], 100) == []  # one turn
    assert cuts([9, 7, 5, 6, 7, 8, 6, 5], 7) == [6]  # both reasons at once, one cut
    # The norm is the sum of squares: each weight's own norm grows less than the other's falls.
    weights = [nn.Parameter(torch.tensor([value])) for value in (3.0, 1.0)]
    schedule = ABEL(torch.optim.SGD(weights, 1.0), 5)
    assert schedule.norms == [10.0]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"epochs": 5, "factor": 1.0}, r"factor must be in \(0, 1\), got 1.0"),
        ({"epochs": 5, "last": 0.0}, r"last must be in \(0, 1\), got 0.0"),
    ],
)
def test_abel_refuses(options: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        ABEL(torch.optim.SGD([nn.Parameter(torch.ones(1))], 1.0), **options)


def series(seed: int, n: int, correlation: float = 0.0) -> np.ndarray:
    """Stationary noise with mean 0."""
    noise = np.random.default_rng(seed).normal(size=n)
    for i in range(1, n):
        noise[i] += correlation * noise[i - 1]
    return noise


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("batch_means", [False, True])
def test_the_test_fires_on_noise_and_not_on_a_drift(batch_means: bool, halves: bool) -> None:
    options = {"batch_means": batch_means, "halves": halves}
    noise = [stationary(series(seed, 1001), **options) for seed in range(200)]
    # Half of all series have halves with means of two signs.
    assert 0.35 < np.mean(noise) < 0.6
    assert not any(stationary(series(seed, 1001) - 1.0, **options) for seed in range(50))
    drift = np.linspace(-1.0, 1.0, 1001)
    assert not any(stationary(series(seed, 1001) + drift, **options) for seed in range(50))


def test_batch_means_hold_the_level_where_values_are_correlated() -> None:
    # Of series with one sign in both halves, which are those where the interval alone decides.
    many = [series(seed, 1001, 0.8) for seed in range(300)]
    one_sign = [v for v in many if v[:500].mean() * v[500:].mean() > 0]
    held = {
        mode: np.mean([stationary(v, batch_means=mode, halves=False) for v in one_sign])
        for mode in (True, False)
    }
    assert held[True] > 0.85
    assert held[False] < 0.5


def test_the_interval_of_the_formula() -> None:
    for seed in range(20):
        v = series(seed, 50) + 0.3
        blocks = [np.mean(v[7 * i : 7 * i + 7]) for i in range(7)]
        std = math.sqrt(7 / 6 * sum((b - np.mean(v)) ** 2 for b in blocks))
        half = std / math.sqrt(50) * stats.t.ppf(0.975, 6)
        wanted = np.mean(v) - half < 0 < np.mean(v) + half and np.mean(v[:25]) * np.mean(v[25:]) > 0
        assert stationary(v, batch_means=True, halves=False) == wanted
        interval = stats.t.interval(0.95, 49, np.mean(v), np.std(v, ddof=1) / math.sqrt(50))
        wanted = interval[0] < 0 < interval[1] and np.mean(v[:25]) * np.mean(v[25:]) > 0
        assert stationary(v, batch_means=False, halves=False) == wanted


def test_a_slope_is_that_of_least_squares() -> None:
    x = np.arange(200)
    for seed in range(30):
        for slope in (-0.01, -0.001, 0.0, 0.01):
            y = series(seed, 200) + slope * x
            line: Any = stats.linregress(x, y, alternative="less")
            assert falls(y) == (line.pvalue < 0.05)
    assert not falls(np.ones(50))
    assert falls(-x.astype(float))


def gradients(seed: int, steps: int) -> list[np.ndarray]:
    return [*np.random.default_rng(seed).normal(size=(steps, 4))]


def test_sasa_takes_the_steps_of_the_formula_and_drops_as_a_slow_form() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64))
    optimizer = SASA([weight], 0.1, momentum=0.9, weight_decay=0.01, least=20, every=7)
    w, h, lr, values, drops = weight.detach().numpy().copy(), np.zeros(4), 0.1, [], []
    for t, noise in enumerate(gradients(3, 1500), 1):
        grad = w + noise  # a quadratic loss
        weight.grad = torch.tensor(grad)
        optimizer.step()
        h = 0.9 * h + 0.1 * (grad + 0.01 * w)
        w = w - lr * h
        values.append(w @ h + lr / 2 * h @ h)
        newest = np.array(values[-math.ceil(len(values) / 8) :])
        if len(newest) > 20 and t % 7 == 0 and stationary(newest, batch_means=True, halves=not drops):
            lr, h, values = lr / 10, np.zeros(4), []
            drops.append(t)
        np.testing.assert_allclose(weight.detach(), w, rtol=1e-9)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr)
    assert len(drops) >= 2
    assert drops[0] > 160  # 20 kept values need more than eight times as many steps


class Parabola:
    """A loss (s/2) |w|^2 with its gradient, on which a line search knows the best rate, 1 / s."""

    def __init__(self, scale: float) -> None:
        self.weight, self.scale = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64)), scale

    def loss(self) -> float:
        return float(self.scale / 2 * self.weight.detach().square().sum())

    def step(self, optimizer: SALSA) -> None:
        self.weight.grad = self.scale * self.weight.detach()
        optimizer.step(self.loss)


def test_the_line_search_follows_the_formula() -> None:
    there, lr = Parabola(4.0), 0.01
    optimizer = SALSA([there.weight], lr, gamma=0.5, momentum=0.0)
    for _ in range(12):
        w = there.weight.detach().numpy().copy()
        start, squares = 2 * w @ w, 16 * w @ w
        eta = 2 * lr
        for _ in range(2):
            at = w - eta * 4 * w
            if 2 * at @ at <= start - 0.05 * eta * squares:
                break
            eta /= 2
        lr = 0.5 * lr + 0.5 * eta
        there.step(optimizer)
        np.testing.assert_allclose(there.weight.detach(), w - lr * 4 * w, rtol=1e-9)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr)
    # w - eta 4 w passes the test below eta = 0.475, whatever the first rate was.
    assert 0.15 < lr < 0.475


def test_salsa_stops_searching_where_the_loss_no_longer_falls() -> None:
    weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = SALSA([weight], 0.1, least=20, every=10**6)
    random = np.random.default_rng(0)
    for t in range(400):
        weight.grad = torch.ones(2, dtype=torch.float64)
        level = 10 - 0.05 * t if t < 200 else 0.0
        optimizer.step(lambda level=level: level + float(random.normal(0, 0.1)))
        if t == 199:
            assert not optimizer.param_groups[0]["switched"]
    assert optimizer.param_groups[0]["switched"]
    rate = optimizer.param_groups[0]["lr"]
    weight.grad = torch.ones(2, dtype=torch.float64)
    optimizer.step(lambda: 1e9)
    assert optimizer.param_groups[0]["lr"] == rate


def test_a_loss_that_is_not_a_number_is_no_decrease_but_as_shipped() -> None:
    for shipped, wanted in ((False, 0.75), (True, 1.5)):
        weight = nn.Parameter(torch.ones(2))
        weight.grad = torch.ones(2)
        optimizer = SALSA([weight], 1.0, gamma=0.5, as_shipped=shipped)
        answers = iter([1.0, math.nan, math.nan])
        optimizer.step(lambda answers=answers: next(answers))
        assert optimizer.param_groups[0]["lr"] == wanted


def test_salsa_needs_the_loss_again() -> None:
    with pytest.raises(ValueError, match="needs a closure that returns the loss again, got None"):
        SALSA([nn.Parameter(torch.ones(1))]).step()
    with pytest.raises(ValueError, match=r"gamma must be in \(0, 1\], got 0.0"):
        SALSA([nn.Parameter(torch.ones(1))], gamma=0.0)
    with pytest.raises(ValueError, match="least must be >= 8, got 7"):
        SASA([nn.Parameter(torch.ones(1))], least=7)
    with pytest.raises(ValueError, match="every must be >= 1, got 0"):
        SASA([nn.Parameter(torch.ones(1))], every=0)
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got 1"):
        SASA([nn.Parameter(torch.ones(1))], momentum=1.0)


@pytest.mark.parametrize("kind", [SASA, SALSA])
def test_a_state_goes_on_with_the_same_bits(kind: type[SASA]) -> None:
    def build(weight: nn.Parameter) -> SASA:
        return kind([weight], 0.1, weight_decay=0.01, least=8, every=5)

    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 3.0]))
    optimizer, noise = build(weight), [torch.tensor(g, dtype=torch.float32) for g in gradients(1, 400)]

    def take(optimizer: SASA, weight: Tensor, noise: Tensor) -> None:
        weight.grad = weight.detach() + noise
        optimizer.step(lambda: float(weight.detach().square().sum()))

    for g in noise[:250]:
        take(optimizer, weight, g)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    copy = nn.Parameter(weight.detach().clone())
    other = build(copy)
    other.load_state_dict(torch.load(file, weights_only=True))
    for g in noise[250:]:
        take(optimizer, weight, g)
        take(other, copy, g)
    assert torch.equal(weight, copy)
    assert optimizer.param_groups[0]["drops"] == other.param_groups[0]["drops"] > 0


def test_the_cadence_of_a_short_plan_is_a_share_of_the_published_one(setting: Settings) -> None:
    def cadence(epochs: int) -> tuple[int, int]:
        optimizer: Any = BASELINES["sasa-plus-repaired"].build(setting(epochs=epochs)).optimizer
        return optimizer._least, optimizer._every

    assert cadence(8000) == cadence(20_000) == (1000, 100)
    assert cadence(800) == (100, 10)
    assert cadence(1) == (16, 1)
    shipped: Any = BASELINES["sasa-plus"].build(setting(epochs=1)).optimizer
    assert (shipped._least, shipped._every) == (1000, 100)


def test_constant_gradients_give_linear_decay() -> None:
    for count in (2, 7, 10, 200):
        np.testing.assert_allclose(
            refined(np.full(count, 3.0)), 1 - np.arange(1, count + 1) / count, atol=1e-12
        )
    for odd in (0.0, math.inf, math.nan):
        np.testing.assert_allclose(refined(np.full(10, odd)), refined(np.ones(10)))


def test_a_refined_schedule_is_that_of_the_formula() -> None:
    norms = np.random.default_rng(0).uniform(1, 5, size=60) * np.linspace(1, 3, 60)
    padded = [norms[0]] * 3 + list(norms) + list(norms[-2:-5:-1])
    smooth = [sorted(padded[t : t + 7])[3] for t in range(60)]
    w = [1 / g for g in smooth]
    wanted = [w[t] * 60 / sum(w) * sum(w[t + 1 :]) / sum(w) for t in range(60)]
    np.testing.assert_allclose(refined(norms), wanted, rtol=1e-9)
    assert np.mean(wanted) == pytest.approx(0.5, abs=0.02)
    assert refined(norms)[-1] == 0


def test_the_pilot_is_forgotten_but_for_its_gradients(setting: Settings) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    steps = BASELINES["refined-linear"].build(
        setting(model=model, epochs=5, batches=3, lr=0.1)
    )  # 7 and 8 batches
    norms, rates = [], []
    for t in range(15):
        assert all(torch.equal(start[k], v) for k, v in model.state_dict().items()) == (t in (0, 7)), t
        rates += steps.lrs()
        steps.optimizer.zero_grad()
        loss = model(torch.randn(6, 3)).square().mean()
        loss.backward()
        norms.append(sum(float(p.grad.abs().sum()) for p in model.parameters() if p.grad is not None))
        steps.step(loss)
    assert rates[:7] == pytest.approx([0.1 * (1 - t / 7) for t in range(7)])
    factors = refined(np.array(norms[:7]))
    assert rates[7:] == pytest.approx([*(0.1 * factors), 0.0])


def test_refined_linear_needs_two_runs(setting: Settings) -> None:
    with pytest.raises(InputError, match="refined-linear needs at least 4 batches, two for its pilot, got 3"):
        BASELINES["refined-linear"].build(setting(epochs=1, batches=3))
