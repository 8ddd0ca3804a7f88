"""A decay of momentum: the same effective rate as a decay of the rate, in all that a scheduler does."""

from __future__ import annotations

import copy
import io
from typing import Any

import jaxtyping
import pytest
import torch
from torch import nn
from torch.optim import SGD

from infopace import Bounds, Decision, HoldAndDecay, MutualInformationLR, Policy, Probe
from infopace.diagnostics import effective_rates
from infopace.policies import Observed, simulate
from infopace.scheduler import Pacer
from infopace.scheduler._momentum import split

from ..small_run import data, same

BOUNDS = Bounds(1e-4, 0.1)
EPOCHS = 6
MOMENTUM = HoldAndDecay(EPOCHS, decays="momentum")


class Trained:
    """A run of two groups, one of them at half of the rate and with less momentum."""

    def __init__(self, policy: Policy = MOMENTUM, **options: Any) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        groups = [
            {"params": self.model[0].parameters(), "lr": 0.1, "nesterov": True},
            {"params": self.model[2].parameters(), "lr": 0.05, "momentum": 0.5},
        ]
        self.optimizer = SGD(groups, 0.1, momentum=0.9)
        self.scheduler = self.paced(policy, **options)

    def paced(self, policy: Policy = MOMENTUM, **options: Any) -> MutualInformationLR:
        return MutualInformationLR(
            self.optimizer, self.model, Probe.sample(data(), 100), BOUNDS, policy, **options
        )

    def step(self) -> None:
        inputs, labels = data()
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(inputs), labels).backward()
        self.optimizer.step()

    def epoch(self) -> list[float]:
        """The effective rates with which it was trained."""
        found = effective_rates(self.optimizer)
        self.step()
        self.step()
        self.scheduler.observe()
        self.scheduler.step()
        return found

    def momenta(self) -> list[float]:
        return [group["momentum"] for group in self.optimizer.param_groups]


@pytest.mark.parametrize("own", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("rate", [0.1, 0.0999, 0.05, 0.0101, 0.01, 0.005, 1e-9, 0.0])
def test_the_effective_rate_is_the_one_that_was_decided(own: float, rate: float) -> None:
    lr, momentum = split(rate, 0.1, own)
    assert momentum is not None and 0 <= momentum <= own
    assert lr <= 0.1 * (1 + 1e-12)
    assert lr / (1 - momentum) == pytest.approx(rate / (1 - own))
    assert momentum == 0 or lr == 0.1
    assert split(rate, None, own) == (rate, own) and split(rate, 0.1, None) == (rate, None)


def test_the_decisions_are_those_of_a_decay_of_the_rate() -> None:
    trace = [0.1, 0.5, 0.9, 1.1, 1.2, 1.25]
    ones, others = (simulate(rule, trace, bounds=BOUNDS) for rule in (HoldAndDecay(EPOCHS), MOMENTUM))
    for one, other in zip(ones, others, strict=True):
        assert (one.lr, one.phase, one.change, one.back) == (other.lr, other.phase, other.change, other.back)
        assert one.held is None and other.held == (0.1 if other.phase == "decay" else None)
    assert others[-1].reason.startswith("decaying by momentum since epoch 4, to end with epoch 6")


@pytest.mark.parametrize("steps", [False, True])
def test_effective_rates_follow_the_curve_of_the_rate(steps: bool) -> None:
    options: dict[str, Any] = {"every": 4, "warmup": 0} if steps else {}
    plan = {"steps": 160} if steps else {"epochs": EPOCHS}
    runs = [Trained(HoldAndDecay(**plan, decays=decays), **options) for decays in ("rate", "momentum")]  # pyright: ignore[reportArgumentType]
    found: list[list[list[float]]] = [[], []]
    for run, rates in zip(runs, found, strict=True):
        for _ in range(160 if steps else EPOCHS):
            if not steps:
                rates.append(run.epoch())
                continue
            run.step()
            rates.append(effective_rates(run.optimizer))
    assert torch.allclose(torch.tensor(found[0]), torch.tensor(found[1]), rtol=1e-5)
    last = runs[1].scheduler.decisions[-2]
    assert [decision.phase for decision in last] == ["decay", "decay"]
    assert found[1][-1][0] < 0.5 * found[1][0][0]


def test_the_rate_stays_until_momentum_is_0() -> None:
    run, seen = Trained(HoldAndDecay(40, decays="momentum")), []
    for _ in range(40):
        seen.append([(group["lr"], group["momentum"]) for group in run.optimizer.param_groups])
        run.epoch()
    first, second = zip(*seen, strict=True)
    assert first[:20] == ((0.1, 0.9),) * 20 and second[:20] == ((0.05, 0.5),) * 20
    for pairs, own, lr in ((first, 0.9, 0.1), (second, 0.5, 0.05)):
        momenta = [momentum for _, momentum in pairs[20:]]
        assert momenta == sorted(momenta, reverse=True) and momenta[0] < own and momenta[-1] == 0.0
        assert all(rate == lr for rate, momentum in pairs if momentum > 0)
        assert pairs[-1][0] < lr
    # Half of the effective rate takes momentum of 0.5 to 0, and a tenth of it 0.9.
    assert sum(momentum == 0 for _, momentum in second) > 3 * sum(momentum == 0 for _, momentum in first)


@pytest.mark.parametrize("stop", [0, 3, 4, 5])
@pytest.mark.parametrize("optimizer_first", [False, True])
def test_resume_is_bit_exact(stop: int, optimizer_first: bool) -> None:
    whole, first = Trained(), Trained()
    for _ in range(EPOCHS):
        whole.epoch()
    for _ in range(stop):
        first.epoch()
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (first.model, first.optimizer, first.scheduler)], file)
    file.seek(0)
    second = Trained()
    model, optimizer, scheduler = torch.load(file, weights_only=True)
    second.model.load_state_dict(model)
    if optimizer_first:  # before the scheduler is built: momentum is not what the groups were made with
        second.optimizer.load_state_dict(optimizer)
        second.scheduler = second.paced()
        second.scheduler.load_state_dict(scheduler)
    else:
        second.scheduler.load_state_dict(scheduler)
        second.optimizer.load_state_dict(optimizer)
    assert second.momenta() == first.momenta()
    assert [g["lr"] for g in second.optimizer.param_groups] == [g["lr"] for g in first.optimizer.param_groups]
    for _ in range(stop, EPOCHS):
        second.epoch()
    assert same(second.scheduler.state_dict(), whole.scheduler.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(second.model.parameters(), whole.model.parameters(), strict=True)
    )


