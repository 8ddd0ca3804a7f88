"""A run without bounds finds its learning rate in its first steps."""

from __future__ import annotations

import copy
import functools
import io
import math
from typing import Any

import pytest
import torch
from torch import nn

from infopace import HoldAndDecay, MutualInformationLR, Probe
from infopace.model.trained import Trained
from infopace.scheduler._finding import SHARE, steps_of_a_trial
from infopace.scheduler._search import Trial, chosen, rate_of

from ..small_run import data, same
from .searching import STEPS, Loop, found


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_from_rates_five_decades_apart_it_finds_rates_that_are_as_good(optimizer: str) -> None:
    nats, rates = [], []
    for lr in (1e-5, 1e-2, 1.0):
        loop = Loop(lr, optimizer=optimizer, policy=HoldAndDecay(steps=4000))
        loop.train(900)
        assert not loop.scheduler.finding
        place = chosen(found(loop).trials)
        rates.append(rate_of(lr, place))
        nats += [trial.nats for trial in found(loop).trials if trial.place == place]
    assert min(nats) > 0.9 * max(nats) > 1.0
    assert max(rates) / min(rates) < 20  # of AdamW more than a decade is as good here
    assert loop.scheduler.found[0].startswith("found lr")
    assert "\n".join(loop.scheduler.found) in loop.scheduler.explain()


def test_what_is_put_back_is_a_tenth_of_the_plan_and_the_run_ends_with_the_plan() -> None:
    loop = Loop()
    loop.train(STEPS)
    assert found(loop)._wasted <= SHARE * STEPS
    assert sum(loop.finding) <= SHARE * STEPS + 4 * found(loop).steps
    assert loop.finding[0] and not any(loop.finding[STEPS // 2 :])
    assert loop.scheduler.finished
    # Half of the steps after the search are for the decay.
    phases = [taken[0].phase for taken in loop.scheduler.decisions]
    assert abs(phases.count("decay") * 40 - (STEPS - loop.finding.index(False)) // 2) <= 80


@pytest.mark.parametrize("planned", [STEPS, 600])
def test_the_network_goes_on_from_where_the_best_trial_ended_or_one_more_at_a_lower_rate(
    planned: int,
) -> None:
    loop = Loop(policy=HoldAndDecay(steps=planned))
    starts, ends, rates = [], [], []
    loop.train(1)
    steps, loop.step = found(loop).steps, 1
    while loop.scheduler.finding:
        if found(loop)._taken == steps - 1:
            rates.append(rate_of(0.1, found(loop)._place))
            hooked = loop.optimizer.register_step_post_hook(lambda *_: ends.append(loop.weights()))
            hooked_first = next(reversed(loop.optimizer._optimizer_step_post_hooks))
            loop.optimizer._optimizer_step_post_hooks.move_to_end(hooked_first, last=False)
            loop.train(1)
            hooked.remove()
            starts.append(loop.weights())
        else:
            loop.train(1)
    nats = [one.nats for one in found(loop).trials]
    best = max(range(len(nats)), key=nats.__getitem__)
    # Where the run holds less than the rate of the best trial, one more is at the rate.
    held = planned == STEPS
    assert len(rates) == len(nats) + (not held)
    # All trials but the last end where the search began, bit for bit.
    assert all(torch.equal(one, starts[0]) for one in starts[:-1])
    assert not torch.equal(ends[best], starts[0])
    goes_on = best if held else -1
    assert loop.scheduler.bounds.lr_max == pytest.approx(rates[goes_on])  # type: ignore[union-attr]
    assert rates[goes_on] < rates[best] or held
    assert torch.equal(loop.weights(), ends[goes_on])
    assert found(loop)._wasted == (len(nats) - held) * steps


def test_should_the_trial_at_the_rate_diverge_the_best_one_goes_on() -> None:
    loop = Loop(policy=HoldAndDecay(steps=600))
    while not loop.scheduler.finding or found(loop)._stage == "search":
        loop.train(1)
    finding = found(loop)
    assert finding._stage == "settle"
    first = loop.weights()
    assert loop.scheduler.explain().splitlines()[0].endswith("; one more at this rate runs")
    loop.scheduler._search.diverged()  # type: ignore[union-attr]
    said = loop.scheduler.explain().splitlines()[0]
    assert said.endswith("; one more at this rate: diverged, so the run goes on from the best")
    again = Loop(policy=HoldAndDecay(steps=600))
    again.scheduler.load_state_dict(loop.scheduler.state_dict())
    assert again.scheduler.explain().splitlines()[0] == said
    assert not loop.scheduler.finding and not torch.equal(loop.weights(), first)
    assert finding.bounds.lr_max == rate_of(0.1, chosen(finding.trials, short=True))
    assert finding._wasted == len(finding.trials) * finding.steps


def test_a_trial_at_the_rate_that_learns_little_goes_on_as_lower_rates_learn_more_slowly() -> None:
    loop = Loop(policy=HoldAndDecay(steps=600))
    while not loop.scheduler.finding or found(loop)._stage == "search":
        loop.train(1)
    finding = found(loop)
    finding._after_settle(Trial(finding._place, 0.01, torch.full((200,), 0.01)))
    assert finding.over and not finding._ruined


def test_the_rate_of_a_trial_rises_over_its_first_half() -> None:
    loop = Loop()
    loop.train(found(loop).steps)
    ramp = [0.1 * min((step + 1) / 10, 1.0) for step in range(20)]
    assert loop.rates == pytest.approx(ramp)


@functools.cache
def resumed() -> Loop:
    whole = Loop(held_out=True)
    whole.train(STEPS)
    return whole


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "stop",
    [7, pytest.param(51, marks=SLOW), pytest.param(139, marks=SLOW), 181, pytest.param(1090, marks=SLOW)],
)
def test_a_state_saved_in_the_middle_resumes_bit_for_bit(stop: int) -> None:
    whole = resumed()
    first = Loop(held_out=True)
    first.train(stop)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (first.model, first.optimizer, first.scheduler)], file)
    file.seek(0)
    second = Loop(held_out=True)
    states = torch.load(file, weights_only=True)
    # In any order: the scheduler's first.
    for part, state in reversed(
        list(zip((second.model, second.optimizer, second.scheduler), states, strict=True))
    ):
        part.load_state_dict(state)
    second.step = stop
    second.train(STEPS - stop)
    assert second.rates == whole.rates[stop:]
    assert torch.equal(second.weights(), whole.weights())
    assert same(second.scheduler.state_dict(), whole.scheduler.state_dict())
    assert second.scheduler.found == whole.scheduler.found


