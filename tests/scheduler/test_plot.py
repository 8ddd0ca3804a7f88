"""The picture of a run: drawn at any time, from what the scheduler knows, and known to nobody else."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from torch import nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe, Vasudevan2020, layer_groups
from infopace.probe import Measuring

from ..small_run import BOUNDS, data


class Loop:
    """A small run, by epochs or by steps, in which a network may be ruined."""

    def __init__(self, *, layer_wise: bool = False, held_out: bool = False, **options: Any) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        params = layer_groups(self.model) if layer_wise else self.model.parameters()
        self.optimizer = torch.optim.SGD(params, lr=0.1)
        inputs, labels = data()
        if held_out:
            options["held_out"] = Probe(inputs[400:], labels[400:])
        self.scheduler = MutualInformationLR(
            self.optimizer, self.model, Probe(inputs[:200], labels[:200]), **options
        )

    def train(self, epochs: int = 8, ruined: tuple[int, ...] = (), steps: int = 10) -> MutualInformationLR:
        inputs, labels = (part[:400] for part in data())
        for epoch in range(1, epochs + 1):
            for batch in torch.arange(400).split(400 // steps):
                self.optimizer.zero_grad()
                nn.functional.cross_entropy(self.model(inputs[batch]), labels[batch]).backward()
                self.optimizer.step()
            if epoch in ruined:
                with torch.no_grad():
                    next(iter(self.model.parameters())).fill_(math.nan)
            if self.scheduler.unit is None:
                self.scheduler.observe()
                self.scheduler.step()
        return self.scheduler


def panels(scheduler: MutualInformationLR) -> tuple[str, Axes, Axes, list[str]]:
    """The title, both panels and the lines of text."""
    figure = scheduler.plot()
    rate, information, bottom = figure.axes
    figure.savefig("/dev/null", format="png")  # it can be drawn
    assert figure.get_suptitle()
    return figure.get_suptitle(), rate, information, bottom.texts[0].get_text().split("\n")


def points(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    (line,) = (one for one in axes.get_lines() if one.get_label() == label)
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def longest(axes: Axes) -> tuple[list[float], list[float]]:
    line = max(axes.get_lines(), key=lambda one: len(np.asarray(one.get_xdata())))
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def test_epochs_are_drawn_where_they_were_trained() -> None:
    scheduler = Loop(bounds=BOUNDS, policy=HoldAndDecay(8), held_out=True).train()
    title, rate, information, lines = panels(scheduler)
    assert title == f"{scheduler.history['output'][-1]:.3f} nats after 8 epochs, finished"
    at, lr = longest(rate)
    assert at == [epoch for e in range(8) for epoch in (e, e + 1)]
    assert lr == [one[0].lr for one in scheduler.decisions[:-1] for _ in range(2)]
    assert points(information, "output ± standard error") == (list(range(9)), scheduler.history["output"])
    held_out = scheduler.held_out_history["output"]
    assert points(information, "held out") == (list(range(len(held_out))), held_out)
    assert len(information.collections) == 2  # a band each
    assert {"hold", "decay", "finished"} <= set(legend(rate))
    assert lines[0].startswith("1  epoch 1: lr 0.2: start at lr_top = 0.2")
    assert lines[-1].endswith("finished after epoch 8")


def test_steps_are_drawn_as_lines_to_where_the_run_is() -> None:
    loop = Loop(layer_wise=True, bounds=BOUNDS, policy=HoldAndDecay(steps=400), every=20)
    title, rate, information, lines = panels(loop.train(33))
    assert title.endswith("nats after 320 steps, now 330, decay phase")
    at, lr = longest(rate)
    assert at[:2] == [0, 40] and at[-1] == 330
    assert lr[0] == 0.2 and lr[-1] == loop.scheduler.get_last_lr()[0] < lr[-2]
    assert legend(rate)[-2:] == ["0", "2"]
    assert points(information, "0 ± standard error")[0] == list(range(0, 321, 40))
    assert "layers 0, 2: lr 0.2" in lines[0]


def test_rolled_back_epochs_are_shaded_and_have_no_information() -> None:
    scheduler = Loop(bounds=BOUNDS, policy=HoldAndDecay(8)).train(ruined=(3, 4, 6))
    _, rate, information, lines = panels(scheduler)
    assert scheduler.rolled_back == [3, 4, 6]
    assert points(information, "output ± standard error")[0] == [0, 1, 2, 5, 7, 8]
    spans = [patch.get_bbox().intervalx.tolist() for patch in rate.patches]  # pyright: ignore[reportAttributeAccessIssue]
    assert spans == [[2, 3], [3, 4], [5, 6]]
    assert "rolled back" in legend(rate)
    assert any("epoch 3 rolled back" in line for line in lines)
    # So is a moment to which a run returns named.
    assert [scheduler._pacer.ledger.moment(n) for n in (0, 2, 3, 4)] == [
        "epoch 0",
        "epoch 2",
        "epoch 5",
        "epoch 7",
    ]


def test_trials_are_shaded() -> None:
    loop = Loop(policy=HoldAndDecay(steps=400), every=20)
    title, rate, _, lines = panels(loop.scheduler)
    assert title.endswith("before training, finding the learning rate") and not rate.get_lines()
    assert lines == ["finding the learning rate, trials of 8 steps: the first runs"]
    scheduler = loop.train(20)
    _, rate, information, lines = panels(scheduler)
    first = rate.patches[0].get_bbox().intervalx.tolist()  # pyright: ignore[reportAttributeAccessIssue]
    assert first[0] == 0 and first[1] == points(information, "output ± standard error")[0][0] > 0
    assert "trials" in legend(rate)
    assert lines[0] == scheduler.found[0][:150].rstrip() or scheduler.found[0].startswith(lines[0])


def test_before_training_there_is_one_value() -> None:
    title, rate, information, lines = panels(Loop(bounds=BOUNDS, policy=HoldAndDecay(8)).scheduler)
    assert title.endswith("nats before training")
    assert longest(rate) == ([0], [0.2]) and longest(information)[0] == [0]
    assert lines == ["1  epoch 1: lr 0.2: start at lr_top = 0.2"]


def test_a_resumed_run_has_the_same_picture() -> None:
    options: dict[str, Any] = {"bounds": BOUNDS, "policy": HoldAndDecay(steps=400), "every": 20}
    loop, other = Loop(held_out=True, **options), Loop(held_out=True, **options)
    loop.train(13, steps=10)
    other.optimizer.load_state_dict(loop.optimizer.state_dict())
    other.scheduler.load_state_dict(loop.scheduler.state_dict())
    for one, two in zip(loop.scheduler.plot().axes, other.scheduler.plot().axes, strict=True):
        assert [np.asarray(line.get_xydata()).tolist() for line in one.get_lines()] == [
            np.asarray(line.get_xydata()).tolist() for line in two.get_lines()
        ]
        assert len(one.collections) == len(two.collections)


def test_many_moves_keep_few_numbers() -> None:
    scheduler = Loop(bounds=Bounds(1e-3, 0.2), policy=Vasudevan2020(40)).train(40)
    assert len(scheduler.explain().splitlines()) > 20
    _, rate, _, lines = panels(scheduler)
    assert [text.get_text() for text in rate.texts] == [
        str(number) for number in range(1, len(rate.texts) + 1)
    ]
    assert 3 <= len(rate.texts) <= 8
    assert lines[-1].endswith(" more moves")


def test_errors_are_kept_where_they_are_known() -> None:
    known = Loop(bounds=BOUNDS, policy=HoldAndDecay(8)).train(2)._pacer.ledger.errors
    assert len(known["output"]) == 3 and all(error and error > 0 for error in known["output"])
    usual = Measuring(signal="neighbours", std_error=False)
    scheduler = Loop(bounds=BOUNDS, policy=HoldAndDecay(8), measuring=usual).train(2)
    assert scheduler._pacer.ledger.errors["output"] == [None] * 3
    assert points(panels(scheduler)[2], "output")[0] == [0, 1, 2]


def test_a_file_is_written_and_a_notebook_has_a_picture(tmp_path: Path) -> None:
    figure = Loop(bounds=BOUNDS, policy=HoldAndDecay(8)).scheduler.plot(tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    picture, size = figure._repr_png_()  # pyright: ignore[reportAttributeAccessIssue]
    assert picture.startswith(b"\x89PNG") and size["width"] > size["height"]


SCRIPT = """
import sys, torch, infopace
absent = sys.argv[1] == "absent"
if absent:
    sys.modules["matplotlib"] = None
x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
probe = infopace.Probe(x, (x[:, 0] > 0).long())
scheduler = infopace.MutualInformationLR(optimizer, model, probe, infopace.Bounds(1e-3, 0.1))
try:
    scheduler.plot()
except ImportError as error:
    print(error)
print("matplotlib.pyplot" in sys.modules)
"""


@pytest.mark.parametrize(
    ("which", "said"),
    [("absent", 'pictures need matplotlib: pip install "infopace[plot]"\nFalse\n'), ("there", "False\n")],
)
def test_pyplot_is_not_needed_and_a_missing_matplotlib_is_named(which: str, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, which], capture_output=True, text=True, timeout=120
    )
    assert (ran.stdout, ran.returncode) == (said, 0)
