"""What a run writes, what decides, and how it ends when the training diverges."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infopace import Bounds, HoldAndDecay, Vasudevan2020
from infopace.cli import main
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.errors import Diverged, InputError, NotFinite
from infopace.lab.picture import draw_run
from infopace.lab.progress import PlainProgress, Silent
from infopace.lab.run import train
from infopace.lab.run_folder import RunFolder
from infopace.lab.steps import PacedSteps
from infopace.lab.tasks import MAE_CELSIUS, NUMBERS
from infopace.lab.training import Training
from infopace.lab.workload import Data
from infopace.policies import simulate
from infopace.scheduler import RollBack


def test_rows_tell_the_whole_story(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path, method="vasudevan-2020", bounds="workload", layer_wise=True)
    rows = RunFolder(tmp_path).read_rows()
    assert [row["epoch"] for row in rows] == list(range(7))
    groups = json.loads((tmp_path / "run.json").read_text())["groups"]
    assert groups == ["0", "3"]
    for row in rows[1:]:
        assert list(row["information"]) == ["0", "3", "output"]
        assert row["reference"] == pytest.approx(1.0986, abs=1e-3)  # ln 3
        assert row["information"]["output"]["std_error"] > 0
        assert row["information"]["output"]["decoder"] < row["reference"]
        assert [decision["layer"] for decision in row["decisions"]] == groups
        assert [decision["lr"] for decision in row["decisions"]] == row["lr"]
        assert all(decision["reason"] for decision in row["decisions"])
        assert set(row["seconds"]) == {"train", "evaluate", "measure"}
    # Each group's learning rates are what the policy makes of its own layer's information.
    for group, layer in enumerate(groups):
        trace = [row["information"][layer]["nats"] for row in rows]
        decided = simulate(
            Vasudevan2020(6), trace, reference=rows[0]["reference"], bounds=tiny.workload.bounds
        )
        assert [row["lr"][group] for row in rows[1:]] == [decision.lr for decision in decided[:6]]


@pytest.mark.parametrize("layer_wise", [False, True])
def test_error_bars_change_nothing_else(tiny: Any, tmp_path: Path, layer_wise: bool) -> None:
    tiny.run(tmp_path / "with", layer_wise=layer_wise)
    tiny.run(tmp_path / "without", layer_wise=layer_wise, std_error=False)
    (full, weights), (bare, same_weights) = (tiny.ending(tmp_path / name) for name in ("with", "without"))
    errors = [found.pop("std_error") for row in bare for found in row["information"].values()]
    assert errors == [None] * len(errors)
    errors = [found.pop("std_error") for row in full for found in row["information"].values()]
    assert all(error > 0 for error in errors)
    for row in full:  # one caution rests on them
        row["warnings"] = [text for text in row["warnings"] if "95 % interval" not in text]
    assert bare == full
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)


def test_the_record_names_what_the_numbers_depend_on(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path, seed=5)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["seed"] == 5
    assert record["threads"] == 1
    assert record["parameters"] == 4 * 8 + 8 + 8 * 3 + 3
    assert record["versions"]["torch"] == torch.__version__
    assert record["hardware"]["cores"] >= 1
    assert record["settings"]["lr_max"] == 0.2
    assert record["settings"]["batch_size"] == 16


def test_the_test_set_decides_nothing(tiny: Any, tmp_path: Path) -> None:
    data = tiny.workload.load()
    tiny.run(tmp_path / "one")
    other = Data(data.train_inputs, data.train_targets, data.test_inputs, (data.test_targets + 1) % 3)
    tiny.change(load=lambda: other)
    tiny.run(tmp_path / "other")
    (rows, weights), (other_rows, other_weights) = (
        tiny.ending(tmp_path / "one"),
        tiny.ending(tmp_path / "other"),
    )
    assert [row["lr"] for row in rows] == [row["lr"] for row in other_rows]
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert rows[-1]["test"] != other_rows[-1]["test"]


def test_seeds_and_settings_reach_the_numbers(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path / "zero")
    last = {}
    paper = {"method": "vasudevan-2020", "bounds": "workload"}
    options = {"seed": {"seed": 1}, "bf16": {"bf16": True}, "first": {**paper, "first_lr": "information"}}
    for name, option in options.items():
        tiny.run(tmp_path / name, **option)
        last[name] = tiny.ending(tmp_path / name)[0][-1]["train_loss"]
    assert len({*last.values(), tiny.ending(tmp_path / "zero")[0][-1]["train_loss"]}) == 4


def test_a_diverged_training_names_epoch_rate_and_the_last_good_checkpoint(tiny: Any, tmp_path: Path) -> None:
    tiny.change(bounds=Bounds(1e-3, 1e30, lr_top=0.05))
    paper = {"method": "vasudevan-2020", "bounds": "workload"}  # lr_max comes into it after the first epoch
    with pytest.raises(Diverged) as caught:
        tiny.run(tmp_path, **paper)
    rows = RunFolder(tmp_path).read_rows()
    epoch = rows[-1]["epoch"] + 1
    message = str(caught.value)
    assert message.startswith(f"training diverged in epoch {epoch} at learning rate ")
    path = Path(message.rpartition("last good checkpoint: ")[2])
    state = RunFolder(tmp_path).load_checkpoint(path)
    assert state is not None
    assert state["epoch"] <= rows[-1]["epoch"]
    assert all(torch.isfinite(weight).all() for weight in state["model"].values())
    assert not (tmp_path / "summary.json").exists()
    with pytest.raises(Diverged) as again:  # resuming does not turn it into a success
        tiny.run(tmp_path, **paper)
    assert str(again.value).partition(";")[0] == message.partition(";")[0]


def test_divergence_is_exit_code_3_and_one_line(
    tiny: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "train",
        "tiny",
        "--method",
        "vasudevan-2020",
        "--lr-max",
        "1e30",
        "--lr-top",
        "1e30",
        "--bounds",
        "workload",
        "--out",
        str(tmp_path),
    ]
    assert main(command) == 3
    error = capsys.readouterr().err
    assert error.startswith("infopace: training diverged in epoch 1 at learning rate 1e+30: ")
    assert "last good checkpoint: " in error
    assert error.count("\n") == 1


def test_activations_that_overflow_are_a_divergence(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(workload="tiny", threads=1, method="vasudevan-2020", bounds="workload")
    training = Training(resolve(config), tiny.workload.load())

    def refuse() -> None:
        raise ValueError("x must be finite, got inf at row 3")

    assert isinstance(training.steps, PacedSteps)
    monkeypatch.setattr(training.steps.scheduler, "observe", refuse)
    with pytest.raises(NotFinite, match="got inf at row 3"):
        training.run_epoch(1, lambda done, total: None)


def test_a_study_gives_another_policy_and_roll_back(tiny: Any, tmp_path: Path) -> None:
    config = TrainConfig("tiny", bounds="workload", held_out=0.0, threads=1, out=tmp_path / "run")
    rule = HoldAndDecay(6, middle=0.0)
    train(config, Silent(), picture=False, policy=rule, roll_back=RollBack(left=0.25))
    decisions = [row["decisions"][0] for row in RunFolder(tmp_path / "run").read_rows()[1:]]
    held = {decision["lr"] for decision in decisions if decision["phase"] == "hold"}
    assert held == {tiny.workload.bounds.lr_top}  # the standard holds a higher one from epoch 2 on


def collapsed_in(monkeypatch: pytest.MonkeyPatch, epochs: tuple[int, ...], how: str) -> None:
    """These epochs end with weights that carry no information, or that are not numbers."""
    usual = Training.train_epoch

    def train_epoch(self: Training, epoch: int, on_batch: Any) -> float:
        loss = usual(self, epoch, on_batch)
        if epoch in epochs:
            with torch.no_grad():
                for weight in self.model.parameters():
                    weight.fill_(torch.nan if how == "nan" else 0.0)
            if how == "nan":
                raise NotFinite("the training loss is nan")
        return loss

    monkeypatch.setattr(Training, "train_epoch", train_epoch)


@pytest.mark.parametrize("held_out", [0.0, 0.25])
@pytest.mark.parametrize("layer_wise", [False, True])
@pytest.mark.parametrize("how", ["collapsed", "nan"])
def test_an_epoch_that_diverges_or_collapses_is_rolled_back(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_out: float, layer_wise: bool, how: str
) -> None:
    heard: list[str] = []
    collapsed_in(monkeypatch, (3, 4), how)
    options = {"held_out": held_out, "layer_wise": layer_wise, "epochs": 9}
    tiny.run(tmp_path / "collapsed", PlainProgress(heard.append), **options)
    rows = RunFolder(tmp_path / "collapsed").read_rows()
    assert [row["epoch"] for row in rows if row["train_loss"] is None] == [0, 3, 4]
    for epoch in (3, 4):  # nothing of it is left
        for what in ("test", "information", *(["held_out"] if held_out else [])):
            # With held-out examples the network returns to the best epoch, which may be the one before the last.
            assert rows[epoch][what] in [row[what] for row in rows[1 if held_out else 2 : 3]]
    if held_out and "held" in rows[6]["decisions"][0]["phase"]:
        assert rows[5]["held_out"] != rows[2]["held_out"]
    for epoch in (4, 5):
        for group, decision in enumerate(rows[epoch]["decisions"]):
            assert f"epoch {epoch - 1} rolled back, lr_top and lr_max times 0.5: " in decision["reason"]
            assert rows[epoch]["lr"][group] == pytest.approx(0.5 * rows[epoch - 1]["lr"][group])
    assert rows[5]["train_loss"] != rows[2]["train_loss"]
    (line,) = [line for line in heard if "diverged or collapsed and were rolled back" in line]
    assert f"2 of {len(rows) - 1} epochs" in line

    # As if they had not been: a run of two epochs less has the same phases, at other rates.
    phases = [row["decisions"][0]["phase"] for row in rows[1:3] + rows[5:]]
    tiny.run(tmp_path / "usual", **{**options, "epochs": 7})
    usual = RunFolder(tmp_path / "usual").read_rows()
    if not held_out:
        assert len(phases) == len(usual) - 1 == 7
    assert phases[:4] == [row["decisions"][0]["phase"] for row in usual[1:5]]


@pytest.mark.parametrize("how", ["collapsed", "nan"])
@pytest.mark.parametrize("epoch", [2, 3, 4, 5])
def test_a_run_with_rolled_back_epochs_resumes_bit_for_bit(
    tiny: Any,
    stop_at: Any,
    stopped: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
    how: str,
) -> None:
    collapsed_in(monkeypatch, (3, 4), how)
    options = {"epochs": 8, "bf16": how == "nan"}
    tiny.run(tmp_path / "whole", **options)
    stop = stop_at(epoch)
    with pytest.raises(stopped):
        tiny.run(tmp_path / "stopped", stop, **options)
    tiny.run(tmp_path / "stopped", **options)
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "stopped")


def test_a_published_rule_is_as_it_was_published(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collapsed_in(monkeypatch, (3,), "nan")
    with pytest.raises(Diverged, match="training diverged in epoch 3"):
        tiny.run(tmp_path, method="vasudevan-2020", bounds="workload")


@pytest.mark.filterwarnings("ignore:.*were rolled back one after the other")
def test_where_no_rate_helps_the_run_says_what_was_tried(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collapsed_in(monkeypatch, tuple(range(2, 20)), "nan")
    with pytest.raises(Diverged) as error:
        tiny.run(tmp_path, epochs=20)
    lines = str(error.value).splitlines()
    assert len(lines) == 1
    assert re.fullmatch(
        r"training diverged in epoch (\d+) at learning rate 0.001: epochs 2 to \1 were rolled back "
        r"one after the other, "
        r"at learning rates from 0.1\d* to 0.001, and no rate helps; the last because the training loss is nan; "
        r"check the data and the loss .*; last good checkpoint: .*",
        lines[0],
    ), lines[0]


class Masked(nn.Module):
    """A mask holds -inf for good."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.mask = nn.Parameter(torch.tensor([0.0, -torch.inf, 0.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x * self.mask.exp())


