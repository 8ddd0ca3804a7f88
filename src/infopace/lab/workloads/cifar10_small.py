"""10,000 of CIFAR-10's images with a small conv net: the size that a CPU trains in minutes. The test set is whole."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.augment import CropAndFlip
from infopace.lab.data import stratified_subset
from infopace.lab.workload import ACCURACY, Data, Workload
from infopace.lab.workloads._cifar10 import STANDARDISE, load_cifar10


class SmallConvNet(nn.Module):
    """conv3x3 16, 32, 64, each with batch norm, ReLU and a pool, fc64, fc10."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(64)
        self.fc1 = nn.Linear(64 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) standardised -> (n, 10) logits."""
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.norm3(self.conv3(x))), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def load_cifar10_small() -> Data:
    """10,000 training images, the same stratified choice for every seed, and all 10,000 test images."""
    return stratified_subset(load_cifar10(), 10_000)


CIFAR10_SMALL = Workload(
    name="cifar10-small",
    summary="10,000 CIFAR-10 images, a small conv net, 20 epochs",
    load=load_cifar10_small,
    build_model=SmallConvNet,
    loss=F.cross_entropy,
    metric=ACCURACY,
    # [paper] those of All-CNN-C, the nearest network on the same images; no grid has been run for this one
    bounds=Bounds(lr_min=0.00075, lr_max=0.04),
    epochs=20,
    batch_size=64,
    augment=CropAndFlip(padding=4),
    prepare=STANDARDISE,
    # [measured] one CPU thread, a like network: a third faster; bf16 autocast took ten times as long as float32
    # there, on a processor without instructions for it
    channels_last=True,
    threads=1,
    levels=(0.55, 0.6),
)
