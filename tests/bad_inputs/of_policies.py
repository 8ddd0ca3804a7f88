"""Bad inputs of the policies, of what they read and of the roll-back: (name, call, what the line must hold)."""

# pyright: reportArgumentType=false
# The arguments are wrong on purpose.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from infopace import Bounds, HoldAndDecay, Vasudevan2020
from infopace.policies import HeldOut, Observed, Vasudevan2018, Wang2024, simulate
from infopace.scheduler import RollBack

BOUNDS = Bounds(1e-3, 0.1)
NAN, INF = float("nan"), float("inf")
TRACE = [0.0, 1.0, 1.5]


PAPER = Vasudevan2020(epochs=10)


def run(policy: Any = PAPER, trace: Any = TRACE, **options: Any) -> Callable[[], Any]:
    return lambda: simulate(policy, trace, **{"reference": 2.3, "bounds": BOUNDS, **options})


def observe(**options: Any) -> Callable[[], Any]:
    return lambda: Observed(**{"history": TRACE, "reference": 2.3, "bounds": BOUNDS, **options})


ROWS: list[tuple[str, Callable[[], Any], tuple[str, ...]]] = [
    *[
        (f"Bounds({values})", lambda v=values: Bounds(**v), (name, str(values[name])))
        for name, values in (
            ("lr_min", {"lr_min": 0, "lr_max": 1}),
            ("lr_min", {"lr_min": -1e-3, "lr_max": 1}),
            ("lr_min", {"lr_min": None, "lr_max": 1}),
            ("lr_min", {"lr_min": "1e-3", "lr_max": 1}),
            ("lr_min", {"lr_min": True, "lr_max": 1}),
            ("lr_min", {"lr_min": 0.2, "lr_max": 0.1}),
            ("lr_max", {"lr_min": 1e-3, "lr_max": NAN}),
            ("lr_max", {"lr_min": 1e-3, "lr_max": INF}),
            ("lr_max", {"lr_min": 1e-3, "lr_max": [0.1]}),
            ("lr_max", {"lr_min": 1e-3, "lr_max": 1j}),
            ("lr_top", {"lr_min": 1e-3, "lr_max": 0.1, "lr_top": 0.2}),
            ("lr_top", {"lr_min": 1e-3, "lr_max": 0.1, "lr_top": 1e-4}),
            ("epsilon", {"lr_min": 1e-3, "lr_max": 0.1, "epsilon": 0}),
            ("epsilon", {"lr_min": 1e-3, "lr_max": 0.1, "epsilon": None}),
        )
    ],
    ("Bounds(lr_max=10**400)", lambda: Bounds(1e-3, 10**400), ("lr_max", "1000")),
    ("Bounds(lr_max=10**5000)", lambda: Bounds(1e-3, 10**5000), ("lr_max", "bits")),
    ("Bounds(lr_max=tensor of two)", lambda: Bounds(1e-3, torch.ones(2)), ("lr_max",)),
    # The rules' own settings
    *[
        (
            f"{rule.__name__}({name}={value!r})",
            lambda r=rule, n=name, v=value: r(**{n: v}),
            (name, str(value)),
        )
        for rule, name, value in (
            (Vasudevan2020, "epochs", None),
            (Vasudevan2020, "epochs", 0),
            (Vasudevan2020, "epochs", 2.5),
            (Vasudevan2020, "epochs", "10"),
            (Vasudevan2020, "epochs", True),
            (Vasudevan2020, "decay", "cosine"),
            (Vasudevan2020, "decay", None),
            (Vasudevan2020, "saturation", 0.01),
            (Vasudevan2020, "first_lr", ["top"]),
            (Vasudevan2018, "variant", "C"),
            (Vasudevan2018, "variant", None),
            (Vasudevan2018, "variant", 1),
            (Wang2024, "cycle", 0),
            (Wang2024, "cycle", 2.5),
            (Wang2024, "cycle", None),
            (Wang2024, "triangle", "yes"),
            (Wang2024, "triangle", None),
            (HoldAndDecay, "epochs", 0),
            (HoldAndDecay, "epochs", -3),
            (HoldAndDecay, "epochs", 1.5),
            (HoldAndDecay, "epochs", "ten"),
            (HoldAndDecay, "epochs", NAN),
            (HoldAndDecay, "z", -1),
            (HoldAndDecay, "z", "1.96"),
            (HoldAndDecay, "window", 0),
            (HoldAndDecay, "longest", 2),
            (HoldAndDecay, "middle", NAN),
            (HoldAndDecay, "lowered", None),
            (HoldAndDecay, "fewest", 2),
            (HoldAndDecay, "fewest_held_out", 2.5),
            (HoldAndDecay, "shape", "linear"),
            (RollBack, "left", 0),
            (RollBack, "left", "half"),
            (RollBack, "lowered", 1.5),
        )
    ],
    # What they read
    *[
        (f"Observed({text})", observe(**options), words)
        for text, options, words in (
            ("history of nothing", {"history": []}, ("history", "[]")),
            ("history with nan", {"history": [0.0, NAN, 1.0]}, ("nan", "1")),
            ("history with None", {"history": [0.0, None, 1.0]}, ("None", "1")),
            ("history with a word", {"history": [0.0, "1", 1.0]}, ("'1'", "1")),
            ("history is None", {"history": None}, ("history", "None")),
            ("history is a number", {"history": 1.5}, ("history", "1.5")),
            ("history is a set", {"history": {0.0, 1.0}}, ("history", "{0.0, 1.0}")),
            ("rolled_back -1", {"rolled_back": -1}, ("rolled_back", "-1")),
            ("rolled_back 3.0", {"rolled_back": 3.0}, ("rolled_back", "3.0")),
            ("begun '3'", {"begun": "3"}, ("begun", "'3'")),
            ("held_out array", {"held_out": [[0.0, 1.0]]}, ("held_out", "list")),
            ("reference 0", {"reference": 0}, ("reference", "0")),
            ("reference nan", {"reference": NAN}, ("reference", "nan")),
            ("reference inf", {"reference": INF}, ("reference", "inf")),
            ("reference '2'", {"reference": "2"}, ("reference", "'2'")),
            ("bounds None", {"bounds": None}, ("bounds", "None")),
            ("bounds (1e-3, 0.1)", {"bounds": (1e-3, 0.1)}, ("bounds", "tuple")),
        )
    ],
    # Traces
    ("simulate(None)", run(None), ("policy", "None")),
    ("simulate(HoldAndDecay)", run(HoldAndDecay), ("policy", "HoldAndDecay")),
    ("simulate('vasudevan-2020')", run("vasudevan-2020"), ("policy", "vasudevan-2020")),
    ("simulate(trace=None)", run(trace=None), ("trace", "None")),
    ("simulate(trace=3)", run(trace=3), ("trace", "3")),
    ("simulate(trace with nan)", run(trace=[0.0, 1.0, NAN]), ("nan", "2")),
    ("simulate(trace with inf)", run(trace=[0.0, INF]), ("inf", "1")),
    ("simulate(trace of words)", run(trace=["a", "b"]), ("'a'",)),
    ("simulate(trace of lists)", run(trace=[[0.0], [1.0]]), ("[0.0]",)),
    ("simulate(reference=-1)", run(reference=-1), ("reference", "-1")),
    ("simulate(reference=None)", run(reference=None), ("reference", "None", "Vasudevan2020")),
    *[
        (
            f"{type(policy).__name__}.decide(reference=None)",
            lambda policy=policy: policy.decide(Observed(TRACE, None, BOUNDS)),
            ("reference", "None"),
        )
        for policy in (PAPER, Vasudevan2018("B"), Wang2024())
    ],
    ("simulate(bounds=0.1)", run(bounds=0.1), ("bounds", "float")),
    ("simulate(bounds=Bounds)", run(bounds=Bounds), ("bounds", "type")),
    (
        "simulate(held_out for the paper's rule)",
        run(held_out=HeldOut([[0.0, 1.0]])),
        ("held_out", "Vasudevan2020"),
    ),
    ("simulate(held_out=array)", run(HoldAndDecay(), held_out=[[0.0, 1.0]]), ("held_out", "list")),
    # Held-out information
    ("HeldOut(None)", lambda: HeldOut(None), ("held-out", "()")),
    ("HeldOut([1.0, 2.0])", lambda: HeldOut([1.0, 2.0]), ("held-out", "(2,)")),
    ("HeldOut(one example)", lambda: HeldOut([[1.0], [2.0]]), ("held-out", "(2, 1)")),
    ("HeldOut([])", lambda: HeldOut([]), ("held-out", "(0,)")),
    ("HeldOut(nan)", lambda: HeldOut([[1.0, NAN]]), ("nan", "0")),
    ("HeldOut(ragged)", lambda: HeldOut([[1.0, 2.0], [1.0]]), ("held-out", "list")),
    ("HeldOut(words)", lambda: HeldOut([["a", "b"]]), ("held-out",)),
    ("HeldOut(complex)", lambda: HeldOut([[1j, 2j]]), ("held-out",)),
    ("HeldOut.rise(1, 1)", lambda: HeldOut([[1.0, 2.0]] * 3).rise(1, 1), ("first = 1", "last = 1")),
    ("HeldOut.rise(-1, 1)", lambda: HeldOut([[1.0, 2.0]] * 3).rise(-1, 1), ("first = -1",)),
    ("HeldOut.rise(0, 9)", lambda: HeldOut([[1.0, 2.0]] * 3).rise(0, 9), ("last = 9",)),
]
