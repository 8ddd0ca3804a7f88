"""A scheduler that counts optimizer steps: it measures by itself, and sets the rate before each step."""

from __future__ import annotations

import copy
import io
import itertools
import math

import jaxtyping
import pytest
import torch
from torch import nn

from infopace import Bounds, Decision, HoldAndDecay, MutualInformationLR, Policy, Probe, Vasudevan2020
from infopace.policies import Observed
from infopace.probe import Measuring
from infopace.scheduler import RollBack

from ..small_run import BOUNDS, data, same

MEASURING = Measuring(std_error=False)


class Falling(Policy):
    """Half of lr_top in each unit, in a straight line from 3/4 to 1/4 of what was there before."""

    def decide(self, observed: Observed) -> Decision:
        lr = observed.bounds.lr_top / 2 ** (observed.epoch - 1)
        return Decision(lr, "decay", f"unit {observed.epoch}", change=-lr * 2 / 3)


class Loop:
    """A step-based loop that knows of no scheduler."""

    def __init__(
        self,
        policy: Policy,
        every: int | str | None,
        *,
        seed: int = 1,
        held_out: bool = False,
        signal: str = "auto",
    ) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        inputs, labels = data()
        self.scheduler = MutualInformationLR(
            self.optimizer,
            self.model,
            Probe(inputs[:200], labels[:200]),
            BOUNDS,
            policy,
            held_out=Probe(inputs[500:], labels[500:]) if held_out else None,
            every=every,
            measuring=MEASURING.replace(signal=signal),
        )
        self.rates: list[float] = []

    def train(self, first: int, last: int) -> None:
        inputs, labels = data()
        for step in range(first, last):
            batch = torch.randperm(500, generator=torch.Generator().manual_seed(step))[:50]
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(inputs[batch]), labels[batch]).backward()
            handle = self.optimizer.register_step_pre_hook(lambda *_: self.rates.append(self.rate))
            self.optimizer.step()
            handle.remove()

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(("every", "unit"), [(3, 39), (7, 42), (20, 40), (30, 30), (40, 40), (100, 100)])
def test_a_unit_of_time_is_about_forty_steps_whatever_the_cadence(every: int, unit: int) -> None:
    loop = Loop(Falling(), every)
    assert (loop.scheduler.every, loop.scheduler.unit) == (every, unit)
    loop.train(0, 2 * unit + unit // 2)
    assert len(loop.scheduler.history["output"]) == 3
    assert len(loop.scheduler.decisions) == 3


def test_the_value_of_a_unit_is_the_mean_of_its_measurements() -> None:
    loop, found = Loop(Falling(), 10), []
    probe = loop.scheduler._pacer._subject.probe
    for step in range(80):
        loop.train(step, step + 1)
        if (step + 1) % 10 == 0:
            found.append(probe.measure(loop.model, MEASURING).output.estimate.nats)
    assert loop.scheduler.history["output"][1:] == pytest.approx([sum(found[:4]) / 4, sum(found[4:]) / 4])


@pytest.mark.parametrize("signal", ["usable", "neighbours"])
def test_each_decay_is_a_straight_line_from_the_rate_that_was_held(signal: str) -> None:
    loop = Loop(HoldAndDecay(steps=400), 20, signal=signal)
    loop.train(0, 400)
    decided = [taken[0].phase for taken in loop.scheduler.decisions]
    assert decided[:6] == ["hold"] * 5 + ["decay"] and decided[-2:] == ["decay", "finished"]
    # Where information leaps, the rule holds again, and the rest of the steps are for another decay.
    begun = [unit for unit in range(1, 10) if decided[unit - 1 : unit + 1] == ["hold", "decay"]]
    for unit in begun:
        first, held = 40 * unit, loop.rates[40 * unit - 1]
        last = next((40 * u for u in range(unit, 10) if decided[u] == "hold"), 400)
        assert loop.rates[first:last] == pytest.approx(
            [max(held * (400 - step - 0.5) / (400 - first), BOUNDS.lr_min) for step in range(first, last)]
        )
    assert loop.scheduler.finished


def test_the_rate_falls_with_each_step_and_nowhere_jumps() -> None:
    loop = Loop(HoldAndDecay(steps=400), 20, signal="neighbours")
    loop.train(0, 400)
    decided = [taken[0].phase for taken in loop.scheduler.decisions]
    assert decided == ["hold"] * 5 + ["decay"] * 5 + ["finished"]
    decay = loop.rates[200:]
    held = decay[0] * 200 / 199.5
    assert decay == pytest.approx([max(held * (200 - k - 0.5) / 200, BOUNDS.lr_min) for k in range(200)])
    assert loop.scheduler.finished
    assert loop.rates[40:200] == pytest.approx([loop.rates[40]] * 160)


def test_a_planned_number_of_steps_need_be_no_multiple_of_a_unit() -> None:
    loop = Loop(HoldAndDecay(steps=312), 20, signal="neighbours")
    loop.train(0, 312)
    last, held = loop.rates[-1], max(loop.rates)
    assert last < 0.02 * held
    # It is over with the last planned step, within a unit, and stays so.
    assert loop.scheduler.finished
    loop.train(312, 320)
    assert loop.scheduler.finished
    assert "to end with step 312: half of the steps are over" in loop.scheduler.explain()


@pytest.mark.slow
def test_what_is_decided_hardly_depends_on_the_cadence() -> None:
    ours, other = Loop(HoldAndDecay(), 5, held_out=True), Loop(HoldAndDecay(), 20, held_out=True)
    for loop in (ours, other):
        loop.train(0, 360)
    assert len(ours.scheduler.decisions) == len(other.scheduler.decisions) == 10
    ends = [
        next(i for i, taken in enumerate(loop.scheduler.decisions) if taken[0].phase != "hold")
        for loop in (ours, other)
    ]
    assert abs(ends[0] - ends[1]) <= 2


@pytest.mark.parametrize(
    ("policy", "stop"),
    [
        (HoldAndDecay(), 37),
        (HoldAndDecay(), 80),
        (Vasudevan2020(steps=400), 130),
        (HoldAndDecay(steps=300), 175),
    ],
)
def test_resumed_anywhere_it_ends_with_the_same_bits(policy: Policy, stop: int) -> None:
    whole, first, second = (Loop(policy, 10, held_out=policy.reads_held_out) for _ in range(3))
    whole.train(0, 210)
    first.train(0, stop)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (first.model, first.optimizer, first.scheduler)], file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    for part, state in zip((second.model, second.optimizer, second.scheduler), states, strict=True):
        part.load_state_dict(state)
    second.train(stop, 210)
    assert first.rates + second.rates == whole.rates
    assert same(second.scheduler.state_dict(), whole.scheduler.state_dict())
    assert same(second.model.state_dict(), whole.model.state_dict())
    assert second.scheduler.explain() == whole.scheduler.explain()


