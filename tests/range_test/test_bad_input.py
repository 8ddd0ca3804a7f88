"""What does not fit is refused in one line, before it costs anything where that can be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Probe, RangeTestError, find_bounds
from infopace.probe import Measuring
from infopace.probe.batches import batch_of
from infopace.range_test import Algorithm2, Race, merge_trials

from .small import clouds, small_net, small_test

PAPER = Algorithm2(trials=2, epochs=1, rates=(0.01, 0.1, 1.0))


class NotFinite(nn.Module):
    """Untrained already, its outputs are not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) / 0.0


class Once:
    """It has a length, and can be iterated once only."""

    def __init__(self) -> None:
        inputs, labels = clouds()
        self.left = zip(inputs.split(16), labels.split(16), strict=True)

    def __len__(self) -> int:
        return 8

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.left


def wider() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 5))


def deeper() -> nn.Module:
    return nn.Sequential(*small_net().children(), nn.Linear(3, 3))


def shallower() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16))


@pytest.mark.parametrize("method", [Race(trials=2), PAPER], ids=["race", "paper"])
def test_a_model_that_is_not_finite_before_training(method: Any) -> None:
    with pytest.raises(RangeTestError) as caught:
        small_test(model=NotFinite(), fresh=NotFinite, method=method)
    assert caught.value.kind == "crashed"
    assert str(caught.value) == (
        "the model crashes before training: an output is not finite after 0 steps; "
        "check the model, the loss and the probe"
    )


class Unused(nn.Module):
    """A layer that no forward pass runs through."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()
        self.spare = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


SILENT = (
    "layer 'spare' must run in the forward pass to have bounds of its own, got no output from it; "
    "layer_groups leaves it out where its parameters are frozen"
)


@pytest.mark.parametrize("method", [Race(trials=1), PAPER], ids=["race", "paper"])
@pytest.mark.parametrize("wrap", [lambda model: model, nn.DataParallel], ids=["plain", "wrapped"])
def test_a_layer_that_never_runs(method: Any, wrap: Any, tmp_path: Path) -> None:
    def ran(trial: int, candidate: Any) -> None:
        pytest.fail("a candidate ran")

    options: dict[str, Any] = {"method": method, "layer_wise": True, "fresh": Unused}
    model = wrap(Unused())
    before = [module.training for module in model.modules()]
    with pytest.raises(ValueError, match=f"^{re.escape(SILENT)}$"):
        small_test(model=model, folder=tmp_path / "new", on_candidate=ran, **options)
    assert not (tmp_path / "new").exists()
    assert [module.training for module in model.modules()] == before
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.slow
def test_a_layer_that_never_runs_is_no_matter_where_it_is_frozen() -> None:
    def frozen() -> nn.Module:
        model = Unused()
        model.spare.requires_grad_(False)
        return model

    found = small_test(model=frozen(), fresh=frozen, method=Race(trials=1), layer_wise=True)
    assert list(found.layer_bounds) == ["net.0", "net.3"]


class Grid(nn.Module):
    """Scores of three classes at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x).reshape(-1, 3, 2)


def grid() -> nn.Module:
    return Grid()


REFUSED: dict[str, dict[str, Any]] = {
    "batches must give batches each time they are iterated, got none from Once": {"batches": Once()},
    "fresh must build a model like the one given, got 3.weight of shape [5, 16], not [3, 16]": {
        "fresh": wider
    },
    "fresh must build a model like the one given, got 4.weight of shape [3, 3], not None": {"fresh": deeper},
    "fresh must build a model like the one given, got 3.weight of shape None, not [3, 16]": {
        "fresh": shallower
    },
    "layer_wise by Algorithm2 must measure every layer, got no measurement of '3'; "
    'give Measuring(layers="all")': {
        "method": PAPER,
        "layer_wise": True,
        "measuring": Measuring(layers=["0"]),
    },
    "seed must be in 0..2^63-1, got -1": {"seed": -1},
    "seed must be a whole number, got 1.5": {"seed": 1.5},
    "epochs must be a whole number, got '3'": {"epochs": "3"},
    "precision must be a torch type, such as torch.bfloat16, got 'bf16'": {"precision": "bf16"},
    "scaler must be a GradScaler, got True": {"scaler": True},
    "only must be numbers of trials, such as [0, 1], got 3": {"only": 3},
    "batches must have a length, as a data loader or a list has, got generator": {
        "batches": (batch for batch in [clouds()])
    },
    "fresh must build a model, got NoneType": {"fresh": lambda: None},
    "loss must return one number as a tensor, the mean over the examples, got shape (12,)": {
        "loss": nn.CrossEntropyLoss(reduction="none")
    },
    "loss must return one number as a tensor, the mean over the examples, got float": {
        "loss": lambda outputs, targets: float(F.cross_entropy(outputs, targets))
    },
    "attribute 'accuracy' needs outputs (n, C), one score a class, got more an example; take 'information' or 'loss'": {
        "model": grid(),
        "fresh": grid,
        "loss": lambda outputs, targets: F.cross_entropy(outputs.mean(2), targets),
    },
}
WRONG_KINDS: dict[str, dict[str, Any]] = {
    "method must be Race(...) or Algorithm2(...), got 'race'": {"method": "race"},
    f"method must be Race(...) or Algorithm2(...), got {Race!r}": {"method": Race},
    "probe must be a Probe, got tuple; Probe.sample draws one": {"probe": clouds()},
    "optimizer must be a torch Optimizer that steps without a closure, got LBFGS": {
        "optimizer": torch.optim.LBFGS
    },
}


