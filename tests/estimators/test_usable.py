"""Usable information of every kind of target: a slow reference, known truths, and what must not change it."""

from __future__ import annotations

import math
import re
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from infopace.estimators import decoder_bound, entropy, usable_information

from .usable_cases import (
    CASES,
    channel,
    channel_truth,
    contributions,
    gauss,
    reference_of_classes,
    reference_of_quantities,
    seeded,
)

SOFTMAX = [name for name, case in CASES.items() if case.scaled]


def as_examples(
    name: str, scores: Tensor, targets: Tensor, counted: Tensor
) -> list[list[tuple[Any, Any, int]]]:
    """Every kind as lists of (logits, soft target, column)."""
    kind = CASES[name].kind
    if scores.shape == targets.shape and kind != "soft":
        scores = torch.stack([torch.zeros_like(scores), scores], -1)
    elif kind == "dense":
        scores = scores.movedim(1, -1)
    shares = targets if kind == "soft" else torch.nn.functional.one_hot(targets, scores.shape[-1])
    flat = [part.double().reshape(len(targets), -1, scores.shape[-1]).numpy() for part in (scores, shares)]
    return [
        [
            (flat[0][i, place], flat[1][i, place], place)
            for place in np.flatnonzero(counted.reshape(len(targets), -1)[i]).tolist()
        ]
        for i in range(len(targets))
    ]


def strata(labels: list[int]) -> list[int]:
    return [labels.index(label) for label in labels]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", SOFTMAX)
def test_the_slow_way(name: str, masked: bool) -> None:
    scores, targets = CASES[name].draw(seeded(1), 18)
    scores = 3 * scores + 0.3 * torch.randn(scores.shape, generator=seeded(2))
    shape = targets.shape[:1] if CASES[name].kind == "soft" else targets.shape
    counted = torch.ones(shape, dtype=torch.bool)
    if masked and len(shape) > 1:
        counted = torch.rand(shape, generator=seeded(3)) < 0.6
        counted.reshape(18, -1)[:, 0] = True
    elif masked:
        counted[5] = False
    examples = [e for e in as_examples(name, scores, targets, counted) if e]
    single = len(shape) == 1 and CASES[name].kind != "soft"
    found = usable_information(scores, targets, counted if masked else None)
    expected = reference_of_classes(
        examples, CASES[name].kind == "multi-label", strata(targets[counted].tolist()) if single else None
    )
    assert contributions(found).tolist() == pytest.approx(expected, abs=2e-5)
    assert f"kind '{CASES[name].kind}'" in found.choice


@pytest.mark.parametrize("name", ["regression", "columns", "positions"])
def test_the_slow_way_for_quantities(name: str) -> None:
    scores, targets = CASES[name].draw(seeded(1), 15)
    scores, targets = 2 * scores + 0.3, targets - 5
    found = usable_information(scores, targets)
    flat = [part.reshape(15, -1).numpy() for part in (scores, targets)]
    expected = reference_of_quantities(*flat, product=name != "positions")
    assert contributions(found).tolist() == pytest.approx(expected, abs=1e-9)
    assert found.ceiling == math.inf


@pytest.mark.parametrize("name", CASES)
def test_known_truth_however_overconfident(name: str) -> None:
    case = CASES[name]
    values = []
    for seed in range(8):
        scores, targets = case.draw(seeded(seed), 400)
        found = usable_information(7 * scores if case.scaled else scores, targets)
        values.append(found)
        assert found.method == "usable"
        assert found.n == 400
        assert found.nats <= found.ceiling
    error = math.sqrt(sum(found.std_error**2 for found in values)) / 8
    assert sum(found.nats for found in values) / 8 == pytest.approx(case.truth, abs=3 * error + 2 / 400)
    assert all(not found.warnings for found in values)


# 200 samples of 60: an interval of 95 % covers fewer than 180 once in 300 times.
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_intervals_cover(name: str) -> None:
    case, inside, values, errors = CASES[name], 0, [], []
    for seed in range(200):
        scores, targets = case.draw(seeded(seed), 60)
        found = usable_information(4 * scores if case.scaled else scores, targets)
        low, high = found.interval
        inside += low <= case.truth <= high
        values.append(found.nats)
        errors.append(found.std_error)
    assert inside >= 180
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.45)


