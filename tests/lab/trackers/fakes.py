"""A package of wandb's form with its server, which loses what a killed run had not handed over yet."""

from __future__ import annotations

from typing import Any


class FakeRun:
    """Holds back the latest `behind` logs until newer ones come, as wandb's and trackio's queues do."""

    def __init__(self, kept: list[tuple[int, dict[str, Any]]], behind: int) -> None:
        self._kept, self._behind = kept, behind
        self._queue: list[tuple[int, dict[str, Any]]] = []
        self.starting_step = self._next_step = max((step for step, _ in kept), default=-1) + 1
        self.finished = False

    def log(self, data: dict[str, Any], step: int) -> None:
        assert not self.finished, "nothing is logged behind the end"
        self._queue.append((step, data))
        self._hand_over(max(0, len(self._queue) - self._behind))

    def finish(self) -> None:
        self._hand_over(len(self._queue))
        self.finished = True

    def _hand_over(self, count: int) -> None:
        self._kept += self._queue[:count]
        del self._queue[:count]


class FakePackage:
    """The module; `server` is what it kept, by the run's id or, where init is given none, by its name."""

    def __init__(self, behind: int = 1, *, offline: bool = False) -> None:
        self.server: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.inits: list[dict[str, Any]] = []
        self.runs: list[FakeRun] = []
        self.behind, self.offline = behind, offline

    def init(self, *, project: str, name: str, config: dict[str, Any], resume: str, **more: str) -> FakeRun:
        self.inits.append({"project": project, "name": name, "config": config, "resume": resume, **more})
        key = f"{more.get('id', name)}{len(self.inits) * self.offline or ''}"
        self.runs.append(FakeRun(self.server.setdefault(key, []), self.behind))
        return self.runs[-1]

    def steps(self) -> list[list[int]]:
        """The steps of each run on the server."""
        return [[step for step, _ in kept] for kept in self.server.values()]
