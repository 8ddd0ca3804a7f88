"""The distance from which on nearest neighbours lose information; see README.md.

The information is known, and more and more columns of noise are added. Prints KSG-1 and Ross beside the distance to the
third neighbour as a share of the mean distance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace import mutual_information

N, K = 1000, 3


def main() -> None:
    """Print the three tables."""
    generator = torch.Generator().manual_seed(0)

    def normal(width: int) -> Tensor:
        return torch.randn(N, width, generator=generator, dtype=torch.float64)

    print("two vectors, 1 nat in one pair of columns")
    rho = math.sqrt(1 - math.exp(-2))
    for width in (1, 2, 3, 5, 10, 20, 50, 200):
        x, y = normal(width), normal(width)
        y[:, 0] = rho * x[:, 0] + math.sqrt(1 - rho**2) * y[:, 0]
        value = mutual_information(x, y, estimator="ksg1", std_error=False).nats
        print(f"  width {width:4}  ksg1 {value:.3f}  share {share(distances(x), distances(y)):.3f}")
    labels = torch.arange(N) % 2
    apart = labels[:, None] != labels[None, :]
    for shift in (2.0, 4.0):
        print(f"a vector and two classes, {shift:g} deviations apart in one column")
        for width in (1, 2, 5, 10, 20, 50, 200, 784):
            x = normal(width)
            x[:, 0] += shift * labels
            value = mutual_information(x, labels, std_error=False).nats
            print(f"  width {width:4}  ross {value:.3f}  share {share(distances(x), apart=apart):.3f}")


def distances(x: Tensor) -> Tensor:
    """Euclidean, in units of the root of the total variance."""
    return torch.cdist(x, x) / x.var(0).sum().sqrt()


def share(*blocks: Tensor, apart: Tensor | None = None) -> float:
    """Mean distance to the K-th neighbour (within the class) over the mean distance."""
    joint = torch.stack(blocks).amax(0)
    near = joint if apart is None else joint.masked_fill(apart, math.inf)
    near = near.clone().fill_diagonal_(math.inf)
    return float(near.topk(K, largest=False).values[:, -1].mean() / joint.mean())


if __name__ == "__main__":
    main()
