"""One measurement by several processes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from infopace import Measurement, Probe
from infopace.estimators import OutOfRangeError
from infopace.model.processes import ProcessError

from ..team import Team

N = 300


def examples() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(N, 8, generator=torch.Generator().manual_seed(0))
    return inputs, (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()


def network(kind: str) -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    if kind == "FSDP":
        fully_shard(model)
    if kind == "DDP":
        wrapped = nn.parallel.DistributedDataParallel(model)
        wrapped(torch.randn(64, 8, generator=torch.Generator().manual_seed(dist.get_rank())))
        return wrapped
    return model


def facts(found: Measurement) -> list[Any]:
    layers = found.layers.values()
    return [(layer.name, layer.estimate.nats, layer.estimate.std_error, layer.width) for layer in layers]


def measured(kind: str, options: dict[str, Any]) -> tuple[list[Any], float]:
    found = Probe(*examples()).measure(network(kind), together=True, **options)
    return facts(found), found.seconds


@pytest.mark.parametrize(
    "options",
    [{}, {"layers": "all"}, {"layers": "all", "batch_size": 40}],
    ids=["output", "layers", "batches"],
)
@pytest.mark.parametrize("kind", ["plain", "FSDP"])
def test_all_find_what_one_process_finds(four: Team, kind: str, options: dict[str, Any]) -> None:
    found = four.run(measured, kind, options)
    assert found[0][0] == facts(Probe(*examples()).measure(network("plain"), **options))
    assert found[1:] == found[:1] * 3


def own_or_first() -> tuple[list[Any], list[Any]]:
    """Each process's own measurement, and that of all, of a model whose buffers differ between processes."""
    model, probe = network("DDP"), Probe(*examples())
    return facts(probe.measure(model)), facts(probe.measure(model, together=True))


def test_buffers_are_those_of_rank_0(four: Team) -> None:
    found = four.run(own_or_first)
    assert len({str(own) for own, _ in found}) == 4
    assert {str(shared) for _, shared in found} == {str(found[0][0])}


def of_one() -> list[Any] | None:
    """A measurement by one process alone, which the others know nothing of."""
    model, probe = network("plain"), Probe(*examples())
    return facts(probe.measure(model)) if dist.get_rank() == 1 else None


def test_a_process_may_measure_alone(four: Team) -> None:
    alone = facts(Probe(*examples()).measure(network("plain")))
    assert four.run(of_one) == [None, alone, None, None]


def fail(how: str) -> None:
    model, (inputs, labels) = network("plain"), examples()

    def spoil(module: nn.Module, args: Any, result: Any) -> Tensor:
        return result[:2] if how == "pass" else torch.full_like(result, torch.nan)

    if how == "nan" or dist.get_rank() == 1:
        model.register_forward_hook(spoil)
    Probe(inputs, labels).measure(model, together=True, batch_size=100)


def test_an_output_that_is_not_finite_is_so_for_all(four: Team) -> None:
    for answer in four.answers(fail, "nan"):
        assert isinstance(answer.error, OutOfRangeError)


def test_a_pass_that_fails_on_one_process_fails_on_all(four: Team) -> None:
    for rank, answer in enumerate(four.answers(fail, "pass")):
        error = "the output must have one row per example, got shape (2, 4) for 100 examples"
        if rank == 1:
            assert isinstance(answer.error, ValueError) and str(answer.error) == error
        else:
            assert isinstance(answer.error, ProcessError)
            where = "the forward pass of the probe failed on rank 1 of 4 processes"
            assert str(answer.error) == f"{where}: ValueError: {error}"
