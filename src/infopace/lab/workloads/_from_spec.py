"""A user's own workload: an object in a module or in a file."""

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

from infopace.lab.errors import InputError
from infopace.lab.identity import code_of
from infopace.lab.workload import Workload


def load_workload(spec: str) -> Workload:
    """The workload that "module:object" or "path/to/file.py:object" names.

    A module is looked for in the current folder too; a file may import what lies beside it.

    Raises:
        InputError: The spec has another form; there is no such module, file or object; it is not a Workload; or the
            module raised an error.
    """
    source, colon, name = spec.strip().rpartition(":")
    if not (colon and source and name.isidentifier()):
        raise InputError(
            f"a workload of your own must be module:object or path/to/file.py:object, got {spec!r}"
        )
    module = _from_file(Path(source).expanduser()) if source.endswith(".py") else _from_module(source)
    if not hasattr(module, name):
        raise InputError(f"{source} has no {name!r}{_hint(module, name)}")
    found = getattr(module, name)
    if not isinstance(found, Workload):
        raise InputError(f"{spec} must be an infopace.lab.workload.Workload, got {type(found).__name__}")
    if not found.name or Path(found.name).name != found.name:
        raise InputError(f"{spec} must have a name that can name a folder, got {found.name!r}")
    return dataclasses.replace(found, code=code_of(found, module.__name__))


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


def _hint(module: ModuleType, name: str) -> str:
    workloads = [known for known, value in vars(module).items() if isinstance(value, Workload)]
    near = difflib.get_close_matches(name, workloads, n=1, cutoff=0.4)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; its workloads are: {', '.join(workloads)}" if workloads else "; it holds no Workload"
