"""The command line of `infopace compare` as a dataclass, and what it resolves to."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from tyro.conf import Positional, arg

from infopace.lab.baselines import BASELINES, Baseline
from infopace.lab.config import (
    DEFAULT,
    HELD_OUT,
    OURS,
    PACED,
    PAPER,
    Every,
    OptimizerName,
    Signal,
    find_baseline,
    measured,
)
from infopace.lab.errors import InputError
from infopace.lab.identity import identity_of
from infopace.lab.optimizers import Recipe, SGDRecipe, find_recipe
from infopace.lab.options import check_common, check_every, find_device
from infopace.lab.range_config import BEFORE_TRAINING
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads import find_workload

_FREE, _LAYER_WISE, _HELD_OUT, _AS_OURS = "-free", "-layer-wise", "-held-out", "-as-ours"
# The baselines that take the optimizer of the run.
OF_THE_RUN = tuple(name for name, baseline in BASELINES.items() if baseline.of_the_run)
# What is compared where no methods are named.
DEFAULT_METHODS = (
    DEFAULT,
    OURS + _HELD_OUT,
    OURS,
    OURS + _FREE,
    OURS + _LAYER_WISE,
    PAPER,
    PAPER + _LAYER_WISE,
    *(name for name, baseline in BASELINES.items() if baseline.by_default and not baseline.of_the_run),
)
# A -free run stops by itself. It is cut off after this many times the epochs of the others.
FREE_LIMIT = 3
# Far from the seeds of the table, which count from 0.
FIRST_TUNING_SEED = 1000


@dataclass(frozen=True)
class CompareConfig:
    """Compare ways to train a workload: run what is missing, on all cores or GPUs, and sum up in a table.

    A baseline is tuned first over its ten learning rates, with other seeds than those of the table: all rates with one
    seed, the best also with more. infopace finds its rate in each run. The other paced methods get the bounds of one
    range test. The same command again resumes. With more methods or seeds it runs only what is new.
    """

    workload: Positional[str] = "digits"
    """As in infopace train."""
    methods: tuple[str, ...] = ()
    """Methods of infopace train; each is tested against the first. A paced method takes the ending -layer-wise,
    hold-and-decay also -free and -held-out (a tenth). A tuned baseline takes the ending -as-ours: as many epochs as
    the runs of the first method had on average. Default: infopace, hold-and-decay-held-out, hold-and-decay and
    vasudevan-2020 without and with -layer-wise, hold-and-decay-free, and all baselines; of SGD only once."""
    optimizer: OptimizerName = None
    """As in infopace train. The other baselines have their own."""
    suite: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: none)")] = None
    """tuning-free: score methods without tuning by the time that they need to reach a target, on ten workloads; or
    path/to/file.py:OBJECT. Of the other options it takes methods, seeds, tuning-seeds, finalists, jobs, known, out."""
    quick: bool = False
    """With --suite: every second workload, one seed, one tuning seed, every second rate of the tuned baselines."""
    seeds: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 10, of a suite 5)")] = None
    """Runs of each method, with seeds 0, 1, .."""
    tuning_seeds: int = 3
    """Seeds of the tuning runs. With the first one all rates of a baseline's grid are run, with the others the best."""
    finalists: int = 3
    """How many rates of each grid are run with all tuning seeds. The best mean wins. 10: all rates."""
    rates: Annotated[
        tuple[float, ...],
        arg(metavar="FLOAT [FLOAT ...]", help_behavior_hint="(default: its own ten rates)"),
    ] = ()
    """Learning rates instead of the grid of every tuned baseline."""
    signal: Signal = "auto"
    """As in infopace train."""
    every: Every = None
    """As in infopace train."""
    bounds: Literal["range-test", "workload"] = "range-test"
    """Bounds of the paced methods but infopace: from one range test with a tuning seed, or the workload's own."""
    epochs: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: the workload's)")] = None
    """Number of epochs, the same for all. A -free run stops by itself, at the latest after three times as many."""
    device: str = "cpu"
    """cpu | cuda (all GPUs, one run each) | cuda:<index>."""
    jobs: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: cores or GPUs)")] = None
    """Runs at the same time, with one CPU thread each."""
    known: tuple[Path, ...] = ()
    """rows.jsonl of earlier comparisons of this workload. Their runs and their range test count as done."""
    out: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: runs/compare-<workload>)")
    ] = None
    """Folder of the comparison."""


