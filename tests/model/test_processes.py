"""Several processes that train one model: what they exchange, and errors that all of them raise."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from infopace.model.forward import as_found, layer_outputs
from infopace.model.processes import ALONE, ProcessError, Processes, digest, processes_of

from ..team import Team, team

N = 150


class Network(nn.Module):
    """Batch norm, and noise that is drawn in evaluation mode as well."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(7, 5)
        self.norm = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.dropout(self.norm(self.first(x)).relu(), 0.1, training=True))


def inputs() -> Tensor:
    return torch.randn(N, 7, generator=torch.Generator().manual_seed(5))


def all_processes() -> Processes:
    return processes_of(nn.Linear(1, 1))


def subgroup(count: int) -> Any:
    """A group of the first processes. All processes must make it."""
    return dist.new_group(list(range(count)))


def test_without_a_group_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes_of(nn.Linear(1, 1)) is ALONE and not ALONE.several
    monkeypatch.setattr(dist, "is_available", lambda: False)
    monkeypatch.delattr(dist, "is_initialized")
    assert processes_of(nn.Linear(1, 1)) is ALONE
    assert ALONE.gather("a value", 3) == [3] and ALONE.from_first("a value", lambda: 4) == 4
    assert ALONE.dealt("jobs", 3, str) == ["0", "1", "2"]
    ALONE.agree({"the number": 3})


def exchange() -> tuple[Any, ...]:
    processes = all_processes()
    rank = processes.rank
    assert rank == dist.get_rank() and processes.count == 4
    tensors = [
        torch.full((2,), rank, dtype=torch.bfloat16),
        torch.tensor(rank > 1),
        torch.zeros(0, 3),
        torch.arange(6.0).reshape(2, 3).t() * rank,
        torch.tensor([1j * rank]),
    ]
    gathered = processes.gather("values", {"rank": rank, "tensors": tensors})
    for other, values in enumerate(gathered):
        expected = [torch.full((2,), other, dtype=torch.bfloat16), torch.tensor(other > 1), torch.zeros(0, 3)]
        expected += [torch.arange(6.0).reshape(2, 3).t() * other, torch.tensor([1j * other])]
        assert values["rank"] == other
        for value, wanted in zip(values["tensors"], expected, strict=True):
            assert value.dtype == wanted.dtype and torch.equal(value, wanted)
    calls: list[int] = []

    def make() -> str:
        calls.append(rank)
        return f"made on {rank}"

    made = processes.from_first("a text", make), len(calls)
    everywhere = processes.from_first("a text", make, on_all=True), len(calls)
    jobs = processes.dealt("jobs", 6, lambda job: (job, rank))
    processes.agree({"the number": 3, "the name": "a"})
    return made, everywhere, jobs


def test_values_travel(four: Team) -> None:
    jobs = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 0), (5, 1)]
    for rank, found in enumerate(four.run(exchange)):
        assert found == (("made on 0", rank == 0), ("made on 0", 1 + (rank == 0)), jobs)


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:  # so pickle cannot make it again
        super().__init__(f"{one} {two}")


