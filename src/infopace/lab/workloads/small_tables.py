"""Small workloads of tables for studies: a run takes seconds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from infopace import Bounds
from infopace.lab.tasks import CLASSES, NUMBERS
from infopace.lab.workload import Data, Workload, mlp


def diabetes() -> Data:
    """342 training and 100 test examples, 10 standardised columns; the target standardised too."""
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import train_test_split

    inputs, target = load_diabetes(return_X_y=True)
    train_x, test_x, train_y, test_y = map(
        np.asarray, train_test_split(inputs, target, test_size=100, random_state=0)
    )
    mean, std = train_x.mean(0), train_x.std(0)
    middle, spread = train_y.mean(), train_y.std()
    return Data(
        _floats((train_x - mean) / std),
        _floats((train_y - middle) / spread)[:, None],
        _floats((test_x - mean) / std),
        _floats((test_y - middle) / spread)[:, None],
    )


def breast_cancer() -> Data:
    """455 training and 114 test examples, 30 standardised columns, the same stratified split for every seed."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    inputs, labels = load_breast_cancer(return_X_y=True)
    split = train_test_split(inputs, labels, test_size=114, stratify=labels, random_state=0)
    train_x, test_x, train_y, test_y = map(np.asarray, split)
    mean, std = train_x.mean(0), train_x.std(0)
    train, test = (torch.tensor((x - mean) / std, dtype=torch.float32) for x in (train_x, test_x))
    return Data(train, torch.as_tensor(train_y), test, torch.as_tensor(test_y))


def friedman(train: int, test: int, noise: float, seed: int) -> Data:
    """Examples of Friedman's first function: ten inputs, of which five count. Inputs and target are standardised."""
    from sklearn.datasets import make_friedman1

    inputs, target = make_friedman1(train + test, 10, noise=noise, random_state=seed)
    target = (target - target[:train].mean()) / target[:train].std()
    x, y = _floats((inputs - 0.5) * math.sqrt(12)), _floats(target)[:, None]
    return Data(x[:train], y[:train], x[train:], y[train:])


def flipped() -> Data:
    """3,000 training and 2,000 test examples of four classes in 40 columns; a tenth of the training labels random."""
    from sklearn.datasets import make_classification

    inputs, labels = make_classification(
        5_000, 40, n_informative=10, n_classes=4, n_clusters_per_class=3, flip_y=0.0, random_state=0
    )
    inputs = np.asarray(inputs)
    x, y = _floats((inputs - inputs[:3_000].mean(0)) / inputs[:3_000].std(0)), torch.as_tensor(labels)
    draws = torch.Generator().manual_seed(0)
    noisy = torch.randperm(3_000, generator=draws)[:300]
    y[noisy] = torch.randint(4, noisy.shape, generator=draws)
    return Data(x[:3_000], y[:3_000], x[3_000:], y[3_000:])


def _floats(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)


CANCER_MLP = Workload(
    name="cancer-mlp",
    summary="scikit-learn's breast cancer data, MLP 32-32",
    load=breast_cancer,
    build_model=lambda: mlp(30, 32, 32, 2),
    task=CLASSES,
    bounds=Bounds(0.001, 0.1),
    epochs=30,
    batch_size=32,
    probe_size=455,
    threads=1,
)
DIABETES = Workload(
    name="diabetes",
    summary="scikit-learn's diabetes data, MLP 10-32-32-1, regression",
    load=diabetes,
    build_model=lambda: mlp(10, 32, 32, 1),
    task=NUMBERS,
    bounds=Bounds(0.001, 0.1),
    epochs=100,
    batch_size=32,
    probe_size=342,
    threads=1,
)
FRIEDMAN_300 = dataclasses.replace(
    DIABETES,
    name="friedman-300",
    summary="Friedman's first function, 300 examples, MLP 10-64-64-1, regression",
    load=lambda: friedman(300, 1000, 2.0, 1),
    build_model=lambda: mlp(10, 64, 64, 1),
    probe_size=300,
)
FRIEDMAN_2K = dataclasses.replace(
    FRIEDMAN_300,
    name="friedman-2k",
    summary="Friedman's first function, 2,000 examples, little noise, MLP 10-64-64-1, regression",
    load=lambda: friedman(2_000, 2_000, 0.5, 2),
    epochs=60,
    probe_size=1_000,
)
FLIPPED = Workload(
    name="flipped",
    summary="3,000 artificial examples of four classes, a tenth of the labels random, MLP 40-128-64-4",
    load=flipped,
    build_model=lambda: mlp(40, 128, 64, 4),
    task=CLASSES,
    bounds=Bounds(0.001, 0.1),
    epochs=30,
    batch_size=64,
    threads=1,
)