@dataclass(frozen=True)
class Entry:
    """A method in the comparison.

    Attributes:
        name: Its name there, with its endings.
        method: Its name in `infopace train`.
        free: It does not know the number of epochs, and stops by itself.
        layer_wise: It has one learning rate a layer.
        held_out: It holds examples out.
        baseline: What it trains with; None for a paced method.
        grid: The learning rates that it is tuned over; empty where there is nothing to tune.
        as_ours: It trains as many epochs as the first method did on average.
        epochs: That number, None before it is known and for all other methods.
    """

    name: str
    method: str
    free: bool
    layer_wise: bool
    held_out: bool
    baseline: Baseline | None
    grid: tuple[float, ...] = ()
    as_ours: bool = False
    epochs: int | None = None

    @property
    def tested(self) -> bool:
        """Whether it gets the bounds of the comparison's range test; infopace finds its own in the run."""
        return self.baseline is None and self.method != DEFAULT

    @property
    def takes_the_optimizer(self) -> bool:
        """Whether it runs with the optimizer of the comparison."""
        return self.baseline is None or self.baseline.of_the_run


@dataclass(frozen=True)
class ComparePlan:
    """A checked CompareConfig with every default filled in."""

    workload: Workload
    optimizer: Recipe
    spec: str
    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    finalists: int
    rates: tuple[float, ...]
    signal: Signal
    every: str | None
    bounds: str
    epochs: int
    devices: tuple[str, ...]
    folder: Path

    def settings(self) -> dict[str, Any]:
        """What identifies the comparison of a folder. Methods and seeds may be added to it."""
        return {
            "workload": self.workload.name,
            **({"code": self.workload.code} if self.workload.code else {}),
            **({} if isinstance(self.optimizer, SGDRecipe) else {"optimizer": self.optimizer.settings()}),
            **measured(self.signal, self.every),
            "epochs": self.epochs,
            "tuning_seeds": list(self.tuning_seeds),
            "finalists": self.finalists,
            **({"rates": list(self.rates)} if self.rates else {}),
            "bounds": self.bounds,
            "device": self.devices[0].partition(":")[0],
        }


def inputs_of(plan: ComparePlan, data: Data) -> dict[str, Any]:
    """What the runs depend on besides the settings. The folder and the rows record it."""
    metric = {"metric": plan.workload.metric.name, "higher_is_better": plan.workload.metric.higher_is_better}
    tested = plan.bounds == "range-test"
    bounds = vars(BEFORE_TRAINING) if tested else dataclasses.asdict(plan.workload.bounds)
    own: dict[str, Any] = {"held_out": HELD_OUT, "free_limit": FREE_LIMIT, "paced_by": {plan.bounds: bounds}}
    own |= measured(plan.signal, plan.every)
    return {**identity_of(plan.workload, data, plan.optimizer), **metric, **own}


