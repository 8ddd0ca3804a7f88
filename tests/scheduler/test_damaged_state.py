"""Each part of a state damaged in many ways: it is refused in one line and nothing changes, or the run goes on."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import jaxtyping
import pytest
import torch
from torch import nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe
from infopace.probe import Measuring

from ..small_run import data, same

WRONG: list[Any] = [
    None,
    -1,
    1.5,
    math.nan,
    "x",
    [],
    {},
    True,
    10**6,
    [None],
    {"output": None},
    torch.zeros(3),
]
Path = tuple[Any, ...]


class Loop:
    def __init__(self, every: int | None) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        groups = [
            {"params": list(self.model[0].parameters())},
            {"params": list(self.model[2].parameters()), "lr": 1e-4},
        ]
        self.optimizer, (inputs, labels) = torch.optim.AdamW(groups, lr=1e-3), data()
        self.scheduler = MutualInformationLR(
            self.optimizer,
            self.model,
            Probe(inputs[:60], labels[:60]),
            Bounds(1e-4, 1e-2),
            HoldAndDecay(),
            held_out=Probe(inputs[500:560], labels[500:560]),
            every=every,
            measuring=Measuring(std_error=False),
        )
        self.every = every

    def train(self, steps: int) -> None:
        inputs, labels = data()
        for step in range(steps):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(inputs[:50]), labels[:50]).backward()
            self.optimizer.step()
            if self.every is None and step % 10 == 9:
                self.scheduler.observe()
                self.scheduler.step()

    @property
    def all(self) -> Any:
        return [self.scheduler.state_dict(), [group["lr"] for group in self.optimizer.param_groups]]


def paths(part: Any, path: Path = ()) -> Iterator[Path]:
    """Where something is in a state: every part of a dict, the first and the last of a list."""
    if path:
        yield path
    places = part if isinstance(part, dict) else {0, len(part) - 1} if isinstance(part, list) and part else ()
    for place in places:
        yield from paths(part[place], (*path, place))


def damaged(state: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    def holder(of: Any) -> Any:
        for place in path[:-1]:
            of = of[place]
        return of

    for wrong in WRONG:
        other = copy.deepcopy(state)
        holder(other)[path[-1]] = wrong
        yield other
    other = copy.deepcopy(state)
    del holder(other)[path[-1]]
    yield other
    other = copy.deepcopy(state)
    part = holder(other)[path[-1]]
    if isinstance(part, list) and part:
        part.append(copy.deepcopy(part[-1]))
        yield other
    if isinstance(part, dict) and part:
        part["another"] = copy.deepcopy(next(iter(part.values())))
        yield other


def refusal(loop: Loop, state: dict[str, Any]) -> str | None:
    """The error that loading raises; None: it is loaded."""
    try:
        loop.scheduler.load_state_dict(state)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore:other code, another scheduler perhaps")
@pytest.mark.parametrize("every", [10, pytest.param(None, marks=pytest.mark.slow)])
def test_a_damaged_state_is_refused_or_harmless(monkeypatch: pytest.MonkeyPatch, every: int | None) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # whole numbers as rates
    loop, other = Loop(every), Loop(every)
    loop.train(115)
    state, weights = loop.scheduler.state_dict(), copy.deepcopy(loop.model.state_dict())
    before, refused = other.all, 0
    for path in paths(state):
        for damage in damaged(state, path):
            if same(damage, state):
                continue
            if (message := refusal(other, damage)) is not None:
                refused += 1
                assert "\n" not in message, path
                assert same(other.all, before), (path, message)
                continue
            # What nothing can be wrong with, such as another finite number of nats.
            if path[0] in ("last_lr", "group_lrs", "factors", "scales", "decisions", "used", "first", "time"):
                other.scheduler.explain()
                assert all(math.isfinite(rate) for rate in other.scheduler.get_lr()), path
                assert len(other.scheduler.decisions) == len(loop.scheduler.decisions), path
            other = Loop(every)
            before = other.all
    assert refused > 500
    other.model.load_state_dict(weights)
    other.scheduler.load_state_dict(state)
    other.train(10)
    assert other.scheduler.explain().startswith(loop.scheduler.explain().splitlines()[0])


@pytest.mark.parametrize("version", [0, 3, 4, "4", None])
def test_a_state_of_another_version_is_refused(version: Any) -> None:
    state = Loop(10).scheduler.state_dict()
    with pytest.raises(ValueError, match=r"scheduler state must have version \d+, got"):
        Loop(10).scheduler.load_state_dict({**state, "version": version})
