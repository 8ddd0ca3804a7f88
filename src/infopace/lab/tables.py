"""Tables of samples in files: CSV by its own signs, and Parquet. What is ambiguous is refused, with file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from infopace.lab.csv_signs import COMMA, WHOLE, Lines, has_header, is_missing, is_number, read_lines
from infopace.lab.errors import InputError

Missing = Literal["refuse", "drop"]
Header = Literal["auto", "yes", "no"]

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_INDEX_NAMES = ("", "Unnamed: 0", "index", "level_0")
_DROP = "; --missing drop leaves such examples out"
# Numbers as people write them, which as text would silently be labels.
_NOTATIONS = (
    (re.compile(r"[+-]?[0-9.,]+ ?%"), "a percentage"),
    (re.compile(r"[$€£¥] ?[+-]?[0-9.,]+|[+-]?[0-9.,]+ ?[$€£¥]"), "an amount of money"),
    (re.compile(r"[+-]?[0-9]{1,3}([., '_\u00a0\u202f][0-9]{3})+([.,][0-9]+)?"), "a number with separators"),
    (re.compile(r"[+-]?[0-9]+(_[0-9]+)+"), "a number with separators"),
    (COMMA, "a number with a decimal comma"),
    (re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([ T].*)?"), "a date"),
    (re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9.]+)?"), "a time"),
)
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Attributes:
        values: (n,) or (n, d) numbers, or (n,) labels as text; masked where values are missing and were let through.
        notes: What was not taken as data, in sentences.
        doubtful: Where the first line may be a header as well as an example, that line: "file, line 1 (0, 1)".
    """

    values: np.ndarray
    notes: tuple[str, ...] = ()
    doubtful: str = field(default="", compare=False)


def read_csv(path: Path, missing: Missing = "refuse", header: Header = "auto") -> Table:
    """One column of whole numbers or of text is labels; all else is numbers, one example a line."""
    lines = read_lines(path)
    if not lines.cells:
        raise InputError(f"{path} must have a line of numbers, got none")
    decimal = _decimal(lines)
    named = has_header(lines, decimal) if header == "auto" else header == "yes"
    doubtful = ""
    if named is None:
        doubtful = f"{lines.at(0)} ({', '.join(lines.cells[0])})"
        named = not all(is_number(cell, decimal) for cell in lines.cells[0])
    start = int(named)
    if len(lines.cells) == start:
        raise InputError(f"{path} must have a line of numbers, got none")
    names = lines.cells[0] if named else None
    from_column, notes = _index_columns(lines, names, start)
    return Table(_values(lines, start, from_column, decimal, missing), notes, doubtful)


def _decimal(lines: Lines) -> str:
    """The decimal sign: a comma where some cell has one, no cell a point, and it cannot be that of thousands."""
    if lines.separator == ",":
        _refuse_split_decimals(lines)
        return "."
    commas = [
        (row, column, cell)
        for row, cells in enumerate(lines.cells)
        for column, cell in enumerate(cells)
        if COMMA.fullmatch(cell)
    ]
    if not commas:
        return "."
    row, column, cell = commas[0]
    if all(_THOUSANDS.fullmatch(cell) for _, _, cell in commas):
        raise InputError(
            f"{lines.at(row, column)}: {cell!r} may be a decimal comma or a separator of thousands; write points"
        )
    for other, cells in enumerate(lines.cells[1:], 1):
        for place, text in enumerate(cells):
            if "." in text and is_number(text):
                raise InputError(
                    f"{lines.at(other, place)}: one decimal sign is needed, got {text!r} and {cell!r} on line "
                    f"{lines.numbers[row]}"
                )
    return ","


def _refuse_split_decimals(lines: Lines) -> None:
    """Two columns of whole numbers, the second with zeros in front, are one of decimal commas: 1,05."""
    if len(lines.cells[0]) != 2 or not all(WHOLE.fullmatch(cell) for cells in lines.cells for cell in cells):
        return
    for row, cells in enumerate(lines.cells):
        if re.fullmatch("0[0-9]+", cells[1]):
            raise InputError(
                f"{lines.at(row)}: '{','.join(cells)}' may be one number with a decimal comma or two numbers; "
                "write a point, or a header line that names both columns"
            )


def _index_columns(lines: Lines, names: list[str] | None, start: int) -> tuple[int, tuple[str, ...]]:
    """How many first columns, 0 or 1, are row numbers that pandas and R write beside the data."""
    first = [cells[0] for cells in lines.cells[start:]]
    width = len(lines.cells[0])
    counts = any(first == [str(place + base) for place in range(len(first))] for base in (0, 1))
    if names is None:
        if width > 1 and counts and len(first) > 2:
            raise InputError(
                f"{lines.at(start, 0)}: a column that counts the lines may be an index or data; "
                "remove it, or name it in a header line"
            )
        return 0, ()
    if names[0] not in _INDEX_NAMES or width == 1:
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


