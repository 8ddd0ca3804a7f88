"""CIFAR-10 as several workloads use it."""

from __future__ import annotations

from infopace.lab.data import load_images
from infopace.lab.workload import Data, Standardise

# [measured] over the 50,000 training images
STANDARDISE = Standardise(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))


def load_cifar10() -> Data:
    """50,000 training and 10,000 test images, (n, 3, 32, 32) uint8."""
    return load_images("cifar10", hub_name="uoft-cs/cifar10")
