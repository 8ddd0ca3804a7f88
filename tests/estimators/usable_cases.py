"""Every kind of target for usable information: samples with a known truth, and a slow, obvious reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from infopace.estimators import Estimate
from infopace.estimators._error_bar import stratified_parts


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def contributions(found: Estimate) -> Tensor:
    assert found.pointwise is not None
    assert found.pointwise.shape == (found.n,)
    assert float(found.pointwise.mean()) == pytest.approx(found.nats, abs=1e-12)
    return found.pointwise


def channel(
    draws: torch.Generator, shape: tuple[int, ...], classes: int, noise: float
) -> tuple[Tensor, Tensor]:
    """Labels through a symmetric channel: with probability `noise` what is seen is drawn anew. The true posterior."""
    labels = torch.randint(classes, shape, generator=draws)
    anew = torch.rand(shape, generator=draws) < noise
    seen = torch.where(anew, torch.randint(classes, shape, generator=draws), labels)
    posterior = torch.full((*shape, classes), noise / classes, dtype=torch.float64)
    posterior.scatter_(-1, seen[..., None], 1 - noise + noise / classes)
    return posterior.log(), labels


def channel_truth(classes: int, noise: float) -> float:
    right, wrong = 1 - noise + noise / classes, noise / classes
    return math.log(classes) + right * math.log(right) + (classes - 1) * wrong * math.log(wrong)


def soft(draws: torch.Generator, n: int, classes: int) -> tuple[Tensor, Tensor]:
    logits = 2 * torch.randn(n, classes, generator=draws, dtype=torch.float64)
    return logits, logits.softmax(1)


def soft_truth(classes: int) -> float:
    _, shares = soft(torch.Generator().manual_seed(9), 200_000, classes)
    return math.log(classes) + float((shares * shares.log()).sum(1).mean())


def gauss(draws: torch.Generator, shape: tuple[int, ...], rho: float) -> tuple[Tensor, Tensor]:
    x, noise = torch.randn(2, *shape, generator=draws, dtype=torch.float64)
    return rho * x, rho * x + math.sqrt(1 - rho**2) * noise


@dataclass(frozen=True)
class Case:
    """A kind of target: n examples -> scores of the best decoder and targets; and I(X;Y)."""

    kind: str
    draw: Callable[[torch.Generator, int], tuple[Tensor, Tensor]]
    truth: float
    # Whether a factor on the scores changes nothing.
    scaled: bool = True


def _dense(draws: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
    scores, labels = channel(draws, (n, 3, 4), 5, 0.3)
    return scores.movedim(-1, 1), labels


def _one_logit(draws: torch.Generator, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    scores, labels = channel(draws, shape, 2, 0.4)
    return scores[..., 1] - scores[..., 0], labels


CASES = {
    "classes": Case("classes", lambda g, n: channel(g, (n,), 4, 0.3), channel_truth(4, 0.3)),
    "one logit": Case("classes", lambda g, n: _one_logit(g, (n,)), channel_truth(2, 0.4)),
    "tokens": Case("tokens", lambda g, n: channel(g, (n, 7), 5, 0.3), channel_truth(5, 0.3)),
    "dense": Case("dense", _dense, channel_truth(5, 0.3)),
    "multi-label": Case("multi-label", lambda g, n: _one_logit(g, (n, 3)), 3 * channel_truth(2, 0.4)),
    "soft": Case("soft", lambda g, n: soft(g, n, 4), soft_truth(4)),
    "regression": Case("regression", lambda g, n: gauss(g, (n,), 0.8), -math.log(0.36) / 2, False),
    "columns": Case("regression", lambda g, n: gauss(g, (n, 3), 0.6), -3 * math.log(0.64) / 2, False),
    "positions": Case("regression", lambda g, n: gauss(g, (n, 2, 3), 0.6), -math.log(0.64) / 2, False),
}


def _mixed(ratio: float, others: int) -> float:
    return math.log((others * math.exp(ratio) + 1) / (others + 1))


def _log_softmax(logits: Any) -> Any:
    shifted = logits - logits.max()
    return shifted - math.log(np.exp(shifted).sum())


def _best_factor(loss: Callable[[float], float]) -> float:
    """The least loss over factors from 1e-4 to 1e4: a grid, then ever finer ones around its best."""
    low, high = math.log(1e-4), math.log(1e4)
    for _ in range(7):
        grid = np.linspace(low, high, 33)
        best = int(np.argmin([loss(math.exp(point)) for point in grid]))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 32)]
    return math.exp((low + high) / 2)


def reference_of_classes(
    examples: list[list[tuple[Any, Any, int]]], product: bool, strata: list[int] | None
) -> list[float]:
    """What examples contribute. Each is a list of (logits (C,), soft target (C,), column) of what counts in it."""
    n = len(examples)
    half = stratified_parts(torch.tensor([0] * n if strata is None else strata), 2).tolist()
    columns = sorted({column for example in examples for *_, column in example}) if product else [0]

    def weights(example: list[Any]) -> float:
        return 1.0 if product else 1 / len(example)

    def here(column: int) -> int:
        return column if product else 0

    frequencies: dict[int, Any] = {}
    for column in columns:
        total: Any = sum(
            weights(example) * target
            for example in examples
            for _, target, place in example
            if here(place) == column
        )
        frequencies[column] = total / total.sum()
    logarithms = {c: np.log(np.where(p > 0, p, 1)) for c, p in frequencies.items()}
    factors, units = [], []
    for part in (0, 1):
        inside = [examples[i] for i in range(n) if half[i] == part]
        units.append(len(inside) if product else sum(map(len, inside)))

        def loss(factor: float, inside: list[Any] = inside, extra: float = 1 / units[part]) -> float:
            value = 0.0
            for example in inside:
                for logits, target, place in example:
                    log_q = _log_softmax(factor * logits)
                    value -= weights(example) * float(
                        ((target + extra * frequencies[here(place)]) * log_q).sum()
                    )
            return value

        factors.append(_best_factor(loss))
    gains = []
    means = {column: np.zeros_like(frequencies[column]) for column in columns}
    known = dict.fromkeys(columns, 0.0)
    for i, example in enumerate(examples):
        ratios = []
        for logits, target, place in example:
            log_q = _log_softmax(factors[1 - half[i]] * logits)
            ratios.append(float((target * (log_q - logarithms[here(place)])).sum()))
            means[here(place)] = means[here(place)] + weights(example) * np.exp(log_q)
            known[here(place)] += weights(example)
        others = units[1 - half[i]]
        gains.append(_mixed(sum(ratios), others) if product else np.mean([_mixed(r, others) for r in ratios]))
    divergence = sum(
        known[c] / n * float((frequencies[c] * (logarithms[c] - np.log(means[c] / known[c]))).sum())
        for c in columns
    )
    if product:
        scatter = float(len(columns))
    else:
        own = [sum(target for _, target, _ in example) / len(example) for example in examples]
        p = frequencies[0]
        scatter = float((np.var(own, axis=0, ddof=1)[p > 0] / p[p > 0]).sum())
    allowance = max(0.0, min(divergence, (scatter + 2 * math.sqrt(2 * scatter)) / (2 * n)))
    return [gain + allowance for gain in gains]


def reference_of_quantities(predictions: Any, targets: Any, product: bool) -> list[float]:
    """What examples contribute, (n, P) each, all of which counts."""
    n, width = targets.shape
    half = stratified_parts(torch.zeros(n, dtype=torch.long), 2).tolist()
    columns = [[column] for column in range(width)] if product else [list(range(width))]
    ratio, gained = np.zeros((n, width)), 0.0
    for columns_here in columns:
        y, f = targets[:, columns_here], predictions[:, columns_here]
        variance, mean = y.var(), y.mean()
        for i in range(n):
            others = [j for j in range(n) if half[j] != half[i]]
            around = ((y - f)[others] ** 2).mean()
            log_q = -0.5 * np.log(2 * math.pi * around) - (y[i] - f[i]) ** 2 / (2 * around)
            log_p = -0.5 * np.log(2 * math.pi * variance) - (y[i] - mean) ** 2 / (2 * variance)
            ratio[i, columns_here] = log_q - log_p
        z = (y - mean) / math.sqrt(variance)
        gained += float((z.mean(1) ** 2).mean() + ((1 - (z**2).mean(1)) ** 2).mean() / 2)
    found = []
    for i in range(n):
        others = sum(half[j] != half[i] for j in range(n))
        gains = [_mixed(ratio[i].sum(), others)] if product else [_mixed(r, others * width) for r in ratio[i]]
        found.append(float(np.mean(gains)) + gained / (2 * n))
    return found
