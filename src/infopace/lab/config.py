"""The command line of `infopace train` as a dataclass, and what it resolves to."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from tyro.conf import Positional, arg

from infopace import Bounds, HoldAndDecay, Policy, Probe, Vasudevan2020
from infopace.lab.baselines import BASELINES, Baseline
from infopace.lab.errors import InputError
from infopace.lab.identity import recipe_of
from infopace.lab.optimizers import Recipe, find_recipe
from infopace.lab.options import check_budget, check_common, check_every, check_noise, find_device
from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload
from infopace.policies import Vasudevan2018, Wang2024

PAPER = "vasudevan-2020"
DEFAULT = "infopace"
# Our rule within bounds of a range test, which ends as soon as information no longer rises.
OURS = "hold-and-decay"
# The policies by their names on the command line. Each is made of the planned number of epochs or steps, {} where it is
# open, and of switches.
PACED: dict[str, Callable[..., Policy]] = {
    DEFAULT: lambda planned, stop_early, **switches: HoldAndDecay(**planned, stop_early=stop_early),
    OURS: lambda planned, stop_early, **switches: HoldAndDecay(**planned, stop_early=True),
    PAPER: lambda planned, stop_early, **switches: Vasudevan2020(**planned, **switches),
    "vasudevan-2018-a": lambda planned, **switches: Vasudevan2018("A"),
    "vasudevan-2018-b": lambda planned, **switches: Vasudevan2018("B"),
    "wang-2024": lambda planned, **switches: Wang2024(),
}
OWN, SWITCHES = (DEFAULT, OURS), ("decay", "saturation", "first_lr")

_OF_WORKLOAD = "(default: the workload's)"
_OF_BOUNDS = "(default: as --bounds says)"
_TESTED, _FOUND = "range test", "the run"
# The share of the training examples that our rules hold out until the decay. studies/held_out_constants tests it.
HELD_OUT = 0.1
# Options of paced methods. A baseline takes none of them.
_BOUNDS = tuple(field.name for field in dataclasses.fields(Bounds))
_PACING = (
    "signal",
    "every",
    "bounds",
    *_BOUNDS,
    "layer_wise",
    "horizon",
    "stop_early",
    "held_out",
    *SWITCHES,
)
OptimizerName = Annotated[str | None, arg(metavar="NAME", help_behavior_hint=_OF_WORKLOAD)]
Signal = Literal["auto", "usable", "neighbours"]
Every = Annotated[str | None, arg(metavar="INT|auto", help_behavior_hint="(default: an epoch)")]
_Rate = Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=_OF_BOUNDS)]


@dataclass(frozen=True)
class TrainConfig:
    """Train a workload with a learning rate that is paced by mutual information, or with a baseline.

    The same command again resumes a run that was killed and ends with the same numbers.
    """

    workload: Positional[str] = "digits"
    """digits | mnist-10k | mnist-lenet | cifar10-small | cifar10-resnet | cifar10-vit | cifar10-allconv |
    cifar10-vgg16 | cifar100-wrn28-10 | imagenet-resnet50 | uci-temperature | clinc150 | movie-polarity |
    tinyshakespeare | two-digits | digit-pixels | california-housing | spike-mnist | handwritten-symbols;
    small ones for studies: digits-mlp | mnist-mlp | deep-mlp | noisy-mlp |
    mnist-1k | turned | cifar-plain | cancer-mlp | diabetes | flipped | friedman-300 | friedman-2k; or your own:
    module:object or path/to/file.py:object."""
    method: str = DEFAULT
    """infopace | hold-and-decay | vasudevan-2020 | vasudevan-2018-a | vasudevan-2018-b | wang-2024; or a baseline,
    which reads no information: cosine | linear | sgd-constant | sgd-step | sgd-cosine | sgd-linear | sgd-one-cycle |
    sgd-cyclic | sgd-plateau | adam | adamw-cosine | rmsprop | lars | schedule-free-sgd | schedule-free-adamw | prodigy
    | d-adaptation | dog | l4 | yamadam; of the scoreboard: schedule-free-adamw-algoperf | sgd-warmup-cosine |
    adamw-warmup-cosine | nadamw-cosine | wsd | adamw-linear | ademamix | muon | greedylr | greedylr-repaired | abel |
    sasa-plus | sasa-plus-repaired | salsa | salsa-repaired | refined-linear."""
    optimizer: OptimizerName = None
    """Optimizer of the paced methods, of cosine and of linear: sgd | adamw | muon | lion | adafactor. muon has AdamW
    for all weights but hidden matrices."""
    lr: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(default: as published)")] = None
    """A baseline's initial or peak learning rate."""
    signal: Signal = "auto"
    """What drives. auto: usable information where the run finds its rate; within bounds neighbours where sound."""
    every: Every = None
    """Optimizer steps between two measurements, or auto: less than 1 % of the time is for measuring."""
    bounds: Literal["auto", "run", "range-test", "workload"] = "auto"
    """Where bounds that are not given come from: the first steps of the run itself, a range test before it, or the
    workload's own. auto: infopace finds them in the run where none is given; all others take a range test."""
    lr_min: _Rate = None
    """Lowest learning rate."""
    lr_max: _Rate = None
    """Highest learning rate."""
    lr_top: _Rate = None
    """Learning rate of the first epoch; infopace then holds one midway between it and lr_max. The workload's is cut to
    lr_max."""
    epsilon: _Rate = None
    """Relative change of information below which a layer counts as saturated."""
    horizon: Literal["known", "free"] = "known"
    """free: infopace does not use the number of epochs and stops by itself, after --epochs at the latest."""
    stop_early: bool = False
    """infopace ends the hold as soon as information no longer rises, and the run soon after: the same result sooner,
    instead of the best result within --epochs."""
    layer_wise: bool = False
    """One learning rate a layer, each paced by its own layer's information."""
    held_out: Annotated[
        float | None,
        arg(metavar="FLOAT", help_behavior_hint=f"(default: {HELD_OUT:g} if there are enough examples)"),
    ] = None
    """Share of the training examples, the last of each class, that infopace holds out until the decay phase, to detect
    overfitting. With them a run may end before its last epoch. 0: none."""
    validation: float = 0.0
    """Share of the training examples, the last of each class, that no method sees. At most as many as a probe has score
    the run after each epoch."""
    diagnostics: Annotated[float | None, arg(metavar="NOISE", help_behavior_hint="(default: none)")] = None
    """Record the information plane after each epoch, with this noise relative to each layer, such as 1: see report."""
    decay: Literal["linear", "printed", "none"] = "linear"
    """Time decay of the paper's rule: 1 - e/E, 1 - epsilon/E as printed, or none."""
    saturation: Literal["absolute", "signed"] = "absolute"
    """Saturated: |ds| < epsilon, or ds < epsilon as printed."""
    first_lr: Literal["top", "information"] = "top"
    """First learning rate: lr_top, or the untrained network's information times lr_max."""
    epochs: Annotated[int | None, arg(metavar="INT", help_behavior_hint=_OF_WORKLOAD)] = None
    """Number of epochs."""
    budget: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all epochs)")] = None
    """Of these, those that were planned: a baseline that can go on after them takes its warm-up from them."""
    seed: int = 0
    """Seed of the weights, the order of the batches, dropout and the probe."""
    device: str = "cpu"
    """cpu | cuda | cuda:<index>."""
    bf16: bool = False
    """Run forward passes under bfloat16 autocast; weights stay float32."""
    threads: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: the workload's, or torch's)")
    ] = None
    """CPU threads; a resumed run keeps the number it was started with."""
    out: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: a name by the settings)")
    ] = None
    """Folder of the run, by default runs/<workload>-<method>-seed<seed>-<hash of the settings>."""
    track: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Log every epoch to these trackers too: one or several."""


@dataclass(frozen=True)
class Plan:
    """A checked TrainConfig, with every default filled in.

    `bounds` are the workload's until `with_bounds` puts those of a range test there; None where the run finds them.
    """

    workload: Workload
    optimizer: Recipe
    bounds: Bounds | None
    epochs: int
    config: TrainConfig
    device: torch.device
    baseline: Baseline | None = None
    lr: float | None = None

    @property
    def held_out(self) -> float:
        """The share of the training examples to hold out at first: with our rules a tenth unless given."""
        if self.config.held_out is not None:
            return self.config.held_out
        return HELD_OUT if self.config.method in OWN else 0.0

    @property
    def every(self) -> int | str | None:
        """Optimizer steps between two measurements, "auto", or None: an epoch."""
        every = self.config.every
        return int(every) if every is not None and every != "auto" else every

    @property
    def wants_test(self) -> bool:
        """Whether a range test finds the bounds: the method is paced, and lr_min or lr_max is not given."""
        if self.baseline is not None:
            return False
        given = self.config.lr_min is not None and self.config.lr_max is not None
        return self.config.bounds in ("auto", "range-test") and self.bounds is not None and not given

    def with_bounds(self, found: Bounds) -> Plan:
        """The plan with the bounds that a range test found, except those that the command line gives."""
        return dataclasses.replace(self, bounds=_bounds(self.config, found))

    def settings(self) -> dict[str, Any]:
        """Everything that affects the numbers, except the number of threads and the versions."""
        recipe = recipe_of(self.workload, self.optimizer)
        if self.workload.reference != "auto":
            recipe["reference"] = self.workload.reference
        common = {
            "workload": self.workload.name,
            "method": self.config.method,
            "epochs": self.epochs,
            "device": self.device.type,
            "seed": self.config.seed,
            "bf16": self.config.bf16,
            "augment": _named(self.workload.augment),
            **recipe,
        }
        for name in ("budget", "validation", "diagnostics"):
            if getattr(self.config, name):
                common[name] = getattr(self.config, name)
        if self.workload.code:
            common["code"] = self.workload.code
        return common | ({"lr": self.lr} if self.baseline is not None else self._pacing())

    def _pacing(self) -> dict[str, Any]:
        switches = SWITCHES if self.config.method == PAPER else ()
        chosen = {f: getattr(self.config, f) for f in ("layer_wise", "horizon", *switches)}
        given = {field.name: getattr(self.config, field.name) for field in dataclasses.fields(Bounds)}
        if self.bounds is None:
            bounds = dict.fromkeys(given, _FOUND)
        elif self.wants_test:
            bounds = {name: _TESTED if value is None else value for name, value in given.items()}
        else:
            bounds = {name: getattr(self.bounds, name) for name in given}
        if self.config.method == DEFAULT:
            chosen["stop_early"] = self.config.stop_early
        held_out = {"held_out": self.held_out} if self.held_out else {}
        return {**chosen, **measured(self.config.signal, self.every), **held_out, **bounds}

    @property
    def own_optimizer(self) -> bool:
        """Whether the optimizer is the baseline's own, and not that of the workload or of the command line."""
        return self.baseline is not None and not self.baseline.of_the_run

    def fingerprint(self) -> str:
        """SHA-256 of the settings."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()

    def folder(self) -> Path:
        """The folder of the run: `out`, or a name made of the settings."""
        if self.config.out is not None:
            return self.config.out
        kind = self.config.method + "-free" * (self.config.horizon == "free")
        kind += "-layer-wise" * self.config.layer_wise + "-held-out" * bool(self.held_out)
        return Path("runs") / f"{self.workload.name}-{kind}-seed{self.config.seed}-{self.fingerprint()[:6]}"


def resolve(config: TrainConfig) -> Plan:
    """Check a command line and fill in the workload's defaults. Raises InputError with one line."""
    workload = find_workload(config.workload)
    epochs = workload.epochs if config.epochs is None else config.epochs
    check_common(epochs, config.seed, config.threads)
    check_noise(config.diagnostics)
    if not 0 <= config.validation < 1:
        raise InputError(f"validation must be a share in [0, 1), got validation = {config.validation:g}")
    device = find_device(config.device)
    baseline = find_baseline(config.method)
    if baseline is not None and not baseline.of_the_run and config.optimizer is not None:
        raise InputError(
            f"{baseline.name} has an optimizer of its own, got optimizer = {config.optimizer}; the baselines of any"
            " optimizer are cosine and linear"
        )
    optimizer = find_recipe(config.optimizer, workload.optimizer)
    may_go_on = baseline is not None and not baseline.planned
    check_budget(config.budget, config.method, may_go_on, epochs)
    if baseline is not None:
        used = optimizer if baseline.of_the_run else workload.sgd
        lr = _rate(config, baseline)
        return Plan(workload, used, workload.bounds, epochs, config, device, baseline, lr)
    _check_switches(config)
    if config.lr is not None:
        raise InputError(
            f"lr is an option of baselines, got lr = {config.lr:g}; {config.method} takes --lr-min and --lr-max"
        )
    check_every(config.every)
    if config.held_out is not None and not 0 <= config.held_out < 1:
        raise InputError(f"held_out must be a share in [0, 1), got held_out = {config.held_out:g}")
    if _finds_in_the_run(config):
        return Plan(workload, optimizer, None, epochs, config, device)
    plan = Plan(workload, optimizer, workload.bounds, epochs, config, device)
    if plan.wants_test:
        # What is given must be valid by itself, whatever the range test finds.
        _bounds(config, Bounds(sys.float_info.min, sys.float_info.max))
        return plan
    return plan.with_bounds(_default_bounds(config, workload, optimizer))


