"""The temperature CSV: what is dropped, what is filled in, and from which examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from infopace.lab.errors import InputError
from infopace.lab.workloads.uci_temperature import UCI_TEMPERATURE, read_temperature

CSV = """\
station,Date,Present_Tmax,lat,Next_Tmax,Next_Tmin
1,2013-06-30,10,37.5,29.1,21.2
2,2014-06-30,,37.5,30.5,22.5
3,2015-06-30,14,37.5,,22.5
4,2016-06-30,16,37.5,31.1,23.9
5,2016-07-01,12,37.5,31.7,
6,2013-07-01,18,37.5,28,20
1,2017-06-30,,37.5,30,21
2,2017-07-01,1000,37.5,31,22
3,2017-07-02,15,37.5,,
,,20,37.5,17.4,11.3
,,37.6,37.5,38.9,29.8
"""


def read(tmp_path: Path, text: str = CSV) -> tuple[np.ndarray, ...]:
    (tmp_path / "t.csv").write_text(text)
    return tuple(part[:].numpy() for part in read_temperature(tmp_path / "t.csv").parts())


def test_rows_without_targets_or_date_are_dropped_and_the_years_split(tmp_path: Path) -> None:
    _, train_y, _, test_y = read(tmp_path)
    expected = [[29.1, 21.2], [30.5, 22.5], [31.1, 23.9], [28, 20]]
    np.testing.assert_array_equal(train_y, np.array(expected, dtype=np.float32))
    np.testing.assert_array_equal(test_y, [[30, 21], [31, 22]])


def test_empty_inputs_take_the_training_median_and_training_statistics_scale(tmp_path: Path) -> None:
    train_x, _, test_x, _ = read(tmp_path)
    # The training examples with targets: 10, empty, 16, 18. Neither dropped rows (14, 12) nor test examples count.
    filled = np.array([10, 16, 16, 18])
    expected = (filled - filled.mean()) / filled.std()
    np.testing.assert_allclose(train_x[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(test_x[:, 0], (np.array([16, 1000]) - filled.mean()) / filled.std(), rtol=1e-6)
    assert not train_x[:, 1].any()  # a constant column is centred, not divided by zero
    assert train_x.shape[1] == 2  # neither the station nor the date is a feature


def test_a_row_without_a_station_but_with_a_date_is_data(tmp_path: Path) -> None:
    _, train_y, _, _ = read(tmp_path, CSV.replace("1,2013-06-30", ",2013-06-30"))
    assert len(train_y) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Next_Tmin", "Tmin", r"must have the columns Next_Tmin, got \['station'"),
        ("31.1,23.9", "31.1,warm", r"line 5: Next_Tmin must be a number, got 'warm'"),
        # Lines count as in the file, those without a date and those without anything too.
        (
            "1,2013-06-30,10",
            ",,1,2,3,4\n\n1,2013-06-30,ten",
            r"line 4: Present_Tmax must be a number, got 'ten'",
        ),
        ("31.1,23.9", "31,1,23,9", r"line 5: 6 cells are needed, got 8"),
        ("16,37.5,31.1,23.9", "16,37.5", r"line 5: 6 cells are needed, got 4"),
        ("31.1,23.9", "31.1,inf", r"line 5: Next_Tmin must be finite, got 'inf'"),
        ("2017-", "2012-", r"must have rows of 2017 and of earlier years, got \['2012'"),
    ],
)
def test_a_file_that_is_another_one_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, CSV.replace(old, new))
    assert "\n" not in str(caught.value)


@pytest.mark.needs_data
def test_the_published_file() -> None:
    data = UCI_TEMPERATURE.load()
    assert data.train_inputs[:].shape == (6_185, 21)
    assert data.test_inputs[:].shape == (1_538, 21)
    assert data.train_targets.shape[1] == 2
    assert torch.isfinite(data.train_inputs[:]).all()
    assert torch.allclose(data.train_inputs[:].mean(0), torch.zeros(21), atol=1e-5)
    low, high = data.train_targets.min(0).values, data.train_targets.max(0).values
    torch.testing.assert_close(low[1], torch.tensor(11.3))
    torch.testing.assert_close(high, torch.tensor([38.9, 29.8]))
