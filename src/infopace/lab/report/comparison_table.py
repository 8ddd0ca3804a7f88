"""The table of a comparison: means, intervals as numbers and drawn on one scale, p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from infopace.lab.report.markup import Markup, joined, table, tag
from infopace.lab.report.sections import ComparedMethod, Comparison

_MOST_DIGITS = 6


def comparison_table(found: Comparison) -> Markup:
    """The methods in the order given. The best mean is marked, and a method that was not run says so."""
    run = [method for method in found.methods if method.mean is not None]
    best = (max if found.higher_is_better else min)(run, key=_mean, default=None)
    ends = [end for method in run for end in (method.low, method.mean, method.high) if end is not None]
    span = (min(ends), max(ends)) if ends else (0.0, 1.0)
    digits = _digits(run)
    unit = f", {found.unit}" if found.unit else ""
    head = ("method", "n", f"test {found.metric}{unit}", "95 % interval", "", "p (Holm)")
    rows = [
        [
            _name(method, method is best),
            *(_not_run(method) if method.mean is None else _figures(method, found.baseline, span, digits)),
        ]
        for method in found.methods
    ]
    better = "higher" if found.higher_is_better else "lower"
    against = f" p: paired test against {found.baseline}, with Holm's correction." if found.baseline else ""
    return table(
        head, rows, f"Mean of the final test {found.metric}; {better} is better.{against} {found.caption}"
    )


def _name(method: ComparedMethod, best: bool) -> Markup:
    mark = tag("span", " best", class_="quiet") if best else Markup()
    note = tag("div", method.note, class_="quiet") if method.note else Markup()
    return joined([method.method, mark, note], "")


def _not_run(method: ComparedMethod) -> Sequence[object]:
    return (method.n or "", "not run", "", "", "")


def _figures(
    method: ComparedMethod, baseline: str, span: tuple[float, float], digits: int
) -> Sequence[object]:
    interval = ""
    if method.low is not None and method.high is not None:
        interval = f"{method.low:.{digits}f} to {method.high:.{digits}f}"
    p = "" if method.p is None else "< 0.001" if method.p < 0.001 else f"{method.p:.2g}"
    return (
        method.n or "",
        tag("b", f"{method.mean:.{digits}f}"),
        interval,
        _drawn(method, span),
        "baseline" if baseline and method.method == baseline else p,
    )


def _drawn(method: ComparedMethod, span: tuple[float, float]) -> Markup:
    """The interval as a line with a point at the mean. Its numbers are in the cells beside it."""

    def at(value: float) -> str:
        return f"{4 + 92 * (value - span[0]) / (span[1] - span[0] or 1.0):.1f}%"

    parts = [tag("circle", cx=at(_mean(method)), cy="50%", r=4)]
    if method.low is not None and method.high is not None:
        parts.append(tag("line", x1=at(method.low), x2=at(method.high), y1="50%", y2="50%"))
    return tag("svg", *parts, class_="interval", aria_hidden="true")


def _mean(method: ComparedMethod) -> float:
    assert method.mean is not None, "only a method that was run is drawn"
    return method.mean


def _digits(methods: Sequence[ComparedMethod]) -> int:
    """Number of decimals that shows two digits of the half-width of the narrowest interval."""
    widths = [
        (m.high - m.low) / 2 for m in methods if m.low is not None and m.high is not None and m.high > m.low
    ]
    return min(max(1 - math.floor(math.log10(min(widths))), 0), _MOST_DIGITS) if widths else 3
