"""Two vectors with structure: mixtures, clusters, parity, bent axes, atoms, rounded values, counts, copies."""

from __future__ import annotations

import math

import numpy as np

from studies.known_answers import truths
from studies.known_answers.task import Draw, Generator, Task, Tasks
from studies.known_answers.vectors import Array, Map, mapped, pairs


def _cross(rho: float) -> tuple[Draw, float]:
    """Half of the pairs have the correlation rho, half -rho."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = pairs(1, 1, rho)(generator, n)
        return x, y * generator.choice([-1.0, 1.0], size=(n, 1))

    def density(x: Array, y: Array) -> Array:
        square, cross = x**2 + y**2, 2 * rho * x * y
        parts = [np.exp(-(square + sign * cross) / (2 * (1 - rho**2))) for sign in (-1, 1)]
        return np.sum(parts, axis=0)

    return draw, truths.grid(density, 7)


def _corners(centres: list[tuple[float, float]], shares: list[float], sigma: float) -> tuple[Draw, float]:
    """Round clusters in the plane of one x and one y."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        at = np.array(centres)[generator.choice(len(shares), size=n, p=shares)]
        z = at + sigma * generator.normal(size=(n, 2))
        return z[:, :1], z[:, 1:]

    def density(x: Array, y: Array) -> Array:
        parts = [
            share * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * sigma**2))
            for share, (a, b) in zip(shares, centres, strict=True)
        ]
        return np.sum(parts, axis=0)

    reach = 8 * sigma + max(max(map(abs, centre)) for centre in centres)
    return draw, truths.grid(density, reach)


def _clusters(count: int, p: int, q: int, error: float = 0.0) -> tuple[Draw, float]:
    """Far-apart clusters in both blocks. y is in the cluster of x, or with probability `error` in any one."""
    other = error * (count - 1) / count
    truth = math.log(count) - truths.binary(other) - other * math.log(max(count - 1, 1))

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        fixed = np.random.default_rng(99)
        corners = [30 * fixed.permutation(count)[:, None] + fixed.normal(size=(count, d)) for d in (p, q)]
        here = generator.integers(count, size=n)
        there = np.where(generator.random(n) < error, generator.integers(count, size=n), here)
        return (
            corners[0][here] + generator.normal(size=(n, p)),
            corners[1][there] + generator.normal(size=(n, q)),
        )

    return draw, truth


def _parity(width: int, flip: float = 0.0) -> tuple[Draw, float]:
    """The sign of y is the product of the signs of x, but for a share of flips; sizes are independent."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.normal(size=(n, width))
        sign = np.sign(x).prod(1, keepdims=True) * np.where(generator.random((n, 1)) < flip, -1, 1)
        return x, sign * np.abs(generator.normal(size=(n, 1)))

    return draw, math.log(2) - truths.binary(flip)


def _sheared(strength: float, column: int = 0) -> Map:
    """The next column is moved by a bent function of this one, which can be taken back."""

    def move(x: Array) -> Array:
        moved = x.copy()
        moved[:, column + 1] += strength * np.sin(2 * x[:, column])
        return moved

    return move


def _bent(x: Array) -> Array:
    return np.hstack([x[:, :1], x[:, 1:2] + 2 * x[:, :1] ** 2, x[:, 2:]])


def _wound(speed: float) -> Map:
    """The first two columns turned by an angle that grows with their length."""

    def turn(x: Array) -> Array:
        angle = speed * np.hypot(x[:, 0], x[:, 1])
        turned = x.copy()
        turned[:, 0] = np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1]
        turned[:, 1] = np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1]
        return turned

    return turn


def _round(step: float) -> Map:
    return lambda x: np.round(x / step) * step


def _positive(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _half_gone(rho: float, share: float) -> tuple[Draw, float]:
    """A normal pair; x is set to 0 at random, with probability `share`. The gaps carry nothing: I = (1 - share) I_0."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = pairs(1, 1, rho)(generator, n)
        return np.where(generator.random((n, 1)) < share, 0.0, x), y

    return draw, (1 - share) * truths.normal(rho)


