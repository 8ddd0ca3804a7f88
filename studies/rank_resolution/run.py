"""Bias of a Gaussian copula fitted to ranks, where y = x + s e has nearly all the information that n examples show.

python -m benchmarks.estimators.rank_resolution
"""

from __future__ import annotations

import math

import torch

from infopace.estimators._dependence._copula import fit_gaussian
from infopace.estimators._dependence._scores import rank_bias, uniform_scores

DRAWS = 40


def main() -> None:
    """One line per n and distance of the information below ln n: measured bias, spread, and the formula."""
    generator = torch.Generator().manual_seed(0)
    for n in (30, 100, 300, 1000, 3000, 10_000):
        for below in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0):
            truth = math.log(n) - below
            if truth < 0.1:
                continue
            noise = 1 / math.sqrt(math.expm1(2 * truth))
            values = []
            for _ in range(DRAWS):
                x = torch.randn(n, 1, generator=generator, dtype=torch.float64)
                y = x + noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)
                u = torch.cat([uniform_scores(x), uniform_scores(y)], 1)
                values.append(fit_gaussian(u, 1).information())
            found = torch.tensor(values, dtype=torch.float64)
            formula = rank_bias(found.mean()[None], n, 2)
            print(
                f"n {n}, {below} below: {found.mean() - truth:+.3f} +- {found.std():.3f}, formula {formula:+.3f}"
            )


if __name__ == "__main__":
    main()
