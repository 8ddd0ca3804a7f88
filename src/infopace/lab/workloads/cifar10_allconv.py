"""CIFAR-10 with All-CNN-C (Springenberg 2014): Vasudevan 2020 has 88.86 %, layer-wise 87.77 % (best of 3 seeds)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.workload import ACCURACY, Workload
from infopace.lab.workloads._cifar10 import STANDARDISE, load_cifar10


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
    loss=F.cross_entropy,
    metric=ACCURACY,
    bounds=Bounds(lr_min=0.00075, lr_max=0.04),  # [paper] the outcome of its range test
    epochs=350,
    batch_size=256,
    prepare=STANDARDISE,
    channels_last=True,
    levels=(0.85,),
)
