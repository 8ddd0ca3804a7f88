"""Bad inputs of the regularizers: (name, call, what the line must hold)."""

# pyright: reportArgumentType=false
# The arguments are wrong on purpose.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from infopace.regularizers import (
    CLUB,
    MINE,
    CauchySchwarz,
    EnsembleDecorrelation,
    GaussianNoise,
    InfoNCE,
    Layers,
    MatrixRenyi,
    NormalizedHSIC,
    VariationalBottleneck,
)

X = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3
MODEL = nn.Sequential(nn.Linear(2, 3), nn.ReLU())

ROWS: list[tuple[str, Callable[[], Any], tuple[str, ...]]] = [
    # What is no batch
    ("nhsic(list, y)", lambda: NormalizedHSIC()([1.0, 2.0], Y), ("x ", "[1.0, 2.0]")),
    ("nhsic(x, None)", lambda: NormalizedHSIC()(X, None), ("y ", "None")),
    ("renyi.shuffled(x, None)", lambda: MatrixRenyi().shuffled(X, None), ("y ", "None")),
    ("renyi.shuffled(x, y, 0)", lambda: MatrixRenyi().shuffled(X, Y, 0), ("shuffles ", "0")),
    ("renyi.entropy(numpy)", lambda: MatrixRenyi().entropy(X.numpy()), ("x ", "array")),
    ("cauchy-schwarz(scalar, y)", lambda: CauchySchwarz()(torch.tensor(1.0), Y), ("x ", "()")),
    ("cauchy-schwarz(empty, y)", lambda: CauchySchwarz()(X[:0], Y), ("x ", "(0, 2)")),
    ("cauchy-schwarz(inf, y)", lambda: CauchySchwarz()(X / 0, Y), ("x ", "finite", "inf")),
    ("club(list, y)", lambda: CLUB(2, 3)([1.0], Y), ("x ", "[1.0]")),
    ("club(x, label 3)", lambda: CLUB(2, 3)(X, Y + 1), ("y ", "0..2", "3")),
    ("club(x, float y)", lambda: CLUB(2, 3)(X, Y.float()), ("y ", "3 features", "(8,)")),
    ("infonce(x of width 3, y)", lambda: InfoNCE(3, 3)(X, Y), ("x ", "3 features", "(8, 2)")),
    ("mine(x, fewer y)", lambda: MINE(2, 3, noise=0.3)(X, Y[:5]), ("8 and 5",)),
    ("edm(list)", lambda: EnsembleDecorrelation(2)([1.0]), ("t ", "[1.0]")),
    ("vib(list)", lambda: VariationalBottleneck(2)([1.0]), ("t ", "[1.0]")),
    ("vib.sample(list)", lambda: VariationalBottleneck(2).sample([1.0]), ("t ", "[1.0]")),
    # Settings
    ("nhsic(width='5')", lambda: NormalizedHSIC(width="5"), ("width ", "'5'")),
    ("nhsic(width=True)", lambda: NormalizedHSIC(width=True), ("width ", "True")),
    ("nhsic(per='mean')", lambda: NormalizedHSIC(per="mean"), ("per ", "'median'", "'mean'")),
    ("nhsic(ridge=0)", lambda: NormalizedHSIC(ridge=0), ("ridge ", "0")),
    ("renyi(alpha=nan)", lambda: MatrixRenyi(alpha=float("nan")), ("alpha ", "nan")),
    ("renyi(alpha=0.5)", lambda: MatrixRenyi(alpha=0.5), ("alpha ", "above 1", "0.5")),
    ("edm(1)", lambda: EnsembleDecorrelation(1), ("features ", "2", "1")),
    (
        "edm(correlations='no')",
        lambda: EnsembleDecorrelation(2, correlations="no"),
        ("correlations ", "'no'"),
    ),
    ("club(2.5, 1)", lambda: CLUB(2.5, 1), ("x_features ", "2.5")),
    ("club(hidden=0)", lambda: CLUB(2, 1, hidden=0), ("hidden ", "0")),
    ("club.fit(steps=-1)", lambda: CLUB(2, 3).fit(X, Y, steps=-1), ("steps ", "-1")),
    ("infonce(lr=0)", lambda: InfoNCE(2, 1, lr=0), ("lr ", "0")),
    ("mine(noise=None)", lambda: MINE(2, 1, noise=None), ("noise ", "None", "infinite")),
    ("mine(projection=0)", lambda: MINE(2, 1, noise=0.3, projection=0), ("projection ", "0")),
    ("noise(0)", lambda: GaussianNoise(0), ("noise ", "0")),
    # Layers
    ("Layers(None, '0')", lambda: Layers(None, "0"), ("model ", "NoneType")),
    ("Layers(model, 0)", lambda: Layers(MODEL, 0), ("names ", "0")),
    ("Layers(model, [0])", lambda: Layers(MODEL, [0]), ("names ", "[0]")),
    ("Layers(model, ())", lambda: Layers(MODEL, ()), ("names ", "()")),
    ("Layers(model, '7')", lambda: Layers(MODEL, "7"), ("unknown layer '7'", "0, 1")),
    ("Layers(change=0.3)", lambda: Layers(MODEL, "0", change=0.3), ("change ", "0.3")),
]
