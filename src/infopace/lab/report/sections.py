"""Two sections that other commands fill: a range test and a comparison, each a JSON object in a file.

A folder given to `infopace report` may hold `range-test.json` and `comparison.json`. Their objects have the
fields of `RangeTest` and `Comparison` below, under the same names: tuples are lists, None is null, and what has
a default may be left out. All values are in the unit that is shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infopace.lab.errors import InputError
from infopace.lab.report.json_fields import Fields


@dataclass(frozen=True)
class RangeTestCurve:
    """One attribute (accuracy, loss, information) of every candidate: the mean over trials.

    `values` has one number a learning rate, None where no trial finished it; `low` and `high`, the spread
    over trials, are empty or as long.
    """

    name: str
    values: tuple[float | None, ...]
    unit: str = ""
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class RangeTest:
    """Candidate learning rates, ascending, with what each led to, and the bounds that were found.

    `bounds` are learning rates by name (lr_min, lr_top, lr_max), marked in the curves. `facts` are shown
    beside them as they are: epsilon, the number of trials, the cost, what was refused.
    """

    workload: str
    lrs: tuple[float, ...]
    curves: tuple[RangeTestCurve, ...]
    bounds: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, source: str, content: Any) -> RangeTest:
        """Check an object that was read from `source`. Raises InputError: one line that names the field."""
        fields = Fields(source, content)
        lrs = [lr for lr in fields.numbers("lrs") if lr is not None]
        ascending = all(a < b for a, b in itertools.pairwise(lrs))
        if len(lrs) < 2 or len(lrs) < len(fields.numbers("lrs")) or lrs[0] <= 0 or not ascending:
            raise InputError(f"{source}: lrs must be two or more positive numbers, ascending, got {lrs}")
        curves = tuple(
            RangeTestCurve(
                one.text("name"),
                one.numbers("values", (len(lrs),)),
                one.text("unit", ""),
                one.numbers("low", (0, len(lrs))),
                one.numbers("high", (0, len(lrs))),
            )
            for one in fields.objects("curves")
        )
        bounds: dict[str, float] = {}
        of_bounds = fields.object("bounds")
        for name in of_bounds.content:
            bound = of_bounds.number(name)
            if bound is None or bound <= 0:
                raise InputError(f"{source}: bounds: {name} must be a positive number, got {bound}")
            bounds[name] = bound
        of_facts = fields.object("facts")
        facts = {name: of_facts.text(name) for name in of_facts.content}
        return cls(fields.text("workload"), tuple(lrs), curves, bounds, facts)


@dataclass(frozen=True)
class ComparedMethod:
    """One line of the table. `p` is the paired test against the baseline, after Holm's correction.

    `mean` None: the method was not run, and `note` says why.
    """

    method: str
    n: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """Methods on one workload: the mean of the final test metric with its 95 % interval [low, high].

    `baseline` names the method that the others are tested against. `caption` says what was compared: the
    budget, how the rivals were tuned, the command.
    """

    workload: str
    metric: str
    methods: tuple[ComparedMethod, ...]
    unit: str = ""
    higher_is_better: bool = True
    baseline: str = ""
    caption: str = ""

    @classmethod
    def from_json(cls, source: str, content: Any) -> Comparison:
        """Check an object that was read from `source`. Raises InputError: one line that names the field."""
        fields = Fields(source, content)
        return cls(
            fields.text("workload"),
            fields.text("metric"),
            tuple(_compared_method(one) for one in fields.objects("methods")),
            fields.text("unit", ""),
            fields.flag("higher_is_better", True),
            fields.text("baseline", ""),
            fields.text("caption", ""),
        )


def _compared_method(fields: Fields) -> ComparedMethod:
    name = fields.text("method")
    mean, low, high, p = (fields.number(part) for part in ("mean", "low", "high", "p"))
    if (low is None) != (high is None) or (low is not None and mean is None):
        raise InputError(
            f"{fields.place}: low and high must come together, with a mean, got {low} and {high}"
        )
    if mean is not None and low is not None and high is not None and not low <= mean <= high:
        raise InputError(f"{fields.place}: low <= mean <= high must hold, got {low}, {mean}, {high}")
    if p is not None and not 0 <= p <= 1:
        raise InputError(f"{fields.place}: p must be in 0..1, got {p}")
    return ComparedMethod(name, fields.count("n", 0), mean, low, high, p, fields.text("note", ""))