def resolve_comparison(config: CompareConfig) -> ComparePlan:
    """Check a command line and fill in the defaults. Raises InputError with one line."""
    workload = find_workload(config.workload)
    epochs = workload.epochs if config.epochs is None else config.epochs
    check_common(epochs, 0, None)
    if config.quick:
        raise InputError("quick is an option of --suite, got quick without it")
    seeds = 10 if config.seeds is None else config.seeds
    for name, value in (("seeds", seeds), ("tuning_seeds", config.tuning_seeds)):
        if not 1 <= value <= FIRST_TUNING_SEED:
            raise InputError(f"{name} must be in 1..{FIRST_TUNING_SEED}, got {name} = {value}")
    check_every(config.every)
    if config.finalists < 1:
        raise InputError(f"finalists must be >= 1, got finalists = {config.finalists}")
    if config.jobs is not None and config.jobs < 1:
        raise InputError(f"jobs must be >= 1, got jobs = {config.jobs}")
    optimizer = find_recipe(config.optimizer, workload.optimizer)
    if config.bounds == "workload" and optimizer != workload.optimizer:
        raise InputError(
            f"the bounds of {workload.name} are for {workload.optimizer.name}, got optimizer = {optimizer.name}; take"
            " --bounds range-test"
        )
    # With SGD, cosine and linear are sgd-cosine and sgd-linear.
    of_the_run = () if isinstance(optimizer, SGDRecipe) else OF_THE_RUN
    names = config.methods or (*DEFAULT_METHODS, *of_the_run)
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise InputError(f"methods must differ, got {twice!r} twice")
    rates = _checked_rates(config.rates)
    entries = tuple(entry_of(name, optimizer, rates) for name in names)
    _check_entries(entries, rates)
    return ComparePlan(
        workload=workload,
        optimizer=optimizer,
        spec=config.workload,
        entries=entries,
        seeds=tuple(range(seeds)),
        tuning_seeds=tuple(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + config.tuning_seeds)),
        finalists=config.finalists,
        rates=rates,
        signal=config.signal,
        every=config.every,
        bounds=config.bounds,
        epochs=epochs,
        devices=_devices(config.device, config.jobs),
        folder=config.out or Path("runs") / f"compare-{workload.name}",
    )


def _checked_rates(rates: tuple[float, ...]) -> tuple[float, ...]:
    """In ascending order."""
    wrong = next((rate for rate in rates if not (math.isfinite(rate) and rate > 0)), None)
    if wrong is not None:
        raise InputError(f"rates must be positive numbers, got {wrong:g}")
    twice = next((rate for i, rate in enumerate(rates) if rate in rates[:i]), None)
    if twice is not None:
        raise InputError(f"rates must differ, got {twice:g} twice")
    return tuple(sorted(rates))


def _check_entries(entries: tuple[Entry, ...], rates: tuple[float, ...]) -> None:
    """Raises InputError where methods or options do not go together."""
    if rates and not any(entry.grid for entry in entries):
        names = ", ".join(entry.name for entry in entries)
        raise InputError(f"rates needs a baseline that is tuned, got rates = {rates} for {names}")
    first = entries[0]
    late = next((entry for entry in entries if entry.as_ours), None)
    if late is not None and first.baseline is not None:
        raise InputError(
            f"{late.name} trains as many epochs as the first method, which must measure information, got {first.name}"
            f" first; name one such as {DEFAULT_METHODS[0]} before the others"
        )


def entry_of(name: str, optimizer: Recipe, rates: tuple[float, ...] = ()) -> Entry:
    """A method by name, for runs with this optimizer. `rates` replace the grid of a baseline that is tuned.

    A paced one may end in -layer-wise, hold-and-decay also in -free and -held-out, a tuned baseline in -as-ours.
    """
    whole = name.removesuffix(_HELD_OUT) if name.startswith(OURS) else name
    stem = whole.removesuffix(_LAYER_WISE)
    method = stem.removesuffix(_FREE) if stem == OURS + _FREE else stem
    if method not in PACED:
        method = name.removesuffix(_AS_OURS)
        baseline = find_baseline(method)
        if baseline is None:
            raise InputError(f"a method that measures information takes no ending {_AS_OURS}, got {name!r}")
        grid = optimizer.grid if baseline.of_the_run else baseline.grid
        if method != name and not grid:
            raise InputError(f"only a baseline that is tuned takes the ending {_AS_OURS}, got {name!r}")
        grid = rates if grid and rates else grid
        return Entry(name, method, False, False, False, baseline, grid, as_ours=method != name)
    # infopace always holds out.
    return Entry(name, method, stem != method, whole != stem, name != whole or method == DEFAULT, None)


def _devices(device: str, jobs: int | None) -> tuple[str, ...]:
    """The device of each worker."""
    find_device(device)
    if device == "cuda":
        available = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        return tuple(available[i % len(available)] for i in range(jobs or len(available)))
    return (device,) * (jobs or (cores() if device == "cpu" else 1))


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