def fail(how: str) -> None:
    processes = all_processes()
    if how == "first":
        processes.from_first("the answer", lambda: [][1])
    elif how == "odd":
        processes.from_first("the answer", lambda: (_ for _ in ()).throw(Odd(1, 2)))
    elif how == "agree":
        values = {"the probe": "same", "the reference": 1.5 if processes.rank in (1, 3) else 2.5}
        processes.agree(values, "draw it with the same seed")
    elif how == "place":
        processes.gather("the roll-back" if processes.rank == 2 else "the measurement", 1)
    elif how == "all":
        processes.from_first("the measurement", lambda: 1 // (processes.rank - 2), on_all=True)
    else:
        processes.dealt("the measurement", 6, lambda job: 1 // (job - 2))


def test_an_error_on_rank_0_is_raised_on_all(four: Team) -> None:
    for answer in four.answers(fail, "first"):
        assert repr(answer.error) == "IndexError('list index out of range')"
    own, *others = four.answers(fail, "odd")
    assert isinstance(own.error, RuntimeError)  # the team cannot copy it either
    for answer in others:
        assert repr(answer.error) == "ProcessError('rank 0 failed: Odd: 1 2')"


@pytest.mark.parametrize("how", ["jobs", "all"])
def test_an_error_on_any_rank_is_named_on_all(four: Team, how: str) -> None:
    for rank, answer in enumerate(four.answers(fail, how)):
        if rank == 2:
            assert isinstance(answer.error, ZeroDivisionError)
            continue
        assert isinstance(answer.error, ProcessError)
        text = str(answer.error)
        assert text.startswith("the measurement failed on rank 2 of 4 processes: ZeroDivisionError: ")


def test_values_that_differ_are_named_with_their_ranks(four: Team) -> None:
    for answer in four.answers(fail, "agree"):
        assert repr(answer.error) == repr(
            ValueError(
                "the reference must be equal on all 4 processes, got 2.5 on rank 0 and 1.5 on ranks 1, 3; "
                "draw it with the same seed"
            )
        )


def test_processes_at_different_points_are_named(four: Team) -> None:
    answers = four.answers(fail, "place")
    assert "got rank 0 at 'the measurement' while rank 2 is at 'the roll-back'" in str(answers[0].error)
    assert "got rank 2 at 'the roll-back' while rank 0 is at 'the measurement'" in str(answers[2].error)
    assert {type(answer.error) for answer in answers} == {ProcessError}


def end_one() -> list[int]:
    processes = all_processes()
    if processes.rank == 1:
        os._exit(1)
    return processes.gather("the measurement", 1)


def test_a_process_that_ends_ends_the_others_with_an_error() -> None:
    with team(2) as two:
        left, ended = two.answers(end_one)
    assert isinstance(ended.error, EOFError)
    assert isinstance(left.error, ProcessError)
    assert str(left.error).startswith(
        "the measurement failed on rank 0: if another of the 2 processes has ended"
    )


def measured(count: int, batch_size: int | None, layers: bool) -> dict[str, Tensor] | None:
    """What every process receives: of the model as rank 0 has it. Each gets its own back."""
    group = subgroup(count)
    if dist.get_rank() >= count:
        return None
    model = Network()
    with torch.no_grad():  # buffers that differ, as under DistributedDataParallel
        model.norm.running_mean += dist.get_rank()  # pyright: ignore[reportOperatorIssue]
    wrapped = nn.parallel.DistributedDataParallel(model, process_group=group, init_sync=False)
    before = [buffer.clone() for buffer in model.buffers()]
    torch.manual_seed(dist.get_rank())
    state = torch.get_rng_state()
    received: dict[str, Tensor] = {}
    picked: dict[str, nn.Module] = {"first": model.first, "norm": model.norm} if layers else {}
    processes = processes_of(wrapped)
    with torch.no_grad(), as_found(model, processes):
        silent = layer_outputs(
            model, inputs(), N, picked, batch_size, received.__setitem__, processes=processes
        )
    assert silent == ({}, [None] * (1 if batch_size is None else len(range(0, N, batch_size))))
    assert all(map(torch.equal, before, model.buffers()))
    assert torch.equal(state, torch.get_rng_state()) and model.training
    return received


@pytest.mark.parametrize("batch_size", [None, 32, 1])
def test_outputs_are_equal_bit_for_bit_on_any_number_of_processes(four: Team, batch_size: int | None) -> None:
    found = {count: four.run(measured, count, batch_size, True) for count in (1, 2, 4)}
    for count, by_rank in found.items():
        assert set(by_rank[0]) == {"first", "norm", "output"} and by_rank[count:] == [None] * (4 - count)
        for received in by_rank[:count]:
            assert list(received) == list(found[1][0])
            assert all(torch.equal(received[name], found[1][0][name]) for name in received)


def count_passes(batch_size: int | None) -> int:
    model = Network()
    passes: list[int] = []
    model.register_forward_hook(lambda *_: passes.append(1))
    with torch.no_grad():
        layer_outputs(model, inputs(), N, {}, batch_size, lambda *_: None, processes=processes_of(model))
    return len(passes)


def test_batches_are_dealt(four: Team) -> None:
    assert four.run(count_passes, 15) == [3, 3, 3, 3]  # ten batches, and two that only keep in step
    assert four.run(count_passes, None) == [1, 1, 1, 1]


def differ(where: str) -> None:
    model = Network()
    with torch.no_grad():
        model.head.bias.add_(float(where == "weights" and dist.get_rank() == 2))
        with as_found(model, processes_of(model)):
            pass


def test_models_that_are_not_trained_as_one_are_refused(four: Team) -> None:
    four.run(differ, "nowhere")
    for answer in four.answers(differ, "weights"):
        assert isinstance(answer.error, ValueError)
        text = str(answer.error)
        assert text.startswith("the weights must be equal on all 4 processes to be measured, got norm")
        assert "on rank 2; train with DistributedDataParallel or fully_shard" in text


def test_a_digest_sees_numbers_shapes_types_and_texts() -> None:
    one = torch.arange(6.0).reshape(2, 3)
    others = [one.t(), one.double(), one + 1, one.view(-1), ["a", "b"], {"a": one}, [one, object()]]
    found = [digest(examples) for examples in (one, one.clone(), *others)]
    assert found[0] == found[1] == found[-1] and len(set(found)) == len(others)
    assert digest(["a", "b"]) == digest(("a", "".join("b"))) != digest(["ab"])
