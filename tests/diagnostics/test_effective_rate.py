"""The effective rate, against what optimizers do, and against the stationary noise of a quadratic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.optim import Optimizer

from infopace.diagnostics import effective_rate, effective_rates

CHAINS = 12_000


def optimizers(weight: Tensor) -> dict[str, Optimizer]:
    return {
        "plain": optim.SGD([weight], 0.1),
        "momentum": optim.SGD([weight], 0.1, momentum=0.9),
        "nesterov": optim.SGD([weight], 0.1, momentum=0.8, nesterov=True),
        "dampening": optim.SGD([weight], 0.1, momentum=0.75, dampening=0.5),
        "dampening alone": optim.SGD([weight], 0.1, dampening=0.5),
    }


@pytest.mark.parametrize("kind", ["plain", "momentum", "nesterov", "dampening", "dampening alone"])
def test_it_is_how_far_one_gradient_moves_a_weight_in_the_end(kind: str) -> None:
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = optimizers(weight)[kind]
    # torch takes the first gradient without dampening.
    for gradient in [0.0, 1.0, *[0.0] * 300]:
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
    assert effective_rates(optimizer) == pytest.approx([-float(weight.detach())])


def test_beta_1_of_adam_does_not_count() -> None:
    """Late in a run, a gradient of 1 more moves the weight by eta over the root of the second moment, here eps."""
    moved, rates, eps = [], [0.0], 1e6
    for more in (0.0, 1.0):
        weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = optim.Adam([weight], 0.1, betas=(0.9, 0.99), eps=eps)
        for step in range(600):
            weight.grad = torch.ones_like(weight) + more * (step == 300)
            optimizer.step()
        moved.append(float(weight.detach()))
        rates = effective_rates(optimizer)
    assert (moved[0] - moved[1]) * eps == pytest.approx(rates[0], rel=1e-3)


def test_groups_tensors_and_other_optimizers() -> None:
    weights = [nn.Parameter(torch.zeros(2, 2)) for _ in range(2)]
    groups = [{"params": weights[:1]}, {"params": weights[1:], "momentum": 0.5, "lr": 0.2}]
    assert effective_rates(optim.SGD(groups, torch.tensor(0.1), momentum=0.9)) == pytest.approx([1.0, 0.4])
    assert effective_rates(optim.RMSprop(weights, 0.1, momentum=0.5)) == pytest.approx([0.2])
    for kind in (optim.AdamW, optim.NAdam, optim.Adagrad, optim.Adafactor, optim.LBFGS, optim.Rprop):
        assert effective_rates(kind(weights, 0.1)) == pytest.approx([0.1])

    class Own(Optimizer):
        def __init__(self, params: Any, lr: float, momentum: float) -> None:
            super().__init__(params, {"lr": lr, "momentum": momentum})

    with pytest.raises(ValueError, match=r"^the optimizer must be one of torch .*, got Own; effective_rate"):
        effective_rates(Own(weights, 0.1, 0.9))
    assert effective_rates(Own(weights, 0.1, 0.0)) == [0.1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effective_rate(-0.1), r"lr must be a finite number of at least 0, got -0\.1"),
        (lambda: effective_rate(0.1, 1.0), r"momentum must be below 1, got 1\.0"),
        (lambda: effective_rate(0.1, math.nan), "momentum must be a finite number of at least 0, got nan"),
        (lambda: effective_rate(0.1, 0.9, 1.5), r"dampening must be at most 1, got 1\.5"),
    ],
)
def test_bad_values_are_refused(call: Callable[[], float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()


class Quadratic:
    """Chains of noisy gradient descent on w^2 / 2, with gradients of noise sd 1, by torch's SGD."""

    def __init__(self, lr: float, momentum: float, seed: int) -> None:
        self._draws = torch.Generator().manual_seed(seed)
        self.weights = nn.Parameter(torch.zeros(CHAINS))
        self.optimizer = optim.SGD([self.weights], lr, momentum=momentum)

    def run(self, steps: int) -> list[float]:
        """The variance after each step."""
        found = []
        for _ in range(steps):
            self.weights.grad = self.weights.detach() + torch.randn(CHAINS, generator=self._draws)
            self.optimizer.step()
            found.append(float(self.weights.detach().square().mean()))
        return found


def theory(lr: float, momentum: float) -> float:
    """The stationary variance of MSGD; lam = s = 1."""
    return lr * (1 + momentum) / ((1 - momentum) * (2 * (1 + momentum) - lr))


# 4 standard errors of a variance from so many independent chains.
ERROR = 4 * math.sqrt(2 / CHAINS)


def test_the_stationary_noise_is_that_of_the_effective_rate() -> None:
    effective, found = 0.02, []
    for seed, momentum in enumerate((0.0, 0.5, 0.9)):
        lr = effective * (1 - momentum)
        assert effective_rate(lr, momentum) == pytest.approx(effective)
        variance = Quadratic(lr, momentum, seed).run(250)[-1]
        assert variance == pytest.approx(theory(lr, momentum), rel=ERROR)
        found.append(variance)
    assert max(found) / min(found) - 1 < math.sqrt(2) * ERROR
    # At equal lr it is not.
    assert theory(effective, 0.9) > 9 * theory(effective, 0.0)


def test_halving_it_by_momentum_or_by_the_rate_leaves_the_same_tail() -> None:
    tails = []
    for seed, changed in enumerate(({"lr": 0.002}, {"momentum": 0.8})):
        chains = Quadratic(0.004, 0.9, 10 + seed)
        chains.run(120)
        chains.optimizer.param_groups[0].update(changed)
        tails.append(chains.run(200))
    for by_rate, by_momentum in list(zip(*tails, strict=True))[20::30]:
        assert by_momentum == pytest.approx(by_rate, rel=math.sqrt(2) * ERROR)
    assert tails[0][-1] == pytest.approx(theory(0.002, 0.9), rel=ERROR)
    assert tails[0][-1] < 0.6 * tails[0][0]
