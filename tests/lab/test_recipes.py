"""The optimizers of runs: each trains, resumes bit for bit, is tested over its range, and makes another run."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from infopace import layer_groups
from infopace.cli import main
from infopace.lab import run as run_module
from infopace.lab import workloads
from infopace.lab.compare import CompareConfig
from infopace.lab.compare._config import inputs_of, resolve_comparison
from infopace.lab.compare._known import read_known
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.errors import InputError
from infopace.lab.optimizers import RECIPES, AdamWRecipe, MuonRecipe, SGDRecipe, find_recipe
from infopace.lab.optimizers._kernel_muon import KernelMuon
from infopace.scheduler import Optimizers

from .small import ONE_PAPER_TRIAL, ROW

ROOT = Path(__file__).resolve().parents[2]
# Bounds for the three clouds.
BOUNDS = {
    "sgd": (0.001, 0.2),
    "adamw": (0.001, 0.03),
    "muon": (0.001, 0.03),
    "lion": (0.0003, 0.01),
    "adafactor": (0.01, 0.2),
}

every_recipe = pytest.mark.parametrize("name", RECIPES)


def options(name: str) -> dict[str, Any]:
    low, high = BOUNDS[name]
    return {"optimizer": name, "lr_min": low, "lr_max": high}


@every_recipe
def test_a_paced_run_trains_and_a_stopped_one_ends_as_one_that_was_not(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(run_module, "_CHECKPOINT_SHARE", float("inf"))  # one each epoch
    tiny.run(tmp_path / "whole", epochs=6, **options(name))
    rows, _ = tiny.ending(tmp_path / "whole")
    assert rows[-1]["train_loss"] < rows[1]["train_loss"]
    assert rows[-1]["test"] > 0.5  # chance is a third
    record = json.loads((tmp_path / "whole" / "run.json").read_text())
    assert record["optimizer"] == RECIPES[name].settings()
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(3), epochs=6, **options(name))
    listener = stop_at()
    tiny.run(tmp_path / "cut", listener, epochs=6, **options(name))
    assert "resuming after epoch 2" in listener.heard[1]
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
def test_a_range_test_trains_with_the_optimizer_and_its_folder_is_of_that_one(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infopace.RangeTest.plot", lambda found, path: path)
    losses = {}
    command = ["range-test", "tiny", *ONE_PAPER_TRIAL, "--low", "0.01", "--high", "0.05"]
    for name in RECIPES:
        out = tmp_path / name
        assert main([*command, "--optimizer", name, "--out", str(out)]) in (0, 4)
        shown = re.search(r"trial 0  lr 0\.01 .* loss (\S+)", capsys.readouterr().out)
        assert shown is not None
        losses[name] = float(shown[1])
    assert len(set(losses.values())) == len(RECIPES), losses
    capsys.readouterr()
    assert main([*command, "--optimizer", "adamw", "--out", str(tmp_path / "muon")]) == 2
    assert "holds another range test: optimizer is " in capsys.readouterr().err


@pytest.mark.slow
def test_a_race_finds_bounds_for_muon(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infopace.RangeTest.plot", lambda found, path: path)
    command = [
        "range-test",
        "tiny",
        "--optimizer",
        "muon",
        "--threads",
        "1",
        "--trials",
        "1",
        "--epochs",
        "8",
    ]
    assert main([*command, "--out", str(tmp_path / "test")]) == 0
    bounds = json.loads((tmp_path / "test" / "range-test.json").read_text())["bounds"]
    assert 1e-4 < bounds["lr_min"] < bounds["lr_max"] < 10


def test_sgd_is_recorded_as_it_was_before_there_were_others(tiny: Any) -> None:
    settings = resolve(TrainConfig(workload="tiny", threads=1)).settings()
    assert "optimizer" not in settings
    assert {name: settings[name] for name in ("momentum", "nesterov", "weight_decay")} == {
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.0,
    }
    named = resolve(TrainConfig(workload="tiny", optimizer="sgd", threads=1))
    assert named.settings() == settings


def test_another_optimizer_is_another_run(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path / "run", epochs=1, **options("sgd"))
    changed = {**options("sgd"), "optimizer": "adamw"}
    with pytest.raises(InputError, match=r"holds a run with another config: optimizer is None there and \{"):
        tiny.run(tmp_path / "run", epochs=1, **changed)
    plans = [resolve(TrainConfig(workload="tiny", optimizer=name)) for name in RECIPES]
    assert len({plan.folder() for plan in plans}) == len(RECIPES)


def test_numbers_of_a_workload_s_own_optimizer_are_kept(tiny: Any) -> None:
    own = AdamWRecipe(betas=(0.8, 0.9), weight_decay=0.1)
    tiny.change(optimizer=own)
    assert resolve(TrainConfig(workload="tiny")).optimizer == own
    assert resolve(TrainConfig(workload="tiny", optimizer="adamw")).optimizer == own
    assert resolve(TrainConfig(workload="tiny", optimizer="sgd")).optimizer == SGDRecipe()
    # SGD of a baseline is no AdamW, and its run does not record one.
    baseline = resolve(TrainConfig(workload="tiny", method="sgd-cosine", lr=0.1))
    assert baseline.optimizer == SGDRecipe() and "optimizer" not in baseline.settings()
    cosine = resolve(TrainConfig(workload="tiny", method="cosine", lr=0.1))
    assert cosine.settings()["optimizer"] == own.settings()


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            {"optimizer": "adam"},
            r"unknown optimizer 'adam'; did you mean 'adamw'\? The opt.*s are: sgd,",
        ),
        (
            {"optimizer": "adamw", "bounds": "workload"},
            "the bounds of tiny are for sgd, got optimizer = adamw; give --lr-min",
        ),
        ({"optimizer": "adamw", "bounds": "workload", "lr_min": 0.1}, "the bounds of tiny are for sgd"),
        (
            {"optimizer": "adamw", "method": "sgd-cosine", "lr": 0.1},
            "sgd-cosine has an optimizer of its own, got",
        ),
        ({"method": "cosine"}, "cosine has no published learning rate; give --lr"),
    ],
)
def test_what_does_not_go_together_is_one_line(tiny: Any, config: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as error:
        resolve(TrainConfig(workload="tiny", **config))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: SGDRecipe(momentum=-0.1), "momentum must be at least 0 and finite, got -0.1"),
        (lambda: SGDRecipe(nesterov=1), "nesterov must be like True, got 1"),  # pyright: ignore[reportArgumentType]
        (
            lambda: AdamWRecipe(weight_decay=float("inf")),
            "weight_decay must be at least 0 and finite, got inf",
        ),
        (lambda: AdamWRecipe(weight_decay="0.1"), "weight_decay must be like 0.01, got '0.1'"),  # pyright: ignore[reportArgumentType]
        (lambda: AdamWRecipe(betas=(0.9, "x")), r"betas must be like \(0.9, 0.999\), got"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_numbers_that_no_optimizer_can_use(
    monkeypatch: pytest.MonkeyPatch, make: Any, complaint: str
) -> None:
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    with pytest.raises(ValueError, match=complaint):
        make()


class Net(nn.Module):
    """An embedding, a convolution, two hidden matrices, a norm and a last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.conv = nn.Conv1d(4, 4, 3, padding=1)
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(self.embed(x).transpose(1, 2)).mean(2)
        return self.head(self.norm(self.second(F.relu(self.first(x)))))


