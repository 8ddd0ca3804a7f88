"""Workloads that our rule was not made on, each small enough to tune a rival on:

infopace compare benchmarks/policies/unseen.py:MNIST_MLP \\
    --methods hold-and-anneal hold-and-anneal-free vasudevan-2020 sgd-cosine --seeds 10

and so for DEEP_MLP, CIFAR_PLAIN, CANCER_MLP, DIABETES. Those were the first five.

Expected, written before the first run: hold-and-anneal is not worse than the tuned cosine at p < .05 on any of the
five, and better than the paper's rule on DEEP_MLP and CIFAR_PLAIN; on CANCER_MLP (114 test rows) and DIABETES (noisy)
all are equal within the noise. Refuted by one loss to the cosine at p < .05.

Refuted: the rule loses where networks memorize. What came of it, held-out rows that join when the rate begins to
fall (hold-and-anneal-held-out), is judged on three more, which had no part in it: NOISY_MLP, a fifth of whose training
labels are random; MNIST_1K, 1,000 digits and a small convolutional network; FRIEDMAN_300, a regression on 300 rows.

Expected, again before the first run: hold-and-anneal-held-out is not worse than the tuned cosine at p < .05 on any of
the three, and better than hold-and-anneal at p < .05 on NOISY_MLP and FRIEDMAN_300; on MNIST_1K, where a tenth of the
rows is little to measure and much to miss, the two are equal within the noise. Refuted by one loss to the cosine at
p < .05.

Refuted for a known number of epochs, by NOISY_MLP. What came of that, a rise that is visible beyond its error over the
held-out rows and an anneal as long as the hold whether the number of epochs is known or not, is judged on three more,
declared after it was fixed: FLIPPED, 3,000 made rows of four classes, a tenth of the labels random; TURNED, a
regression: by how much a digit was turned; FRIEDMAN_2K, Friedman's first function, 2,000 rows with little noise, which
takes long to learn.

Expected, before their first run: hold-and-anneal-held-out is not worse than the tuned cosine at p < .05 on FLIPPED and
TURNED, and better than hold-and-anneal at p < .05 on FLIPPED; FRIEDMAN_2K, where nothing is memorized and every epoch
helps, is the one of the three on which it is most likely to lose, for it stops early. Refuted by a loss to the cosine
at p < .05.
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from pathlib import Path

import torch
from sklearn.datasets import load_diabetes, make_classification, make_friedman1
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.data import stratified_subset
from infopace.lab.workload import ACCURACY, Data, Metric, Workload, pixels_to_unit
from infopace.lab.workloads import find_workload


def mlp(*widths: int) -> nn.Module:
    """Fully connected layers with ReLU between them."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def mnist_mlp() -> nn.Module:
    return mlp(784, 128, 10)


def deep_mlp() -> nn.Module:
    return mlp(784, 64, 64, 64, 64, 64, 10)


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
    data = stratified_subset(find_workload("cifar10-small").load(), 5_000)
    return dataclasses.replace(
        data, test_inputs=data.test_inputs[:2_000], test_targets=data.test_targets[:2_000]
    )


