"""Which moves of a learning rate a picture shows, and what it says about them."""

from __future__ import annotations

import math

import pytest

from infopace.pictures import Move, notable, reasons, thinned


def move(at: int, before: float | None, lr: float) -> Move:
    return Move(at, before, lr, "saturated", f"because of {at}", "fc1", f"epoch {at + 1}")


def test_the_largest_moves_are_kept_in_their_order() -> None:
    moves = [move(0, None, 0.1), move(1, 0.1, 0.01), move(2, 0.01, 0.009), move(3, 0.009, 0.02)]
    assert thinned(moves, 3) == [moves[0], moves[1], moves[3]]
    assert thinned(moves, 9) == moves
    assert move(1, 0.1, 0.01).size == pytest.approx(math.log(10))


def test_notable_moves_do_not_cover_each_other() -> None:
    moves = [move(0, None, 0.1), move(1, 0.1, 0.001), move(2, 0.001, 0.00101), move(900, 0.00101, 0.0005)]
    assert notable(moves, 5, span=1000) == [moves[0], moves[1], moves[3]]
    assert notable(moves, 2, span=1000) == [moves[0], moves[1]]
    assert notable([], 5, span=10) == []


def test_moves_for_one_reason_are_shown_once_a_layer() -> None:
    rates = {
        1: ("start", 0.4),
        7: ("decaying", 0.38),
        8: ("decaying", 0.2),
        9: ("decaying", 0.1),
        30: ("floor", 0.01),
    }
    moves = [
        Move(at, None if at == 1 else 0.4, lr, "", reason, layer, "")
        for layer, lowered in (("conv", 1.0), ("fc", 0.5))
        for at, (reason, lr) in ((at, (reason, lr * lowered)) for at, (reason, lr) in rates.items())
    ]
    assert [(m.at, m.layer) for m in notable(moves, 10, span=30)] == [
        (at, layer) for at in (1, 7, 30) for layer in ("conv", "fc")
    ]


def test_reasons_are_listed_by_their_numbers() -> None:
    first, second = move(0, None, 0.1), move(1, 0.1, 0.01)
    assert reasons([first, second], [first, second]) == [
        "1  epoch 1: lr 0.1: because of 0",
        "2  epoch 2: lr 0.1 to 0.01: because of 1",
    ]


def test_layers_that_move_together_share_a_line_and_long_reasons_take_several() -> None:
    moves = [Move(0, None, 0.1, "hold", "long " * 40, f"conv{i}", "epoch 1") for i in range(7)]
    lines = reasons(moves, moves[:1])
    assert lines[0].startswith("1  epoch 1, layers conv0, conv1, conv2, conv3, 3 more: lr 0.1: long")
    assert len(lines) == 2 and lines[1].startswith("    long")
