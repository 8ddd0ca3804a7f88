"""Accelerate: the run is that of the plain loop; `save_state` and `load_state` keep the scheduler."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import tqdm
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from infopace import HoldAndDecay
from infopace.integrations import readings
from infopace.integrations.accelerate import pace

from ..small_run import same
from .plain import (
    BATCH,
    EPOCHS,
    STEPS,
    PlainRun,
    Shuffled,
    digits,
    held_out_probe,
    sgd,
    small_net,
    small_probe,
)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Accelerate keeps one state a process."""
    yield
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


class Loop:
    """A run under Accelerate."""

    def __init__(self, *, accumulate: int = 1, precision: str = "no", **options: Any) -> None:
        self.accelerator = Accelerator(
            cpu=True, gradient_accumulation_steps=accumulate, mixed_precision=precision
        )
        model = small_net()
        # Accelerate makes a new loader of it, of its own kind.
        loader = DataLoader(TensorDataset(*digits()), batch_size=BATCH // accumulate)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(model, sgd(model), loader)
        self.scheduler = pace(
            self.accelerator, self.model, self.optimizer, self.loader, small_probe(), **options
        )

    def train(
        self, epochs: int = EPOCHS, *, clip: float | None = None, first: int = 0, stop: int = 0
    ) -> Loop:
        for epoch in range(epochs):
            skipped = epoch == 0 and first
            loader = skip_first_batches(self.loader, first) if skipped else self.loader
            for number, (inputs, labels) in enumerate(loader, 1 + (first if skipped else 0)):
                with self.accelerator.accumulate(self.model):
                    loss = nn.functional.cross_entropy(self.model(inputs), labels)
                    self.accelerator.backward(loss)
                    if clip is not None and self.accelerator.sync_gradients:
                        groups = self.optimizer.param_groups
                        self.accelerator.clip_grad_norm_([one for g in groups for one in g["params"]], clip)
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                if epoch == epochs - 1 and number == stop:
                    return self
            if self.scheduler.unit is None:
                self.scheduler.observe()
                self.scheduler.step()
            if self.scheduler.finished:
                break
        return self


def plain(
    monkeypatch: pytest.MonkeyPatch, accumulate: int = 1, clip: float | None = None, **options: Any
) -> PlainRun:
    """The plain loop, on the same batches: in the order of the data."""
    monkeypatch.setattr(Shuffled, "__iter__", DataLoader.__iter__)
    return PlainRun(**options).train(accumulate=accumulate, clip=clip)


def assert_alike(loop: Loop, run: PlainRun) -> None:
    assert loop.scheduler.explain() == run.scheduler.explain()
    assert loop.scheduler.history == run.scheduler.history
    assert loop.scheduler.decisions == run.scheduler.decisions
    assert same(loop.model.state_dict(), run.model.state_dict())


def test_epochs_are_those_of_the_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_alike(Loop(epochs=EPOCHS).train(), plain(monkeypatch))


@pytest.mark.slow
def test_steps_are_those_of_the_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    run = plain(monkeypatch, policy=HoldAndDecay(steps=EPOCHS * STEPS), every=5)
    assert_alike(Loop(epochs=EPOCHS, every=5).train(), run)


def test_accumulated_and_clipped_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    run = plain(monkeypatch, accumulate=2, clip=0.5)
    assert_alike(Loop(epochs=EPOCHS, accumulate=2).train(clip=0.5), run)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(TensorDataset(*digits()))


def test_a_loader_without_a_length_is_paced() -> None:
    accelerator, net = Accelerator(cpu=True), small_net()
    model, optimizer, loader = accelerator.prepare(net, sgd(net), DataLoader(Stream(), batch_size=BATCH))
    plans: list[dict[str, Any]] = [{}, {"every": 5, "policy": HoldAndDecay(steps=20)}]
    for options in plans:
        scheduler = pace(accelerator, model, optimizer, loader, small_probe(), epochs=EPOCHS, **options)
        assert scheduler.policy == options.get("policy", HoldAndDecay(EPOCHS))
    with pytest.warns(UserWarning, match="give policy=HoldAndDecay"):
        pace(accelerator, model, optimizer, loader, small_probe(), epochs=EPOCHS, every=5)


@pytest.mark.slow
def test_mixed_precision() -> None:
    assert Loop(epochs=EPOCHS, precision="bf16").train().scheduler.history["output"][-1] > 1.5


@pytest.mark.parametrize(
    ("epochs", "stop"),
    [pytest.param(4, 0, marks=pytest.mark.slow), (4, 6), pytest.param(1, 5, marks=pytest.mark.slow)],
)
def test_a_state_resumes_with_the_same_numbers(tmp_path: Path, epochs: int, stop: int) -> None:
    """At the end of an epoch, in the middle of one, and in the middle of a trial."""
    loop = Loop(epochs=EPOCHS).train(epochs, stop=stop)
    loop.accelerator.save_state(str(tmp_path))
    left = EPOCHS - epochs + (stop > 0)
    loop.train(left, first=stop)
    again = Loop(epochs=EPOCHS)
    again.accelerator.load_state(str(tmp_path))
    again.train(left, first=stop)
    assert again.scheduler.explain() == loop.scheduler.explain()
    assert same(again.scheduler.state_dict(), loop.scheduler.state_dict())
    assert same(again.model.state_dict(), loop.model.state_dict())


@pytest.mark.slow
def test_it_ends_where_the_rule_says_so() -> None:
    loop = Loop().train(200)
    assert loop.scheduler.finished
    assert len(loop.scheduler.history["output"]) < 200


def test_readings_of_held_out_examples_are_nan_when_they_are_not_measured_any_more() -> None:
    loop = Loop(policy=HoldAndDecay(), held_out=held_out_probe())
    while loop.scheduler.holds_out:
        loop.train(1)
        assert (
            readings(loop.scheduler)["held_out_information"] == loop.scheduler.held_out_history["output"][-1]
        )
    loop.train(1)
    assert math.isnan(readings(loop.scheduler)["held_out_information"])


def test_readings_are_what_was_measured() -> None:
    loop = Loop(epochs=EPOCHS, held_out=held_out_probe()).train(3)
    found = readings(loop.scheduler)
    assert found["information"] == loop.scheduler.history["output"][-1]
    assert found["held_out_information"] == loop.scheduler.held_out_history["output"][-1]
    assert found["learning_rate"] == max(loop.scheduler.get_last_lr())
    # The bar of Accelerate shows them.
    bar = tqdm(range(3), file=io.StringIO())
    bar.set_postfix(found)
    assert f"information={found['information']:.3g}, learning_rate={found['learning_rate']:.3g}" in str(bar)
    bar.close()