def test_a_unit_that_ruins_the_weights_is_rolled_back_to_its_beginning() -> None:
    loop = Loop(HoldAndDecay(), 10)
    loop.train(0, 40)
    kept, rate = copy.deepcopy(loop.model.state_dict()), loop.rate
    loop.train(40, 45)
    with torch.no_grad():
        next(loop.model.parameters()).fill_(math.nan)
    loop.train(45, 50)
    assert loop.scheduler.rolled_back == [2]
    assert same(loop.model.state_dict(), kept)
    assert all(parameter.grad is None for parameter in loop.model.parameters())
    assert loop.rate == pytest.approx(rate * RollBack().lowered)
    assert "steps 41 to 50 rolled back" in loop.scheduler.explain()
    loop.train(50, 90)
    assert len(loop.scheduler.history["output"]) == 3


def test_a_copy_measures_by_itself_too() -> None:
    loop = Loop(Falling(), 10)
    loop.train(0, 25)
    twin = copy.deepcopy(loop)
    for one in (loop, twin):
        one.train(25, 95)
    assert twin.rates == loop.rates
    assert same(twin.scheduler.state_dict(), loop.scheduler.state_dict())


def test_observe_measures_once_more() -> None:
    loop = Loop(Falling(), 20)
    loop.train(0, 30)
    before = loop.scheduler.measurement
    assert loop.scheduler.observe() is loop.scheduler.measurement is not before
    assert loop.scheduler.observe() is loop.scheduler.measurement
    assert len(loop.scheduler.decisions) == 1
    loop.train(30, 39)
    assert len(loop.scheduler.decisions) == 1
    loop.train(39, 40)  # the unit is over, 10 steps after the last measurement
    assert len(loop.scheduler.decisions) == 2


