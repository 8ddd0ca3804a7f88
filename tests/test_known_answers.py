"""The study's truths: closed forms, integrals, and how tasks are shared out."""

from __future__ import annotations

import importlib
import math
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("studies.known_answers.run")


@pytest.fixture
def truths(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("studies.known_answers.truths")


def test_integrals_equal_closed_forms(truths: ModuleType) -> None:
    at = (np.arange(4000) + 0.5) / 4000
    normal = np.random.default_rng(0).normal(size=20_000)
    wide = truths.blurred(normal, np.full(len(normal), 1 / len(normal)), 1.0)
    assert wide == pytest.approx(0.5 * math.log(2), abs=0.01)
    assert truths.blurred(at, np.full(4000, 1 / 4000), 1e-3) == pytest.approx(
        -0.5 * math.log(2 * math.pi * math.e) - math.log(1e-3), abs=0.01
    )
    assert truths.rounded(0.9, 0, 0) == pytest.approx(truths.normal(0.9), abs=1e-3)
    assert truths.classes([-20, 20], [0.5, 0.5], [1, 1]) == pytest.approx(math.log(2), abs=1e-6)
    assert truths.classes([0, 0], [0.5, 0.5], [1, 1]) == pytest.approx(0, abs=1e-6)
    assert truths.student(1e6, 2, 3, 0.6) == pytest.approx(truths.normal(0.6), abs=1e-4)


def test_halves_and_samples_are_fixed(study: ModuleType) -> None:
    """Every second task of a kind is for judging. What is drawn depends on the name and the seed only."""
    tasks = study.every_task()
    halves = study.halves(tasks)
    assert len(tasks) >= 60
    assert len(halves["judging"]) == len(halves["development"]) == len(tasks) // 2
    assert len({(task.kind, task.name) for task in tasks}) == len(tasks)
    named = "\n".join(f"{task.kind}: {task.name}" for task in halves["judging"])
    assert zlib.crc32(named.encode()) == 1010096403, "the half for judging was chosen before the first run"
    for task in tasks[::9]:
        first, again = study.sample(task, 3)[0], study.sample(task, 3)[0]
        assert np.array_equal(first, again)
        assert task.truth >= 0
