"""CIFAR-10 with VGG-16 without batch norm: Vasudevan 2020 has 92.21 % (best of 3 seeds)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.augment import CropAndFlip
from infopace.lab.workload import ACCURACY, Workload
from infopace.lab.workloads._cifar10 import STANDARDISE, load_cifar10

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


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
    loss=F.cross_entropy,
    metric=ACCURACY,
    bounds=Bounds(lr_min=0.0003, lr_max=0.07, lr_top=0.01, epsilon=0.00048),  # [paper]
    epochs=200,
    batch_size=256,
    weight_decay=5e-4,
    augment=CropAndFlip(padding=4),
    prepare=STANDARDISE,
    channels_last=True,
    levels=(0.91, 0.92),  # [paper]
)