def _levels(count: int, width: float) -> tuple[Draw, float]:
    """x is one of 0 .. count-1 as a float, y = x + width * uniform, 1 < width <= 2."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.integers(count, size=(n, 1)).astype(float)
        return x, x + width * generator.random((n, 1))

    # The steps of y: 1 near both ends and (width - 1) parts between that two values share.
    shared = (count - 1) * (width - 1) / (count * width)
    density_one = 1 / (count * width)
    alone = 1 - 2 * shared
    h = -alone * math.log(density_one) - 2 * shared * math.log(2 * density_one)
    return draw, h - math.log(width)


def _counts(strength: float, base: float) -> tuple[Draw, float]:
    def rate(x: Array) -> Array:
        return base * np.exp(strength * x)

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.normal(size=(n, 1))
        return x, generator.poisson(rate(x)).astype(float)

    return draw, truths.poisson(rate)


def _swapped(case: tuple[Draw, float]) -> tuple[Draw, float]:
    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = case[0](generator, n)
        return y, x

    return draw, case[1]


def copied(draw: Draw, times: int) -> Draw:
    """Every example stands there several times, in random order."""

    def copies(generator: Generator, n: int) -> tuple[Array, Array]:
        x, y = draw(generator, n // times)
        order = generator.permutation(np.repeat(np.arange(n // times), times))
        return x[order], y[order]

    return copies


def tasks() -> list[Task]:
    """The tasks of this file."""
    normal, found = truths.normal, Tasks()
    add, pair = found.add, found.pair

    pair("mixtures", "cross of .9", _cross(0.9))
    pair("mixtures", "cross of .97", _cross(0.97), 500)
    pair(
        "mixtures",
        "four corners, unequal",
        _corners([(-2, -2), (-2, 2), (2, -2), (2, 2)], [0.4, 0.1, 0.1, 0.4], 0.7),
    )
    pair(
        "mixtures",
        "five clusters on a ring",
        _corners([(3, 0), (1, 3), (-2, 2), (-2, -2), (1, -3)], [0.2] * 5, 0.5),
    )
    pair("clusters", "8 clusters, 3 x 3", _clusters(8, 3, 3))
    pair("clusters", "5 clusters, 2 x 2, .3 astray", _clusters(5, 2, 2, 0.3))
    pair("clusters", "20 clusters, 6 x 4, n 2000", _clusters(20, 6, 4), 2000)
    pair("clusters", "4 clusters, 10 x 10, .2 astray", _clusters(4, 10, 10, 0.2))
    pair("parity", "of 2", _parity(2))
    pair("parity", "of 3, n 2000", _parity(3), 2000)
    pair("parity", "of 2, .1 flipped", _parity(2, 0.1))
    pair("parity", "of 4", _parity(4))
    add("shears", "2 x 1, strength 2", normal(0.85), mapped(pairs(2, 1, 0.85), _sheared(2.0)))
    add("shears", "2 x 2, the moved column", normal(0.3, 0.9), mapped(pairs(2, 2, 0.3, 0.9), _sheared(3.0)))
    add(
        "shears", "3 x 3, both blocks, squares", normal(0.8, 0.8), mapped(pairs(3, 3, 0.8, 0.8), _bent, _bent)
    )
    add("shears", "10 x 10, squares, n 2000", normal(0.8, 0.8), mapped(pairs(10, 10, 0.8, 0.8), _bent), 2000)
    add("spirals", "2 x 2, speed 1", normal(0.8, 0.8), mapped(pairs(2, 2, 0.8, 0.8), _wound(1.0)))
    add("spirals", "2 x 1, speed 3, n 2000", normal(0.9), mapped(pairs(2, 1, 0.9), _wound(3.0)), 2000)
    add("spirals", "5 x 5, speed 1.5", normal(0.8, 0.8), mapped(pairs(5, 5, 0.8, 0.8), _wound(1.5)))
    add(
        "spirals",
        "3 x 3, both, speed 1",
        normal(0.9, 0.6),
        mapped(pairs(3, 3, 0.9, 0.6), _wound(1.0), _wound(1.0)),
    )
    add("rounded", "x to .5", truths.rounded(0.9, 0.5, 0), mapped(pairs(1, 1, 0.9), _round(0.5)))
    add("rounded", "y to 1", truths.rounded(0.8, 0, 1.0), mapped(pairs(1, 1, 0.8), lambda x: x, _round(1.0)))
    add(
        "rounded",
        "both to .1",
        truths.rounded(0.9, 0.1, 0.1),
        mapped(pairs(1, 1, 0.9), _round(0.1), _round(0.1)),
    )
    add(
        "rounded",
        "x to .25, y to 1",
        truths.rounded(0.85, 0.25, 1.0),
        mapped(pairs(1, 1, 0.85), _round(0.25), _round(1.0)),
    )
    add(
        "rounded",
        "x to .2 beside two columns",
        truths.rounded(0.9, 0.2, 0),
        mapped(pairs(3, 1, 0.9), lambda x: np.hstack([_round(0.2)(x[:, :1]), x[:, 1:]])),
    )
    add(
        "rounded",
        "both to .02, n 2000",
        truths.rounded(0.95, 0.02, 0.02),
        mapped(pairs(1, 1, 0.95), _round(0.02), _round(0.02)),
        2000,
    )
    add("atoms", "x cut at 0", truths.censored(0.9, False), mapped(pairs(1, 1, 0.9), _positive))
    add("atoms", "both cut at 0", truths.censored(0.8, True), mapped(pairs(1, 1, 0.8), _positive, _positive))
    pair("atoms", "x gone with .4", _half_gone(0.95, 0.4))
    pair("atoms", "y gone with .3", _swapped(_half_gone(0.9, 0.3)))
    pair("atoms", "levels in x", _levels(10, 2.0))
    pair("atoms", "levels in y", _swapped(_levels(6, 1.5)))
    pair("atoms", "counts in y", _counts(0.8, 3.0))
    pair("atoms", "counts in x", _swapped(_counts(1.0, 1.0)))
    add("copies", "4 of each, 1 x 1", normal(0.6), copied(pairs(1, 1, 0.6), 4))
    add("copies", "2 of each, 2 x 2", normal(0.8, 0.5), copied(pairs(2, 2, 0.8, 0.5), 2))
    add("copies", "8 of each, independent, n 2000", 0.0, copied(pairs(1, 1), 8), 2000)
    add("copies", "5 of each, 3 x 1", normal(0.85), copied(pairs(3, 1, 0.85), 5))
    return found
