"""Bad inputs of the scheduler and of the range test: (name, call, what the line must hold)."""

# pyright: reportArgumentType=false
# The arguments are wrong on purpose.

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import SGD

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe, find_bounds, layer_groups
from infopace.policies import HeldOut, Vasudevan2018
from infopace.probe import Measuring
from infopace.range_test import Algorithm2, Race, merge_trials

N = 60
X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(N) % 3
PROBE = Probe(X, Y)
BOUNDS = Bounds(1e-3, 0.1)
NAN, INF = float("nan"), float("inf")
FOLDER = tempfile.TemporaryDirectory()


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))


def scheduler(**changed: Any) -> MutualInformationLR:
    model = changed.pop("model", None) or net()
    taken = {"optimizer": None, "probe": PROBE, "bounds": BOUNDS, **changed}
    optimizer = taken.pop("optimizer") or SGD(model.parameters(), lr=0.1)
    return MutualInformationLR(optimizer, model, taken.pop("probe"), **taken)


def scheduled(**changed: Any) -> Callable[[], Any]:
    return lambda: scheduler(**changed)


def loaded(change: Callable[[dict[str, Any]], Any]) -> Callable[[], Any]:
    """A state is changed, or another is returned, and loaded."""

    def load() -> None:
        mine = scheduler()
        state = copy.deepcopy(mine.state_dict())
        other = change(state)
        mine.load_state_dict(state if other is None else other)

    return load


def test(**changed: Any) -> Callable[[], Any]:
    def run() -> Any:
        model = net()
        taken: dict[str, Any] = {
            "model": model,
            "optimizer": SGD(model.parameters(), lr=0.1),
            "loss": nn.functional.cross_entropy,
            "batches": [(X[:30], Y[:30]), (X[30:], Y[30:])],
            "probe": PROBE,
            "epochs": 10,
            **changed,
        }
        return find_bounds(**taken)

    return run


def folder_with(**files: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=FOLDER.name))
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


def merged(**files: str) -> Callable[[], Any]:
    return lambda: merge_trials(folder_with(**files))


