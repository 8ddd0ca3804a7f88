"""Usable information of predicted quantities: a Gaussian around the prediction against one around the mean."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace.estimators._error_bar import stratified_parts
from infopace.estimators._estimate import Caution
from infopace.estimators._usable_kinds import Quantities
from infopace.estimators._usable_parts import Examples, Found, check_counted

# The least variance of the residuals, as a share of that of the targets: predictions as good as float32.
_FLOOR = 1e-12
# Rounding of the mean is all that a column varies by whose variance is below this share of its squared mean.
_ROUNDING = 1e-28
# Targets of a column that each half needs.
_FEWEST = 2


def of_quantities(case: Quantities) -> Found:
    """What each example contributes, with the residual variance of the other half."""
    examples = Examples.of(case.counted, case.product, case.predictions.device)
    flat = [values.reshape(-1, 1) for values in (case.predictions, case.targets)]
    for name, values in zip(("scores", "targets"), flat, strict=True):
        check_counted(values, examples, name)
    predictions, targets = (examples.grid(values[examples.place, 0]) for values in flat)
    weight = examples.grid(examples.weight)
    half = stratified_parts(torch.zeros(examples.n, dtype=torch.long, device=weight.device), 2)
    parts = [half == part for part in (0, 1)]

    centre = _mean(targets, weight, case.product)
    deviation, residual = targets - centre, targets - predictions
    spread = _mean(deviation.square(), weight, case.product)
    still = spread <= _ROUNDING * centre.square()
    if bool(still.all()):
        raise ValueError(f"targets must vary, got constant ones in {examples.n} examples")
    weight, spread = weight * ~still, torch.where(still, 1.0, spread)
    if case.product:
        _check_columns(weight, still[0], parts)

    floor = _FLOOR * spread
    own = [_mean(residual[part].square(), weight[part], case.product) for part in parts]
    exact = int((torch.minimum(*own) < floor)[~still].sum())
    own = [variance.maximum(floor) for variance in own]
    mine = torch.where(parts[0][:, None], own[0], own[1])
    other = torch.where(parts[0][:, None], own[1], own[0])

    error, distance = residual.square(), deviation.square() / spread
    log_ratio = ((spread / other).log() - error / other + distance) / 2
    ratio = (log_ratio * (weight > 0)).reshape(-1)[examples.slot]
    # What a mean and a variance of their own gain on these examples (Takeuchi 1976), so that p has no advantage.
    gained = _curved(deviation / spread.sqrt(), weight, case.product) + _scaled(
        distance, weight, case.product
    )
    return Found(
        examples.gain(ratio, half) + gained / (2 * examples.n),
        _scaled(error / mine, weight, case.product) / examples.n,
        cautions=[
            *examples.cautions(),
            *_constant(int(still.sum()), still.numel()),
            *_exact(exact, int((~still).sum())),
        ],
    )


def _mean(values: Tensor, weight: Tensor, product: bool) -> Tensor:
    """Mean over examples: (1, P) of each column of a product, else (1, 1) of all positions."""
    over = (0,) if product else (0, 1)
    return (weight * values).sum(over, keepdim=True) / weight.sum(over, keepdim=True).clamp(min=1e-300)


def _curved(slope: Tensor, weight: Tensor, product: bool) -> float:
    """<slope^2> of an example, summed over the columns of a product."""
    if product:
        return float(_mean(slope.square(), weight, True)[weight.sum(0, keepdim=True) > 0].sum())
    return float((weight * slope).sum(1).square().mean())


def _scaled(squares: Tensor, weight: Tensor, product: bool) -> float:
    """<(1 - z^2)^2> / 2 of an example: 1 for a normal z, more for heavy tails. `squares` are z^2."""
    return _curved(1 - squares, weight, product) / 2


def _check_columns(weight: Tensor, still: Tensor, parts: list[Tensor]) -> None:
    """Every column needs targets in both halves."""
    least = torch.minimum(*((weight[part] > 0).sum(0) for part in parts))
    short = (least < _FEWEST) & ~still
    if bool(short.any()):
        column = int(short.nonzero()[0])
        count = int((weight[:, column] > 0).sum())
        raise ValueError(
            f"each half of the examples must have {_FEWEST} targets that count in every column, got {count} in all"
            f" in column {column}"
        )


def _constant(still: int, columns: int) -> list[Caution]:
    if not still:
        return []
    plural = "s" if columns > 1 else ""
    return [
        Caution("dead-columns", f"{still} of {columns} column{plural} of the targets are constant: left out")
    ]


def _exact(exact: int, columns: int) -> list[Caution]:
    if not exact:
        return []
    sentence = (
        f"in {exact} of {columns} column{'s' if columns > 1 else ''} predictions are within {_FLOOR**0.5:.0e} of the "
        "targets' standard deviation: the value is at least this, with no upper limit"
    )
    return [Caution("beyond-reach", sentence)]
