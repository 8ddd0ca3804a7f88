"""Floats that repeat: labels given as numbers, rounded values, numbers that are often 0, in x or in y."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infopace import mutual_information
from infopace.estimators._atoms import Atoms, without_ties

from .samples import Examples, bivariate, clusters, clusters_truth, normal


def rounded(n: int, step: float, which: str, seed: int) -> tuple[Examples, Examples]:
    x, y, _ = bivariate(n, 0.9, seed)
    x, y = (np.round(v / step) * step if name in which else v for name, v in (("x", x), ("y", y)))
    return x, y


def rounded_truth(step: float, which: str) -> float:
    """From the probabilities of cells; what is not rounded has narrow ones."""
    fine = 0.02
    middles = np.arange(-5.5 + fine / 2, 5.5, fine)
    density = np.exp(-(middles[:, None] ** 2 - 1.8 * middles[:, None] * middles + middles**2) / 0.38)
    # Away from the middles of cells, so that a half is never rounded.
    cells = np.unique(np.round((middles + 1e-9) / step), return_inverse=True)[1]
    if "x" in which:
        density = np.stack([np.bincount(cells, column) for column in density.T], 1)
    if "y" in which:
        density = np.stack([np.bincount(cells, row) for row in density])
    density /= density.sum()
    product = density.sum(1, keepdims=True) * density.sum(0, keepdims=True)
    kept = density > 1e-300
    return float((density[kept] * np.log(density[kept] / product[kept])).sum())


@pytest.mark.parametrize(
    ("step", "n", "which"),
    [*((step, 300, which) for step in (1.0, 0.5, 0.1) for which in ("x", "y", "xy")), (0.1, 1000, "xy")],
)
def test_rounded_values(step: float, n: int, which: str) -> None:
    """Both rounded to a tenth, n 1000: ksg1 measures 1.05 (0.97 to 1.15), 0.83 is true."""
    truth = rounded_truth(step, which)
    found = [mutual_information(*rounded(n, step, which, seed)) for seed in (2, 3)]
    assert np.mean([estimate.nats for estimate in found]) == pytest.approx(truth, abs=0.1)
    for estimate in found:
        # An interval of 95 % may miss by a little in one of twenty samples.
        assert estimate.interval[0] - 0.02 <= truth <= estimate.interval[1] + 0.02
        assert estimate.warnings == ()


def test_the_advice_helps() -> None:
    x, y = rounded(1000, 0.1, "xy", 2)
    for estimator in ("ksg1", "calibrated", "gaussian"):
        (caution,) = mutual_information(x, y, estimator=estimator, std_error=False).warnings
        assert caution.kind == "repeated"
        values = f"x takes {len(np.unique(x))} values and y {len(np.unique(y))} in 1000 examples"
        assert caution.sentence == (
            f"{values}, and {estimator} is for values that do not repeat: take estimator auto or gao"
        )
    # As integers they are labels, of which few examples share a pair.
    whole = mutual_information(np.rint(10 * x).astype(int), np.rint(10 * y).astype(int))
    assert "sparse-table" in [caution.kind for caution in whole.warnings]
    assert whole.interval[0] <= rounded_truth(0.1, "xy") <= whole.interval[1]


@pytest.mark.parametrize("as_floats", [lambda y: y.astype(float), lambda y: np.eye(2)[y]])
def test_labels_given_as_floats_are_labels(as_floats) -> None:
    x, y = clusters(400, 0)
    labels = mutual_information(x, y)
    for found in (mutual_information(x, as_floats(y)), mutual_information(as_floats(y), x)):
        assert (found.nats, found.ceiling) == (labels.nats, labels.ceiling)
        # Classes in another order are split into other parts.
        assert found.interval == pytest.approx(labels.interval, abs=0.03)
        assert found.choice.startswith("ross: neighbours")
        assert found.warnings == ()
    assert found.interval[0] <= clusters_truth() <= found.interval[1]


def test_codes_whose_order_means_nothing() -> None:
    """Calibrated copulas, which go by ranks, measure 1.63, more than the entropy of the codes."""
    generator = np.random.default_rng(0)
    code = generator.integers(0, 4, 300)
    y = 6.0 * np.array([2, 0, 3, 1])[code] + generator.normal(size=300)
    found = mutual_information(code.astype(float), y)
    assert found.nats == pytest.approx(1.38, abs=0.05)
    assert found.nats < found.ceiling + 0.02


@pytest.mark.parametrize("classes", [5, 40])
def test_two_columns_of_labels_given_as_floats(classes: int) -> None:
    x = np.random.default_rng(1).integers(0, classes, 400)
    found = mutual_information(x.astype(float), -x.astype(float))
    assert found.method == "plug-in"
    assert found.nats == mutual_information(x, x).nats == pytest.approx(math.log(classes), abs=0.05)


@pytest.mark.parametrize("swapped", [False, True])
def test_numbers_that_are_often_0(swapped: bool) -> None:
    """x = max(0, u) of a normal pair (u, y): 0.388 nats by numeric integration."""
    found = []
    for seed in range(3):
        u, y, _ = bivariate(600, 0.8, seed)
        found.append(mutual_information(*((y, np.maximum(u, 0)) if swapped else (np.maximum(u, 0), y))))
    assert np.mean([estimate.nats for estimate in found]) == pytest.approx(0.388, abs=0.06)
    assert all(estimate.interval[0] - 0.02 <= 0.388 <= estimate.interval[1] + 0.02 for estimate in found)


def test_a_wide_block_beside_few_values() -> None:
    """Gao's distance mixes the values of y where x is wide; ross does not."""
    y = np.repeat(np.arange(10.0), 40)
    x = normal(400, 30) + 9 * np.eye(10, 30)[y.astype(int)]
    found = mutual_information(x, y)
    assert (found.method, found.nats) == ("ross", mutual_information(x, y.astype(int)).nats)


