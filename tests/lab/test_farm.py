"""Processes that take jobs: what is lost when one is killed, and that nothing outlives the command."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infopace.lab.errors import InputError
from infopace.lab.farm import on_this_machine, through_submitit

# What the workers import: they are new processes, and find no test by its name.
JOBS = """
import functools, os, pathlib, signal, time
from infopace.lab.errors import InputError
from infopace.lab.farm import on_this_machine

def prepare(folder, slot):
    return functools.partial(perform, folder, slot)

def perform(folder, slot, job):
    pathlib.Path(folder, f"{job}-{slot}-{os.getpid()}").touch()
    if job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "exits":
        os._exit(3)
    if job == "fails":
        raise KeyError("no\\nsuch table")
    if job == "refused":
        raise InputError("epochs must be >= 1")
    if job == "long":
        time.sleep(600)

def perform_alone(folder, job):
    perform(folder, "slurm", job)

if __name__ == "__main__":
    import sys, farm_jobs
    list(on_this_machine(["long", "long"], ["cpu", "cpu"], functools.partial(farm_jobs.prepare, sys.argv[1])))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "farm_jobs.py").write_text(JOBS)
    (tmp_path / "done").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    yield tmp_path
    sys.modules.pop("farm_jobs", None)


def prepared(folder: Path) -> Callable[[str], Callable[[str], None]]:
    import farm_jobs  # pyright: ignore[reportMissingImports]

    return functools.partial(farm_jobs.prepare, str(folder / "done"))


def processes(folder: Path) -> list[int]:
    """The workers that have begun a job."""
    return [int(path.name.rpartition("-")[2]) for path in (folder / "done").iterdir()]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_worker_that_ends_loses_its_own_job_only(module: Path) -> None:
    jobs = ["first", "killed", "second", "fails", "refused", "exits", "last"]
    ended = dict(on_this_machine(jobs, ["cpu", "cpu"], prepared(module)))
    assert sorted(ended) == sorted(jobs)
    assert {job: failure for job, failure in ended.items() if failure is not None} == {
        "killed": "its process was ended by SIGKILL, which the system also sends when memory is short",
        "fails": "KeyError: 'no\\nsuch table' (farm_jobs.py:16)",
        "refused": "epochs must be >= 1",
        "exits": "its process ended by itself, with exit code 3",
    }
    # A worker is not started for each job, and none is left.
    assert len(set(processes(module))) <= 4
    assert not any(map(alive, processes(module)))


def test_each_slot_has_its_worker(module: Path) -> None:
    jobs = [str(i) for i in range(6)]
    assert [failure for _, failure in on_this_machine(jobs, ["one", "two"], prepared(module))] == [None] * 6
    assert {path.name.split("-")[1] for path in (module / "done").iterdir()} == {"one", "two"}
    assert len(set(processes(module))) == 2
    assert list(on_this_machine([], ["one"], prepared(module))) == []


def test_closing_stops_jobs_at_once(module: Path) -> None:
    ended = on_this_machine(["first", "long"], ["cpu"], prepared(module))
    assert next(ended) == ("first", None)
    ended.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert not any(map(alive, processes(module)))


@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL])
def test_no_worker_outlives_the_command(how: signal.Signals, module: Path) -> None:
    command = [sys.executable, str(module / "farm_jobs.py"), str(module / "done")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as parent:
        until = time.monotonic() + 60
        while len(processes(module)) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        assert len(processes(module)) == 2
        parent.send_signal(how)
        _, error = parent.communicate(timeout=60)
    assert parent.returncode
    if how == signal.SIGINT:  # one traceback, of the parent
        assert error.count(b"Traceback") == 1 and b"KeyboardInterrupt" in error
    until = time.monotonic() + 20
    while any(map(alive, processes(module))) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, processes(module)))


@pytest.mark.slow
def test_jobs_through_submitit(module: Path) -> None:
    """The local cluster of submitit takes the same calls as Slurm."""
    pytest.importorskip("submitit")
    import farm_jobs  # pyright: ignore[reportMissingImports]

    perform = functools.partial(farm_jobs.perform_alone, str(module / "done"))
    ended = dict(through_submitit(["first", "killed"], perform, module / "logs", "test", cluster="local"))
    assert ended["first"] is None
    assert ended["killed"] is not None and ended["killed"].startswith(f"see {module / 'logs'}")
    assert {path.name.split("-")[0] for path in (module / "done").iterdir()} == {"first", "killed"}


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"^slurm cannot start jobs here: "):
        list(through_submitit(["one"], print, tmp_path / "logs", "test"))
