"""Whatever the optimizer: what it remembers is put back, and the rates that are set reach its steps."""

from __future__ import annotations

import collections
import copy
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import prodigyopt
import pytest
import pytorch_optimizer
import schedulefree
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.nn import functional as F

from infopace import Bounds, MutualInformationLR, Probe
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._roll_back import LastEpoch

from .test_roll_back import equal


class Moments(NamedTuple):
    first: Tensor
    steps: int


class Buffer:
    """An object in the state, with a tensor that is replaced and one that is changed in place."""

    def __init__(self, weight: Tensor) -> None:
        self.weight, self.last, self.mean = weight, torch.zeros_like(weight), torch.zeros_like(weight)

    def update(self, gradient: Tensor) -> Tensor:
        self.last = gradient.clone()
        return self.mean.lerp_(gradient, 0.1)


class Hoarder(torch.optim.Optimizer):
    """It remembers in every way there is: queues, objects, named tuples, sets, noise, attributes."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        super().__init__(params, {"lr": lr})
        self.steps, self.own = 0, dict[int, Tensor]()
        self.noise = torch.Generator().manual_seed(1)

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for group in self.param_groups:
            group["seen"] = group.get("seen", 0) + 1
            for number, weight in enumerate(group["params"]):
                if weight.grad is not None:
                    self._move(number, weight, weight.grad, float(group["lr"]))

    @torch.no_grad()
    def _move(self, number: int, weight: Tensor, gradient: Tensor, lr: float) -> None:
        state = self.state[weight]
        if not state:
            state["noise"] = torch.Generator().manual_seed(1)
            state["queue"] = collections.deque(maxlen=2)
            state["counts"] = collections.Counter()
            state["steps"], state["buffer"] = set(), Buffer(weight)
            state["moments"] = Moments(torch.zeros_like(weight), 0)
        state["queue"].append(gradient.clone())
        state["counts"]["all"] += 1
        state["steps"].add(self.steps)
        first, steps = state["moments"]
        state["moments"] = Moments(first * 0.5 + gradient, steps + 1)
        own = self.own.setdefault(number, torch.zeros_like(weight)).add_(gradient)
        noise = torch.rand(weight.shape, generator=state["noise"])
        total = (
            state["buffer"].update(gradient) + state["queue"][0] + state["moments"].first + own + noise / 100
        )
        weight -= lr * total * (1 + len(state["steps"]) + state["counts"]["missing"]) / (1 + self.steps)


def schedule_free(kind: type[Any], params: Iterable[Tensor]) -> Any:
    optimizer = kind(params, lr=0.05)
    optimizer.train()
    return optimizer


OPTIMIZERS: dict[str, Callable[[list[Tensor]], Any]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "SGD fused": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
    "SGD tensor": lambda p: torch.optim.SGD(p, lr=torch.tensor(0.1), momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "Adam tensor": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.05)),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.05),
    "AdamW amsgrad": lambda p: torch.optim.AdamW(p, lr=0.05, amsgrad=True),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=0.05, foreach=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=0.05, fused=True),
    "AdamW fused tensor": lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.05), fused=True),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.05),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.05),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.05),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.05, t0=2),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.3, max_iter=3, history_size=3),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.05),
    "Muon": lambda p: torch.optim.Muon([weight for weight in p if weight.ndim == 2], lr=0.05),
    "Lion": lambda p: pytorch_optimizer.Lion(p, lr=0.01),
    "SOAP": lambda p: pytorch_optimizer.SOAP(p, lr=0.01),
    "AdaShift": lambda p: pytorch_optimizer.AdaShift(p, lr=0.01, keep_num=2),
    "StableSPAM": lambda p: pytorch_optimizer.StableSPAM(p, lr=0.01),
    "ScalableShampoo": lambda p: pytorch_optimizer.ScalableShampoo(p, lr=0.01),
    "Magma": lambda p: pytorch_optimizer.Magma(p, lr=0.01),
    "Lookahead": lambda p: pytorch_optimizer.Lookahead(torch.optim.Adam(p, lr=0.05), k=3),
    "Prodigy": lambda p: prodigyopt.Prodigy(p, lr=1.0),
    "AdamW schedule-free": lambda p: schedule_free(schedulefree.AdamWScheduleFree, p),
    "SGD schedule-free": lambda p: schedule_free(schedulefree.SGDScheduleFree, p),
    "Hoarder": lambda p: Hoarder(p, lr=0.01),
}
# Rprop takes its first steps from the learning rate, and the later ones from signs alone.
ONLY_AT_FIRST = {"Rprop"}


class Net(nn.Module):
    """With a weight of no dimensions, and one that gets no gradient."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = nn.Linear(6, 8), nn.Linear(8, 3)
        self.scale, self.unused = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.other(torch.tanh(self.one(x))) * self.scale


