"""scikit-learn's 8x8 digits with a small CNN: the default, because it needs no download."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload, mlp


class SmallCNN(nn.Module):
    """conv3x3-16, conv3x3-32, pool, fc64, fc10, all ReLU: 35,562 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding="same")
        self.conv2 = nn.Conv2d(16, 32, 3, padding="same")
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 8, 8) in [0, 1] -> (n, 10) logits."""
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def load_digits() -> Data:
    """1,437 training and 360 test images, the same stratified split for every seed."""
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    images, labels = sklearn_digits(return_X_y=True)
    split = train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)
    train_x, test_x, train_y, test_y = split
    return Data(_pixels(train_x), torch.as_tensor(train_y), _pixels(test_x), torch.as_tensor(test_y))


def _pixels(rows: object) -> Tensor:
    return torch.as_tensor(rows).to(torch.uint8).reshape(-1, 1, 8, 8)


def grey_levels_to_unit(batch: Tensor) -> Tensor:
    """(n, 1, 8, 8) uint8 in 0..16, as this data set counts its grey levels -> float32 in [0, 1]."""
    return batch.float().div_(16.0)


DIGITS = Workload(
    name="digits",
    summary="scikit-learn's 8x8 digits, small CNN; needs no download",
    load=load_digits,
    build_model=SmallCNN,
    task=CLASSES,
    # [measured] by `infopace compare digits`, its range test with seed 1000, rounded. Constant rates agree
    # (studies/constant_rates/run.py digits --epochs 30 --seeds 100 101): 0.950 at 0.003, 0.969 at 0.01, 0.979 at 0.03,
    # 0.522 at 0.1, where one seed collapsed, 0.149 at 0.2.
    bounds=Bounds(lr_min=0.0026, lr_max=0.105, lr_top=0.046),
    epochs=30,
    batch_size=32,
    threads=1,
    prepare=grey_levels_to_unit,
    levels=(0.95, 0.97),
)
DIGITS_MLP = dataclasses.replace(
    DIGITS,
    name="digits-mlp",
    summary="scikit-learn's 8x8 digits, MLP 64-64-64-10",
    build_model=lambda: mlp(64, 64, 64, 10),
)
