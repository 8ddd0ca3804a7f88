"""A user's workload is tried on a few examples first, and its first mistake is one line."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace.cli import main
from infopace.lab import workloads
from infopace.lab.errors import InputError
from infopace.lab.tasks import ACCURACY, NUMBERS, Metric, Task
from infopace.lab.trial import load_tried
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads import find_workload

OWN = Path(__file__).with_name("own.py")
MINE = find_workload(f"{OWN}:MINE")
CPU = torch.device("cpu")
DATA: Any = MINE.load()  # of tensors throughout


class Tuple(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.last(x), None


def of(**parts: Any) -> Any:
    return lambda: dataclasses.replace(DATA, **parts)


def failing() -> Any:
    raise KeyError("no such table")


SHAPES = "of outputs of shape (4, {}) and targets of shape (4,),"
ON_TEST = SHAPES.format(3).replace("of outputs", "of test outputs")


def changed(part: str, place: Any, value: float) -> Any:
    """The data with one number of them changed."""
    tensor = getattr(DATA, part).clone()
    tensor[place] = value
    return of(**{part: tensor})


def frozen() -> nn.Module:
    return nn.Linear(4, 3).requires_grad_(False)


def ending() -> Any:
    raise SystemExit("enough")


def zeros(batch: Tensor) -> Tensor:
    return batch / torch.zeros(())


class Nans(nn.Module):
    """A model whose outputs are nan with untrained weights."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x) * torch.nan


WRONG: dict[str, dict[str, Any]] = {
    "train_inputs and train_targets must have the same length, got 120 and 119": {
        "load": of(train_targets=DATA.train_targets[:-1])
    },
    "test_targets must have at least 1 example, got 0": {
        "load": of(test_inputs=DATA.test_inputs[:0], test_targets=DATA.test_targets[:0])
    },
    "train_targets must have at least 2 examples, got 1": {
        "load": of(train_inputs=DATA.train_inputs[:1], train_targets=DATA.train_targets[:1])
    },
    "load must return infopace.lab.workload.Data, got tuple": {"load": lambda: (DATA, DATA)},
    "train_targets must be a tensor, got ndarray": {"load": of(train_targets=DATA.train_targets.numpy())},
    "load raised KeyError: 'no such table'": {"load": failing},
    "build_model must return a torch Module, got str": {"build_model": lambda: "net"},
    "build_model raised KeyError: 'no such table'": {"build_model": failing},
    "the model must return one tensor, got tuple": {"build_model": Tuple},
    "the model, on inputs of shape (4, 4) and type float32, raised RuntimeError: "
    "mat1 and mat2 shapes cannot be multiplied (4x4 and 7x2)": {"build_model": lambda: nn.Linear(7, 2)},
    "the model, on inputs of shape (4, 4) and type float64, raised RuntimeError: "
    "mat1 and mat2 must have the same dtype, but got Double and Float": {
        "load": of(train_inputs=DATA.train_inputs.double())
    },
    f"loss, {SHAPES.format(1)} raised IndexError: Target 1 is out of bounds.": {
        "build_model": lambda: nn.Linear(4, 1)
    },
    "loss must return one number as a tensor, the mean over the examples, got shape (4,)": {
        "task": Task(nn.CrossEntropyLoss(reduction="none"), ACCURACY)
    },
    f"metric 'accuracy', {ON_TEST} raised KeyError: 'no such table'": {
        "task": Task(F.cross_entropy, Metric("accuracy", lambda outputs, targets: failing(), True))
    },
    "train_inputs must be finite, got nan in example 70, and in 1 of 120": {
        "load": changed("train_inputs", (70, 2), torch.nan)
    },
    "test_inputs must be finite, got inf in example 0, and in 60 of 60": {
        "load": changed("test_inputs", (slice(None), 1), torch.inf)
    },
    f"loss, {SHAPES.format(3)} raised IndexError: Target -1 is out of bounds.": {
        "load": changed("train_targets", 100, -1)
    },
    f"loss, {ON_TEST} raised IndexError: Target -1 is out of bounds.": {
        "load": changed("test_targets", 50, -1)
    },
    f"loss, {ON_TEST} raised IndexError: Target 7 is out of bounds.": {
        "load": changed("test_targets", 50, 7)
    },
    "the model, on test inputs of shape (4, 3) and type float32, raised RuntimeError: "
    "mat1 and mat2 shapes cannot be multiplied (4x3 and 4x8)": {
        "load": of(test_inputs=DATA.test_inputs[:, :3])
    },
    "the model must have weights to train, got none with requires_grad": {"build_model": frozen},
    "loss must depend on the model's outputs, got one without a gradient": {
        "task": Task(lambda outputs, targets: F.cross_entropy(outputs.detach(), targets), ACCURACY)
    },
    "loss must be finite with untrained weights, got nan for finite outputs": {
        "task": Task(lambda outputs, targets: outputs.sum() * torch.nan, ACCURACY)
    },
    "the model must return finite numbers with untrained weights, got outputs of shape (4, 3) "
    "and targets of shape (4,) that are not": {"build_model": Nans},
    "prepare must return finite numbers, got inputs of shape (4, 4) and type float32 that are not": {
        "prepare": zeros
    },
    f"metric 'mine', {ON_TEST} must be finite with untrained weights, got nan": {
        "task": Task(
            F.cross_entropy, Metric("mine", lambda outputs, targets: outputs[:, 0] * torch.nan, True)
        )
    },
    "load raised SystemExit: enough": {"load": ending},
    "epochs must be at least 1, got 0": {"epochs": 0},
    "batch_size must be at least 1, got 0": {"batch_size": 0},
    "probe_size must be at least 2, got 0": {"probe_size": 0},
    "epoch_examples must be at least 1, got 0": {"epoch_examples": 0},
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse an array first
    with pytest.raises(InputError) as error:
        load_tried(dataclasses.replace(MINE, **WRONG[text]), CPU)
    assert str(error.value) == f"workload 'mine': {text}"


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        ("task", "classes", "task must be Task, got str 'classes'"),
        ("optimizer", "adamw", "optimizer must be Recipe, got str 'adamw'"),
        ("epochs", "3", "epochs must be a whole number, got '3'"),
        ("load", "mnist", "load must be a function, got 'mnist'"),
    ],
)
def test_a_part_of_another_kind_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, part: str, value: str, text: str
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError) as error:
        dataclasses.replace(MINE, **{part: value})
    assert str(error.value) == text


