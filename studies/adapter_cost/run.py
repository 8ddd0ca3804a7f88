"""Steps and epochs of each framework with its adapter beside those without; see README.md.

Rows: results/adapter_cost.jsonl
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import logging
import os
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.workloads import find_workload

RESULTS = Path(__file__).resolve().parents[2] / "results" / "adapter_cost.jsonl"
# Steps of one example each, which are short, so that what an adapter adds stands out.
EXAMPLES = 600
# Bounds are given, so that no search runs.
OPTIONS: dict[str, Any] = {"bounds": Bounds(1e-5, 1e-4), "policy": HoldAndDecay()}
# Processor seconds of an epoch, and the scheduler if there was one.
Timed = tuple[float, MutualInformationLR | None]


class Epoch:
    """What an epoch trains on, and when it began and ended, in seconds of processor time.

    Args:
        whole: All of MNIST in batches of the workload's size; otherwise few steps of one example each.
    """

    def __init__(self, whole: bool = False) -> None:
        self.workload = find_workload("mnist-lenet")
        data = self.workload.load()
        assert isinstance(data.train_inputs, torch.Tensor)
        self.steps = len(data.train_targets) // self.workload.batch_size
        kept = None if whole else EXAMPLES
        self.batch = self.workload.batch_size if whole else 1
        inputs = data.train_inputs.float() / (255 if whole else 1)
        self.inputs, self.targets = inputs[:kept], data.train_targets[:kept]
        self.probe = Probe.sample((inputs, data.train_targets))
        self.began = self.ended = 0.0
        self.clock: Callable[[], float] = time.process_time
        self.turn: Callable[..., None] | None = None  # where another epoch takes turns with this one
        self.laps: list[float] = []  # when its turns ended and began again
        self.network = self.model()

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        self.network = self.workload.build_model()
        self.network.register_forward_pre_hook(self._before_batch)
        return self.network

    def _before_batch(self, network: nn.Module, inputs: Any) -> None:
        if self.turn is not None and self.began and not self.ended and network.training:
            self.laps.append(self.clock())
            self.turn()
            self.laps.append(self.clock())

    def loader(self) -> DataLoader[Any]:
        data = TensorDataset(self.inputs, self.targets)
        return DataLoader(data, batch_size=self.batch, shuffle=True)

    def begin(self) -> None:
        if self.turn is not None:
            self.turn(begin=True)
        self.began = self.clock()

    def end(self) -> None:
        self.ended = self.clock()

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def seconds_by_turns(self) -> float:
        """As many turns as there were at their median, and the last one, in which the epoch ends."""
        turns = [end - begin for begin, end in zip(self.laps[1:-1:2], self.laps[2::2], strict=True)]
        return len(turns) * statistics.median(turns) + self.ended - self.laps[-1]


def under_lightning(epoch: Epoch, paced: bool) -> Timed:
    """An epoch of a Trainer of Lightning."""
    import lightning

    from infopace.integrations.lightning import MutualInformationCallback

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = epoch.model()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.net(inputs)

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)

        def on_train_epoch_start(self) -> None:
            epoch.begin()

        def on_train_epoch_end(self) -> None:
            epoch.end()

    callback = MutualInformationCallback(epoch.probe, **OPTIONS)
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[callback] if paced else [], **quiet
    )
    trainer.fit(Module(), epoch.loader())
    return epoch.seconds, callback.scheduler


def under_transformers(epoch: Epoch, paced: bool) -> Timed:
    """An epoch of a Trainer of Transformers."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from infopace.integrations.transformers import pace

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = epoch.model()

        def forward(
            self, pixels: torch.Tensor, labels: torch.Tensor | None = None
        ) -> dict[str, torch.Tensor]:
            logits = self.net(pixels)
            found = {"logits": logits}
            return found if labels is None else {"loss": nn.functional.cross_entropy(logits, labels), **found}

    class Clock(TrainerCallback):
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            epoch.begin()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            epoch.end()

    items: Any = TensorDataset(epoch.inputs, epoch.targets)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=epoch.batch,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(
            Net(),
            arguments,
            train_dataset=items,
            data_collator=lambda batch: {
                "pixels": torch.stack([one for one, _ in batch]),
                "labels": torch.stack([one for _, one in batch]),
            },
            callbacks=[Clock()],
        )
        if paced:
            probe = Probe({"pixels": epoch.probe.inputs}, epoch.probe.targets)
            pace(trainer, probe, every=len(epoch.loader()), **OPTIONS)
        trainer.train()
    found = trainer.lr_scheduler
    return epoch.seconds, found if isinstance(found, MutualInformationLR) else None


def under_accelerate(epoch: Epoch, paced: bool) -> Timed:
    """An epoch of a loop under an Accelerator."""
    from accelerate import Accelerator

    from infopace.integrations.accelerate import pace

    accelerator, net = Accelerator(cpu=True), epoch.model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    model, optimizer, loader = accelerator.prepare(net, optimizer, epoch.loader())
    scheduler = pace(accelerator, model, optimizer, loader, epoch.probe, **OPTIONS) if paced else None
    epoch.begin()
    for inputs, targets in loader:
        accelerator.backward(nn.functional.cross_entropy(model(inputs), targets))
        optimizer.step()
        optimizer.zero_grad()
    if scheduler is not None:
        scheduler.observe()
        scheduler.step()
    epoch.end()
    return epoch.seconds, scheduler


