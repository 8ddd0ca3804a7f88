"""What an epoch is put back to: whatever the optimizer remembers, however the run got there."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from infopace import Bounds, MutualInformationLR, Probe

BOUNDS = Bounds(1e-3, 0.1)


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 8, generator=generator)
    return inputs, (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()


def net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def scheduled(model: nn.Module, optimizer: torch.optim.Optimizer, **options: Any) -> MutualInformationLR:
    return MutualInformationLR(optimizer, model, Probe.sample(data(), 200), bounds=BOUNDS, **options)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, spoiled: bool = False) -> None:
    inputs, labels = data()
    if spoiled:
        inputs[0, 0] = torch.nan
    for x, y in zip(inputs.split(50), labels.split(50), strict=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def contents(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Any]:
    state = optimizer.state_dict()
    groups = [{name: value for name, value in g.items() if name != "lr"} for g in state["param_groups"]]
    return copy.deepcopy([dict(model.state_dict()), state["state"], groups])


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


class Remembering(torch.optim.SGD):
    """Its state holds a list, its groups a number that moves with every step."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["steps"] = group.get("steps", 0) + 1
            for weight in group["params"]:
                self.state[weight].setdefault("norms", []).append(weight.detach().norm())
        return super().step(closure)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "amsgrad": lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True, foreach=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "nested": lambda p: Remembering(p, lr=0.1),
    "tensor rate": lambda p: torch.optim.SGD(p, lr=torch.tensor(0.1), momentum=0.9),
}


@pytest.mark.parametrize("spoiled", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_everything_is_put_back(name: str, spoiled: bool) -> None:
    """Batch norm's statistics too, though they have seen the first batch before its step is taken."""
    model = net()
    optimizer = OPTIMIZERS[name](model.parameters())
    scheduler = scheduled(model, optimizer)
    train(model, optimizer)
    scheduler.observe()
    scheduler.step()
    before = contents(model, optimizer)
    train(model, optimizer, spoiled=spoiled)
    if spoiled:
        scheduler.observe()
    else:
        scheduler.roll_back("as a test")
    assert scheduler.rolled_back == [2]
    assert equal(contents(model, optimizer), before)
    scheduler.step()
    train(model, optimizer)
    scheduler.observe()
    assert scheduler.rolled_back == [2]


@pytest.mark.parametrize("order", [("model", "optimizer", "scheduler"), ("scheduler", "optimizer", "model")])
def test_a_state_that_is_loaded_is_where_the_next_epoch_begins(order: tuple[str, ...]) -> None:
    model = net()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduled(model, optimizer)}
    train(model, optimizer)
    parts["scheduler"].observe()
    states = copy.deepcopy({name: part.state_dict() for name, part in parts.items()})
    weights = copy.deepcopy(model.state_dict())
    train(model, optimizer)  # an epoch that is given up for the checkpoint
    for name in order:
        parts[name].load_state_dict(copy.deepcopy(states[name]))
    assert not parts["scheduler"].can_roll_back
    train(model, optimizer)
    parts["scheduler"].roll_back("as a test")
    found = model.state_dict()
    assert all(torch.equal(found[name], weights[name]) for name in weights if "weight" in name)


def test_an_output_that_is_not_finite_is_rolled_back_though_all_weights_are() -> None:
    model = net()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    scheduler = scheduled(model, optimizer)
    train(model, optimizer)
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_var is not None
    norm.running_var.fill_(torch.nan)
    scheduler.observe()
    assert scheduler.rolled_back == [1]
    assert bool(torch.isfinite(norm.running_var).all())


def test_frozen_weights_of_whole_numbers_are_no_matter() -> None:
    model = net()
    model.register_parameter("codes", nn.Parameter(torch.zeros(3, dtype=torch.uint8), requires_grad=False))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    scheduler = scheduled(model, optimizer)
    train(model, optimizer)
    scheduler.observe()
    assert scheduler.rolled_back == []


def test_where_another_optimizer_holds_the_rest_nothing_is_rolled_back() -> None:
    model = net()
    one, other = (torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[3]))
    scheduler = scheduled(model, one)
    train(model, one)
    assert not scheduler.can_roll_back
    assert scheduled(model, other, roll_back=False).rolled_back == []


