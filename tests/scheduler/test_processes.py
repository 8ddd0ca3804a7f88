"""One decision on all processes: of DistributedDataParallel and fully_shard, with roll-backs, on any number of them."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe, Vasudevan2020
from infopace.model import ProcessError
from infopace.model.sharding import whole
from infopace.policies import Decision, Observed, Policy
from infopace.probe import Measuring

from ..team import Team, team

BOUNDS = Bounds(1e-3, 0.2)
EPOCHS = 6


def data() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    return inputs, (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()


class Run:
    """A network with batch norm, trained by the processes of a group, each on its own examples."""

    def __init__(self, kind: str, group: Any = None, **options: Any) -> None:
        torch.manual_seed(1)
        self.plain = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
        self.model: nn.Module = self.plain
        if kind == "DDP":
            self.model = nn.parallel.DistributedDataParallel(self.plain, process_group=group)
        if kind == "FSDP":
            fully_shard(self.plain[0])
            fully_shard(self.plain)
        self.rank, self.count = dist.get_rank(group), dist.get_world_size(group)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        options = {"bounds": BOUNDS, "policy": Vasudevan2020(EPOCHS), **options}
        probe = options.pop("probe", None) or Probe.sample(data(), 200)
        self.scheduler = MutualInformationLR(self.optimizer, self.model, probe, **options)
        self.rates = [self.optimizer.param_groups[0]["lr"]]

    def step(self, batch: Tensor, scale: float = 1.0) -> None:
        inputs, labels = data()
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(inputs[batch]), labels[batch])
        (loss * scale).backward()
        self.optimizer.step()

    def train(self, epoch: int, scale: float = 1.0) -> None:
        order = torch.randperm(600, generator=torch.Generator().manual_seed(epoch))[self.rank :: self.count]
        for batch in order[: 600 // self.count].split(50):
            self.step(batch, scale)

    def end(self) -> None:
        self.scheduler.observe()
        self.scheduler.step()
        self.rates.append(self.optimizer.param_groups[0]["lr"])

    def facts(self) -> dict[str, Any]:
        weights = [weight.detach().clone() for weight in map(whole, self.plain.parameters())]
        return {
            "rates": self.rates,
            "history": self.scheduler.history,
            "rolled_back": self.scheduler.rolled_back,
            "explain": self.scheduler.explain(),
            "weights": weights,
        }


def same(found: list[dict[str, Any]]) -> bool:
    first = found[0]
    return all(
        {**one, "weights": None} == {**first, "weights": None}
        and all(map(torch.equal, one["weights"], first["weights"]))
        for one in found
    )


def trained(kind: str, policy: Policy, ruined: int | None) -> dict[str, Any]:
    """All epochs; one of them, if wanted, with gradients that ruin the network."""
    run = Run(kind, policy=policy)
    for epoch in range(EPOCHS):
        run.train(epoch, 1e30 if epoch == ruined else 1.0)
        run.end()
    return run.facts()


@pytest.mark.parametrize("kind", ["DDP", "FSDP"])
@pytest.mark.parametrize("policy", [Vasudevan2020(EPOCHS), HoldAndDecay(EPOCHS)], ids=["paper's", "default"])
def test_all_processes_train_at_the_same_rates(four: Team, kind: str, policy: Policy) -> None:
    found = four.run(trained, kind, policy, None)
    assert same(found) and found[0]["rolled_back"] == []
    assert found[0]["history"]["output"][-1] > 1.0 and len(set(found[0]["rates"])) > 1


@pytest.mark.parametrize("kind", ["DDP", "FSDP"])
def test_all_processes_roll_back_together(four: Team, kind: str) -> None:
    found = four.run(trained, kind, HoldAndDecay(EPOCHS), 2)
    assert same(found) and found[0]["rolled_back"] == [3]
    assert "rolled back" in found[0]["explain"] and found[0]["history"]["output"][-1] > 0.5


def searched(kind: str) -> dict[str, Any]:
    """A run that finds its learning rate, in steps of all processes."""
    run = Run(kind, bounds=None, policy=HoldAndDecay(steps=180), every=10)
    run.rates.clear()
    run.optimizer.register_step_pre_hook(lambda *_: run.rates.append(run.optimizer.param_groups[0]["lr"]))
    for epoch in range(60):
        run.train(epoch)
    assert not run.scheduler.finding
    return run.facts()


@pytest.mark.parametrize("kind", ["DDP", "FSDP"])
def test_all_processes_search_together(four: Team, kind: str) -> None:
    found = four.run(searched, kind)
    assert same(found)
    assert "found lr" in found[0]["explain"] and found[0]["history"]["output"][-1] > 0.8


def one_asks() -> dict[str, Any]:
    """One process knows that the epoch is lost, the others do not."""
    run = Run("DDP")
    run.train(0)
    run.end()
    before = [weight.detach().clone() for weight in run.plain.parameters()]
    run.train(1)
    if run.rank == 2:
        run.scheduler.roll_back("the loss is nan")
        run.scheduler.step()
        run.rates.append(run.optimizer.param_groups[0]["lr"])
    else:
        run.end()
    assert all(map(torch.equal, before, run.plain.parameters()))
    return run.facts()


def test_a_roll_back_that_one_process_asks_for_is_one_of_all(four: Team) -> None:
    found = four.run(one_asks)
    assert same(found) and found[0]["rolled_back"] == [2]
    assert "the loss is nan" in found[0]["explain"]


def by_steps(every: int | str) -> tuple[dict[str, Any], int | None]:
    run = Run("DDP", policy=HoldAndDecay(), every=every)
    for epoch in range(8):
        run.train(epoch)
    return run.facts(), run.scheduler.every


@pytest.mark.parametrize("every", [5, "auto"])
def test_measurements_by_steps_come_at_the_same_steps(four: Team, every: int | str) -> None:
    found = four.run(by_steps, every)
    assert same([facts for facts, _ in found])
    assert len({chosen for _, chosen in found}) == 1 and found[0][1] is not None


def state_of_two() -> list[Any]:
    """The state of a run by two processes after half, as a checkpoint of the first has it."""
    pair, sent = dist.new_group([0, 1]), [None]
    if dist.get_rank() < 2:
        run = Run("DDP", pair)
        for epoch in range(3):
            run.train(epoch)
            run.end()
        sent = [[run.plain.state_dict(), run.optimizer.state_dict(), run.scheduler.state_dict()]]
    dist.broadcast_object_list(sent)
    assert sent[0] is not None
    return sent[0]


def resumed(count: int, ruined: bool) -> dict[str, Any] | None:
    """What becomes of it on another number of processes, which all train on the same examples from here on."""
    state, group = state_of_two(), dist.new_group(list(range(count)))
    if dist.get_rank() >= count:
        return None
    run = Run("DDP", group)
    for part, loaded in zip((run.plain, run.optimizer, run.scheduler), state, strict=True):
        part.load_state_dict(loaded)
    for epoch in range(3):
        for batch in torch.randperm(600, generator=torch.Generator().manual_seed(epoch)).split(100):
            run.step(batch, 1e30 if ruined and epoch == 1 else 1.0)
        run.end()
    return run.facts()


@pytest.mark.parametrize("ruined", [False, True])
def test_a_run_saved_on_two_processes_goes_on_alike_on_one_and_on_four(four: Team, ruined: bool) -> None:
    found = [facts for count in (1, 2, 4) for facts in four.run(resumed, count, ruined) if facts is not None]
    assert len(found) == 7 and same(found)
    assert found[0]["rolled_back"] == [5] * ruined and len(set(found[0]["rates"])) > 2


class Impure(Policy):
    """Decides by a number that each process draws for itself."""

    def decide(self, observed: Observed) -> Decision:
        return Decision(0.1 + dist.get_rank() / 100 + len(observed.history) / 1000, "hold", "drawn")


def test_the_decision_is_that_of_the_first_process(four: Team) -> None:
    found = four.run(trained, "DDP", Impure(), None)
    assert same(found)
    assert found[0]["rates"] == pytest.approx([0.1 + (epoch + 1) / 1000 for epoch in range(EPOCHS + 1)])


def unlike(what: str) -> None:
    rank = dist.get_rank()
    inputs, labels = data()
    if what == "probe":
        inputs = inputs + (rank == 3)
    reference = 1.0 + (rank == 1) if what == "reference" else 1.2
    high = 0.2 if what == "bounds" and rank == 2 else 0.3
    run = Run(
        "DDP",
        probe=Probe(inputs[:200], labels[:200]),
        bounds=Bounds(1e-3, high),
        measuring=Measuring(reference=reference),
    )
    run.train(0)
    for group in run.optimizer.param_groups:
        group["lr"] *= 0.5 if what == "rates" and rank == 2 else 1.0
    run.step(torch.arange(50))
    run.end()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("probe", "the probe must be equal on all 4 processes, got '"),
        (
            "reference",
            "the reference must be equal on all 4 processes, got '1 nats' on rank 0 and '2 nats' on rank 1",
        ),
        ("bounds", "the bounds must be equal on all 4 processes, got 'Bounds("),
        ("rates", "the learning rates must be equal on all 4 processes, got Used("),
    ],
)
def test_processes_that_are_not_alike_are_refused(four: Team, what: str, message: str) -> None:
    for answer in four.answers(unlike, what):
        assert isinstance(answer.error, ValueError)
        assert str(answer.error).startswith(message)


def die(after: int) -> None:
    run = Run("DDP")
    for epoch in range(EPOCHS):
        run.train(epoch)
        if epoch == after and run.rank == 1:
            os._exit(1)
        run.end()


def test_a_process_that_ends_ends_the_run_with_a_message() -> None:
    with team(2) as two:
        left, ended = two.answers(die, 1)
    assert isinstance(ended.error, EOFError) and isinstance(left.error, ProcessError)
    assert "if another of the 2 processes has ended" in str(left.error)