def _finds_in_the_run(config: TrainConfig) -> bool:
    """Whether the run finds its learning rate. Raises InputError for bounds that it would not use."""
    given = [f.name for f in dataclasses.fields(Bounds) if getattr(config, f.name) is not None]
    if config.bounds == "auto":
        return config.method == DEFAULT and not given
    if config.bounds == "run" and config.method != DEFAULT:
        raise InputError(f"bounds = run is an option of {DEFAULT}, not of {config.method}; take range-test")
    if config.bounds == "run" and given:
        value = getattr(config, given[0])
        raise InputError(f"{given[0]} must not be given with bounds = run, got {given[0]} = {value:g}")
    return config.bounds == "run"


def _default_bounds(config: TrainConfig, workload: Workload, optimizer: Recipe) -> Bounds:
    """The bounds where the command line gives none. Those of the workload are for its own optimizer.

    Raises InputError where another optimizer would get them.
    """
    if optimizer == workload.optimizer:
        return workload.bounds
    if config.lr_min is None or config.lr_max is None:
        raise InputError(
            f"the bounds of {workload.name} are for {workload.optimizer.name}, got optimizer = {optimizer.name}; give"
            " --lr-min and --lr-max, or --bounds range-test"
        )
    return dataclasses.replace(workload.bounds, lr_top=workload.bounds.lr_max)


