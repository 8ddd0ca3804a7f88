"""The reference of a probe, and the error bars that are computed for the comparison with it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infopace import Estimate, Probe, mutual_information
from infopace.probe import Measuring, reference_of
from infopace.probe import _estimates as estimates_module
from infopace.probe import _reference as reference_module

from ..small_probe import labelled, small_net


def test_a_regression_from_pixels_has_a_reference() -> None:
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(256, (120, 1, 2, 2), generator=generator, dtype=torch.uint8)
    targets = pixels[:, :, 0, 0].float() / 255
    expected = Probe(pixels.float(), targets).reference()
    assert Probe(pixels, targets).reference() == reference_of((pixels, targets)) == expected


def regression(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(n, 3, generator=generator)
    return inputs, inputs[:, :1] + 0.5 * torch.randn(n, 1, generator=generator)


def test_regression_uses_ksg_and_computes_its_reference_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets = regression(500)
    probe, calls = Probe(inputs, targets), []
    real = reference_module.mutual_information

    def counted(*arguments: Any, **named: Any) -> Estimate:
        calls.append(named["k"])
        return real(*arguments, **named)

    monkeypatch.setattr(reference_module, "mutual_information", counted)
    measurement = probe.measure(nn.Linear(3, 1), signal="neighbours")
    assert measurement.output.estimate.method == "ksg1"
    assert probe.measure(nn.Linear(3, 1)).output.estimate.method == "usable"
    assert measurement.output.decoder is None
    assert measurement.reference is None and calls == []
    expected = mutual_information(
        inputs, targets, estimator="ksg1", standardize="block", std_error=False
    ).nats
    assert probe.reference() == probe.reference(std_error=False) == expected
    assert probe.measure(nn.Linear(3, 1)).reference == expected
    assert calls == [3]
    assert probe.reference(k=4) != expected and calls == [3, 4]
    assert probe.reference(reference=0.8) == probe.measure(nn.Linear(3, 1), reference=0.8).reference == 0.8
    assert Probe(inputs, targets).measure(nn.Linear(3, 1), reference="ksg").reference == expected


def test_the_reference_of_a_data_set_uses_all_examples() -> None:
    inputs, targets = regression(300)
    expected = mutual_information(
        inputs, targets, k=5, estimator="ksg1", standardize="block", std_error=False
    ).nats
    assert reference_of((inputs, targets), k=5) == expected
    assert reference_of(list(zip(inputs, targets, strict=True)), k=5) == expected
    assert reference_of((inputs, torch.arange(300) % 3)) == pytest.approx(math.log(3))


SIGNALS = pytest.mark.parametrize("signal", ["usable", "neighbours"])


@SIGNALS
def test_more_information_than_the_reference_is_warned_of(signal: str) -> None:
    probe, model = Probe(*labelled()), small_net()
    low = probe.measure(model, signal=signal).output.estimate.interval[0]
    assert low > 0
    first = next(w for w in probe.measure(model, signal=signal, reference=low / 2).warnings)
    assert first.startswith("output: ") and first.endswith(
        f"above the reference of {low / 2:.3g}, which is too low; give a number"
    )
    assert probe.measure(model, signal=signal).warnings == ()


@SIGNALS
def test_the_reference_is_compared_with_the_low_end_of_the_interval(signal: str) -> None:
    inputs, labels = labelled()
    low, _ = Probe(inputs, labels).measure(small_net(), signal=signal).output.estimate.interval

    def warned(reference: float) -> bool:
        how = Measuring(signal=signal, reference=reference)
        found = Probe(inputs, labels).measure(small_net(), how).warnings
        return any("above the reference" in warning for warning in found)

    assert warned(low - 1e-6)
    assert not warned(low + 1e-6)


def test_without_error_bars_everything_else_is_the_same() -> None:
    model, (inputs, labels) = small_net(), labelled()
    how = Measuring(layers="all", signal="neighbours")
    given = Probe.sample((inputs, labels), 200).measure(model, how, std_error=False)
    full = Probe.sample((inputs, labels), 200).measure(model, how)
    assert list(given.layers) == list(full.layers)
    for name, layer in full.layers.items():
        assert layer.estimate.std_error > 0
        assert math.isnan(given[name].estimate.std_error)
        assert math.isnan(given[name].estimate.interval[0])
        assert given[name].estimate.nats == layer.estimate.nats
        assert given[name].decoder == layer.decoder
    # Usable information has an error bar either way.
    usable = [Probe(inputs, labels).measure(model, std_error=bars).output.estimate for bars in (True, False)]
    assert usable[0] == usable[1] and usable[0].std_error > 0


@SIGNALS
@pytest.mark.parametrize("targets", ["labels", "numbers"])
def test_without_error_bars_the_reference_is_compared_with_the_same_interval(
    targets: str, signal: str
) -> None:
    model, (inputs, labels) = small_net(), labelled()
    wanted = labels
    if targets == "numbers":
        # What the outputs say, and some noise.
        noise = torch.randn(300, 3, generator=torch.Generator().manual_seed(1))
        wanted = model.eval()(inputs).detach() + 0.2 * noise
    low, _ = Probe(inputs, wanted).measure(model, signal=signal, reference=9.0).output.estimate.interval
    assert low > 0
    # In between, the value is above the reference, but not significantly.
    for reference, more in ((low - 1e-6, True), (low + 1e-6, False)):
        how = Measuring(signal=signal, reference=reference, std_error=False)
        found = Probe(inputs, wanted).measure(model, how)
        assert found.output.estimate.nats > reference
        assert any("above the reference" in warning for warning in found.warnings) == more


def error_bars(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """It grows with every estimate of a probe, by whether an error bar was computed."""
    calls: list[bool] = []
    real = estimates_module.information_of_outputs

    def watched(*arguments: Any, **named: Any) -> Estimate:
        calls.append(named["std_error"])
        return real(*arguments, **named)

    monkeypatch.setattr(estimates_module, "information_of_outputs", watched)
    return calls


def test_error_bars_are_what_a_probe_without_them_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # A trained network is at the ceiling after every epoch. No value there is significantly above the reference.
    inputs, labels = labelled()
    apart = inputs + 100.0 * nn.functional.one_hot(labels, 6)
    calls = error_bars(monkeypatch)
    found = Probe(apart, labels).measure(nn.Identity(), signal="neighbours", std_error=False)
    assert found.reference is not None and found.output.estimate.nats == found.reference
    assert calls == [False]


@pytest.mark.parametrize(
    ("share", "bars"), [(0.01, 1), (0.99, 3)]
)  # far above the reference, and within the noise
def test_a_value_far_above_the_reference_needs_one_error_bar(
    share: float, bars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, (inputs, _) = small_net(), labelled()
    numbers = inputs[:, :1] * 1.0
    nats = Probe(inputs, numbers).measure(model, reference=9.0).output.estimate.nats
    probe = Probe(inputs, numbers)
    calls = error_bars(monkeypatch)
    warnings = {probe.measure(model, reference=share * nats, std_error=False).warnings for _ in range(3)}
    assert calls.count(True) == bars
    assert len(warnings) == 1