def test_without_repeats_nothing_changes() -> None:
    x, y, _ = bivariate(300, 0.5, 0)
    found = mutual_information(x, y, std_error=False)
    assert found.choice.startswith("calibrated: ")
    assert found.nats == mutual_information(x, y, estimator="calibrated", std_error=False).nats
    assert mutual_information(x, np.ones(300)).nats == 0.0


def test_ties_are_broken_by_what_the_examples_hold() -> None:
    x, y = (torch.from_numpy(v)[:, None] for v in rounded(200, 0.5, "x", 4))
    u, v = without_ties(x, y)
    assert sorted(u[:, 0].tolist()) == list(range(200))
    assert torch.equal(v[:, 0], y[:, 0].argsort().argsort().double())
    # Lower values stay lower.
    assert (x[u[:, 0].argsort(), 0].diff() >= 0).all()
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    again = without_ties(x[order], y[order])
    assert torch.equal(again[0], u[order])
    # The order within a tie has nothing to do with y.
    tied = (x == x.mode(0).values)[:, 0]
    assert abs(float(torch.corrcoef(torch.stack([u[tied, 0], y[tied, 0]]))[0, 1])) < 0.45


def test_what_counts_as_an_atom() -> None:
    def atoms(x: Examples, y: Examples) -> Atoms:
        return Atoms.of(torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None], 3)

    x, y, _ = bivariate(300, 0.5, 1)
    plain = atoms(x, y)
    assert not (plain.constant or plain.counted or plain.copied or plain.heavy)
    assert atoms(np.ones(300), y).constant
    assert atoms(np.round(x), np.round(y)).heavy
    assert atoms(np.sign(x), np.sign(y)).counted
    fine = atoms(*rounded(1000, 0.1, "xy", 0))
    assert fine.copied
    assert not (fine.heavy or fine.counted)
    # Every example twice is no label.
    assert not atoms(np.tile(x, 2), np.tile(y, 2)).counted
