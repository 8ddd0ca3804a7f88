"""What a pacer or a scheduler is given: its arguments, and a saved state to continue from."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

from torch import nn
from torch.optim import Optimizer

from infopace._checks import shown, warn, whole
from infopace.model.layers import holds_all, unknown_layer
from infopace.model.processes import Processes
from infopace.policies import Bounds, Decision, HoldAndDecay, Phase, Policy, Vasudevan2020
from infopace.policies._policy import check_policy, check_reads_held_out
from infopace.probe import Probe
from infopace.scheduler._ledger import Ledger
from infopace.scheduler._units import Cadence, check_unit_state, is_unit_state

_Fits = Callable[[Any], bool]

VERSION = 12
_PHASES = get_args(Phase)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_rate(value: object) -> bool:
    return _is_number(value) and value >= 0  # pyright: ignore[reportOperatorIssue]


def _is_decision(value: object) -> bool:
    if not (isinstance(value, Mapping) and set(value) == {field.name for field in fields(Decision)}):
        return False
    numbers = _is_rate(value["lr"]) and _is_number(value["change"])
    back = value["back"] is None or _is_count(value["back"])
    back = back and isinstance(value["watched"], bool) and (value["held"] is None or _is_rate(value["held"]))
    return numbers and back and isinstance(value["reason"], str) and value["phase"] in _PHASES


def _is_ends(value: object) -> bool:
    """Whether these are the rates of a layer's groups at the first step and at the last."""
    return _list_of(_list_of(_is_rate))(value) and len(value) == 2 and len(value[0]) == len(value[1])  # pyright: ignore[reportArgumentType, reportIndexIssue]


def _list_of(fits: _Fits) -> _Fits:
    return lambda value: isinstance(value, list | tuple) and all(map(fits, value))


def _by_layer(fits: _Fits) -> _Fits:
    return lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(layer, str) for layer in value)
        and all(map(fits, value.values()))
    )


_COUNT, _RATES = (_is_count, "a whole number"), (_by_layer(_list_of(_is_rate)), "rates by layer")
_NATS = (_by_layer(_list_of(_is_number)), "finite numbers of nats by layer")
# What a state must hold, each with a check and what it is: of a pacer, and what a torch scheduler has besides.
PACER: dict[str, tuple[_Fits, str]] = {
    "examples": (_list_of(lambda value: isinstance(value, str)), "digests of the probes"),
    "held_out_size": _COUNT,
    "every": (lambda value: value is None or (_is_count(value) and value > 0), "a number of steps, or None"),
    "unit": (lambda value: value is None or (_is_count(value) and value > 0), "a number of steps, or None"),
    "gone": (
        _list_of(lambda part: _list_of(_is_count)(part) and len(part) == 2),
        "pairs of a unit and a number of steps",
    ),
    "best": (
        lambda value: value is None or isinstance(value, Mapping),
        "the network to go back to, or None",
    ),
    "time": (is_unit_state, "what was measured in the unit of time that runs"),
    "reference": (lambda value: value is None or _is_rate(value), "a number of nats, or None"),
    "rolled_back": (_list_of(_is_count), "numbers of epochs"),
    "untaken": (
        _list_of(lambda part: _list_of(_is_count)(part) and len(part) == 2),
        "pairs of a unit and a number of steps",
    ),
    "untrained": (_is_number, "a number of nats"),
    "history": _NATS,
    "errors": (
        _by_layer(_list_of(lambda value: value is None or _is_rate(value))),
        "standard errors in nats by layer, or None",
    ),
    "held_out_history": _NATS,
    "held_out_errors": _NATS,
    "held_out_examples": (_by_layer(lambda value: isinstance(value, Mapping)), "tensors by layer"),
    "begun": (_by_layer(_is_count), "a whole number by layer"),
    "used": (_list_of(_by_layer(_is_ends)), "first and last rates by epoch and layer"),
    "set_here": (_list_of(lambda value: isinstance(value, bool)), "True or False by epoch"),
    "decisions": (_by_layer(_list_of(_is_decision)), "decisions by layer"),
}
TORCH: dict[str, tuple[_Fits, str]] = {
    # -1 before a warm-up's first step
    "last_epoch": (
        lambda value: _is_count(value) or (isinstance(value, int) and value == -1),
        "a whole number",
    ),
    "step_count": _COUNT,
    "steps": _COUNT,
    "taken": _COUNT,
    "first": (lambda value: value is None or _RATES[0](value), "rates by layer, or None"),
    "finding": (
        lambda value: value is None or isinstance(value, Mapping),
        "what the search for the rate found, or None",
    ),
    "last_lr": _RATES,
    "group_lrs": _RATES,
    "momenta": (
        _by_layer(_list_of(lambda pair: _list_of(_is_rate)(pair) and len(pair) == 2)),
        "the own momentum and the present one of each group, by layer",
    ),
    "factors": _RATES,
    "places": (
        _list_of(lambda place: _list_of(_is_count)(place) and len(place) == 2),
        "the numbers of an optimizer and of a group there",
    ),
    "scales": (_by_layer(_is_rate), "a number by layer"),
}