@pytest.mark.parametrize("method", ["hold-and-decay", "sgd-cosine"])
def test_a_weight_that_is_not_finite_from_the_start_is_no_divergence(
    tiny: Any, tmp_path: Path, method: str
) -> None:
    tiny.change(build_model=Masked)
    options = {"bounds": "workload"} if method == "hold-and-decay" else {"lr": 0.1}
    tiny.run(tmp_path, epochs=3, method=method, **options)
    assert all(row["train_loss"] is not None for row in RunFolder(tmp_path).read_rows()[1:])


@pytest.mark.filterwarnings("ignore:.*were rolled back one after the other")
def test_a_training_of_which_nothing_is_left_has_diverged(tiny: Any, tmp_path: Path) -> None:
    tiny.change(bounds=Bounds(1e-3, 1e30, lr_top=1e30))
    for _ in range(2):  # resuming does not turn it into a success
        with pytest.raises(
            Diverged, match=r"^training diverged in each of \d+ epochs, down to learning rate "
        ):
            tiny.run(tmp_path)
    assert not (tmp_path / "summary.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [0.0, 0.25])
def test_of_a_training_set_smaller_than_the_probe_all_rows_are_measured(
    tiny: Any, tmp_path: Path, held_out: float
) -> None:
    for name, probe_size in (("larger", 1000), ("all", 120)):
        tiny.change(probe_size=probe_size)
        tiny.run(tmp_path / name, bounds="range-test", held_out=held_out)
    tiny.assert_same_ending(tmp_path / "larger", tmp_path / "all")


@pytest.mark.slow
def test_a_workload_may_say_what_there_is_to_know(tiny: Any, tmp_path: Path) -> None:
    usual = resolve(TrainConfig("tiny")).settings()
    tiny.change(reference=0.9)
    assert resolve(TrainConfig("tiny")).settings() == usual | {"reference": 0.9}
    tiny.run(tmp_path, bounds="range-test", epochs=1)
    assert RunFolder(tmp_path).read_rows()[-1]["reference"] == 0.9


@pytest.mark.parametrize("bounds", ["workload", "range-test"])
def test_data_that_cannot_be_measured_are_bad_input(tiny: Any, tmp_path: Path, bounds: str) -> None:
    inputs, targets = torch.randn(60, 4), torch.zeros(60, dtype=torch.int64)
    tiny.change(load=lambda: Data(inputs, targets, inputs, targets))
    with pytest.raises(InputError, match="needs at least 2 classes, got only class 0 in 60 examples"):
        tiny.run(tmp_path / "runs" / "one", bounds=bounds, held_out=0.0)
    assert not list(tmp_path.iterdir())


def test_a_regression_is_a_workload_like_any_other(tiny: Any, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(180, 4, generator=generator)
    targets = inputs @ torch.tensor([[1.0, 0.5, 0, 0], [0, 1.0, -1.0, 0], [0, 0, 1.0, 2.0]]).T
    tiny.change(
        load=lambda: Data(inputs[:120], targets[:120], inputs[120:], targets[120:]),
        task=dataclasses.replace(NUMBERS, metric=MAE_CELSIUS),
        bounds=Bounds(1e-4, 0.02),
    )
    result = tiny.run(tmp_path)
    rows = RunFolder(tmp_path).read_rows()
    assert rows[-1]["test"] < rows[0]["test"]
    assert rows[0]["information"]["output"]["decoder"] is None
    best = min(row["test"] for row in rows[1:])
    assert result.lines[0].startswith(
        f"test MAE {rows[-1]['test']:.3f} °C after {len(rows) - 1} epochs (best {best:.3f} °C, epoch "
    )
    # Nobody has read the reference, so there is none. The picture and the page do without.
    assert rows[-1]["reference"] is None
    draw_run(json.loads((tmp_path / "run.json").read_text()), rows, tmp_path / "again.png")
    assert (tmp_path / "again.png").stat().st_size > 10_000
    page = tmp_path / "page.html"
    assert main(["report", str(tmp_path), "--out", str(page)]) == 0
    assert "reference I(X;Y)" not in page.read_text()


@pytest.mark.needs_cuda
def test_cuda_resumes_bit_for_bit(tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path / "whole", device="cuda")
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(4), device="cuda")
    tiny.run(tmp_path / "cut", device="cuda")
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")
