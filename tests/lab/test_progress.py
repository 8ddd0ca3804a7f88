"""What a run shows: few plain lines in a file, a panel in place on a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from infopace.lab.config import Plan, TrainConfig, resolve
from infopace.lab.progress import LiveProgress, PlainProgress
from infopace.lab.run_folder import Row


def row(epoch: int, lr: list[float], warnings: tuple[str, ...] = ()) -> Row:
    return {
        "epoch": epoch,
        "lr": lr,
        "train_loss": 0.25,
        "test": 0.9861,
        "information": {"output": {"nats": 2.281, "std_error": 0.021, "decoder": 2.2}},
        "reference": 2.302,
        "warnings": list(warnings),
        "decisions": [
            {"layer": f"fc{i}", "lr": r, "phase": "decay", "reason": f"why {r}"} for i, r in enumerate(lr)
        ],
        "seconds": {"train": 1.0, "evaluate": 0.25, "measure": 0.05},
    }


def started(progress: Any, plan: Plan) -> None:
    untrained = {**row(0, []), "train_loss": None, "decisions": []}
    progress.started(plan, Path("runs/x"), 38282, [untrained])


def test_plain_lines_of_an_epoch(tiny: Any) -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    started(progress, resolve(TrainConfig(workload="tiny", bounds="workload")))
    progress.batch(1, 8)
    progress.epoch(row(1, [0.05]))
    progress.epoch(row(2, [0.05]))
    progress.epoch(row(3, [0.004]))
    numbers = "information 2.281 ± 0.021 of 2.302 nats  test accuracy 98.61 %  loss 0.25  1.30 s"
    assert lines == [
        "tiny: 38,282 parameters, 6 epochs on cpu, one learning rate in [0.001, 0.2] from 0.1",
        "run folder: runs/x",
        f"epoch 1/6  lr 0.05  {numbers}",
        "    why 0.05",
        f"epoch 2/6  lr 0.05  {numbers}",
        f"epoch 3/6  lr 0.004  {numbers}",
        "    why 0.004",
    ]


def test_a_reason_that_many_epochs_have_in_common_is_said_once(tiny: Any) -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    started(progress, resolve(TrainConfig(workload="tiny")))
    reasons = ["held", "decaying", "decaying", "held"]
    for epoch, (lr, reason) in enumerate(zip([0.1, 0.05, 0.02, 0.1], reasons, strict=True), 1):
        decided = row(epoch, [lr])
        decided["decisions"][0]["reason"] = reason
        progress.epoch(decided)
    assert [line.strip() for line in lines if line.startswith("    ")] == ["held", "decaying", "held"]


def test_a_decay_phase_is_shown_where_it_begins_however_little_the_rate_moves(tiny: Any) -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    started(progress, resolve(TrainConfig(workload="tiny", epochs=1000)))
    for epoch in range(1, 1001):
        decided = row(epoch, [min(0.1, 0.1 * (1001 - epoch) / 990)])
        held = epoch <= 11
        decided["decisions"][0] |= {"phase": "hold" if held else "decay", "reason": "up" if held else "down"}
        progress.epoch(decided)
    assert [line for line in lines if line.startswith("    ")] == ["    up", "    down"]
    assert lines[lines.index("    down") - 1].startswith("epoch   12/1000")


def test_two_thousand_epochs_are_few_lines_and_show_every_notable_move(tiny: Any) -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    started(progress, resolve(TrainConfig(workload="tiny", epochs=2000)))
    rates = {**dict.fromkeys(range(1, 7), 0.1), **dict.fromkeys(range(7, 101), 0.01)}
    for epoch in range(1, 2001):
        progress.epoch(row(epoch, [rates.get(epoch, 0.01 - epoch * 1e-6)]))
    assert 50 <= len(lines) <= 70
    assert any(line.startswith("epoch    7/2000  lr 0.01 ") for line in lines)
    assert lines[-1].startswith("epoch 2000/2000") or lines[-2].startswith("epoch 2000/2000")


def test_several_groups_show_their_range_and_the_reason_of_the_lowest(tiny: Any) -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    started(progress, resolve(TrainConfig(workload="tiny", layer_wise=True)))
    progress.epoch(row(1, [0.05, 0.002]))
    assert "lr 0.002..0.05" in lines[2]
    assert lines[3] == "    fc1: why 0.002"


def test_a_warning_is_said_once_for_each_layer_whatever_its_numbers(tiny: Any) -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    started(progress, resolve(TrainConfig(workload="tiny")))
    for epoch in (1, 2, 3):
        warnings = tuple(f"{layer}: {epoch * 1.7:.3g} nats are above the reference" for layer in ("0", "2"))
        progress.epoch(row(epoch, [0.05], warnings=warnings))
    for epoch in (4, 5):
        progress.epoch(row(epoch, [0.05], warnings=("2: 3 singletons left out",)))
    assert [line for line in lines if line.startswith("note")] == [
        "note: 0: 1.7 nats are above the reference",
        "note: 2: 1.7 nats are above the reference",
        "note: 2: 3 singletons left out",
    ]


def test_trials_say_that_they_are_trials_and_warn_of_nothing(tiny: Any) -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    started(progress, resolve(TrainConfig(workload="tiny")))
    for epoch, warnings in ((1, ("output: no information is shown",)), (2, ())):
        progress.epoch({**row(epoch, [0.01 * epoch], warnings), "finding": True})
    progress.epoch(row(3, [0.05], ("output: no information is shown",)))
    said = [line.strip() for line in lines if line.startswith(("    ", "note"))]
    assert said == [
        "trials at several learning rates, from the same weights",
        "why 0.05",
        "note: output: no information is shown",
    ]


def test_a_terminal_shows_the_rate_the_information_the_metric_and_the_reason(tiny: Any) -> None:
    screen = io.StringIO()
    progress = LiveProgress(Console(file=screen, force_terminal=True, width=100, color_system=None))
    started(progress, resolve(TrainConfig(workload="tiny")))
    progress.batch(4, 8)
    progress.epoch(row(1, [0.05], warnings=("fc1: 3 singletons left out",)))
    progress.note("checkpoint x is corrupt")
    progress.close()
    shown = screen.getvalue()
    for expected in (
        "1/6",
        "4/8",
        "0.05",
        "2.281 ± 0.021 of 2.302 nats",
        "98.61 %",
        "why 0.05",
        "is corrupt",
        "singletons",
    ):
        assert expected in shown
