"""What must not change the value, as properties of random samples, tied ones among them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace.estimators import entropy
from infopace.estimators._neighbour_search import _distances

from .samples import ANY, Examples, copied, dead, labels, lattice, neighbour_information, normal

FEW = settings(max_examples=15, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 10_000)
WIDTHS = st.sampled_from([1, 3, 5, 17])


def sample(seed: int, n: int, d: int) -> Examples:
    """Continuous examples, with copies and all-zero ones in two of three."""
    x = normal(n, d, seed)
    if seed % 3 == 1:
        x[::4] = x[0]
    if seed % 3 == 2:
        x = np.maximum(x, 0.5)
    return x


def nats(x: object, y: object, **options: object) -> float:
    return neighbour_information(x, y, std_error=False, **options).nats


@FEW
@given(SEEDS, WIDTHS, st.floats(-3, 3))
def test_ross_does_not_depend_on_scale(seed: int, d: int, power: float) -> None:
    x, y = sample(seed, 50, d), labels(50, 3, seed)
    assert nats(x * 10**power, y) == pytest.approx(nats(x, y), abs=1e-12)


@FEW
@given(SEEDS, WIDTHS, st.floats(-3, 3), st.sampled_from(["block", "columns"]))
def test_ksg_does_not_depend_on_scale_once_standardised(seed: int, d: int, power: float, how: str) -> None:
    x, y = normal(50, d, seed), normal(50, 2, seed + 1)
    expected = nats(x, y, standardize=how)
    assert nats(x * 10**power, y, standardize=how) == pytest.approx(expected, abs=1e-12)
    assert nats(x, y * 10**power, standardize=how) == pytest.approx(expected, abs=1e-12)


@FEW
@given(SEEDS, WIDTHS, st.sampled_from(["euclidean", "chebyshev"]))
def test_translation(seed: int, d: int, norm: str) -> None:
    # Dyadic values, so that the shifted numbers are the same numbers moved.
    x = np.round(sample(seed, 50, d) * 2**10) / 2**10
    y, z = labels(50, 3, seed), normal(50, 1, seed)
    assert nats(x + 4096, y, norm=norm) == nats(x, y, norm=norm)
    moved, here = (nats(each, z, norm=norm, standardize="none") for each in (x + 4096, x))
    assert moved == here


@FEW
@given(SEEDS, WIDTHS)
def test_rotation(seed: int, d: int) -> None:
    x, y, z = normal(50, d, seed), labels(50, 3, seed), normal(50, 2, seed + 1)
    rotation = np.linalg.qr(normal(d, d, seed + 2))[0]
    assert nats(x @ rotation, y) == pytest.approx(nats(x, y), abs=1e-12)
    turned, here = (nats(each, z, standardize="block") for each in (x @ rotation, x))
    assert turned == pytest.approx(here, abs=1e-12)


@FEW
@given(SEEDS, WIDTHS)
def test_order_of_examples_and_names_of_labels(seed: int, d: int) -> None:
    x, y, z = sample(seed, 50, d), labels(50, 4, seed), normal(50, 1, seed)
    order = np.random.default_rng(seed).permutation(50)
    assert nats(x[order], y[order]) == pytest.approx(nats(x, y), abs=1e-12)
    assert nats(x[order], z[order]) == pytest.approx(nats(x, z), abs=1e-12)
    names = np.array([70, -3, 12, 5])
    assert nats(x, names[y]) == nats(x, y)
    assert entropy(names[y]) == pytest.approx(entropy(y), abs=1e-15)


@FEW
@given(SEEDS, WIDTHS, st.integers(1, 7))
def test_clipped_lies_between_zero_and_the_entropy_of_the_labels(seed: int, d: int, k: int) -> None:
    x, y = sample(seed, 40, d), labels(40, 3, seed)
    result = neighbour_information(x, y, k=k)
    assert result.ceiling == entropy(y)
    assert 0 <= result.clipped <= result.ceiling
    assert result.clipped == min(max(result.nats, 0), result.ceiling)


@FEW
@given(SEEDS, WIDTHS, st.sampled_from(["ksg1", "ksg2"]), st.sampled_from(["euclidean", "chebyshev"]))
def test_ksg_is_symmetric(seed: int, d: int, estimator: str, norm: str) -> None:
    x, y = sample(seed, 40, d), sample(seed + 1, 40, 2)
    forth, back = (nats(*pair, estimator=estimator, norm=norm) for pair in ((x, y), (y, x)))
    assert forth == pytest.approx(back, abs=1e-12)


@FEW
@given(SEEDS, WIDTHS, st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
def test_number_format_does_not_change_a_bit(seed: int, d: int, dtype: torch.dtype) -> None:
    x = torch.as_tensor(sample(seed, 50, d) + 3).to(dtype)
    y, z = torch.as_tensor(labels(50, 3, seed)), torch.as_tensor(normal(50, 2, seed)).to(dtype)
    assert neighbour_information(x, y) == neighbour_information(x.double(), y)
    assert neighbour_information(x, z) == neighbour_information(x.double(), z.double())


@pytest.mark.parametrize("norm", ["euclidean", "chebyshev"])
@pytest.mark.parametrize("estimator", ["ross", "ksg1", "ksg2"])
@pytest.mark.parametrize("kind", ["normal", "copied", "half dead", "far off centre"])
def test_blocks_and_chunks_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, kind: str, estimator: str, norm: str
) -> None:
    x = ANY[kind](32, 7)
    y = labels(32, 3) if estimator == "ross" else lattice(32, 5, 3)
    expected = neighbour_information(x, y, estimator=estimator, norm=norm)
    for row_block, chunk, keep in ((32 * 7, 100, 10), (1, 50, 0), (32 * 31, 40, 0), (32 * 32, 1, 100)):
        monkeypatch.setattr(_distances, "_ROW_BLOCK", row_block)
        monkeypatch.setattr(_distances, "_CHUNK", chunk)
        monkeypatch.setattr(_distances, "_MOST_KEPT", keep)
        assert neighbour_information(x, y, estimator=estimator, norm=norm) == expected


@pytest.mark.parametrize("y", [labels(120, 4), normal(120, 2, 5)], ids=["labels", "continuous"])
def test_threads_and_repetition_do_not_matter(y: Examples) -> None:
    x, threads = torch.as_tensor(np.maximum(normal(120, 700), 0)), torch.get_num_threads()
    expected = neighbour_information(x, y)
    try:
        torch.set_num_threads(2)
        torch.manual_seed(7)
        assert neighbour_information(x, y) == expected
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("estimator", ["ross", "ksg1", "ksg2"])
def test_input_and_random_state_are_left_alone(estimator: str) -> None:
    y = labels(60, 3) if estimator == "ross" else normal(60, 6, 9)
    for x in (normal(60, 6) + 5, torch.as_tensor(normal(60, 6) + 5), np.float32(normal(60, 6))):
        before, state = torch.tensor(x.tolist(), dtype=torch.float64), torch.get_rng_state()
        targets = y.copy()
        neighbour_information(x, y, estimator=estimator)
        assert torch.equal(torch.tensor(x.tolist(), dtype=torch.float64), before)
        assert np.array_equal(y, targets)
        assert torch.equal(torch.get_rng_state(), state)


def test_any_array_layout_gives_the_same_value() -> None:
    x, y = normal(50, 6), labels(50, 3)
    expected = nats(x, y)
    frozen = x.copy()
    frozen.flags.writeable = False
    for same in (
        np.asfortranarray(x),
        x[::-1][::-1],
        frozen,
        x.astype(">f8"),
        x.tolist(),
        x.reshape(50, 2, 3),
    ):
        assert nats(same, y) == expected
    assert nats(x[::-1], y[::-1]) == pytest.approx(expected, abs=1e-12)
    assert nats(torch.tensor(x, requires_grad=True), torch.tensor(y)) == expected
    for kind in ("uint8", "int16", "uint16", ">i4"):
        assert nats(x, y.astype(kind)) == expected
    assert nats(x, y == 1) == nats(x, (y == 1).astype(int))


@pytest.mark.parametrize("norm", ["euclidean", "chebyshev"])
@pytest.mark.parametrize("estimator", ["ksg1", "ksg2"])
def test_repeated_and_constant_columns_change_nothing(estimator: str, norm: str) -> None:
    x, y = normal(200, 1), normal(200, 1) + normal(200, 1, 5)
    expected = nats(x, y, estimator=estimator, norm=norm)
    # 4 copies make distances twice as long, a power of two, so that nothing is rounded differently.
    padded = np.concatenate([x, x, x, x, np.full((200, 30), 5.0)], 1)
    assert nats(padded, y, estimator=estimator, norm=norm) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("make", [copied, dead])
def test_copies_of_a_tied_sample_raise_no_information(make: object) -> None:
    x = make(120, 5)  # type: ignore[operator]
    independent = labels(120, 3, seed=11)
    twice, labels_twice = np.repeat(x, 4, 0), np.tile(independent, 4)
    assert abs(nats(twice, labels_twice)) < 0.1
