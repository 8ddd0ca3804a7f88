"""Usable information of a ridge regression, against fits that are made anew without each example."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import Tensor

from infopace.estimators import Estimate, entropy, linear_probe_bound, mutual_information, ridge_information
from infopace.estimators._ridge_fit import STRENGTHS, Coordinates


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(n: int, width: int, classes: int, distance: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = draws(seed)
    y = torch.arange(n) % classes
    centres = distance * torch.randn(classes, width, generator=generator, dtype=torch.float64) / width**0.5
    return centres[y] + torch.randn(n, width, generator=generator, dtype=torch.float64), y


def refitted(x: Tensor, y: Tensor, own: Tensor, strength: float) -> Tensor:
    """Predictions of the rows `own` by a ridge regression on the others, with the penalty of all rows."""
    ridge = strength * float((x - x.mean(0)).square().sum())
    rest, targets = x[~own], y[~own]
    middle, mean = rest.mean(0), targets.mean(0)
    z = rest - middle
    weights = torch.linalg.solve(
        z.T @ z + ridge * torch.eye(x.shape[1], dtype=x.dtype), z.T @ (targets - mean)
    )
    return mean + (x[own] - middle) @ weights


@pytest.mark.parametrize("width", [1, 5, 60])
@pytest.mark.parametrize("strength", [1.0, 1e-3, 1e-6])
def test_each_row_is_predicted_as_by_a_fit_without_it(width: int, strength: float) -> None:
    x, labels = clusters(40, width, 3, 3.0)
    y = torch.nn.functional.one_hot(labels).double()
    ((rise, others),) = Coordinates.of(x).left_out(y, [strength])
    for i in range(len(x)):
        own = torch.arange(len(x)) == i
        mean = y[~own].mean(0)
        torch.testing.assert_close(others[i], y[i] - mean, rtol=0, atol=1e-12)
        torch.testing.assert_close(mean + rise[i], refitted(x, y, own, strength)[0], rtol=0, atol=1e-8)


@pytest.mark.parametrize("width", [4, 70])
@pytest.mark.parametrize("strength", [1e-1, 1e-5])
def test_all_rows_of_an_example_are_left_out_together(width: int, strength: float) -> None:
    # Examples of 1, 2 and 3 rows.
    example = torch.tensor([e for e in range(21) for _ in range(1 + e % 3)])
    x, labels = clusters(len(example), width, 3, 3.0)
    y = torch.nn.functional.one_hot(labels).double()
    ((rise, others),) = Coordinates.of(x, example).left_out(y, [strength])
    for e in range(21):
        own = example == e
        mean = y[~own].mean(0)
        torch.testing.assert_close(others[own], y[own] - mean, rtol=0, atol=1e-12)
        torch.testing.assert_close(mean + rise[own], refitted(x, y, own, strength), rtol=0, atol=1e-8)


def slow_classes(x: Tensor, labels: Tensor) -> float:
    """The value by refits, with the temperature found anew without each example."""
    n = len(x)
    y = torch.nn.functional.one_hot(labels).double()
    p = y.mean(0)
    losses = [torch.zeros(n, dtype=torch.float64)]
    for strength in STRENGTHS:
        own = [torch.arange(n) == i for i in range(n)]
        rise = torch.stack([refitted(x, y, o, strength)[0] - y[~o].mean(0) for o in own])

        def loss(factor: float, rise: Tensor = rise) -> Tensor:
            right = rise[torch.arange(n), labels]
            return (factor * rise + p.log()).logsumexp(1) - factor * right

        def extra(factor: float, rise: Tensor = rise) -> float:
            return float(((factor * rise + p.log()).logsumexp(1) - factor * (rise @ p)).mean())

        found = torch.zeros(n, dtype=torch.float64)
        for i in range(n):

            def of_others(factor: float, i: int = i) -> float:
                each = loss(factor)
                return float(each.sum() - each[i]) + extra(factor)

            best: Any = minimize_scalar(of_others, bounds=(0, 1e3), method="bounded", options={"xatol": 1e-9})
            factor = best.x if best.fun < of_others(0.0) else 0.0
            ratio = -loss(factor)[i]
            found[i] = -torch.logaddexp(ratio + math.log((n - 1) / n), torch.tensor(-math.log(n)).double())
        losses.append(found)
    table = torch.stack(losses)
    chosen = (table.sum(1, keepdim=True) - table).argmin(0)
    return -float(table[chosen, torch.arange(n)].mean())


@pytest.mark.parametrize("width", [2, 50])
def test_the_value_is_that_of_fits_and_temperatures_without_each_example(width: int) -> None:
    x, y = clusters(45, width, 3, 2.5)
    # The temperature without an example comes from one step of Newton.
    assert ridge_information(x, y).nats == pytest.approx(slow_classes(x, y), abs=4e-3)


def test_quantities_are_those_of_fits_without_each_example() -> None:
    generator = draws(1)
    n = 40
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    y = x[:, :1] + 0.5 * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    unit = (y - y.mean()) / y.std(correction=0)
    table = [torch.zeros(n, dtype=torch.float64)]
    own = [torch.arange(n) == i for i in range(n)]
    wide = torch.stack([unit[i, 0] - unit[~o].mean() for i, o in enumerate(own)]).square()
    for strength in STRENGTHS:
        residual = torch.stack([(unit[o] - refitted(x, unit, o, strength))[0, 0] for o in own]).square()
        of_others = [((part.sum() - part) / (n - 1)) for part in (residual, wide)]
        gain = (of_others[1] / of_others[0]).log() - residual / of_others[0] + wide / of_others[1]
        table.append(-gain / 2)
    losses = torch.stack(table)
    chosen = (losses.sum(1, keepdim=True) - losses).argmin(0)
    terms = -losses[chosen, torch.arange(n)]
    bounded = torch.logaddexp(terms + math.log((n - 1) / n), torch.tensor(-math.log(n)).double())
    assert ridge_information(x, y).nats == pytest.approx(float(bounded.mean()), abs=1e-8)


CASES = {
    "classes": lambda: clusters(60, 6, 3, 2.0),
    "wide": lambda: clusters(50, 80, 2, 3.0),
    "several labels": lambda: (clusters(60, 6, 3, 2.0)[0], clusters(60, 6, 3, 2.0)[0][:, :2] > 0.3),
    "soft": lambda: (clusters(60, 6, 3, 2.0)[0], clusters(60, 6, 3, 2.0)[0][:, :3].softmax(1)),
    "quantities": lambda: (clusters(60, 6, 3, 2.0)[0], clusters(60, 6, 3, 2.0)[0][:, :2].exp()),
    "positions": lambda: (
        clusters(120, 5, 3, 2.0)[0].reshape(30, 4, 5),
        clusters(120, 5, 3, 2.0)[1].reshape(30, 4),
    ),
}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), factor=st.floats(1e-6, 1e6), shift=st.floats(-3, 3))
def test_rotation_scale_shift_and_order_change_nothing(
    case: str, seed: int, factor: float, shift: float
) -> None:
    x, y = CASES[case]()
    value = ridge_information(x, y).nats
    order = torch.randperm(len(x), generator=draws(seed))
    turn, _ = torch.linalg.qr(
        torch.randn(x.shape[-1], x.shape[-1], generator=draws(seed), dtype=torch.float64)
    )
    assert ridge_information(factor * (x @ turn + shift)[order], y[order]).nats == pytest.approx(
        value, abs=1e-7
    )


@pytest.mark.parametrize("n", [60, 30])
def test_more_columns_than_examples_are_the_same_fit(n: int) -> None:
    x, y = clusters(n, 20, 3, 2.0)
    more = torch.cat([x, torch.zeros(n, 200, dtype=x.dtype)], 1)
    turn, _ = torch.linalg.qr(torch.randn(220, 220, generator=draws(3), dtype=torch.float64))
    assert ridge_information(more @ turn, y).nats == pytest.approx(ridge_information(x, y).nats, abs=1e-9)


def test_names_of_labels_do_not_matter() -> None:
    x, y = clusters(90, 4, 3, 2.0)
    value = ridge_information(x, y).nats
    assert ridge_information(x, [("b", "a", "c")[int(label)] for label in y]).nats == pytest.approx(
        value, abs=1e-12
    )
    assert ridge_information(x, 7 - 3 * y).nats == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("width", [3, 200])
@pytest.mark.parametrize("kind", ["classes", "many classes", "quantities", "several labels", "positions"])
def test_outputs_that_say_nothing_measure_about_0(width: int, kind: str) -> None:
    values = []
    for seed in range(8):
        generator = draws(seed)
        x = torch.randn(150, width, generator=generator)
        y = {
            "classes": torch.arange(150) % 3,
            "many classes": torch.arange(150) % 30,
            "quantities": torch.randn(150, 2, generator=generator),
            "several labels": torch.rand(150, 4, generator=generator) < 0.2,
            "positions": torch.randint(0, 3, (50, 3), generator=generator),
        }[kind]
        found = ridge_information(x.reshape(50, 3, width) if kind == "positions" else x, y)
        assert math.isinf(found.ceiling) == (kind == "quantities")
        values.append(found.nats)
    # Within about 1 / n, as strength and temperature are chosen by the same examples.
    assert -0.02 < sum(values) / len(values) < 0.012


def test_it_is_a_lower_bound_near_the_truth_of_a_linear_law() -> None:
    generator = draws(2)
    x = torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    y = 0.8 * x[:, 0] + 0.6 * torch.randn(4000, generator=generator, dtype=torch.float64)
    found = ridge_information(x, y)
    assert found.nats == pytest.approx(-math.log(0.36) / 2, abs=0.03)
    assert found.interval[0] < -math.log(0.36) / 2 < found.interval[1]


def test_it_is_near_the_linear_probe_on_layers_with_many_classes() -> None:
    x, y = clusters(600, 40, 10, 4.0)
    assert ridge_information(x, y).nats == pytest.approx(linear_probe_bound(x, y).nats, abs=0.08)


def test_several_columns_are_summed_and_positions_averaged() -> None:
    x, _ = clusters(200, 3, 3, 2.0)
    y = x[:, :1] + torch.randn(200, 1, generator=draws(1), dtype=torch.float64)
    one = ridge_information(x, y).nats
    assert one > 0.1
    assert ridge_information(x, y.repeat(1, 2)).nats == pytest.approx(2 * one, abs=0.02)
    z, labels = clusters(300, 4, 3, 3.0)
    alone = ridge_information(z, labels)
    copied = ridge_information(z[:, None, :].repeat(1, 2, 1), labels[:, None].repeat(1, 2))
    assert copied.n == 300
    assert copied.nats == pytest.approx(alone.nats, abs=1e-2)


def test_positions_of_an_example_do_not_help_each_other() -> None:
    # The number of the sequence says the label, and nothing else does.
    generator = draws(4)
    which = torch.randint(0, 2, (80,), generator=generator)
    own = torch.randn(80, 1, 100, generator=generator)
    x = own.expand(80, 5, 100)
    assert ridge_information(x, which[:, None].repeat(1, 5)).nats < 0.02
    alone = ridge_information(x.reshape(400, 100), which[:, None].repeat(1, 5).reshape(-1))
    assert alone.nats > 0.3


def test_images_have_their_vectors_second() -> None:
    z, labels = clusters(30 * 12, 4, 3, 3.0)
    x, y = z.reshape(30, 3, 4, 4), labels.reshape(30, 3, 4)
    assert ridge_information(x.movedim(-1, 1), y, kind="positions").nats == ridge_information(x, y).nats


def test_positions_that_do_not_count_change_nothing() -> None:
    z, labels = clusters(160, 4, 3, 3.0)
    x, y = z.reshape(40, 4, 4), labels.reshape(40, 4)
    y[3:9, 1:] = -100
    value = ridge_information(x, y)
    x[3:9, 1:] = math.nan
    assert ridge_information(x, y).nats == value.nats
    mask = y != -100
    assert ridge_information(x, y.clamp(min=0), mask).nats == value.nats
    y[0] = -100
    found = ridge_information(x, y)
    assert found.n == 39
    assert [caution.kind for caution in found.warnings] == ["left-out"]


def test_of_very_many_positions_some_are_enough() -> None:
    z, labels = clusters(100 * 300, 4, 3, 3.0)
    x, y = z.reshape(100, 300, 4), labels.reshape(100, 300)
    found = ridge_information(x, y)
    assert found.n == 100
    assert found.nats == ridge_information(x, y).nats
    assert found.nats == pytest.approx(ridge_information(z[:5000], labels[:5000]).nats, abs=0.02)


def test_what_comes_back_says_how_it_was_made() -> None:
    x, y = clusters(200, 4, 4, 2.0)
    found = ridge_information(x.float(), y)
    assert isinstance(found, Estimate)
    assert (found.method, found.n, found.k, found.norm, found.bias) == ("ridge", 200, 0, "", 0.0)
    assert found.ceiling == pytest.approx(entropy(y))
    assert found.pointwise is not None
    assert found.nats == float(found.pointwise.mean())
    assert found.choice == "kind 'classes', each example left out of its fit"
    assert float(found.pointwise.min()) > -math.log(200)
    assert ridge_information(x.float(), y).nats == found.nats


def test_outputs_that_are_constant_or_determine_quantities_are_noticed() -> None:
    y = torch.arange(60) % 3
    found = ridge_information(torch.full((60, 2), 0.1), y)
    assert found.nats == 0
    assert [caution.kind for caution in found.warnings] == ["constant", "inside-noise"]
    x = torch.randn(60, 3, generator=draws(0), dtype=torch.float64)
    exact = ridge_information(x, x[:, :2].clone())
    assert [caution.kind for caution in exact.warnings] == ["beyond-reach"]
    assert exact.interval[1] == math.inf
    still = ridge_information(x, torch.stack([x[:, 0].exp(), torch.ones(60)], 1))
    assert [caution.kind for caution in still.warnings] == ["dead-columns"]


def test_two_classes_on_a_line_that_are_apart_are_all_known() -> None:
    x = torch.cat([torch.zeros(50), torch.ones(50)])[:, None]
    y = (torch.arange(100) >= 50).long()
    assert ridge_information(x, y).nats == pytest.approx(math.log(2), abs=0.02)
    assert mutual_information(x, y).nats == pytest.approx(math.log(2), abs=0.05)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (torch.ones(5, 2), torch.arange(4), {}, "x and targets must have the same number of examples, got 5 and 4"),
        (torch.ones(3, 2), torch.arange(3), {}, "ridge information takes at least 4 examples, got 3"),
        (torch.tensor([1.0, math.nan, 1, 1, 1]), torch.arange(5), {}, "x must be finite, got nan in 1 of 5 examples"),
        (torch.ones(5, 2), torch.zeros(5).long(), {}, "at least 2 classes, got only one in 5 examples"),
        (torch.ones(5, 2), torch.full((5, 1), 0.3), {}, "targets must vary, got constant ones in 5 examples"),
        (torch.ones(5, 2), torch.arange(5), {"kind": "tokens"}, "kind must be one of .* got .tokens."),
        (torch.ones(5, 2), torch.arange(15).reshape(5, 3), {}, r"for targets \(5, 3\), got shape \(5, 2\)"),
        (torch.ones(5, 2), torch.arange(5), {"mask": torch.ones(5)}, "a mask is for positions, got one with"),
        (torch.ones(5, 2), torch.rand(5, 2) + 1, {"kind": "soft"}, r"of sum 1, got shape \(5, 2\)"),
        (torch.ones(5, 2), torch.arange(10.0).reshape(5, 2), {"kind": "multi-label"}, "must be 0 or 1, got 2"),
        (torch.ones(5, 2), torch.arange(5), {"kind": "regression"}, "must be floating, got dtype int64"),
        (torch.ones(5, 3, 2), torch.ones(5, 3).long(), {"kind": "positions"}, "at least 2 classes, got 1 at"),
        (torch.tensor(1.0), torch.arange(5), {}, "x must have one row for each example, got a scalar 1.0"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_in_one_line(
    x: Tensor, y: Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        ridge_information(x, y, **options)
    assert "\n" not in str(caught.value)
