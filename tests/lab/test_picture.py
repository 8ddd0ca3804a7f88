"""The picture: drawn from the run's files alone, whatever the run was like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from infopace.lab.moves import moves_of
from infopace.lab.picture import draw_run, figure_of
from infopace.lab.run_folder import Row, RunFolder
from infopace.pictures import Move


def test_the_first_move_is_to_the_rate_that_trials_found() -> None:
    def row(epoch: int, lr: float, reason: str, **more: object) -> Row:
        decision = {"layer": "fc", "lr": lr, "phase": "hold", "reason": reason}
        return {"epoch": epoch, "decisions": [decision] if epoch else [], **more}

    searching = [row(0, 0.0, ""), row(1, 0.01, "start", finding=True), row(2, 0.01, "start", finding=True)]
    assert moves_of(searching, 0) == []
    (found, lowered) = moves_of(
        [*searching, row(3, 0.1, "held"), row(4, 0.1, "held"), row(5, 0.05, "fell")], 0
    )
    assert found == Move(2, None, 0.1, "hold", "found in trials over 2 epochs; held", "fc", "epoch 3")
    assert lowered == Move(4, 0.1, 0.05, "hold", "fell", "fc", "epoch 5")


def drawn(path: Path) -> tuple[Figure, list[Row]]:
    """The picture of the run in a folder, which is drawn as drawn.png there too; the run's rows."""
    folder = RunFolder(path)
    record, rows = folder.read_json("run.json"), folder.read_rows()
    assert record is not None
    draw_run(record, rows, path / "drawn.png")
    return figure_of(record, rows), rows


@pytest.mark.parametrize(
    ("epochs", "layer_wise", "std_error"),
    [(1, False, True), (6, False, False), (1, True, False), (6, True, True)],
)
def test_a_run_is_drawn(
    tiny: Any,
    tmp_path: Path,
    epochs: int,
    layer_wise: bool,
    std_error: bool,
) -> None:
    tiny.run(tmp_path, epochs=epochs, layer_wise=layer_wise, std_error=std_error)
    figure, rows = drawn(tmp_path)
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


def test_held_out_examples_are_drawn_in_the_epochs_that_have_them(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path, epochs=7, held_out=0.25)
    figure, rows = drawn(tmp_path)
    (line,) = (one for one in figure.axes[1].get_lines() if one.get_label() == "held out")
    kept = [row for row in rows if "held_out" in row]
    assert 3 < len(kept) < len(rows)
    assert np.asarray(line.get_xdata()).tolist() == [row["epoch"] for row in kept]
    assert np.asarray(line.get_ydata()).tolist() == [row["held_out"]["output"] for row in kept]
