"""10,000 of CIFAR-10's images with crop and flip: a small ResNet and a small Vision Transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.augment import CropAndFlip
from infopace.lab.data import stratified_subset
from infopace.lab.optimizers import AdamWRecipe, SGDRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads._transformer import Block
from infopace.lab.workloads.cifar10 import STANDARDISE, load_cifar10


def load_10k() -> Data:
    """10,000 training images, the same stratified choice for every seed, and 2,000 of the test images."""
    return stratified_subset(load_cifar10(), 10_000, tests=2_000)


class ResidualBlock(nn.Module):
    """Two convolutions 3x3 with batch norm beside the identity, which is padded with channels of 0 [paper].

    Args:
        channels: Of the input.
        out: Channels of the output.
        stride: Of the first convolution; the identity keeps every such pixel.
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.new = stride, out - channels
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, stride=stride, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) -> (n, out, height / stride, width / stride)."""
        found = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        kept = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        return F.relu(found + kept)


class SmallResNet(nn.Module):
    """The ResNet-8 for CIFAR-10 of He et al. 2016 (section 4.2, n = 1): 75,290 parameters.

    Its first convolution has stride 2, with which a step takes a third of the time [measured]. The convolutions start
    as in He et al. 2015.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(
            ResidualBlock(16, 16, 1), ResidualBlock(16, 32, 2), ResidualBlock(32, 64, 2)
        )
        self.head = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) standardised -> (n, 10) logits."""
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.head(x.mean(dim=(2, 3)))


class SmallViT(nn.Module):
    """A Vision Transformer (Dosovitskiy et al. 2021): 64 patches of 4 x 4 pixels, blocks, their mean.

    Two blocks of width 32 with two heads. The mean stands instead of a class token, as in Beyer et al. 2022.
    28,554 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 32, 4, stride=4)
        self.place = nn.Parameter(0.02 * torch.randn(64, 32))
        self.blocks = nn.ModuleList([Block(32, 2), Block(32, 2)])
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) standardised -> (n, 10) logits."""
        x = self.embed(x).flatten(2).transpose(1, 2) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


CIFAR10_RESNET = Workload(
    name="cifar10-resnet",
    summary="10,000 CIFAR-10 images, ResNet-8, crop and flip, 20 epochs of 80 batches",
    load=load_10k,
    build_model=SmallResNet,
    task=CLASSES,
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.0013, lr_max=0.27, lr_top=0.2),
    optimizer=SGDRecipe(weight_decay=5e-4),
    epochs=20,
    batch_size=32,
    epoch_examples=2_560,
    augment=CropAndFlip(padding=4),
    prepare=STANDARDISE,
    channels_last=True,
    threads=1,
)
CIFAR10_VIT = Workload(
    name="cifar10-vit",
    summary="10,000 CIFAR-10 images, Vision Transformer of two blocks, crop and flip, 20 epochs of 80 batches",
    load=load_10k,
    build_model=SmallViT,
    task=CLASSES,
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.00003, lr_max=0.009, lr_top=0.0007),
    optimizer=AdamWRecipe(weight_decay=0.05),
    epochs=20,
    batch_size=32,
    epoch_examples=2_560,
    augment=CropAndFlip(padding=4),
    prepare=STANDARDISE,
    threads=1,
)
