"""Long measurements report their progress; quick ones print nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from infopace import mutual_information
from infopace.cli import main
from infopace.lab import waiting
from infopace.lab.waiting import Waiting


def ticking(*seconds: float) -> Callable[[], float]:
    return iter(map(float, seconds)).__next__


def test_permutations_are_counted_down_now_and_then() -> None:
    said: list[str] = []
    with Waiting(500, said.append, ticking(0, 1, 2, 4, 6, 13.9, 14, 15), first=3.0) as listening:
        for done in (0, 1, 2, 3, 6, 7, 8):
            listening.permutation(done, 10)
    assert said == [
        "permutation 2 of 10 of 500 examples, about 12 s left",
        "permutation 7 of 10 of 500 examples, about 6 s left",
    ]


def test_a_long_value_is_announced_and_nothing_comes_after_the_end() -> None:
    called, said = threading.Event(), []

    def say(text: str) -> None:
        said.append(text)
        called.set()

    with Waiting(500, say, first=0.01):
        assert called.wait(20)
    with Waiting(700, say):
        pass
    assert said == ["measuring 500 examples"]


def test_the_command_shows_progress_on_stderr_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=60))
    np.save(tmp_path / "y.npy", np.arange(60) % 2)
    command = ["measure", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), "--permutations", "5"]
    assert main(command) == 0
    quick = capsys.readouterr()
    assert quick.err == ""
    monkeypatch.setattr(waiting, "_EVERY", 0.0)
    monkeypatch.setattr(waiting, "_FIRST", 0.0)
    assert main(command) == 0
    slow = capsys.readouterr()
    assert slow.out == quick.out
    lines = [line for line in slow.err.splitlines() if line != "infopace: measuring 60 examples"]
    assert [line.split(" of 60 examples, about ")[0] for line in lines] == [
        f"infopace: permutation {done} of 5" for done in range(1, 6)
    ]


def test_every_permutation_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    x = np.random.default_rng(0).normal(size=40)
    mutual_information(x, x > 0, permutations=3, on_permutation=lambda *step: seen.append(step))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
