"""Samples in CSV and Parquet files. pandas reads the values; what is ambiguous is refused, with file and line."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from infopace.lab.csv_signs import (
    MISSING,
    WHOLE,
    Lines,
    decimal_sign,
    has_header,
    index_columns,
    is_number,
    read_lines,
    refuse_notation,
)
from infopace.lab.errors import InputError

if TYPE_CHECKING:
    import pandas

Missing = Literal["refuse", "drop"]
Header = Literal["auto", "yes", "no"]

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_DROP = "; --missing drop leaves such examples out"
_NA_VALUES = sorted({form for word in MISSING for form in (word, word.upper(), word.capitalize())})


@dataclass(frozen=True)
class Table:
    """The samples of one file.

    Attributes:
        values: (n,) or (n, d) numbers, or (n,) labels as text. Masked where values are missing and may be.
        notes: What was not taken as data, in sentences.
        headed: Whether the file has a header for certain.
        doubtful: The first line, where it may be a header or an example: "file, line 1 (0, 1)". Else empty.
    """

    values: np.ndarray
    notes: tuple[str, ...] = ()
    headed: bool = False
    doubtful: str = ""


def read_csv(path: Path, missing: Missing = "refuse", header: Header = "auto") -> Table:
    """Read one example a line. A single column of whole numbers or of text is labels; all else is numbers."""
    lines = read_lines(path)
    first_line = next(lines.rows())
    decimal = decimal_sign(lines)
    headed = has_header(lines, decimal) if header == "auto" else header == "yes"
    doubtful, named = "", bool(headed)
    if headed is None:
        doubtful = f"{lines.at(0)} ({', '.join(first_line)})"
        named = not all(is_number(cell, decimal) for cell in first_line)
    start = int(named)
    if len(lines.numbers) == start:
        raise InputError(f"{path} must have a line of numbers, got none")
    first, notes = index_columns(lines, first_line if named else None, start)
    return Table(_values(lines, start, first, decimal, missing), notes, bool(headed), doubtful)


def _values(lines: Lines, start: int, first: int, decimal: str, missing: Missing) -> np.ndarray:
    frame = _frame(lines, start, first, decimal)
    gaps = frame.isna().to_numpy()
    if gaps.any() and missing == "refuse":
        row, column = np.argwhere(gaps)[0].tolist()
        count = f"{int(gaps.any(axis=1).sum())} of {len(frame)} lines lack one"
        cell = lines.cell(start + row, first + column)
        raise InputError(
            f"{lines.at(start + row, first + column)}: a value is needed, got {cell!r}; {count}{_DROP}"
        )
    alone = frame.shape[1] == 1
    columns = [
        _column(lines, start, first + i, frame.iloc[:, i], decimal, alone) for i in range(frame.shape[1])
    ]
    return _stacked(columns, gaps)


def _frame(lines: Lines, start: int, first: int, decimal: str) -> pandas.DataFrame:
    """The cells below the header as pandas types them, missing ones as NA. Columns are named by their place."""
    import pandas  # slow to import, and only this command needs it

    frame = pandas.read_csv(
        io.StringIO(lines.text_from(start)),
        sep=lines.separator,
        decimal=decimal,
        header=None,
        usecols=range(first, lines.width),
        skipinitialspace=True,
        skip_blank_lines=lines.width > 1,
        na_values=_NA_VALUES,
        dtype_backend="numpy_nullable",
    )
    if len(frame) != len(lines.numbers) - start:
        raise InputError(
            f"{lines.path} is no readable .csv file: it has {len(lines.numbers) - start} lines, and pandas finds"
            f" {len(frame)}"
        )
    for name in frame.select_dtypes("string"):
        text = frame[name].str.strip()
        frame[name] = text.mask(text.str.lower().isin(MISSING))
    return frame


def _column(
    lines: Lines, start: int, place: int, column: pandas.Series, decimal: str, alone: bool
) -> np.ndarray:
    """Numbers, or for a single column labels; 0 or "" where a value is missing."""
    kind = column.dtype.kind
    if kind == "b":
        return (
            column.astype("string").to_numpy(object, na_value="")
            if alone
            else column.to_numpy(bool, na_value=0)
        )
    if kind == "f" or (kind in "iu" and not alone):
        return column.to_numpy(np.float64, na_value=0)
    if kind == "i":
        return column.to_numpy(np.int64, na_value=0)
    # Text, or whole numbers beyond 64 bits.
    there = [(row, str(cell)) for row, cell in enumerate(column) if isinstance(cell, str | int)]
    if alone and all(WHOLE.fullmatch(cell) for _, cell in there):
        for row, cell in there:
            if not -(2**63) <= int(cell) < 2**63:
                raise InputError(f"{lines.at(start + row, place)}: labels must be within 64 bits, got {cell}")
        return column.astype("Int64").to_numpy(np.int64, na_value=0)
    odd = [(row, cell) for row, cell in there if not is_number(cell, decimal)]
    if not odd:
        numbers = column.str.replace(",", ".") if decimal == "," else column
        return numbers.to_numpy(object, na_value=0).astype(np.float64)
    row, cell = odd[0]
    refuse_notation(lines.at(start + row, place), cell)
    if not alone or len(odd) < len(there):
        hint = "" if alone else "; text is read as labels where it is the only column"
        raise InputError(f"{lines.at(start + row, place)}: a number is needed, got {cell!r}{hint}")
    return column.to_numpy(object, na_value="")


def _stacked(columns: list[np.ndarray], gaps: np.ndarray) -> np.ndarray:
    """(n,) of a single column, else (n, d) float64; masked where there are gaps (n, d)."""
    if len(columns) == 1:
        return np.ma.masked_array(columns[0], mask=gaps[:, 0]) if gaps.any() else columns[0]
    values = np.column_stack([column.astype(np.float64) for column in columns])
    return np.ma.masked_array(values, mask=gaps) if gaps.any() else values


def read_parquet(path: Path, missing: Missing = "refuse") -> Table:
    """Columns of numbers, or one of labels: whole numbers, booleans, text, or what a dictionary encodes."""
    import pyarrow  # slow to import, and only this format needs it
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
    return Table(_stacked(columns, np.column_stack(gaps)))