@pytest.mark.parametrize("measured", [5, 14, 37])
def test_a_plan_ends_with_its_last_step_whenever_it_was_measured(measured: int) -> None:
    loop = Loop(HoldAndDecay(steps=200), 10)
    loop.train(0, measured)
    loop.scheduler.observe()
    loop.train(measured, 199)
    assert not loop.scheduler.finished
    loop.train(199, 200)
    assert loop.scheduler.finished


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 14, 20, 26])
def test_a_plan_that_is_too_short_to_time_its_steps_ends_with_its_last_step(steps: int) -> None:
    loop = Loop(HoldAndDecay(steps=steps), "auto")
    loop.train(0, steps - 1)
    assert not loop.scheduler.finished
    loop.train(steps - 1, steps)
    assert loop.scheduler.finished
    assert loop.scheduler.every == max(steps // 2, 1)


@pytest.mark.parametrize("steps", [80, 200])
def test_a_rolled_back_unit_counts_for_the_steps_that_it_had(steps: int) -> None:
    loop = Loop(HoldAndDecay(steps=steps), 10)
    for taken in (3, 12):
        loop.train(0, taken)
        loop.scheduler.roll_back("a test")
    reasons = [one["output"].reason for one in loop.scheduler._pacer.ledger.decided[1:]]
    assert [reason.split(" rolled")[0] for reason in reasons] == ["steps 1 to 3", "steps 4 to 15"]
    loop.train(15, steps - 1)
    assert not loop.scheduler.finished
    loop.train(steps - 1, steps)
    assert loop.scheduler.finished
    again = Loop(HoldAndDecay(steps=steps), 10)
    again.scheduler.load_state_dict(loop.scheduler.state_dict())
    assert again.scheduler.explain() == loop.scheduler.explain()


@pytest.mark.filterwarnings("ignore:.*were rolled back one after the other")
def test_a_plan_that_was_rolled_back_at_its_end_goes_on_for_a_step() -> None:
    loop = Loop(HoldAndDecay(steps=80), 10)
    for _ in range(2):
        loop.train(0, 39)
        loop.scheduler.roll_back("a test")
    loop.train(0, 1)
    loop.scheduler.roll_back("a test")
    assert not loop.scheduler.finished
    loop.train(0, 1)
    assert loop.scheduler.finished


def test_step_changes_nothing() -> None:
    plain, stepping = Loop(Falling(), 20), Loop(Falling(), 20)
    for step in range(100):
        plain.train(step, step + 1)
        stepping.train(step, step + 1)
        stepping.scheduler.step()
    assert stepping.rates == plain.rates


def test_a_rate_that_other_code_sets_is_set_back_with_a_warning() -> None:
    loop = Loop(Falling(), 20)
    loop.train(0, 3)
    loop.optimizer.param_groups[0]["lr"] = 5.0
    with pytest.warns(
        UserWarning, match="other code, another scheduler perhaps, has changed the learning rate: 5"
    ):
        loop.train(3, 4)
    assert max(loop.rates) <= BOUNDS.lr_max * 1.34


def test_units_that_share_a_reason_share_a_line() -> None:
    loop = Loop(HoldAndDecay(steps=400), 20, signal="neighbours")
    loop.train(0, 400)
    lines = loop.scheduler.explain().splitlines()
    assert len(lines) == (3 if BOUNDS.lr_top == BOUNDS.lr_max else 4)
    assert lines[-2].startswith("steps 201 to 400: lr ")


@pytest.mark.parametrize(
    ("policy", "every", "message"),
    [
        (
            HoldAndDecay(epochs=5),
            20,
            "a policy that plans epochs needs a scheduler that observes epochs, got",
        ),
        (
            HoldAndDecay(steps=500),
            None,
            "a policy that plans steps needs a scheduler that counts them, got steps =",
        ),
        (Vasudevan2020(epochs=5), 20, "a policy that plans epochs needs a scheduler"),
        (HoldAndDecay(), 0, "every must be at least 1 step, got 0"),
        (HoldAndDecay(), 2.5, "every must be a whole number, got 2.5"),
        (HoldAndDecay(), "often", "every must be a number of optimizer steps, 'auto' or None, got 'often'"),
    ],
)
def test_plans_and_cadences_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, policy: Policy, every: int | str | None, message: str
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of them first
    with pytest.raises(ValueError) as error:
        Loop(policy, every)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_epochs_and_steps_cannot_both_be_planned() -> None:
    with pytest.raises(ValueError, match="a policy must plan epochs or steps, got epochs = 3 and steps = 30"):
        HoldAndDecay(3, steps=30)


def test_a_state_of_another_cadence_is_refused_and_changes_nothing() -> None:
    by_steps, by_epochs, faster = (
        Loop(HoldAndDecay(), 20),
        Loop(HoldAndDecay(), None),
        Loop(HoldAndDecay(), 10),
    )
    by_steps.train(0, 40)
    state = by_steps.scheduler.state_dict()
    for other in (by_epochs, faster):
        before = copy.deepcopy(other.scheduler.state_dict())
        with pytest.raises(ValueError, match=r"scheduler state must be measured in .*, got every = 20"):
            other.scheduler.load_state_dict(state)
        assert same(other.scheduler.state_dict(), before)


class Clock:
    """A clock that stands still but for the seconds that a step and a measurement take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in ("_steps", "_pacer"):
            monkeypatch.setattr(f"infopace.scheduler.{module}.time.perf_counter", lambda: self.now)


@pytest.mark.parametrize(("measuring", "every", "unit"), [(0.5, 500, 500), (0.0, 1, 40), (0.023, 23, 46)])
def test_auto_keeps_measuring_under_one_per_cent(
    monkeypatch: pytest.MonkeyPatch, measuring: float, every: int, unit: int
) -> None:
    clock, measure = Clock(monkeypatch), Probe.measure

    def slowly(*args: object, **options: object) -> object:
        clock.now += measuring
        return measure(*args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Probe, "measure", slowly)
    loop = Loop(HoldAndDecay(), "auto")
    assert loop.scheduler.every is None
    for step in range(30):
        clock.now += 0.1
        loop.train(step, step + 1)
    assert loop.scheduler.every == pytest.approx(every, abs=1)
    assert loop.scheduler.unit == pytest.approx(unit, abs=2)
    # A resumed run keeps what was chosen.
    resumed = Loop(HoldAndDecay(), "auto")
    resumed.scheduler.load_state_dict(loop.scheduler.state_dict())
    assert resumed.scheduler.every == loop.scheduler.every


def test_layers_are_measured_and_driven_by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from infopace import layer_groups

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(layer_groups(model), lr=0.1)
    inputs, labels = data()
    scheduler = MutualInformationLR(
        optimizer, model, Probe(inputs[:200], labels[:200]), Bounds(1e-3, 0.1), every=20
    )
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    assert {layer: len(values) for layer, values in scheduler.history.items()} == {
        "0": 3,
        "2": 3,
        "output": 3,
    }
    assert all(len(taken) == 2 for taken in scheduler.decisions)
    assert list(itertools.chain(scheduler.driving_layers)) == ["0", "2"]


@pytest.mark.parametrize("policy", [Vasudevan2020(steps=100), HoldAndDecay()])
def test_targets_that_a_forward_makes_drive_any_policy(policy: Policy) -> None:
    torch.manual_seed(0)
    model, (inputs, labels) = nn.Linear(8, 4), data()
    probe = Probe.sample((inputs, labels), 200, forward=lambda net, batch: (net(batch[0]), batch[1]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(optimizer, model, probe, BOUNDS, policy, every=10, measuring=MEASURING)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    assert len(scheduler.history["output"]) == 2
    assert (scheduler.reference is not None) == policy.reads_reference
