"""CIFAR-100 with WRN-28-10 (Zagoruyko 2016): Vasudevan 2020 has 81.25 % (best of 3 seeds)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.augment import CropAndFlip
from infopace.lab.data import load_images
from infopace.lab.optimizers import SGDRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads.cifar10 import STANDARDISE

_BLOCKS_A_STAGE = (28 - 4) // 6
_WIDTHS = (160, 320, 640)  # 16, 32, 64, ten times as wide


class _Block(nn.Module):
    """Batch norm, ReLU, conv3x3, twice, beside the identity or, where the shape changes, a 1x1 convolution."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(channels, out, 1, stride=stride, bias=False) if channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        beside = x if self.shortcut is None else self.shortcut(active)
        return beside + self.conv2(F.relu(self.norm2(self.conv1(active))))


class WideResNet28x10(nn.Module):
    """Three stages of four pre-activated blocks, 160, 320 and 640 wide, no dropout: 36,536,884 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        channels = 16
        for stage, out in enumerate(_WIDTHS):
            for block in range(_BLOCKS_A_STAGE):
                blocks.append(_Block(channels, out, stride=2 if stage > 0 and block == 0 else 1))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, 100)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 32, 32) standardised -> (n, 100) logits."""
        x = F.relu(self.norm(self.blocks(self.conv(x))))
        return self.fc(x.mean(dim=(2, 3)))


def load_cifar100() -> Data:
    """50,000 training and 10,000 test images, (n, 3, 32, 32) uint8, with the 100 fine labels."""
    return load_images("cifar100", hub_name="uoft-cs/cifar100")


CIFAR100_WRN28_10 = Workload(
    name="cifar100-wrn28-10",
    summary="CIFAR-100, WRN-28-10, reflected crop and flip, 200 epochs",
    load=load_cifar100,
    build_model=WideResNet28x10,
    task=CLASSES,
    bounds=Bounds(lr_min=0.0003, lr_max=0.07),  # [paper]
    epochs=200,
    batch_size=128,
    optimizer=SGDRecipe(weight_decay=5e-4),
    augment=CropAndFlip(padding=4, mode="reflect"),
    prepare=STANDARDISE,  # [reading] the recipe names no numbers, and CIFAR-10's pictures have the same source
    channels_last=True,
    levels=(0.80, 0.81),  # [paper]
)
