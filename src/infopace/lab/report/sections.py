"""The section of a comparison, from a JSON object in a file.

A folder for `infopace report` may hold `comparison.json`. Its object has the fields of `Comparison` below under the
same names. Tuples are lists, None is null, and a field with a default may be missing. All values are in the unit that
is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infopace.lab.errors import InputError
from infopace.lab.report.json_fields import Fields


@dataclass(frozen=True)
class ComparedMethod:
    """One line of the table. `p` is the paired test against `baseline`, with Holm's correction.

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

    `baseline` names the method that the others are tested against. `caption` says what was compared: the budget, how
    the baselines were tuned, the command.
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
        """Check an object from `source`. Raises InputError with one line that names the field."""
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
