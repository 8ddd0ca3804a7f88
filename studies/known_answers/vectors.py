"""Two vectors with a smooth dependence, or none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.stats

from studies.known_answers import truths
from studies.known_answers.task import Draw, Generator, Task, Tasks

Array = np.ndarray
Map = Callable[[Array], Array]


def pairs(p: int, q: int, *correlations: float, inside: float = 0.0) -> Draw:
    """Normal blocks whose first columns are pairs with these correlations; `inside` mixes the columns of a block."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = generator.normal(size=(n, p)), generator.normal(size=(n, q))
        for column, r in enumerate(correlations):
            y[:, column] = r * x[:, column] + math.sqrt(1 - r**2) * y[:, column]
        return x @ _mix(p, inside), y @ _mix(q, inside)

    return draw


def mapped(draw: Draw, f: Map, g: Map = lambda y: y) -> Draw:
    """The same dependence after maps of the blocks."""

    def both(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = draw(generator, n)
        return f(x), g(y)

    return both


def _mix(width: int, inside: float) -> Array:
    return (1 - inside) * np.eye(width) + inside / width


def _equal(p: int, q: int, rho: float) -> tuple[Draw, float]:
    """All columns of both blocks have the same correlation with each other."""
    covariance = np.full((p + q, p + q), rho)
    np.fill_diagonal(covariance, 1.0)

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        common = generator.normal(size=(n, 1))
        z = math.sqrt(rho) * common + math.sqrt(1 - rho) * generator.normal(size=(n, p + q))
        return z[:, :p], z[:, p:]

    return draw, truths.normal_blocks(covariance, p)


def _student(nu: float, p: int, q: int, *correlations: float) -> Draw:
    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = pairs(p, q, *correlations)(generator, n)
        scale = np.sqrt(nu / generator.chisquare(nu, size=(n, 1)))
        return x * scale, y * scale

    return draw


def _additive(f: Map, sigma: float, low: float = 0.0, high: float = 1.0) -> tuple[Draw, float]:
    """y = f(x) + sigma z for x uniform."""
    at = low + (np.arange(3_000) + 0.5) / 3_000 * (high - low)

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.uniform(low, high, size=(n, 1))
        return x, f(x) + sigma * generator.normal(size=(n, 1))

    return draw, truths.blurred(f(at), np.full(len(at), 1 / len(at)), sigma)


def _product(sigma: float) -> tuple[Draw, float]:
    """y = x_1 x_2 + sigma z for normal x."""
    u = np.linspace(-6, 6, 301)
    w = np.exp(-(u[:, None] ** 2 + u[None] ** 2) / 2)
    values, place = np.unique(np.round(u[:, None] * u[None], 2), return_inverse=True)
    weights = np.bincount(place.ravel(), w.ravel()) / w.sum()

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.normal(size=(n, 2))
        return x, x.prod(1, keepdims=True) + sigma * generator.normal(size=(n, 1))

    return draw, truths.blurred(values, weights, sigma)


def _uniform_noise(width: float) -> tuple[Draw, float]:
    """y = x + e, x uniform in (0, 1), e uniform in (0, width), width <= 1: I = width / 2 - ln width."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.uniform(size=(n, 1))
        return x, x + width * generator.uniform(size=(n, 1))

    return draw, width / 2 - math.log(width)


def _scaled_noise(scales: Map) -> tuple[Draw, float]:
    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.uniform(size=(n, 1))
        return x, scales(x) * generator.normal(size=(n, 1))

    return draw, truths.scale_of_noise(scales)


def _redundant(draw: Draw, columns: int) -> Draw:
    """x with more columns that are sums of its own."""

    def wider(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = draw(generator, n)
        weights = np.cos(np.arange(x.shape[1])[:, None] + 2.0 * np.arange(columns))
        return np.hstack([x, x @ weights]), y

    return wider


def _scales(width: int, largest: float) -> Map:
    """Columns times factors from 1 to the largest."""
    return lambda x: x * np.geomspace(1, largest, width)


def tasks() -> list[Task]:
    """The tasks of this file."""
    normal, found = truths.normal, Tasks()
    add, pair = found.add, found.pair

    add("normal", "1 x 1, .35", normal(0.35), pairs(1, 1, 0.35))
    add("normal", "1 x 1, .98, n 500", normal(0.98), pairs(1, 1, 0.98), 500)
    add("normal", "4 x 3, two pairs, mixed", normal(0.8, 0.5), pairs(4, 3, 0.8, 0.5, inside=0.6))
    pair("normal", "6 x 6, equal .4", _equal(6, 6, 0.4))
    add("wide", "12 x 12, four pairs", normal(*[0.6] * 4), pairs(12, 12, *[0.6] * 4))
    add(
        "wide", "20 x 20, three pairs, mixed", normal(0.8, 0.7, 0.4), pairs(20, 20, 0.8, 0.7, 0.4, inside=0.5)
    )
    pair("wide", "50 x 50, equal .3, n 2000", _equal(50, 50, 0.3), 2000)
    add("wide", "50 x 50, two pairs of .8", normal(0.8, 0.8), pairs(50, 50, 0.8, 0.8))
    add("wide", "1 x 40", normal(0.7), pairs(40, 1, 0.7))
    add("wide", "30 x 5, two pairs, n 500", normal(0.75, 0.6), pairs(30, 5, 0.75, 0.6), 500)
    add("wide", "30 x 30, cubed, one pair of .95", normal(0.95), mapped(pairs(30, 30, 0.95), lambda x: x**3))
    add(
        "wide",
        "40 x 40, Student 4, two pairs of .7",
        truths.student(4, 40, 40, 0.7, 0.7),
        _student(4, 40, 40, 0.7, 0.7),
        2000,
    )
    add("independent", "1 x 1", 0.0, pairs(1, 1))
    add("independent", "exp(3x) x Cauchy", 0.0, mapped(pairs(1, 1), lambda x: np.exp(3 * x), _cauchy))
    add("independent", "8 x 8, mixed", 0.0, pairs(8, 8, inside=0.7))
    add("independent", "25 x 25, n 500", 0.0, pairs(25, 25), 500)
    add("independent", "50 x 50, n 2000", 0.0, pairs(50, 50, inside=0.3), 2000)
    add("independent", "45 x 45", 0.0, pairs(45, 45))
    add("independent", "60 x 1", 0.0, pairs(60, 1))
    add("independent", "3 x 30, heavy tails", 0.0, mapped(pairs(3, 30), np.sinh, lambda y: y**5))
    add("maps", "exp(3x), 1 x 1", normal(0.85), mapped(pairs(1, 1, 0.85), lambda x: np.exp(3 * x)))
    add(
        "maps",
        "x^7 against exp(-2y)",
        normal(0.9),
        mapped(pairs(1, 1, 0.9), lambda x: x**7, lambda y: -np.exp(-2 * y)),
    )
    add("maps", "3 x 3, scales 1 to 10^4", normal(0.8, 0.6), mapped(pairs(3, 3, 0.8, 0.6), _scales(3, 1e4)))
    add(
        "maps",
        "5 x 2, exp(2x) and 1/(1 + exp(-3y))",
        normal(0.8, 0.5),
        mapped(pairs(5, 2, 0.8, 0.5), lambda x: np.exp(2 * x), lambda y: 1 / (1 + np.exp(-3 * y))),
    )
    add("tails", "Student 1, 1 x 1, .7", truths.student(1, 1, 1, 0.7), _student(1, 1, 1, 0.7))
    add("tails", "Student 2, 3 x 3, uncorrelated", truths.student(2, 3, 3), _student(2, 3, 3))
    add(
        "tails", "Student 6, 5 x 5, two pairs", truths.student(6, 5, 5, 0.7, 0.5), _student(6, 5, 5, 0.7, 0.5)
    )
    add(
        "tails",
        "Student 3, 2 x 1, exp of sinh",
        truths.student(3, 2, 1, 0.6),
        mapped(_student(3, 2, 1, 0.6), np.arcsinh, lambda y: y**3),
    )
    pair("curves", "sine, two periods", _additive(lambda x: np.sin(4 * math.pi * x), 0.3))
    pair("curves", "parabola", _additive(np.square, 0.1, -1, 1))
    pair("curves", "sine, five periods, n 2000", _additive(lambda x: np.sin(10 * math.pi * x), 0.2), 2000)
    pair("curves", "product of two, noise .5", _product(0.5))
    pair("curves", "uniform noise .1", _uniform_noise(0.1))
    pair("curves", "uniform noise .7", _uniform_noise(0.7))
    pair("curves", "noise that grows", _scaled_noise(lambda x: 0.1 + 2 * x))
    pair("curves", "noise of three levels", _scaled_noise(lambda x: 0.05 * 10.0 ** np.floor(3 * x)))
    add("redundant", "2 columns and 3 sums of them", normal(0.8), _redundant(pairs(2, 2, 0.8), 3))
    add(
        "redundant",
        "5 columns and 5 sums, n 500",
        normal(0.7, 0.7),
        _redundant(pairs(5, 3, 0.7, 0.7), 5),
        500,
    )
    add(
        "redundant",
        "y beside its double",
        normal(0.9),
        mapped(pairs(1, 1, 0.9), lambda x: x, lambda y: np.hstack([y, 2 * y])),
    )
    add(
        "redundant",
        "ten copies of one of two columns",
        normal(0.6),
        mapped(pairs(2, 1, 0.6), lambda x: np.hstack([x, *[x[:, 1:]] * 10])),
    )
    return found


def _cauchy(y: Array) -> Array:
    """A standard normal column to a Cauchy one."""
    return np.tan(math.pi * (scipy.stats.norm.cdf(y) - 0.5))