def check_arguments(probe: object, policy: object, bounds: object) -> None:
    """Raise TypeError, in one line, for an argument of another kind."""
    if not isinstance(probe, Probe):
        raise TypeError(f"probe must be a Probe, got {type(probe).__name__}; Probe.sample draws one")
    if policy is not None:
        check_policy(policy)
    if bounds is None:
        raise TypeError(
            "bounds must be given, Bounds(lr_min, lr_max) or those that find_bounds gives, got None"
        )
    for part in bounds.values() if isinstance(bounds, Mapping) else [bounds]:
        if not isinstance(part, Bounds):
            raise TypeError(
                "bounds must be Bounds(lr_min, lr_max), or one for each layer's name, got "
                f"{type(part).__name__}; a range test's are its .bounds"
            )


def check_driver(apply: object, snapshot: object, members: type, policy: Policy) -> None:
    """Raise TypeError for what cannot be called with rates, cannot be rolled back, or has no momentum to lower."""
    if apply is not None and policy.lowers_momentum:
        raise TypeError(
            f"a policy that lowers momentum needs MutualInformationLR and torch's SGD, got {policy!r}"
        )
    if apply is not None and not callable(apply):
        raise TypeError(f"apply must be a function of learning rates by layer, got {shown(apply)}")
    if snapshot is not None and not isinstance(snapshot, members):
        raise TypeError(
            "snapshot must have known, divergence, keep and put_back, see infopace.scheduler.Snapshot, "
            f"got {type(snapshot).__name__}"
        )


def planned_steps(policy: Policy) -> int | None:
    """The steps that a policy of this library plans; None: it plans none."""
    return policy.steps if isinstance(policy, HoldAndDecay | Vasudevan2020) else None


def planned_epochs(policy: Policy) -> int | None:
    """The epochs that a policy of this library plans; None: it plans none."""
    return policy.epochs if isinstance(policy, HoldAndDecay | Vasudevan2020) else None


def steps_in_plan(policy: Policy, steps_per_epoch: int | None) -> int | None:
    """The steps that a policy of this library plans, where an epoch has so many; None: it plans none."""
    planned, epochs = planned_steps(policy), planned_epochs(policy)
    if planned is None and epochs and steps_per_epoch is not None:
        return epochs * whole("steps_per_epoch", steps_per_epoch, 1)
    return planned


def check_epoch(given: int, found: int) -> None:
    """Warn where an epoch has another number of optimizer steps than was given."""
    if not found / 1.5 < given < found * 1.5:
        warn(
            f"steps_per_epoch must be the optimizer steps between two calls of observe, got {given} where there were "
            f"{found}; give len(loader), divided by accumulated batches, and call observe at the end of an epoch"
        )


