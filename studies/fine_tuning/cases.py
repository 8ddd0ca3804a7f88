"""Pretrained networks, and what each is fine-tuned on. Nothing is downloaded: the networks are pretrained here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from infopace.lab.data import data_file
from infopace.lab.tasks import CLASSES, TOKENS, Task
from infopace.lab.workload import pixels_to_unit
from infopace.lab.workloads.clinc150 import RequestNet, load_clinc150
from infopace.lab.workloads.mnist import load_mnist
from infopace.lab.workloads.tinyshakespeare import FILE, SmallGPT

BATCH = 16
# Characters in a window: half of the workload's.
LENGTH = 32
Pairs = tuple[Tensor, Tensor]
"""Inputs and targets of examples."""


@dataclass(frozen=True)
class Parts:
    """Examples for pretraining, and for fine-tuning, validation and testing."""

    before: Pairs
    train: Pairs
    validation: Pairs
    test: Pairs


@dataclass(frozen=True)
class Case:
    """A network, and what it is pretrained and fine-tuned on.

    Attributes:
        load: The examples.
        build: The network as it is pretrained.
        task: Loss and metric.
        classes: Those that it is fine-tuned on, with a new head; 0: the head is kept.
        pretraining: Steps of it.
        lr: The highest rate of it.
        probe: Examples that are measured.
        prepare: Inputs as the network takes them.
    """

    load: Callable[[], Parts]
    build: Callable[[], nn.Module]
    task: Task
    classes: int
    pretraining: int
    lr: float
    probe: int
    prepare: Callable[[Tensor], Tensor] = lambda inputs: inputs


def of_classes(pairs: Pairs, first: int, last: int) -> Pairs:
    """The examples of classes first .. last - 1, which become 0, 1 and so on."""
    inputs, targets = pairs
    kept = (targets >= first) & (targets < last)
    return inputs[kept], targets[kept] - first


def split(pairs: Pairs, *each: int) -> list[Pairs]:
    """So many examples of each class for the first part, the next part and so on, in the order they come."""
    inputs, targets = pairs
    order = [torch.nonzero(targets == one).flatten() for one in targets.unique()]
    parts, begin = [], 0
    for n in each:
        picked = torch.cat([some[begin : begin + n] for some in order])
        parts.append((inputs[picked], targets[picked]))
        begin += n
    return parts


def requests() -> Parts:
    """CLINC150: pretrained on 100 classes; 80 training and 20 validation examples of each of the other 50."""
    data = load_clinc150()
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor), "word numbers"
    known, asked = (data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets)
    train, validation = split(of_classes(known, 100, 150), 80, 20)
    return Parts(of_classes(known, 0, 100), train, validation, of_classes(asked, 100, 150))


def digits() -> Parts:
    """MNIST: pretrained on 0 to 4; 100 training, 100 validation and 500 test images of each of 5 to 9."""
    data = load_mnist()
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor), "images in memory"
    known, asked = (data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets)
    train, validation = split(of_classes(known, 5, 10), 100, 100)
    (test,) = split(of_classes(asked, 5, 10), 500)
    ready = [(pixels_to_unit(inputs), targets) for inputs, targets in (train, validation, test)]
    return Parts(of_classes(known, 0, 5), *ready)


def characters() -> Parts:
    """Pretrained on film reviews in small letters, fine-tuned on Shakespeare's plays, both character by character."""
    import pandas

    plays = data_file(FILE, "fine_tuning", "the plays of Shakespeare as one text").read_text(encoding="utf-8")
    name = "movie-review-polarity/train-00000-of-00001.parquet"
    reviews = pandas.read_parquet(data_file(name, "fine_tuning", "sentence polarity as parquet"))["text"]
    numbers = {character: number for number, character in enumerate(sorted(set(plays)))}
    before, after = (
        torch.tensor([numbers[one] for one in text if one in numbers])
        for text in ("\n".join(reviews.tolist()), plays)
    )
    ends = [len(after) * tenths // 10 for tenths in (0, 8, 9, 10)]
    train, validation, test = (after[begin:end] for begin, end in itertools.pairwise(ends))
    return Parts(
        windows(before, 8), windows(train, 8), windows(validation, LENGTH, 300), windows(test, LENGTH, 500)
    )


class DigitNet(nn.Module):
    """784-128-128-5 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.head = nn.Linear(128, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 28, 28) -> (n, 5) logits."""
        return self.head(self.layers(x.flatten(1)))


def small_gpt() -> SmallGPT:
    """With one block and windows of 32 characters, so that a run takes seconds."""
    model = SmallGPT()
    model.blocks, model.place = model.blocks[:1], nn.Embedding(LENGTH, 64)
    return model


def windows(text: Tensor, every: int, n: int | None = None) -> Pairs:
    """Windows of 32 characters, and the characters after each; with n so many of them, evenly spread."""
    cut = text.unfold(0, LENGTH + 1, every)
    if n is not None:
        cut = cut[torch.linspace(0, len(cut) - 1, n).long()]
    return cut[:, :-1], cut[:, 1:]


CASES = {
    "requests": Case(requests, RequestNet, CLASSES, 50, 3_000, 0.005, 500),
    "digits": Case(digits, DigitNet, CLASSES, 5, 3_000, 0.003, 500, pixels_to_unit),
    "characters": Case(characters, small_gpt, TOKENS, 0, 4_000, 0.005, 200),
}


def pretrained(name: str, parts: Parts, folder: Path) -> nn.Module:
    """The pretrained network, from the folder where it is there."""
    case, path = CASES[name], folder / f"{name}.pt"
    torch.manual_seed(0)
    model = case.build()
    if path.exists():
        model.load_state_dict(torch.load(path))
        return model
    optimizer = torch.optim.AdamW(model.parameters(), case.lr, fused=True)
    schedule = OneCycleLR(optimizer, case.lr, total_steps=case.pretraining)
    inputs, targets = parts.before
    draws = torch.Generator().manual_seed(0)
    loss = torch.zeros(())
    for _ in range(case.pretraining):
        batch = torch.randint(len(targets), (BATCH,), generator=draws)
        optimizer.zero_grad()
        loss = case.task.loss(model(case.prepare(inputs[batch])), targets[batch])
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"{name}: pretrained, the last batch's loss is {float(loss.detach()):.3f}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)
    return model
