"""A small VGG on CIFAR-10 images with Jonsson's two terms, and controls; see README.md.

Rows: results/jonsson.jsonl, and of 10,000 images results/jonsson_large.jsonl
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import mutual_information
from infopace.lab.data import stratified_subset
from infopace.lab.environment import keep_freed_memory, set_determinism
from infopace.lab.workload import Data
from infopace.lab.workloads.cifar10 import STANDARDISE, load_cifar10
from infopace.regularizers import MINE, GaussianNoise, Layers, VariationalBottleneck
from studies.shared.rows import make_missing

NAME, LARGE = "jonsson", "jonsson_large"
IMAGES, TESTS, EPOCHS, BATCH = 1_000, 1_000, 24, 50
LR, WARM_UP = 0.02, 5  # epochs over which beta rises from 0
NOISE = 0.3  # of rms(T), in training and where I(X; T + N) is measured
LAYER, UNITS, PIXELS, WIDTHS = "fc1", 64, 3 * 32 * 32, (8, 16, 32)
LOOKS = (8, 24)  # the epochs after which the information is measured
FIT, READ = 100, 30  # critic steps, and batches that the estimate is the mean of
SEEDS = (9000, 9001, 9002, 9003, 9004)
IMAGES_OF = {NAME: IMAGES, LARGE: 10_000}
# Term and its strength: beta, the weight decay, or the share that is dropped.
HOW: tuple[tuple[str, float], ...] = (
    ("none", 0.0),
    ("noise", 0.0),
    ("mine", 0.3),
    ("vib", 0.0),
    ("vib", 0.01),
    ("weight decay", 0.005),
    ("dropout", 0.5),
)
# With more images, after the betas above took two points of accuracy.
SMALLER = {("mine", 0.3): ("mine", 0.1), ("vib", 0.01): ("vib", 0.003)}
HOW_OF = {NAME: HOW, LARGE: tuple(SMALLER.get(how, how) for how in HOW)}


class SmallVGG(nn.Module):
    """conv3x3 8/2 8 pool 16 16 pool 32 32 pool, fc64, fc10, ReLU, no batch norm: 27,090 parameters.

    The first convolution has stride 2, for the time that a step takes. Convolutions start as in He et al. 2015.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for out in WIDTHS:
            for _ in range(2):
                stride = 2 if channels == 3 else 1
                layers += [nn.Conv2d(channels, out, 3, padding=1, stride=stride), nn.ReLU()]
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc1 = nn.Linear(WIDTHS[-1] * 2 * 2, UNITS)
        self.fc2 = nn.Linear(UNITS, 10)
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) standardised -> (n, 10) logits."""
        return self.fc2(F.relu(self.fc1(self.features(x).flatten(1))))


@dataclass(frozen=True)
class Term:
    """What is added to the loss, and what is done to the layer that the rest of the network gets."""

    value: Callable[[Tensor, Tensor], Tensor] | None = None
    change: Callable[[Tensor], Tensor] | None = None
    parameters: tuple[nn.Parameter, ...] = ()


def build(term: str, strength: float) -> Term:
    """The term of a setting."""
    if term == "mine":
        mine = critic()
        return Term(mine, mine.noise)
    if term == "vib":
        bottleneck = VariationalBottleneck(UNITS)
        return Term(lambda t, x: bottleneck(t), bottleneck.sample, tuple(bottleneck.parameters()))
    if term == "noise":
        return Term(change=GaussianNoise(NOISE))
    return Term(change=nn.Dropout(strength) if term == "dropout" else None)


def critic() -> MINE:
    """Of the loss and of the measurement: one step on each batch."""
    return MINE(UNITS, PIXELS, noise=NOISE, hidden=64, projection=64, steps=2, lr=1e-3)


def batches(data: tuple[Tensor, Tensor], generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in a new order."""
    for rows in torch.randperm(len(data[0]), generator=generator).split(BATCH):
        yield data[0][rows], data[1][rows]


