"""The information plane: what each layer says about the inputs, through noise of stated size, and about the targets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import check_seed, positive, whole
from infopace.diagnostics._outputs import check_probe, ready
from infopace.diagnostics._through_noise import with_null
from infopace.estimators import Estimate
from infopace.model.layers import pick_layers
from infopace.model.processes import ALONE
from infopace.probe import Measuring, Probe
from infopace.probe._estimates import of_layer, of_output
from infopace.probe._pass import Scored
from infopace.probe._signal import unread
from infopace.probe._targets import Targets

Row = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One layer in the plane. All values are in nats.

    Attributes:
        layer: Its name, or "output".
        about_inputs: I(X; T + N), see `information_through_noise`.
        inputs_null: What the same critic finds where inputs are shuffled against the layer.
        about_targets: I(T; Y), as `Probe.measure` finds it: what a ridge classifier reads in a hidden layer, usable
            information at the output.
        targets_null: The same with shuffled targets.
    """

    layer: str
    about_inputs: Estimate
    inputs_null: float
    about_targets: Estimate
    targets_null: float

    def as_row(self) -> Row:
        """{"inputs": .., "targets": ..}, each with nats, low, high and null; None for what JSON has no number for."""
        both = (
            ("inputs", self.about_inputs, self.inputs_null),
            ("targets", self.about_targets, self.targets_null),
        )
        return {
            name: {
                "nats": found.nats,
                "low": _number(found.interval[0]),
                "high": _number(found.interval[1]),
                "null": null,
                "cautions": [caution.kind for caution in found.warnings],
            }
            for name, found, null in both
        }


@dataclass(frozen=True)
class Plane:
    """The layers of a model in the information plane, in the order in which they ran; the output is the last.

    Attributes:
        noise: The standard deviation of the noise, relative to the root mean square of each layer.
        n: Examples; no value of I(X; T + N) is above ln n.
        points: Points by layer.
        left_out: Layers that could not be measured, each with the reason; see `Measuring.strict`.
    """

    noise: float
    n: int
    points: dict[str, Point]
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)

    def __getitem__(self, layer: str) -> Point:
        return self.points[layer]

    @property
    def title(self) -> str:
        """What stands above every picture: the noise and the examples."""
        return f"noise {self.noise:g} rms(T), {self.n:,} examples, at most ln n = {math.log(self.n):.2f} nats"

    def as_row(self) -> Row:
        """For JSON."""
        layers = {name: point.as_row() for name, point in self.points.items()}
        return {"noise": self.noise, "n": self.n, "layers": layers}


