"""What a range test is: its settings, and what its method is asked."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from infopace.probe import Measuring
from infopace.range_test._records import ATTRIBUTES, Candidate, Trial, number, of_kind, part, whole_number
from infopace.range_test._result import RangeTest
from infopace.range_test._trainee import Trainee

Keep = Callable[[Candidate], None]


class Method(ABC):
    """A way to test a range, a frozen dataclass: `Race` or `Algorithm2`.

    A test has trials of one rate for all layers, with the numbers 0, 1, .. Trials of each layer alone may follow.
    """

    name: ClassVar[str]

    @abstractmethod
    def first_trials(self, steps: int) -> int:
        """How many trials of one rate for all layers every test has, for a run of so many steps."""

    @abstractmethod
    def all_trials(self, steps: int, layers: int = 0) -> int:
        """The largest number of trials, those of `layers` layers alone included."""

    @abstractmethod
    def measuring(self, layers: Sequence[str]) -> Measuring:
        """What the method needs measured for bounds of these layers."""

    @abstractmethod
    def check_layers(self, layers: Collection[str], measured: Collection[str]) -> None:
        """Raise ValueError where the method needs the information of a layer that the probe does not measure."""

    @abstractmethod
    def trials_needed(self, settings: Settings, finished: Mapping[int, Trial]) -> int:
        """How many trials the result takes, as far as the finished ones can show."""

    @abstractmethod
    def trials_before(self, settings: Settings, number: int) -> range:
        """The trials that must be finished before this one begins."""

    @abstractmethod
    def run_trial(
        self,
        settings: Settings,
        number: int,
        trainee: Trainee,
        finished: Mapping[int, Trial],
        known: Mapping[float, Candidate],
        keep: Keep,
    ) -> Trial:
        """Run a trial; `keep` is given each new candidate.

        `known` holds the candidates by rate that an interrupted test has finished.
        """

    @abstractmethod
    def conclude(self, settings: Settings, trials: Mapping[int, Trial]) -> RangeTest:
        """The result of the trials. Raises RangeTestError where they give no answer."""


@dataclass(frozen=True)
class Settings:
    """What a folder of trials is a test of. It goes to JSON and back, so that trials are concluded without a model.

    Attributes:
        method: How the range is tested.
        attribute: "accuracy", "loss" or "information": what candidates are compared by.
        layers: The layers that get bounds of their own.
        planned_steps: Optimizer steps of the run that the test serves.
        momentum, nesterov: Of the optimizer.
        identity: All else that the trials depend on, as plain values. It is only compared.
    """

    method: Method
    attribute: str
    layers: tuple[str, ...]
    planned_steps: int
    momentum: float
    nesterov: bool
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all_trials(self) -> int:
        """The largest number of trials."""
        return self.method.all_trials(self.planned_steps, len(self.layers))

    def to_json(self) -> dict[str, Any]:
        """Plain values by name; those of `identity` are among them."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "identity"}
        method = {"name": self.method.name, **vars(self.method)}
        return {**self.identity, **own, "method": method}

    @staticmethod
    def from_json(content: dict[str, Any], methods: Collection[type[Method]]) -> Settings:
        """Read what `to_json` gave. Raises ValueError that names what is missing or wrong."""
        layers = part(content, "layers", list, "a list")
        if not all(isinstance(layer, str) for layer in layers):
            raise ValueError(f"layers must be names, got {str(layers)[:60]}")
        attribute = part(content, "attribute", str, "a text")
        if attribute not in ATTRIBUTES:
            raise ValueError(
                f"attribute must be one of {', '.join(map(repr, ATTRIBUTES))}, got {attribute[:60]!r}"
            )
        steps = whole_number(content, "planned_steps")
        if steps < 1:
            raise ValueError(f"planned_steps must be at least 1, got {steps}")
        known = {f.name for f in dataclasses.fields(Settings)}
        return Settings(
            _method(part(content, "method", dict, "an object"), methods),
            attribute,
            tuple(layers),
            steps,
            number(content, "momentum"),
            part(content, "nesterov", bool, "true or false"),
            {name: value for name, value in content.items() if name not in known},
        )


def _method(content: dict[str, Any], methods: Collection[type[Method]]) -> Method:
    kinds = {kind.name: kind for kind in methods}
    name = of_kind(content.get("name"), str, "the method's name", "a text")
    if name not in kinds:
        raise ValueError(f"method must be one of {', '.join(map(repr, kinds))}, got {name[:60]!r}")
    own = {key: tuple(v) if isinstance(v, list) else v for key, v in content.items() if key != "name"}
    wanted = {f.name for f in dataclasses.fields(kinds[name])}  # pyright: ignore[reportArgumentType]
    if different := sorted(wanted ^ own.keys()):
        state = "missing" if different[0] in wanted else "unknown"
        raise ValueError(f"{different[0][:60]} of the method is {state}")
    return kinds[name](**own)