def check_can_search(optimizer: Optimizer, model: nn.Module, warmup: int | str) -> None:
    """Raise ValueError where a rate cannot be found: with a warm-up, or where trials cannot be put back."""
    if warmup != "auto":
        raise ValueError(
            f"bounds must be given with a warm-up of your own, got None and warmup={shown(warmup)}; without bounds "
            "the rate of each trial rises in a line"
        )
    if not holds_all(optimizer, model):
        raise ValueError(
            "bounds must be given where the optimizer does not hold all trainable weights, got None; trials at other "
            "rates could not be rolled back"
        )


def check_held_out(held_out: object, probe: Probe, policy: Policy) -> None:
    """Raise TypeError for no probe, or one that the policy does not read; ValueError for other classes.

    Warn where most of its examples are the probe's.
    """
    if not isinstance(held_out, Probe):
        raise TypeError(f"held_out must be a Probe, got {type(held_out).__name__}; Probe.sample draws one")
    check_reads_held_out(policy)
    # Fewer classes hold less information at most, and the difference would look like overfitting.
    if held_out.classes != probe.classes:
        raise ValueError(
            f"held_out must have the classes of the probe, {probe.classes}, got {held_out.classes}; draw more examples"
        )
    if (same := probe.in_common(held_out)) > held_out.n / 2:
        warn(
            f"held_out has {same} of its {held_out.n} examples in common with the probe; overfitting is seen only on "
            "examples that are not trained on: draw it from validation data"
        )


def check_alike(
    processes: Processes, probe: Probe, held_out: Probe | None, reference: float | None, ledger: Ledger
) -> None:
    """Raise ProcessError where processes were given other examples, bounds or layers, or find another reference."""
    if not processes.several:
        return
    values = {
        "the probe": probe.digest,
        "the held-out examples": None if held_out is None else held_out.digest,
        "the reference": None if reference is None else f"{reference:.6g} nats",
        "the bounds": repr(ledger.bounds),
        "the driving layers": list(ledger.begun),
    }
    processes.agree(values, "draw the examples from the same data with the same seed")


def check_bounds(layers: Iterable[str], bounds: Bounds | Mapping[str, Bounds]) -> None:
    """Raise ValueError for a driving layer without bounds."""
    without = [layer for layer in layers if isinstance(bounds, Mapping) and layer not in bounds]
    if without:
        raise ValueError(f"bounds must hold every driving layer, got none for {without[0]!r}")


def check_driven(layers: Iterable[str], measured: Collection[str]) -> None:
    """Raise ValueError for a driving layer that is not measured."""
    for layer in layers:
        if layer not in measured:
            raise ValueError(f"a parameter group cannot be driven: {unknown_layer(layer, measured)}")


def check_fields(state: object, fields: Mapping[str, tuple[_Fits, str]]) -> None:
    """Raise ValueError, in one line, for what is no state, has another version or lacks one of these fields."""
    if not isinstance(state, Mapping):
        raise ValueError(f"scheduler state must be what state_dict() returned, got {shown(state)}")
    if "version" not in state:
        raise ValueError(
            f"scheduler state must be one of MutualInformationLR, got one of another kind, {shown(sorted(state))}"
        )
    version = state["version"]
    if not isinstance(version, int) or version != VERSION:
        raise ValueError(f"scheduler state must have version {VERSION}, got {shown(version)}")
    missing = sorted(fields.keys() - state.keys())
    if missing:
        raise ValueError(
            f"scheduler state must hold {', '.join(missing)}, got {shown(sorted(map(str, state)))}"
        )
    for name, (fits, what) in fields.items():
        if not fits(state[name]):
            raise ValueError(f"scheduler state must hold {name} as {what}, got {shown(state[name])}")


