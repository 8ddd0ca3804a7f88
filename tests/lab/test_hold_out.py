"""Held-out examples: which they are, and that they affect nothing but the measurement."""

from __future__ import annotations

import copy
import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from infopace import Probe
from infopace.lab.batches import hold_out
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.errors import InputError
from infopace.lab.lazy_images import LazyImages
from infopace.lab.progress import PlainProgress
from infopace.lab.run_folder import RunFolder
from infopace.lab.steps import PacedSteps
from infopace.lab.training import Training
from infopace.lab.workload import Data, pixels_to_unit


def numbered(targets: torch.Tensor) -> Data:
    """Data in which the inputs are the numbers of the examples."""
    rows = torch.arange(len(targets))[:, None]
    return Data(rows, targets, rows, targets)


def held(data: Data, share: float) -> tuple[Data, torch.Tensor, torch.Tensor]:
    """The rest; inputs and targets of the held-out examples, for a data set in memory."""
    rest, rows = hold_out(data, share)
    assert isinstance(rows, tuple)
    return rest, *rows


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_the_last_examples_of_each_class_are_held_out(labels: list[int], share: float) -> None:
    targets = torch.tensor(labels)
    sizes = {label: labels.count(label) for label in labels}
    if any(not 2 <= round(share * size) < size for size in sizes.values()):
        with pytest.raises(InputError, match="held_out must take at least 2 examples"):
            hold_out(numbered(targets), share)
        return
    rest, inputs, out = held(numbered(targets), share)
    expected = []
    for label, size in sizes.items():
        rows = [row for row, other in enumerate(labels) if other == label]
        expected += rows[size - round(share * size) :]
    assert inputs[:, 0].tolist() == sorted(expected)
    assert out.tolist() == [labels[row] for row in sorted(expected)]
    assert isinstance(rest.train_inputs, torch.Tensor)
    left = [row for row in range(len(labels)) if row not in expected]
    assert rest.train_inputs[:, 0].tolist() == left
    assert rest.train_targets.tolist() == [labels[row] for row in left]
    assert len(rest.test_targets) == len(labels)


def test_where_there_are_no_classes_the_last_rows_of_all_are() -> None:
    rest, inputs, targets = held(numbered(torch.rand(16, 2)), 0.25)
    assert inputs[:, 0].tolist() == [12, 13, 14, 15]
    assert targets.shape == (4, 2)
    assert len(rest.train_targets) == 12


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        (
            [0] * 8 + [1],
            r"must take at least 2 examples of class 1 and leave some, got held_out = 0\.25 of 1 examples",
        ),
        ([0.0], r"must take at least 4 examples and leave some, got held_out = 0\.25 of 1 examples"),
    ],
)
def test_a_part_without_rows_is_refused(labels: list[float], error: str) -> None:
    with pytest.raises(InputError, match=error):
        hold_out(numbered(torch.tensor(labels)), 0.25)


def lazily(images: torch.Tensor) -> LazyImages:
    """Images (n, 3, size, size) of uint8, encoded and decoded as they come."""
    rows = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, format="PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    return LazyImages(_Rows(rows), "image", images.shape[-1])


class _Rows(list[dict[str, Any]]):
    """As a split of `datasets`: indexed with a list of places, columns by name."""

    def __getitem__(self, places: Any) -> Any:
        return {"image": [list.__getitem__(self, place) for place in places]}


@pytest.mark.slow
def test_images_that_are_decoded_as_they_come_are_kept_out_as_others(tiny: Any, tmp_path: Path) -> None:
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (120, 3, 4, 4), generator=draws, dtype=torch.uint8)
    targets = (images[:, 0].float().mean((1, 2)) > 127).long()
    decoded = Data(images, targets, images[:20], targets[:20])
    lazy = Data(lazily(images), targets, lazily(images[:20]), targets[:20])

    rest, kept = hold_out(lazy, 0.25)
    expected_rest, inputs, labels = held(decoded, 0.25)
    assert torch.equal(rest.train_inputs[:], expected_rest.train_inputs[:])
    assert rest.digest() != lazy.digest()
    assert [int(label) for _, label in kept] == labels.tolist()
    assert torch.equal(torch.stack([image for image, _ in kept]), inputs)

    # From the hold phase to the end, when all examples have joined.
    tiny.change(build_model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), prepare=pixels_to_unit)
    for name, data in (("decoded", decoded), ("lazy", lazy)):
        tiny.change(load=lambda data=data: data)
        tiny.run(tmp_path / name, held_out=0.25)
    tiny.assert_same_ending(tmp_path / "decoded", tmp_path / "lazy")
    rows = RunFolder(tmp_path / "lazy").read_rows()
    assert "held_out" in rows[0] and "held_out" not in rows[-1]


def test_held_out_examples_are_measured_by_themselves_and_are_not_trained_on(
    tiny: Any, tmp_path: Path
) -> None:
    plan = resolve(TrainConfig("tiny", bounds="workload", held_out=0.25))
    data = tiny.workload.load()
    training = Training(plan, data)
    assert isinstance(training.steps, PacedSteps)
    rest, inputs, targets = held(data, 0.25)
    assert torch.equal(training.data.train_targets, rest.train_targets)
    assert len(training.data.train_inputs) == len(rest.train_inputs) == 90
    # All held-out examples, which are fewer than the workload's probe.
    expected = Probe(inputs, targets).measure(training.model, signal="neighbours").output.estimate
    assert training.steps.facts()["held_out"]["output"] == pytest.approx(expected.nats)
    trained = Probe.sample((rest.train_inputs, rest.train_targets), n=min(plan.workload.probe_size, 90))
    measured = training.steps.measured().output.estimate
    own = trained.measure(training.model, signal="neighbours").output.estimate
    assert measured.nats == pytest.approx(own.nats)

    # Other values of held-out examples change only their measurement, as long as the learning rate is the same.
    tiny.run(tmp_path / "one", held_out=0.25, epochs=2)
    tiny.change(load=lambda: _other_values(data))
    tiny.run(tmp_path / "two", held_out=0.25, epochs=2)
    one, two = (RunFolder(tmp_path / name).read_rows()[1] for name in ("one", "two"))
    assert one["train_loss"] == two["train_loss"]
    assert one["information"] == two["information"]
    assert one["held_out"] != two["held_out"]


