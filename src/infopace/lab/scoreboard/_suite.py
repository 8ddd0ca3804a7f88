"""What a scoreboard compares: workloads with their budgets, and methods with one configuration for all of them."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Literal

from infopace.lab.baselines import BASELINES
from infopace.lab.config import DEFAULT, OURS, PAPER, Signal
from infopace.lab.errors import InputError
from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload, load_object

# A method may use this many times the budget until it has reached a target, as in AlgoPerf's self-tuning ruleset.
LIMIT = 1.5


@dataclass(frozen=True)
class Member:
    """A workload of a suite.

    Attributes:
        spec: The workload, as in `infopace train`.
        epochs: The budget; a method that needs the length of its run plans for it.
        validation: The share of the training examples that score a run.
    """

    spec: str
    epochs: int
    validation: float = 0.1

    @property
    def workload(self) -> Workload:
        """The workload itself."""
        return _workload(self.spec)

    @property
    def name(self) -> str:
        """The workload's name."""
        return self.workload.name


@functools.cache
def _workload(spec: str) -> Workload:
    """A workload of one's own is in a file, which is to be run once."""
    return find_workload(spec)


@dataclass(frozen=True)
class Contestant:
    """A method of `infopace train` with its one configuration.

    Attributes:
        name: Its name in the tables.
        method: Its name in `infopace train`.
        optimizer: The optimizer of a paced method; None: the workload's.
        signal: What drives a paced method.
        bounds: Where the bounds of a paced method come from.
        budgets: The length of its run. A method that knows the length plans for one budget.
        grid: Learning rates that it is tuned over. Such a method is a reference, and sets the targets.
    """

    name: str
    method: str
    optimizer: str | None = None
    signal: Signal = "auto"
    bounds: Literal["run", "range-test"] = "range-test"
    budgets: float = 1.0
    grid: tuple[float, ...] = ()

    @property
    def paced(self) -> bool:
        """Whether information paces it."""
        return self.method not in BASELINES

    @property
    def wants_test(self) -> bool:
        """Whether it needs a range test."""
        return self.paced and self.bounds == "range-test"

    def epochs(self, member: Member) -> int:
        """The number of epochs of its run."""
        return math.ceil(self.budgets * member.epochs)


@dataclass(frozen=True)
class Suite:
    """Workloads, the methods that are scored, and the tuned baselines that set the targets."""

    name: str
    members: tuple[Member, ...]
    contestants: tuple[Contestant, ...]
    tuned: tuple[Contestant, ...]

    def __post_init__(self) -> None:
        """Raise ValueError where there is nothing to compare, or a name stands for two things."""
        for part, least in (("members", 1), ("contestants", 1), ("tuned", 1)):
            if len(getattr(self, part)) < least:
                raise ValueError(f"{part} must not be empty, got {getattr(self, part)!r}")
        names = [contestant.name for contestant in (*self.contestants, *self.tuned)]
        for kind, found in (("methods", names), ("workloads", [member.spec for member in self.members])):
            twice = next((name for i, name in enumerate(found) if name in found[:i]), None)
            if twice is not None:
                raise ValueError(f"{kind} must differ, got {twice!r} twice")
        untuned = next((contestant.name for contestant in self.tuned if not contestant.grid), None)
        if untuned is not None:
            raise ValueError(f"a tuned baseline must have a grid, got none for {untuned!r}")

    def of_methods(self, names: tuple[str, ...]) -> Suite:
        """The same with only these methods; the tuned baselines stay. Raises InputError for an unknown one."""
        known = {contestant.name: contestant for contestant in self.contestants}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise InputError(
                f"methods must be of the suite {self.name}, got {unknown[0]!r}; the methods are: {', '.join(known)}"
            )
        return dataclasses.replace(self, contestants=tuple(known[name] for name in dict.fromkeys(names)))

    def quick(self) -> Suite:
        """The same with every second workload, the last among them, and every second rate of the tuned baselines."""
        return dataclasses.replace(
            self,
            members=self.members[::-2][::-1],
            tuned=tuple(dataclasses.replace(one, grid=one.grid[::2]) for one in self.tuned),
        )


def untuned(method: str) -> Contestant:
    """A baseline at its published learning rate."""
    baseline = BASELINES[method]
    return Contestant(method, method, budgets=1.0 if baseline.planned else LIMIT)


def tuned(method: str) -> Contestant:
    """A baseline, tuned over its own learning rates."""
    return Contestant(f"{method}-tuned", method, grid=BASELINES[method].grid)


def find_suite(spec: str) -> Suite:
    """The suite of this name, or the one at "module:object". Raises InputError for an unknown one."""
    if ":" in spec:
        found = load_object(spec, "a suite of your own", Suite)[0]
        assert isinstance(found, Suite), "load_object has checked it"
        return found
    if spec not in SUITES:
        raise InputError(f"suite must be {' or '.join(SUITES)}, or path/to/file.py:OBJECT, got {spec!r}")
    return SUITES[spec]


# As the library drives them by default: by usable information, and the published rule by neighbours.
_PACED = (
    Contestant("infopace-sgd", DEFAULT, "sgd", "usable", "run"),
    Contestant("infopace-adamw", DEFAULT, "adamw", "usable", "run"),
    Contestant("infopace-muon", DEFAULT, "muon", "usable", "run"),
    # The default before: a range test before the run, which then ends as soon as nothing more is gained.
    Contestant("hold-and-decay-sgd", OURS, "sgd", "usable"),
    Contestant("hold-and-decay-adamw", OURS, "adamw", "usable"),
    Contestant("vasudevan-2020-sgd", PAPER, "sgd"),
)
# Those of our own kind, in which a signal decides when, are last but for the older ones that need no rate.
_UNTUNED = (
    "nadamw-cosine",
    "adamw-warmup-cosine",
    "sgd-warmup-cosine",
    "wsd",
    "schedule-free-adamw-algoperf",
    "schedule-free-adamw",
    "prodigy",
    "ademamix",
    "muon",
    "dog",
    "greedylr",
    "greedylr-repaired",
    "salsa",
    "salsa-repaired",
    "sasa-plus",
    "sasa-plus-repaired",
    "abel",
    "d-adaptation",
    "l4",
    "yamadam",
)
TUNING_FREE = Suite(
    "tuning-free",
    members=(
        Member("digits", 60, 0.2),
        Member("deep-mlp", 40),
        Member("cifar10-resnet", 20),
        Member("cifar10-vit", 20),
        Member("clinc150", 10),
        Member("movie-polarity", 30),
        Member("tinyshakespeare", 20),
        Member("california-housing", 60),
        Member("uci-temperature", 200),
        Member("noisy-mlp", 30),
    ),
    contestants=(
        *_PACED,
        *map(untuned, _UNTUNED),
        # Its first half is the run from which the second half learns the schedule.
        Contestant("refined-linear", "refined-linear", budgets=2.0),
    ),
    tuned=(tuned("sgd-warmup-cosine"), tuned("adamw-warmup-cosine")),
)
SUITES: dict[str, Suite] = {TUNING_FREE.name: TUNING_FREE}
