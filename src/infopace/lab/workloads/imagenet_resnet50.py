"""ImageNet with ResNet-50 (He 2015): Vasudevan 2020 has 76.05 % (best of 3 seeds).

The images, about 150 GB as they are published, are decoded batch by batch on the CPU's cores: 1.28 million of them at
256 x 256 would be 250 GB as uint8, more than a machine's memory.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.augment import ResizedCropAndFlip
from infopace.lab.data import load_large_images
from infopace.lab.optimizers import SGDRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Standardise, Workload

_DECODED, _CROP = 256, 224
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first block
_EXPANSION = 4


class _Bottleneck(nn.Module):
    """conv1x1, conv3x3, conv1x1, each with batch norm, beside the identity or a 1x1 convolution.

    The stride is in the 3x3 convolution, as in torch's own ResNet-50 [reading].
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * _EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        beside = self.shortcut(x)
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return F.relu(self.norm3(self.conv3(x)) + beside)


class ResNet50(nn.Module):
    """conv7x7-64/2, pool/2, 3 + 4 + 6 + 3 bottlenecks, global average, fc1000: 25,557,032 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        blocks: list[nn.Module] = []
        channels = 64
        for width, count, stride in _STAGES:
            for block in range(count):
                blocks.append(_Bottleneck(channels, width, stride if block == 0 else 1))
                channels = width * _EXPANSION
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 224, 224) standardised -> (n, 1000) logits."""
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 3, stride=2, padding=1)
        return self.fc(self.blocks(x).mean(dim=(2, 3)))


def load_imagenet() -> Data:
    """1.28 million training images; the 50,000 validation images test, for the hub's test set has no labels.

    Each is the middle square of the image, scaled to 256 x 256.
    """
    return load_large_images(
        "imagenet", hub_name="ILSVRC/imagenet-1k", size=_DECODED, test_splits=("validation",)
    )


IMAGENET_RESNET50 = Workload(
    name="imagenet-resnet50",
    summary="ImageNet, ResNet-50, random resized crop and flip, 100 epochs",
    load=load_imagenet,
    build_model=ResNet50,
    task=CLASSES,
    bounds=Bounds(lr_min=0.0005, lr_max=0.1),  # [paper]
    epochs=100,
    batch_size=256,
    optimizer=SGDRecipe(weight_decay=1e-4),
    # [reading] the paper names no augmentation; this is the usual one, but cut from the middle square
    augment=ResizedCropAndFlip(_CROP),
    # the usual numbers of ImageNet; tests see the middle 224 x 224 of 256 x 256
    prepare=Standardise(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=_CROP),
    # An example needs three neighbours in its class. Of 1,000 examples each class would have one.
    probe_size=5_000,
    channels_last=True,
    levels=(0.70, 0.75),
)
