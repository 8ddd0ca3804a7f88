"""Keras 3 on torch: decisions are those of a loop in torch; backups, logs and stopping are Keras' own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import pytest
import torch
from torch import nn

from infopace import HoldAndDecay, MutualInformationLR
from infopace.integrations._keras_optimizer import KerasOptimizer
from infopace.integrations.keras import MutualInformationCallback
from infopace.model.snapshot import OptimizerState
from infopace.model.trained import Trained

from .plain import BATCH, EPOCHS, STEPS, digits, small_probe

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch.optim", "ignore::DeprecationWarning")


def network(optimizer: Any = None, *, norm: bool = False, softmax: bool = False) -> Any:
    keras.utils.clear_session()  # names of layers are then those of a new process
    keras.utils.set_random_seed(0)
    parts = [keras.layers.Dense(32)]
    parts += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)] if norm else []
    parts += [keras.layers.ReLU(), keras.layers.Dense(10, activation="softmax" if softmax else None)]
    model = keras.Sequential([keras.Input((64,)), *parts])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(keras.optimizers.SGD(0.1) if optimizer is None else optimizer, loss)
    return model


def fit(model: Any, *callbacks: Any, epochs: int = EPOCHS, **options: Any) -> MutualInformationLR:
    probe, verbose = options.pop("probe", None) or small_probe(), options.pop("verbose", 0)
    callback = MutualInformationCallback(probe, **options)
    inputs, labels = digits()
    shown = model.fit(
        inputs.numpy(),
        labels.numpy(),
        epochs=epochs,
        batch_size=BATCH,
        shuffle=False,
        verbose=verbose,
        callbacks=[callback, *callbacks],
    )
    assert callback.scheduler is not None
    model.shown = shown.history
    return callback.scheduler


def in_torch(model: Any, **options: Any) -> MutualInformationLR:
    """The plain loop over the network of Keras."""
    weights = [one.value for one in model.trainable_variables]
    optimizer = torch.optim.SGD(weights, lr=float(model.optimizer.learning_rate))
    scheduler = MutualInformationLR(optimizer, model, small_probe(), **options)
    inputs, labels = digits()
    for _ in range(EPOCHS):
        for batch in torch.arange(len(labels)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        if scheduler.unit is None:
            scheduler.observe()
            scheduler.step()
    return scheduler


def assert_alike(ours: MutualInformationLR, theirs: MutualInformationLR) -> None:
    """Keras computes the loss in another order, and its rate is a number of 32 bits."""
    assert ours.history["output"] == pytest.approx(theirs.history["output"], abs=1e-4)
    for one, other in zip(ours.decisions, theirs.decisions, strict=True):
        assert one[0].lr == pytest.approx(other[0].lr, rel=1e-6)


def test_epochs_are_those_of_a_loop_in_torch() -> None:
    plan = {"policy": HoldAndDecay(EPOCHS), "steps_per_epoch": STEPS}
    assert_alike(fit(network()), in_torch(network(), **plan))


@pytest.mark.slow
def test_steps_are_those_of_a_loop_in_torch() -> None:
    theirs = in_torch(network(), policy=HoldAndDecay(steps=EPOCHS * STEPS), every=5)
    assert_alike(fit(network(), every=5), theirs)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lion"])
def test_optimizers_of_keras_are_paced(optimizer: str) -> None:
    model = network(keras.optimizers.get(optimizer), norm=True)
    scheduler = fit(model)
    assert scheduler.history["output"][-1] > 1.5
    last = scheduler.decisions[-2][0].lr  # the last one is for an epoch that does not come
    assert model.shown["learning_rate"][-1] == pytest.approx(last)


class Killed(Exception):
    """The process ends here."""


class Kill(keras.callbacks.Callback):
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise Killed


@pytest.mark.parametrize(
    ("make", "memory"),
    [
        (keras.optimizers.SGD, 1),
        (lambda: keras.optimizers.SGD(momentum=0.9), 10),
        (keras.optimizers.Lion, 10),
        (keras.optimizers.Adam, 10),
        (keras.optimizers.RMSprop, 1),
        (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), 10),
    ],
)
def test_an_optimizer_of_keras_remembers_so_many_gradients(make: Any, memory: int) -> None:
    assert Trained(nn.Linear(1, 1), KerasOptimizer(network(make()))).memory == memory


def test_a_step_is_an_update_not_a_batch() -> None:
    model = network(keras.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    optimizer, steps = KerasOptimizer(model), list[int]()
    optimizer.register_step_pre_hook(lambda *_: steps.append(int(model.optimizer._iterations)))
    gradients = [torch.ones_like(weight) for weight in optimizer.param_groups[0]["params"]]
    for _ in range(7):
        model.optimizer.apply(gradients)
    assert steps == [2, 5]
    model = network(keras.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    assert fit(model, every=5).policy == HoldAndDecay(steps=EPOCHS * STEPS // 3)


def test_layers_of_one_name_in_nested_models_are_put_back() -> None:
    keras.utils.clear_session()

    def tower(name: str) -> Any:
        inputs = keras.Input((2,))
        return keras.Model(inputs, keras.layers.Dense(2, name="fc")(inputs), name=name)

    inputs = keras.Input((2,))
    model: Any = keras.Model(inputs, keras.layers.Add()([tower("left")(inputs), tower("right")(inputs)]))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    optimizer = KerasOptimizer(model)
    before = OptimizerState(optimizer)
    x = np.ones((4, 2), dtype="float32")
    model.fit(x, x, verbose=0)
    assert any(bool(one.value.any()) for one in model.optimizer.variables if "momentum" in one.path)
    before.put_back()
    assert not any(bool(one.value.any()) for one in model.optimizer.variables if "momentum" in one.path)


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_a_backup_resumes_with_the_same_numbers(tmp_path: Path, epoch: int) -> None:
    whole = fit(network())

    def callbacks() -> list[Any]:
        return [keras.callbacks.BackupAndRestore(str(tmp_path / "network"))]

    backup = tmp_path / "pace.pt"
    with pytest.raises(Killed):
        fit(network(), *callbacks(), Kill(epoch), backup=backup)
    assert backup.exists()
    again = fit(network(), *callbacks(), backup=backup)
    assert again.history == whole.history
    assert again.explain() == whole.explain()
    assert not backup.exists()


def test_a_backup_of_other_steps_is_refused(tmp_path: Path) -> None:
    backup = tmp_path / "pace.pt"
    torch.save({3: {}, 7: {}}, backup)
    model = network()
    model.optimizer.iterations.assign(5)
    with pytest.raises(ValueError, match=r"pace.pt must be of step 5, got steps 3, 7"):
        fit(model, backup=backup)


def test_the_history_holds_information_and_the_learning_rate() -> None:
    model = network()
    scheduler = fit(model)
    shown = model.shown["information"]
    assert shown[-5:] == scheduler.history["output"][-5:]
    rates = [decisions[0].lr for decisions in scheduler.decisions]
    assert model.shown["learning_rate"][-5:] == rates[-6:-1]


def test_the_progress_bar_shows_information_and_the_learning_rate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = network()
    scheduler = fit(model, epochs=2, verbose=1)
    shown = capsys.readouterr().out.replace("\b", "").strip().splitlines()[-1]
    assert f"information: {scheduler.history['output'][-1]:.4f}" in shown and "learning_rate: " in shown


@pytest.mark.slow
def test_it_ends_where_the_rule_says_so() -> None:
    model = network()
    scheduler = fit(model, epochs=200, policy=HoldAndDecay())
    assert scheduler.finished
    assert len(model.shown["loss"]) < 200


def test_a_second_fit_is_a_run_of_its_own() -> None:
    model = network()
    callback = MutualInformationCallback(small_probe())
    inputs, labels = (part.numpy() for part in digits())
    schedulers = []
    for _ in range(2):
        model.fit(inputs, labels, epochs=3, batch_size=BATCH, verbose=0, callbacks=[callback])
        schedulers.append(callback.scheduler)
        assert schedulers[-1].get_last_lr()[0] != float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert schedulers[0] is not schedulers[1]
    assert schedulers[0].state_dict()["steps"] == schedulers[1].state_dict()["steps"] == 3 * STEPS


def test_a_fit_after_one_that_was_interrupted_begins_anew() -> None:
    model = network()
    with pytest.raises(Killed):
        fit(model, Kill(2))
    assert float(model.optimizer.learning_rate) != pytest.approx(0.1)
    again = fit(model)
    rates = [decisions[0].lr for decisions in again.decisions]
    assert model.shown["learning_rate"][-5:] == rates[-6:-1]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert getattr(model.optimizer.apply, "of", None) is None


def test_a_model_that_ends_in_softmax() -> None:
    plain = fit(network())
    assert fit(network(softmax=True)).history["output"] == pytest.approx(plain.history["output"], abs=1e-3)


def test_a_schedule_of_keras_is_refused() -> None:
    schedule: Any = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(ValueError, match="learning_rate must be a number, got a schedule beside infopace's"):
        fit(network(keras.optimizers.SGD(schedule)))


def test_dropout_and_averages_are_rolled_back() -> None:
    """The averages of batch norm are variables of Keras, and trials put them back."""
    model = network(norm=True)
    scheduler = fit(model, epochs=1)
    assert scheduler.found
    averages = [one for one in model.non_trainable_variables if "moving" in one.path]
    assert len(averages) == 2 and all(np.isfinite(one.numpy()).all() for one in averages)


def test_a_module_of_torch_inside_is_measured_as_it_predicts_and_rolled_back() -> None:
    """Keras sets it to training unless it is called with training=False, and its averages are no variables."""
    norm: Any = nn.BatchNorm1d(10)
    module = nn.Sequential(nn.Linear(64, 10), norm, nn.Dropout(0.5))
    model = keras.Sequential([keras.Input((64,)), keras.layers.TorchModuleWrapper(module)])
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    scheduler = fit(model, epochs=2)
    averages = norm.running_mean.clone()
    found = small_probe().measure(model).output.estimate.nats
    assert torch.equal(norm.running_mean, averages)
    assert found == pytest.approx(small_probe().measure(module.eval()).output.estimate.nats, rel=1e-6)
    assert norm.num_batches_tracked == scheduler.state_dict()["steps"] == 2 * STEPS


class Sets(keras.callbacks.Callback):
    """Another callback that sets the rate."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = 1e-5  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("first", [True, False])
def test_another_callback_that_sets_the_rate_is_warned_of(first: bool) -> None:
    model, paced = network(), MutualInformationCallback(small_probe())
    inputs, labels = (part.numpy() for part in digits())
    callbacks = [Sets(), paced] if first else [paced, Sets()]
    with pytest.warns(
        UserWarning, match=r"another callback, .* has changed the learning rate to 1e-05"
    ) as said:
        model.fit(inputs, labels, epochs=3, batch_size=BATCH, shuffle=False, verbose=0, callbacks=callbacks)
    assert sum("another callback" in str(one.message) for one in said) == 1
    plain = fit(network(), epochs=3)
    assert paced.scheduler is not None and paced.scheduler.decisions == plain.decisions


def test_a_fit_that_begins_later_plans_what_is_left() -> None:
    callback, (inputs, labels) = MutualInformationCallback(small_probe()), (part.numpy() for part in digits())
    network().fit(
        inputs, labels, batch_size=BATCH, verbose=0, initial_epoch=4, epochs=10, callbacks=[callback]
    )
    assert callback.scheduler is not None and callback.scheduler.policy == HoldAndDecay(6)
