"""Instances of what went wrong once, each with its right value: width, scale, atoms, copies, many classes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace import Estimate, mutual_information
from infopace.estimators import entropy

from .samples import Examples, bivariate, clusters, labels, normal

FEW = settings(max_examples=8, deadline=None, derandomize=True, database=None)


def kinds(found: Estimate) -> set[str]:
    return {caution.kind for caution in found.warnings}


def covers(found: Estimate, truth: float) -> bool:
    low, high = found.interval
    return low - 1e-9 <= truth <= high + 1e-9


@pytest.mark.parametrize("seed", range(2))
def test_wide_independent_vectors_have_none(seed: int) -> None:
    """-.349, -.284 and -.310 with intervals below 0, when the least overfitted of bad models won."""
    x, y = normal(1000, 50, seed), normal(1000, 50, seed + 100)
    found = mutual_information(x, y)
    assert abs(found.nats) < 0.1
    assert covers(found, 0)


def test_one_pair_among_fifty_is_found() -> None:
    """.476 before; right .830."""
    x, y = normal(2000, 50), normal(2000, 50, 1)
    y[:, 3] = 0.9 * x[:, 3] + math.sqrt(0.19) * y[:, 3]
    found = mutual_information(x, y)
    truth = -0.5 * math.log(0.19)
    assert found.nats == pytest.approx(truth, abs=0.1)
    assert covers(found, truth)


@pytest.mark.parametrize("estimator", ["auto", "ksg1", "ksg2", "gao"])
def test_increasing_maps_of_columns_change_nothing(estimator: str) -> None:
    """exp(4x) measured .195, ksg1 and gao about 0."""
    x, y, _ = bivariate(300, 0.9, 0)
    x = np.column_stack([x, normal(300, 1, 5)])
    plain = mutual_information(x, y, estimator=estimator)
    for mapped in (np.exp(4 * x), x**3, x * [1e6, 1e-6]):
        assert mutual_information(mapped, y, estimator=estimator) == plain
    assert mutual_information(x, np.exp(-4 * y), estimator=estimator).nats == pytest.approx(
        plain.nats, abs=0.02
    )


@FEW
@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.sampled_from(["exp", "cube", "scale"]))
def test_any_sample_is_the_same_after_increasing_maps(seed: int, width: int, how: str) -> None:
    x, y = normal(60, width, seed), normal(60, 2, seed + 1)
    y[:, 0] += x[:, 0]
    mapped = {"exp": np.exp(2 * x), "cube": x**3, "scale": x * np.geomspace(1e-3, 1e3, width)}[how]
    for estimator in ("ksg1", "calibrated"):
        assert mutual_information(mapped, y, estimator=estimator) == mutual_information(
            x, y, estimator=estimator
        )


def test_a_column_that_decides_alone_is_said_and_can_be_scaled() -> None:
    x, y = clusters(400, 0, 3.0)
    x = np.column_stack([x, 1000 * normal(400, 1, 3)])
    plain = mutual_information(x, y, estimator="ross")
    assert "dominated" in kinds(plain)
    assert plain.nats < 0.1
    # `auto` takes functions of single columns, whatever their scale.
    functions = mutual_information(x, y)
    assert {"dominated", "beyond-reach"} <= kinds(functions)
    assert functions.nats > 0.3
    for how in ("columns", "ranks"):
        scaled = mutual_information(x, y, standardize=how)
        assert "dominated" not in kinds(scaled)
        assert scaled.nats > 0.3


@pytest.mark.parametrize("kind", ["counts", "rounded", "cut at 0"])
def test_atoms_in_x_count_as_in_y(kind: str) -> None:
    x, y, _ = bivariate(600, 0.9, 1)
    if kind == "counts":
        x = np.random.default_rng(0).poisson(np.exp(x)).astype(float)
    else:
        x = np.round(2 * x) / 2 if kind == "rounded" else np.maximum(x, 0)
    here, there = mutual_information(x, y), mutual_information(y, x)
    assert here.method == there.method != "calibrated"
    assert here.nats == pytest.approx(there.nats, abs=1e-9)


def test_half_of_x_on_one_value() -> None:
    """x = max(0, z) measured .284; right .606 (an integral)."""
    x, y, _ = bivariate(1000, 0.9, 2)
    assert mutual_information(np.maximum(x, 0), y).nats == pytest.approx(0.606, abs=0.09)


@pytest.mark.parametrize("width", [1, 4, 20])
def test_x_about_itself_has_no_number(width: int) -> None:
    """10.41 (10.37 to 10.48) was the ridge of a fit."""
    x = normal(300, width)
    for found in (mutual_information(x, x), mutual_information(x, x @ normal(width, width, 3))):
        assert found.interval[1] == math.inf
        assert "beyond-reach" in kinds(found)


def test_a_redundant_last_soft_label_changes_nothing() -> None:
    """3.31 and 3.11 before."""
    x = normal(400, 3)
    logits = np.column_stack([x[:, :2] + 0.3 * normal(400, 2, 1), np.zeros(400)])
    shares = torch.softmax(torch.from_numpy(2 * logits), 1)
    whole, part = mutual_information(x, shares), mutual_information(x, shares[:, :-1])
    assert whole.nats == pytest.approx(part.nats, abs=1e-9)
    assert whole.interval == pytest.approx(part.interval, abs=1e-9)
    twice = np.column_stack([x, x[:, 0] - 2 * x[:, 2], np.exp(x[:, 1])])
    assert mutual_information(twice, shares).nats == pytest.approx(whole.nats, abs=1e-9)


@pytest.mark.parametrize(("classes", "n"), [(100, 2000), (50, 250)])
def test_separable_classes_have_their_entropy(classes: int, n: int) -> None:
    """The interval was above the entropy, and the warning said "too low"."""
    y = np.arange(n) % classes
    found = mutual_information(100 * normal(classes, 20)[y] + normal(n, 20, 1), y)
    assert found.nats == found.ceiling == pytest.approx(math.log(classes))
    assert covers(found, math.log(classes))
    assert "few-examples" not in kinds(found)
    assert found.pointwise is not None
    assert float(found.pointwise.mean()) == pytest.approx(found.nats)


@pytest.mark.parametrize("times", [2, 4, 8])
def test_copied_examples_are_left_out_and_said(times: int) -> None:
    """Each four times: .69 for .17."""
    x, y, _ = bivariate(200, 0.5, 3)
    once, found = mutual_information(x, y), mutual_information(np.tile(x, times), np.tile(y, times))
    assert found.nats == pytest.approx(once.nats, abs=1e-12)
    assert found.n == 200
    assert "copied" in kinds(found)
    x, y = clusters(200, 3, 2.0)
    once, found = mutual_information(x, y), mutual_information(np.tile(x, (times, 1)), np.tile(y, times))
    assert found.nats == pytest.approx(once.nats, abs=1e-12)
    assert "copied" in kinds(found)


def test_levels_and_rounded_values_are_no_copies() -> None:
    levels = labels(400, 10).astype(float)
    assert mutual_information(levels, 2 * levels).nats == pytest.approx(entropy(labels(400, 10)), abs=0.02)
    x, y, _ = bivariate(400, 0.5, 4)
    assert "copied" not in kinds(mutual_information(np.round(x, 1), np.round(y, 1)))


def test_dependence_that_no_model_explains_is_said() -> None:
    """The sign of y is the product of those of x: neighbours find a part of ln 2."""
    x = normal(1000, 2)
    found = mutual_information(x, np.sign(x.prod(1)) * np.abs(normal(1000, 1, 1)[:, 0]))
    assert "beyond-reach" in kinds(found)
    assert covers(found, math.log(2))


def nats(x: Examples, y: object) -> float:
    return mutual_information(x, y, std_error=False).nats


def test_labels_of_any_form_are_the_same_labels() -> None:
    x, y = clusters(120, 0)
    expected = nats(x, y)
    words = np.array(["no", "yes"])[y]
    one_hot = np.eye(2)[y]
    for same in (
        words,
        words.tolist(),
        pd.Series(words, dtype="category"),
        pd.Series(words, dtype="string"),
        pd.Series(y, dtype="Int64"),
        one_hot,
        one_hot.astype(int),
        torch.from_numpy(one_hot) == 1,
        scipy.sparse.csr_matrix(one_hot),
        pd.DataFrame(one_hot),
        pd.get_dummies(words),
        pd.DataFrame({"a": words, "b": words}),
        np.column_stack([words, words]),
    ):
        assert nats(x, same) == expected


def test_several_labels_an_example_are_one_set() -> None:
    x = normal(300, 2)
    several = (x + 0.3 * normal(300, 2, 1) > 0).astype(int)
    sets = several @ [1, 2]
    assert nats(x, several) == nats(x, sets)
    assert nats(x, several == 1) == nats(x, sets)


def test_images_and_sparse_features_are_vectors() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(3, size=90)
    images = generator.integers(0, 256, size=(90, 4, 4, 3)).astype(np.uint8)
    images[:, 0, 0] = 80 * y[:, None]
    flat = images.reshape(90, -1).astype(float)
    expected = nats(flat, y)
    for same in (
        images,
        torch.from_numpy(images),
        scipy.sparse.csr_array(flat),
        torch.from_numpy(flat).to_sparse(),
    ):
        assert mutual_information(same, y, std_error=False).nats == expected