def find_baseline(method: str) -> Baseline | None:
    """The baseline called `method`; None if it is a paced method. Raises InputError that lists the names otherwise."""
    if method in PACED:
        return None
    if method in BASELINES:
        return BASELINES[method]
    names = (*PACED, *BASELINES)
    near = difflib.get_close_matches(method.lower().replace("_", "-"), names, n=2, cutoff=0.4)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ";"
    raise InputError(f"unknown method {method!r}{hint} The methods are: {', '.join(names)}")


def _check_switches(config: TrainConfig) -> None:
    """Raise InputError for a switch of another policy than the one chosen."""
    owners = {**dict.fromkeys(SWITCHES, (PAPER,)), "horizon": OWN, "held_out": OWN, "stop_early": (DEFAULT,)}
    for field in dataclasses.fields(TrainConfig):
        value = getattr(config, field.name)
        of = owners.get(field.name, (config.method,))
        if config.method not in of and _given(field, value):
            raise InputError(
                f"{field.name} is an option of {' and '.join(of)}, not of {config.method}, got {field.name} = {value}"
            )


def _rate(config: TrainConfig, baseline: Baseline) -> float:
    """The baseline's learning rate. Raises InputError for an invalid one, and for options of paced methods."""
    for field in dataclasses.fields(TrainConfig):
        value = getattr(config, field.name)
        if field.name in _PACING and _given(field, value):
            raise InputError(
                f"{field.name} is an option of paced methods, not of {baseline.name}, got {field.name} = {value}"
            )
    lr = baseline.lr if config.lr is None else config.lr
    if lr is None:
        raise InputError(f"{baseline.name} has no published learning rate; give --lr")
    if not (math.isfinite(lr) and lr > 0):
        raise InputError(f"lr must be a positive number, got {lr:g}")
    return lr


