"""TensorBoard, read back with its own reader."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from infopace.lab.progress import Listener, PlainProgress
from infopace.lab.trackers import tracked

from .events import accumulator, scalars, texts


def run(tiny: Any, out: Path, listener: Listener | None = None, **options: Any) -> None:
    listener = listener or PlainProgress([].append)
    with contextlib.closing(tracked(listener, ["tensorboard"])) as both:
        tiny.run(out, both, **options)


def approximately(pairs: list[tuple[int, float]]) -> list[Any]:
    """TensorBoard keeps float32."""
    return [(step, pytest.approx(value, rel=1e-6)) for step, value in pairs]


def test_every_number_of_every_epoch_is_in_the_events(tiny: Any, tmp_path: Path) -> None:
    run(tiny, tmp_path, layer_wise=True)
    rows, _ = tiny.ending(tmp_path)
    found = scalars(accumulator(tmp_path))
    trained = rows[1:]
    assert found["test_accuracy"] == approximately([(r["epoch"], r["test"]) for r in rows])
    assert found["train_loss"] == approximately([(r["epoch"], r["train_loss"]) for r in trained])
    assert found["information_reference"] == approximately([(r["epoch"], r["reference"]) for r in rows])
    layers = list(rows[0]["information"])
    groups = [decision["layer"] for decision in trained[0]["decisions"]]
    assert len(groups) == 2
    for layer in layers:
        of_layer = [(r["epoch"], r["information"][layer]) for r in rows]
        assert found[f"information/{layer}"] == approximately([(e, i["nats"]) for e, i in of_layer])
        assert found[f"information_error/{layer}"] == approximately(
            [(e, i["std_error"]) for e, i in of_layer]
        )
    for group, layer in enumerate(groups):
        assert found[f"lr/{layer}"] == approximately([(r["epoch"], r["lr"][group]) for r in trained])
    assert [step for step, _ in found["seconds/train"]] == [0, 1, 2, 3, 4, 5, 6]


def test_settings_and_reasons_are_texts(tiny: Any, tmp_path: Path) -> None:
    run(tiny, tmp_path, epochs=2)
    ((step, text),) = texts(tmp_path, "settings")
    assert step == 0
    expected = {"| workload | tiny |", "| epochs | 2 |", "| lr_max | 0.2 |", "| parameters | 67 |"}
    assert expected <= set(text.splitlines())
    rows, _ = tiny.ending(tmp_path)
    decisions = [(row["epoch"], row["decisions"][0]) for row in rows[1:]]
    expected = [(epoch, f"output: {d['phase']}: {d['reason']}") for epoch, d in decisions]
    assert texts(tmp_path, "decision") == expected


def test_a_baselines_run_has_no_information(tiny: Any, tmp_path: Path) -> None:
    run(tiny, tmp_path, epochs=2, bounds="auto", method="sgd-cosine", lr=0.1)
    found = accumulator(tmp_path)
    seconds = {"seconds/train", "seconds/evaluate", "seconds/measure"}
    assert scalars(found).keys() == {"test_accuracy", "train_loss", "lr", *seconds}
    assert found.Tags()["tensors"] == ["settings/text_summary"]


@pytest.mark.slow
def test_a_resumed_run_has_each_epoch_once_for_a_reader_that_stayed_open_too(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path
) -> None:
    run(tiny, tmp_path / "whole")
    watching = accumulator(tmp_path / "cut")
    for epoch in (2, 5):
        with pytest.raises(stopped):
            run(tiny, tmp_path / "cut", stop_at(epoch))
        time.sleep(1.1)  # TensorBoard reads files in the order of their names, which hold the second
        assert [step for step, _ in scalars(watching)["test_accuracy"]] == list(range(epoch + 1))
    run(tiny, tmp_path / "cut")
    expected = scalars(accumulator(tmp_path / "whole"))
    for reader in (watching, accumulator(tmp_path / "cut")):
        found = scalars(reader)
        assert found.keys() == expected.keys()
        for tag in expected.keys() - {"seconds/train", "seconds/evaluate", "seconds/measure"}:
            assert found[tag] == expected[tag], tag
    assert texts(tmp_path / "cut", "decision") == texts(tmp_path / "whole", "decision")


def test_epochs_from_before_tracking_was_asked_for_are_there_too(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path
) -> None:
    with pytest.raises(stopped):
        tiny.run(tmp_path, stop_at(3))
    run(tiny, tmp_path)
    found = accumulator(tmp_path)
    assert [step for step, _ in scalars(found)["test_accuracy"]] == [0, 1, 2, 3, 4, 5, 6]
    times = [event.wall_time for event in found.Scalars("test_accuracy")]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_tracking_is_no_part_of_what_a_run_is(tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path) -> None:
    """The same run, tracked or not, and resumed one way or the other."""
    tiny.run(tmp_path / "plain")
    with pytest.raises(stopped):
        run(tiny, tmp_path / "tracked", stop_at(3))
    tiny.run(tmp_path / "tracked", track=("trackio",))
    tiny.assert_same_ending(tmp_path / "plain", tmp_path / "tracked")