def constant(name: str, seed: int) -> tuple[Tensor, Tensor]:
    """A decoder that predicts the true frequencies or means and nothing else."""
    draws = seeded(seed)
    p = torch.tensor([0.6, 0.2, 0.15, 0.05], dtype=torch.float64)
    n = 300

    def labels(*shape: int) -> Tensor:
        return torch.multinomial(p, math.prod(shape), replacement=True, generator=draws).reshape(shape)

    if name == "classes":
        return p.log().expand(n, 4), labels(n)
    if name == "tokens":
        return p.log().expand(n, 6, 4), labels(n, 6)
    if name == "dense":
        return p.log()[:, None, None].expand(n, 4, 2, 3), labels(n, 2, 3)
    if name in ("one logit", "multi-label"):
        shape = (n,) if name == "one logit" else (n, 5)
        return torch.full(shape, math.log(0.1 / 0.9)), (torch.rand(shape, generator=draws) < 0.1).long()
    if name == "soft":
        return p.log().expand(n, 4), torch.distributions.Dirichlet(p).sample(torch.Size([n]))
    shape = {"regression": (n,), "columns": (n, 5), "positions": (n, 2, 3)}[name]
    return torch.full(shape, 3.0), 3 + torch.randn(shape, generator=draws)


@pytest.mark.parametrize("name", CASES)
def test_a_constant_decoder_of_the_true_frequencies_gives_nothing(name: str) -> None:
    torch.manual_seed(0)
    near, inside = 0, 0
    for seed in range(25):
        found = usable_information(*constant(name, seed))
        near += abs(found.nats) <= 3 * found.std_error + 1e-9
        inside += found.interval[0] <= 1e-9 and found.interval[1] >= -1e-9
    # The noise of a fitted variance has the tail of a chi-square: beyond 3 errors in 4 of 1,000 samples.
    assert near >= 24
    assert inside >= 22


@pytest.mark.parametrize("drawn", ["at random", "stratified"])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_constant_decoder_of_many_rare_classes_gives_nothing(power: float, drawn: str) -> None:
    p = torch.arange(1, 151).double() ** -power
    p /= p.sum()
    values = []
    for seed in range(20):
        labels = torch.multinomial(p, 1000, replacement=True, generator=seeded(seed))
        q = p if drawn == "at random" else torch.bincount(labels, minlength=150).clamp(min=1e-6) / 1000
        found = usable_information(q.log().expand(1000, 150), labels)
        values.append(found.nats)
        assert abs(found.nats) <= 3 * found.std_error
    # The plug-in frequencies alone would be (C - 1) / 2n = 0.0745 off.
    assert abs(np.mean(values)) < 0.004


def test_wrong_frequencies_and_wrong_means_count_against_a_decoder() -> None:
    labels = (torch.arange(1000) % 10 == 0).long()
    found = usable_information(torch.zeros(1000, 2), labels)
    assert found.nats == pytest.approx(entropy(labels) - math.log(2), abs=0.005)
    assert found.interval[1] < -0.3
    targets = torch.randn(4000, generator=seeded(0))
    assert usable_information(torch.ones(4000), targets).nats == pytest.approx(-math.log(2) / 2, abs=0.03)


def test_where_the_decoder_bound_is_lower() -> None:
    scores, labels = channel(seeded(0), (1000,), 10, 0.2)
    found = usable_information(10 * scores, labels)
    assert found.nats == pytest.approx(channel_truth(10, 0.2), abs=3 * found.std_error)
    assert found.nats == pytest.approx(decoder_bound(scores, labels).nats, abs=0.01)
    assert decoder_bound(10 * scores, labels).nats < -1
    assert re.search(r"temperature (9|10)(\.\d+)? and (9|10)(\.\d+)? on the halves", found.choice)


def test_a_decoder_that_names_the_wrong_class_has_nothing() -> None:
    scores, labels = channel(seeded(0), (1000,), 4, 0.2)
    found = usable_information(scores.roll(1, 1), labels)
    assert found.nats == pytest.approx(0, abs=0.005)
    assert "temperature inf and inf" in found.choice
    predictions, targets = gauss(seeded(0), (1000,), 0.9)
    assert usable_information(-predictions, targets).nats < -0.3


names = st.sampled_from(SOFTMAX)