@pytest.mark.parametrize("text", REFUSED)
def test_input_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of it first
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        small_test(**REFUSED[text])


@pytest.mark.parametrize("text", WRONG_KINDS)
def test_what_is_something_else(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse them first
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        small_test(**WRONG_KINDS[text])


def test_parameters_that_would_not_be_put_back() -> None:
    """A loss with weights of its own, in the model's optimizer."""
    model, head = small_net(), nn.Linear(3, 3)
    optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.1)
    before = head.weight.detach().clone()
    with pytest.raises(
        ValueError, match=r"^the optimizer must hold only the model's parameters, got 2 others"
    ):
        find_bounds(
            model, optimizer, lambda o, t: F.cross_entropy(head(o), t), [clouds()], Probe(*clouds()), epochs=3
        )
    assert torch.equal(head.weight, before) and head.weight.grad is None


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ValueError, match=r"^the folder must be one, got .*file, where there is a file$"):
        small_test(folder=tmp_path / "file")
    (tmp_path / "test.json").write_text("{")
    for ask in (lambda: small_test(folder=tmp_path), lambda: merge_trials(tmp_path)):
        with pytest.raises(
            ValueError, match=r"test.json must be the settings of a range test, got no JSON: "
        ):
            ask()


@pytest.mark.parametrize("text", [text for text in REFUSED if "layer_wise" in text or "seed" in text])
def test_what_is_known_beforehand_leaves_no_files(
    monkeypatch: pytest.MonkeyPatch, text: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=re.escape(text)):
        small_test(**REFUSED[text], folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "only", "text"),
    [
        ({"method": PAPER}, 1, "trial 1 needs trial 0, which is not finished"),
        (
            {"method": Race(trials=2), "layer_wise": True},
            3,
            "trial 3 needs trial 0, which is not finished",
        ),
    ],
    ids=["retry", "layer"],
)
def test_a_trial_that_needs_others_first(
    options: dict[str, Any], only: int, text: str, tmp_path: Path
) -> None:
    ran: list[int] = []
    with pytest.raises(RangeTestError, match=text) as caught:
        small_test(only=[only], folder=tmp_path, on_candidate=lambda trial, _: ran.append(trial), **options)
    assert caught.value.kind == "unfinished"
    assert not ran


@pytest.mark.slow
def test_a_candidate_that_stops_being_finite_is_a_crash_and_no_refusal() -> None:
    """Only what is not finite before training is refused."""
    found = small_test(method=Race(trials=1, high=1e6))
    crashed = found.trials[0].crashed
    assert any("not finite" in candidate.crash for candidate in crashed)
    assert all(torch.isfinite(torch.tensor(e.loss)) for c in crashed for e in c.evaluations)


# Whose fault it is: with the weights as they were before training, the batch has no finite loss either.

UNBLAMED = "no learning rate is to blame"


