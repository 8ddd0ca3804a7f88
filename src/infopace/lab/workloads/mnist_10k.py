"""10,000 of MNIST's digits with the same LeNet: the size that a CPU trains in minutes. The test set is whole."""

from __future__ import annotations

import dataclasses

from infopace.lab.data import stratified_subset
from infopace.lab.workload import Data
from infopace.lab.workloads.mnist_lenet import MNIST_LENET, load_mnist


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
