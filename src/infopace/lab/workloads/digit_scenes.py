"""Scenes made of MNIST's digits: two in one picture, with a label for each digit, and up to four, pixel by pixel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.tasks import IGNORED, MULTI_LABEL, PIXELS
from infopace.lab.workload import Data, Workload, pixels_to_unit
from infopace.lab.workloads._transformer import Block
from infopace.lab.workloads.mnist import load_mnist

_CANVAS = 32
# The middle of a MNIST image holds the digit. It is shrunk to a cell.
_MIDDLE, _CELL = slice(4, 24), 14
# A pixel of a digit is at least this bright, background at most that; between them nobody can say.
_DIGIT, _BACKGROUND = 100, 25


def load_two_digits() -> Data:
    """10,000 training and 2,000 test pictures (n, 1, 32, 32) of two digits; targets (n, 10): 1.0 for those digits.

    The digits lie over each other, each moved by up to four pixels. They differ. The pictures are always the same.
    """
    return _from_mnist(overlaid, 10_000, 2_000)


def _from_mnist(
    make: Callable[[Tensor, Tensor, int, torch.Generator], tuple[Tensor, Tensor]], train: int, test: int
) -> Data:
    """So many training and test pictures that `make` puts together from images and labels of MNIST."""
    data = load_mnist()
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor)
    draws = torch.Generator().manual_seed(0)
    trained = make(data.train_inputs, data.train_targets, train, draws)
    return Data(*trained, *make(data.test_inputs, data.test_targets, test, draws))


def overlaid(images: Tensor, labels: Tensor, n: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """(n, 1, 32, 32) uint8 pictures and (n, 10) targets, each of two images (28 x 28) with other labels."""
    pairs: list[Tensor] = []
    while sum(map(len, pairs)) < n:
        drawn = torch.randint(len(labels), (n, 2), generator=draws)
        pairs.append(drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]])
    chosen = torch.cat(pairs)[:n]
    pictures = torch.zeros(n, 1, _CANVAS, _CANVAS, dtype=torch.uint8)
    moves = torch.randint(_CANVAS - 28 + 1, (n, 2, 2), generator=draws).tolist()
    for picture, places, both in zip(pictures, moves, chosen.tolist(), strict=True):
        for (top, left), one in zip(places, both, strict=True):
            part = picture[:, top : top + 28, left : left + 28]
            torch.maximum(part, images[one], out=part)
    targets = torch.zeros(n, 10).scatter_(1, labels[chosen], 1.0)
    return pictures, targets


def load_digit_pixels() -> Data:
    """4,000 training and 1,000 test pictures (n, 1, 28, 28) of one to four digits; targets (n, 28, 28) for each pixel.

    Class 0 is background, class d + 1 the digit d. Grey pixels at the edge of a digit do not count (-100).
    """
    return _from_mnist(scenes, 4_000, 1_000)


def scenes(images: Tensor, labels: Tensor, n: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """(n, 1, 28, 28) uint8 pictures and (n, 28, 28) targets: images, shrunk, in a grid of 2 x 2."""
    chosen = torch.randint(len(labels), (n, 2, 2), generator=draws)
    there = torch.rand(n, 2, 2, generator=draws) < 0.6
    # A picture without any digit gets one.
    there[:, 0, 0] |= ~there.flatten(1).any(1)
    middles = images[chosen.flatten()][..., _MIDDLE, _MIDDLE].float()
    small = F.adaptive_avg_pool2d(middles, _CELL).byte().view(n, 2, 2, _CELL, _CELL)
    small = small * there[..., None, None]
    of_digit = (labels[chosen] + 1)[..., None, None].expand_as(small)
    targets = torch.full_like(of_digit, IGNORED)
    targets = torch.where(small >= _DIGIT, of_digit, targets)
    targets = torch.where(small <= _BACKGROUND, 0, targets)
    return _joined(small)[:, None], _joined(targets)


def _joined(cells: Tensor) -> Tensor:
    """(n, 2, 2, 14, 14) -> (n, 28, 28)."""
    return cells.permute(0, 1, 3, 2, 4).reshape(len(cells), 2 * _CELL, 2 * _CELL)


class TwoDigitsNet(nn.Module):
    """conv5x5-16/2 conv3x3-32/2 fc128 fc64 fc10, ReLU: 276,234 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(32 * 8 * 8, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 32, 32) in [0, 1] -> (n, 10) logits, one a digit."""
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class PatchNet(nn.Module):
    """Patches of 4 x 4 pixels, two blocks of a Transformer of width 48, pixels from each patch: 68,432 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 48, 4, stride=4)
        self.place = nn.Embedding(49, 48)
        self.blocks = nn.ModuleList([Block(48, 4), Block(48, 4)])
        self.norm = nn.LayerNorm(48)
        self.head = nn.Linear(48, 16 * 11)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 28, 28) in [0, 1] -> (n, 11, 28, 28) logits."""
        patches = self.patches(x).flatten(2).transpose(1, 2) + self.place.weight
        for block in self.blocks:
            patches = block(patches)
        pixels = self.head(self.norm(patches)).transpose(1, 2)
        return F.pixel_shuffle(pixels.unflatten(2, (7, 7)), 4)


TWO_DIGITS = Workload(
    name="two-digits",
    summary="two MNIST digits over each other, which ten labels say, small CNN",
    load=load_two_digits,
    build_model=TwoDigitsNet,
    task=MULTI_LABEL,
    # [measured] by infopace range-test with one trial and seed 1000, rounded; also below
    bounds=Bounds(lr_min=0.000001, lr_max=0.009, lr_top=0.006),
    optimizer=AdamWRecipe(),
    epochs=15,
    batch_size=64,
    prepare=pixels_to_unit,
    threads=1,
)
DIGIT_PIXELS = dataclasses.replace(
    TWO_DIGITS,
    name="digit-pixels",
    summary="the digit to which each pixel belongs, one to four small MNIST digits, Transformer of two blocks",
    load=load_digit_pixels,
    build_model=PatchNet,
    task=PIXELS,
    bounds=Bounds(lr_min=0.000005, lr_max=0.02, lr_top=0.004),
    batch_size=32,
    probe_size=300,
)
