"""One trial, one file: kept, claimed, resumed, merged."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace import RangeTest, RangeTestError
from infopace.range_test import merge_trials
from infopace.range_test._records import Candidate, Evaluation
from infopace.range_test._trial_files import TrialFolder

from .small import small_test


def test_a_candidate_comes_back_from_its_line() -> None:
    nan = math.nan
    first = Evaluation(0, 2.5, (2.0, 3.0), None, {}, nan, 20)
    last = Evaluation(64, nan, (nan, 1e-300), 0.25, {"output": nan, "conv1": -0.01}, 0.02, 20, 1.5)
    for one in (
        Candidate(0.1, (first,), "", 0.5, 0),
        Candidate(3e-7, (first, last), "the loss \n is é", 1.0, 64),
    ):
        back = Candidate.from_json(json.loads(json.dumps(one.to_json(), allow_nan=False)))
        # nan is not equal to itself, its text is.
        assert repr(back) == repr(one)


numbers = st.floats(allow_infinity=False)
evaluations = st.tuples(
    st.integers(0),
    numbers,
    st.lists(numbers, max_size=10).map(tuple),
    st.none() | st.floats(0, 1),
    st.dictionaries(st.text(), numbers, max_size=3),
    numbers,
    st.integers(1),
    numbers,
)


# Built in here: to build an Evaluation is type-checked, which draws from the random state that hypothesis guards.
@settings(max_examples=50)
@given(st.floats(1e-7, 10), st.lists(evaluations, min_size=1, max_size=3), st.text())
def test_any_candidate_comes_back_from_its_line(lr: float, values: list[Any], crash: str) -> None:
    one = Candidate(lr, tuple(Evaluation(*value) for value in values), crash, 0.5, 64)
    line = json.dumps(one.to_json(), allow_nan=False)
    assert "\n" not in line
    assert repr(Candidate.from_json(json.loads(line))) == repr(one)


def test_a_file_cut_at_any_byte_keeps_its_whole_lines_and_goes_on(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path, {})
    rates = (0.1, 0.2, 0.4)
    path = tmp_path / "trial-0.jsonl"

    def one(lr: float) -> Candidate:
        return Candidate(lr, (Evaluation(0, 1.0, (1.0,), None, {}, math.nan, 5),), "é\n", 0.1, 0)

    def write() -> None:
        with folder.claim(0) as claim:
            assert claim is not None
            known = {c.lr for c in claim.candidates}
            for lr in rates:
                if lr not in known:
                    claim.keep(one(lr))
            if not claim.is_finished:
                claim.finish()

    write()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert not folder.finished()
        write()
        assert path.read_bytes() == whole, cut


def test_another_test_in_the_folder_is_refused(tmp_path: Path) -> None:
    TrialFolder(tmp_path, {"seed": 0, "rates": (0.1, 0.2)})
    TrialFolder(tmp_path, {"seed": 0, "rates": (0.1, 0.2)})
    with pytest.raises(
        ValueError, match=r"holds another range test: seed is 0 there and 1 here; choose another"
    ):
        TrialFolder(tmp_path, {"seed": 1, "rates": (0.1, 0.2)})


def test_a_claim_is_exclusive_and_a_torn_line_is_dropped(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path, {})
    candidate = Candidate(0.1, (Evaluation(0, 1.0, (1.0,), None, {}, math.nan, 5),), "", 0.1, 0)
    with folder.claim(0) as claim:
        assert claim is not None
        claim.keep(candidate)
        with folder.claim(0) as other:
            assert other is None
        with folder.claim(1) as other:
            assert other is not None
    path = tmp_path / "trial-0.jsonl"
    path.write_bytes(path.read_bytes() + b'{"lr": 0.2, "eva')
    assert not folder.finished()
    with folder.claim(0) as claim:
        assert claim is not None
        assert [c.lr for c in claim.candidates] == [0.1]
        claim.keep(candidate)
        claim.finish()
    assert len(path.read_bytes().splitlines()) == 3
    assert len(folder.finished()[0].candidates) == 2


@pytest.mark.slow
def test_merging_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold a range test, got .* without test\.json"):
        merge_trials(tmp_path)
    with pytest.raises(RangeTestError, match=r"1 of 2 trials are not finished in .*: 1$") as caught:
        small_test(folder=tmp_path, only=[0])
    assert caught.value.kind == "unfinished"
    assert (
        small_test(folder=tmp_path, only=[1]).bounds == merge_trials(tmp_path).bounds == small_test().bounds
    )


def _lines(folder: Path) -> list[Any]:
    """All candidates without their seconds."""
    rows = [
        json.loads(line)
        for path in sorted(folder.glob("trial-*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.slow
def test_finished_trials_are_only_read(tmp_path: Path) -> None:
    small_test(folder=tmp_path)
    ran: list[int] = []
    small_test(folder=tmp_path, on_candidate=lambda trial, _: ran.append(trial))
    assert not ran


def test_killed_and_resumed_it_gives_the_same(tmp_path: Path) -> None:
    began = time.monotonic()
    whole = small_test(folder=tmp_path / "whole")
    duration = time.monotonic() - began
    context = multiprocessing.get_context("fork")
    killed = 0
    for share in (0.3, 0.5, 0.7):
        process = context.Process(target=small_test, kwargs={"folder": tmp_path / "cut"})
        process.start()
        time.sleep(share * duration)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    again = small_test(folder=tmp_path / "cut")
    print(f"{killed} of 3 kills came before the end")
    assert again.bounds == whole.bounds
    assert _lines(tmp_path / "cut") == _lines(tmp_path / "whole")


def _count(folder: Path, log: Path) -> None:
    def log_it(trial: int, candidate: Candidate) -> None:
        with open(log, "a") as file:
            file.write(f"{trial} {candidate.lr}\n")

    small_test(folder=folder, on_candidate=log_it)


@pytest.mark.slow
def test_two_processes_share_the_trials_and_run_none_twice(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_count, args=(tmp_path / "shared", tmp_path / "log")) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        assert process.exitcode == 0
    ran = (tmp_path / "log").read_text().splitlines()
    assert len(ran) == len(set(ran))
    alone = small_test()
    assert sorted(ran) == sorted(f"{trial.number} {c.lr}" for trial in alone.trials for c in trial.candidates)
    merged: RangeTest = merge_trials(tmp_path / "shared")
    assert merged.bounds == alone.bounds