def test_a_state_with_other_momenta_is_refused() -> None:
    run = Trained()
    state = copy.deepcopy(run.scheduler.state_dict())
    state["momenta"] = {"output": [[0.9]]}
    with pytest.raises(ValueError, match=r"^scheduler state must hold momenta as the own momentum and"):
        run.scheduler.load_state_dict(state)


def test_explain_says_rate_and_momentum() -> None:
    run = Trained()
    for _ in range(EPOCHS):
        run.epoch()
    lines = str(run.scheduler.explain()).splitlines()
    assert lines[0].startswith("epoch 1: lr 0.1: start")
    assert any(
        line.startswith("epoch 4: lr 0.1 and momentum 0.88: decaying by momentum") for line in lines
    ), lines
    assert any(line.startswith("epoch 4: lr 0.05 and momentum 0.4, 0.5 of the layer's") for line in lines), (
        lines
    )
    assert not any("set by other code" in line for line in lines)


def test_a_rolled_back_epoch_of_the_decay_lowers_momentum_again() -> None:
    run = Trained()
    for _ in range(4):
        run.epoch()
    assert run.scheduler.decisions[-1][0].phase == "decay"
    before = effective_rates(run.optimizer)
    weights = [weight.detach().clone() for weight in run.model.parameters()]
    run.step()
    with torch.no_grad():
        run.model[0].weight.fill_(torch.nan)  # pyright: ignore[reportCallIssue]
    run.scheduler.observe()
    run.scheduler.step()
    assert run.scheduler.rolled_back == [5]
    assert all(torch.equal(a, b) for a, b in zip(weights, run.model.parameters(), strict=True))
    decision = run.scheduler.decisions[-1][0]
    assert decision.held == BOUNDS.lr_max / 2
    after = effective_rates(run.optimizer)
    assert after == pytest.approx([decision.lr / 0.1, decision.lr / 2 / 0.5])
    assert after[0] < 0.6 * before[0]


class Returning(Policy):
    """Holds, decays by momentum in epochs 3 and 4, and returns to the network of epoch 1."""

    @property
    def goes_back(self) -> bool:
        return True

    @property
    def lowers_momentum(self) -> bool:
        return True

    def decide(self, observed: Observed) -> Decision:
        if observed.epoch < 3:
            return Decision(0.1, "hold", "held")
        if observed.epoch < 5:
            return Decision(0.05, "decay", "lower", watched=True, held=0.1)
        return Decision(0.02, "decay", "back", back=1, held=0.08)


def test_back_to_the_best_network_with_the_momentum_that_was_decided() -> None:
    run = Trained(Returning())
    run.epoch()
    for _ in range(3):
        run.epoch()
    assert run.momenta() == pytest.approx([0.6, 0.0])
    assert [group["lr"] for group in run.optimizer.param_groups] == pytest.approx([0.08, 0.02])
    assert effective_rates(run.optimizer) == pytest.approx([0.2, 0.02])
    assert "back to epoch" in run.scheduler.decisions[-1][0].reason


def test_another_policy_gives_a_resumed_optimizer_its_own_momentum() -> None:
    run = Trained()
    for _ in range(5):
        run.epoch()
    assert run.momenta()[0] < 0.9
    run.scheduler = run.paced(HoldAndDecay())
    assert run.momenta() == [0.9, 0.5]


def test_what_has_no_momentum_to_lower_is_refused() -> None:
    model, probe = nn.Linear(8, 4), Probe.sample(data(), 100)
    with pytest.raises(TypeError, match=r"^a policy that lowers momentum needs torch's SGD, got AdamW;"):
        MutualInformationLR(torch.optim.AdamW(model.parameters()), model, probe, BOUNDS, MOMENTUM)
    with pytest.raises(
        ValueError, match=r"^a policy that lowers momentum needs SGD with momentum, got momentum = 0$"
    ):
        MutualInformationLR(SGD(model.parameters(), 0.1), model, probe, BOUNDS, MOMENTUM)
    with pytest.raises(TypeError, match=r"^a policy that lowers momentum needs MutualInformationLR"):
        Pacer(model, probe, BOUNDS, MOMENTUM, apply=lambda rates: None)
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match="decays"):
        HoldAndDecay(3, decays="both")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"^held must be a finite number of at least 0, got -1\.0$"):
        Decision(0.1, "hold", "", held=-1.0)
