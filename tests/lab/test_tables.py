"""CSV and Parquet files: what is read, what is left out with a note, what is refused with file and line."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from infopace import mutual_information
from infopace.cli import main
from infopace.lab.arrays import read_npy
from infopace.lab.errors import InputError
from infopace.lab.measure import read_pair, read_samples
from infopace.lab.tables import Header, read_csv, read_parquet

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame({"a": RNG.normal(size=30), "b": RNG.normal(size=30)})
LABELS = np.arange(30) % 3
WORDS = np.array(["cat", "dog", "eel"])[LABELS]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str | bytes, name: str = "t.csv") -> Path:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Path(name)


# The text, and the arguments with which pandas reads the same.
GOOD: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "names": ("a,b\n1.5,2\n3,4\n", {}),
    "no names": ("1.5,2\n3,4\n", {"header": None}),
    "byte order mark": (b"\xef\xbb\xbfa,b\n1.5,2\n", {}),
    "utf-16": ("a,b\n1.5,2\n3,4\n".encode("utf-16"), {"encoding": "utf-16"}),
    "lines of Windows": ("a,b\r\n1.5,2\r\n3,4\r\n", {}),
    "no last line end": ("a,b\n1.5,2\n3,4", {}),
    "quoted": ('"a, of x","b"\n"1.5","2"\n"3",4\n', {}),
    "a name over two lines": ('"a\nof x",b\n1.5,2\n', {}),
    "spaces": ("a , b\n 1.5, 2\n", {"skipinitialspace": True}),
    "blank lines": ("a,b\n\n1.5,2\n\n3,4\n\n", {}),
    "tabs": ("a\tb\n1.5\t2\n", {"sep": "\t"}),
    "semicolons": ("a;b\n1.5;2\n", {"sep": ";"}),
    "bars": ("a|b\n1.5|2\n", {"sep": "|"}),
    "decimal commas": ("a;b\n1,5;2\n-3,25;4e2\n", {"sep": ";", "decimal": ","}),
    "decimal commas of three places": ("a;b\n0,125;2\n1,500;4\n", {"sep": ";", "decimal": ","}),
    "decimal commas between tabs": ("1,5\t2\n3,25\t4\n", {"sep": "\t", "decimal": ",", "header": None}),
    "comments first": ("# made by hand\n#a b\n1.5,2\n3,4\n", {"comment": "#", "header": None}),
    "Excel's own line": ("sep=;\na;b\n1.5;2\n", {"sep": ";", "skiprows": 1}),
    "a separator at the end": ("a,b\n1.5,2,\n3,4,\n", {"index_col": False, "usecols": [0, 1]}),
    "a separator at the end of names too": ("a,b,\n1.5,2,\n3,4,\n", {"usecols": [0, 1]}),
    "names twice": ("a,a\n1.5,2\n", {}),
    "names of whole numbers": ("0,1\n1.5,2.5\n3.5,4.5\n", {}),
    "index": (FRAME.to_csv(), {"index_col": 0}),
    "index of a part": (FRAME[7:12].to_csv(), {"index_col": 0}),
    "index of names": (FRAME.set_index(pd.Index([f"n{i}" for i in range(30)])).to_csv(), {"index_col": 0}),
    "index and names of whole numbers": (pd.DataFrame(FRAME.to_numpy()).to_csv(), {"index_col": 0}),
    "index, written twice": (pd.read_csv(io.StringIO(FRAME.to_csv())).to_csv(index=False), {"index_col": 0}),
    "row numbers of R": ('"","a"\n"1",1.5\n"2",2.5\n"3",3.5\n', {"index_col": 0}),
    "true and false": ("a,b\n1.5,True\n2,false\n", {}),
    "exponents": ("a,b\n1e3,-2.5E-3\n+.5,5.\n", {}),
    "spaces after cells": ("a , b\n1.5 ,2\n3,4 \n", {}),
    "quoted, with spaces in the quotes": ('a,b\n"1.5 ",2\n3,4\n', {}),
    "whole numbers beyond 64 bits": (f"a,b\n{10**25},2\n3,4\n", {}),
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_files_give_what_pandas_gives(kind: str) -> None:
    text, signs = GOOD[kind]
    path = written(text)
    found = read_csv(path)
    wanted = pd.read_csv(path, **signs).to_numpy(dtype=float)
    np.testing.assert_array_equal(found.values.reshape(wanted.shape), wanted)
    assert found.values.dtype == np.float64
    assert not found.doubtful
    assert [note for note in found.notes if "is an index and was left out" in note] == list(found.notes)
    assert len(found.notes) == ("index_col" in signs and signs["index_col"] == 0 and "end" not in kind)


LABELLED: dict[str, tuple[str, Header, list[Any]]] = {
    "whole numbers": ("y\n3\n-1\n3\n", "auto", [3, -1, 3]),
    "whole numbers without a name": ("3\n1\n3\n", "auto", [3, 1, 3]),
    "text": ("y\ncat\ndog\ncat\n", "yes", ["cat", "dog", "cat"]),
    "text without a name": ("cat\ndog\ncat\n", "auto", ["cat", "dog", "cat"]),
    "a separator of lines that is none in CSV": (
        "y\na\u2028b\nc\na\u2028b\n",
        "yes",
        ["a\u2028b", "c", "a\u2028b"],
    ),
    "text, quoted": ('"cat, black"\ndog\n"cat, black"\n', "auto", ["cat, black", "dog", "cat, black"]),
    "text beside an index": (",y\n0,cat\n1,dog\n2,cat\n", "auto", ["cat", "dog", "cat"]),
    "a series of pandas": (",0\n0,5\n1,7\n2,5\n", "auto", [5, 7, 5]),
    "truth": ("y\nTrue\nFalse\nTrue\n", "yes", ["True", "False", "True"]),
    "the largest": (f"y\n{2**63 - 1}\n{-(2**63)}\n", "auto", [2**63 - 1, -(2**63)]),
    "named 0": ("0\n1\n1\n2\n", "yes", [1, 1, 2]),
    "named 0, or the first of them": ("0\n1\n1\n2\n", "no", [0, 1, 1, 2]),
}


@pytest.mark.parametrize("kind", LABELLED)
def test_one_column_of_whole_numbers_or_text_is_labels(kind: str) -> None:
    text, header, wanted = LABELLED[kind]
    found = read_samples(written(text), "y", header=header)
    assert (found.kind, found.values.tolist()) == ("labels", wanted)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "decimal commas under one name": (
        "h\n1,83\n1,75\n",
        r"line 2: 1 cells are needed, .*, got 2; where a comma .*",
    ),
    "decimal commas without names": (
        "1,83\n1,05\n",
        r"line 2: '1,05' may be one number with a decimal comma or .*",
    ),
    "commas of thousands or decimals": (
        "a;b\n1,234;2\n",
        r"line 2, column 1: '1,234' may be a decimal comma or .*",
    ),
    "both decimal signs": (
        "a;b\n1,5;2\n1.5;2\n",
        r"line 3, column 1: one decimal sign is needed, got '1.5' and .*",
    ),
    "points of thousands": (
        "a;b\n1.234,5;2\n",
        r"line 2, column 1: .*, got a number with separators, '1.234,5'; .*",
    ),
    "commas of thousands": (
        'a\n"1,234"\n"2,345"\n',
        r"line 2, column 1: .*, got a number with separators, .*",
    ),
    "percentages": ("a\n50 %\n20 %\n", r"line 2, column 1: a number is needed, got a percentage, '50 %'; .*"),
    "money": ("a,b\n1,$5.20\n", r"line 2, column 2: a number is needed, got an amount of money, .*"),
    "dates": ("a\n2026-01-01\n2026-01-01\n", r"line 2, column 1: a number is needed, got a date, .*"),
    "times": ("a,b\n1,12:30\n", r"line 2, column 2: a number is needed, got a time, '12:30'; .*"),
    "words among numbers": ("a\n1\nhigh\n3\n", r"line 3, column 1: a number is needed, got 'high'"),
    "words beside numbers": (
        "a,b\n1,cat\n2,dog\n",
        r"line 2, column 2: .*, got 'cat'; text is read as labels .*",
    ),
    "an empty cell": (
        "a,b\n1,2\n\n3,\n",
        r"line 4, column 2: a value is needed, got ''; 1 of 2 lines lack one; .*",
    ),
    "NA": (
        "a,b\n1,NA\n3,4\n5,nan\n",
        r"line 2, column 2: a value is needed, got 'NA'; 2 of 3 lines lack one; .*",
    ),
    "NA among labels": ("y\n1\nNA\n1\n", r"line 3, column 1: a value is needed, got 'NA'; .*"),
    "a blank line in one column": ("a\n1.5\n\n2.5\n", r"line 3, column 1: a value is needed, got ''; .*"),
    "a line of empty cells": ("a,b\n1,2\n,\n", r"line 3, column 1: a value is needed, got ''; .*"),
    "a last column without values": (
        "a,b,c\n1,2,\n3,4,\n",
        r"line 2, column 3: a value is needed, got ''; .*",
    ),
    "a cell too many": ("a,b\n1,2\n\n3,4,5\n", r"line 4: 2 cells are needed, as before, got 3.*"),
    "a cell too few": ("a;b\n1;2\n3\n", r"line 3: 2 cells are needed, as before, got 1"),
    "too large a label": (
        "y\n" + "9" * 30 + "\n",
        r"line 2, column 1: labels must be within 64 bits, got 9+",
    ),
    "counting without names": (
        "0,1.5\n1,2.5\n2,3.5\n",
        r"line 1, column 1: a column that counts the lines .*",
    ),
    "no name above data": (
        ",b\n0.5,1\n0.5,2\n0.7,1\n",
        r"line 1, column 1: a name is needed, got '' above .*",
    ),
    "only names": ("a,b\n", r" must have a line of numbers, got none"),
    "nothing": ("", r" must have a line of numbers, got none"),
    "only blank lines": ("\n\n", r" must have a line of numbers, got none"),
    "only comments": ("# a\n# b\n", r" must have a line of numbers, got none"),
    "a comment between": ("a,b\n1,2\n# no\n", r"line 3: 2 cells are needed, as before, got 1.*"),
    "another encoding": ("größe\n1\n".encode("latin-1"), r" is no readable \.csv file: .*utf-8.*"),
    "half a UTF-16": (b"\xff\xfea", r" is no readable \.csv file: .*"),
    "a long cell": ("a\n" + "x" * 200_000 + "\n", r" is no readable \.csv file: field larger .*"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_ambiguous_or_no_number_names_file_and_line(kind: str) -> None:
    text, message = REFUSED[kind]
    with pytest.raises(InputError) as refused:
        read_samples(written(text), "x")
    assert re.fullmatch(rf"t\.csv(, )?{message}", str(refused.value)), str(refused.value)


def test_the_other_file_says_whether_a_line_is_a_header() -> None:
    headed = written("a\n" + "0.5\n" * 30, "x.csv")
    for text in ("0\n" + "1\n" * 30, "0\n" + "1\n" * 29, "kind\n" + "cat\n" * 30, "cat\n" + "dog\n" * 29):
        x, y = read_pair(headed, written(text, "y.csv"))
        assert (x.examples, y.examples) == (30, 30)
    x, y = read_pair(written("0,1\n" + "3,4\n" * 30, "x.csv"), written("a\n" + "0.5\n" * 30, "y.csv"))
    assert (x.examples, y.examples, y.notes) == (30, 30, ())
    # Without a header the first lines of both are examples.
    plain = written("0.5\n" * 30, "x.csv")
    assert read_pair(plain, written("0\n" + "1\n" * 29, "y.csv"))[1].values.tolist() == [0] + [1] * 29


@pytest.mark.parametrize("text", ["0\n" + "1\n" * 40, "kind\n" + "cat\n" * 40])
@pytest.mark.parametrize("file", ["x.csv", "x.npy"])
def test_an_example_is_not_taken_as_a_header_of_a_file_without_one(text: str, file: str) -> None:
    np.save("x.npy", np.full(40, 0.5))
    written("0.5\n" * 40, "x.csv")
    first = text.split()[0]
    message = (
        f"y.csv, line 1 ({first}) may be a header or an example: {file} has 40 examples and y.csv 41 lines; "
        "say --header yes or --header no"
    )
    with pytest.raises(InputError) as refused:
        read_pair(Path(file), written(text, "y.csv"))
    assert str(refused.value) == message
    assert read_pair(Path(file), Path("y.csv"), header="yes" if file == "x.npy" else "no")[1].examples in (
        40,
        41,
    )


def test_headers_that_nothing_decides() -> None:
    names = written("0,1\n" + "3,4\n" * 30, "x.csv")
    with pytest.raises(
        InputError, match=r"^x\.csv, line 1 \(0, 1\) may be a header or an example: say --header .*"
    ):
        read_pair(names, names)
    assert [s.examples for s in read_pair(names, names, header="yes")] == [30, 30]
    assert [s.examples for s in read_pair(names, names, header="no")] == [31, 31]
    labels = written("0\n1\n" * 15, "y.csv")
    x, _ = read_pair(labels, labels)
    assert x.examples == 30
    assert x.notes[0] == "y.csv, line 1 (0) was read as an example; where it is a header, say --header yes"
    years = written("2019,2020\n" + "1.5,2.5\n" * 12, "x.csv")
    with pytest.raises(InputError, match=r"^x\.csv, line 1 \(2019, 2020\) may be a header or an example"):
        read_pair(years, years)
    word = written("kind\ncat\ndog\n", "y.csv")
    with pytest.raises(InputError, match=r"^y\.csv, line 1 \(kind\) may be a header or an example"):
        read_pair(word, word)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("kind", ["numbers", "whole numbers", "text"])
def test_missing_values_are_dropped_in_pairs(
    suffix: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gap, hole = np.arange(30) % 5 == 2, np.arange(30) == 8
    targets = {"numbers": FRAME["a"] ** 2, "whole numbers": pd.Series(LABELS), "text": pd.Series(WORDS)}[kind]
    x, y = FRAME.assign(b=FRAME["b"].mask(hole)), pd.DataFrame({"y": targets.astype(object).mask(gap)})
    for name, frame in (("x", x), ("y", y.convert_dtypes())):
        if suffix == "csv":
            frame.to_csv(f"{name}.csv", index=False)
        else:
            frame.to_parquet(f"{name}.parquet")
    files = ["measure", f"x.{suffix}", f"y.{suffix}", "--permutations", "0", "--json"]
    assert main(files) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(
        rf"infopace: x\.{suffix}, (line 10|row 8), column .*: a value is needed, .*\n", said
    ), said
    assert main([*files, "--missing", "drop"]) == 0
    found = json.loads(capsys.readouterr().out)
    there = ~gap & ~hole
    wanted = mutual_information(FRAME[there].to_numpy(), targets[there].to_numpy())
    assert (found["nats"], found["n"]) == (pytest.approx(wanted.nats, abs=1e-12), int(there.sum()))
    assert found["warnings"][0]["sentence"] == "7 of 30 examples have a missing value and were left out"


def test_an_index_is_left_out_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    FRAME.to_csv("x.csv")
    pd.DataFrame({"y": WORDS}).to_csv("y.csv")
    assert main(["measure", "x.csv", "y.csv", "--permutations", "0"]) == 0
    table = capsys.readouterr().out
    assert "warning  x.csv: the first column, without a name, is an index and was left out\n" in table
    assert "x        x.csv: 30 examples, vector of 2\ny        y.csv: 30 examples, labels\n" in table


@pytest.mark.parametrize("encoded", [False, True])
def test_text_in_parquet_is_labels(encoded: bool) -> None:
    column = pyarrow.array(WORDS.tolist())
    parquet.write_table(pyarrow.table({"y": column.dictionary_encode() if encoded else column}), "y.parquet")
    found = read_samples(Path("y.parquet"), "y")
    assert (found.kind, found.values.tolist()) == ("labels", WORDS.tolist())
    parquet.write_table(pyarrow.table({"y": pd.to_datetime(["2026-01-01"])}), "dates.parquet")
    with pytest.raises(InputError, match=r"^dates\.parquet, column 'y' must hold numbers, got timestamp"):
        read_parquet(Path("dates.parquet"))


def test_what_lies_beside_x_and_y_does_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    x = FRAME.to_numpy()
    np.savez("more.npz", x=x, y=WORDS, names=np.array(["a", None]), note=np.array("kept"))
    with zipfile.ZipFile("more.npz", "a") as archive:
        archive.writestr("readme.txt", "not an array")
    assert main(["measure", "more.npz", "--permutations", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["nats"] == mutual_information(x, LABELS).nats
    assert found["y"]["kind"] == "labels"
    np.savez("capitals.npz", X=x, Y=LABELS)
    assert main(["measure", "capitals.npz"]) == 2
    assert "must hold the arrays x and y, got X, Y" in capsys.readouterr().err


def header(shape: str, descr: str = "'<f8'", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + text + b"\0" * 64


HOSTILE = {
    "terabytes": (
        header("(1000000000000,)"),
        r"its header names 8000000000000 bytes, shape .*, and 64 are there",
    ),
    "beyond 64 bits": (header("(1" + "0" * 30 + ",)"), r"its header names 80+ bytes, shape .*"),
    "below nothing": (header("(-5,)"), r"its header names -40 bytes, .*"),
    "terabytes, version 2": (
        header("(1000000000000,)", version=b"\x02\x00"),
        r"its header names 8000000000000 .*",
    ),
    "terabytes of nothing": (header("(1000000000000,)", "'<U0'"), r".* got dtype <U0"),
    "no shape": (header("'x'"), r".*shape is not valid.*"),
    "no type": (header("(3,)", "'nonsense'"), r".*"),
    "objects": (header("(3,)", "'|O'"), r".* got Python objects, .*"),
    "fields": (header("(3,)", "[('a', '<f8')]"), r".* got dtype .*"),
    "format 3": (header("(3,)", version=b"\x03\x00"), r".* got format 3\.0, for named fields"),
    "format 9": (header("(3,)", version=b"\x09\x00"), r".* format .*"),
    "code": (header("__import__('os').getpid()"), r".*"),
    "cut": (b"\x93NUMPY\x01", r".*"),
    "empty": (b"", r".*"),
    "open parentheses": (header("(" * 5000), r".*"),
    "lists in lists": (header("[" * 5000 + "]" * 5000), r".*"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_header_is_checked_before_anything_is_allocated(kind: str) -> None:
    content, message = HOSTILE[kind]
    path = written(content, "t.npy")
    with zipfile.ZipFile("t.npz", "w") as archive:
        archive.writestr("x.npy", content)
    tracemalloc.start()
    try:
        for file in (path, Path("t.npz")):
            with pytest.raises(InputError, match=rf"^{re.escape(str(file))}.*{message}$") as refused:
                read_samples(file, "x")
            assert "\n" not in str(refused.value)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_fortran_array_is_read() -> None:
    np.save("f.npy", np.asfortranarray(FRAME.to_numpy()))
    np.testing.assert_array_equal(read_npy(Path("f.npy")), FRAME.to_numpy())
