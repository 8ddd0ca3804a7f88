"""The picture: drawn from the run's files alone, whatever the run was like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from infopace.lab import picture
from infopace.lab.moves import Move, moves_of, notable, thinned
from infopace.lab.picture import draw_run
from infopace.lab.run_folder import Row, RunFolder


def move(at: int, before: float | None, lr: float) -> Move:
    return Move(at, before, lr, "saturated", f"because of {at}", "fc1")


def test_the_largest_moves_are_kept_in_their_order() -> None:
    moves = [move(0, None, 0.1), move(1, 0.1, 0.01), move(2, 0.01, 0.009), move(3, 0.009, 0.02)]
    assert thinned(moves, 3) == [moves[0], moves[1], moves[3]]
    assert thinned(moves, 9) == moves
    assert move(1, 0.1, 0.01).size == pytest.approx(math.log(10))


def test_notable_moves_do_not_cover_each_other() -> None:
    moves = [move(0, None, 0.1), move(1, 0.1, 0.001), move(2, 0.001, 0.00101), move(900, 0.00101, 0.0005)]
    assert notable(moves, 5, span=1000) == [moves[0], moves[1], moves[3]]
    assert notable(moves, 2, span=1000) == [moves[0], moves[1]]
    assert notable([], 5, span=10) == []


def test_moves_for_one_reason_are_shown_once_a_layer() -> None:
    rates = {
        1: ("start", 0.4),
        7: ("decaying", 0.38),
        8: ("decaying", 0.2),
        9: ("decaying", 0.1),
        30: ("floor", 0.01),
    }
    moves = [
        Move(at, None if at == 1 else 0.4, lr, "", reason, layer)
        for layer, lowered in (("conv", 1.0), ("fc", 0.5))
        for at, (reason, lr) in ((at, (reason, lr * lowered)) for at, (reason, lr) in rates.items())
    ]
    assert [(m.at, m.layer) for m in notable(moves, 10, span=30)] == [
        (at, layer) for at in (1, 7, 30) for layer in ("conv", "fc")
    ]


def test_the_first_move_is_to_the_rate_that_trials_found() -> None:
    def row(epoch: int, lr: float, reason: str, **more: object) -> Row:
        decision = {"layer": "fc", "lr": lr, "phase": "hold", "reason": reason}
        return {"epoch": epoch, "decisions": [decision] if epoch else [], **more}

    searching = [row(0, 0.0, ""), row(1, 0.01, "start", finding=True), row(2, 0.01, "start", finding=True)]
    assert moves_of(searching, 0) == []
    (found, lowered) = moves_of(
        [*searching, row(3, 0.1, "held"), row(4, 0.1, "held"), row(5, 0.05, "fell")], 0
    )
    assert found == Move(2, None, 0.1, "hold", "found in trials over 2 epochs; held", "fc")
    assert lowered == Move(4, 0.1, 0.05, "hold", "fell", "fc")


def drawn(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Figure, list[Row]]:
    """The picture of the run in a folder, which is drawn as drawn.png there too; the run's rows."""
    figures: list[Figure] = []
    monkeypatch.setattr(picture, "FigureCanvasAgg", lambda figure: figures.append(figure))
    folder = RunFolder(path)
    record, rows = folder.read_json("run.json"), folder.read_rows()
    assert record is not None
    draw_run(record, rows, path / "drawn.png")
    return figures[0], rows


@pytest.mark.parametrize(
    ("epochs", "layer_wise", "std_error"),
    [(1, False, True), (6, False, False), (1, True, False), (6, True, True)],
)
def test_a_run_is_drawn(
    tiny: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
    layer_wise: bool,
    std_error: bool,
) -> None:
    tiny.run(tmp_path, epochs=epochs, layer_wise=layer_wise, std_error=std_error)
    figure, rows = drawn(tmp_path, monkeypatch)
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")

    rate, information, metric, reasons = figure.axes
    assert rate.get_yscale() == "log"
    legend = rate.get_legend()
    assert legend is not None
    assert "hold" in [text.get_text() for text in legend.get_texts()]
    labels = information.get_legend_handles_labels()[1]
    assert labels[0].startswith("reference I(X;Y), 1.09")
    drawn_layers = ["0", "3, the output"] if layer_wise else ["output"]  # the last layer is drawn once
    if std_error:
        drawn_layers = [f"{name}{',' * (',' in name)} ± standard error" for name in drawn_layers]
    assert labels[1 : 1 + len(drawn_layers)] == drawn_layers
    assert metric.get_ylabel() == "test accuracy, %"
    (listed,) = (text.get_text() for text in reasons.texts)
    assert rows[1]["decisions"][0]["reason"] in listed


def test_held_out_examples_are_drawn_in_the_epochs_that_have_them(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.run(tmp_path, epochs=7, held_out=0.25)
    figure, rows = drawn(tmp_path, monkeypatch)
    (line,) = (one for one in figure.axes[1].get_lines() if one.get_label() == "held out")
    kept = [row for row in rows if "held_out" in row]
    assert 3 < len(kept) < len(rows)
    assert np.asarray(line.get_xdata()).tolist() == [row["epoch"] for row in kept]
    assert np.asarray(line.get_ydata()).tolist() == [row["held_out"]["output"] for row in kept]
