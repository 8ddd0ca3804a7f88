"""Samples as other libraries hold them: masks, missing values, text, categories, nullable types, whole numbers."""

from __future__ import annotations

import decimal
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch

from infopace import Estimate, Probe, mutual_information
from infopace.estimators import conditional_mutual_information, decoder_bound, entropy, linear_probe_bound

N = 90
LABELS = np.arange(N) % 3
WORDS = np.array(["eel", "cat", "dog"])[LABELS]  # not in the order of the numbers
X = np.random.default_rng(5).normal(size=(N, 2)) + LABELS[:, None]
GAPS = np.arange(N) % 7 == 3
DATES = np.datetime64("2026-01-01") + LABELS


def mi(x: Any, y: Any, **options: Any) -> Estimate:
    return mutual_information(x, y, std_error=False, **options)


def gapped(values: Any) -> np.ndarray:
    """The same as objects, with None in the gaps."""
    objects = np.array(values, dtype=object)
    objects[GAPS] = None
    return objects


class Offered:
    """As polars offers a column: as an array, and by nothing else."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array


KINDS_OF_LABELS: dict[str, Any] = {
    "list": LABELS.tolist(),
    "column": LABELS[:, None],
    "objects": LABELS.astype(object),
    "uint64": LABELS.astype(np.uint64),
    "tensor": torch.as_tensor(LABELS),
    "series": pd.Series(LABELS, index=range(900, 900 + N)),
    "frame": pd.DataFrame({"y": LABELS}),
    "index": pd.Index(LABELS),
    "Int64": pd.Series(LABELS).astype("Int64"),
    "arrow-backed": pd.Series(LABELS).astype("int64[pyarrow]"),
    "arrow": pyarrow.array(LABELS),
    "masked, without a mask": np.ma.masked_array(LABELS),
    "offered as an array": Offered(LABELS),
    "category of whole numbers": pd.Series(LABELS).astype("category"),
    "category of floats": pd.Series(LABELS / 2).astype("category"),
    "category of text": pd.Series(WORDS).astype("category"),
    "categorical": pd.Categorical(WORDS),
    "frame of a category": pd.DataFrame({"y": pd.Categorical(WORDS)}),
    "intervals": pd.cut(LABELS, 3),
    "text": WORDS,
    "bytes": WORDS.astype("S"),
    "text, column": WORDS[:, None],
    "text, list": WORDS.tolist(),
    "text, objects": WORDS.astype(object),
    "text, series": pd.Series(WORDS),
    "text, string": pd.Series(WORDS, dtype="string[python]"),
    "text, arrow-backed": pd.Series(WORDS, dtype="string[pyarrow]"),
    "text, arrow": pyarrow.array(WORDS.tolist()),
    "text, dictionary of arrow": pyarrow.array(WORDS.tolist()).dictionary_encode(),
    "tuples": pd.Series([(int(c), "of") for c in LABELS]),
    "of several types": [[1, "1", (1,)][c] for c in LABELS[:2]] + [["a", 7, 2.5][c] for c in LABELS[2:]],
    "beyond 64 bits": [2**70 + int(c) for c in LABELS],
}
if hasattr(np.dtypes, "StringDType"):  # since numpy 2
    KINDS_OF_LABELS["text of any length"] = WORDS.astype(np.dtypes.StringDType())


@pytest.mark.parametrize("kind", KINDS_OF_LABELS)
def test_labels_of_every_kind_are_read(kind: str) -> None:
    labels = KINDS_OF_LABELS[kind]
    several = kind == "of several types"
    wanted = of_plain_labels(several)
    assert mi(X, labels).nats == pytest.approx(wanted["vector"], abs=1e-12)
    assert mi(labels, X).nats == pytest.approx(wanted["vector"], abs=1e-12)
    assert mi(labels, labels).nats == pytest.approx(wanted["labels"], abs=1e-12)
    assert entropy(labels) == pytest.approx(wanted["entropy"], abs=1e-12)
    # Its folds follow the order of the labels, as far as classes are not of one size.
    within = 0.05 if several else 1e-9
    assert linear_probe_bound(X, labels).nats == pytest.approx(wanted["linear probe"], abs=within)
    found = conditional_mutual_information(X, X**2, labels, std_error=False).nats
    assert found == pytest.approx(wanted["conditional"], abs=1e-12)


@functools.cache
def of_plain_labels(several: bool) -> dict[str, float]:
    """What whole numbers give."""
    truth = np.concatenate([[3, 4], LABELS[2:]]) if several else LABELS
    return {
        "vector": mi(X, truth).nats,
        "labels": mi(truth, truth).nats,
        "entropy": entropy(truth),
        "linear probe": linear_probe_bound(X, truth).nats,
        "conditional": conditional_mutual_information(X, X**2, truth, std_error=False).nats,
    }


KINDS_OF_VECTORS: dict[str, Any] = {
    "list": X.tolist(),
    "objects": X.astype(object),
    "decimals": np.array([[decimal.Decimal(float(v)) for v in row] for row in X], dtype=object),
    "longdouble": X.astype(np.longdouble),
    "list of tensors": list(torch.as_tensor(X)),
    "list of masked arrays": list(np.ma.masked_array(X)),
    "frame": pd.DataFrame(X, index=range(900, 900 + N)),
    "frame, Float64": pd.DataFrame(X).convert_dtypes(),
    "frame, of two types": pd.DataFrame({"a": pd.Series(X[:, 0], dtype="Float64"), "b": X[:, 1]}),
    "frame, names twice": pd.DataFrame(X, columns=["a", "a"]),
    "offered as an array": Offered(X),
}


@pytest.mark.parametrize("kind", KINDS_OF_VECTORS)
def test_vectors_of_every_kind_are_read(kind: str) -> None:
    assert mi(KINDS_OF_VECTORS[kind], LABELS).nats == mi(X, LABELS).nats
    assert mi(X**2, KINDS_OF_VECTORS[kind], estimator="ksg1").nats == mi(X**2, X, estimator="ksg1").nats


@pytest.mark.parametrize("kind", ["int64", "uint8", "bool", "object", "Int64"])
def test_several_columns_of_whole_numbers_are_a_vector(kind: str) -> None:
    whole = np.clip(np.round(X), 0, 1).astype(int)
    given: Any = pd.DataFrame(whole).astype(kind) if kind == "Int64" else whole.astype(kind)
    assert mi(given, LABELS).nats == mi(whole.astype(float), LABELS).nats
    assert mi(X, given, estimator="ksg1").nats == mi(X, whole.astype(float), estimator="ksg1").nats


GAPPED: dict[str, tuple[Callable[[], Any], bool]] = {
    "masked vector": (lambda: np.ma.masked_array(X * 1, mask=np.stack([GAPS, GAPS], 1)), False),
    "masked, one column": (lambda: np.ma.masked_array(X * 1, mask=np.stack([GAPS, 0 * GAPS], 1)), False),
    "list of masked arrays": (lambda: list(np.ma.masked_array(X * 1, mask=np.stack([GAPS, GAPS], 1))), False),
    "nan": (lambda: np.where(GAPS[:, None], np.nan, X), False),
    "tensor with nan": (lambda: torch.as_tensor(np.where(GAPS[:, None], np.nan, X)), False),
    "frame with nan": (lambda: pd.DataFrame(np.where(GAPS[:, None], np.nan, X)), False),
    "frame, Float64": (lambda: pd.DataFrame(np.where(GAPS[:, None], np.nan, X)).convert_dtypes(), False),
    "objects": (lambda: gapped(X), False),
    "masked labels": (lambda: np.ma.masked_array(LABELS + 0, mask=GAPS), True),
    "masked text": (lambda: np.ma.masked_array(WORDS, mask=GAPS), True),
    "label objects": (lambda: gapped(LABELS), True),
    "label list": (lambda: gapped(LABELS).tolist(), True),
    "word list": (lambda: gapped(WORDS).tolist(), True),
    "word list with nan": (
        lambda: [math.nan if g else str(w) for g, w in zip(GAPS, WORDS, strict=True)],
        True,
    ),
    "Int64": (lambda: pd.Series(gapped(LABELS)).astype("Int64"), True),
    "boolean": (lambda: pd.Series(gapped(LABELS > 0)).astype("boolean"), True),
    "arrow-backed": (lambda: pd.Series(gapped(LABELS)).astype("int64[pyarrow]"), True),
    "arrow": (lambda: pyarrow.array(gapped(LABELS).tolist()), True),
    "series of words": (lambda: pd.Series(gapped(WORDS)), True),
    "arrow-backed words": (lambda: pd.Series(gapped(WORDS), dtype="string[pyarrow]"), True),
    "category": (lambda: pd.Series(gapped(WORDS)).astype("category"), True),
    "category of whole numbers": (lambda: pd.Series(gapped(LABELS)).astype("category"), True),
    "frame of labels": (lambda: pd.DataFrame({"y": pd.Series(gapped(LABELS)).astype("Int64")}), True),
    "NaT": (lambda: pd.Series([pd.NaT if g else str(w) for g, w in zip(GAPS, WORDS, strict=True)]), True),
}


@pytest.mark.parametrize("kind", GAPPED)
def test_missing_values_are_refused_or_dropped_in_pairs(kind: str) -> None:
    make, of_labels = GAPPED[kind]
    given, count, there = make(), int(GAPS.sum()), ~GAPS
    where = rf".* in {count} of {N} examples, first at example 3, column 0"
    pair = (X, given) if of_labels else (given, LABELS)
    with pytest.raises(ValueError, match=where) as refused:
        mi(*pair)
    assert "\n" not in str(refused.value)
    truth = LABELS > 0 if kind == "boolean" else LABELS
    wanted, found = mi(X[there], truth[there]), mi(*pair, missing="drop")
    assert found.nats == pytest.approx(wanted.nats, abs=1e-12)
    assert found.n == N - count
    assert (found.warnings[0].kind, str(found.warnings[0])) == (
        "missing",
        f"{count} of {N} examples have a missing value and were left out",
    )
    if of_labels:
        for refusing in (lambda: entropy(given), lambda: linear_probe_bound(X, given)):
            with pytest.raises(ValueError, match=where):
                refusing()


def test_gaps_of_both_are_dropped_together() -> None:
    x, y = np.where(GAPS[:, None], np.nan, X), gapped(WORDS[::-1])[::-1]
    there = ~GAPS & ~GAPS[::-1]
    found = mi(x, y, missing="drop", permutations=5)
    wanted = mi(X[there], LABELS[there], permutations=5)
    assert (found.n, found.p_value) == (int(there.sum()), wanted.p_value)
    assert found.nats == pytest.approx(wanted.nats, abs=1e-12)
    z = np.ma.masked_array(X[:, :1], mask=(np.arange(N) == 0)[:, None])
    there[0] = False
    found = conditional_mutual_information(x, y, z, missing="drop", std_error=False)
    wanted = conditional_mutual_information(X[there], LABELS[there], X[there, :1], std_error=False)
    assert found.nats == pytest.approx(wanted.nats, abs=1e-12)
    assert str(found.warnings[0]).startswith(f"{N - int(there.sum())} of {N} examples")


def test_labels_before_quantities_in_conditional_information() -> None:
    """I(X;Y|Z) = I(Y;X|Z)."""
    z = X[:, 1:]
    found = conditional_mutual_information(WORDS, X, z)
    assert found.nats == pytest.approx(conditional_mutual_information(X, LABELS, z).nats, abs=1e-12)


def test_values_do_not_depend_on_how_labels_are_named() -> None:
    wanted = mi(X, LABELS, permutations=9)
    for names in (["b", "c", "a"], [7, -3, 2**40], [(1, 2), "x", 3.5], [True, "True", 5]):
        labels = np.empty(N, dtype=object)
        labels[:] = [names[c] for c in LABELS]
        found = mi(X, labels, permutations=9)
        assert found.nats == pytest.approx(wanted.nats, abs=1e-12)
        assert found.p_value == wanted.p_value


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: mi(X, DATES), "y must be numbers or labels, got dates; give a number, .*"),
        (lambda: mi(pd.Series(DATES), X), "x must be numbers or labels, got dates; give a number, .*"),
        (lambda: mi(DATES - DATES[0], X), "x must be numbers or labels, got time spans; give a number, .*"),
        (
            lambda: mi(pd.DataFrame({"a": X[:, 0], "b": WORDS}), LABELS),
            "x must be numbers or one column of labels, got labels in column 'b' of 2; give that column alone, .*",
        ),
        (
            lambda: mi(pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(LABELS)}), LABELS),
            "x must be numbers or one column of labels, got labels in column 'b' of 2; .*",
        ),
        (
            lambda: mi(X, [[str(i), "b"] for i in range(N)]),
            r"y must be numbers or one column of labels, .* shape \(90, 2\); .*",
        ),
        (lambda: mi([[1.0], [1.0, 2.0]], [0, 1]), "x must have equally many numbers in every example, .*"),
        (lambda: mi(X, pd.Series([[1]] * N)), "labels y must be hashable, got list"),
        (
            lambda: mi(np.zeros(N, dtype=[("a", float)]), LABELS),
            "x must be .* named fields; give one of them",
        ),
        (lambda: mi(X, LABELS, missing="skip"), "missing must be one of 'refuse', 'drop', got 'skip'"),
        (
            lambda: mi([None] * N, LABELS, missing="drop"),
            "an example must have no missing value, got 90 of 90 .*",
        ),
        (
            lambda: mi(X, LABELS[1:], missing="drop"),
            "x and y must have the same number of examples, got 90 and 89",
        ),
        (
            lambda: mi(np.where(X > 2, np.inf, X), LABELS, missing="drop"),
            "x must be finite, got inf at example .*",
        ),
        (
            lambda: conditional_mutual_information(WORDS, LABELS, X),
            "x must be floating, got one column of labels .*; give a quantity as floats, .*",
        ),
        (lambda: linear_probe_bound(WORDS, LABELS), "x must be floating, got one column of labels .*"),
        (
            lambda: decoder_bound(np.eye(3)[LABELS], WORDS),
            "labels must be the numbers 0..C-1 of the scores' columns, got text .*; number them",
        ),
        (
            lambda: entropy(X[:, 0]),
            r"labels must be whole numbers or text, one for each example, got float64 of .*",
        ),
    ],
)
def test_what_is_neither_gets_one_line(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        refused()


def test_whole_numbers_that_are_quantities_get_a_remedy() -> None:
    ages = np.arange(N) // 2
    (caution,) = [c for c in mi(ages, X).warnings if c.kind == "many-labels"]
    assert (
        str(caution)
        == "x has 45 different labels in 90 examples: where they are quantities, give them as floats"
    )
    assert "many-labels" not in [c.kind for c in mi(LABELS, X).warnings]


@pytest.mark.parametrize("estimator", ["auto", "ksg1", "gaussian"])
def test_few_examples_of_two_vectors_get_a_caution(estimator: str) -> None:
    def kinds(n: int) -> list[str]:
        return [c.kind for c in mi(X[:n], X[:n, ::-1] ** 2, estimator=estimator).warnings]

    assert "few-examples" in kinds(10)
    assert "few-examples" not in kinds(40)


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (
            np.ma.masked_array(X, mask=np.stack([GAPS, GAPS], 1)),
            LABELS,
            "inputs must have no missing values, .*",
        ),
        (
            X,
            np.ma.masked_array(LABELS, mask=GAPS),
            "targets must have no missing values, got some in 13 of 90 .*",
        ),
        (
            {"a": np.ma.masked_array(X, mask=np.stack([GAPS, GAPS], 1))},
            LABELS,
            "inputs must have no missing .*",
        ),
        (
            list(np.ma.masked_array(X, mask=np.stack([GAPS, GAPS], 1))),
            LABELS,
            "inputs must have no missing .*",
        ),
        (X, gapped(LABELS), "targets must have no missing values, .*"),
        (X, pd.Series(gapped(LABELS)).astype("Int64"), "targets must have no missing values, .*"),
        (X, WORDS, "targets must be numbers in one array, got text or other labels .*; number them"),
    ],
)
def test_the_probe_refuses_what_is_missing(inputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Probe(inputs, targets)
    if isinstance(inputs, np.ndarray):
        with pytest.raises(ValueError, match=f"^{message}$"):
            Probe.sample((inputs, targets), 40)


@pytest.mark.parametrize(
    "kind",
    [
        "list",
        "series",
        "frame",
        "Int64",
        "arrow-backed",
        "category of whole numbers",
        "masked, without a mask",
    ],
)
def test_the_probe_takes_tables(kind: str) -> None:
    probe = Probe(pd.DataFrame(X, index=range(900, 900 + N)), KINDS_OF_LABELS[kind])
    assert probe.targets.tolist() == LABELS.tolist()
    assert torch.equal(probe.inputs, torch.as_tensor(X))