def _values(lines: Lines, start: int, first: int, decimal: str, missing: Missing) -> np.ndarray:
    cells = np.array(lines.cells[start:], dtype=object)[:, first:]
    gaps = np.array([is_missing(cell) for cell in cells.flat], dtype=bool).reshape(cells.shape)
    if gaps.any() and missing == "refuse":
        row, column = np.argwhere(gaps)[0].tolist()
        count = f"{int(gaps.any(axis=1).sum())} of {len(cells)} lines lack one"
        place = lines.at(start + row, first + column)
        raise InputError(f"{place}: a value is needed, got {cells[row, column]!r}; {count}{_DROP}")
    alone = cells.shape[1] == 1
    columns = [
        _column(lines, (start, first + place), cells[:, place].tolist(), gaps[:, place], decimal, alone)
        for place in range(cells.shape[1])
    ]
    if alone:
        return np.ma.masked_array(columns[0], mask=gaps[:, 0]) if gaps.any() else columns[0]
    values = np.column_stack([column.astype(np.float64) for column in columns])
    return np.ma.masked_array(values, mask=gaps) if gaps.any() else values


def _column(
    lines: Lines, origin: tuple[int, int], cells: list[str], gaps: np.ndarray, decimal: str, alone: bool
) -> np.ndarray:
    """Numbers, or for a single column labels; 0 where a value is missing."""
    start, place = origin
    present = [row for row, gap in enumerate(gaps) if not gap]
    there = [cells[row] for row in present]
    found: np.ndarray
    if alone and all(WHOLE.fullmatch(cell) for cell in there):
        try:
            found = np.array([int(cell) for cell in there], dtype=np.int64)
        except OverflowError:
            row, cell = next(pair for pair in zip(present, there, strict=True) if abs(int(pair[1])) >= 2**63)
            raise InputError(
                f"{lines.at(start + row, place)}: labels must be within 64 bits, got {cell}"
            ) from None
    elif (plain := _plain_numbers(there, decimal)) is not None:
        found = plain
    elif not alone and all(cell.lower() in ("true", "false") for cell in there):
        found = np.array([cell.lower() == "true" for cell in there])
    else:
        odd = [row for row in present if not is_number(cells[row], decimal)]
        _refuse_notation(lines.at(start + odd[0], place), cells[odd[0]])
        if not alone or len(odd) < len(present):
            hint = "" if alone else "; text is read as labels where it is the only column"
            got = cells[odd[0]]
            raise InputError(f"{lines.at(start + odd[0], place)}: a number is needed, got {got!r}{hint}")
        found = np.array(there, dtype=object)
    values = np.zeros(len(cells), dtype=found.dtype)
    values[present] = found
    return values


def _plain_numbers(cells: list[str], decimal: str) -> np.ndarray | None:
    """The numbers, where all are. Python takes 1_000 and nan too, which are none here."""
    if decimal == ",":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        found = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    return None if np.isnan(found).any() or any("_" in cell for cell in cells) else found


def _refuse_notation(place: str, cell: str) -> None:
    for notation, what in _NOTATIONS:
        if notation.fullmatch(cell):
            raise InputError(f"{place}: a number is needed, got {what}, {cell!r}; write plain numbers")


def read_parquet(path: Path, missing: Missing = "refuse") -> Table:
    """Columns of numbers, or one of labels: whole numbers, booleans, text, or what a dictionary encodes."""
    import pyarrow  # takes its time, and only this format needs it
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path).read()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is no readable .parquet file: {error}") from error
    titles = [title for title in table.column_names if not _PANDAS_INDEX.fullmatch(title)]
    if not titles:
        raise InputError(f"{path} must have a column of numbers, got none")
    columns: list[np.ndarray] = []
    gaps: list[np.ndarray] = []
    for title in titles:
        column = table.column(title)
        kinds = pyarrow.types
        if kinds.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        numeric = any(fits(column.type) for fits in (kinds.is_integer, kinds.is_floating, kinds.is_boolean))
        text = any(
            fits(column.type) for fits in (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
        )
        if not numeric and not (text and len(titles) == 1):
            hint = "; text is read as labels where it is the only column" if text else ""
            raise InputError(f"{path}, column {title!r} must hold numbers, got {column.type}{hint}")
        gap = column.is_null(nan_is_null=True).to_numpy()
        if gap.any() and missing == "refuse":
            place = f"{path}, row {int(gap.argmax())}, column {title!r}"
            count = f"{int(gap.sum())} of {len(gap)} rows"
            raise InputError(f"{place}: a value is needed, got a missing one ({count}){_DROP}")
        columns.append(
            column.fill_null("" if text else False if kinds.is_boolean(column.type) else 0).to_numpy()
        )
        gaps.append(gap)
    mask = np.column_stack(gaps)
    if len(columns) == 1:
        return Table(np.ma.masked_array(columns[0], mask=mask[:, 0]) if mask.any() else columns[0])
    values = np.column_stack([column.astype(np.float64) for column in columns])
    return Table(np.ma.masked_array(values, mask=mask) if mask.any() else values)