def test_a_task_without_a_loss_or_a_metric_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError, match=r"^loss must be a function, got 'cross-entropy'$"):
        dataclasses.replace(MINE.task, loss="cross-entropy")
    with pytest.raises(TypeError, match=r"^metric must be Metric, got str 'accuracy'$"):
        dataclasses.replace(MINE.task, metric="accuracy")


def test_outputs_that_torch_would_hold_against_every_target() -> None:
    """(n, 1) beside (n,): torch warns, broadcasts, and trains a wrong thing."""
    targets = DATA.train_inputs[:, 0]
    wrong = dataclasses.replace(
        MINE,
        load=of(train_targets=targets, test_targets=targets[:60]),
        build_model=lambda: nn.Linear(4, 1),
        task=NUMBERS,
    )
    with pytest.raises(
        InputError, match=r"^workload 'mine': loss, .* raised UserWarning: Using a target size"
    ):
        load_tried(wrong, CPU)


def test_a_sound_one_gives_its_data_and_leaves_the_random_state() -> None:
    state = torch.get_rng_state()
    data = load_tried(MINE, CPU)
    assert isinstance(data, Data) and isinstance(data.train_inputs, Tensor)
    assert torch.equal(data.train_inputs, DATA.train_inputs)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("command", ["train", "range-test"])