@settings(max_examples=40)
@given(names, st.integers(8, 40), st.integers(0, 99), st.floats(-30, 30), st.floats(-100, 100))
def test_units_of_the_scores_change_nothing(name: str, n: int, seed: int, power: float, shift: float) -> None:
    scores, targets = CASES[name].draw(seeded(seed), n)
    if len(set(targets.reshape(n, -1)[:, 0].tolist())) < 2:
        return
    expected = contributions(usable_information(scores, targets))
    factor = 10.0**power
    assert torch.allclose(contributions(usable_information(scores * factor, targets)), expected, atol=1e-6)
    if name not in ("one logit", "multi-label"):
        moved = contributions(usable_information(scores + shift, targets))
        assert torch.allclose(moved, expected, atol=1e-6)
        axis = 1 if name == "dense" else -1
        if name != "soft":  # which would then sum to 1 in scores and targets alike
            moved = contributions(usable_information(scores.softmax(axis), targets))
            assert torch.allclose(moved, expected, atol=1e-6)


@settings(max_examples=25)
@given(st.sampled_from(["classes", "tokens", "dense", "soft"]), st.integers(0, 99))
def test_the_order_of_classes_changes_nothing(name: str, seed: int) -> None:
    scores, targets = CASES[name].draw(seeded(seed), 40)
    axis = 1 if name in ("dense", "soft") else -1
    order = torch.randperm(scores.shape[axis], generator=seeded(seed + 1))
    renamed = targets[:, order] if name == "soft" else torch.argsort(order)[targets]
    found = usable_information(scores.index_select(axis, order), renamed)
    expected = usable_information(scores, targets)
    assert torch.allclose(contributions(found), contributions(expected), atol=1e-6)


@settings(max_examples=25)
@given(st.sampled_from(["tokens", "multi-label", "dense", "positions"]), st.integers(0, 99))
def test_positions_that_do_not_count_might_as_well_be_absent(name: str, seed: int) -> None:
    scores, targets = CASES[name].draw(seeded(seed), 30)
    kept = 2
    mask = torch.zeros(targets.shape, dtype=torch.bool)
    mask[:, :kept] = True
    short = scores[:, :, :kept] if name == "dense" else scores[:, :kept]
    kind = CASES[name].kind
    expected = contributions(usable_information(short, targets[:, :kept], kind=kind))
    spoiled = scores.clone()
    (spoiled[:, :, kept:] if name == "dense" else spoiled[:, kept:]).fill_(math.nan)
    assert torch.allclose(contributions(usable_information(spoiled, targets, mask)), expected, atol=1e-12)
    assert torch.allclose(
        contributions(usable_information(spoiled, targets, mask.long())), expected, atol=1e-12
    )
    if not targets.is_floating_point():
        for index in (-100, 77):
            ignored = torch.where(mask, targets, index)
            found = usable_information(spoiled, ignored, ignore_index=index)
            assert torch.allclose(contributions(found), expected, atol=1e-12)


@settings(max_examples=25)
@given(st.sampled_from(SOFTMAX), st.integers(0, 99))
def test_without_sharpening_only_scores_that_are_too_small_say_less(name: str, seed: int) -> None:
    scores, targets = CASES[name].draw(seeded(seed), 60)
    kind = CASES[name].kind
    free = usable_information(scores, targets, kind=kind)
    huge, tiny = (usable_information(scores * 2.0**p, targets, kind=kind, sharpen=False) for p in (30, -30))
    assert huge.nats == pytest.approx(free.nats, abs=1e-6)
    equal = usable_information(torch.zeros_like(scores), targets, kind=kind)
    assert tiny.nats == pytest.approx(equal.nats, abs=1e-6)


def test_without_sharpening_cautious_scores_are_read_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = torch.randn(500, 3, generator=seeded(0)) / 10, torch.arange(500) % 3
    scores[torch.arange(500), labels] += 0.2
    found = usable_information(scores, labels, sharpen=False)
    direct = math.log(3) - float(torch.nn.functional.cross_entropy(scores, labels))
    assert found.nats == pytest.approx(
        direct, abs=1e-3
    )  # but for the frequencies: 500 is not a multiple of 3
    assert "temperature 1 and 1" in found.choice and found.nats < usable_information(scores, labels).nats / 2
    # A quantity has no temperature that sharpens.
    x = torch.randn(50, generator=seeded(1))
    assert usable_information(x, 2 * x, sharpen=False) == usable_information(x, 2 * x)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"sharpen must be True or False, got 'no'"):
        usable_information(scores, labels, sharpen="no")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_few_digits_are_enough(name: str, dtype: torch.dtype) -> None:
    scores, targets = CASES[name].draw(seeded(0), 300)
    found = usable_information(scores.to(dtype), targets)
    assert found.nats == pytest.approx(usable_information(scores, targets).nats, abs=0.01)
    assert contributions(found).dtype == torch.float64


