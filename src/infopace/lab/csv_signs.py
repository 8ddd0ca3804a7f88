"""The signs of a CSV file that pandas does not read: encoding, separator, decimal sign, header, index, line numbers."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING

from infopace.lab.errors import InputError

if TYPE_CHECKING:
    from _csv import Reader

WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)", re.IGNORECASE)
# What pandas reads as missing by default, in lower case.
_NOT_A_NUMBER = {"-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "nan"}
MISSING = frozenset({"", "#n/a", "#n/a n/a", "#na", "<na>", "n/a", "na", "none", "null"} | _NOT_A_NUMBER)
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
# Numbers in notations that would become labels without a warning if they were read as text.
_NOTATIONS = (
    (re.compile(r"[+-]?[0-9.,]+ ?%"), "a percentage"),
    (re.compile(r"[$€£¥] ?[+-]?[0-9.,]+|[+-]?[0-9.,]+ ?[$€£¥]"), "an amount of money"),
    (re.compile(r"[+-]?[0-9]{1,3}([., '_\u00a0\u202f][0-9]{3})+([.,][0-9]+)?"), "a number with separators"),
    (re.compile(r"[+-]?[0-9]+(_[0-9]+)+"), "a number with separators"),
    (_COMMA, "a number with a decimal comma"),
    (re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([ T].*)?"), "a date"),
    (re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9.]+)?"), "a time"),
)
_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SEPARATORS = ("\t", ";", "|", ",")  # first those that cannot be part of a number
_INDEX_NAMES = ("", "Unnamed: 0", "index", "level_0")
# A first line of whole numbers above this many examples without one may be a header.
_ENOUGH = 10
# The separator and the header are judged by this many lines.
_SAMPLED = 1000


@dataclass(frozen=True)
class Lines:
    """The lines of a file that hold cells.

    Attributes:
        path: The file.
        separator: The character between cells.
        text: The lines of the file up to the last one with a cell, with their line ends.
        numbers: The line number in the file of each row, from 1.
        width: Cells a row.
    """

    path: Path
    separator: str
    text: list[str]
    numbers: list[int]
    width: int

    def rows(self, start: int = 0) -> Iterator[list[str]]:
        """The cells of each row from `start` on, without the spaces around them."""
        for cells in _reader(self.text[self.numbers[start] - 1 :], self.separator):
            if self.width == 1 or not _is_blank(cells):
                yield [cell.strip() for cell in cells[: self.width]] or [""]

    def cell(self, row: int, column: int) -> str:
        """One cell, for messages."""
        return next(self.rows(row))[column]

    def at(self, row: int, column: int | None = None) -> str:
        """The place of a row or a cell, for messages."""
        place = f"{self.path}, line {self.numbers[row]}"
        return place if column is None else f"{place}, column {column + 1}"

    def text_from(self, row: int) -> str:
        """The text from a row on, without the spaces after cells: pandas skips only those before."""
        text = "".join(self.text[self.numbers[row] - 1 :])
        if '"' in text:  # the spaces may be part of a quoted cell
            return text
        return re.sub(rf" +(?=[{re.escape(self.separator)}\r\n]|\Z)", "", text)


def read_lines(path: Path) -> Lines:
    """Find the rows of a CSV file. Comments at the top, blank lines and an empty last cell on every line hold none.

    Raises InputError where the file is empty, or its lines differ in their number of cells.
    """
    raw = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8-sig")
    text = list(io.StringIO(raw.decode(encoding), newline=""))
    first = 0
    while first < len(text) and (not text[first].strip() or text[first].lstrip().startswith("#")):
        first += 1
    named = re.fullmatch(r"sep=(.)\s*", text[first]) if first < len(text) else None  # written by Excel
    first += named is not None
    separator = named.group(1) if named else _separator(text[first : first + _SAMPLED])
    numbers, widths, end = [], [], first
    reader = _reader(text[first:], separator)
    for cells in reader:
        numbers.append(end + 1)
        widths.append(0 if _is_blank(cells) else len(cells))
        end = first + reader.line_num
    while widths and not widths[-1]:
        widths.pop()
        del text[numbers.pop() - 1 :]
    if not widths:
        raise InputError(f"{path} must have a line of numbers, got none")
    if max(widths) == 1:
        # In a single column a blank line is a missing value. Leaving it out would shift all that follows.
        return Lines(path, separator, text, numbers, 1)
    numbers = [number for number, width in zip(numbers, widths, strict=True) if width]
    return _checked(Lines(path, separator, text, numbers, max(widths)), [width for width in widths if width])


def _reader(lines: list[str], separator: str) -> Reader:
    return csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t")


def _is_blank(cells: list[str]) -> bool:
    return not cells or (len(cells) == 1 and not cells[0].strip())


def _separator(lines: list[str]) -> str:
    """The one that splits most lines; a comma only where no other splits as many."""
    best, most = ",", 0
    for separator in _SEPARATORS:
        split = sum(len(cells) > 1 for cells in _reader(lines, separator))
        if split > most:
            best, most = separator, split
    return best


def _checked(lines: Lines, widths: list[int]) -> Lines:
    """The lines, where each row has as many cells. A separator that ends each line opens no further cell."""
    first, body = widths[0], set(widths[1:])
    ended = body == {first + 1} and not any(cells[-1] for cells in lines.rows(1))
    if ended or (body == {first} and not any(cells[-1] for cells in lines.rows())):
        return dataclasses.replace(lines, width=lines.width - 1)
    for row, width in enumerate(widths):
        if width != first:
            hint = ""
            if lines.separator == "," and any(
                _COMMA.fullmatch(",".join(cells[:2])) for cells in lines.rows() if len(cells) > 1
            ):
                hint = "; where a comma is the decimal point, separate cells with semicolons or write points"
            raise InputError(f"{lines.at(row)}: {first} cells are needed, as before, got {width}{hint}")
    return lines


def is_number(cell: str, decimal: str = ".") -> bool:
    """A number in plain notation."""
    return NUMBER.fullmatch(cell.replace(",", ".") if decimal == "," else cell) is not None


def is_missing(cell: str) -> bool:
    """Empty, or one of the words that pandas reads as missing."""
    return cell.lower() in MISSING


def refuse_notation(place: str, cell: str) -> None:
    """Raise InputError for a number in another notation: a percentage, an amount of money, a date."""
    for notation, what in _NOTATIONS:
        if notation.fullmatch(cell):
            raise InputError(f"{place}: a number is needed, got {what}, {cell!r}; write plain numbers")


def decimal_sign(lines: Lines) -> str:
    """A comma where some cell has one, no cell a point, and the comma cannot be that of thousands; else a point."""
    if lines.separator == ",":
        _refuse_split_decimals(lines)
        return "."
    if not any("," in line for line in lines.text):
        return "."
    cells = [
        (row, column, cell) for row, found in enumerate(lines.rows()) for column, cell in enumerate(found)
    ]
    commas = [found for found in cells if _COMMA.fullmatch(found[2])]
    if not commas:
        return "."
    row, column, comma = commas[0]
    if all(_THOUSANDS.fullmatch(cell) for _, _, cell in commas):
        raise InputError(
            f"{lines.at(row, column)}: {comma!r} may be a decimal comma or a separator of thousands; write points"
        )
    for other, place, cell in cells[lines.width :]:
        if "." in cell and is_number(cell):
            raise InputError(
                f"{lines.at(other, place)}: one decimal sign is needed, got {cell!r} and {comma!r} on line "
                f"{lines.numbers[row]}"
            )
    return ","


def _refuse_split_decimals(lines: Lines) -> None:
    """Two columns of whole numbers, the second with zeros in front, are one column with decimal commas: 1,05."""
    if lines.width != 2 or not all(WHOLE.fullmatch(cell) for cells in lines.rows() for cell in cells):
        return
    for row, cells in enumerate(lines.rows()):
        if re.fullmatch("0[0-9]+", cells[1]):
            raise InputError(
                f"{lines.at(row)}: '{','.join(cells)}' may be one number with a decimal comma or two numbers; "
                "write a point, or a header line that names both columns"
            )


def has_header(lines: Lines, decimal: str) -> bool | None:
    """Whether the first line holds names; None where the file leaves it open.

    A header is words above numbers. It is also 0, 1, .. above numbers that are never whole, or above the index column
    without a name that pandas writes.
    """
    first = next(lines.rows())
    if len(lines.numbers) == 1:
        return not all(is_number(cell, decimal) or is_missing(cell) for cell in first)
    columns = list(zip(*itertools.islice(lines.rows(1), _SAMPLED), strict=True))
    counted = [str(place) for place in range(len(first))]
    if first[0] == "" and len(first) > 1:
        # The index that pandas and R write has no name, and its values are all different.
        named = first[1:] == counted[:-1] or not all(
            is_number(cell, decimal) or is_missing(cell) for cell in first
        )
        if named and len(set(columns[0])) == len(columns[0]):
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
        return None if never and len(columns[0]) >= _ENOUGH and len(set(first)) == len(first) else False
    if not any(is_number(cell, decimal) or is_missing(cell) for cell in first):
        # Text above text. A word that comes again is a value.
        return False if any(any(map(eq, first, cells)) for cells in lines.rows(1)) else None
    return False


def index_columns(lines: Lines, names: list[str] | None, start: int) -> tuple[int, tuple[str, ...]]:
    """How many first columns, 0 or 1, are the line numbers that pandas and R write beside the data; and a note."""
    if lines.width == 1 or (names is not None and names[0] not in _INDEX_NAMES):
        return 0, ()
    first = [cells[0] for cells in lines.rows(start)]
    counts = any(first == [str(place + base) for place in range(len(first))] for base in (0, 1))
    if names is None:
        if counts and len(first) > 2:
            raise InputError(
                f"{lines.at(start, 0)}: a column that counts the lines may be an index or data; "
                "remove it, or name it in a header line"
            )
        return 0, ()
    different = len(set(first)) == len(first)
    whole = all(WHOLE.fullmatch(cell) for cell in first)
    text = not any(is_number(cell) or is_missing(cell) for cell in first)
    if counts or (names[0] != "index" and different and (whole or text)):
        title = f"{names[0]!r}" if names[0] else "without a name"
        return 1, (f"{lines.path}: the first column, {title}, is an index and was left out",)
    if names[0] in ("index", "level_0"):
        return 0, ()
    raise InputError(
        f"{lines.at(0, 0)}: a name is needed, got {names[0]!r} above values that are no index; name the column or "
        "remove it"
    )
