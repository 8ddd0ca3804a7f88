"""CIFAR-10: All-CNN-C and VGG-16 as in Vasudevan 2020, and a small network on 10,000 of the images.

Vasudevan 2020 has 88.86 % with All-CNN-C, layer-wise 87.77 %, and 92.21 % with VGG-16; each is the best of 3 seeds.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.augment import CropAndFlip
from infopace.lab.data import load_images, stratified_subset
from infopace.lab.optimizers import SGDRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Standardise, Workload

# [measured] over the 50,000 training images
STANDARDISE = Standardise(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
# The output channels of VGG-16's convolutions, block by block.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def load_cifar10() -> Data:
    """50,000 training and 10,000 test images, (n, 3, 32, 32) uint8."""
    return load_images("cifar10", hub_name="uoft-cs/cifar10")


class AllConvC(nn.Module):
    """conv3x3 96 96 96/2 192 192 192/2 192, conv1x1 192 10, ReLU, global average: 1,369,738 parameters.

    Dropout .5 follows the two convolutions of stride 2 [paper].
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 3, padding=1)
        self.conv2 = nn.Conv2d(96, 96, 3, padding=1)
        self.conv3 = nn.Conv2d(96, 96, 3, padding=1, stride=2)
        self.conv4 = nn.Conv2d(96, 192, 3, padding=1)
        self.conv5 = nn.Conv2d(192, 192, 3, padding=1)
        self.conv6 = nn.Conv2d(192, 192, 3, padding=1, stride=2)
        self.conv7 = nn.Conv2d(192, 192, 3, padding=1)
        self.conv8 = nn.Conv2d(192, 192, 1)
        self.conv9 = nn.Conv2d(192, 10, 1)
        self.dropout = nn.Dropout(0.5)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # [reading] the recipe names no initialisation; He's keeps the signal through nine ReLU layers,
                # where torch's default shrinks it in each.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) standardised -> (n, 10) logits."""
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.relu(conv(x))
        x = self.dropout(x)
        for conv in (self.conv4, self.conv5, self.conv6):
            x = F.relu(conv(x))
        x = self.dropout(x)
        for conv in (self.conv7, self.conv8, self.conv9):
            x = F.relu(conv(x))
        return x.mean(dim=(2, 3))


CIFAR10_ALLCONV = Workload(
    name="cifar10-allconv",
    summary="CIFAR-10, All-CNN-C, no augmentation, 350 epochs",
    load=load_cifar10,
    build_model=AllConvC,
    task=CLASSES,
    bounds=Bounds(lr_min=0.00075, lr_max=0.04),  # [paper] the outcome of its range test
    epochs=350,
    batch_size=256,
    prepare=STANDARDISE,
    channels_last=True,
    levels=(0.85,),
)


class VGG16(nn.Module):
    """13 convolutions 3x3 in five blocks, each followed by a pool; dropout-512-ReLU-dropout-512-ReLU-10 [paper].

    Convolutions start at N(0, sqrt(2 / (9 out))), their biases at 0 [paper]. 15,245,130 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block in _BLOCKS:
            for out in block:
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, 10),
        )
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / (9 * module.out_channels)))
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) standardised -> (n, 10) logits."""
        return self.classifier(self.features(x).flatten(1))


CIFAR10_VGG16 = Workload(
    name="cifar10-vgg16",
    summary="CIFAR-10, VGG-16 without batch norm, crop and flip, 200 epochs",
    load=load_cifar10,
    build_model=VGG16,
    task=CLASSES,
    bounds=Bounds(lr_min=0.0003, lr_max=0.07, lr_top=0.01, epsilon=0.00048),  # [paper]
    epochs=200,
    batch_size=256,
    optimizer=SGDRecipe(weight_decay=5e-4),
    augment=CropAndFlip(padding=4),
    prepare=STANDARDISE,
    channels_last=True,
    levels=(0.91, 0.92),  # [paper]
)


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
    task=CLASSES,
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
