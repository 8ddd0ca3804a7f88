"""Targets of every kind: what is measured, with what reference, by which signal."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Probe, mutual_information
from infopace.estimators import entropy, ridge_information, usable_information
from infopace.probe import LayerInformation, Measuring

from ..small_probe import labelled

N, T, V = 80, 5, 6
INPUTS, LABELS = labelled(N)
GENERATOR = torch.Generator().manual_seed(3)
TOKENS = torch.randint(V, (N, T), generator=GENERATOR)
SOFT = torch.rand(N, 4, generator=GENERATOR).softmax(1)
SEVERAL = (torch.rand(N, 4, generator=GENERATOR) < 0.3).float()
GRID = torch.randint(3, (N, 4, 4), generator=GENERATOR)
NUMBERS = INPUTS[:, :2] + 0.5 * torch.randn(N, 2, generator=GENERATOR)


class Head(nn.Module):
    """A linear layer with outputs of some shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.shape = nn.Linear(6, 16), shape
        self.last = nn.Linear(16, math.prod(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.body(x))).reshape(len(x), *self.shape)


def binary_entropies(shares: Tensor) -> float:
    return -float((torch.xlogy(shares, shares) + torch.xlogy(1 - shares, 1 - shares)).sum())


def shares_of(targets: Tensor) -> float:
    mean = targets.double().mean(0)
    return -float(torch.xlogy(mean, mean).sum() - torch.xlogy(targets, targets).double().sum(1).mean())


# Name: targets, the shape of an example's scores, the signal, the reference.
CASES: dict[str, tuple[Tensor, tuple[int, ...], str, float | None]] = {
    "labels": (LABELS, (3,), "usable", entropy(LABELS)),
    "labels in a column": (LABELS[:, None], (3,), "usable", entropy(LABELS)),
    "a label as 0 or 1": ((LABELS > 0).float()[:, None], (1,), "usable", entropy((LABELS > 0).long())),
    "tokens": (TOKENS, (T, V), "usable", entropy(TOKENS.reshape(-1))),
    "tokens, classes second": (TOKENS, (V, T), "usable", entropy(TOKENS.reshape(-1))),
    "segmentation": (GRID, (3, 4, 4), "usable", entropy(GRID.reshape(-1))),
    "segmentation of two": ((GRID > 0).float(), (1, 4, 4), "usable", entropy((GRID > 0).long().reshape(-1))),
    "multi-label": (SEVERAL, (4,), "usable", binary_entropies(SEVERAL.double().mean(0))),
    "multi-label of booleans": (SEVERAL > 0, (4,), "usable", binary_entropies(SEVERAL.double().mean(0))),
    "multi-label of whole numbers": (
        SEVERAL.long(),
        (4,),
        "usable",
        binary_entropies(SEVERAL.double().mean(0)),
    ),
    "positions of two classes": (SEVERAL.long(), (4, 2), "usable", entropy(SEVERAL.long().reshape(-1))),
    "soft labels": (SOFT, (4,), "usable", shares_of(SOFT)),
    "regression": (NUMBERS, (2,), "usable", None),
    "regression of images": (torch.randn(N, 1, 3, 3, generator=GENERATOR), (1, 3, 3), "usable", None),
    # No scores: two dimensions of labels, and another number of outputs than of numbers.
    "features of two dimensions": (LABELS, (2, 3), "neighbours", entropy(LABELS)),
    "features for numbers": (NUMBERS, (5,), "neighbours", None),
}


@pytest.mark.parametrize("name", list(CASES))
def test_each_kind_of_targets_has_its_signal_and_its_reference(name: str) -> None:
    targets, shape, signal, reference = CASES[name]
    probe, model = Probe(INPUTS, targets), Head(*shape)
    found = probe.measure(model, std_error=False)
    output = found.output
    assert output.estimate.choice.startswith(signal)
    driving, other = output.usable, output.neighbours
    if signal == "neighbours":
        driving, other = other, driving
    assert other is None
    assert driving is not None and output.estimate.nats == driving.nats
    assert output.estimate.pointwise is not None and output.estimate.pointwise.shape == (N,)
    assert output.width == math.prod(shape)
    if reference is None:
        assert found.reference is None
    else:
        assert found.reference == probe.reference() == pytest.approx(reference)
    # In batches, and from outputs that were computed elsewhere.
    parts = probe.measure(model, batch_size=7, std_error=False).output.estimate
    assert parts.nats == pytest.approx(output.estimate.nats, abs=1e-4)
    model.eval()
    again = probe.of_output(model(INPUTS).detach(), std_error=False).estimate
    assert again.nats == output.estimate.nats and again.choice == output.estimate.choice