@pytest.mark.parametrize("layer_wise", [False, True])
def test_muon_takes_the_hidden_matrices_and_adamw_the_rest(layer_wise: bool) -> None:
    model = Net()
    optimizer = MuonRecipe().build(model, 0.01, layer_wise=layer_wise)
    assert isinstance(optimizer, Optimizers)
    muon, adamw = optimizer.parts
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    taken = [{names[id(p)] for group in one.param_groups for p in group["params"]} for one in (muon, adamw)]
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    assert taken[0] == {"conv.weight", "first.weight", "second.weight"}
    assert taken[1] == set(names.values()) - taken[0]
    if layer_wise:
        layers = {group["layer"] for group in layer_groups(model)}
        assert {group["layer"] for group in optimizer.param_groups} == layers
        assert [group["layer"] for group in muon.param_groups] == ["conv", "first", "second"]


def test_muon_without_a_hidden_matrix_is_refused() -> None:
    with pytest.raises(
        InputError, match="muon needs a hidden layer with a matrix of weights or a convolution"
    ):
        MuonRecipe().build(nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 2)), 0.01)


def test_the_embedding_of_a_tied_head_is_not_for_muon() -> None:
    model = Net()
    model.embed = nn.Embedding(3, 4)
    model.head.weight = model.embed.weight
    optimizer = MuonRecipe().build(model, 0.01)
    assert isinstance(optimizer, Optimizers)
    weights = [p for group in optimizer.parts[0].param_groups for p in group["params"]]
    assert all(weight is not model.embed.weight for weight in weights)


