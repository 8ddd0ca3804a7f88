"""Bad inputs of the probe and of its measurements: (name, call, what the message must hold)."""

# pyright: reportArgumentType=false
# The arguments are wrong on purpose.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from infopace import Probe, layer_groups
from infopace.model import weight_layers
from infopace.probe import Measuring, reference_of

N = 60
X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(N) % 3
Z = torch.randn(N, generator=torch.Generator().manual_seed(1))
NOISE = torch.rand(N, 2, generator=torch.Generator().manual_seed(8))
PROBE, FLOATS, TOKENS = Probe(X, Y), Probe(X, Z), Probe(X, torch.stack([Y] * 4, 1))
IGNORING = torch.stack([Y, Y], 1).index_fill(0, torch.tensor([5]), -100)


def probe(x: Any = X, y: Any = Y) -> Callable[[], Any]:
    return lambda: Probe(x, y)


def sample(data: Any = (X, Y), n: Any = 30, **options: Any) -> Callable[[], Any]:
    return lambda: Probe.sample(data, n, **options)


def measure(model: Any, *measuring: Any, **options: Any) -> Callable[[], Any]:
    return lambda: PROBE.measure(model, *measuring, **options)


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(zip(X, Y, strict=True))


class Items(Dataset):
    """A data set of these items."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Any:
        return self.items[row]


RAGGED = Items([(torch.zeros(i % 2 + 1), i % 2) for i in range(N)])


def plain(model: nn.Module, batch: Any) -> Any:
    return model(batch[0]), batch[1]


def returning(found: Callable[[Tensor], Any]) -> Callable[[], Any]:
    return lambda: Probe(X, Y, forward=lambda model, batch: found(model(batch[0]))).measure(net())


class Model(nn.Module):
    """A model that puts out what a function makes of its inputs."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(6, 3), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.layer(x))


def nan_in(targets: Tensor) -> Tensor:
    changed = targets.clone()
    changed[5] = float("nan")
    return changed


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))


def broken(value: float) -> nn.Module:
    model = net()
    with torch.no_grad():
        next(model.parameters()).fill_(value)
    return model


