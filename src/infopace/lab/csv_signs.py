"""What a CSV file says of itself: its encoding, its separator, its lines, and whether the first one is a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infopace.lab.errors import InputError

WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)", re.IGNORECASE)
COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
# What pandas reads as missing by default, without regard to case.
MISSING = frozenset(
    {
        "",
        "#n/a",
        "#n/a n/a",
        "#na",
        "-1.#ind",
        "-1.#qnan",
        "-nan",
        "1.#ind",
        "1.#qnan",
        "<na>",
        "n/a",
        "na",
        "nan",
    }
    | {"none", "null"}
)
_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SEPARATORS = ("\t", ";", "|", ",")  # the ones that are no part of a number first
# So many examples without a whole number under a line of nothing else are no accident.
_ENOUGH = 10
# Lines by which the separator is known.
_LOOKED_AT = 1000


@dataclass(frozen=True)
class Lines:
    """The lines of a file that hold cells.

    Attributes:
        path: The file.
        separator: What stands between cells.
        numbers: Of each line, its number in the file, from 1.
        cells: Of each line, its cells without spaces around them.
    """

    path: Path
    separator: str
    numbers: list[int]
    cells: list[list[str]]

    def at(self, row: int, column: int | None = None) -> str:
        """Where a cell is, for messages."""
        place = f"{self.path}, line {self.numbers[row]}"
        return place if column is None else f"{place}, column {column + 1}"


def read_lines(path: Path) -> Lines:
    """The cells of a CSV file. Leading comments, blank lines and an empty last cell on every line hold none.

    Raises InputError where lines differ in their number of cells.
    """
    raw = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8-sig")
    lines = raw.decode(encoding).splitlines(keepends=True)
    first = 0
    while first < len(lines) and (not lines[first].strip() or lines[first].lstrip().startswith("#")):
        first += 1
    named = re.fullmatch(r"sep=(.)\s*", lines[first]) if first < len(lines) else None  # Excel's own sign
    first += named is not None
    separator = named.group(1) if named else _separator(lines[first : first + _LOOKED_AT])
    found = [(number + first, cells) for number, cells in _rows(lines[first:], separator)]
    while found and found[-1][1] in ([], [""]):
        del found[-1]
    wide = max((len(cells) for _, cells in found), default=0) > 1
    # In a single column a blank line is a gap, and leaving it out would shift all that follows.
    found = [(number, cells or [""]) for number, cells in found if cells not in ([], [""]) or not wide]
    return _checked(Lines(path, separator, [number for number, _ in found], [cells for _, cells in found]))


def _rows(lines: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t")
    start = 1
    for row in reader:
        yield start, [cell.strip() for cell in row]
        start = reader.line_num + 1


def _separator(lines: list[str]) -> str:
    """The one that splits most lines; a comma only where no other splits as many."""
    best, most = ",", 0
    for separator in _SEPARATORS:
        split = sum(len(row) > 1 for _, row in _rows(lines, separator))
        if split > most:
            best, most = separator, split
    return best


def _checked(lines: Lines) -> Lines:
    widths = [len(cells) for cells in lines.cells]
    if not widths:
        return lines
    if len(widths) > 1:
        body = set(widths[1:])
        if body == {widths[0] + 1} and not any(cells[-1] for cells in lines.cells[1:]):
            return _without_last(lines, from_row=1)
        if body == {widths[0]} and widths[0] > 1 and not any(cells[-1] for cells in lines.cells):
            return _without_last(lines, from_row=0)
    for row, width in enumerate(widths):
        if width != widths[0]:
            hint = ""
            if lines.separator == "," and any(
                COMMA.fullmatch(",".join(c[:2])) for c in lines.cells if len(c) > 1
            ):
                hint = "; where a comma is the decimal point, separate cells with semicolons or write points"
            raise InputError(f"{lines.at(row)}: {widths[0]} cells are needed, as before, got {width}{hint}")
    return lines


def _without_last(lines: Lines, from_row: int) -> Lines:
    """A separator at the end of each line closes it, and opens no cell."""
    cells = [row[:-1] if place >= from_row else row for place, row in enumerate(lines.cells)]
    return Lines(lines.path, lines.separator, lines.numbers, cells)


def is_number(cell: str, decimal: str = ".") -> bool:
    """A number in plain notation."""
    return NUMBER.fullmatch(cell.replace(",", ".") if decimal == "," else cell) is not None


def is_missing(cell: str) -> bool:
    """Empty, or one of the words that pandas reads as missing."""
    return cell.lower() in MISSING


def has_header(lines: Lines, decimal: str) -> bool | None:
    """Whether the first line holds names; None where the file does not say.

    Names are no numbers above numbers; numbers are names where they count the columns, 0, 1, .., above numbers that
    are never whole, or above a column without a name that pandas writes.
    """
    first, rest = lines.cells[0], lines.cells[1:]
    if not rest:
        return not all(is_number(cell, decimal) or is_missing(cell) for cell in first)
    columns = list(zip(*rest, strict=True))
    counted = [str(place) for place in range(len(first))]
    if first[0] == "" and len(first) > 1:
        # The index that pandas and R write has no name. Its values are none of the data, and all different.
        named = first[1:] == counted[:-1] or not all(
            is_number(cell, decimal) or is_missing(cell) for cell in first
        )
        if named and len(set(columns[0])) == len(rest):
            return True
    above = [
        not is_number(cell, decimal) and not is_missing(cell) and any(is_number(c, decimal) for c in column)
        for cell, column in zip(first, columns, strict=True)
    ]
    if any(above):
        return not any(map(is_number, first)) or None
    if all(WHOLE.fullmatch(cell) for cell in first):
        if len(first) == 1 and first != counted:
            return False
        never = not any(WHOLE.fullmatch(cell) for column in columns for cell in column)
        if first == counted:
            return True if never else None
        return None if never and len(rest) >= _ENOUGH and len(set(first)) == len(first) else False
    if not any(is_number(cell, decimal) or is_missing(cell) for cell in first):
        # Text above text: a name is a value that does not come again.
        if any(cell in column for cell, column in zip(first, columns, strict=True)):
            return False
        return None
    return False