def test_find_recipe_prefers_the_workload_s_own() -> None:
    own = AdamWRecipe(weight_decay=0.5)
    assert find_recipe(None, own) is own
    assert find_recipe("adamw", own) is own
    assert find_recipe("lion", own) is RECIPES["lion"]


def test_a_comparison_with_another_optimizer_is_another(tmp_path: Path) -> None:
    spec = f"{Path(__file__).with_name('own.py')}:MINE"
    sgd, adamw = (
        resolve_comparison(CompareConfig(spec, ("hold-and-decay", "cosine", "adam"), optimizer=name))
        for name in (None, "adamw")
    )
    assert [entry.grid for entry in adamw.entries] == [(), AdamWRecipe.grid, sgd.entries[2].grid]
    assert sgd.entries[1].grid == SGDRecipe.grid
    cells = [entry.takes_the_optimizer for entry in adamw.entries]
    assert cells == [True, True, False]
    data = sgd.workload.load()
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({**ROW, "inputs": inputs_of(sgd, data)}) + "\n")
    assert len(read_known([rows], sgd, inputs_of(sgd, data)).runs) == 1
    with pytest.raises(InputError, match="the row is of another comparison: optimizer is None there and"):
        read_known([rows], adamw, inputs_of(adamw, data))
    with pytest.raises(InputError, match="mine are for sgd, got optimizer = lion; take --bounds range-test"):
        resolve_comparison(CompareConfig(spec, optimizer="lion", bounds="workload"))


def test_a_comparison_names_cosine_and_linear_unless_they_are_those_of_sgd() -> None:
    names = [entry.name for entry in resolve_comparison(CompareConfig("digits")).entries]
    assert "cosine" not in names and "sgd-cosine" in names
    names = [entry.name for entry in resolve_comparison(CompareConfig("digits", optimizer="adamw")).entries]
    assert names[-2:] == ["cosine", "linear"]


def test_cosine_over_adamw_is_the_baseline_adamw_cosine(tiny: Any, tmp_path: Path) -> None:
    """The same numbers, so the same weights, bit for bit."""
    tiny.run(tmp_path / "one", method="cosine", optimizer="adamw", lr=0.01)
    tiny.run(tmp_path / "other", method="adamw-cosine", lr=0.01)
    tiny.assert_same_ending(tmp_path / "one", tmp_path / "other")


def test_the_documented_optimizers_are_those_there_are() -> None:
    lines = (ROOT / "docs" / "baselines.md").read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| **")
    ]
    shown = {name.strip("*"): grid for name, _, _, _, grid in rows}
    assert shown == {name: " ".join(f"{rate:g}" for rate in recipe.grid) for name, recipe in RECIPES.items()}


def test_every_workload_s_optimizer_is_known() -> None:
    assert {workload.optimizer.name for workload in workloads.WORKLOADS.values()} <= set(RECIPES)


def test_muon_of_kernels_resumes_with_the_same_numbers() -> None:
    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = nn.Conv2d(2, 4, 3)
        return model, KernelMuon([model.weight], 0.02)

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        optimizer.zero_grad()
        model(
            torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(seed))
        ).square().mean().backward()
        optimizer.step()

    (whole, its), (again, new) = build(), build()
    train(whole, its, 0)
    saved = copy.deepcopy((whole.state_dict(), its.state_dict()))
    train(whole, its, 1)
    again.load_state_dict(saved[0])
    new.load_state_dict(saved[1])
    train(again, new, 1)
    assert all(map(torch.equal, whole.parameters(), again.parameters()))