class Wrapper(torch.optim.Optimizer):
    """An optimizer in name only, as frameworks have them."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def __getattr__(self, name: str) -> Any:
        if name in ("optimizer", "_optimizer_step_pre_hooks"):
            raise AttributeError(name)
        return getattr(self.optimizer, name)


def test_a_wrapped_optimizer_is_followed_inside() -> None:
    model = net()
    inner = OPTIMIZERS["sgd"](model.parameters())
    wrapped = Wrapper(inner)
    wrapped.param_groups, wrapped.state = inner.param_groups, inner.state
    scheduler = scheduled(model, wrapped)
    train(model, inner)
    assert scheduler.can_roll_back
    wrapped.optimizer = None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(
        ValueError, match=r"^steps of Wrapper cannot be followed; give roll_back=False to do without$"
    ):
        scheduled(model, wrapped)
    scheduled(model, wrapped, roll_back=False)


def test_optimizers_are_saved_as_ever_and_a_scheduler_that_is_gone_leaves_no_hook() -> None:
    model = net()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    scheduler = scheduled(model, optimizer)
    torch.save(optimizer, io.BytesIO())
    assert len(optimizer._optimizer_step_pre_hooks) == 2
    del scheduler
    gc.collect()
    assert len(optimizer._optimizer_step_pre_hooks) == 0


class Average:
    """A moving average of weights that is no module, as packages have it; it goes on with every step."""

    def __init__(self, model: nn.Module) -> None:
        self.values = [weight.detach().clone() for weight in model.parameters()]
        self.steps = 0

    def update(self, model: nn.Module) -> None:
        self.steps += 1
        for value, weight in zip(self.values, model.parameters(), strict=True):
            value.lerp_(weight.detach(), 0.1)

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values, self.steps = state["values"], state["steps"]


def everything(*parts: Any) -> list[Any]:
    return copy.deepcopy([part if isinstance(part, Tensor) else part.state_dict() for part in parts])


@pytest.mark.filterwarnings(r"ignore:observe\(\) was called 4 times and step\(\) never")
def test_averages_kept_beside_are_put_back_where_they_are_named() -> None:
    model = net()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    average, module = Average(model), AveragedModel(model, use_buffers=True)
    first, tensor = next(model.parameters()), torch.zeros(16, 8)
    scheduler = scheduled(model, optimizer, also=[average, module, tensor])

    def epoch(*, spoiled: bool = False) -> None:
        for _ in range(2):
            train(model, optimizer, spoiled=spoiled)
            average.update(model)
            module.update_parameters(model)
            tensor.add_(first.detach())
        scheduler.observe()

    epoch()
    before = everything(model, average, module, tensor)
    for gone in ([2], [2, 3]):  # what was put back is put back again
        epoch(spoiled=True)
        assert scheduler.rolled_back == gone
        assert equal(everything(model, average, module, tensor), before)
    epoch()
    assert scheduler.rolled_back == [2, 3] and average.steps == 4 and bool(tensor.isfinite().all())
    with pytest.raises(TypeError) as error:
        scheduled(model, optimizer, also=[average, "average"])
    assert str(error.value) == (
        "also must list tensors, modules or objects with state_dict and load_state_dict, got str in it"
    )


def copied(how: str, parts: Any) -> Any:
    return copy.deepcopy(parts) if how == "deepcopy" else pickle.loads(pickle.dumps(parts))


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_rolls_back_by_itself_and_leaves_the_original_alone(how: str, within: bool) -> None:
    """Between two epochs, or within one: then the copy goes back to where that one began."""
    model = net()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    average = AveragedModel(model)
    scheduler = scheduled(model, optimizer, also=[average])
    train(model, optimizer)
    scheduler.observe()
    scheduler.step()
    before = contents(model, optimizer)
    if within:
        train(model, optimizer)
    parts = (scheduler, model, optimizer, average)
    another, its_model, its_optimizer, its_average = copied(how, parts)
    assert another.can_roll_back == within
    here = contents(model, optimizer)
    train(its_model, its_optimizer, spoiled=True)
    its_average.update_parameters(its_model)
    another.observe()
    assert another.rolled_back == [2] and scheduler.rolled_back == []
    assert equal(contents(its_model, its_optimizer), before)
    assert all(bool(weight.isfinite().all()) for weight in its_average.parameters())
    assert equal(contents(model, optimizer), here) and scheduler.can_roll_back == within
    # And the other way round.
    there = contents(its_model, its_optimizer)
    train(model, optimizer, spoiled=True)
    scheduler.observe()
    assert scheduler.rolled_back == [2] and equal(contents(model, optimizer), before)
    assert equal(contents(its_model, its_optimizer), there) and not another.can_roll_back
    # Both go on alike.
    for one_scheduler, one, steps in ((scheduler, model, optimizer), (another, its_model, its_optimizer)):
        one_scheduler.step()
        train(one, steps)
        one_scheduler.observe()
    assert equal(contents(model, optimizer), contents(its_model, its_optimizer))
    assert another.state_dict() == scheduler.state_dict()


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_model_that_holds_its_scheduler_can_be_copied(how: str) -> None:
    model = Holding()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    model.scheduler = scheduled(model, optimizer)
    twin = copied(how, model)
    before = contents(twin, twin.scheduler.optimizer)
    train(twin, twin.scheduler.optimizer, spoiled=True)
    twin.scheduler.observe()
    assert twin.scheduler.rolled_back == [1] and not model.scheduler.can_roll_back
    assert equal(contents(twin, twin.scheduler.optimizer), before)


class Holding(nn.Module):
    """As a framework's module does."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = net()
        self.scheduler: Any = None

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_steps_of_an_optimizer_that_is_copied_with_its_hooks_are_another_s() -> None:
    model = net()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    scheduler = scheduled(model, optimizer)
    twin_model = net()
    twin = OPTIMIZERS["sgd"](twin_model.parameters())
    twin._optimizer_step_pre_hooks.update(optimizer._optimizer_step_pre_hooks)
    train(twin_model, twin)
    assert not scheduler.can_roll_back
