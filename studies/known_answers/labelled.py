"""Vectors with class labels, and soft labels."""

from __future__ import annotations

import math

import numpy as np
import scipy.special

from studies.known_answers import truths
from studies.known_answers.structures import copied
from studies.known_answers.task import Draw, Generator, Task, Tasks
from studies.known_answers.vectors import Array, mapped, pairs


def _on_a_line(
    centres: list[float], shares: list[float], sigmas: list[float], width: int = 1, noise: float = 1.0
) -> tuple[Draw, float]:
    """Classes on a line; the other columns are noise of this scale."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        y = generator.choice(len(shares), size=n, p=shares)
        x = noise * generator.normal(size=(n, width))
        x[:, 0] = np.array(centres)[y] + np.array(sigmas)[y] * generator.normal(size=n)
        return x, y

    return draw, truths.classes(centres, shares, sigmas)


def _apart(count: int, width: int) -> tuple[Draw, float]:
    """Separable classes, equally frequent."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        centres = 20 * np.random.default_rng(7).normal(size=(count, width))
        y = generator.permutation(np.arange(n) % count)
        return centres[y] + generator.normal(size=(n, width)), y

    return draw, math.log(count)


def _quadrants(flip: float, width: int = 2) -> tuple[Draw, float]:
    """The label is whether x_1 and x_2 have the same sign, but for a share of flips."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.normal(size=(n, width))
        same = (x[:, 0] * x[:, 1] > 0) ^ (generator.random(n) < flip)
        return x, same.astype(int)

    return draw, math.log(2) - truths.binary(flip)


def _rings(count: int) -> tuple[Draw, float]:
    """The label is the part of the distribution of |x| in the plane in which x lies."""

    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        x = generator.normal(size=(n, 2))
        share = 1 - np.exp(-(x**2).sum(1) / 2)
        return x, np.minimum((count * share).astype(int), count - 1)

    return draw, math.log(count)


def _no_relation(width: int, classes: int) -> tuple[Draw, float]:
    def draw(generator: Generator, n: int) -> tuple[Array, Array]:
        return generator.normal(size=(n, width)), generator.integers(classes, size=n)

    return draw, 0.0


def _soft(y: Array) -> Array:
    """Logits, the last 0, to class probabilities: one column more, and their sum is 1."""
    return scipy.special.softmax(np.hstack([2 * y, np.zeros((len(y), 1))]), axis=1)


def tasks() -> list[Task]:
    """The tasks of this file."""
    normal, found = truths.normal, Tasks()
    add, pair = found.add, found.pair

    tails = _on_a_line([-0.8, 0.8], [0.5, 0.5], [1.0, 1.0])
    pair("labels", "two classes, 1 column", _on_a_line([-1, 1], [0.5, 0.5], [1.0, 1.0]))
    pair("labels", "two classes, 5 columns", _on_a_line([-1.5, 1.5], [0.5, 0.5], [1.0, 1.0], 5))
    pair("labels", "three scales", _on_a_line([0, 0, 0], [0.4, 0.3, 0.3], [0.2, 1.0, 5.0]))
    pair("labels", "one in twenty", _on_a_line([0, 3], [0.95, 0.05], [1.0, 1.0], 2))
    add("labels", "heavy tails", tails[1], mapped(tails[0], lambda x: np.sinh(3 * x)))
    pair("labels", "noise of scale 1000 beside", _on_a_line([-2, 2], [0.5, 0.5], [1.0, 1.0], 3, 1000.0))
    pair("labels", "quadrants, .1 flipped", _quadrants(0.1))
    pair("labels", "quadrants in 6 columns", _quadrants(0.0, 6))
    pair("labels", "four rings", _rings(4))
    pair("labels", "six rings, n 2000", _rings(6), 2000)
    pair("classes", "10 apart, 20 columns", _apart(10, 20))
    pair("classes", "100 apart, 30 columns, n 2000", _apart(100, 30), 2000)
    pair("classes", "50 apart, 16 columns, n 500", _apart(50, 16), 500)
    pair("classes", "200 apart, 64 columns", _apart(200, 64))
    pair("no relation", "5 classes, 100 columns", _no_relation(100, 5))
    pair("no relation", "40 classes, 3 columns", _no_relation(3, 40))
    two = _on_a_line([-1.2, 1.2], [0.5, 0.5], [1.0, 1.0], 2)
    add("label copies", "4 of each", two[1], copied(two[0], 4))
    add("label copies", "5 of each, no relation", 0.0, copied(_no_relation(3, 4)[0], 5))
    add(
        "soft labels",
        "3 classes, 2 columns",
        normal(0.9, 0.6),
        mapped(pairs(2, 2, 0.9, 0.6), lambda x: x, _soft),
    )
    add(
        "soft labels",
        "5 classes, 8 columns",
        normal(0.8, 0.8, 0.5),
        mapped(pairs(8, 4, 0.8, 0.8, 0.5), lambda x: x, _soft),
    )
    add(
        "soft labels",
        "4 classes, exp, n 500",
        normal(0.8, 0.7),
        mapped(pairs(3, 3, 0.8, 0.7), np.exp, _soft),
        500,
    )
    add(
        "soft labels",
        "10 classes, 20 columns",
        normal(0.9, 0.7),
        mapped(pairs(20, 9, 0.9, 0.7), lambda x: x, _soft),
    )
    return found