def under_keras(timed_epoch: Epoch, paced: bool) -> Timed:
    """An epoch of `fit` of Keras, of the same network in a layer of its own."""
    import keras

    from infopace.integrations.keras import MutualInformationCallback

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            timed_epoch.begin()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            timed_epoch.end()

    shape = tuple(timed_epoch.inputs.shape[1:])
    model = keras.Sequential([keras.Input(shape), keras.layers.TorchModuleWrapper(timed_epoch.model())])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    callback = MutualInformationCallback(timed_epoch.probe, **OPTIONS)
    inputs, targets = timed_epoch.inputs.numpy(), timed_epoch.targets.numpy()
    callbacks = [callback, Clock()] if paced else [Clock()]
    quiet: Any = 0
    model.fit(inputs, targets, batch_size=timed_epoch.batch, verbose=quiet, callbacks=callbacks)
    return timed_epoch.seconds, callback.scheduler


UNDER: dict[str, Callable[[Epoch, bool], Timed]] = {
    "lightning": under_lightning,
    "transformers": under_transformers,
    "accelerate": under_accelerate,
    "keras": under_keras,
}


def main() -> None:
    """Time the frameworks and append a row each. Epochs with and without take turns in one process."""
    parser = argparse.ArgumentParser(description="What each adapter costs of an epoch")
    parser.add_argument("frameworks", nargs="*", default=list(UNDER))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="whole epochs of mnist-lenet in its own batches")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    set_determinism(1, torch.device("cpu"))
    epoch, time_it = Epoch(arguments.whole), whole if arguments.whole else timed
    for name in arguments.frameworks:
        row = time_it(name, epoch, arguments.pairs)
        print(row, flush=True)
        with open(RESULTS, "a") as file:
            file.write(json.dumps(row) + "\n")


def usual_step(epoch: Epoch) -> float:
    """Seconds of a bare step of the workload's own batch size, the median of some."""
    model, size, seconds = epoch.model(), epoch.workload.batch_size, list[float]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(40):
        began = time.process_time()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(epoch.inputs[:size]), epoch.targets[:size]).backward()
        optimizer.step()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def timed(name: str, epoch: Epoch, pairs: int) -> dict[str, object]:
    """The row of one framework."""
    without, paced, measured = [list[float]() for _ in range(3)]
    for _ in range(pairs + 1):
        without.append(UNDER[name](epoch, False)[0])
        seconds, scheduler = UNDER[name](epoch, True)
        assert scheduler is not None and len(scheduler.history["output"]) == 2, "measured once in the epoch"
        paced.append(seconds)
        began = time.process_time()
        epoch.probe.measure(epoch.network)
        measured.append(time.process_time() - began)
    kept = list(zip(without, paced, measured, strict=True))[1:]  # the first warms up
    usual = 1e6 * usual_step(epoch)
    added = [1e6 * (two - one - cost) / EXAMPLES for one, two, cost in kept]
    return {
        "framework": name,
        "pairs": pairs,
        "steps": EXAMPLES,
        "step_us": round(1e6 * statistics.median(without) / EXAMPLES),
        "usual_step_us": round(usual),
        "added_us": [round(one, 1) for one in added],
        "measuring": round(1e6 * statistics.median(measured) / (usual * epoch.steps), 5),
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),
    }


def whole(name: str, epoch: Epoch, pairs: int) -> dict[str, object]:
    """The row of one framework for whole epochs, the measurement at the end of each with them.

    Both train at the same rate, because what a step takes depends on the numbers in the network.
    """
    seconds: dict[bool, list[float]] = {False: [], True: []}
    measured: list[float] = []
    alternating(name, Epoch())  # short ones, to warm up
    usual, OPTIONS["bounds"] = OPTIONS["bounds"], Bounds(1e-3, 0.01, 0.01)
    for _ in range(pairs):
        for paced, took in alternating(name, epoch).items():
            seconds[paced].append(took)
        began = time.process_time()
        epoch.probe.measure(epoch.network)
        measured.append(time.process_time() - began)
    OPTIONS["bounds"] = usual
    return {
        "framework": name,
        "pairs": pairs,
        "batch": epoch.batch,
        "epoch_s": [round(one, 3) for one in seconds[False]],
        "paced_s": [round(one, 3) for one in seconds[True]],
        "measured_s": [round(one, 3) for one in measured],
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),
    }


def alternating(name: str, epoch: Epoch) -> dict[bool, float]:
    """Seconds of an epoch without the adapter and of one with it, which take turns batch by batch."""
    turns, seconds = Turns(), dict[bool, float]()

    def run(paced: bool) -> None:
        own = copy.copy(epoch)
        own.clock, own.turn, own.laps = time.thread_time, functools.partial(turns.next, paced), []
        try:
            scheduler = UNDER[name](own, paced)[1]
            seconds[paced] = own.seconds_by_turns
            assert not paced or (scheduler is not None and len(scheduler.history["output"]) == 2)
        finally:
            turns.leave(paced)

    threads = [threading.Thread(target=run, args=(paced,)) for paced in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


class Turns:
    """Two threads of which one runs at a time; the other waits for its turn."""

    def __init__(self) -> None:
        self._changed, self._turn, self._here, self._left = threading.Condition(), False, 0, False

    def next(self, me: bool, begin: bool = False) -> None:
        """Hand over, and wait for the next turn. The first time both wait for each other."""
        with self._changed:
            if begin:
                self._here += 1
            else:
                self._turn = not me
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._left or (self._here == 2 and self._turn == me))

    def leave(self, me: bool) -> None:
        """One is over; the other need not wait any more."""
        with self._changed:
            self._left = True
            self._changed.notify_all()


if __name__ == "__main__":
    main()