def with_nan(inputs: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Batches of 16; one number of one example is nan."""
    inputs = inputs.clone()
    inputs[37, 1] = torch.nan
    return list(zip(inputs.split(16), labels.split(16), strict=True))


@pytest.mark.parametrize("method", [Race(trials=1), PAPER], ids=["race", "paper"])
def test_a_nan_in_one_training_example_is_no_rate_that_is_too_high(method: Any) -> None:
    with pytest.raises(ValueError) as caught:
        small_test(batches=with_nan(*clouds()), method=method)
    assert str(caught.value) == (
        "batch 2 of the training data must hold finite numbers, got nan in the inputs of example 5; "
        + UNBLAMED
    )


def test_a_nan_in_the_probe_is_named() -> None:
    inputs, labels = clouds()
    inputs[3, 0] = torch.inf
    with pytest.raises(ValueError) as caught:
        small_test(probe=Probe(inputs, labels), method=Race(trials=1))
    assert str(caught.value) == (
        "the probe must hold finite numbers, got inf in the inputs of example 3; " + UNBLAMED
    )


def test_a_loss_that_is_nan_on_a_batch_whatever_the_weights() -> None:
    def log_of_nothing(outputs: Tensor, labels: Tensor) -> Tensor:
        # The probe's parts are smaller than a batch.
        bad = len(labels) == 16 and int(labels[0]) == 0
        return F.cross_entropy(outputs, labels) * (torch.tensor(0.0).log() * 0 if bad else 1)

    inputs, labels = clouds()
    batches = list(zip(inputs.split(16), labels.split(16), strict=True))
    first = next(i for i, (_, found) in enumerate(batches) if int(found[0]) == 0)
    with pytest.raises(RangeTestError) as caught:
        small_test(batches=batches, loss=log_of_nothing, method=Race(trials=1))
    assert caught.value.kind == "crashed"
    assert str(caught.value) == (
        f"the loss is not finite before training, on batch {first}, whose inputs and targets are; {UNBLAMED}: "
        "check the loss"
    )


def test_a_rate_that_is_too_high_still_crashes() -> None:
    found = small_test(method=Race(trials=1, high=1e6))
    assert any("not finite" in candidate.crash for trial in found.trials for candidate in trial.crashed)


# Batches that are no pairs.

X, Y = clouds()
AS_DICTS = [{"x": x, "labels": y} for x, y in zip(X.split(16), Y.split(16), strict=True)]
AS_TRIPLES = [(x, y, torch.arange(len(y))) for x, y in zip(X.split(16), Y.split(16), strict=True)]


@pytest.mark.slow
def test_dicts_and_longer_tuples_give_what_pairs_give() -> None:
    pairs = list(zip(X.split(16), Y.split(16), strict=True))
    expected = small_test(batches=pairs, method=Race(trials=1)).bounds
    assert small_test(batches=AS_DICTS, method=Race(trials=1)).bounds == expected
    assert small_test(batches=AS_TRIPLES, method=Race(trials=1)).bounds == expected
    found = small_test(
        batches=AS_DICTS, method=Race(trials=1), unpack=lambda batch: (batch["x"], batch["labels"])
    )
    assert found.bounds == expected


UNCLEAR: dict[str, tuple[Any, Any]] = {
    "a batch must have one input, as the probe has, got 'x', 'z'": ({"x": X, "z": X, "y": Y}, X),
    "a batch must hold the probe's input 'a', got 'x', 'label'": ({"x": X, "label": Y}, {"a": X}),
    "a dict must hold targets as one of labels, label, targets, target, y, and inputs, got 'x', 'label', 'labels'": (
        {"x": X, "label": Y, "labels": Y},
        X,
    ),
    "entry 1 of a batch must be targets like the probe's, got shape (120, 4)": ((X, X, Y), X),
    "a batch must hold the probe's 3 inputs and the targets, got tuple of 3": ((X, X, Y), (X, X, X)),
    "a batch must be a pair (inputs, targets), got tuple of 3": ((X, X, Y), {"a": X}),
}


@pytest.mark.parametrize("text", UNCLEAR)
def test_a_batch_that_is_not_clear_is_refused_with_the_way_out(text: str) -> None:
    batch, like = UNCLEAR[text]
    with pytest.raises(ValueError) as caught:
        batch_of(batch, (like, Y))
    assert re.fullmatch(
        re.escape(text) + r"; give unpack=f, with f\((batch|dict)\) -> \(inputs, targets\)",
        str(caught.value),
    )


def test_as_many_inputs_as_the_probe_has() -> None:
    inputs, targets = batch_of([X, 2 * X, Y, Y], ((X, X), Y))
    assert isinstance(inputs, tuple) and torch.equal(inputs[1], 2 * X) and targets is Y
    named, _ = batch_of({"a": X, "unused": X, "y": Y}, ({"a": X}, Y))
    assert list(named) == ["a"]