def test_the_commands_try_it_and_leave_nothing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN.read_text().replace("nn.Linear(4, 8)", "nn.Linear(5, 8)"))
    assert main([command, "own.py:MINE"]) == 2
    assert re.fullmatch(r"infopace: workload 'mine': the model, on inputs .*\n", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["own.py"]


def test_a_range_test_that_is_refused_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    numbers: Workload = dataclasses.replace(
        MINE,
        load=of(train_targets=DATA.train_inputs[:, :3], test_targets=DATA.test_inputs[:, :3]),
        task=NUMBERS,
    )
    monkeypatch.setitem(workloads.WORKLOADS, "numbers", numbers)
    assert main(["range-test", "numbers", "--attribute", "accuracy"]) == 2
    assert "attribute 'accuracy' needs integer labels" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


ENDING: dict[str, tuple[tuple[str, str], str]] = {
    "while it is imported": (
        ("_batches = ", "raise SystemExit(3)\n_batches = "),
        r"cannot be imported: SystemExit: 3",
    ),
    "in a batch": (
        (
            "return F.cross_entropy",
            "if next(_batches) > 9:\n        raise SystemExit(3)\n    return F.cross_entropy",
        ),
        r"own\.py:\d+ ended the program with sys\.exit\(3\); a workload's code must not",
    ),
    "nan in a batch": (
        (
            "return F.cross_entropy",
            "if len(targets) > 9:\n        return outputs.sum() * torch.nan\n    return F.cross_entropy",
        ),
        r"in training batch 0 of epoch 1 loss is not finite with untrained weights either, although the inputs are",
    ),
    "nan metric": (
        ("loss, ACCURACY", "loss, Metric('m', lambda o, t: (o[:, 0] - t) / (len(t) < 9), True)"),
        r"workload 'mine': with untrained weights the test m is -?(inf|nan)",
    ),
}


@pytest.mark.parametrize("what", ENDING)
def test_a_workload_that_ends_it_in_the_middle_gets_one_line_and_leaves_nothing(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.py"
    (before, after), says = ENDING[what]
    text = OWN.read_text().replace("import ACCURACY, Task", "import ACCURACY, Metric, Task")
    assert text.count(before) == 1
    own.write_text(text.replace(before, after))
    command = [
        "train",
        f"{own}:MINE",
        "--bounds",
        "workload",
        "--held-out",
        "0",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(command) == 2
    assert re.fullmatch(rf"infopace: [^\n]*{says}\n", error := capsys.readouterr().err), error
    # What ended a batch may come from anywhere; the run is resumed then.
    assert (tmp_path / "run").exists() == (what == "in a batch")


CHANGES = {
    "the model": ("nn.Linear(8, 3)", "nn.Linear(8, 3, bias=False)"),
    "the loss": ("return F.cross_entropy(outputs, targets)", "return 2 * F.cross_entropy(outputs, targets)"),
    "the data": ("torch.arange(180) % 3", "torch.arange(180) // 60"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_is_not_taken_up_by_another_workload_of_its_name(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN.read_text())
    command = ["train", f"{own}:MINE", "--bounds", "workload", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    own.write_text(f"{OWN.read_text()}\n# a remark\n")
    assert main(command) == 0
    assert OWN.read_text().count(CHANGES[what][0]) == 1
    own.write_text(OWN.read_text().replace(*CHANGES[what]))
    capsys.readouterr()
    assert main(command) == 2
    assert re.search(
        r"holds a run with another config: code is '\w{12}' there and '\w{12}' here", capsys.readouterr().err
    )


@pytest.mark.slow
def test_the_digest_of_a_workload_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Though functions, as arguments of others, are shown with where they lie in memory."""
    own = tmp_path / "own.py"
    text = OWN.read_text().replace("build_model=build", "build_model=functools.partial(made, F.relu, F.gelu)")
    made = "def made(first: object, second: object) -> nn.Module:\n    return build()\n\n\nMINE = Workload("
    own.write_text(
        text.replace("import itertools", "import functools\nimport itertools").replace(
            "MINE = Workload(", made
        )
    )
    script = f"from infopace.lab.workloads import find_workload; print(find_workload({f'{own}:MINE'!r}).code)"
    codes = {
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(codes) == 1 and len(codes.pop().strip()) == 12
