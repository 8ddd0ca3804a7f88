"""What every test gets: one torch thread a worker, and tests that cannot run here named as not run."""

from __future__ import annotations

import os

# Before torch is imported: the workers share the cores, and one thread also fixes the order of additions.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("KERAS_BACKEND", "torch")

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

from .browser import Browser
from .team import Team, team

torch.set_num_threads(1)
# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

# Tables of rows, which test_bad_inputs runs in a process of its own; they hold no tests.
collect_ignore = ["bad_inputs"]

_NOT_RUN = pytest.StashKey[dict[str, list[str]]]()


def _missing_data() -> str | None:
    return None if os.environ.get("INFOPACE_DATA") else "INFOPACE_DATA is not set"


def _missing_cuda() -> str | None:
    return None if torch.cuda.is_available() else "no CUDA device"


def _missing_browser() -> str | None:
    there = (shutil.which("chromium") or shutil.which("google-chrome")) and shutil.which("chromedriver")
    return None if there else "no chromium with its chromedriver"


_NEEDS = {"needs_data": _missing_data, "needs_cuda": _missing_cuda, "needs_browser": _missing_browser}


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()


@pytest.fixture(scope="session")
def four() -> Iterator[Team]:
    """Four processes of one group, which take seconds to start."""
    with team(4) as processes:
        yield processes


def pytest_configure(config: pytest.Config) -> None:
    folder = os.environ.get("INFOPACE_DATA")
    if folder and not Path(folder).is_dir():
        raise pytest.UsageError(f"INFOPACE_DATA must name a folder, got {folder!r}")
    config.stash[_NOT_RUN] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = {marker: reason for marker, look in _NEEDS.items() if (reason := look())}
    run: list[pytest.Item] = []
    not_run: list[pytest.Item] = []
    for item in items:
        reasons = [reason for marker, reason in missing.items() if item.get_closest_marker(marker)]
        if reasons:
            config.stash[_NOT_RUN].setdefault(" and ".join(reasons), []).append(item.nodeid)
            not_run.append(item)
        else:
            run.append(item)
    if not_run:
        items[:] = run
        config.hook.pytest_deselected(items=not_run)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Under xdist only the workers collect; this is how they tell the process that prints the summary.
    workeroutput: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if workeroutput is not None:
        workeroutput["not_run"] = session.config.stash[_NOT_RUN]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    # Every worker collects every test, so each brings the same list.
    node.config.stash[_NOT_RUN].update(getattr(node, "workeroutput", {}).get("not_run", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason, tests in sorted(config.stash[_NOT_RUN].items()):
        count = f"{len(tests)} test{'s' * (len(tests) > 1)}"
        terminalreporter.write_line(f"not run: {count}, {reason}", yellow=True)
        for test in tests:
            terminalreporter.write_line(f"    {test}")