def run(name: str, dtype: torch.dtype = torch.float32) -> tuple[Net, Any]:
    model = Net().to(dtype)
    return model, OPTIMIZERS[name](list(model.parameters()))


def train(model: Net, optimizer: Any, numbers: Iterable[int], factor: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(40, 6, generator=generator), torch.arange(40) % 3
    for number in numbers:
        torch.manual_seed(number)  # some draw numbers of their own
        x, y = (factor * inputs).roll(number, 0).to(model.scale.dtype), labels.roll(number, 0)

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x).float(), y)
            loss.backward()
            return loss

        closure()
        optimizer.step(closure) if isinstance(optimizer, torch.optim.LBFGS) else optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_goes_on_as_if_the_epoch_that_is_rolled_back_had_not_been(
    name: str, dtype: torch.dtype
) -> None:
    if dtype == torch.bfloat16 and name in ("SOAP", "ScalableShampoo", "LBFGS", "Prodigy"):
        dtype = torch.float64  # their products take no bfloat16, or do not move there
    model, optimizer = run(name, dtype)
    reference, its_optimizer = run(name, dtype)
    for start, stop in ((0, 3), (3, 5), (5, 7)):  # from nothing, and twice from what is remembered
        last = LastEpoch(model, optimizer)
        weights = copy.deepcopy(model.state_dict())
        train(model, optimizer, range(50, 53), factor=20.0)
        assert not equal(dict(model.state_dict()), dict(weights))
        last.put_back()
        assert equal(dict(model.state_dict()), dict(weights))
        train(model, optimizer, range(start, stop))
        train(reference, its_optimizer, range(start, stop))
        assert equal(dict(model.state_dict()), dict(reference.state_dict()))
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_rates_that_are_set_reach_the_next_step(name: str) -> None:
    (model, optimizer), (other, its_optimizer) = run(name), run(name)
    groups = ParameterGroups(optimizer, one_scale=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    train(model, optimizer, range(3))
    train(other, its_optimizer, range(3))
    assert equal(dict(model.state_dict()), dict(other.state_dict()))
    groups.set_rates([float(rate) / 4 for rate in rates])
    assert all(
        a["lr"] is b for a, b in zip(optimizer.param_groups, rates, strict=True) if isinstance(b, Tensor)
    )
    train(model, optimizer, [3, 4])  # ASGD reads the rate one step ahead
    train(other, its_optimizer, [3, 4])
    assert equal(dict(model.state_dict()), dict(other.state_dict())) == (name in ONLY_AT_FIRST)


@pytest.mark.parametrize("name", ["AdamW", "AdamW fused", "SGD tensor", "LBFGS", "Muon", "Hoarder"])
def test_what_still_exists_keeps_its_identity(name: str) -> None:
    """Compiled code and CUDA graphs hold the tensors of the state, not the state."""
    model, optimizer = run(name)
    train(model, optimizer, range(2))
    last = LastEpoch(model, optimizer)

    def held() -> dict[int, Any]:
        return {
            id(part): part
            for of in optimizer.state.values()
            for part in of.values()
            if isinstance(part, Tensor)
        }

    before, values = held(), copy.deepcopy(list(held().values()))
    train(model, optimizer, range(50, 52), factor=20.0)
    still = {place: part for place, part in held().items() if place in before}
    assert still or name == "Hoarder"
    last.put_back()
    after = held()
    assert all(after.get(place) is part for place, part in still.items())
    assert equal(list(after.values()), values)


def scheduled(model: Net, optimizer: Any) -> MutualInformationLR:
    inputs = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    return MutualInformationLR(optimizer, model, Probe(inputs, (inputs[:, 0] > 0).long()), Bounds(1e-3, 0.1))


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_a_grad_scaler_skips_do_not_count(fused: bool) -> None:
    """A fused optimizer is called all the same, and skips by itself."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler, scheduler = torch.amp.GradScaler("cpu", init_scale=4.0), scheduled(model, optimizer)
    weights, inputs = copy.deepcopy(model.state_dict()), torch.randn(20, 6)
    for number, factor in enumerate([math.inf, math.inf, 1.0, math.inf, 1.0]):
        if number == 2:
            assert equal(dict(model.state_dict()), dict(weights)) and not scheduler.can_roll_back
        optimizer.zero_grad()
        scaler.scale(model(inputs).square().mean() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scheduler._steps.taken == 2
    scheduler.roll_back("as a test")
    assert equal(dict(model.state_dict()), dict(weights))
    assert not hasattr(optimizer, "found_inf")
    # A fused optimizer makes its state even in a step that it skips.
    assert all(float(of["step"]) == 0 for of in optimizer.state.values())


def test_several_backward_passes_are_one_step() -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scheduler, inputs = scheduled(model, optimizer), torch.randn(20, 6)
    for number in range(6):
        model(inputs).square().mean().backward()
        if number % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
    assert scheduler._steps.taken == 2


@pytest.mark.parametrize("another_freezes", [False, True])
def test_weights_that_thaw_within_an_epoch_are_put_back(another_freezes: bool) -> None:
    model = Net()
    model.one.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler, weights = scheduled(model, optimizer), copy.deepcopy(model.state_dict())
    train(model, optimizer, range(2))
    assert torch.equal(model.one.weight, weights["one.weight"])
    model.one.requires_grad_(True)
    model.other.requires_grad_(not another_freezes)
    train(model, optimizer, range(2))
    assert not torch.equal(model.one.weight, weights["one.weight"])
    scheduler.roll_back("as a test")
    assert equal(dict(model.state_dict()), dict(weights))


def test_an_optimizer_without_a_rate_is_refused() -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = None
    with pytest.raises(ValueError) as error:
        scheduled(model, optimizer)
    assert str(error.value) == (
        "the optimizer must have a learning rate as lr in every parameter group, got None in parameter group 0"
    )


@pytest.mark.filterwarnings("ignore")  # torch's own, of its compiler
@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_step_is_counted_put_back_and_takes_the_rate_without_being_compiled_again(
    backend: str,
) -> None:
    torch.compiler.reset()
    model = Net()
    compiled: Any = torch.compile(model, backend=backend)
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.05))
    scheduler = scheduled(model, optimizer)
    step = torch.compile(optimizer.step, backend=backend)
    inputs, labels = torch.randn(40, 6), torch.arange(40) % 3

    def epoch() -> None:
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(compiled(inputs), labels).backward()
            step()

    epoch()
    assert scheduler._steps.taken == 3
    scheduler.observe()
    scheduler.step()
    epoch()
    scheduler.observe()
    graphs = counters["stats"]["unique_graphs"]
    weights = copy.deepcopy(model.state_dict())
    epoch()
    scheduler.roll_back("as a test")
    assert equal(dict(model.state_dict()), dict(weights))
    optimizer.param_groups[0]["lr"].fill_(0.0)
    epoch()
    assert equal(dict(model.state_dict()), dict(weights))
    assert scheduler._steps.taken == 3 and counters["stats"]["unique_graphs"] == graphs
    torch.compiler.reset()
