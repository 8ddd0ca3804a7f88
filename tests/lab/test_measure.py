"""`infopace measure` on real files: every format gives the library's own numbers, bad input one line."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from infopace import mutual_information
from infopace.cli import main
from infopace.lab.measure import BOUNDS, MeasureConfig, measure, read_samples

RNG = np.random.default_rng(5)
LABELS = np.arange(90) % 3
VECTORS = 1.5 * np.eye(3)[LABELS][:, :2] + RNG.normal(size=(90, 2))


def as_npy(path: Path, values: np.ndarray) -> Path:
    np.save(path.with_suffix(".npy"), values)
    return path.with_suffix(".npy")


def as_npz(path: Path, values: np.ndarray) -> Path:
    np.savez_compressed(path.with_suffix(".npz"), whatever=values)
    return path.with_suffix(".npz")


def as_csv(path: Path, values: np.ndarray, header: bool = False) -> Path:
    with open(path.with_suffix(".csv"), "w", newline="") as file:
        rows = values.reshape(len(values), -1).tolist()
        csv.writer(file).writerows([[f"c{i}" for i in range(len(rows[0]))]] * header + rows)
    return path.with_suffix(".csv")


def as_csv_with_header(path: Path, values: np.ndarray) -> Path:
    return as_csv(path, values, header=True)


def as_parquet(path: Path, values: np.ndarray) -> Path:
    columns = values.reshape(len(values), -1).T
    parquet.write_table(
        pyarrow.table({f"c{i}": column for i, column in enumerate(columns)}), path.with_suffix(".parquet")
    )
    return path.with_suffix(".parquet")


WRITERS = (as_npy, as_npz, as_csv, as_csv_with_header, as_parquet)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line of a refused command."""
    assert main(["measure", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"infopace: [^\n]+\n", captured.err), captured.err
    return captured.err.removeprefix("infopace: ").rstrip("\n")


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_number_of_the_library(
    write: Callable[[Path, np.ndarray], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = write(Path("x"), VECTORS), write(Path("y"), LABELS)
    assert main(["measure", str(x), str(y), "--permutations", "9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    wanted = mutual_information(VECTORS, LABELS, permutations=9)
    assert found == {
        "nats": wanted.nats,
        "std_error": wanted.std_error,
        "bias": wanted.bias,
        "interval": list(wanted.interval),
        "clipped": wanted.clipped,
        "ceiling": wanted.ceiling,
        "p_value": wanted.p_value,
        "permutations": 9,
        "n": 90,
        "method": "ross",
        "choice": wanted.choice,
        "k": 3,
        "norm": "euclidean",
        "warnings": [{"kind": c.kind, "sentence": c.sentence} for c in wanted.warnings],
        "x": {"source": str(x), "kind": "vector", "examples": 90, "columns": 2},
        "y": {"source": str(y), "kind": "labels", "examples": 90, "columns": 1},
    }


def test_one_npz_with_both_is_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("both.npz", x=VECTORS, y=LABELS, other=np.zeros(3))
    shown: list[dict[str, object]] = []
    for files in (["both.npz"], ["both.npz", "both.npz"], [str(as_npy(Path("x"), VECTORS)), "both.npz"]):
        assert main(["measure", *files, "--permutations", "0", "--json"]) == 0
        shown.append({**json.loads(capsys.readouterr().out), "x": None, "y": None})
    assert shown[0] == shown[1] == shown[2]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = as_npy(Path("x"), VECTORS), as_csv(Path("y"), LABELS)
    assert main(["measure", str(x), str(y)]) == 0
    wanted = mutual_information(VECTORS, LABELS, permutations=200)
    assert capsys.readouterr().out.splitlines() == [
        "x        x.npy: 90 examples, vector of 2",
        "y        y.csv: 90 examples, labels",
        f"I(X;Y)   {wanted.nats:.4f} ± {wanted.std_error:.4f} nats",
        "95 %     {:.4f} to {:.4f} nats".format(*wanted.interval),
        f"clipped  {wanted.clipped:.4f} nats, ceiling {math.log(3):.4f}",
        f"p-value  {wanted.p_value:.4g} by 200 permutations",
        "n        90 examples",
        "method   ross: neighbours, for a vector and labels (k = 3, euclidean)",
        *(f"warning  {caution}" for caution in wanted.warnings),
    ]


def test_the_table_says_which_number_the_p_value_tests() -> None:
    as_npy(Path("x"), VECTORS)
    lines = measure(MeasureConfig(Path("x.npy"), as_npy(Path("y"), VECTORS[:, :1] ** 2), permutations=4))
    assert any(
        re.fullmatch(r"p-value  0\.2 by 4 permutations of the neighbour estimate \(ksg1\)", t) for t in lines
    )


def test_warnings_are_lines_of_the_table() -> None:
    as_npy(Path("x"), np.zeros((90, 2)))
    as_npy(Path("y"), LABELS)
    wanted = mutual_information(np.load("x.npy"), LABELS)
    lines = measure(MeasureConfig(Path("x.npy"), Path("y.npy"), permutations=0))
    assert [line[9:] for line in lines if line.startswith("warning  ")] == list(map(str, wanted.warnings))
    assert wanted.warnings
    assert "p-value  not computed" in lines


def test_nan_and_infinity_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    x = as_npy(Path("x"), VECTORS)
    command = ["measure", str(x), str(x), "--estimator", "gaussian", "--permutations", "0", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [found[f] for f in ("nats", "std_error", "ceiling", "p_value")] == [None] * 4
    assert found["interval"] == [None, None]
    assert main(command[:-1]) == 0
    table = capsys.readouterr().out
    assert "I(X;Y)   inf without error bar nats" in table
    assert "no ceiling" in table
    assert "95 %     not computed\n" in table
    assert "method   gaussian: named by --estimator\n" in table


def test_the_flags_reach_the_estimator() -> None:
    as_npy(Path("x"), VECTORS)
    as_npy(Path("y"), VECTORS[:, 0] + RNG.normal(size=90))
    config = MeasureConfig(
        Path("x.npy"), Path("y.npy"), estimator="ksg2", k=5, norm="chebyshev", permutations=4, json=True
    )
    found = json.loads(*measure(config))
    wanted = mutual_information(
        VECTORS, np.load("y.npy"), estimator="ksg2", k=5, norm="chebyshev", permutations=4
    )
    assert (found["nats"], found["p_value"]) == (wanted.nats, wanted.p_value)
    assert (found["method"], found["k"], found["norm"]) == ("ksg2", 5, "chebyshev")
    assert found["ceiling"] is None


def test_a_bound_is_not_permuted(capsys: pytest.CaptureFixture[str]) -> None:
    assert "linear-probe" in BOUNDS
    x, y = as_npy(Path("x"), VECTORS), as_npy(Path("y"), LABELS)
    command = [x, y, "--estimator", "linear-probe"]
    assert main(["measure", *map(str, command)]) == 0
    assert "p-value  not computed" in capsys.readouterr().out
    assert "a bound has no p-value" in refusal(capsys, *command, "--permutations", "5")


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(4), "labels"),
        (np.arange(4) - 2, "labels"),
        (np.arange(4.0), "vector"),
        (np.arange(8).reshape(4, 2), "vector"),
        (np.arange(8.0).reshape(4, 2), "vector"),
    ],
)
def test_one_column_of_integers_is_labels_in_every_format(
    write: Callable[[Path, np.ndarray], Path], values: np.ndarray, kind: str
) -> None:
    found = read_samples(write(Path("a"), values), "x")
    assert (found.kind, found.examples, found.columns) == (kind, 4, values.size // 4)
    np.testing.assert_array_equal(found.values.reshape(values.shape), values)


def test_odd_but_good_files() -> None:
    Path("a.CSV").write_bytes(b"\xef\xbb\xbfheight , weight\r\n 1, 2e3\r\n\r\n-3,4.5\r\n")
    assert read_samples(Path("a.CSV"), "x").values.tolist() == [[1, 2000], [-3, 4.5]]
    flags = pyarrow.table({"flag": [True, False, True]})
    parquet.write_table(flags, "flags.parquet")
    assert read_samples(Path("flags.parquet"), "y").values.tolist() == [True, False, True]
    assert read_samples(Path("flags.parquet"), "y").kind == "labels"
    mixed = pyarrow.table({"a": [1, 2], "b": [0.5, 1.5], "__index_level_0__": ["u", "v"]})
    parquet.write_table(mixed, "mixed.parquet")
    assert read_samples(Path("mixed.parquet"), "y").values.tolist() == [[1, 0.5], [2, 1.5]]
    np.save("long.npy", np.arange(3, dtype=np.longdouble))
    assert read_samples(Path("long.npy"), "x").values.dtype == np.float64


def write_bad() -> None:
    np.save("good.npy", VECTORS)
    np.save("labels.npy", LABELS)
    np.save("short.npy", LABELS[:7])
    np.save("different.npy", np.arange(90))
    np.save("objects.npy", np.array([{}, None]), allow_pickle=True)
    np.savez("objects.npz", x=np.array([{}, None]), y=LABELS)
    np.save("words.npy", np.array([["a", "b"]]))
    np.save("dates.npy", np.array(["2026-01-01"], dtype="datetime64[D]"))
    np.save("scalar.npy", np.float64(3))
    np.save("nan.npy", np.where(np.arange(180).reshape(90, 2) == 5, np.nan, VECTORS))
    np.savez("other.npz", a=VECTORS, b=LABELS)
    np.savez("x.npz", x=VECTORS)
    Path("text.npy").write_text("hello")
    Path("cut.npy").write_bytes(Path("good.npy").read_bytes()[:200])
    Path("text.npz").write_text("hello")
    Path("text.parquet").write_text("hello")
    Path("note.txt").write_text("1\n2\n")
    Path("folder.npy").mkdir()
    Path("cell.csv").write_text("a,b\n1,2\n3,high\n")
    Path("gap.csv").write_text("1,2\n3,\n")
    Path("ragged.csv").write_text("1,2\n3\n")
    Path("under.csv").write_text("1\n1_000\n")
    Path("header.csv").write_text("a,b\n")
    Path("empty.csv").write_text("")
    Path("latin.csv").write_bytes(b"gr\xf6\xdfe\n1\n")
    Path("huge.csv").write_text("1\n" + "9" * 30 + "\n")
    parquet.write_table(pyarrow.table({"a": ["u", "v"], "b": [1, 2]}), "words.parquet")
    parquet.write_table(pyarrow.table({"a": [1, 2], "b": [1, None]}), "gap.parquet")
    parquet.write_table(pyarrow.table({"__index_level_0__": [1, 2]}), "none.parquet")


REFUSED = {
    "nowhere.npy labels.npy": r"no file nowhere\.npy",
    "good.npy nowhere.csv": r"no file nowhere\.csv",
    "nowhere.npz": r"no file nowhere\.npz",
    "note.txt labels.npy": r"note\.txt must end in one of \.npy, \.npz, \.csv, \.parquet, got '\.txt'",
    "good labels.npy": r"good must end in one of .*, got ''",
    "folder.npy labels.npy": r"folder\.npy must be a file, got a folder",
    "good.npy": r"measure needs two files, or one \.npz with the arrays x and y, got only good\.npy",
    "other.npz": r"other\.npz must hold the arrays x and y, got a, b",
    "x.npz": r"x\.npz must hold the arrays x and y, got x",
    "other.npz labels.npy": r"other\.npz must hold the array x or a single one, got a, b",
    "objects.npy labels.npy": r"objects\.npy must hold numbers, got Python objects, .*",
    "objects.npz": r"objects\.npz\[x\] must hold numbers, got Python objects, .*",
    "words.npy labels.npy": r"x must be numbers or one column of labels, got labels of shape \(1, 2\); .*",
    "dates.npy labels.npy": r"dates\.npy must hold numbers or labels, got dtype datetime64\[D\]",
    "text.npy labels.npy": r"text\.npy is no readable \.npy file: .*",
    "cut.npy labels.npy": r"cut\.npy is no readable \.npy file: .*",
    "text.npz": r"text\.npz is no readable \.npz file: it is not a zip archive",
    "text.parquet labels.npy": r"text\.parquet is no readable \.parquet file: .*",
    "cell.csv labels.npy": r"cell\.csv, line 3, column 2: a number is needed, got 'high'; text is .*",
    "gap.csv labels.npy": r"gap\.csv, line 2, column 2: a value is needed, got ''; 1 of 2 .*",
    "ragged.csv labels.npy": r"ragged\.csv, line 2: 2 cells are needed, as before, got 1; where a comma is .*",
    "under.csv labels.npy": r"under\.csv, line 2, column 1: a number is needed, got a number with .*",
    "header.csv labels.npy": r"header\.csv must have a line of numbers, got none",
    "empty.csv labels.npy": r"empty\.csv must have a line of numbers, got none",
    "latin.csv labels.npy": r"latin\.csv is no readable \.csv file: .*",
    "huge.csv labels.npy": r"huge\.csv, line 2, column 1: labels must be within 64 bits, .*",
    "words.parquet labels.npy": r"words\.parquet, column 'a' must hold numbers, got string; text is .*",
    "gap.parquet labels.npy": r"gap\.parquet, row 1, column 'b': a value is needed, got a missing one .*",
    "none.parquet labels.npy": r"none\.parquet must have a column of numbers, got none",
    # and what the estimator itself refuses
    "good.npy short.npy": r"x and y must have the same number of examples, got 90 and 7",
    "scalar.npy labels.npy": r"x must be one number or vector for each example, got a scalar 3\.0",
    "nan.npy labels.npy": r"x must be finite, got nan in 1 of 90 examples, first at example 2, column 1; .*",
    "good.npy different.npy": r"labels must repeat, got 90 examples with 90 different labels; where y is .*",
    "good.npy labels.npy --k 90": r"k must be in 1\.\.n-1, got k = 90 with n = 90",
    "good.npy labels.npy --permutations -1": r"permutations must be at least 0, got -1",
    "good.npy labels.npy --estimator best": r"estimator must be one of 'auto', .*, got 'best'",
    "good.npy labels.npy --estimator ksg1": r"estimator 'ksg1' needs floating targets, got integer labels",
    "good.npy labels.npy --norm cosine": r".*invalid choice 'cosine'.*; see infopace measure --help",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_gets_one_line_and_exit_code_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_bad()
    said = refusal(capsys, *line.split())
    assert re.fullmatch(REFUSED[line], said), said