def trained(setting: dict[str, Any], data: Data, epochs: int = EPOCHS, lr: float = LR) -> dict[str, Any]:
    """The row of a run."""
    how, strength = setting["term"], setting["strength"]
    train, test = pair(data.train_inputs, data.train_targets), pair(data.test_inputs, data.test_targets)
    torch.manual_seed(setting["seed"])
    model = SmallVGG().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    term = build(how, strength)
    decay = strength if how == "weight decay" else 0.0
    optimizer = torch.optim.SGD(
        [*model.parameters(), *term.parameters], lr=lr, momentum=0.9, weight_decay=decay
    )
    order = torch.Generator().manual_seed(setting["seed"])
    row: dict[str, Any] = {"epochs": epochs, "test": [], "train": [], "value": [], "looks": []}
    began = time.process_time()
    with Layers(model, LAYER, change=term.change) as layers:
        for epoch in range(1, epochs + 1):
            beta = strength * min(1.0, epoch / WARM_UP)
            values, right = [], 0
            for inputs, targets in batches(train, order):
                optimizer.zero_grad()
                scores = model(inputs)
                loss = F.cross_entropy(scores, targets)
                if term.value is not None:
                    value = term.value(layers[LAYER], inputs)
                    values.append(float(value.detach()))
                    loss = loss + beta * value
                loss.backward()
                optimizer.step()
                right += int((scores.argmax(1) == targets).sum())
            row["train"].append(round(right / len(train[0]), 5))
            row["test"].append(round(accuracy(model, test), 5))
            row["value"].append(round(statistics.fmean(values), 4) if values else None)
            if epoch in LOOKS:
                row["looks"].append({"epoch": epoch, **look(model, train, test)})
    return row | {"processor_s": round(time.process_time() - began, 1)}


def pair(inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Images as the network gets them, and their labels."""
    return STANDARDISE(inputs).to(memory_format=torch.channels_last), targets


@torch.no_grad()
def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """In evaluation mode: without noise, sample or dropout."""
    model.eval()
    right = sum(
        int((model(x).argmax(1) == y).sum()) for x, y in zip(*(p.split(500) for p in data), strict=True)
    )
    model.train()
    return right / len(data[0])


def look(model: nn.Module, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """What the layer says of the inputs by a new critic, its null value, and what it says of the labels, in nats.

    The critic is fitted on training images, and read on test images: the mean of many batches and its standard error.
    For the null value the images are shuffled anew in each batch. It leaves the stream of random numbers as it was.
    """
    units = [outputs(model, part[0]) for part in (train, test)]
    images = [part[0].flatten(1) for part in (train, test)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = {
            name: estimate(units, images, shuffled) for name, shuffled in (("nats", False), ("null", True))
        }
    labels = mutual_information(units[1][:1000], test[1][:1000], std_error=False)
    return {**found, "labels": round(float(labels.nats), 4)}


def estimate(units: list[Tensor], images: list[Tensor], shuffled: bool) -> dict[str, list[float]]:
    """Mean and standard error over batches, on the training and the test images."""
    mine, values = critic(), {"train": [], "test": []}
    for _ in range(FIT):
        mine.fit(*drawn(units[0], images[0], shuffled))
    with torch.no_grad():
        for part, one, two in zip(values, units, images, strict=True):
            values[part] = [float(mine.bound(*drawn(one, two, shuffled))) for _ in range(READ)]
    return {
        part: [round(statistics.fmean(some), 4), round(statistics.stdev(some) / READ**0.5, 4)]
        for part, some in values.items()
    }


def drawn(units: Tensor, images: Tensor, shuffled: bool) -> tuple[Tensor, Tensor]:
    """A batch of pairs."""
    rows = torch.randperm(len(units))[:BATCH]
    return units[rows], images[rows[torch.randperm(BATCH)] if shuffled else rows]


@torch.no_grad()
def outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    """The layer's outputs in evaluation mode."""
    model.eval()
    with Layers(model, LAYER) as layers:
        found = []
        for some in inputs.split(500):
            model(some)
            found.append(layers[LAYER])
    model.train()
    return torch.cat(found)


def load(images: int) -> Data:
    """The images of every run."""
    return stratified_subset(load_cifar10(), images, tests=TESTS)


def main() -> None:
    """Make the rows that are missing, one seed after another."""
    parser = argparse.ArgumentParser(description="Jonsson's two terms on a small VGG")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--large", action="store_true", help="10,000 images and smaller betas")
    arguments = parser.parse_args()
    name = LARGE if arguments.large else NAME
    set_determinism(1, torch.device("cpu"))
    keep_freed_memory()
    data = load(IMAGES_OF[name])
    settings = [
        {"term": term, "strength": strength, "seed": seed}
        for seed in arguments.seeds
        for term, strength in HOW_OF[name]
    ]
    make_missing(name, settings, lambda setting: trained(setting, data))


if __name__ == "__main__":
    main()
