"""The command line of `infopace range-test` as a dataclass, and the plan that it resolves to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from tyro.conf import Positional, arg

from infopace.lab.config import OptimizerName, Signal, measured
from infopace.lab.errors import InputError
from infopace.lab.optimizers import Recipe, SGDRecipe, find_recipe
from infopace.lab.options import check_common, find_device
from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload
from infopace.range_test import Algorithm2, Race

_OF_WORKLOAD = "(default: the workload's)"
_Rate = Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(default: the method's)")]


@dataclass(frozen=True)
class RangeTestConfig:
    """Find the bounds of a workload's learning rate by short training runs.

    The same command again resumes a test that was killed. Several processes with the same folder share its trials.
    """

    workload: Positional[str] = "digits"
    """As in infopace train."""
    method: Literal["race", "paper"] = "race"
    """The economical race of candidates, or Algorithm 2 of Vasudevan 2020 as printed."""
    optimizer: OptimizerName = None
    """As in infopace train."""
    attribute: Literal["auto", "accuracy", "loss", "information"] = "auto"
    """What the test compares rates by; auto: accuracy for classes, information for regression."""
    trials: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: 3, for a short run 5)")
    ] = None
    """Number of trials, each with fresh weights."""
    epochs: Annotated[int | None, arg(metavar="INT", help_behavior_hint=_OF_WORKLOAD)] = None
    """Epochs of the training run that the test serves."""
    low: _Rate = None
    """Smallest candidate; default: 1e-7 for the race, 1e-5 for the paper's method."""
    high: _Rate = None
    """Largest candidate; default: 10 for the race, 1 for the paper's method."""
    share: float = 0.1
    """Cost of a race, as a share of that training run."""
    epochs_each: int = 5
    """Epochs of each candidate, for the paper's method."""
    c1: float = 10.0
    """The paper's C1: a rate must gain, or lose, the best value / C1."""
    c2: float = 1.0
    """The paper's C2: epsilon as a multiple of the median smallest change of information."""
    layer_wise: bool = False
    """Find bounds for each layer too."""
    seed: int = 0
    """Seed of the weights, the order of the batches, dropout and the probe."""
    device: str = "cpu"
    """cpu | cuda | cuda:<index>."""
    bf16: bool = False
    """Run forward passes under bfloat16 autocast; weights stay float32."""
    threads: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: the workload's, or torch's)")
    ] = None
    """CPU threads."""
    out: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: a name by the settings)")
    ] = None
    """Folder of the test, by default runs/<workload>-range-test-seed<seed>-<hash of the settings>."""
    trial: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Run this trial only, for a scheduler that starts one process for each trial; --merge then sums up."""
    merge: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: none)")] = None
    """Run nothing; sum up the finished trials in this folder."""
    farm: Literal["no", "local", "slurm"] = "no"
    """Run one job for each trial, on this machine or through Slurm (extra: slurm), and wait for them."""


# The test before a training run costs about as much as the run itself, at most. Tuning over ten rates costs ten runs.
# A policy with a decay phase needs no more precise bounds.
BEFORE_TRAINING = Race(most=1.5)


@dataclass(frozen=True)
class RangePlan:
    """A checked RangeTestConfig."""

    workload: Workload
    optimizer: Recipe
    epochs: int
    method: Race | Algorithm2
    attribute: str
    layer_wise: bool
    seed: int
    device: torch.device
    bf16: bool
    signal: Signal = "auto"

    @classmethod
    def before_training(
        cls,
        workload: Workload,
        optimizer: Recipe,
        epochs: int,
        seed: int,
        device: torch.device,
        *,
        bf16: bool = False,
        signal: Signal = "auto",
    ) -> RangePlan:
        """The test that finds the bounds of a run of so many epochs."""
        return cls(workload, optimizer, epochs, BEFORE_TRAINING, "auto", False, seed, device, bf16, signal)

    def settings(self) -> dict[str, Any]:
        """Everything that affects the numbers, except the number of threads and the versions."""
        chosen = {f: getattr(self, f) for f in ("epochs", "attribute", "layer_wise", "seed", "bf16")}
        method = {"method": type(self.method).__name__, **vars(self.method)}
        code = {"code": self.workload.code} if self.workload.code else {}
        if not isinstance(self.optimizer, SGDRecipe):
            chosen["optimizer"] = self.optimizer.settings()
        chosen |= measured(self.signal, None)
        return {"workload": self.workload.name, **code, "device": self.device.type, **chosen, **method}

    def folder(self, out: Path | None) -> Path:
        """The folder of the test: `out`, or a name made from the settings."""
        if out is not None:
            return out
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()
        return Path("runs") / f"{self.workload.name}-range-test-seed{self.seed}-{digest[:6]}"


# Options of one method only.
_OF_METHOD = {"share": "race", "epochs_each": "paper", "c1": "paper", "c2": "paper"}


def check_options(config: RangeTestConfig) -> None:
    """Raise InputError for an option that has no effect with the rest of the command line."""
    given = [field for field in fields(config) if getattr(config, field.name) != field.default]
    for field in given:
        value, owner = getattr(config, field.name), _OF_METHOD.get(field.name, config.method)
        if config.merge is not None and field.name not in ("merge", "workload"):
            raise InputError(
                f"--merge sums up what is there and takes no {field.name}, got {field.name} = {value}"
            )
        if owner != config.method:
            raise InputError(
                f"{field.name} belongs to --method {owner}, got {field.name} = {value} with {config.method}"
            )


def resolve_range(config: RangeTestConfig) -> RangePlan:
    """Check a command line and fill in the workload's defaults. Raises InputError with one line."""
    workload = find_workload(config.workload)
    epochs = workload.epochs if config.epochs is None else config.epochs
    check_common(epochs, config.seed, config.threads)
    limits = {name: rate for name in ("low", "high") if (rate := getattr(config, name)) is not None}
    try:
        method = (
            Race(trials=config.trials, share=config.share, **limits)
            if config.method == "race"
            else Algorithm2(
                trials=3 if config.trials is None else config.trials,
                epochs=config.epochs_each,
                rates=Algorithm2.grid(**limits),
                c1=config.c1,
                c2=config.c2,
                # A trial in a process of its own cannot know where another trial crashed.
                retry=config.trial is None and config.farm == "no",
            )
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    if config.trial is not None and config.farm != "no":
        raise InputError(
            "--trial runs one trial in this process and --farm starts jobs; give one of them, got both: "
            f"{config.trial} and {config.farm}"
        )
    device = find_device(config.device)
    return RangePlan(
        workload,
        find_recipe(config.optimizer, workload.optimizer),
        epochs,
        method,
        config.attribute,
        config.layer_wise,
        config.seed,
        device,
        config.bf16,
    )
