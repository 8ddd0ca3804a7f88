"""Bias of a Gaussian copula fitted to ranks; see README.md. Rows: results/rank_resolution.jsonl"""

from __future__ import annotations

import json
import math

import torch

from infopace.estimators._dependence._copula import fit_gaussian
from infopace.estimators._dependence._scores import rank_bias, uniform_scores
from studies.shared.rows import RESULTS

SAMPLES = 40


def main() -> None:
    """Measure every n and distance of the information below ln n, and write the rows."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for n in (30, 100, 300, 1000, 3000, 10_000):
        for below in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0):
            truth = math.log(n) - below
            if truth < 0.1:
                continue
            noise = 1 / math.sqrt(math.expm1(2 * truth))
            values = []
            for _ in range(SAMPLES):
                x = torch.randn(n, 1, generator=generator, dtype=torch.float64)
                y = x + noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)
                u = torch.cat([uniform_scores(x), uniform_scores(y)], 1)
                values.append(fit_gaussian(u, 1).information())
            found = torch.tensor(values, dtype=torch.float64)
            rows.append(
                {
                    "n": n,
                    "below": below,
                    "truth": round(truth, 4),
                    "samples": SAMPLES,
                    "bias": round(float(found.mean()) - truth, 4),
                    "spread": round(float(found.std()), 4),
                    "formula": round(rank_bias(found.mean()[None], n, 2), 4),
                }
            )
    (RESULTS / "rank_resolution.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