def test_a_resumed_trial_leaves_the_rate_at_its_end_that_it_had() -> None:
    """What logs and schedulers beside this one read between two steps."""
    loop = Loop()
    loop.train(7)
    states = copy.deepcopy([part.state_dict() for part in (loop.model, loop.optimizer, loop.scheduler)])
    again = Loop()
    for part, state in zip((again.model, again.optimizer, again.scheduler), states, strict=True):
        part.load_state_dict(state)
    again.step = 7
    for one in (loop, again):
        one.train(13)
    assert len(found(loop).trials) == 1
    assert again.rate == loop.rate == loop.rates[-1]


def test_the_decay_of_that_run_is_watched() -> None:
    watched = [taken[0].watched for taken in resumed().scheduler.decisions]
    assert watched.count(True) > 3


def test_a_trial_that_diverges_is_put_back() -> None:
    loop = Loop(1e4)
    loop.train(STEPS)
    places = {one.place: one.nats for one in found(loop).trials}
    assert places[0] < 0
    assert loop.scheduler.bounds.lr_max < 10  # type: ignore[union-attr]
    assert all(one.isfinite().all() for one in loop.model.parameters())
    assert "at 1e+04" in loop.scheduler.explain()


def test_where_nothing_is_to_be_learned_it_keeps_the_first_rate_and_says_so() -> None:
    labels = torch.randint(0, 4, (600,), generator=torch.Generator().manual_seed(7))
    loop = Loop(1e-6, labels=labels, optimizer="AdamW")
    with pytest.warns(UserWarning, match="nothing was learned in .* steps, at learning rates from"):
        loop.train(STEPS)
    assert loop.scheduler.finished and not loop.scheduler.finding
    said = loop.scheduler.explain().splitlines()[0]
    assert said.startswith(f"no trial learned, lr 1.778e-05 after {STEPS // 2} steps, trials of 20 steps: ")
    assert "; then waiting: " in said
    # It ends with half of the plan, so that half of the rest is for the decay.
    assert loop.finding.index(False) == STEPS // 2
    phases = [taken[0].phase for taken in loop.scheduler.decisions]
    assert abs(phases.count("decay") * 40 - STEPS // 4) <= 40
    # It waited at the first rate, and raised it as the steps doubled.
    waited = [rate for rate, finding in zip(loop.rates, loop.finding, strict=True) if finding]
    assert max(waited[-10:]) > 1e-6


@pytest.mark.filterwarnings("ignore:nothing was learned")
@pytest.mark.parametrize(("steps", "every"), [(80, 20), (40, 10), (20, 10)])
def test_a_wait_that_leaves_one_unit_of_steps_leaves_a_decay(steps: int, every: int) -> None:
    labels = torch.randint(0, 4, (600,), generator=torch.Generator().manual_seed(7))
    loop = Loop(0.1, labels=labels, policy=HoldAndDecay(steps=steps), every=every)
    loop.train(steps)
    assert loop.finding.index(False) == steps // 2 and loop.scheduler.finished
    assert loop.rates[-1] < 0.1 * loop.rates[steps // 2]


@pytest.mark.filterwarnings("ignore:the outputs are the same")
def test_a_wait_that_diverges_goes_on_at_a_lower_rate() -> None:
    labels = torch.randint(0, 4, (600,), generator=torch.Generator().manual_seed(7))
    loop = Loop(1e3, labels=labels, policy=HoldAndDecay(steps=400))
    with pytest.warns(UserWarning, match="nothing was learned in 200 steps"):
        loop.train(400)
    waited = found(loop)._waited
    assert any(one.each is None for one in waited)
    # It ended at half of the plan, at a rate below all that made the network diverge.
    assert loop.finding.index(False) == 200 and loop.scheduler.finished
    assert found(loop)._place < min(one.place for one in [*found(loop).trials, *waited] if one.each is None)


def test_a_search_that_ends_in_the_first_epoch_learns_how_long_an_epoch_is() -> None:
    loop = Loop(policy=HoldAndDecay(epochs=10), every=None)
    loop.train(400)
    assert not loop.scheduler.finding and found(loop)._planned is None
    loop.scheduler.observe()
    loop.scheduler.step()
    assert found(loop)._planned == 4000


def test_an_epoch_that_began_before_a_state_was_loaded_counts_all_its_steps() -> None:
    first, second = (Loop(policy=HoldAndDecay(epochs=10), every=None) for _ in range(2))
    first.train(20)
    second.scheduler.load_state_dict(first.scheduler.state_dict())
    second.step = 20
    second.train(12)
    assert second.scheduler.finding
    second.scheduler.observe()
    assert found(second)._planned == 320


def test_epochs_of_known_length_are_a_plan_too() -> None:
    loop = Loop(policy=HoldAndDecay(epochs=14), every=None, steps_per_epoch=100)
    assert found(loop).steps == steps_of_a_trial(1400) == 20
    for _ in range(14):
        loop.train(100)
        loop.scheduler.observe()
        loop.scheduler.step()
    assert loop.scheduler.finished
    phases = [taken[0].phase for taken in loop.scheduler.decisions]
    # An epoch or two went into the search; the others are held and decayed.
    assert 6 <= phases.count("decay") <= 7 and 4 <= phases.count("hold") <= 7


def test_without_the_length_of_an_epoch_it_is_known_after_the_first() -> None:
    loop = Loop(policy=HoldAndDecay(epochs=10), every=None)
    assert found(loop).steps == 32
    for _ in range(10):
        loop.train(40)
        loop.scheduler.observe()
        loop.scheduler.step()
    assert loop.scheduler.finished
    assert found(loop)._wasted <= 40 + SHARE * 400


@pytest.mark.parametrize(("epochs", "steps"), [(40, 1), (30, 2), (100, 10)])
def test_a_first_trial_is_cut_to_what_the_plan_allows(epochs: int, steps: int) -> None:
    loop = Loop(policy=HoldAndDecay(epochs), every=None)
    loop.train(steps)
    loop.scheduler.observe()
    assert found(loop).steps == found(loop)._until == max(steps_of_a_trial(epochs * steps), steps + 1)
    for _ in range(epochs - 1):
        loop.scheduler.step()
        loop.train(steps)
        loop.scheduler.observe()
    assert loop.scheduler.finished and found(loop).gone <= epochs * steps // 2


def test_an_epoch_that_ends_with_the_search_is_no_misuse(recwarn: pytest.WarningsRecorder) -> None:
    loop = Loop(policy=HoldAndDecay(epochs=14), every=None, steps_per_epoch=100)
    while loop.scheduler.finding:
        loop.train(1)
    assert loop.step == 100  # five trials of 20 steps
    loop.scheduler.observe()
    loop.scheduler.step()
    loop.train(100)
    loop.scheduler.observe()
    assert not [one for one in recwarn if "observe" in str(one.message)]


@pytest.mark.parametrize("optimizer", [pytest.param("SGD", marks=SLOW), "AdamW"])
def test_layers_share_the_rate_that_is_found(optimizer: str) -> None:
    loop = Loop(1e-4, optimizer=optimizer, layer_wise=True, every=100)
    loop.train(STEPS)
    assert loop.scheduler.finished
    assert len({group["lr"] for group in loop.optimizer.param_groups}) <= 2


def test_several_optimizers_are_searched_as_one() -> None:
    torch.manual_seed(1)
    first, last = nn.Linear(8, 16), nn.Linear(16, 4)
    model = nn.Sequential(first, nn.ReLU(), last)
    inputs, labels = data()
    muon = torch.optim.Muon([first.weight], lr=1e-4)
    parts: list[torch.optim.Optimizer] = [muon]
    parts.append(torch.optim.AdamW([first.bias, *last.parameters()], lr=1e-4))
    scheduler = MutualInformationLR(
        parts, model, Probe(inputs[:200], labels[:200]), policy=HoldAndDecay(steps=STEPS), every=20
    )
    for step in range(STEPS):
        batch = torch.randperm(600, generator=torch.Generator().manual_seed(step))[:50]
        for part in parts:
            part.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
        for part in parts:
            part.step()
    assert scheduler.finished
    assert scheduler.bounds.lr_max > 1e-3  # type: ignore[union-attr]
    assert (model(inputs).argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize(
    ("make", "memory"),
    [
        (functools.partial(torch.optim.SGD, momentum=0.9), 10),
        (torch.optim.AdamW, 10),
        (torch.optim.Muon, 20),
        (torch.optim.SGD, 1),
        (functools.partial(torch.optim.Adam, betas=(0.0, 0.999)), 1),
        (torch.optim.Adagrad, 1),
        (functools.partial(torch.optim.AdamW, betas=(torch.tensor(0.9), torch.tensor(0.999))), 10),
    ],
)
def test_an_optimizer_remembers_so_many_gradients(make: Any, memory: int) -> None:
    model = nn.Linear(8, 4, bias=False)
    optimizer = make(model.parameters(), lr=0.1)
    assert Trained(model, optimizer).memory == memory
    optimizer.param_groups[0] |= {"momentum": "auto", "betas": None}  # of an optimizer of your own
    assert Trained(model, optimizer).memory == 1


def test_without_all_trainable_weights_bounds_are_needed() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    inputs, labels = data()
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with pytest.raises(
        ValueError, match=r"^bounds must be given where the optimizer does not hold all trainable"
    ):
        MutualInformationLR(optimizer, model, Probe(inputs, labels))


def test_a_search_that_its_share_of_the_steps_has_ended_says_so() -> None:
    loop, again = (Loop(1e-3, policy=HoldAndDecay(steps=100), every=10, optimizer="AdamW") for _ in range(2))
    loop.train(60)
    said = loop.scheduler.explain()
    short = "half a decade below the best trial because trials are short"
    assert said.startswith(
        f"found lr 0.03162, no steps were left to try higher ones, {short}, trials of 4 steps: "
    )
    again.scheduler.load_state_dict(loop.scheduler.state_dict())
    assert again.scheduler.explain() == said


@pytest.mark.parametrize(
    ("steps", "said_why"),
    [
        (4000, "found lr 0.1778, below the best trial because the network collapses at 1, trials of 57 "),
        (600, "found lr 0.1, half a decade below the best trial because trials are short, trials of 8 "),
    ],
)
def test_a_search_that_stays_below_its_best_trial_says_why(steps: int, said_why: str) -> None:
    loop, again = (Loop(policy=HoldAndDecay(steps=steps)) for _ in range(2))
    loop.train(3)  # of the first trial
    found = loop.scheduler._search
    assert found is not None
    finding = found.finding
    finding.trials = [
        Trial(place, value, torch.full((9,), value)) for place, value in ((0, 0.5), (2, 1.0), (4, 0.1))
    ]
    finding._wasted = 10_000
    finding._after_search(Trial(6, -math.inf))
    said = finding.explain()
    assert said.startswith(said_why)
    other = again.scheduler._search
    assert other is not None
    other.finding.load(finding.state())
    assert other.finding.explain() == said