def diabetes() -> Data:
    """342 training and 100 test rows, 10 standardised columns; the target standardised too."""
    rows, target = load_diabetes(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(rows, target, test_size=100, random_state=0)
    mean, std = train_x.mean(0), train_x.std(0)
    middle, spread = train_y.mean(), train_y.std()
    return Data(
        _floats((train_x - mean) / std),
        _floats((train_y - middle) / spread)[:, None],
        _floats((test_x - mean) / std),
        _floats((test_y - middle) / spread)[:, None],
    )


def relabelled_digits(share: float) -> Data:
    """mnist-10k's, with the labels of this share of the training rows drawn anew from all ten."""
    data = find_workload("mnist-10k").load()
    draws = torch.Generator().manual_seed(0)
    targets = data.train_targets.clone()
    noisy = torch.randperm(len(targets), generator=draws)[: int(share * len(targets))]
    targets[noisy] = torch.randint(10, noisy.shape, generator=draws)
    return dataclasses.replace(data, train_targets=targets)


def mnist_1k() -> Data:
    """1,000 training images, stratified, and 2,000 of the test images."""
    data = stratified_subset(find_workload("mnist-10k").load(), 1_000)
    return dataclasses.replace(
        data, test_inputs=data.test_inputs[:2_000], test_targets=data.test_targets[:2_000]
    )


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


def friedman(train: int, test: int, noise: float, seed: int) -> Data:
    """Rows of Friedman's first function, ten inputs of which five count; inputs and target standardised."""
    inputs, target = make_friedman1(train + test, 10, noise=noise, random_state=seed)
    target = (target - target[:train].mean()) / target[:train].std()
    x, y = _floats((inputs - 0.5) * math.sqrt(12)), _floats(target)[:, None]
    return Data(x[:train], y[:train], x[train:], y[train:])


def flipped() -> Data:
    """3,000 training and 2,000 test rows of four classes in 40 columns; of the training labels a tenth drawn anew."""
    inputs, labels = make_classification(
        5_000, 40, n_informative=10, n_classes=4, n_clusters_per_class=3, flip_y=0.0, random_state=0
    )
    x, y = _floats((inputs - inputs[:3_000].mean(0)) / inputs[:3_000].std(0)), torch.as_tensor(labels)
    draws = torch.Generator().manual_seed(0)
    noisy = torch.randperm(3_000, generator=draws)[:300]
    y[noisy] = torch.randint(4, noisy.shape, generator=draws)
    return Data(x[:3_000], y[:3_000], x[3_000:], y[3_000:])


def turned_digits() -> Data:
    """5,000 training and 2,000 test digits, each turned by up to 45 degrees; the target is the angle over 45."""
    data = find_workload("mnist-10k").load()
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


def _floats(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)


def _absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.double() - targets.double()).abs()


MNIST_MLP = Workload(
    name="mnist-mlp",
    summary="10,000 MNIST digits, MLP 784-128-10",
    load=find_workload("mnist-10k").load,
    build_model=mnist_mlp,
    loss=F.cross_entropy,
    metric=ACCURACY,
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
    build_model=deep_mlp,
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
    prepare=find_workload("cifar10-small").prepare,
    channels_last=True,
)
DIABETES = Workload(
    name="diabetes",
    summary="scikit-learn's diabetes data, MLP 10-32-32-1, regression",
    load=diabetes,
    build_model=lambda: mlp(10, 32, 32, 1),
    loss=F.mse_loss,
    metric=Metric("MAE", _absolute_error, higher_is_better=False),
    bounds=Bounds(0.001, 0.1),
    epochs=100,
    batch_size=32,
    probe_size=342,
    threads=1,
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
FRIEDMAN_300 = dataclasses.replace(
    DIABETES,
    name="friedman-300",
    summary="Friedman's first function, 300 rows, MLP 10-64-64-1, regression",
    load=lambda: friedman(300, 1000, 2.0, 1),
    build_model=lambda: mlp(10, 64, 64, 1),
    probe_size=300,
)
FLIPPED = dataclasses.replace(
    MNIST_MLP,
    name="flipped",
    summary="3,000 made rows of four classes, a tenth of the labels random, MLP 40-128-64-4",
    load=flipped,
    build_model=lambda: mlp(40, 128, 64, 4),
    epochs=30,
    prepare=DIABETES.prepare,
)
TURNED = dataclasses.replace(
    DIABETES,
    name="turned",
    summary="5,000 MNIST digits, by how much each was turned, MLP 784-128-64-1, regression",
    load=turned_digits,
    build_model=lambda: mlp(784, 128, 64, 1),
    epochs=30,
    batch_size=64,
    probe_size=1_000,
    prepare=pixels_to_unit,
)
FRIEDMAN_2K = dataclasses.replace(
    FRIEDMAN_300,
    name="friedman-2k",
    summary="Friedman's first function, 2,000 rows, little noise, MLP 10-64-64-1, regression",
    load=lambda: friedman(2_000, 2_000, 0.5, 2),
    epochs=60,
    probe_size=1_000,
)
CANCER_MLP = find_workload(f"{Path(__file__).parents[1]}/range_test/workloads.py:CANCER_MLP")
FIRST = (MNIST_MLP, DEEP_MLP, CIFAR_PLAIN, CANCER_MLP, DIABETES)
UNSEEN = {w.name: w for w in (*FIRST, NOISY_MLP, MNIST_1K, FRIEDMAN_300, FLIPPED, TURNED, FRIEDMAN_2K)}
