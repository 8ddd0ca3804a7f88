"""The workloads by name, and users' own workloads."""

from __future__ import annotations

import difflib

from infopace.lab.errors import InputError
from infopace.lab.workload import Workload
from infopace.lab.workloads._from_spec import load_object as load_object
from infopace.lab.workloads._from_spec import load_workload as load_workload
from infopace.lab.workloads.california_housing import CALIFORNIA_HOUSING
from infopace.lab.workloads.cifar10 import CIFAR10_ALLCONV, CIFAR10_SMALL, CIFAR10_VGG16
from infopace.lab.workloads.cifar100_wrn28_10 import CIFAR100_WRN28_10
from infopace.lab.workloads.clinc150 import CLINC150
from infopace.lab.workloads.digit_scenes import DIGIT_PIXELS, TWO_DIGITS
from infopace.lab.workloads.digits import DIGITS, DIGITS_MLP
from infopace.lab.workloads.handwritten_symbols import HANDWRITTEN_SYMBOLS
from infopace.lab.workloads.imagenet_resnet50 import IMAGENET_RESNET50
from infopace.lab.workloads.mnist import MNIST_10K, MNIST_LENET
from infopace.lab.workloads.movie_polarity import MOVIE_POLARITY
from infopace.lab.workloads.small_cifar10 import CIFAR10_RESNET, CIFAR10_VIT
from infopace.lab.workloads.small_images import (
    CIFAR_PLAIN,
    DEEP_MLP,
    MNIST_1K,
    MNIST_MLP,
    NOISY_MLP,
    TURNED,
)
from infopace.lab.workloads.small_tables import CANCER_MLP, DIABETES, FLIPPED, FRIEDMAN_2K, FRIEDMAN_300
from infopace.lab.workloads.spike_mnist import SPIKE_MNIST
from infopace.lab.workloads.tinyshakespeare import TINYSHAKESPEARE
from infopace.lab.workloads.uci_temperature import UCI_TEMPERATURE

_ALL = (
    DIGITS,
    MNIST_10K,
    MNIST_LENET,
    CIFAR10_SMALL,
    CIFAR10_RESNET,
    CIFAR10_VIT,
    CIFAR10_ALLCONV,
    CIFAR10_VGG16,
    CIFAR100_WRN28_10,
    IMAGENET_RESNET50,
    UCI_TEMPERATURE,
    CLINC150,
    MOVIE_POLARITY,
    TINYSHAKESPEARE,
    TWO_DIGITS,
    DIGIT_PIXELS,
    CALIFORNIA_HOUSING,
    SPIKE_MNIST,
    HANDWRITTEN_SYMBOLS,
    DIGITS_MLP,
    MNIST_MLP,
    DEEP_MLP,
    NOISY_MLP,
    MNIST_1K,
    TURNED,
    CIFAR_PLAIN,
    CANCER_MLP,
    DIABETES,
    FLIPPED,
    FRIEDMAN_300,
    FRIEDMAN_2K,
)
_OWN = "one of your own is path/to/file.py:OBJECT"
WORKLOADS: dict[str, Workload] = {w.name: w for w in _ALL}


def find_workload(name: str) -> Workload:
    """The workload called `name`, or the one at "module:object". Raises InputError that lists similar names."""
    if ":" in name:
        return load_workload(name)
    if name in WORKLOADS:
        return WORKLOADS[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), WORKLOADS, n=2, cutoff=0.4)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ";"
    raise InputError(f"unknown workload {name!r}{hint} The workloads are: {', '.join(WORKLOADS)}; {_OWN}")
