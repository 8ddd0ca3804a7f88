"""MNIST with the LeNet of Vasudevan 2020, whole and 10,000 digits of it.

Vasudevan 2020 has 99.27 %, layer-wise 99.39 %; each is the best test value of 3 seeds.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.data import load_images, stratified_subset
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload, pixels_to_unit


class LeNet(nn.Module):
    """conv5x5-32 pool conv5x5-64 pool fc512 dropout .5 fc10, "same" padding, ReLU [paper]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.fc1 = nn.Linear(64 * 7 * 7, 512)
        self.dropout = nn.Dropout(0.5)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 28, 28) in [0, 1] -> (n, 10) logits."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))
        return self.fc2(x)


def load_mnist() -> Data:
    """60,000 training and 10,000 test images, (n, 1, 28, 28) uint8."""
    return load_images("mnist", hub_name="ylecun/mnist")


MNIST_LENET = Workload(
    name="mnist-lenet",
    summary="MNIST, the LeNet of Vasudevan 2020, 50 epochs",
    load=load_mnist,
    build_model=LeNet,
    task=CLASSES,
    # [paper] lr_min and lr_max, the outcome of its range test; lr_top [measured]: 98.3 % after one epoch
    bounds=Bounds(lr_min=0.0001, lr_max=0.2, lr_top=0.05),
    epochs=50,
    batch_size=256,
    prepare=pixels_to_unit,
    channels_last=True,  # [measured] 55 s an epoch instead of 60 s on one CPU thread
    levels=(0.99, 0.993),
)


def load_mnist_10k() -> Data:
    """10,000 training images, the same stratified choice for every seed, and all 10,000 test images."""
    return stratified_subset(load_mnist(), 10_000)


# Everything else, the bounds too, is as for all of MNIST.
MNIST_10K = dataclasses.replace(
    MNIST_LENET,
    name="mnist-10k",
    summary="10,000 MNIST digits, the LeNet of Vasudevan 2020, 20 epochs",
    load=load_mnist_10k,
    epochs=20,
    threads=1,
    levels=(0.97, 0.98),
)
