"""What a model returns, as scores for the targets; and the forward pass of one's own."""

from __future__ import annotations

import warnings
from collections import OrderedDict, UserDict
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from infopace import Probe
from infopace.estimators import entropy, usable_information
from infopace.probe import Measurement

from ..small_probe import labelled, small_net

N, T, V = 64, 6, 9
X, Y = labelled(N)
IDS = torch.randint(V, (N, T), generator=torch.Generator().manual_seed(0))


class Returning(nn.Module):
    """A small network that returns what a function makes of hidden values (n, 5) and logits (n, 3)."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.make = nn.Linear(6, 5), nn.Linear(5, 3), make

    def forward(self, x: Tensor) -> Any:
        hidden = self.body(x).relu()
        return self.make(hidden, self.head(hidden))


class ModelOutput(OrderedDict):
    """As those of Hugging Face: a dict with attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


@dataclass
class Answer:
    loss: Tensor
    logits: Tensor


UNCLEAR = r"^the output must hold one tensor that can be scores for targets \(64,\), got 2 in \w+, of shapes .*; give f"


@pytest.mark.parametrize(
    ("make", "clear"),
    [
        (lambda hidden, logits: (logits, hidden[:, :1]), True),
        (lambda hidden, logits: (hidden[:, :2], logits), True),
        (lambda hidden, logits: [hidden.mean(), logits], True),
        (
            lambda hidden, logits: {"loss": hidden.sum(), "out": logits, "count": torch.arange(len(hidden))},
            True,
        ),
        (lambda hidden, logits: {"hidden": hidden, "logits": logits}, True),
        (lambda hidden, logits: ModelOutput(hidden=hidden, logits=logits), True),
        (lambda hidden, logits: Answer(hidden.sum(), logits), True),
        (lambda hidden, logits: (logits, (hidden[None], hidden[None])), True),
        (lambda hidden, logits: (hidden, logits), False),
        (lambda hidden, logits: {"out": logits, "aux": logits * 2}, False),
    ],
)
def test_the_one_tensor_that_can_be_scores_is_measured_and_no_other(make: Any, clear: bool) -> None:
    model, alone = Returning(make), Returning(lambda hidden, logits: logits)
    if clear:
        assert Probe(X, Y).measure(model).output == Probe(X, Y).measure(alone).output
    else:
        with pytest.raises(ValueError, match=UNCLEAR):
            Probe(X, Y).measure(model)
        chosen = Probe(X, Y, forward=lambda model, batch: (second(model(batch[0])), batch[1]))
        wanted = Probe(X, Y).measure(alone).output.estimate.nats  # of logits or twice them: it has no scale
        assert chosen.measure(model).output.estimate.nats == pytest.approx(wanted, abs=1e-3)
        assert chosen.measure(model, signal="neighbours").output.estimate.nats > 0


def second(found: Any) -> Tensor:
    return list(found.values())[1] if isinstance(found, dict) else found[1]


