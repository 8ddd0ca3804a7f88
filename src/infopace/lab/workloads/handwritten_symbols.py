"""Handwritten symbols in black and white, and a dense network.

[reading] of Ampelakiotis 2021 (HCR), which cuts symbols of 28 x 28 from pages and recognizes 90.13 % with a dense ReLU
network and Adam. Its data are not public: as many of MNIST's digits stand for them. Its layers were not readable.
"""

from __future__ import annotations

from torch import Tensor

from infopace import Bounds
from infopace.lab.data import stratified_subset
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload, mlp
from infopace.lab.workloads.mnist import load_mnist

# Symbols for training and for testing in the paper.
EXAMPLES, TESTS = 16_750, 7_947


def load_symbols() -> Data:
    """16,750 training digits, stratified, and the first 7,947 test digits, (n, 1, 28, 28) uint8."""
    return stratified_subset(load_mnist(), EXAMPLES, tests=TESTS)


def black_and_white(batch: Tensor) -> Tensor:
    """(n, 1, 28, 28) grey levels -> 1 for ink, above 127, and 0 for paper, as the paper's pages become."""
    return (batch > 127).float()


HANDWRITTEN_SYMBOLS = Workload(
    name="handwritten-symbols",
    summary="16,750 MNIST digits in black and white for handwritten symbols, MLP 784-256-128-10, 10 epochs",
    load=load_symbols,
    build_model=lambda: mlp(784, 256, 128, 10),
    task=CLASSES,
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.000018, lr_max=0.027, lr_top=0.0055),
    optimizer=AdamWRecipe(),
    epochs=10,
    batch_size=128,
    prepare=black_and_white,
    threads=1,
)
