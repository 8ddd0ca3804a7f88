"""docs/baselines.md has every baseline, with the summary, the grid and the rate that the code has."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from infopace.lab.baselines import BASELINES
from infopace.lab.compare import DEFAULT_METHODS
from infopace.scheduler import Optimizers

ROOT = Path(__file__).parents[3]


def rows() -> dict[str, list[str]]:
    lines = (ROOT / "docs" / "baselines.md").read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")
    ]
    return {name.strip("`"): rest for name, *rest in cells}


def test_the_table_is_what_the_code_has() -> None:
    assert list(rows()) == list(BASELINES)
    for name, (summary, _, source, grid, lr) in rows().items():
        baseline = BASELINES[name]
        assert summary == baseline.summary
        assert source
        none = "those of the optimizer" if baseline.of_the_run else "none to tune"
        assert grid == (" ".join(f"{rate:g}" for rate in baseline.grid) or none), name
        assert lr == ("required" if baseline.lr is None else f"{baseline.lr:g}"), name


def test_the_package_is_where_the_optimizer_comes_from(setting: Callable[..., Any]) -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["lab"]
    wanted = {"torch", "own", *(text.split(">")[0] for text in extra)}
    for name, (_, package, *_) in rows().items():
        model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
        optimizer = BASELINES[name].build(setting(model=model)).optimizer
        first = optimizer.parts[0] if isinstance(optimizer, Optimizers) else optimizer
        # Ours only reshapes what torch's updates.
        kind = torch.optim.Muon if isinstance(first, torch.optim.Muon) else type(first)
        module = kind.__module__.split(".")[0].replace("_", "-")
        assert package == {"infopace": "own"}.get(module, module), name
        assert package in wanted, name


def test_the_methods_of_the_scoreboard_do_not_lengthen_a_comparison() -> None:
    # What `infopace compare digits` ran before the scoreboard.
    usual = (
        "sgd-constant sgd-step sgd-cosine sgd-linear sgd-one-cycle sgd-cyclic sgd-plateau adam adamw-cosine rmsprop"
        " lars schedule-free-sgd schedule-free-adamw dog prodigy d-adaptation l4 yamadam"
    )
    assert [name for name in DEFAULT_METHODS if name in BASELINES] == usual.split()
