"""Three small classifications whose best constant learning rate can be found by training: for repeatability.py."""

from __future__ import annotations

import dataclasses

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.workload import ACCURACY, Data, Workload
from infopace.lab.workloads import find_workload


def digits_mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def cancer_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))


def breast_cancer() -> Data:
    """455 training and 114 test rows, 30 standardised columns, the same stratified split for every seed."""
    rows, labels = load_breast_cancer(return_X_y=True)
    split = train_test_split(rows, labels, test_size=114, stratify=labels, random_state=0)
    train_x, test_x, train_y, test_y = split
    mean, std = train_x.mean(0), train_x.std(0)
    train, test = (torch.tensor((x - mean) / std, dtype=torch.float32) for x in (train_x, test_x))
    return Data(train, torch.as_tensor(train_y), test, torch.as_tensor(test_y))


DIGITS_CNN = find_workload("digits")
DIGITS_MLP = dataclasses.replace(DIGITS_CNN, name="digits-mlp", build_model=digits_mlp)
CANCER_MLP = Workload(
    name="cancer-mlp",
    summary="scikit-learn's breast cancer data, MLP 32-32",
    load=breast_cancer,
    build_model=cancer_mlp,
    loss=F.cross_entropy,
    metric=ACCURACY,
    bounds=Bounds(0.001, 0.1),
    epochs=30,
    batch_size=32,
    probe_size=455,
    threads=1,
)
WORKLOADS = {w.name: w for w in (DIGITS_MLP, dataclasses.replace(DIGITS_CNN, name="digits-cnn"), CANCER_MLP)}
