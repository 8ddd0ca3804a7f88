"""House values in California by census block (Pace, Barry 1997), regression with an MLP."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from infopace import Bounds
from infopace.lab.data import data_file
from infopace.lab.errors import InputError
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.tasks import ABSOLUTE_ERROR, NUMBERS
from infopace.lab.workload import Data, Workload, mlp

FILE = "california-housing/housing.csv"
TARGET, PLACE = "median_house_value", "ocean_proximity"
# Their distribution has a long tail, so their logarithm is taken.
COUNTS = ("total_rooms", "total_bedrooms", "population", "households")
NUMBERS_OF = ("longitude", "latitude", "housing_median_age", *COUNTS, "median_income")
# Of fewer blocks some would be alone on their island.
PLACES = ("<1H OCEAN", "INLAND", "ISLAND", "NEAR BAY", "NEAR OCEAN")
_DOLLARS = 100_000.0


def load_housing() -> Data:
    """16,512 training and 4,128 test blocks, 13 inputs; the target is the median house value in 100,000 dollars."""
    what = "the CSV of the California housing data with ocean_proximity (Pace, Barry 1997)"
    return read_housing(data_file(FILE, "california-housing", what))


def read_housing(path: Path) -> Data:
    """Read such a CSV; a fifth of the blocks, always the same, is for testing.

    An empty cell gets the median of the training blocks. Raises InputError where a column is missing, or a cell is no
    number.
    """
    import pandas

    table = pandas.read_csv(path)
    missing = [name for name in (*NUMBERS_OF, PLACE, TARGET) if name not in table.columns]
    if missing:
        raise InputError(f"{path} must have the columns {', '.join(missing)}, got {[*table.columns]}")
    try:
        numbers = table[[*NUMBERS_OF]].to_numpy(np.float64)
        target = table[[TARGET]].to_numpy(np.float64) / _DOLLARS
    except ValueError as error:
        raise InputError(f"{path} must hold numbers in all columns but {PLACE}: {error}") from error
    order = np.random.default_rng(0).permutation(len(table))
    test, train = np.split(order, [len(order) // 5])
    for column in range(numbers.shape[1]):
        if NUMBERS_OF[column] in COUNTS:
            numbers[:, column] = np.log1p(numbers[:, column])
    numbers = np.where(np.isnan(numbers), np.nanmedian(numbers[train], axis=0), numbers)
    numbers = (numbers - numbers[train].mean(0)) / numbers[train].std(0)
    places = np.stack([table[PLACE].to_numpy() == place for place in PLACES], axis=1)
    inputs = np.concatenate([numbers, places], axis=1)
    return Data(_tensor(inputs[train]), _tensor(target[train]), _tensor(inputs[test]), _tensor(target[test]))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


CALIFORNIA_HOUSING = Workload(
    name="california-housing",
    summary="house values in California, MLP 13-64-64-1, regression",
    load=load_housing,
    build_model=lambda: mlp(13, 64, 64, 1),
    task=dataclasses.replace(
        NUMBERS, metric=dataclasses.replace(ABSOLUTE_ERROR, unit="hundred thousand dollars")
    ),
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.0001, lr_max=0.06, lr_top=0.002),
    optimizer=AdamWRecipe(),
    epochs=30,
    batch_size=64,
    threads=1,
)