def test_many_positions_in_single_precision_and_a_search_that_starts_on_some() -> None:
    scores, labels = channel(seeded(0), (300, 60), 40, 0.3)
    assert scores.numel() > 2**18
    scores = 3 * scores + torch.randn(scores.shape, generator=seeded(1))
    expected, found = (contributions(usable_information(part, labels)) for part in (scores, scores.float()))
    assert torch.allclose(found, expected, atol=1e-5)
    huge = contributions(usable_information(scores.float() * 1e25, labels))
    assert torch.allclose(huge, expected, atol=1e-5)


def test_one_example_loses_at_most_the_log_of_the_number() -> None:
    scores, labels = channel(seeded(0), (1000,), 10, 0.2)
    plain = usable_information(scores, labels)
    scores[3] = 40.0 * torch.nn.functional.one_hot((labels[3] + 1) % 10, 10)
    found = usable_information(scores, labels)
    assert found.nats == pytest.approx(plain.nats, abs=0.1)
    assert -math.log(510) < float(contributions(found).min()) < -5
    predictions, targets = gauss(seeded(0), (1000,), 0.99)
    targets[3] = 60.0
    assert usable_information(predictions, targets).nats > 0.1


@pytest.mark.parametrize("right", [1000, 999])
def test_a_decoder_that_is_nearly_always_right(right: int) -> None:
    labels = torch.arange(1000) % 10
    scores = 20.0 * torch.nn.functional.one_hot(torch.where(torch.arange(1000) < right, labels, 0), 10)
    found = usable_information(scores, labels)
    assert math.log(10) - 0.02 < found.nats < found.ceiling
    assert found.interval[1] >= found.ceiling == pytest.approx(math.log(10))


def test_exact_predictions_stay_finite() -> None:
    targets = torch.randn(100, 2, generator=seeded(0))
    exact = targets.clone()
    exact[:, 1] = 0
    found = usable_information(exact, targets)
    assert 10 < found.nats < 20
    assert [caution.kind for caution in found.warnings] == ["beyond-reach"]
    assert str(found.warnings[0]).startswith("in 1 of 2 columns predictions are within 1e-06 of the targets'")
    assert found.interval[1] == math.inf


def test_what_is_left_out_is_said() -> None:
    scores, labels = channel(seeded(0), (40, 6), 4, 0.3)
    labels[:3] = -100
    found = usable_information(scores, labels)
    assert found.n == 37
    assert [str(caution) for caution in found.warnings] == [
        "3 examples have no position that counts and were left out"
    ]
    predictions, targets = gauss(seeded(0), (100, 3), 0.9)
    expected = usable_information(predictions[:, [0, 2]], targets[:, [0, 2]])
    targets[:, 1] = 1e6 + 1 / 3
    found = usable_information(predictions, targets)
    assert found.nats == pytest.approx(expected.nats, abs=1e-9)
    assert [str(c) for c in found.warnings] == ["1 of 3 columns of the targets are constant: left out"]
    noise = usable_information(torch.randn(200, 3, generator=seeded(1)), torch.arange(200) % 3)
    assert [caution.kind for caution in noise.warnings] == ["inside-noise"]


def test_labels_that_a_sample_lacks() -> None:
    scores, targets = CASES["multi-label"].draw(seeded(0), 100)
    both = torch.cat([scores, torch.full((100, 1), -9.0)], 1), torch.cat([targets, 0 * targets[:, :1]], 1)
    assert usable_information(*both).nats == pytest.approx(usable_information(scores, targets).nats, abs=0.01)
    rare, labels = channel(seeded(1), (60,), 40, 0.5)  # most classes are missing in one half
    assert math.isfinite(usable_information(rare, labels).nats)


def test_gradients_devices_and_lists_are_read() -> None:
    scores, labels = channel(seeded(0), (60,), 3, 0.3)
    expected = usable_information(scores, labels)
    assert usable_information(scores.clone().requires_grad_(), labels) == expected
    assert usable_information(scores.tolist(), labels.tolist()) == expected
    assert usable_information(scores.numpy(), labels.numpy().astype(np.int16)) == expected


@pytest.mark.needs_cuda
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_finds_the_same(name: str) -> None:
    scores, targets = CASES[name].draw(seeded(0), 200)
    expected = contributions(usable_information(scores, targets))
    found = [
        contributions(usable_information(scores.cuda(), t)) for t in (targets.cuda(), targets, targets.cuda())
    ]
    assert torch.allclose(found[0].cpu(), expected, atol=1e-9)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
