"""A workload of your own: scikit-learn's breast-cancer data and a small MLP, in one object.

infopace train examples/own_workload.py:BREAST_CANCER
"""

from pathlib import Path

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

from infopace import Bounds
from infopace.lab.config import TrainConfig
from infopace.lab.progress import make_progress
from infopace.lab.run import Result, train
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload


def load() -> Data:
    """Standardised by the training examples; the same stratified split for every seed."""
    inputs, labels = load_breast_cancer(return_X_y=True)
    parts = train_test_split(inputs, labels, test_size=114, stratify=labels, random_state=0)
    train_x, test_x, train_y, test_y = (torch.as_tensor(part) for part in parts)
    mean, std = train_x.mean(0), train_x.std(0)
    return Data(((train_x - mean) / std).float(), train_y, ((test_x - mean) / std).float(), test_y)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))


BREAST_CANCER = Workload(
    name="breast-cancer",
    summary="scikit-learn's breast-cancer data, MLP 30-32-2",
    load=load,
    build_model=mlp,
    task=CLASSES,
    bounds=Bounds(lr_min=0.001, lr_max=0.1, lr_top=0.05),
    epochs=10,
    batch_size=32,
    probe_size=200,
    threads=1,
)


def main() -> Result:
    """Do the same as the command in the first lines."""
    result = train(TrainConfig(workload=f"{Path(__file__)}:BREAST_CANCER"), make_progress())
    print(*result.lines, sep="\n")
    return result


if __name__ == "__main__":
    main()
