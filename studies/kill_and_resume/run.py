"""Kill commands at random instants and run them again: do all end with the same bits? See README.md.

Trials of `train`, `compare` and `range-test` on digits take turns, each without a folder at first. The command and all
its processes are killed (SIGKILL), up to three times in a row. Then it runs once more. Its folder is compared with that
of an undisturbed run: every number in every JSON file except times, and every bit of the last checkpoint. Of ten kills,
two are within the first second of the process, four within the first second of its folder, when files are written for
the first time, and the others at any time.

Rows: results/kill_test.jsonl, one per command for the undisturbed run, then one per trial. Run again, this script
goes on where it stopped. It begins anew where the rows are of other commands or versions.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from infopace.lab.environment import versions

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "kill_test.jsonl"
OUT = "run"
COMMANDS = {
    "train": "train digits --epochs 3 --bounds workload --threads 1",
    "compare": "compare digits --methods hold-and-decay yamadam --seeds 2 --epochs 1 --bounds workload --jobs 1",
    "range-test": "range-test digits --epochs 1 --trials 2 --low 1e-3 --high 1 --threads 1",
}
# By the number of the trial, so that every tenth is alike.
_KINDS = ("process", "folder", "any", "folder", "any", "process", "folder", "any", "folder", "any")
_SEVERAL = {3: 2, 4: 3, 8: 3}  # trials of ten that are killed more than once
_DIGEST = re.compile(r"-[0-9a-f]{16}(?=\.pt$)")
_LIMIT = 900.0  # seconds after which a command counts as hanging


def main() -> None:
    """Run the trials that are missing, write their rows, and exit with 1 if an ending differs."""
    parser = argparse.ArgumentParser(description="Kill commands at random instants")
    parser.add_argument("--kills", type=int, default=100, help="at least so many kills")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--rows", type=Path, default=RESULTS, help="where the rows are kept")
    arguments = parser.parse_args()
    about = {"versions": versions(), "cores": os.cpu_count(), "seed": arguments.seed}
    rows = [row for row in _read(arguments.rows) if all(row.get(name) == about[name] for name in about)]
    rows = [row for row in rows if row.get("command") in COMMANDS.values()]
    arguments.rows.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def keep(row: dict[str, Any]) -> None:
        rows.append({**row, **about})
        with open(arguments.rows, "a") as file:
            file.write(f"{json.dumps(rows[-1])}\n")
        print(json.dumps(row), flush=True)

    for command in COMMANDS.values():
        if not any(row["command"] == command and row["trial"] is None for row in rows):
            keep(undisturbed(command))
    whole = {row["command"]: row for row in rows if row["trial"] is None}
    tried = {row["trial"] for row in rows}
    for number in itertools.count():
        if sum(len(row["kills"]) for row in rows) >= arguments.kills:
            break
        if number not in tried:
            command = list(COMMANDS.values())[number % len(COMMANDS)]
            keep(trial(number, command, whole[command], arguments.seed))
    text, same = summary(rows)
    print(text)
    sys.exit(not same)


def undisturbed(command: str) -> dict[str, Any]:
    """The row of a command that nobody kills."""
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        error = finish(start(command, scratch))
        seconds = round(time.monotonic() - began, 2)
        if error:
            raise SystemExit(f"infopace {command}: {error}")
        found, left_over = ending(Path(scratch) / OUT)
    return {
        "command": command,
        "trial": None,
        "kills": [],
        "seconds": seconds,
        "ending": found,
        "left_over": left_over,
    }


def trial(number: int, command: str, whole: dict[str, Any], seed: int) -> dict[str, Any]:
    """Kill a command some times, run it once more, and say how it ended."""
    draw = random.Random(seed * 1_000_003 + number)
    turn = number // len(COMMANDS) % len(_KINDS)
    kind, wanted, longest = _KINDS[turn], _SEVERAL.get(turn, 1), whole["seconds"]
    with tempfile.TemporaryDirectory() as scratch:
        out, kills = Path(scratch) / OUT, []
        while not kills:
            # A command that was over before its instant counts for nothing.
            shutil.rmtree(out, ignore_errors=True)
            for _ in range(wanted):
                instant = draw.uniform(0.0, longest if kind == "any" else 1.0)
                kill = kill_once(
                    command, scratch, instant, after_folder=kind == "folder" and not out.exists()
                )
                if kill is None:
                    longest *= 0.9
                    break
                kills.append(kill)
        error = finish(start(command, scratch))
        found, left_over = ending(out) if not error else (error, [])
    same = found == whole["ending"] and left_over == whole["left_over"]
    row = {"command": command, "trial": number, "kills": kills, "ending": found, "left_over": left_over}
    return {**row, "same": same}


def kill_once(command: str, scratch: str, instant: float, *, after_folder: bool) -> dict[str, Any] | None:
    """Start a command and kill it, so long after its start or after its folder appears. None: it was over before."""
    process, out = start(command, scratch), Path(scratch) / OUT
    began = time.monotonic()
    while after_folder and not out.exists() and process.poll() is None:
        time.sleep(0.001)
    appeared = time.monotonic()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(instant)
    killed = time.monotonic()
    over = process.poll() is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    if over:
        return None
    return {
        "after": round(killed - began, 3),
        "after_folder": round(killed - appeared, 3) if after_folder else None,
        "files": sorted(path.name for path in out.rglob("*")) if out.is_dir() else [],
    }


def start(command: str, scratch: str) -> subprocess.Popen[bytes]:
    """A command in a process group of its own."""
    words = [sys.executable, "-m", "infopace.cli", *command.split(), "--out", OUT]
    return subprocess.Popen(
        words,
        cwd=scratch,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    """Wait for a command. Returns why it failed, or an empty string."""
    try:
        _, errors = process.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"it had not ended after {_LIMIT:g} s"
    return (
        f"exit code {process.returncode}: {errors.decode(errors='replace')[-300:]}"
        if process.returncode
        else ""
    )


def ending(folder: Path) -> tuple[str, list[str]]:
    """A digest of all numbers in a folder but its seconds, and the names of temporary files that were left there."""
    sha, left_over = hashlib.sha256(), []
    for path in sorted(folder.rglob("*")):
        name = _DIGEST.sub("", str(path.relative_to(folder)))
        if path.suffix == ".tmp" or path.name.endswith(".part"):
            left_over.append(name)
        elif path.suffix in (".json", ".jsonl"):
            lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
            sha.update(f"{name} {[_timeless(json.loads(line)) for line in lines]}".encode())
        elif path.suffix == ".pt":
            # When the others were written depends on the clock.
            if path != max(path.parent.glob("*.pt")):
                continue
            sha.update(name.encode())
            _add(sha, torch.load(path, weights_only=True, map_location="cpu"))
        else:
            sha.update(name.encode())
    return sha.hexdigest()[:16], left_over


def _is_time(name: object) -> bool:
    return "second" in str(name) or name == "started"


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(part) for name, part in sorted(value.items()) if not _is_time(name)}
    return [_timeless(part) for part in value] if isinstance(value, list | tuple) else value


def _add(sha: Any, value: Any) -> None:
    """Every bit of a checkpoint, but for seconds."""
    if isinstance(value, torch.Tensor):
        sha.update(value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for name, part in value.items():
            if not _is_time(name):
                sha.update(str(name).encode())
                _add(sha, part)
    elif isinstance(value, list | tuple):
        for part in value:
            _add(sha, part)
    else:
        sha.update(repr(value).encode())


def summary(rows: list[dict[str, Any]]) -> tuple[str, bool]:
    """The last line, and whether all endings are the same."""
    trials = [row for row in rows if row["trial"] is not None]
    kills = [kill for row in trials for kill in row["kills"]]
    first = sum(min(t for t in (kill["after"], kill["after_folder"]) if t is not None) <= 1 for kill in kills)
    differ = [row["trial"] for row in trials if not row["same"]]
    text = (
        f"{len(kills)} kills in {len(trials)} commands, {first} within the first second of the process or of its "
        f"folder: {len(trials) - len(differ)} endings are identical, {len(differ)} differ"
    )
    return text + (f" (trials {differ})" if differ else ""), not differ


def _read(path: Path) -> list[dict[str, Any]]:
    """The whole rows. One that is cut short is run again."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


if __name__ == "__main__":
    main()
