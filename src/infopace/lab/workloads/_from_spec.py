"""A user's own workload, or another object of the lab: it is in a module or in a file."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from infopace.lab.errors import InputError
from infopace.lab.identity import code_of
from infopace.lab.workload import Workload

_Kind = TypeVar("_Kind")


def load_workload(spec: str) -> Workload:
    """The workload that "module:object" or "path/to/file.py:object" names, as `load_object` finds it."""
    found, module = load_object(spec, "a workload of your own", Workload)
    if not found.name or Path(found.name).name != found.name:
        raise InputError(f"{spec} must have a name that can name a folder, got {found.name!r}")
    return dataclasses.replace(found, code=code_of(found, module))


def load_object(spec: str, what: str, kind: type[_Kind]) -> tuple[_Kind, str]:
    """The object that "module:object" or "path/to/file.py:object" names, and the name of its module.

    A module is looked for in the current folder too; a file may import what lies beside it. `what` stands for the
    object in an error.

    Raises:
        InputError: The spec has another form; there is no such module, file or object; it is of another kind; or the
            module raised an error.
    """
    source, colon, name = spec.strip().rpartition(":")
    if not (colon and source and name.isidentifier()):
        raise InputError(f"{what} must be module:object or path/to/file.py:object, got {spec!r}")
    module = _from_file(Path(source).expanduser()) if source.endswith(".py") else _from_module(source)
    if not hasattr(module, name):
        raise InputError(f"{source} has no {name!r}{_hint(module, name, kind)}")
    found = getattr(module, name)
    if not isinstance(found, kind):
        raise InputError(f"{spec} must be an {_place(kind)}, got {type(found).__name__}")
    return found, module.__name__


def _place(kind: type) -> str:
    """The name of a class as it is imported: infopace.lab.workload.Workload."""
    return ".".join(part for part in (*kind.__module__.split("."), kind.__qualname__) if part[0] != "_")


def _from_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(
            f"a module's name must be words joined by points, or a file ending in .py, got {name!r}"
        )
    with _imports_from(Path.cwd()), _one_line(name):
        return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"no file {path}")
    name = f"_infopace_workload_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and isinstance(spec.loader, SourceFileLoader), "the name ends in .py"
    module = importlib.util.module_from_spec(spec)
    with _imports_from(path.resolve().parent), _one_line(str(path)):
        sys.modules[name] = module  # dataclasses look their module up
        try:
            # Not by way of the bytecode that Python keeps: it takes a change of equal length within a second for none.
            source = spec.loader.get_data(str(path))
            exec(spec.loader.source_to_code(source, str(path)), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
    return module


@contextlib.contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Import from `folder`, as a script in it does. The console command has its own folder in the path instead."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


@contextlib.contextmanager
def _one_line(source: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if source == missing or source.startswith(f"{missing}."):
            raise InputError(f"no module {source!r}, neither installed nor in {Path.cwd()}") from error
        raise InputError(f"{source} imports {missing!r}, which is not installed") from error
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source} cannot be imported: {type(error).__name__}: {reason}") from error


def _hint(module: ModuleType, name: str, kind: type) -> str:
    there = [known for known, value in vars(module).items() if isinstance(value, kind)]
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.4)
    if near:
        return f"; did you mean {near[0]!r}?"
    plural = f"{kind.__name__.lower()}s"
    return f"; its {plural} are: {', '.join(there)}" if there else f"; it holds no {kind.__name__}"
