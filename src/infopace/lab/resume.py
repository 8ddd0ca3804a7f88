"""Resume a run after a killed process: check that it is the same run, and find the newest whole checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from infopace.lab.config import Plan
from infopace.lab.errors import InputError
from infopace.lab.run_folder import Row, RunFolder, sound_rows
from infopace.lab.training import Training
from infopace.model import Processes

Note = Callable[[str], None]
# The fields of a run's record that a resumed run needs.
_RECORDED = {
    "settings": dict,
    "versions": dict,
    "metric": dict,
    "groups": list,
    "data": str,
    "threads": int,
    "std_error": bool,
}


def recorded_run(folder: RunFolder) -> dict[str, Any] | None:
    """What run.json records. If it is damaged or missing, the copy in the newest whole checkpoint.

    Raises InputError if it is damaged and no checkpoint has a copy.
    """
    record = folder.read_json("run.json")
    if _is_record(record):
        return record
    for path in folder.checkpoints():
        state = _state(folder, path)
        if state is not None:
            return state["run"]
    if (folder.path / "run.json").exists():
        raise InputError(
            f"{folder.path / 'run.json'} is not the record of a run, and no checkpoint holds one; remove"
            f" {folder.path} or choose another --out"
        )
    return None


def _is_record(record: object) -> bool:
    """Whether it has the fields that a resumed run needs, of the right kinds."""
    if not isinstance(record, dict):
        return False
    kinds = all(isinstance(record.get(name), kind) for name, kind in _RECORDED.items())
    return kinds and record["threads"] >= 1 and isinstance(record.get("bounds"), dict | None)


def _state(folder: RunFolder, path: Path) -> dict[str, Any] | None:
    """The state in a checkpoint, None if it is corrupt. Raises InputError if it is whole and not of a run."""
    state = folder.load_checkpoint(path)
    if state is not None and not (_is_record(state.get("run")) and isinstance(state.get("model"), dict)):
        raise InputError(f"checkpoint {path} must hold a run and a model; remove it")
    return state


def check_same_run(plan: Plan, record: dict[str, Any], folder: RunFolder) -> None:
    """Raise InputError that names the settings in which the folder's run differs."""
    asked, there = plan.settings(), dict(record["settings"])
    if plan.config.threads is not None:
        asked["threads"], there["threads"] = plan.config.threads, record.get("threads")
    fields = _differing(asked, there)
    if fields:
        raise InputError(f"{folder.path} holds a run with another config: {fields}; choose another --out")


def _differing(asked: dict[str, Any], there: dict[str, Any]) -> str:
    names = [f for f in dict.fromkeys((*asked, *there)) if asked.get(f) != there.get(f)]
    return ", ".join(f"{f} is {there.get(f)!r} there and {asked.get(f)!r} here" for f in names)


def check_same_data(digest: str, record: dict[str, Any], folder: RunFolder) -> None:
    """Raise InputError if the data are not those that the run was started with."""
    if record.get("data", digest) != digest:
        raise InputError(
            f"the data changed since the run in {folder.path} was started: their digest was {record['data']}"
            f" and is {digest}; restore the data or choose another --out"
        )


def take_up(folder: RunFolder, plan: Plan, training: Training, note: Note, processes: Processes) -> list[Row]:
    """Load the newest usable checkpoint and return the rows up to it; no rows mean a start from the beginning.

    A corrupt checkpoint is skipped, with a note. A checkpoint of another run or another model is an InputError: it is
    not damage, somebody put it there. Of several processes the first reads, and all load.
    """
    rows, state, name, skipped = processes.from_first("the checkpoint", lambda: _newest(folder, plan, note))
    if state is not None:
        _load(state, name, training)
    # Only now: a checkpoint that cannot be loaded leaves the folder as it is.
    processes.from_first("the folder", lambda: _cut_back(folder, rows, skipped))
    return rows


def _cut_back(folder: RunFolder, rows: list[Row], skipped: list[Path]) -> None:
    """Leave no more than these rows in a folder, and none of the checkpoints that were skipped."""
    # They are newer than the epoch of the resumed run, and would outlive its own checkpoints.
    for path in skipped:
        path.unlink(missing_ok=True)
    folder.keep_rows(rows)


def _newest(
    folder: RunFolder, plan: Plan, note: Note
) -> tuple[list[Row], dict[str, Any] | None, str, list[Path]]:
    """The rows up to the newest usable checkpoint, its state (None: there is none), its path, and those skipped."""
    rows = sound_rows(folder.read_rows())
    skipped = []
    resumed: list[Row] = []
    found: dict[str, Any] | None = None
    name = ""
    for path in folder.checkpoints():
        state = _state(folder, path)
        if state is None:
            note(f"checkpoint {path} is corrupt, its content does not match its name; the one before is used")
        elif len(rows) <= state["epoch"]:
            note(f"{folder.path}/epochs.jsonl ends before checkpoint {path.name}; the one before is used")
        else:
            _check_same_settings(state, path, plan)
            resumed, found, name = rows[: state["epoch"] + 1], state, str(path)
            break
        skipped.append(path)
    if skipped and not resumed:
        note("no usable checkpoint is left; the run starts from the beginning")
    return resumed, found, name, skipped


def _check_same_settings(state: dict[str, Any], path: object, plan: Plan) -> None:
    fields = _differing(plan.settings(), state["run"]["settings"])
    if fields:
        raise InputError(
            f"checkpoint {path} belongs to another run: {fields}; remove it or choose another --out"
        )


def _load(state: dict[str, Any], path: str, training: Training) -> None:
    try:
        training.load_state(state)
    except Exception as error:  # torch and the packages of optimizers raise anything on a strange state
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"checkpoint {path} is of another model: {reason}; choose another --out") from error
