"""The commands: parse the arguments, run, and turn an error into one line and an exit code."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
import re
import sys
import sysconfig
import traceback

import tyro

from infopace import RangeTestError
from infopace.lab.compare import CompareConfig, compare
from infopace.lab.config import TrainConfig
from infopace.lab.environment import keep_freed_memory
from infopace.lab.errors import Diverged, InputError, Unfinished
from infopace.lab.measure import MeasureConfig, measure
from infopace.lab.processes import joined, processes_started
from infopace.lab.progress import Silent, make_progress
from infopace.lab.range_config import RangeTestConfig
from infopace.lab.range_progress import make_range_progress
from infopace.lab.range_run import run_range_test
from infopace.lab.report import ReportConfig, report
from infopace.lab.run import train
from infopace.lab.scoreboard import compare_suite, resolve_suite
from infopace.lab.trackers import tracked
from infopace.model import ProcessError

BAD_INPUT = 2
DIVERGED = 3
NO_ANSWER = 4
LOST = 5
INTERRUPTED = 130  # what a shell reports for Ctrl-C

_COMMANDS = {
    "train": TrainConfig,
    "range-test": RangeTestConfig,
    "compare": CompareConfig,
    "measure": MeasureConfig,
    "report": ReportConfig,
}
Config = TrainConfig | RangeTestConfig | CompareConfig | MeasureConfig | ReportConfig
_BOX_OR_COLOUR = re.compile(r"[─-╿]|\x1b\[[0-9;]*m")


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code.

    0: success. 2: input that cannot be used. 3: a run diverged, or a comparison lacks runs. 4: a range test found no
    bounds. 5: another process of the run failed. 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without '±' gets a '?'
    try:
        config = _parse(arguments)
        if config is None:
            return 0
        keep_freed_memory()
        if processes_started() > 1 and not isinstance(config, TrainConfig):
            raise InputError(
                f"only train runs on several processes, got {arguments[0]} on {processes_started()}"
            )
        if isinstance(config, MeasureConfig):
            print(*measure(config), sep="\n")
            return 0
        if isinstance(config, CompareConfig):
            say = functools.partial(print, flush=True)
            lines = (
                compare(config, say) if config.suite is None else compare_suite(resolve_suite(config), say)
            )
            print(*lines, sep="\n")
            return 0
        if isinstance(config, RangeTestConfig):
            with contextlib.closing(make_range_progress()) as progress:
                lines = run_range_test(config, progress)
            print(*lines, sep="\n")
            return 0
        if isinstance(config, ReportConfig):
            print(*report(config, _complain), sep="\n")
            return 0
        with joined() as processes:
            first = processes.rank == 0  # which writes and prints for all
            with contextlib.closing(
                tracked(make_progress(), config.track) if first else Silent()
            ) as progress:
                result = train(config, progress)
    except InputError as error:
        return _fail(error, BAD_INPUT)
    except Diverged as error:
        return _fail(error, DIVERGED)
    except Unfinished as error:
        print(*error.lines, sep="\n")
        return _fail(error, DIVERGED)
    except OSError as error:  # a name that is too long, a full disk, a folder without permission
        return _fail(error, BAD_INPUT)
    except RangeTestError as error:
        return _fail(error, NO_ANSWER)
    except ProcessError as error:
        return _fail(f"{error}; the same command resumes the run", LOST)
    except SystemExit as stop:  # only a workload's code raises it
        return _fail(
            f"{_place(stop)} ended the program with {_shown(stop)}; a workload's code must not", BAD_INPUT
        )
    except KeyboardInterrupt:
        resumes = arguments[:1] in (["train"], ["range-test"], ["compare"])
        return _fail("stopped; the same command resumes it" if resumes else "stopped", INTERRUPTED)
    if first:
        print(*result.lines, sep="\n")
    return 0


def _place(stop: SystemExit) -> str:
    """The innermost line of code outside of Python's standard library."""
    own = sysconfig.get_path("stdlib")
    frames = traceback.extract_tb(stop.__traceback__)
    # Installed packages may be in the folder of the standard library.
    theirs = [f for f in frames if "-packages" in f.filename or not f.filename.startswith((own, "<"))]
    return f"{theirs[-1].filename}:{theirs[-1].lineno}"


def _shown(stop: SystemExit) -> str:
    return f"sys.exit({'' if stop.code is None else repr(stop.code)})"


def _fail(error: object, code: int) -> int:
    _complain(error)
    return code


def _complain(what: object) -> None:
    rank = os.environ.get("RANK", "0") if processes_started() > 1 else "0"
    who = "infopace" if rank == "0" else f"infopace, rank {rank}"
    print(f"{who}: {' '.join(str(what).split())}", file=sys.stderr)


def _parse(arguments: list[str]) -> Config | None:
    """The command line as a config; None after help was printed."""
    for before, argument in itertools.pairwise(["infopace", *arguments]):
        name, equals, value = (
            argument.partition("=") if argument.startswith("--") else (before, "=", argument)
        )
        if equals and not value.strip():
            raise InputError(f"{name} must be followed by a value, got {value!r}")
    app = tyro.extras.SubcommandApp()
    for name, command in _COMMANDS.items():
        app.command(name=name)(command)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return app.cli(
                prog="infopace",
                description="The learning rate of a neural network, paced by mutual information.",
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if not stop.code:
            return None
        command = f"{arguments[0]} " if arguments and arguments[0] in _COMMANDS else ""
        raise InputError(f"{_one_line(complaint.getvalue())}; see infopace {command}--help") from None


def _one_line(box: str) -> str:
    """The first paragraph of the parser's message, without its title and frame."""
    lines = [_BOX_OR_COLOUR.sub("", line).strip(" |") for line in box.splitlines()[1:]]
    text = [line if line.strip("-+") else "" for line in lines]  # without UTF-8, rules are dashes
    paragraph = itertools.takewhile(bool, itertools.dropwhile(lambda line: not line, text))
    return " ".join(paragraph).rstrip(".")