def _given(field: dataclasses.Field[Any], value: object) -> bool:
    """Whether an option was given. To hold out nothing is what every other method does anyway."""
    return value != field.default and not (field.name == "held_out" and value == 0)


def _named(augment: object) -> str | None:
    """An augmentation as settings record it: its class and arguments, or the function's name."""
    return None if augment is None else getattr(augment, "__qualname__", None) or repr(augment)


def measured(signal: Signal, every: int | str | None) -> dict[str, Any]:
    """The signal and the cadence as records have them: no entries where they are the usual ones."""
    named = {} if signal == "auto" else {"signal": signal}
    return named | ({} if every is None else {"every": every})


def signal_of(wanted: Signal, probe: Probe) -> Signal:
    """What is measured within bounds where "auto" is asked for: neighbours where they are sound.

    The library, and a run that finds its rate, take usable information, which is as good a guide. But the rows in
    results/ within bounds were made with neighbours, and runs of both would not be comparable.
    """
    return "neighbours" if wanted == "auto" and probe.has_distance else wanted


def _bounds(config: TrainConfig, default: Bounds) -> Bounds:
    lr_max = default.lr_max if config.lr_max is None else config.lr_max
    lr_top = config.lr_top
    if lr_top is None:
        # If the workload's lr_top is its lr_max, so is the run's.
        lr_top = lr_max if default.lr_top == default.lr_max else min(default.lr_top, lr_max)
    try:
        return Bounds(
            lr_min=default.lr_min if config.lr_min is None else config.lr_min,
            lr_max=lr_max,
            lr_top=lr_top,
            epsilon=default.epsilon if config.epsilon is None else config.epsilon,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
