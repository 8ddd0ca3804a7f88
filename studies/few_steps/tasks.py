"""The tasks: six of short_plans and seven more, among them networks whose weights begin small."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn

from studies.short_plans import run as short_plans
from studies.short_plans.run import digits, mlp, scaled, standard

SMALL = 0.02  # the standard deviation of the weights of many Transformers when they are made
Build = Callable[[], nn.Module]


def small(build: Build) -> Build:
    """The same network with small weights, and biases of 0."""

    def built() -> nn.Module:
        model = build()
        for weight in model.parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=SMALL)
            else:
                nn.init.zeros_(weight)
        return model

    return built


class Rows(nn.Module):
    """Two blocks of a Transformer of width 32; the rows of an image are its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.positions = nn.Parameter(torch.randn(8, 32) * SMALL)
        block = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=SMALL)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 64) pixels -> (n, 10) logits."""
        tokens = self.embed(images.view(len(images), 8, 8)) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def many_classes() -> tuple[Tensor, Tensor]:
    """30 columns, 25 classes."""
    return standard(
        datasets.make_classification,
        n_samples=3000,
        n_features=30,
        n_informative=12,
        n_redundant=4,
        n_classes=25,
        n_clusters_per_class=1,
        class_sep=1.5,
        random_state=0,
    )


def friedman() -> tuple[Tensor, Tensor]:
    """Friedman's first function of 10 columns, with noise."""
    return standard(datasets.make_friedman1, n_samples=1500, noise=1.0, random_state=0)


def skewed() -> tuple[Tensor, Tensor]:
    """A quantity that is the exponential of a linear function, as prices are."""
    columns, values, *_ = datasets.make_regression(
        n_samples=1500, n_features=12, n_informative=6, noise=5.0, random_state=1
    )
    values = np.exp(values / (2 * values.std()))
    return scaled(torch.tensor(columns)), scaled(torch.tensor(values))[:, None]


TASKS: dict[str, tuple[Callable[[], tuple[Tensor, Tensor]], Build]] = {
    **{name: task for name, task in short_plans.TASKS.items() if name not in ("wine", "diabetes")},
    "digits, small weights": (digits, small(lambda: mlp(64, 10))),
    "digits, three layers, small weights": (digits, small(lambda: mlp(64, 10, 3))),
    "digits, Transformer": (digits, Rows),
    "25 classes": (many_classes, lambda: mlp(30, 25)),
    "25 classes, small weights": (many_classes, small(lambda: mlp(30, 25))),
    "friedman": (friedman, lambda: mlp(10, 1)),
    "skewed": (skewed, lambda: mlp(12, 1, 3)),
}
