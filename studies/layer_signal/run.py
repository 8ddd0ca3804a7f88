"""What hidden layers know during training, by several signals; see README.md. Rows: results/layer_signal.jsonl"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import functools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from infopace.lab.batches import caster, drawn_batches
from infopace.lab.data import stratified_subset
from infopace.lab.environment import seed_epoch, set_determinism
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads import find_workload
from infopace.lab.workloads.cifar10 import load_cifar10
from infopace.model import weight_layers
from studies.layer_signal.signals import ALL, ON_ALL, QUICK, SLOW, Signal
from studies.shared.rows import RESULTS, read

NAME = "layer_signal"
CHECKPOINTS = (0, 1, 2, 4, 8)
# Columns of a layer that the slow signal measures at most.
NARROW = 2_048


@dataclasses.dataclass(frozen=True)
class Network:
    """A workload at a constant learning rate.

    Attributes:
        spec: Its name.
        rate: The learning rate of its own optimizer.
        probe: Examples of a probe.
        load: Its data with enough test examples for two probes and a test; None: its own.
        layers: Patterns of the layers that are measured; of networks with many, those that end a block.
    """

    spec: str
    rate: float
    probe: int = 1_000
    load: Callable[[], Data] | None = None
    layers: tuple[str, ...] = ("*",)

    def measures(self, layer: str) -> bool:
        """Whether a layer is measured."""
        return any(fnmatch.fnmatchcase(layer, pattern) for pattern in self.layers)


def cifar(train: int) -> Data:
    """So many training images, stratified, and 5,000 of the test images."""
    return stratified_subset(load_cifar10(), train, tests=5_000)


_BLOCKS = ("conv", "embed", "*.conv2", "*.out", "*.narrow", "output")
NETWORKS = {
    network.spec: network
    for network in (
        Network("cifar-plain", 0.02, load=functools.partial(cifar, 5_000)),
        Network("cifar10-resnet", 0.05, load=functools.partial(cifar, 10_000), layers=_BLOCKS),
        Network("cifar10-vit", 0.001, load=functools.partial(cifar, 10_000), layers=_BLOCKS),
        Network("clinc150", 0.002, 1_500, layers=_BLOCKS),
        Network("california-housing", 0.002),
    )
}


def main() -> None:
    """Train each network and measure what has no row yet."""
    parser = argparse.ArgumentParser(description="What hidden layers know during training")
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--slow", action="store_true", help="the linear probe, in narrow layers of the first seed"
    )
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    for seed in arguments.seeds[:1] if arguments.slow else arguments.seeds:
        for spec in arguments.networks:
            signals = {name: one for name, one in QUICK.items() if seed == 0 or name in ON_ALL}
            run(NETWORKS[spec], seed, {SLOW: ALL[SLOW]} if arguments.slow else signals)


def run(network: Network, seed: int, signals: dict[str, Signal]) -> None:
    """Train one network and append the rows that are missing."""
    rows = RESULTS / f"{NAME}.jsonl"
    done = {(r["network"], r["seed"], r["epoch"], r["signal"]) for r in read(rows)}
    whole = [
        (network.spec, seed, epoch, signal)
        for epoch in CHECKPOINTS
        for signal in signals
        if wanted(signal, "first", epoch)
    ]
    workload = find_workload(network.spec)
    if all(key in done for key in whole) or (SLOW in signals and workload.task.metric.name == "MAE"):
        return
    data = workload.load() if network.load is None else network.load()
    training = train(workload, data, network.rate, seed)
    for epoch, model in training:
        probes = dict(probes_of(data, network.probe, workload, seed))
        test, loss = tested(model, workload, *probes.pop("test"))
        for name, signal in signals.items():
            if (network.spec, seed, epoch, name) in done or not wanted(name, "first", epoch):
                continue
            found: list[dict[str, Any]] = []
            for probe, (inputs, targets) in probes.items():
                if not wanted(name, probe, epoch):
                    continue
                for layer, values in outputs_of(model, inputs).items():
                    if not network.measures(layer) or (name == SLOW and values[0].numel() > NARROW):
                        continue
                    began = time.process_time()
                    nats = signal(values, targets)
                    found.append(
                        {
                            "layer": layer,
                            "width": values[0].numel(),
                            "probe": probe,
                            "nats": round(nats, 5),
                            "seconds": round(time.process_time() - began, 4),
                        }
                    )
            row = {
                "network": network.spec,
                "seed": seed,
                "epoch": epoch,
                "signal": name,
                "test": round(test, 5),
                "loss": round(loss, 5),
                "found": found,
            }
            with open(rows, "a") as file:
                file.write(json.dumps(row) + "\n")
            print(network.spec, seed, epoch, name, f"{test:.4f}", flush=True)


def wanted(signal: str, probe: str, epoch: int) -> bool:
    """Whether a signal is measured on a probe: the slow one on one, at two checkpoints; two on training examples."""
    if signal == SLOW:
        return probe == "first" and epoch in (CHECKPOINTS[0], CHECKPOINTS[-1])
    if probe == "training":
        return signal in ("neighbours", "ridge")
    return probe != "shuffled" or epoch == CHECKPOINTS[-1]


def train(workload: Workload, data: Data, rate: float, seed: int) -> Iterator[tuple[int, nn.Module]]:
    """The model after each number of epochs in `CHECKPOINTS`, at a constant learning rate."""
    cast = caster(workload)
    seed_epoch(seed, 0)
    model = workload.build_model()
    if workload.channels_last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = workload.optimizer.build(model, rate)
    yield 0, model
    for epoch in range(1, CHECKPOINTS[-1] + 1):
        model.train()
        order = seed_epoch(seed, epoch)
        for batch in drawn_batches(workload, len(data.train_targets), order):
            inputs = data.train_inputs[batch]
            assert isinstance(inputs, Tensor), "data in memory"
            if workload.augment is not None:
                inputs = workload.augment(inputs, order)
            optimizer.zero_grad(set_to_none=True)
            workload.task.loss(model(cast(inputs)), data.train_targets[batch]).backward()
            optimizer.step()
        model.eval()
        if epoch in CHECKPOINTS:
            yield epoch, model


def probes_of(
    data: Data, n: int, workload: Workload, seed: int
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Two disjoint probes of test examples, the first with shuffled targets, one of training examples, and the rest."""
    cast = caster(workload)
    assert isinstance(data.test_inputs, Tensor), "data in memory"
    assert isinstance(data.train_inputs, Tensor), "data in memory"
    draws = torch.Generator().manual_seed(seed)
    order = stratified(data.test_targets, draws)
    names = {"first": order[:n], "second": order[n : 2 * n], "test": order[2 * n :]}
    for name, index in names.items():
        yield name, (cast(data.test_inputs[index]), data.test_targets[index])
    mixed = data.test_targets[order[:n]][torch.randperm(n, generator=draws)]
    yield "shuffled", (cast(data.test_inputs[order[:n]]), mixed)
    index = stratified(data.train_targets, draws)[:n]
    yield "training", (cast(data.train_inputs[index]), data.train_targets[index])