ROWS: list[tuple[str, Callable[[], Any], tuple[str, ...]]] = [
    # Inputs and targets
    ("Probe(None, y)", probe(None), ("inputs", "None")),
    ("Probe(x, None)", probe(y=None), ("targets", "None")),
    ("Probe(object, y)", probe(object()), ("inputs", "object")),
    ("Probe(x of 60, y of 59)", probe(y=Y[:-1]), ("inputs", "targets", "60", "59")),
    ("Probe(empty)", probe(X[:0], Y[:0]), ("inputs", "targets", "0")),
    ("Probe(scalar, y)", probe(torch.tensor(3.0)), ("inputs",)),
    ("Probe(x, scalar)", probe(y=torch.tensor(3)), ("targets", "0")),
    ("Probe(x, one token only)", probe(y=torch.full((N, 2), 7)), ("targets", "7", "60")),
    ("Probe(x, tokens that are ignored)", probe(y=IGNORING), ("target", "1 of 60", "example 5")),
    ("Probe(x, y, forward=3)", lambda: Probe(X, Y, forward=3), ("forward", "3")),
    ("Probe(x of 60, y of 59, forward=f)", lambda: Probe(X, Y[:-1], forward=plain), ("batch", "(59,)", "60")),
    ("Probe('cat', y, forward=f)", lambda: Probe("cat", Y, forward=plain), ("inputs", "str")),
    ("probe(forward=f).targets", lambda: Probe(X, Y, forward=plain).targets, ("targets", "measurement")),
    ("probe(forward=f).reference()", Probe(X, Y, forward=plain).reference, ("targets", "measurement")),
    (
        "probe(forward=f).of_output(x)",
        lambda: Probe(X, Y, forward=plain).of_output(X),
        ("of_output", "forward"),
    ),
    *[
        (f"probe(forward returns {name}).measure(model)", returning(found), ("forward", *words))
        for name, found, words in (
            ("None", lambda out: None, ("NoneType",)),
            ("scores", lambda out: out, ("Tensor",)),
            ("scores and None", lambda out: (out, None), ("NoneType",)),
            ("four", lambda out: (out, out, out, out), ("Tensor, Tensor",)),
            ("positions as examples", lambda out: (out.reshape(-1), out), ("(180,)", "(60, 3)")),
            ("a mask of another shape", lambda out: (out, out, out[:, 0]), ("mask", "(60,)", "(60, 3)")),
        )
    ],
    ("Probe(x, complex)", probe(y=Z + 1j), ("targets", "complex64")),
    ("Probe(x, nan)", probe(y=nan_in(Z)), ("targets", "nan")),
    ("Probe(x, one class)", probe(y=torch.zeros(N).long()), ("class", "0", "60")),
    ("Probe(x, objects)", probe(y=[object()] * N), ("targets", "list of object")),
    ("Probe(ragged, y)", probe([[1.0], [1.0, 2.0]], [0, 1]), ("inputs", "list")),
    ("Probe({}, y)", probe({}), ("inputs",)),
    ("Probe((), y)", probe(()), ("inputs",)),
    ("Probe({'a': None}, y)", probe({"a": None}), ("inputs", "None")),
    ("Probe((x, short), y)", probe((X, X[:-1])), ("inputs", "59")),
    ("Probe(meta, y)", probe(X.to("meta")), ("inputs", "meta")),
    ("Probe(x, meta)", probe(y=Y.to("meta")), ("targets", "meta")),
    ("Probe(x, sparse)", probe(y=Y.to_sparse()), ("targets", "sparse")),
    # Options
    *[
        (f"probe.measure({name}={value!r})", measure(net(), **{name: value}), (name, str(value)))
        for name, value in (
            ("k", 0),
            ("k", N),
            ("k", 3.5),
            ("k", True),
            ("k", None),
            ("k", "3"),
            ("signal", "information"),
            ("signal", None),
            ("hidden", "ridge"),
            ("hidden", None),
            ("norm", "manhattan"),
            ("norm", None),
            ("layers", None),
            ("layers", 3),
            ("layers", [0, 1]),
            ("layers", []),
            ("decoder", None),
            ("std_error", "no"),
            ("batch_size", 0),
            ("batch_size", -5),
            ("batch_size", 2.5),
            ("batch_size", "all"),
            ("reference", "mutual"),
            ("reference", 0),
            ("reference", -1.0),
            ("reference", float("nan")),
            ("reference", float("inf")),
            ("reference", None),
            ("reference", [1.0]),
        )
    ],
    ("Measuring(k=0)", lambda: Measuring(k=0), ("k ", "0")),
    ("measuring.replace(layer='all')", lambda: Measuring().replace(layer="all"), ("layers", "layer")),
    ("probe.measure(layer='all')", measure(net(), layer="all"), ("layers", "layer")),
    ("probe.measure(model, 'all')", measure(net(), "all"), ("measuring", "'all'")),
    ("floats.measure(reference='entropy')", lambda: FLOATS.measure(net(), reference="entropy"), ("entropy",)),
    ("floats.reference('entropy')", lambda: FLOATS.reference(reference="entropy"), ("entropy",)),
    ("floats.reference(k=60)", lambda: FLOATS.reference(k=N), ("k ", "60")),
    ("Probe(labels as inputs, floats).reference()", Probe(torch.arange(N), Z).reference, ("ksg", "int64")),
    ("Probe(dict, floats).reference()", Probe({"x": X}, Z).reference, ("ksg", "dict")),
    ("Probe(x, floats of noise).reference()", Probe(X, NOISE).reference, ("ksg", "positive")),
    ("reference_of(None)", lambda: reference_of(None), ("data set", "NoneType")),
    ("reference_of(floats, k=0)", lambda: reference_of((X, Z), k=0), ("k ", "0")),
    ("reference_of(floats, k=60)", lambda: reference_of((X, Z), k=N), ("k ", "60")),
    ("reference_of(floats, norm='x')", lambda: reference_of((X, Z), norm="x"), ("norm", "'x'")),
    ("reference_of(floats, seed=-1)", lambda: reference_of((X, Z), seed=-1), ("seed", "-1")),
    ("reference_of(dict, floats)", lambda: reference_of(({"x": X}, Z)), ("ksg", "dict")),
    ("Probe.to('gpu')", lambda: Probe(X, Y).to("gpu"), ("device", "gpu")),
    ("probe.measure(layers=model)", measure(net(), layers=net()), ("layers", "Sequential(")),
    # Drawing one
    ("Probe.sample(None)", sample(None), ("data set", "NoneType")),
    ("Probe.sample(3)", sample(3), ("data set", "int")),
    ("Probe.sample(TensorDataset)", sample(TensorDataset), ("data set",)),
    ("Probe.sample(stream of 60, n=61)", sample(Stream(), N + 1), ("data set", "61", "60", "Stream")),
    ("Probe.sample({'train': x})", sample({"train": X, "test": Y}), ("data set", "'train', 'test'")),
    ("Probe.sample('train')", sample("train"), ("data set", "str")),
    ("Probe.sample(forward='f')", sample(forward="f"), ("forward", "'f'")),
    ("Probe.sample(forward=f, unpack=f)", sample(forward=plain, unpack=plain), ("unpack", "forward")),
    ("Probe.sample(two lengths, forward=f)", sample(RAGGED, forward=plain), ("batch", "collate_fn")),
    ("loader of two lengths", sample(DataLoader(RAGGED)), ("inputs", "collate_fn")),
    ("Probe.sample(generator)", sample(iter([(X[0], 0)])), ("data set", "iterator")),
    ("Probe.sample(no examples)", sample(Items([])), ("n ", "30")),
    ("Probe.sample(items of 3)", sample(Items([(X[0], 1, 2)] * N)), ("item", "tuple of 3")),
    ("Probe.sample(items are dicts)", sample(Items([{"x": X[0]}] * N)), ("dict", "'x'")),
    ("Probe.sample(items are None)", sample(Items([None] * N)), ("item", "NoneType")),
    (
        "Probe.sample(images of two sizes)",
        sample(Items([(torch.zeros(i % 2 + 1), i % 2) for i in range(N)])),
        ("inputs", "(1,)", "(2,)"),
    ),
    (
        "Probe.sample(dicts of other keys)",
        sample(Items([({str(i): X[0]}, i % 2) for i in range(N)])),
        ("inputs",),
    ),
    (
        "Probe.sample(tuples of other lengths)",
        sample(Items([((X[0],) * (1 + i), i % 2) for i in range(N)])),
        ("inputs",),
    ),
    ("Probe.sample(targets are objects)", sample(Items([(X[0], object())] * N)), ("targets", "object")),
    ("Probe.sample(x of 60, y of 59)", sample((X, Y[:-1])), ("60", "59")),
    *[
        (f"Probe.sample(n={n!r})", sample(n=n), ("n ", str(n)))
        for n in (0, 1, -3, N + 1, 10**30, 2.5, 30.0, True, "all", float("nan"))
    ],
    *[
        (f"Probe.sample(seed={seed!r})", sample(seed=seed), ("seed", str(seed)))
        for seed in (-1, 2**64, 10**30, 1.5, True, None, "0")
    ],
    # Models
    ("probe.measure(None)", measure(None), ("model", "NoneType")),
    ("probe.measure(nn.Linear)", measure(nn.Linear), ("model", "type")),
    ("probe.measure(function)", measure(torch.relu), ("model", "builtin_function")),
    ("probe.measure(state_dict)", measure(net().state_dict()), ("model", "OrderedDict")),
    ("probe.measure(meta)", measure(net().to("meta")), ("meta",)),
    ("probe.measure(LazyLinear)", measure(nn.LazyLinear(3)), ("model", "LazyLinear")),
    ("probe.measure(weights of nan)", measure(broken(float("nan"))), ("output", "nan")),
    ("probe.measure(weights of inf)", measure(broken(float("inf")), layers="all"), ("finite",)),
    ("probe.measure(no layer of that name)", measure(net(), layers=["fc3"]), ("'fc3'", "0, 1, 2")),
    ("probe.measure(two classes of three)", measure(nn.Linear(6, 2)), ("output", "2")),
    ("probe.measure(puts out None)", measure(Model(lambda out: None)), ("output", "none")),
    ("probe.measure(puts out text)", measure(Model(lambda out: "cat")), ("output", "none")),
    ("probe.measure(puts out a mean)", measure(Model(lambda out: out.mean())), ("output", "()")),
    ("probe.measure(puts out labels)", measure(Model(lambda out: out.argmax(1))), ("output", "labels")),
    ("probe.measure(puts out complex)", measure(Model(lambda out: out + 1j)), ("output", "complex64")),
    ("probe.measure(puts out sparse)", measure(Model(lambda out: out.to_sparse())), ("output", "sparse")),
    ("probe.measure(puts out half)", measure(Model(lambda out: out[: N // 2])), ("output", "(30, 3)")),
    ("probe.measure(puts out nothing)", measure(Model(lambda out: out[:, :0])), ("output", "(60, 0)")),
    (
        "probe.measure(two that can be scores)",
        measure(Model(lambda out: (out, out))),
        ("output", "forward=f"),
    ),
    (
        "probe.measure(none that can be)",
        measure(Model(lambda out: (out[0], out[1]))),
        ("output", "forward=f"),
    ),
    (
        "tokens.measure(signal='neighbours')",
        lambda: TOKENS.measure(net(), signal="neighbours"),
        ("neighbours",),
    ),
    ("tokens.measure(scores (60, 3))", lambda: TOKENS.measure(net()), ("output", "(60, 4)", "(60, 3)")),
    ("tokens.reference('ksg')", lambda: TOKENS.reference(reference="ksg"), ("ksg", "positions")),
    ("probe.of_output(None)", lambda: PROBE.of_output(None), ("output", "NoneType")),
    ("probe.of_output(59 of 60)", lambda: PROBE.of_output(X[:-1]), ("output", "59", "60")),
    ("probe.of_output(array)", lambda: PROBE.of_output(np.zeros((N, 3))), ("output", "ndarray")),
    # Layers
    ("weight_layers(None)", lambda: weight_layers(None), ("model", "NoneType")),
    ("weight_layers(parameters)", lambda: weight_layers(net().parameters()), ("model", "generator")),
    ("layer_groups(no layers)", lambda: layer_groups(nn.ReLU()), ("ReLU",)),
    ("layer_groups(all frozen)", lambda: layer_groups(net().requires_grad_(False)), ("Sequential",)),
    ("layer_groups(class)", lambda: layer_groups(nn.Linear), ("model", "type")),
    ("layer_groups(optimizer)", lambda: layer_groups(torch.optim.SGD(net().parameters())), ("model", "SGD")),
]
