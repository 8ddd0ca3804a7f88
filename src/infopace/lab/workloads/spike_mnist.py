"""Binary features of MNIST's digits, and a network whose hidden units spike, with a surrogate gradient.

[reading] of SpykeFlow (Vaila): its classifier, with its spikes and its first surrogate. Its features come from
convolutions that spike-timing dependent plasticity has trained, in 12 time steps. Those are not at hand: here the same
30 maps of 5 x 5 have fixed random weights, and one step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.data import stratified_subset
from infopace.lab.optimizers import SGDRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads.mnist import load_mnist

# Of the constant of the surrogate gradient, whose derivative is 1 up to a quarter of it.
TAU = 0.5
# Grey levels by which a pixel must differ from its surround to count.
CONTRAST = 15.0
MAPS = 30
# What the weights of a map must sum to at a place for a spike. [measured] 13 % of the pooled features are 1.
THRESHOLD = 6.0
FEATURES = MAPS * 11 * 11


def spike(z: Tensor, tau: float = TAU) -> Tensor:
    """1 where z >= 0 and 0 elsewhere; the derivative counts as 1 on 0 <= z <= tau / 4 and as 0 elsewhere.

    >>> z = torch.tensor([-0.1, 0.0, 0.1, 0.2], requires_grad=True)
    >>> spike(z).tolist()
    [0.0, 1.0, 1.0, 1.0]
    >>> spike(z).sum().backward()
    >>> z.grad.tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    window = z.clamp(0.0, tau / 4)  # its derivative is the surrogate; what is added is 0
    return (z >= 0).to(z.dtype) + (window - window.detach())


def floor(z: Tensor) -> Tensor:
    """The largest whole number that is not above z; the derivative counts as 1."""
    return z.detach().floor() + (z - z.detach())


def contrasts(images: Tensor) -> Tensor:
    """(n, 1, 28, 28) grey levels -> (n, 2, 27, 27): 1 where a pixel is far above its surround, or far below it.

    The surround is a difference of Gaussians of 1 and 2 pixels in a window of 7 x 7.
    """
    at = torch.arange(-3.0, 4.0) ** 2
    narrow, wide = ((-(at[:, None] + at) / (2 * sd**2)).exp() for sd in (1.0, 2.0))
    kernel = (narrow / narrow.sum() - wide / wide.sum())[None, None]
    found = F.conv2d(images.float(), kernel, padding=3)[..., :27, :27]
    return torch.cat([found >= CONTRAST, found <= -CONTRAST], 1).float()


def spikes_of(images: Tensor) -> Tensor:
    """(n, 1, 28, 28) grey levels -> (n, 3630) uint8: where 30 fixed random maps of 5 x 5 spike, max-pooled by 2."""
    weights = torch.randn(MAPS, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    parts = [
        F.max_pool2d((F.conv2d(contrasts(part), weights) >= THRESHOLD).float(), 2).flatten(1).byte()
        for part in images.split(500)
    ]
    return torch.cat(parts)


def load_spikes() -> Data:
    """Features (n, 3630) of 4,000 training digits, stratified, and of 2,000 of the test digits."""
    data = stratified_subset(load_mnist(), 4_000, tests=2_000)
    inputs = [spikes_of(images[:]) for images in (data.train_inputs, data.test_inputs)]
    return Data(inputs[0], data.train_targets, inputs[1], data.test_targets)


def to_float(batch: Tensor) -> Tensor:
    """(n, 3630) uint8 -> float32."""
    return batch.float()


class SpikingClassifier(nn.Module):
    """Linear layer, spikes, dropout, linear layer, the outputs rounded down: 1,092,310 parameters.

    Args:
        hidden: Units that spike. SpykeFlow has 1,000; 300 keep a run short.
    """

    def __init__(self, hidden: int = 300) -> None:
        super().__init__()
        self.hidden = nn.Linear(FEATURES, hidden)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3630) zeros and ones -> (n, 10) logits, whole numbers."""
        return floor(self.out(self.dropout(spike(self.hidden(x)))))


SPIKE_MNIST = Workload(
    name="spike-mnist",
    summary="binary features of 4,000 MNIST digits, a hidden layer of 300 spikes with a surrogate gradient, 10 epochs",
    load=load_spikes,
    build_model=SpikingClassifier,
    task=CLASSES,
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.0012, lr_max=0.15, lr_top=0.086),
    optimizer=SGDRecipe(momentum=0.0, nesterov=False),
    epochs=10,
    batch_size=50,
    prepare=to_float,
    threads=1,
)
