"""Which kind of target usable information takes scores and targets for, and what it refuses, word for word."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from infopace.estimators import OutOfRangeError, usable_information

from .usable_cases import contributions, seeded

L, F = torch.arange(40) % 2, torch.randn(40, generator=seeded(5))
BITS = torch.stack([L, L.roll(1) * L.roll(3), (torch.arange(40) % 3 == 0).long()], 1)
SHARES = torch.randn(40, 3, generator=seeded(6)).softmax(1)
S2, S3, S34 = F[:, None] * torch.ones(2), torch.randn(40, 3, generator=seeded(7)), torch.randn(40, 3, 4)
DETECTED: list[tuple[str, Tensor, Tensor]] = [
    ("classes", S3, L),
    ("classes", S3[:, None], L[:, None]),
    ("classes", S3, L[:, None]),
    ("classes", F, L),
    ("classes", F[:, None], L),
    ("classes", F, L.bool()[:, None]),
    ("tokens", S34, BITS),
    ("dense", S34.movedim(-1, 1), BITS),
    ("tokens", torch.randn(40, 2, 3, 4), BITS[:, None] * torch.ones(2, 1).long()),
    ("dense", torch.randn(40, 1, 3), BITS),
    ("multi-label", S3, BITS),
    ("multi-label", S3, BITS.bool()),
    ("multi-label", S3, BITS.double()),
    ("multi-label", F, L.float()),
    ("multi-label", F[:, None], L.float()[:, None]),
    ("soft", S3, SHARES),
    ("soft", S3, torch.nn.functional.one_hot(L, 3)),
    ("soft", S3, torch.nn.functional.one_hot(L, 3).float()),
    ("soft", S34, S34.softmax(1)),
    ("soft", S34, S34.softmax(2)),
    ("dense", S34, (S34 > 0).float()),
    ("dense", S34, (S34 > 0)),
    ("regression", F, F + 1),
    ("regression", F[:, None], F),
    ("regression", S3, S3 + SHARES),
    ("regression", S34, S34 + 1),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("row", range(len(DETECTED)))
def test_kinds_are_detected(row: int) -> None:
    kind, scores, targets = DETECTED[row]
    found = usable_information(scores, targets)
    assert found.choice.startswith(f"kind '{kind}'")
    assert torch.equal(contributions(found), contributions(usable_information(scores, targets, kind=kind)))


def test_a_named_kind_overrules_what_is_ambiguous() -> None:
    scores, labels = (
        torch.randn(40, 5, 5, generator=seeded(0)),
        torch.randint(5, (40, 5), generator=seeded(1)),
    )
    tokens = usable_information(scores, labels, kind="tokens")
    dense = usable_information(scores.movedim(-1, 1), labels, kind="dense")
    assert torch.equal(contributions(tokens), contributions(dense))
    zeros = usable_information(F, L.double(), kind="regression")
    assert zeros.ceiling == math.inf
    one_logit = usable_information(S3, BITS, kind="tokens")
    assert one_logit.ceiling < usable_information(S3, BITS).ceiling / 2
    labelled = usable_information(S3, torch.nn.functional.one_hot(L, 3).float())
    assert torch.equal(contributions(labelled), contributions(usable_information(S3, L)))


def hole(scores: Tensor, value: float) -> Tensor:
    scores = scores.clone()
    scores.reshape(len(scores), -1)[7, 2] = value
    return scores


USABLE = usable_information
WRONG: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    (
        (hole(S3, math.nan), L),
        {},
        "scores must be finite, got nan in 1 of 40 examples, first at example 7, column 2",
    ),
    ((hole(S34, math.inf), BITS), {}, "scores must be finite, got inf at example 7, column 2"),
    (
        (hole(S3.double(), -1e200), L),
        {},
        "scores must be within 1e+150 of 0, got -1e+200 at example 7, column 2",
    ),
    (
        (S3, hole(S3, math.nan)),
        {},
        "targets must be finite, got nan in 1 of 40 examples, first at example 7, column 2",
    ),
    ((S3, L[:39]), {}, "scores and targets must have the same number of examples, got 40 and 39"),
    ((S3, L + 2), {}, "targets must be in 0..C-1 for scores of C = 3 classes, got 3"),
    ((S3, L - 1), {}, "targets must be in 0..C-1 for scores of C = 3 classes, got -1"),
    ((F, L + 1), {}, "targets must be in 0..C-1 for scores of C = 2 classes, got 2"),
    ((S3, 0 * L + 2), {}, "targets must have at least 2 classes, got only class 2 in 40 examples"),
    ((S3, 0 * BITS), {}, "targets must have a label that varies, got only constant ones in 40 examples"),
    ((F, 0 * F + 3), {}, "targets must vary, got constant ones in 40 examples"),
    ((S3[:3], L[:3]), {}, "usable information takes at least 4 examples, got 3"),
    (
        (S3, torch.where(torch.arange(40) < 3, L, -100)),
        {},
        "usable information takes at least 4 examples, got 3 with a position that counts, of 40",
    ),
    (
        (S3, S34),
        {},
        "floating targets must have the scores' shape (40, 3), got (40, 3, 4); class labels are whole numbers",
    ),
    (
        (S34, L),
        {},
        "scores must be (n, C), (n, T, C) or (n, C, d1, ..) for targets (40,), got shape (40, 3, 4)",
    ),
    (
        (S3, BITS + 1),
        {},
        "whole-number targets of the scores' shape (40, 3) must be 0 or 1, got others; give quantities as floats",
    ),
    (
        (torch.randn(40, 5, 5), torch.ones(40, 5).long()),
        {},
        "scores (40, 5, 5) and targets (40, 5) are tokens or dense; name kind='tokens' (classes last) or kind='dense' "
        "(classes second)",
    ),
    (
        (S3, L),
        {"kind": "label"},
        "kind must be one of 'auto', 'classes', 'tokens', 'dense', 'multi-label', 'soft', 'regression', got 'label'",
    ),
    (
        (S3, L),
        {"kind": "soft"},
        "scores must be (n, C) as the targets are for targets (40,), got shape (40, 3)",
    ),
    ((S3, S3), {"kind": "soft"}, "soft targets must be non-negative and sum to 1 in the axis of classes"),
    (
        (torch.randn(40, 2, 2), torch.full((40, 2, 2), 0.5)),
        {"kind": "soft"},
        "soft targets must be non-negative and sum to 1 in one axis, got axes 1 and -1",
    ),
    ((F, L), {"kind": "regression"}, "targets of regression must be floating, got dtype int64"),
    (
        (S3, SHARES),
        {"kind": "multi-label"},
        f"targets of multi-label must be 0 or 1, got {float(SHARES[0, 0])}",
    ),
    ((S34, SHARES), {"kind": "tokens"}, "targets of tokens must be whole numbers, got dtype float32"),
    ((S3.long(), L), {}, "scores must be floating, got dtype int64"),
    ((S3 + 0j, L), {}, "scores must be real, got dtype complex64"),
    (
        (S3, ["a", "b"] * 20),
        {},
        "targets must be numbers in one array, got text or other labels without a number; number them",
    ),
    ((S34, BITS, BITS[:, :2]), {}, "mask must fit the positions (40, 3), got shape (40, 2)"),
    (
        (S34, BITS, BITS + 1),
        {},
        "mask must be True or False for each position, got int64 values beyond 0 and 1",
    ),
    ((S34, BITS, BITS.float()), {}, "mask must be True or False for each position, got dtype float32"),
    (
        (
            S3,
            S3 + 1,
            torch.cat([torch.ones(40, 2), torch.zeros(40, 1)], 1).bool() | (torch.arange(40) < 3)[:, None],
        ),
        {},
        "each half of the examples must have 2 targets that count in every column, got 3 in all in column 2",
    ),
]


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_refusals(row: int) -> None:
    values, options, message = WRONG[row]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$") as refused:
        USABLE(*values, **options)
    assert isinstance(refused.value, OutOfRangeError) == (" finite, " in message or " within " in message)
