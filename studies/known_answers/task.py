"""What a task is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Generator = np.random.Generator
Draw = Callable[[Generator, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Task:
    """A distribution with known information.

    Attributes:
        name: Unique.
        kind: Tasks of a kind are shared out between the halves in turn.
        truth: I(X;Y) in nats.
        draw: (generator, n) -> n examples of x and y.
        n: Examples of a sample.
    """

    name: str
    kind: str
    truth: float
    draw: Draw
    n: int = 1000


class Tasks(list[Task]):
    """Tasks in the order in which they are added."""

    def add(self, kind: str, name: str, truth: float, draw: Draw, n: int = 1000) -> None:
        """Add a task."""
        self.append(Task(name, kind, truth, draw, n))

    def pair(self, kind: str, name: str, case: tuple[Draw, float], n: int = 1000) -> None:
        """Add a task of a distribution that comes with its truth."""
        self.add(kind, name, case[1], case[0], n)


def halves(tasks: list[Task]) -> dict[str, list[Task]]:
    """Every second task of a kind is for development, the others for judging."""
    found: dict[str, list[Task]] = {"development": [], "judging": []}
    for kind in dict.fromkeys(task.kind for task in tasks):
        for place, task in enumerate(each for each in tasks if each.kind == kind):
            found["judging" if place % 2 else "development"].append(task)
    return found