def test_they_join_the_training_set_in_the_decay_phase_and_are_measured_no_more(
    tiny: Any, tmp_path: Path
) -> None:
    # The hold of so short a plan is too short to see that nothing rises any more.
    tiny.run(tmp_path / "whole", held_out=0.25, epochs=7)
    rows = RunFolder(tmp_path / "whole").read_rows()
    phases = [row["decisions"][0]["phase"] for row in rows[1:]]
    joined = phases.index("decay") + 1
    # The decision for the first epoch of the decay phase follows from the last measurement.
    assert [row["epoch"] for row in rows if "held_out" in row] == list(range(joined))
    assert joined == 5

    plan = resolve(TrainConfig("tiny", bounds="workload", held_out=0.25, epochs=7))
    training = Training(plan, tiny.workload.load())
    sizes: list[int] = []
    for epoch in range(1, joined + 2):
        training.run_epoch(epoch, lambda done, total: None)
        sizes.append(len(training.data.train_targets))
    assert sizes == [90] * (joined - 1) + [120] * 2

    resumed = Training(plan, tiny.workload.load())
    resumed.load_state(copy.deepcopy(training.state()))
    resumed.run_epoch(joined + 2, lambda done, total: None)
    training.run_epoch(joined + 2, lambda done, total: None)
    assert len(resumed.data.train_targets) == 120
    assert resumed.steps.facts() == training.steps.facts()


def test_they_stay_held_out_in_a_decay_that_is_watched(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path / "watched", held_out=0.25, epochs=12)
    rows = RunFolder(tmp_path / "watched").read_rows()
    taken = [row["decisions"][0] for row in rows[1:]]
    assert [one["phase"] for one in taken].count("decay") > 3
    assert all("held_out" in row for row in rows)

    plan = resolve(TrainConfig("tiny", bounds="workload", held_out=0.25, epochs=12))
    training, resumed = (Training(plan, tiny.workload.load()) for _ in range(2))
    for epoch in range(1, 13):
        training.run_epoch(epoch, lambda done, total: None)
        assert len(training.data.train_targets) == 90
        if epoch == 9:
            resumed.load_state(copy.deepcopy(training.state()))
    for epoch in range(10, 13):
        resumed.run_epoch(epoch, lambda done, total: None)
    assert resumed.steps.facts() == training.steps.facts()


def _other_values(data: Data) -> Data:
    assert isinstance(data.train_inputs, torch.Tensor)
    inputs = data.train_inputs.clone()
    for label in data.train_targets.unique():
        rows = (data.train_targets == label).nonzero()[:, 0]
        inputs[rows[-round(0.25 * len(rows)) :]] += 3.0
    return dataclasses.replace(data, train_inputs=inputs)


def test_a_tenth_is_held_out_by_default(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path / "default", epochs=2)
    tiny.run(tmp_path / "tenth", epochs=2, held_out=0.1)
    tiny.run(tmp_path / "none", epochs=2, held_out=0.0)
    tiny.assert_same_ending(tmp_path / "default", tmp_path / "tenth")
    folders = [RunFolder(tmp_path / name) for name in ("default", "none")]
    assert [(folder.read_json("run.json") or {})["held_out_rows"] for folder in folders] == [12, 0]
    assert ["held_out" in folder.read_rows()[0] for folder in folders] == [True, False]


@pytest.mark.parametrize(
    ("of_a_class", "probe_size", "why"),
    [
        (
            5,
            100,
            "held_out must take at least 2 examples of class 2 and leave some, got held_out = 0.1 of 5 examples",
        ),
        # Two of these are held out, and a sample of 21 held-out examples has none of them.
        (25, 21, "too few of a class for two samples"),
    ],
)
def test_with_too_few_examples_none_are_held_out_and_a_note_says_so(
    tiny: Any, tmp_path: Path, of_a_class: int, probe_size: int, why: str
) -> None:
    targets = torch.arange(1_000) % 2
    targets = torch.cat([targets, torch.full((of_a_class,), 2)])
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(len(targets), *tiny.workload.load().train_inputs.shape[1:], generator=draws)
    data = Data(inputs, targets, inputs, targets)
    tiny.change(load=lambda: data, probe_size=probe_size, batch_size=200)
    notes: list[str] = []
    tiny.run(tmp_path / "one", PlainProgress(notes.append), epochs=1)
    assert any(f"no examples are held out: {why}" in note for note in notes)
    tiny.run(tmp_path / "two", epochs=1, held_out=0.0)
    tiny.assert_same_ending(tmp_path / "one", tmp_path / "two")
    assert (RunFolder(tmp_path / "one").read_json("run.json") or {})["held_out_rows"] == 0
    with pytest.raises(InputError, match="held_out must"):
        tiny.run(tmp_path / "three", epochs=1, held_out=0.1)


def test_a_share_that_cannot_be_is_refused_before_the_range_test(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "infopace.lab.run.bounds_of_plan", lambda *_, **__: pytest.fail("a range test was run")
    )
    with pytest.raises(InputError, match="held_out must take at least 2 examples of class 0"):
        tiny.run(tmp_path / "run", bounds="range-test", held_out=0.01)
    assert not list(tmp_path.iterdir())
