"""From a range test to one chart for each attribute, with the bounds marked, and a table of layers."""

from __future__ import annotations

from infopace.lab.report.charts import Axis, Chart, Line, Series
from infopace.lab.report.markup import Markup, table
from infopace.lab.report.range_tests import RangeTest, RangeTestCurve


def range_test_charts(found: RangeTest) -> list[Chart]:
    """The charts, one below the other over the same learning rates."""
    bounds = tuple(Line(lr, f"{name} {lr:.3g}", "x") for name, lr in found.bounds.items())
    reach = [*found.lrs, *found.bounds.values()]
    return [
        Chart(
            title=curve.name[:1].upper() + curve.name[1:],
            summary=_summary(curve, found),
            x=found.lrs,
            x_axis=Axis("learning rate", log=True),
            y_axis=Axis(curve.name, curve.unit),
            series=(Series(f"r{i}", curve.name, curve.values, curve.low, curve.high, colour=i),),
            lines=bounds,
            x_range=(min(reach), max(reach)),
            dots=True,
            note="The mean over the trials that finished a rate. The band is their range.",
        )
        for i, curve in enumerate(found.curves)
    ]


def layer_table(found: RangeTest) -> Markup:
    """The bounds of each layer, where the layers have their own."""
    rows = [[layer, *(f"{lr:.3g}" for lr in own.values())] for layer, own in found.layers.items()]
    if not rows:
        return Markup()
    return table(("layer", *found.bounds), rows, "Bounds of each layer.")


def _summary(curve: RangeTestCurve, found: RangeTest) -> str:
    known = [(value, lr) for value, lr in zip(curve.values, found.lrs, strict=True) if value is not None]
    if not known:
        return f"{curve.name}: no candidate has finished."
    (low, at_low), (high, at_high) = min(known), max(known)
    bounds = "".join(f" {name} is {lr:.3g}." for name, lr in found.bounds.items())
    return (
        f"{curve.name} by learning rate, from {known[0][1]:.3g} to {known[-1][1]:.3g}: lowest {low:.4g} at"
        f" {at_low:.3g}, highest {high:.4g} at {at_high:.3g}.{bounds}"
    )
