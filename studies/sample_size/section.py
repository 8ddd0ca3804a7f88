"""The section of the results page, and what was expected of it before the first run."""

from __future__ import annotations

import math
import statistics
from typing import Any

from studies.shared.page import read, section, table

Key = tuple[str, str, str, int]


def expectations(rows: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    """What studies/sample_size/run.py expects: the claim, what was found, and whether it holds."""
    values: dict[Key, list[float]] = {(r["data"], r["of"], r["estimator"], r["n"]): r["nats"] for r in rows}
    entropies = {row["data"]: row["entropy"] for row in rows}
    means = {key: statistics.fmean(nats) for key, nats in values.items()}
    sds = {key: statistics.stdev(nats) for key, nats in values.items()}
    found = []
    for data in dict.fromkeys(row["data"] for row in rows):
        pixels, outputs = (data, "pixels", "neighbours"), (data, "outputs", "neighbours")
        decoder = (data, "outputs", "decoder")

        rise, noise = means[*pixels, 5000] - means[*pixels, 1000], sds[*pixels, 1000]
        short = entropies[data] - means[*pixels, 5000]
        found.append(
            (
                f"{data}, pixels: still rising after 1000, by over 2 sd, and over .3 short of H(Y) at 5000",
                f"{rise:+.3f} = {rise / noise:.1f} sd, short by {short:.3f}",
                rise > 2 * noise and short > 0.3,
            )
        )
        rise, noise = means[*outputs, 5000] - means[*outputs, 1000], sds[*outputs, 1000]
        found.append(
            (
                f"{data}, outputs: level from 1000 on, within 2 sd",
                f"{rise:+.3f} = {rise / noise:.1f} sd",
                abs(rise) <= 2 * noise,
            )
        )
        for name, curve in (("outputs", outputs), ("decoder bound", decoder)):
            slope = _slope({key[3]: sd for key, sd in sds.items() if key[:3] == curve and key[3] <= 2000})
            claim = f"{data}, {name}: the spread falls like n^-1/2, slope between -.7 and -.3"
            found.append((claim, f"{slope:.2f}", -0.7 < slope < -0.3))
        ends = [(*decoder, n) for n in (100, 5000)]
        gap = means[ends[0]] - means[ends[1]]
        error = math.sqrt(sum(sds[end] ** 2 / len(values[end]) for end in ends))
        claim = f"{data}, decoder bound: no bias in n, 100 and 5000 agree within 2 standard errors"
        found.append((claim, f"{gap:+.3f} = {gap / error:.1f} standard errors", abs(gap) <= 2 * error))
        below = means[*outputs, 5000] - means[*decoder, 5000]
        claim = f"{data}, decoder bound: below the neighbours' value at 5000"
        found.append((claim, f"by {below:.3f}", below > 0))
        claim = f"{data}, outputs: 1000 are enough, sd at most .04"
        found.append((claim, f"{sds[*outputs, 1000]:.3f}", sds[*outputs, 1000] <= 0.04))
    return found


def _slope(spread: dict[int, float]) -> float:
    """Of log sd against log n, by least squares."""
    return statistics.linear_regression(
        [math.log(n) for n in spread], [math.log(sd) for sd in spread.values()]
    ).slope


def text() -> str:
    """Information against the number of examples."""
    found = read("sample_size")
    sizes = sorted({row["n"] for row in found})
    curves = {(row["data"], row["of"], row["estimator"]): row for row in found}
    lines = []
    for curve in curves:
        mine = {row["n"]: row["nats"] for row in found if (row["data"], row["of"], row["estimator"]) == curve}
        cells = [f"{statistics.fmean(mine[n]):.3f} ({statistics.stdev(mine[n]):.3f})" for n in sizes]
        lines.append([*curve, *cells])
    networks = [
        f"{row['network']} after {row['epochs']} epochs at a constant learning rate of {row['lr']:g} "
        f"({100 * row['test']:.1f} % of the test set right)"
        for (_, of, estimator), row in curves.items()
        if (of, estimator) == ("outputs", "neighbours")
    ]
    entropies = ", ".join(
        f"{row['entropy']:.3f} for {data}" for (data, of, _), row in curves.items() if of == "pixels"
    )
    draws = ", ".join(
        f"{len(next(row['nats'] for row in found if row['n'] == n))} samples of {n:,}" for n in sizes
    )
    verdicts = [[claim, what, "holds" if holds else "refuted"] for claim, what, holds in expectations(found)]
    text = "\n\n".join(
        [
            "![Information about the label against the number of examples, for pixels and for a network's outputs]"
            "(images/sample_size.png)",
            f"Mean and, in brackets, standard deviation of the samples, in nats ({draws}). H(Y) is {entropies}, "
            f"which is the truth for pixels. The outputs are the logits of {' and of '.join(networks)}, for "
            "held-out images.",
            table(["data", "of", "estimator", *(f"n = {n:,}" for n in sizes)], lines),
            "What was expected before the first run, and what was found:",
            table(["expected", "found", ""], verdicts),
        ]
    )
    return section("How many examples? Information against n", "`python -m studies.sample_size.run`", text)