def fitted(shape: tuple[int, ...], loss: Any, steps: int = 150) -> nn.Module:
    model = Head(*shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(INPUTS)).backward()
        optimizer.step()
    return model


LOSSES: dict[str, Any] = {
    "tokens": lambda out: F.cross_entropy(out.flatten(0, 1), TOKENS.reshape(-1)),
    "segmentation": lambda out: F.cross_entropy(out, GRID),
    "multi-label": lambda out: F.binary_cross_entropy_with_logits(out, SEVERAL),
    "soft labels": lambda out: F.cross_entropy(out, SOFT),
}


@pytest.mark.parametrize("name", list(LOSSES))
def test_training_raises_the_information_towards_the_reference(name: str) -> None:
    targets, shape, _, reference = CASES[name]
    assert reference is not None
    probe = Probe(INPUTS, targets)
    before = probe.measure(Head(*shape)).output.estimate.nats
    after = probe.measure(fitted(shape, LOSSES[name])).output.estimate.nats
    assert before < 0.05 * reference < after < 1.05 * reference


@pytest.mark.parametrize("how", ["ignored", "mask"])
def test_positions_that_do_not_count_change_nothing(how: str) -> None:
    model = Head(T, V)
    counts = torch.rand(N, T, generator=torch.Generator().manual_seed(1)) < 0.6
    counts[:, 0] = True
    other = torch.where(counts, TOKENS, (TOKENS + 1) % V)
    if how == "ignored":
        probe = Probe(INPUTS, torch.where(counts, TOKENS, -100))
    else:
        mask = counts

        def forward(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
            inputs, (targets, counted) = batch
            return model(inputs), targets, counted.long()

        probe = Probe(INPUTS, (other, mask), forward=forward)
    found = probe.measure(model)
    wanted = usable_information(model(INPUTS).detach(), TOKENS, counts, kind="tokens")
    assert found.output.estimate.nats == wanted.nats
    assert found.reference == pytest.approx(entropy(TOKENS[counts]))


def test_many_scores_are_thinned_to_the_same_positions_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model, probe = Head(T, V), Probe(INPUTS, TOKENS)
    whole = probe.measure(model).output
    monkeypatch.setattr("infopace.probe._pass._MOST_SCORES", N * V * 3)
    some, again = probe.measure(model).output, probe.measure(model, batch_size=9).output
    assert some.estimate.nats != whole.estimate.nats
    assert some.estimate.nats == pytest.approx(again.estimate.nats, abs=1e-4)
    assert some.width == whole.width == T * V
    # Positions that do not count are left out first.
    few = torch.full_like(TOKENS, -100)
    few[:, [1, 4]] = TOKENS[:, [1, 4]]
    kept = Probe(INPUTS, few).measure(model).output.estimate.nats
    monkeypatch.undo()
    assert kept == Probe(INPUTS, few).measure(model).output.estimate.nats


def seen(probe: Probe, model: nn.Module, **options: Any) -> LayerInformation:
    return probe.measure(model, Measuring(**options)).output


def test_a_signal_that_is_asked_for_is_taken_and_the_other_is_not_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe, model = Probe(INPUTS, LABELS), Head(3)
    both = seen(probe, model, signal="neighbours")
    wanted = mutual_information(model(INPUTS).detach(), LABELS, estimator="ross").nats
    assert both.estimate.nats == wanted and both.estimate.choice == "neighbours, as asked for"
    monkeypatch.setattr("infopace.probe._estimates.information_of_outputs", None)
    usable, default = seen(probe, model, signal="usable"), seen(probe, model)
    assert usable.neighbours is None and both.usable is not None
    assert usable.estimate.nats == both.usable.nats == default.estimate.nats
    assert default.estimate.choice == "usable information: the default for one label an example"
    assert usable.estimate.choice == "usable information, as asked for"
    assert usable.estimate.pointwise is not None and len(usable.estimate.pointwise) == N


class Positions(nn.Module):
    """Layers with a vector for each of T positions, and one in between without."""

    def __init__(self) -> None:
        super().__init__()
        self.widen, self.pool, self.head = nn.Linear(6, T * 6), nn.Linear(T * 6, 7), nn.Linear(13, V)
        self.each = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        flat = self.widen(x)
        each = self.each(flat.reshape(len(x), T, 6))
        pooled = self.pool(flat)[:, None, :].expand(-1, T, -1)
        return self.head(torch.cat([each, pooled], 2))


def test_hidden_layers_are_read_for_targets_of_every_kind() -> None:
    targets_of = {"classes": LABELS, "multi-label": SEVERAL, "soft": SOFT, "regression": NUMBERS}
    for kind, targets in targets_of.items():
        model = Head(3 if targets is LABELS else targets.shape[1])
        hidden = "usable" if kind == "regression" else "auto"
        found = Probe(INPUTS, targets).measure(model, layers="all", hidden=hidden)
        assert found["body"].estimate == ridge_information(model.body(INPUTS).detach(), targets, kind=kind)
        assert found["body"].usable == found["body"].estimate and found.left_out == {}


def test_hidden_layers_are_read_by_neighbours_in_principal_components_for_quantities() -> None:
    model = Head(2)
    found = Probe(INPUTS, NUMBERS).measure(model, layers="all")["body"]
    values = model.body(INPUTS).detach().double()
    _, _, axes = torch.linalg.svd(values - values.mean(0), full_matrices=False)
    parts = (values - values.mean(0)) @ axes[:6].T
    expected = mutual_information(parts, NUMBERS, estimator="ksg1", standardize="block")
    assert found.estimate.nats == pytest.approx(expected.nats, abs=1e-9)
    assert found.estimate.choice == "neighbours in 6 principal components"
    assert found.neighbours == found.estimate and found.usable is None and found.width == 16
    raw = Probe(INPUTS, NUMBERS).measure(model, layers="all", signal="neighbours")["body"]
    assert raw.estimate.choice == ""
    labels = Probe(INPUTS, LABELS).measure(Head(3), layers="all", hidden="components")["body"]
    assert labels.estimate.method == "ross" and labels.estimate.choice == found.estimate.choice


def test_hidden_layers_at_positions_need_a_vector_for_each() -> None:
    model = Positions()
    found = Probe(INPUTS, TOKENS).measure(model, layers="all")
    assert list(found.layers) == ["each", "head", "output"]
    vectors = model.each(model.widen(INPUTS).reshape(len(INPUTS), T, 6)).detach()
    assert found["each"].estimate == ridge_information(vectors, TOKENS)
    reason = f"was not measured, because outputs ({N}, 7) have no vector for each position of ({N}, {T})"
    assert found.left_out["pool"] == reason and f"pool: {reason}" in found.warnings
    with pytest.raises(
        ValueError, match="layer 'pool' does not fit the probe: x must have a vector for each"
    ):
        Probe(INPUTS, TOKENS).measure(model, layers=["pool"])


def test_hidden_layers_of_a_language_model_are_read_at_the_position_before() -> None:
    torch.manual_seed(0)
    embed = nn.Embedding(V, 8)
    model = nn.Sequential(embed, nn.Linear(8, V))
    found = Probe(TOKENS, TOKENS).measure(model, layers="all")
    assert "0" in found.layers
    assert found["0"].estimate == ridge_information(embed(TOKENS).detach()[:, :-1], TOKENS[:, 1:])


def test_hidden_layers_have_no_neighbours_where_targets_have_no_distance() -> None:
    found = Probe(INPUTS, TOKENS).measure(Head(T, V), layers="all", hidden="neighbours")
    assert list(found.layers) == ["output"]
    assert found.warnings[0] == (
        "hidden layers: not measured, because neighbours are not sound for labels at several positions"
    )
    # With labels they are measured by neighbours, whatever drives at the output.
    hidden = Probe(INPUTS, LABELS).measure(Head(3), layers="all", signal="usable", hidden="neighbours")
    assert hidden["body"].estimate.method == "ross" and hidden["body"].usable is None


def test_hidden_layers_are_left_out_where_only_some_targets_of_an_example_count() -> None:
    def some(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        inputs, targets = batch
        mask = torch.ones_like(targets, dtype=torch.bool)
        mask[:, 0] = inputs[:, 0] > 0
        return model(inputs), targets, mask

    found = Probe(INPUTS, NUMBERS, forward=some).measure(Head(2), layers="all")
    reason = "not measured, because a ridge regression takes whole examples, got targets of which some do not count"
    assert list(found.layers) == ["output"]
    assert set(found.left_out.values()) == {reason}


def test_classes_are_those_of_one_label_an_example() -> None:
    assert Probe(INPUTS, LABELS).classes == [0, 1, 2]
    assert Probe(INPUTS, (LABELS > 1).float()).classes == [0, 1]
    for targets in (TOKENS, GRID, SEVERAL, SOFT, NUMBERS):
        assert Probe(INPUTS, targets).classes is None