def stratified(targets: Tensor, draws: torch.Generator) -> Tensor:
    """A random order of the examples in which every stretch has about as many of each class."""
    order = torch.randperm(len(targets), generator=draws)
    if targets.is_floating_point():
        return order
    labels = targets[order]
    place = torch.zeros(len(labels), dtype=torch.float64)
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        place[own] = (torch.arange(len(own)).double() + torch.rand(len(own), generator=draws).double()) / len(
            own
        )
    return order[place.argsort()]


@torch.no_grad()
def tested(model: nn.Module, workload: Workload, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """The test metric and the loss."""
    model.eval()
    outputs = torch.cat([model(part) for part in inputs.split(500)])
    metric = float(workload.metric.score(outputs, targets).double().mean())
    return metric, float(workload.task.loss(outputs, targets))


@torch.no_grad()
def outputs_of(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """The outputs of each layer with weights, (n, ..). The last layer is the output."""
    found: dict[str, Tensor] = {}
    model.eval()
    handles = [
        module.register_forward_hook(lambda _, __, result, name=name: found.update({name: result}))
        for name, module in weight_layers(model).items()
    ]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    *_, last = found
    return {
        ("output" if name == last else name): values.contiguous()
        for name, values in found.items()
        if len(values) == len(inputs)
    }


if __name__ == "__main__":
    main()
