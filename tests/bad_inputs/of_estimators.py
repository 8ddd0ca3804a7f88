"""Bad inputs of the estimators: (name, call, what the line must hold)."""

# pyright: reportArgumentType=false
# The arguments are wrong on purpose.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from infopace import mutual_information
from infopace.estimators import (
    conditional_mutual_information,
    decoder_bound,
    entropy,
    gao,
    ksg1,
    ksg2,
    linear_probe_bound,
    p_value,
    pairwise_distances,
    permutation_null,
    ridge_information,
    ross,
    standardized_distances,
    usable_information,
)

N = 60
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(N, 2, generator=GENERATOR)
Y = torch.arange(N) % 3
Z = torch.randn(N, generator=GENERATOR)


def with_value(value: float, example: int = 7) -> torch.Tensor:
    changed = X.clone().double()
    changed[example, 1] = value
    return changed


def mi(x: Any = X, y: Any = Y, **options: Any) -> Callable[[], Any]:
    return lambda: mutual_information(x, y, **options)


def cmi(x: Any = X, y: Any = Z, z: Any = Z, **options: Any) -> Callable[[], Any]:
    return lambda: conditional_mutual_information(x, y, z, **options)


ROWS: list[tuple[str, Callable[[], Any], tuple[str, ...]]] = [
    # What is no array of numbers
    ("mutual_information(None, y)", mi(None), ("x ", "None")),
    ("mutual_information(x, None)", mi(y=None), ("y ", "None")),
    ("mutual_information(object(), y)", mi(object()), ("x ", "object")),
    ("mutual_information(torch.Tensor, y)", mi(torch.Tensor), ("x ",)),
    ("mutual_information(dict, y)", mi({"a": [1.0] * N}), ("x ", "dict")),
    ("mutual_information(generator, y)", mi(v for v in X.tolist()), ("x ", "generator")),
    ("mutual_information(ragged list, y)", mi([[1.0, 2.0], [3.0]], [0, 1]), ("x ",)),
    ("mutual_information(10**400, y)", mi([[10**400, 1]] * N), ("x ",)),
    (
        "mutual_information(dates, y)",
        mi(np.array([["2020-01-01"]] * N, "datetime64[D]")),
        ("x ", "dates"),
    ),
    ("mutual_information(records, y)", mi(np.zeros(N, [("a", "f8"), ("b", "f8")])), ("x ", "fields")),
    ("mutual_information(open, y)", mi(open), ("x ", "builtin_function")),
    # Kinds of tensors
    ("mutual_information(complex tensor, y)", mi(X.to(torch.complex64)), ("x ", "complex64")),
    ("mutual_information(complex array, y)", mi(X.numpy() + 1j), ("x ", "complex")),
    ("mutual_information(x, complex)", mi(y=Z.to(torch.complex64)), ("y ", "complex64")),
    ("mutual_information(meta, y)", mi(X.to("meta")), ("x ", "meta")),
    ("mutual_information(x, meta)", mi(y=Y.to("meta")), ("y ", "meta")),
    (
        "mutual_information(quantised, y)",
        mi(torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)),
        ("x ", "qint8"),
    ),
    ("mutual_information(nested, y)", mi(torch.nested.nested_tensor([X[:2], X[:3]])), ("x ", "nested")),
    # Shapes and values
    ("mutual_information([], [])", mi([], []), ("x ", "(0,)")),
    ("mutual_information(no columns, y)", mi(torch.empty(N, 0)), ("x ", f"({N}, 0)")),
    ("mutual_information(no examples, y)", mi(torch.empty(0, 3), torch.empty(0)), ("x ", "(0, 3)")),
    ("mutual_information(3.0, y)", mi(3.0), ("x ", "scalar")),
    ("mutual_information(x, 3)", mi(y=3), ("y ", "scalar")),
    ("mutual_information of 60 and 59", mi(y=Y[:-1]), ("x and y", "60", "59")),
    ("mutual_information(nan, y)", mi(with_value(float("nan"))), ("x ", "nan", "7")),
    ("mutual_information(inf, y)", mi(with_value(float("inf"))), ("x ", "inf", "7")),
    ("mutual_information(-inf, floats)", mi(with_value(float("-inf")), Z), ("x ", "-inf", "7")),
    ("mutual_information(1e200, y)", mi(with_value(1e200)), ("x ", "1e+200")),
    ("mutual_information(x, nan)", mi(y=with_value(float("nan"), 3)), ("y ", "nan", "3")),
    ("mutual_information(float8 nan, y)", mi(with_value(float("nan")).to(torch.float8_e5m2)), ("x ",)),
    ("mutual_information(x, all different)", mi(y=torch.arange(N)), ("labels", "60")),
    # Numbers and words
    *[
        (f"mutual_information(k={k!r})", mi(k=k), ("k ", str(k)))
        for k in (0, -1, N, 10**30, True, 3.5, 3.0, "3", None, float("nan"), [3])
    ],
    ("mutual_information(labels, labels, k=0)", mi(Y, Y, k=0), ("k ", "0")),
    *[
        (f"mutual_information({name}={value!r})", mi(y=Z, **{name: value}), (name, repr(value)))
        for name, value in (
            ("norm", "manhattan"),
            ("norm", None),
            ("norm", ["euclidean"]),
            ("norm", 2),
            ("estimator", "ksg"),
            ("estimator", "KSG1"),
            ("estimator", None),
            ("estimator", torch),
            ("standardize", "rows"),
            ("standardize", True),
            ("permutations", -1),
            ("permutations", 2.5),
            ("permutations", "100"),
            ("permutations", None),
            ("permutations", True),
        )
    ],
    ("mutual_information(plug-in of a vector)", mi(estimator="plug-in"), ("plug-in",)),
    ("mutual_information(ksg1 of labels)", mi(estimator="ksg1"), ("ksg1",)),
    ("mutual_information(ross of vectors)", mi(y=Z, estimator="ross"), ("ross",)),
    ("mutual_information(linear-probe of vectors)", mi(y=Z, estimator="linear-probe"), ("linear-probe",)),
    # Conditional
    ("conditional_mutual_information(z of 59)", cmi(z=Z[:-1]), ("z ", "59")),
    ("conditional_mutual_information(z nan)", cmi(z=with_value(float("nan"))), ("z ", "nan", "7")),
    ("conditional_mutual_information(z None)", cmi(z=None), ("z ", "None")),
    ("conditional_mutual_information(z all different)", cmi(z=torch.arange(N)), ("60",)),
    ("conditional_mutual_information(x complex)", cmi(X + 1j), ("x ", "complex64")),
    ("conditional_mutual_information(y ragged)", cmi(y=[[1.0], [1.0, 2.0]]), ("y ",)),
    ("conditional_mutual_information(k=60)", cmi(k=60), ("k ", "60")),
    ("conditional_mutual_information(norm='x')", cmi(norm="x"), ("norm", "'x'")),
    ("conditional_mutual_information(standardize=1)", cmi(standardize=1), ("standardize", "1")),
    # Formulas on distances
    ("pairwise_distances(norm='l2')", lambda: pairwise_distances(X, "l2"), ("norm", "'l2'")),
    (
        "standardized_distances(how='rows')",
        lambda: standardized_distances(X, how="rows"),
        ("standardize", "'rows'"),
    ),
    *[
        (
            f"{formula.__name__}(k={k!r})",
            lambda formula=formula, k=k: formula(pairwise_distances(X), pairwise_distances(X), k),
            ("k ", str(k)),
        )
        for formula in (ksg1, ksg2, gao)
        for k in (0, N, 2.5, None)
    ],
    *[
        (
            f"{formula.__name__}(60 and 59)",
            lambda formula=formula: formula(pairwise_distances(X), pairwise_distances(X[1:])),
            ("x and y", "60", "59"),
        )
        for formula in (ksg1, ksg2, gao)
    ],
    ("ross(k=0)", lambda: ross(pairwise_distances(X), Y, 0), ("k ", "0")),
    ("ross(59 labels)", lambda: ross(pairwise_distances(X), Y[1:]), ("labels", "60", "59")),
    ("permutation_null(n=1)", lambda: permutation_null(lambda order: 0.0, 1, 10), ("n = 1",)),
    ("p_value(nan)", lambda: p_value(float("nan"), Z), ("nan",)),
    # Labels
    ("entropy(floats)", lambda: entropy(Z), ("labels", "float32")),
    ("entropy([])", lambda: entropy(torch.empty(0, dtype=torch.long)), ("labels",)),
    ("entropy(None)", lambda: entropy(None), ("labels", "None")),
    ("entropy(matrix)", lambda: entropy(torch.stack([Y, Y], 1)), ("labels", "(60, 2)")),
    ("entropy(3)", lambda: entropy(torch.tensor(3)), ("labels", "()")),
    ("entropy(complex)", lambda: entropy(Y + 1j), ("labels", "complex64")),
    # Bounds from class scores
    ("linear_probe_bound(floating labels)", lambda: linear_probe_bound(X, Z), ("labels", "float32")),
    ("linear_probe_bound(None)", lambda: linear_probe_bound(None, Y), ("x ", "None")),
    ("linear_probe_bound(59 labels)", lambda: linear_probe_bound(X, Y[:-1]), ("labels", "59")),
    ("linear_probe_bound(all different)", lambda: linear_probe_bound(X, torch.arange(N)), ("labels", "60")),
    *[
        (
            f"linear_probe_bound(folds={folds!r})",
            lambda f=folds: linear_probe_bound(X, Y, folds=f),
            ("folds", str(folds)),
        )
        for folds in (1, 0, -2, 61, 2.5, True, "5", None)
    ],
    (
        "decoder_bound(scores (60, 2, 2))",
        lambda: decoder_bound(torch.zeros(N, 2, 2), Y),
        ("scores", "(60, 2, 2)"),
    ),
    ("decoder_bound(label 3 of 3)", lambda: decoder_bound(torch.zeros(N, 3), Y + 1), ("labels", "3")),
    ("decoder_bound(label -1)", lambda: decoder_bound(torch.zeros(N, 3), Y - 1), ("labels", "-1")),
    ("decoder_bound(floating labels)", lambda: decoder_bound(torch.zeros(N, 3), Z), ("labels", "float32")),
    ("decoder_bound(nan)", lambda: decoder_bound(with_value(float("nan")), Y % 2), ("scores", "nan", "7")),
    ("decoder_bound(None)", lambda: decoder_bound(None, Y), ("scores", "None")),
    ("decoder_bound(59 labels)", lambda: decoder_bound(torch.zeros(N, 3), Y[:-1]), ("labels", "59")),
    # Usable information of a ridge regression
    ("ridge_information(None)", lambda: ridge_information(None, Y), ("x ", "None")),
    ("ridge_information(no targets)", lambda: ridge_information(X, None), ("targets", "None")),
    ("ridge_information(59 labels)", lambda: ridge_information(X, Y[:-1]), ("targets", "59")),
    (
        "ridge_information(nan)",
        lambda: ridge_information(with_value(float("nan")), Y),
        ("x ", "nan", "7"),
    ),
    ("ridge_information(kind=3)", lambda: ridge_information(X, Y, kind=3), ("kind", "3")),
    (
        "ridge_information(ignore_index=1.5)",
        lambda: ridge_information(X, Y, ignore_index=1.5),
        ("ignore_index", "1.5"),
    ),
    (
        "ridge_information(mask of labels)",
        lambda: ridge_information(X, Y, torch.ones(N, dtype=torch.bool)),
        ("mask", "classes"),
    ),
    (
        "ridge_information(scalar mask)",
        lambda: ridge_information(torch.zeros(N, 3, 2), torch.arange(3 * N).reshape(N, 3), True),
        ("mask", "()"),
    ),
    ("ridge_information(one class)", lambda: ridge_information(X, 0 * Y), ("targets", "only one")),
    ("ridge_information(no examples)", lambda: ridge_information(X[:0], Y[:0]), ("(0,)",)),
    (
        "ridge_information(labels at positions)",
        lambda: ridge_information(X, torch.arange(3 * N).reshape(N, 3)),
        ("x ", "(60, 3)"),
    ),
    # Usable information
    ("usable_information(None)", lambda: usable_information(None, Y), ("scores", "None")),
    (
        "usable_information(59 labels)",
        lambda: usable_information(torch.zeros(N, 3), Y[:-1]),
        ("targets", "59"),
    ),
    (
        "usable_information(nan)",
        lambda: usable_information(with_value(float("nan")), Y % 2),
        ("scores", "nan", "7"),
    ),
    ("usable_information(kind=3)", lambda: usable_information(torch.zeros(N, 3), Y, kind=3), ("kind", "3")),
    (
        "usable_information(ignore_index=1.5)",
        lambda: usable_information(torch.zeros(N, 3), Y, ignore_index=1.5),
        ("ignore_index", "1.5"),
    ),
    ("usable_information(scalar mask)", lambda: usable_information(torch.zeros(N, 3), Y, True), ("mask",)),
    (
        "usable_information(no examples)",
        lambda: usable_information(torch.zeros(0, 3), Y[:0]),
        ("scores", "(0, 3)"),
    ),
]