def drop(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.__delitem__(name)


def put(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update({name: value})


ROWS: list[tuple[str, Callable[[], Any], tuple[str, ...]]] = [
    ("MutualInformationLR(optimizer=SGD)", scheduled(optimizer=SGD), ("optimizer", "type")),
    ("MutualInformationLR(optimizer='sgd')", scheduled(optimizer="sgd"), ("optimizer", "str")),
    (
        "MutualInformationLR(model=optimizer)",
        scheduled(model=SGD(net().parameters()), optimizer=SGD(net().parameters())),
        ("model", "SGD"),
    ),
    (
        "MutualInformationLR(model=nn.Linear)",
        scheduled(model=nn.Linear, optimizer=SGD(net().parameters())),
        ("model", "type"),
    ),
    ("MutualInformationLR(probe=None)", scheduled(probe=None), ("probe", "NoneType")),
    ("MutualInformationLR(probe=(x, y))", scheduled(probe=(X, Y)), ("probe", "tuple")),
    (
        "MutualInformationLR(policy=HoldAndDecay)",
        scheduled(policy=HoldAndDecay),
        ("policy", "HoldAndDecay"),
    ),
    ("MutualInformationLR(policy='wang-2024')", scheduled(policy="wang-2024"), ("policy", "wang-2024")),
    ("MutualInformationLR(policy=Bounds)", scheduled(policy=BOUNDS), ("policy", "Bounds")),
    ("MutualInformationLR(bounds=0.1)", scheduled(bounds=0.1), ("bounds", "float")),
    ("MutualInformationLR(measuring='all')", scheduled(measuring="all"), ("measuring", "'all'")),
    ("MutualInformationLR(measured='average')", scheduled(measured="average"), ("measured", "'average'")),
    ("MutualInformationLR(measured=lambda: 1)", scheduled(measured=lambda: 1), ("Module", "int")),
    ("find_bounds(measuring='all')", test(measuring="all"), ("measuring", "'all'")),
    ("MutualInformationLR(bounds=(1e-3, 0.1))", scheduled(bounds=(1e-3, 0.1)), ("bounds", "tuple")),
    ("MutualInformationLR(bounds={})", scheduled(bounds={}), ("bounds", "output")),
    ("MutualInformationLR(bounds={'output': 0.1})", scheduled(bounds={"output": 0.1}), ("bounds", "float")),
    ("MutualInformationLR(bounds=Bounds class)", scheduled(bounds=Bounds), ("bounds", "type")),
    (
        "MutualInformationLR(another model's optimizer)",
        scheduled(optimizer=SGD(net().parameters())),
        ("optimizer", "4"),
    ),
    ("MutualInformationLR(held_out=(x, y))", scheduled(held_out=(X, Y)), ("held_out", "tuple")),
    (
        "MutualInformationLR(held_out of two classes)",
        scheduled(held_out=Probe(X[:30], Y[:30] % 2)),
        ("held_out", "[0, 1]"),
    ),
    (
        "MutualInformationLR(held_out for another rule)",
        scheduled(held_out=PROBE, policy=Vasudevan2018()),
        ("held_out", "Vasudevan2018"),
    ),
    (
        "MutualInformationLR(layers that are not measured)",
        lambda: scheduler(model=(m := net()), optimizer=SGD(layer_groups(m)), measuring=Measuring()),
        ("'0'",),
    ),
    (
        "MutualInformationLR(model without weights)",
        scheduled(model=nn.ReLU(), optimizer=SGD(net().parameters())),
        ("optimizer", "4"),
    ),
    (
        "MutualInformationLR(weights of nan)",
        lambda: scheduler(
            model=net().apply(lambda part: [nn.init.constant_(weight, NAN) for weight in part.parameters()])
        ),
        ("output", "nan"),
    ),
    # States
    ("load_state_dict(3)", loaded(lambda state: 3), ("state", "3")),
    ("load_state_dict([])", loaded(lambda state: [1]), ("state", "[1]")),
    ("load_state_dict({})", loaded(lambda state: {}), ("state", "MutualInformationLR")),
    ("load_state_dict(of torch's)", loaded(lambda state: {"base_lrs": [0.1]}), ("state", "base_lrs")),
    ("load_state_dict(version 99)", loaded(put("version", 99)), ("version", "99")),
    *[
        (f"load_state_dict(without {name})", loaded(drop(name)), ("state", name))
        for name in ("last_epoch", "group_lrs", "history", "decisions", "reference", "scales")
    ],
    *[
        (
            f"load_state_dict({name}={str(value)[:50]})",
            loaded(put(name, value)),
            ("state", name, str(value)[:30]),
        )
        for name, value in (
            ("last_epoch", None),
            ("last_epoch", -3),
            ("last_epoch", "0"),
            ("step_count", "one"),
            ("group_lrs", None),
            ("group_lrs", []),
            ("group_lrs", {"output": ["0.1"]}),
            ("last_lr", {"output": [NAN]}),
            ("last_lr", 0.1),
            ("reference", 2.3),  # the default rule reads none
            ("reference", NAN),
            ("scales", {"output": None}),
            ("rolled_back", 3),
            ("used", [3]),
            ("begun", {"output": -1}),
            ("history", None),
            ("history", {"output": None}),
            ("history", {"output": ["a"]}),
            ("history", {"output": [NAN]}),
            ("history", [0.1]),
            ("decisions", None),
            ("decisions", []),
            ("decisions", {"output": [{"lr": 0.1}]}),
            ("decisions", {"output": ["0.1"]}),
            ("decisions", {"output": [{"lr": NAN, "phase": "hold", "reason": ""}]}),
            ("decisions", {"output": [{"lr": 0.1, "phase": "hold", "reason": "", "more": 1}]}),
        )
    ],
    ("load_state_dict(of other layers)", loaded(put("history", {"fc": [0.1]})), ("state", "fc")),
    ("load_state_dict(driven by other layers)", loaded(put("decisions", {"fc": []})), ("state", "fc")),
    # The methods of a range test
    *[
        (
            f"{kind.__name__}({name}={value!r})",
            lambda k=kind, n=name, v=value: k(**{n: v}),
            (name, str(value)),
        )
        for kind, name, value in (
            (Race, "trials", 0),
            (Race, "trials", 2.5),
            (Race, "trials", "3"),
            (Race, "trials", True),
            (Race, "share", 0),
            (Race, "share", 1.5),
            (Race, "share", None),
            (Race, "share", "0.1"),
            (Race, "low", 0),
            (Race, "low", 5.0),
            (Race, "low", None),
            (Race, "high", INF),
            (Race, "high", "10"),
            (Race, "most", 0),
            (Race, "most", NAN),
            (Race, "most", "1"),
            (Algorithm2, "trials", 0),
            (Algorithm2, "trials", None),
            (Algorithm2, "epochs", 0),
            (Algorithm2, "epochs", 1.5),
            (Algorithm2, "epochs", None),
            (Algorithm2, "rates", None),
            (Algorithm2, "rates", 0.1),
            (Algorithm2, "rates", (0.1, 0.2)),
            (Algorithm2, "rates", (0.3, 0.2, 0.1)),
            (Algorithm2, "rates", (0.1, 0.2, NAN)),
            (Algorithm2, "rates", ("a", "b", "c")),
            (Algorithm2, "c1", 0),
            (Algorithm2, "c1", None),
            (Algorithm2, "c2", "1"),
            (Algorithm2, "retry", "no"),
        )
    ],
    ("Algorithm2.grid(1, 0.1)", lambda: Algorithm2.grid(1, 0.1), ("low", "0.1")),
    ("Algorithm2.grid(0.1, 0.2)", lambda: Algorithm2.grid(0.1, 0.2), ("low", "0.1", "0.2")),
    ("Algorithm2.grid(None)", lambda: Algorithm2.grid(None), ("low", "None")),
    ("Algorithm2.grid('1')", lambda: Algorithm2.grid("1"), ("low", "'1'")),
    # The range test
    ("find_bounds(model=None)", test(model=None), ("model", "NoneType")),
    ("find_bounds(model=nn.Linear)", test(model=nn.Linear), ("model", "type")),
    ("find_bounds(optimizer=SGD)", test(optimizer=SGD), ("optimizer", "type")),
    (
        "find_bounds(optimizer=LBFGS)",
        test(optimizer=torch.optim.LBFGS(net().parameters())),
        ("optimizer", "LBFGS"),
    ),
    ("find_bounds(another model's optimizer)", test(optimizer=SGD(net().parameters())), ("optimizer", "4")),
    ("find_bounds(loss=None)", test(loss=None), ("loss", "None")),
    ("find_bounds(loss='cross_entropy')", test(loss="cross_entropy"), ("loss", "cross_entropy")),
    (
        "find_bounds(loss of each example)",
        test(loss=lambda o, t: nn.functional.cross_entropy(o, t, reduction="none")),
        ("loss", "shape"),
    ),
    ("find_bounds(loss that is a float)", test(loss=lambda o, t: 1.0), ("loss", "float")),
    ("find_bounds(loss class)", test(loss=nn.CrossEntropyLoss), ("loss", "CrossEntropyLoss")),
    ("find_bounds(batches=None)", test(batches=None), ("batches", "NoneType")),
    ("find_bounds(batches=[])", test(batches=[]), ("batches",)),
    ("find_bounds(batches=3)", test(batches=3), ("batches", "int")),
    ("find_bounds(batches=generator)", test(batches=iter([(X, Y)])), ("batches", "iterator")),
    ("find_bounds(batches of 1)", test(batches=[(X,)]), ("batch", "tuple")),
    ("find_bounds(batches of text)", test(batches=["abc"]), ("batch", "str")),
    ("find_bounds(batches of None)", test(batches=[None]), ("batch", "NoneType")),
    ("find_bounds(probe=(x, y))", test(probe=(X, Y)), ("probe", "tuple")),
    *[
        (f"find_bounds({name}={value!r})", test(**{name: value}), (name, str(value)))
        for name, value in (
            ("epochs", 0),
            ("epochs", 1.5),
            ("epochs", None),
            ("epochs", True),
            ("seed", -1),
            ("seed", 2.0),
            ("seed", None),
            ("attribute", "accuracies"),
            ("attribute", None),
            ("attribute", ["loss"]),
            ("method", "race"),
            ("method", Race),
            ("precision", "bf16"),
            ("scaler", 3),
            ("only", 3),
            ("folder", 3),
        )
    ],
    ("find_bounds(only=[99])", test(only=[99]), ("only", "99")),
    ("find_bounds(only=[-1])", test(only=[-1]), ("only", "-1")),
    ("find_bounds(only=['a'])", test(only=["a"]), ("only", "'a'")),
    ("find_bounds(fresh=net())", test(fresh=net()), ("fresh", "Sequential")),
    ("find_bounds(fresh=None-maker)", test(fresh=lambda: None), ("fresh", "NoneType")),
    ("find_bounds(fresh of another shape)", test(fresh=lambda: nn.Linear(6, 3)), ("fresh",)),
    ("find_bounds(layer_wise without groups)", test(layer_wise=True), ("layer_wise", "layer_groups")),
    ("find_bounds(folder is a file)", test(folder=folder_with(a_txt="x") / "a.txt"), ("a.txt",)),
    (
        "find_bounds(folder of other settings)",
        test(folder=folder_with(test_json="{}")),
        ("folder", "seed is None there"),
    ),
    ("find_bounds(accuracy of floats)", test(probe=Probe(X, X[:, 0]), attribute="accuracy"), ("accuracy",)),
    # Folders of trials
    ("merge_trials(None)", lambda: merge_trials(None), ("folder", "None")),
    ("merge_trials('nowhere')", lambda: merge_trials("nowhere"), ("nowhere",)),
    ("merge_trials(file)", lambda: merge_trials(folder_with(a_txt="x") / "a.txt"), ("a.txt",)),
    ("merge_trials(empty folder)", merged(), ("test.json",)),
    ("merge_trials(no JSON)", merged(test_json="{"), ("test.json",)),
    ("merge_trials(JSON of zero bytes)", merged(test_json="\0" * 40), ("test.json",)),
    ("merge_trials(a list)", merged(test_json="[1]"), ("test.json",)),
    ("merge_trials(empty settings)", merged(test_json="{}"), ("test.json",)),
    ("merge_trials(deep JSON)", merged(test_json="[" * 100_000), ("test.json",)),
    (
        "merge_trials(other settings)",
        merged(test_json=json.dumps({"method": 3, "layers": 3})),
        ("test.json",),
    ),
    ("HeldOut(object)", lambda: HeldOut(object()), ("held-out", "object")),
]