class InformationPlane:
    """What each layer T says about the inputs X, through noise, and about the targets Y: I(X; T + N) and I(T; Y).

        plane = InformationPlane(probe, noise=1.0)
        plane(model)["output"].about_inputs.interval

    I(X; T) of a deterministic network is infinite, so there is no plane without a noise model: it is Gaussian, with a
    standard deviation relative to each layer's root mean square. `Plane.title` states it, and so does every picture. A
    plane with other noise is another plane. Take noise that keeps the values well below ln n: where they reach it, the
    caution "beyond-reach" says so. With 1,000 examples noise of 1 does for most layers.

    Each value has a 95 % interval, and beside it its null: inputs, or targets, shuffled against the layer. Read them
    first. I(T; Y) is that of a ridge classifier, which reads linearly, so it may grow from a layer to a deeper one.
    I(X; T + N) may grow too, because each layer has noise relative to itself. What compresses here is the geometry of
    the layer as seen at the scale of the noise (Geiger, IEEE TNNLS 2021, arXiv:2003.09671), and whether that matters
    for generalisation is contested (Saxe et al., ICLR 2018).

    It neither changes with the order of units nor with a factor of a whole layer, but for the draws of the noise. It
    does change with factors of single units, which leave the function of a ReLU network as it is.

    Args:
        probe: The examples.
        noise: s, the standard deviation of the noise relative to the root mean square of each layer. It must be given.
        layers: "all" (every layer with weights, and the output), "output", names or patterns, as in `Measuring`. Layers
            with weights are measured before their activation function; name the module after it for what follows.
        draws: Draws of the noise for each example.
        seed: Of the noise and of the shuffles.
        measuring: How I(T; Y) is measured, but for `layers`; None: `Measuring()`.

    Calling it with a model gives a `Plane`, and leaves the model as it was.

    Raises:
        TypeError: a probe that is none.
        ValueError: no noise, or noise that is no positive number; when called, what `Probe.measure` refuses, outputs
            that are nan or inf.

    Sources: Tishby and Zaslavsky, ITW 2015, arXiv:1503.02406 (the plane); Goldfeld et al., ICML 2019, arXiv:1810.05728
        (why noise).

    >>> x = torch.linspace(-1, 1, 200)[:, None]
    >>> plane = InformationPlane(Probe(x, (x[:, 0] > 0).long()), noise=1.0)
    >>> found = plane(nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 2)))
    >>> list(found.points), found.title
    (['0', 'output'], 'noise 1 rms(T), 200 examples, at most ln n = 5.30 nats')
    """

    def __init__(
        self,
        probe: Probe,
        noise: float | None = None,
        *,
        layers: str | Sequence[str] = "all",
        draws: int = 4,
        seed: int = 0,
        measuring: Measuring | None = None,
    ) -> None:
        self.probe = check_probe(probe)
        if noise is None:
            raise ValueError(
                "noise must be given, because I(X; T) of a deterministic network is infinite: its standard deviation "
                "relative to the root mean square of a layer, such as 1.0; got None"
            )
        self.noise, self.draws, self.seed = (
            positive("noise", noise),
            whole("draws", draws, 1),
            check_seed(seed),
        )
        self.measuring = (measuring or Measuring()).replace(layers=layers)

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Plane:
        """The plane of the model as it is."""
        probe, measuring = self.probe, self.measuring
        model = ready(probe, model)
        picked = pick_layers(model, measuring.layers)
        picked.pop("output", None)
        if not probe._knows_targets:
            probe._run(model, {}, measuring, ALONE)
        targets = probe._known_targets()
        if picked and (why := unread(targets, measuring.signal, measuring.hidden)):
            raise ValueError(f"hidden layers cannot be measured, because {why}; give layers='output'")
        order = torch.randperm(probe.n, generator=torch.Generator().manual_seed(self.seed))
        points: dict[str, Point] = {}
        refused: dict[str, str] = {}

        def receive(name: str, values: Tensor) -> None:
            if name == "output":
                return
            shuffled = _in_order(targets, order)
            both = [of_layer(name, values, one, measuring, probe._shifted) for one in (targets, shuffled)]
            for one in both:
                if isinstance(one, str):
                    refused[name] = one
                    return
            points.pop(name, None)  # a layer that runs again has its last output
            points[name] = self._point(
                name, values, *(one.estimate for one in both if not isinstance(one, str))
            )

        left_out, output = probe._run(model, picked, measuring, ALONE, receive)
        if left_out and measuring.is_strict:
            raise ValueError(
                f"layer {next(iter(left_out))!r} must run in the forward pass to be measured, got no output from it"
            )
        targets = probe._known_targets()
        mixed = order.to(output.scores.device)
        shuffled = Scored(
            output.scores,
            output.values[mixed],
            None if output.mask is None else output.mask[mixed],
            output.width,
        )
        true, null = (
            of_output(one, of, measuring).estimate
            for one, of in ((output, targets), (shuffled, _in_order(targets, order)))
        )
        points["output"] = self._point("output", output.scores, true, null)
        if measuring.layers == "all":
            _drop_twin(points)
        return Plane(self.noise, probe.n, points, {**left_out, **refused})

    def _point(self, name: str, values: Tensor, about_targets: Estimate, null: Estimate) -> Point:
        try:
            found, inputs_null = with_null(
                values.reshape(len(values), -1), self.noise, draws=self.draws, seed=self.seed
            )
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from error
        return Point(name, found, inputs_null, about_targets, null.nats)


def _in_order(targets: Targets, order: Tensor) -> Targets:
    """The targets of the examples in another order."""
    order = order.to(targets.values.device)
    mask = None if targets.mask is None else targets.mask[order]
    return dataclasses.replace(targets, values=targets.values[order], mask=mask)


def _drop_twin(points: dict[str, Point]) -> None:
    """Drop the last layer with weights where it is the output under another name."""
    output = points["output"].about_inputs
    for name in [name for name in points if name != "output"]:
        if points[name].about_inputs == output:
            del points[name]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