def test_a_forward_of_one_s_own_measures_what_the_usual_one_does() -> None:
    model = small_net()
    usual = Probe.sample((X, Y), 40).measure(model, layers="all")
    items = [
        {"row": row, "answer": {"label": int(label)}, "name": f"n{label}"}
        for row, label in zip(X, Y, strict=True)
    ]
    names: list[str] = []

    def forward(model: nn.Module, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        names.extend(batch["name"])
        return model(batch["row"]), batch["answer"]["label"]

    class Listed(list):
        targets = Y  # so that the same examples are drawn

    probe = Probe.sample(Listed(items), 40, forward=forward)
    assert probe.classes is None
    own = probe.measure(model, layers="all")
    assert {name: layer.estimate for name, layer in own.layers.items()} == {
        name: layer.estimate for name, layer in usual.layers.items()
    }
    assert own.reference == usual.reference == probe.reference()
    assert probe.classes == [0, 1, 2] and torch.equal(probe.targets, Probe.sample((X, Y), 40).targets)
    # Texts are cut as tensors are.
    names.clear()
    in_parts = probe.measure(model, batch_size=15)
    assert names == [f"n{label}" for label in probe.targets]
    assert in_parts.output.estimate.nats == pytest.approx(usual.output.estimate.nats, abs=0.02)


def test_a_forward_gets_what_the_loader_gives() -> None:
    class Encoding(UserDict):
        """As the batches of tokenizers: it has its parts as attributes."""

        def __getattr__(self, name: str) -> Any:
            if name == "data":
                raise AttributeError(name)
            return self.data[name]

    def collate(items: list[tuple[Tensor, int]]) -> Encoding:
        return Encoding({"x": torch.stack([x for x, _ in items]), "y": torch.tensor([y for _, y in items])})

    data: Any = [(x, int(y)) for x, y in zip(X, Y, strict=True)]
    model = small_net()
    probe = Probe.sample(
        DataLoader(data, collate_fn=collate), 32, forward=lambda model, batch: (model(batch.x), batch.y)
    )
    found = probe.measure(model, batch_size=10).output
    assert found.estimate.nats == pytest.approx(
        Probe.sample((X, Y), 32).measure(model, batch_size=10).output.estimate.nats
    )
    # The default: a list of input and target.
    plain = Probe.sample(data, 32, forward=lambda model, batch: (model(batch[0]), batch[1]))
    assert type(plain.inputs) is list
    assert plain.measure(model, batch_size=10).output.estimate.nats == found.estimate.nats


def test_items_may_be_texts_that_forward_reads() -> None:
    def forward(model: nn.Module, texts: list[str]) -> tuple[Tensor, Tensor]:
        rows = [int(text) for text in texts]
        return model(X[rows]), Y[rows]

    model = small_net()
    found = Probe.sample([str(row) for row in range(N)], N, forward=forward).measure(model, batch_size=10)
    assert found.output.estimate == Probe(X, Y).measure(model, batch_size=10).output.estimate


class Causal(nn.Module):
    """A language model whose scores at a position know the token there, and predict one more for the next."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(V, 16), nn.Linear(16, V)
        self.got: set[str] = set()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Tensor) -> ModelOutput:
        self.got |= set(more)
        return ModelOutput(loss=None, logits=self.head(self.embedding(input_ids)))


def counting_up() -> Tensor:
    return (torch.arange(T)[None] + torch.randint(V, (N, 1), generator=torch.Generator().manual_seed(1))) % V


def trained(model: Causal, ids: Tensor) -> Causal:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].reshape(-1)).backward()
        optimizer.step()
    return model


def test_labels_that_are_the_inputs_are_compared_one_position_later() -> None:
    ids = counting_up()
    lengths = torch.randint(3, T + 1, (N, 1), generator=torch.Generator().manual_seed(2))
    attention = (torch.arange(T)[None] < lengths).long()
    labels = torch.where(attention > 0, ids, -100)
    items = [
        {"input_ids": i, "attention_mask": a, "labels": y}
        for i, a, y in zip(ids, attention, labels, strict=True)
    ]
    model = trained(Causal(), ids)
    found = Probe.sample(items, N).measure(model)
    assert model.got == set()  # not the labels
    assert found.output.estimate.choice.endswith(
        "scores are compared with the next token, because the labels are the inputs"
    )
    logits = model(ids).logits.detach()
    wanted = usable_information(logits[:, :-1], labels[:, 1:], kind="tokens")
    assert found.output.estimate.nats == wanted.nats > 1.5
    assert found.reference == pytest.approx(entropy(labels[:, 1:][attention[:, 1:] > 0]))


def test_tokens_that_are_shifted_already_stay() -> None:
    ids = counting_up()
    model = trained(Causal(), ids)
    by_pair = Probe(ids[:, :-1], ids[:, 1:]).measure(model).output
    assert "next token" not in by_pair.estimate.choice
    by_labels = Probe({"input_ids": ids}, ids).measure(model).output
    assert by_pair.estimate.nats == pytest.approx(by_labels.estimate.nats, abs=1e-6)


class Still(nn.Module):
    """Outputs that do not depend on the weights that move, or not on the example."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind, self.frozen = kind, nn.Linear(6, 3).requires_grad_(False)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "another output":
            return self.frozen(x)
        if self.kind == "dead units":
            return F.linear((x - 100).relu(), self.head.weight, self.head.bias)
        return self.head(x)


def measured(probe: Probe, model: Still, signal: str = "auto", times: int = 4) -> list[Measurement]:
    found = []
    for _ in range(times):
        found.append(probe.measure(model, decoder=False, signal=signal))
        with torch.no_grad():
            for weight in model.head.parameters():
                weight += 0.1 * torch.randn_like(weight)
    return found


# The outputs of dead units move with the bias of the last layer, and so may their usable information.
STANDSTILL = {
    "another output": r"^the information is \S+ nats again, to the last bit, although the weights have moved: ",
    "dead units": r"^the outputs are the same for every example again, with \S+ nats of information, although the w",
}


@pytest.mark.parametrize("signal", ["usable", "neighbours"])
@pytest.mark.parametrize("kind", list(STANDSTILL))
def test_information_that_stays_the_same_while_weights_move_is_warned_of_once(kind: str, signal: str) -> None:
    with pytest.warns(UserWarning, match=STANDSTILL[kind]) as caught:
        measured(Probe(X, Y), Still(kind), signal)
    assert len(caught) == 1


def test_no_warning_where_weights_stay_or_outputs_move() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still, probe = Still("another output"), Probe(X, Y)
        for _ in range(3):
            probe.measure(still)
        measured(Probe(X, Y), Still("fine"))
        # The same information again, from other outputs: neighbours of a saturated network, and usable information of
        # one whose scores are so wrong that their temperature is infinite.
        apart = Probe(X + 100 * F.one_hot(Y, 6), Y)
        for signal, scale in (("neighbours", 10), ("usable", -10)):
            model = Still("fine")
            with torch.no_grad():
                model.head.weight.copy_(scale * torch.eye(3, 6))
            nats = [found.output.estimate.nats for found in measured(apart, model, signal)]
            assert len(set(nats)) == 1
        # The same information, and for once the same outputs for every example.
        model, nats = Still("fine"), []
        for scale in (-10, 0, -10):
            with torch.no_grad():
                model.head.bias.zero_()
                model.head.weight.copy_(scale * torch.eye(3, 6))
            nats.append(apart.measure(model).output.estimate.nats)
        assert len(set(nats)) == 1


@pytest.mark.parametrize("kind", ["one", "several", "classes"])
def test_outputs_of_a_sigmoid_are_warned_of(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(300, 1 if kind == "one" else 3, generator=generator)
    answers = torch.rand(300, logits.shape[1], generator=generator) < logits.sigmoid()
    targets = answers if kind == "several" else answers[:, 0].long() if kind == "one" else logits.argmax(1)
    probe = Probe(logits, targets)
    with pytest.warns(
        UserWarning, match="outputs must be logits, got numbers between 0 and 1, as of a sigmoid"
    ):
        probe.measure(nn.Sigmoid())
    probe.measure(nn.Identity())


def test_outputs_of_a_softmax_are_read() -> None:
    logits = 3 * torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    probe = Probe(logits, logits.argmax(1))
    read = [probe.measure(model).output.estimate.nats for model in (nn.Identity(), nn.Softmax(1))]
    assert read[0] == pytest.approx(read[1], abs=1e-5)


def test_classes_that_are_floats_are_warned_of() -> None:
    logits = 3 * torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    probe = Probe(logits, logits.argmax(1).float())
    with pytest.warns(
        UserWarning, match=r"targets must be whole numbers where they are classes, got torch.float32 from"
    ):
        probe.measure(nn.Identity())
    Probe(logits, logits[:, 0]).measure(nn.Identity())
