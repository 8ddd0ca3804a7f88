"""How examples are put into batches: never one alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from infopace.lab.batches import Batches, in_batches, spans
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.run_folder import RunFolder
from infopace.lab.training import Training
from infopace.lab.workload import Data


@given(n=st.integers(0, 300), size=st.integers(1, 40))
def test_batches_hold_every_example_once_and_none_is_alone(n: int, size: int) -> None:
    order = torch.randperm(n)
    batches = in_batches(order, size)
    assert torch.equal(torch.cat([order[:0], *batches]), order)
    sizes = [len(batch) for batch in batches]
    assert sizes == [span.stop - span.start for span in spans(n, size)]
    assert set(sizes[:-1]) <= {size}
    if size == 1 or n <= 1:
        assert set(sizes) <= {1}
    else:
        assert all(2 <= one <= size + 1 for one in sizes)
    if n % size != 1 and n:  # as ever, where none would be alone
        assert all(map(torch.equal, batches, order.split(size)))


class Careful(nn.Module):
    """It loses its first dimension where that is 1, and batch norm refuses one example in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 7))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze()


def clouds(train: int) -> Data:
    """Seven classes; of 500 examples 451 are trained on where a tenth is held out. 251 to test on."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(train + 251) % 7
    noise = torch.randn(len(labels), 4, generator=generator)
    inputs = 2.0 * torch.randn(7, 4, generator=generator)[labels] + noise
    return Data(inputs[:train], labels[:train], inputs[train:], labels[train:])


@pytest.mark.parametrize(
    ("method", "lr", "train", "seen"),
    [("hold-and-decay", None, 500, 451), ("schedule-free-sgd", 0.1, 501, 501)],
)
def test_a_run_meets_no_batch_of_one(
    tiny: Any, tmp_path: Path, method: str, lr: float | None, train: int, seen: int
) -> None:
    """By the default hold-out of a tenth, or with all examples; and where norms are settled, and in the test."""
    tiny.change(load=lambda: clouds(train), build_model=Careful, batch_size=50)
    tiny.run(tmp_path, epochs=3, method=method, lr=lr, **({} if lr else {"bounds": "workload"}))
    rows = RunFolder(tmp_path).read_rows()
    assert len(rows) == 4 and all(row["train_loss"] is not None for row in rows[1:])
    plan = resolve(TrainConfig("tiny", threads=1, method=method, lr=lr))
    training = Training(plan, clouds(train))
    counts: list[int] = []
    training.run_epoch(1, lambda done, total: counts.append(total))
    assert training.n_held_out == train - seen and seen % 50 == 1
    assert counts == [seen // 50] * (seen // 50)


def test_batches_of_a_range_test_hold_no_example_alone(tiny: Any) -> None:
    data = clouds(501)
    tiny.change(batch_size=50)
    batches = Batches(data.train_inputs, data.train_targets, tiny.workload)
    sizes = [len(targets) for _, targets in batches]
    assert sizes == [50] * 9 + [51] and len(batches) == len(sizes)
