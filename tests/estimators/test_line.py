"""One column is sorted instead of compared pair by pair: the same counts, however many values are tied."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from infopace import mutual_information
from infopace.estimators._neighbour_search._counts import value
from infopace.estimators._neighbour_search._distances import pairwise_distances
from infopace.estimators._neighbour_search._sorted_line import Line, line_ross_terms, line_ross_values
from infopace.estimators._ross import ross_terms

from . import reference
from .test_tree import KINDS, NORMS, normal


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_terms_to_the_bit(kind: str, norm: str) -> None:
    x = KINDS[kind](normal(300, 1, 0))[:, :1]
    labels = torch.randint(4, (300,), generator=torch.Generator().manual_seed(1))
    # A class of two takes one neighbour, an example alone none.
    labels[:2], labels[2] = 7, 8
    distances = pairwise_distances(x, norm)
    for k in (1, 3, 20, 299):
        assert torch.equal(line_ross_terms(x, labels, k, norm), ross_terms(distances, labels, k))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("levels", [1, 2, 5, 40])
def test_heavy_ties_as_counted_by_hand(levels: int, norm: str) -> None:
    generator = np.random.default_rng(levels)
    x = generator.integers(levels, size=(90, 1)).astype(float)
    labels = generator.integers(3, size=90)
    table = reference.exact_distances(x, norm)
    for k in (1, 3, 17):
        terms = line_ross_terms(torch.from_numpy(x), torch.from_numpy(labels), k, norm)
        counts = [count for count in reference.ross_counts(table, labels.tolist(), k) if count]
        wanted = [reference.psi(own) - reference.psi(size) - reference.psi(m) for own, size, m in counts]
        assert terms.tolist() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("squared", [True, False])
def test_neighbours_and_counts_by_hand(squared: bool) -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate(
        [generator.normal(size=40), np.repeat([0.5, -1.0], 12), generator.normal(size=20) * 1e3]
    )
    apart = np.abs(values[:, None] - values)
    apart = apart**2 if squared else apart
    np.fill_diagonal(apart, np.inf)
    radius = generator.choice(apart[np.isfinite(apart)], len(values))
    line = Line.of(values, np.zeros(len(values), np.int64))
    assert line.within(radius, squared).tolist() == (apart <= radius[:, None]).sum(1).tolist()
    for k in (1, 2, 11, 12, 30, len(values) - 1):
        found = line.kth_distance(np.full(len(values), k), squared)
        assert found.tolist() == np.sort(apart, axis=1)[:, k - 1].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_parts_in_one_pass_as_one_after_the_other(kind: str) -> None:
    x = KINDS[kind](normal(301, 1, 3))[:, :1]
    labels = torch.randint(4, (301,), generator=torch.Generator().manual_seed(1))
    labels[:2], labels[2] = 7, 8
    order = torch.randperm(301, generator=torch.Generator().manual_seed(2))
    parts = [order[part::4] for part in range(4)]
    found = line_ross_values(x, labels, 3, "euclidean", parts)
    assert found == [value(line_ross_terms(x[part], labels[part], 3, "euclidean")) for part in parts]


def test_no_class_of_two_leaves_nothing() -> None:
    assert len(line_ross_terms(normal(5, 1, 8), torch.arange(5), 3, "euclidean")) == 0


def test_rounded_values_beside_labels_need_no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """6,000 ages in whole years: no block of distances is computed, for the value, its error bar or a p-value."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 6000)
    x = np.round(generator.normal(size=6000) * 10 + 40 + 10 * y)
    wanted = mutual_information(x[:1500], y[:1500]), mutual_information(x[:1500, None].repeat(2, 1), y[:1500])
    assert wanted[0].nats == wanted[1].nats  # copies of the column: pair by pair

    def refuse(*arguments: object) -> None:
        raise AssertionError("all pairs were compared")

    monkeypatch.setattr("infopace.estimators._neighbour_search._distances._Direct.rows", refuse)
    found = mutual_information(x, y, permutations=3)
    assert found.interval[0] < 0.11 < found.interval[1]
    assert found.p_value == 0.25
