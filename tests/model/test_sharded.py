"""Weights that `fully_shard` splits over processes: norms of the whole, copies of the parts, put back bit for bit."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor

from infopace import layer_groups
from infopace.model import weight_layers
from infopace.model.forward import as_found, layer_outputs
from infopace.model.layers import check_model, check_parameters, holds_all, parameters_of
from infopace.model.processes import processes_of
from infopace.model.sharding import is_sharded
from infopace.model.snapshot import OptimizerState, Weights, norm_of

from ..team import Team

N = 90


def plain() -> nn.Sequential:
    """Its layers have 5 and 3 units, so that four processes get unequal parts, and some get none."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))


def split(layout: str) -> nn.Sequential:
    """The same, its weights split over all four processes, or over two of two pairs ("hybrid")."""
    model = plain()
    shape, names = ((2, 2), ("replicate", "shard")) if layout == "hybrid" else ((4,), ("shard",))
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=names)
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def examples() -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(3)
    inputs = torch.randn(N, 7, generator=draws)
    return inputs, torch.randint(0, 3, (N,), generator=draws)


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    inputs, labels = examples()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    optimizer.step()


def whole(tensors: Any) -> list[Tensor]:
    return [tensor.full_tensor() if is_sharded(tensor) else tensor for tensor in tensors]


def norms(layout: str) -> None:
    whole_model, model = plain(), split(layout)
    assert all(isinstance(weight, DTensor) for weight in model.parameters())
    expected = norm_of(whole_model.parameters())
    assert norm_of(model.parameters()) == pytest.approx(expected, rel=1e-12)
    kept = Weights(parameters_of(model))
    reference = Weights(whole_model.parameters())
    assert kept.unit_norm == reference.unit_norm
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2)
    assert (kept.norm, kept.norm_now) == pytest.approx((expected, 2 * expected), rel=1e-12)
    assert not kept.newly_not_finite
    with torch.no_grad():  # one number that one process has, and in the hybrid layout its double
        last: Any = model[3].bias
        if last.to_local().numel() and last.device_mesh.get_coordinate()[-1] == 0:
            last.to_local()[0] = math.nan
    assert kept.newly_not_finite
    assert math.isfinite(norm_of(model.parameters()))


@pytest.mark.parametrize("layout", ["full", "hybrid"])
def test_norms_and_checks_are_of_the_whole(four: Team, layout: str) -> None:
    four.run(norms, layout)


def put_back(kind: str, layout: str) -> None:
    model = split(layout)
    optimizer = (
        torch.optim.AdamW(model.parameters(), lr=0.1)
        if kind == "AdamW"
        else torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    )
    step(model, optimizer)
    weights, state = Weights(parameters_of(model)), OptimizerState(optimizer)
    before = [tensor.clone() for tensor in whole(model.parameters())]
    moments = copy.deepcopy(optimizer.state_dict()["state"])
    buffers = [buffer.clone() for buffer in model.buffers()]
    ids = [id(weight) for weight in model.parameters()]
    ends = []
    for _ in range(2):
        step(model, optimizer)
        step(model, optimizer)
        ends.append(whole(model.parameters()))
        weights.put_back()
        state.put_back()
        for buffer, value in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(value)
        assert all(map(torch.equal, whole(model.parameters()), before))
        assert ids == [id(weight) for weight in model.parameters()]
        for number, now in optimizer.state_dict()["state"].items():
            for name, value in now.items():
                then = moments[number][name]
                assert type(value) is type(then)
                assert all(map(torch.equal, whole([value]), whole([then])))
    assert all(map(torch.equal, *ends)) and not torch.equal(ends[0][0], before[0])


@pytest.mark.parametrize(("kind", "layout"), [("AdamW", "full"), ("SGD", "full"), ("AdamW", "hybrid")])
def test_weights_and_moments_are_put_back_bit_for_bit(four: Team, kind: str, layout: str) -> None:
    four.run(put_back, kind, layout)


def layers() -> None:
    model = split("full")
    groups = layer_groups(model)
    assert [group["layer"] for group in groups] == list(weight_layers(model)) == ["0", "3"]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    with torch.no_grad():
        model(examples()[0])  # which leaves the outermost weights whole
    assert not all(isinstance(weight, DTensor) for weight in model.parameters())
    check_parameters(optimizer, model)
    assert all(isinstance(weight, DTensor) for weight in model.parameters())
    with torch.no_grad():
        model(examples()[0])
    assert holds_all(optimizer, model)
    with torch.no_grad():
        model(examples()[0])
    assert [len(group["params"]) for group in layer_groups(model)] == [4, 2]


def test_layers_hold_the_parts_that_the_optimizer_holds(four: Team) -> None:
    four.run(layers)


def measured(layout: str, batch_size: int | None, picked: bool) -> dict[str, Tensor]:
    """What a process receives, before and after a step with a measurement within it."""
    model = split(layout)
    assert isinstance(model, FSDPModule)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    received: dict[str, Tensor] = {}

    @torch.no_grad()
    def measure(prefix: str) -> None:
        processes = processes_of(model)
        with as_found(model, processes):
            layer_outputs(
                model,
                examples()[0],
                N,
                {"0": model[0], "1": model[1]} if picked else {},
                batch_size,
                lambda name, values: received.__setitem__(prefix + name, values),
                processes=processes,
            )
        assert all(isinstance(weight, DTensor) for weight in model.parameters())

    measure("before ")
    inputs, labels = examples()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    measure("between ")
    optimizer.step()
    measure("after ")
    return received


@pytest.mark.parametrize(
    ("layout", "batch_size", "picked"),
    [("full", None, True), ("full", 16, True), ("hybrid", 16, False), ("full", 64, False)],
)
def test_outputs_of_split_weights_are_those_of_whole_ones(
    four: Team, layout: str, batch_size: int | None, picked: bool
) -> None:
    received, *others = four.run(measured, layout, batch_size, picked)
    for other in others:
        assert all(torch.equal(other[name], received[name]) for name in received)
    model = plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    inputs, labels = examples()

    def compare(when: str, exactly: bool) -> None:
        expected: dict[str, Tensor] = {}
        hooked = {"0": model[0], "1": model[1]} if picked else {}
        with torch.no_grad():
            layer_outputs(model, inputs, N, hooked, batch_size, expected.__setitem__)
        got = {name.removeprefix(when): received[name] for name in received if name.startswith(when)}
        assert list(got) == list(expected)
        for name, values in expected.items():
            if exactly:
                assert torch.equal(got[name], values)
            else:  # gradients are averaged over processes
                torch.testing.assert_close(got[name], values)

    compare("before ", True)
    nn.functional.cross_entropy(model(inputs), labels).backward()
    compare("between ", True)
    optimizer.step()
    compare("after ", False)


def flat() -> None:
    check_model(FullyShardedDataParallel(plain(), device_id=torch.device("cpu")))


def test_the_older_way_to_split_weights_is_refused(four: Team) -> None:
    for answer in four.answers(flat):
        assert isinstance(answer.error, TypeError)
        assert str(answer.error) == (
            "the model must be split by fully_shard, got one in FullyShardedDataParallel, whose weights have no shapes"
        )


def groups_of() -> tuple[int, int]:
    pair = init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))["b"]
    model = plain()
    fully_shard(model, mesh=pair)
    return processes_of(model).count, dist.get_world_size()


def test_the_processes_are_those_that_share_the_weights(four: Team) -> None:
    assert four.run(groups_of) == [(2, 4)] * 4
