"""`infopace report`: from run folders to one HTML file that needs nothing else.

The page draws its charts with a script of its own, `report.js`. Why not plotly: docs/how-to/reports.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.report.page import GENERATOR, page
from infopace.lab.report.reading import read_folders


@dataclass(frozen=True)
class ReportConfig:
    """Write one HTML file with the curves of runs (learning rate, information, test metric) and of range tests.

    Runs that differ only in the seed are drawn as their mean. A run that is not finished is shown as far as it is.
    The file opens offline and can be passed on.
    """

    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER...")]
    """Folders of infopace train, range-test and compare. A damaged folder is named and left out."""
    out: Path = Path("report.html")
    """The file to write. An earlier report there is replaced."""


def report(config: ReportConfig, complain: Callable[[str], None] = lambda line: None) -> tuple[str, ...]:
    """Run `infopace report` and return the lines to print. `complain` gets a line for each folder that is left out.

    Raises InputError where no folder can be shown, and for an `out` that cannot be written.
    """
    contents = read_folders(config.folders)
    _check_out(config.out)
    text = page(contents).encode()
    try:
        write_atomically(config.out, text)
    except OSError as error:
        raise InputError(f"cannot write {config.out}: {error.strerror}") from error
    for line in contents.refused:
        complain(f"not in the report: {line}")
    return (f"report: {config.out} ({len(text) / 1000:.0f} kB)",)


def _check_out(path: Path) -> None:
    """Refuse to write over anything but a report."""
    if not path.parent.is_dir():
        raise InputError(f"out must be in a folder that exists, got {path}")
    if path.is_dir():
        raise InputError(f"out must be a file, got the folder {path}")
    if path.exists():
        with open(path, "rb") as file:
            if GENERATOR.encode() not in file.read(1000):
                raise InputError(f"{path} exists and is not a report of infopace; choose another --out")