def check_state(
    state: Mapping[str, Any],
    *,
    driving_layers: Sequence[str],
    layers: Sequence[str],
    held_out_size: int,
    examples: Sequence[str],
    reference: float | None,
    cadence: Cadence,
) -> None:
    """Raise ValueError, in one line, for a state of another pacer, or one that is not whole."""
    check_fields(state, PACER)
    mine, theirs = list(dict.fromkeys(driving_layers)), list(state["decisions"])
    # The state does not know of a layer that drives from now on.
    if not set(theirs) <= set(mine):
        raise ValueError(f"scheduler state must be driven by this model's layers {mine}, got {theirs}")
    _check_has(state, "begun", theirs)
    if (theirs := list(state["history"])) != list(layers):
        raise ValueError(f"scheduler state must be of this model's layers {list(layers)}, got {theirs}")
    if (n := state["held_out_size"]) != held_out_size:
        raise ValueError(f"scheduler state must be of {held_out_size} held-out examples, got one of {n}")
    if list(state["examples"]) != list(examples):
        which = "the probe" if state["examples"][:1] != list(examples[:1]) else "the held-out probe"
        raise ValueError(
            f"scheduler state must be of the same examples, got others in {which}; draw them from the same data with "
            "the same seed"
        )
    if state["reference"] != reference:
        raise ValueError(
            f"scheduler state must be of this probe, with reference {reference}, got {state['reference']}"
        )
    every = cadence.every
    if (state["unit"] is not None) != cadence.by_steps or (
        None not in (every, state["every"]) and every != state["every"]
    ):
        wanted = f"steps, every = {every}" if cadence.by_steps else "epochs, every = None"
        raise ValueError(f"scheduler state must be measured in {wanted}, got every = {state['every']}")
    unit = cadence.unit_of(state["every"] or every) if cadence.by_steps else None
    if state["unit"] != unit:
        raise ValueError(f"scheduler state must have units of {unit} steps, got {state['unit']}")
    check_unit_state(state["time"], layers, held_out_size)
    _check_lengths(state)


def check_search(state: object, search: object, bounds: object) -> None:
    """Raise ValueError if only one of a state and a scheduler has a search for the rate."""
    if (state is None) != (search is None):
        its = "without" if state is None else "with"
        raise ValueError(
            f"scheduler state must be of a scheduler {its} a search for the rate, got bounds = {bounds}"
        )


def check_groups(state: Mapping[str, Any]) -> None:
    """Raise ValueError, in one line, for a state whose parameter groups do not fit together."""
    _check_has(state, "scales", state["decisions"])
    for layer in state["decisions"]:
        groups = {name: len(state[name].get(layer, ())) for name in ("factors", "last_lr", "group_lrs")}
        if len({*groups.values()}) != 1:
            raise ValueError(f"scheduler state must fit together, got {groups} groups of layer {layer}")
    if (known := sum(map(len, state["factors"].values()))) != (groups := len(state["places"])):
        raise ValueError(
            f"scheduler state must fit together, got factors of {known} groups, places of {groups}"
        )


def _check_has(state: Mapping[str, Any], name: str, layers: Iterable[str]) -> None:
    without = [layer for layer in layers if layer not in state[name]]
    if without:
        raise ValueError(
            f"scheduler state must hold {name} of layer {without[0]!r}, got {shown(state[name])}"
        )


def _check_lengths(state: Mapping[str, Any]) -> None:
    decisions = {layer: len(taken) for layer, taken in state["decisions"].items()}
    epochs = max(decisions.values(), default=0)
    measured = epochs - len(state["rolled_back"])  # a rolled-back epoch has decisions and no history
    parts = [(f"the history of {layer}", len(v), measured) for layer, v in state["history"].items()]
    parts += [(f"the errors of {layer}", len(v), measured) for layer, v in state["errors"].items()]
    parts += [
        (f"decisions of {layer}", n, epochs) for layer, n in decisions.items() if not state["begun"][layer]
    ]
    parts += [(f"the rates {name}", len(state[name]), epochs - 1) for name in ("used", "set_here")]
    for name, got, wanted in parts:
        if got != wanted or epochs == 0:
            raise ValueError(f"scheduler state must fit together, {epochs} epochs, got {got} in {name}")
    if set(state["begun"]) != set(decisions):
        raise ValueError(
            f"scheduler state must hold begun of layers {list(decisions)}, got {list(state['begun'])}"
        )
    late = next((layer for layer in decisions if not state["begun"][layer] < measured), None)
    if late is not None:
        raise ValueError(
            f"scheduler state must fit together, {epochs} epochs, got begun = {state['begun'][late]} of layer {late}"
        )
