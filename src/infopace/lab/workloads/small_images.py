"""Small workloads of images for studies: a comparison takes minutes on two cores."""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.data import stratified_subset
from infopace.lab.tasks import CLASSES, NUMBERS
from infopace.lab.workload import Data, Workload, mlp, pixels_to_unit
from infopace.lab.workloads.cifar10 import CIFAR10_SMALL
from infopace.lab.workloads.mnist import MNIST_10K


def plain_conv() -> nn.Module:
    """Three convolutions without batch norm."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def cifar_5k() -> Data:
    """5,000 training images, stratified, and 2,000 of the test images."""
    return stratified_subset(CIFAR10_SMALL.load(), 5_000, tests=2_000)


def relabelled_digits(share: float) -> Data:
    """mnist-10k's, with the labels of this share of the training examples drawn again from all ten."""
    data = MNIST_10K.load()
    draws = torch.Generator().manual_seed(0)
    targets = data.train_targets.clone()
    noisy = torch.randperm(len(targets), generator=draws)[: int(share * len(targets))]
    targets[noisy] = torch.randint(10, noisy.shape, generator=draws)
    return dataclasses.replace(data, train_targets=targets)


def mnist_1k() -> Data:
    """1,000 training images, stratified, and 2,000 of the test images."""
    return stratified_subset(MNIST_10K.load(), 1_000, tests=2_000)


def small_conv() -> nn.Module:
    """Two convolutions with batch norm."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1568, 10),
    )


def turned_digits() -> Data:
    """5,000 training and 2,000 test digits, each rotated by up to 45 degrees; the target is the angle over 45."""
    data = MNIST_10K.load()
    draws = torch.Generator().manual_seed(0)
    sets: list[Tensor] = []
    for images, n in ((data.train_inputs, 5_000), (data.test_inputs, 2_000)):
        share = torch.rand(n, generator=draws) * 2 - 1
        angle = share * (math.pi / 4)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(n)
        turn = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
        grid = F.affine_grid(turn, [n, 1, 28, 28], align_corners=False)
        sets += [F.grid_sample(images[:n].float(), grid, align_corners=False).byte(), share[:, None]]
    return Data(*sets)


MNIST_MLP = Workload(
    name="mnist-mlp",
    summary="10,000 MNIST digits, MLP 784-128-10",
    load=MNIST_10K.load,
    build_model=lambda: mlp(784, 128, 10),
    task=CLASSES,
    bounds=Bounds(0.001, 0.1),
    epochs=20,
    batch_size=64,
    prepare=pixels_to_unit,
    threads=1,
)
DEEP_MLP = dataclasses.replace(
    MNIST_MLP,
    name="deep-mlp",
    summary="10,000 MNIST digits, five hidden layers of 64",
    build_model=lambda: mlp(784, 64, 64, 64, 64, 64, 10),
    epochs=30,
)
CIFAR_PLAIN = dataclasses.replace(
    MNIST_MLP,
    name="cifar-plain",
    summary="5,000 CIFAR-10 images, three convolutions without batch norm",
    load=cifar_5k,
    build_model=plain_conv,
    epochs=15,
    batch_size=50,
    prepare=CIFAR10_SMALL.prepare,
    channels_last=True,
)
NOISY_MLP = dataclasses.replace(
    MNIST_MLP,
    name="noisy-mlp",
    summary="10,000 MNIST digits, a fifth of the labels random, MLP 784-256-128-10",
    load=partial(relabelled_digits, 0.2),
    build_model=lambda: mlp(784, 256, 128, 10),
)
MNIST_1K = dataclasses.replace(
    MNIST_MLP,
    name="mnist-1k",
    summary="1,000 MNIST digits, two convolutions with batch norm",
    load=mnist_1k,
    build_model=small_conv,
    epochs=30,
    batch_size=32,
    channels_last=True,
)
TURNED = dataclasses.replace(
    MNIST_MLP,
    name="turned",
    summary="5,000 rotated MNIST digits, the angle of each, MLP 784-128-64-1, regression",
    load=turned_digits,
    build_model=lambda: mlp(784, 128, 64, 1),
    task=NUMBERS,
    epochs=30,
)
