"""How a probe measures, and what it finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from infopace._checks import check_choice, flag, positive, shown, whole
from infopace.estimators import Estimate
from infopace.probe._signal import HIDDEN, SIGNALS

NORMS = ("euclidean", "chebyshev")
REFERENCES = ("auto", "entropy", "ksg")


@dataclass(frozen=True)
class Measuring:
    """What a probe measures, and how.

    Attributes:
        layers: "output"; "all" (every layer with weights, see `infopace.model.weight_layers`, and the output); or
            names and shell patterns, to which the output is added. "output" is the output of the model, even if a
            layer inside has that name.
        signal: What drives a policy, at the output. "usable": usable information, what the outputs say as a prediction,
            see `infopace.estimators.usable_information`; for targets of every kind. "neighbours": the neighbour
            estimate of I(T;Y), which is sound for one label an example and for continuous targets, and is what the
            published rules read. "auto": usable information, but neighbours where the output has not the shape of
            scores. With "usable" no neighbours are searched at the output.
        hidden: What drives in hidden layers, which make no prediction of their own. "usable": what a ridge classifier
            or regression reads in them, see `infopace.estimators.ridge_information`; for targets of every kind.
            "components": neighbours in the first log2(n) principal components of the layer's outputs. "neighbours":
            neighbours in the outputs as they are, as the papers have it. "auto": usable information for labels of every
            kind, and components for quantities; but neighbours where `signal` is "neighbours".
        k: Neighbours of the estimators, fewer than the examples.
        norm: "euclidean" or "chebyshev".
        reference: I(X;Y) in nats: a number, "entropy", "ksg" or "auto". "entropy" takes H(Y), since labels are a
            function of the input: that of one position for labels at positions, the sum of all for several labels of
            yes or no, and what the mean of soft labels has more than they have. "ksg" is a nearest-neighbour estimate
            between the probe's inputs and targets. "auto" is "entropy" where targets are labels of any kind. For
            continuous targets it is "ksg", computed only if `Probe.reference` is called.
        decoder: Whether to read the output as scores where neighbours drive too, and give the decoder bound (only for
            one label an example) and usable information beside. Only if the output has the shape of scores.
        std_error: Whether to compute the error bar of each neighbour estimate, which takes most of the time. Without it
            `Estimate.std_error` and `Estimate.interval` are nan, and the caution "inside-noise" is not given.
            `HoldAndDecay` asks of a fall to be beyond it, where it is known. Usable information always has its error
            bar, which takes no time.
        sharpen: Whether usable information at the output may sharpen the scores, by a temperature below 1. See
            `infopace.estimators.usable_information`.
        batch_size: Examples per forward pass. None takes 256 if only the output is measured, and fewer if an example
            has more than 64 positions with a target. If layers are measured, None takes all examples, and each layer's
            output is released once it is measured. With a number the outputs of all chosen layers are held until the
            last batch has run.
        strict: Whether it is an error if a layer cannot be measured: it does not run, its output has no dimension of
            the examples, as that of position embeddings, or it has no vector for each position where positions have
            targets. If not, it is left out, as is a layer that gets the same input for every example, and
            `Measurement.warnings` says so. None: an error, unless `layers` is "all".

    Raises:
        ValueError: an unknown word, or a number out of range.
    """

    layers: str | Sequence[str] = "output"
    signal: str = "auto"
    hidden: str = "auto"
    k: int = 3
    norm: str = "euclidean"
    reference: str | float = "auto"
    decoder: bool = True
    std_error: bool = True
    sharpen: bool = True
    batch_size: int | None = None
    strict: bool | None = None

    def __post_init__(self) -> None:
        checked = {
            "layers": _layers(self.layers),
            "k": whole("k", self.k, 1),
            "reference": _reference(self.reference),
            "decoder": flag("decoder", self.decoder),
            "std_error": flag("std_error", self.std_error),
            "sharpen": flag("sharpen", self.sharpen),
            "batch_size": None if self.batch_size is None else whole("batch_size", self.batch_size, 1),
            "strict": None if self.strict is None else flag("strict", self.strict),
        }
        check_choice("signal", self.signal, SIGNALS)
        check_choice("hidden", self.hidden, HIDDEN)
        check_choice("norm", self.norm, NORMS)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def is_strict(self) -> bool:
        """Whether a layer that cannot be measured is an error."""
        return self.layers != "all" if self.strict is None else self.strict

    def replace(self, **changes: Any) -> Measuring:
        """The same with some fields changed.

        Raises:
            TypeError: an unknown field.
            ValueError: as for `Measuring`.

        >>> Measuring(k=5).replace(std_error=False).k
        5
        """
        names = [field.name for field in dataclasses.fields(self)]
        unknown = next((name for name in changes if name not in names), None)
        if unknown is not None:
            raise TypeError(f"the options of a measurement are {', '.join(names)}, got {unknown}")
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class LayerInformation:
    """Information in one layer.

    Attributes:
        name: The layer's name in the model, or "output".
        estimate: What drives a policy: `neighbours` or `usable`. At the output its `choice` says which, and why.
        decoder: The decoder bound H(Y) - cross-entropy; only at the output of a classifier.
        width: Numbers per example in T.
        neighbours: I(T;Y) of the layer's output T, flattened, and the targets Y, or of T's principal components where
            `Measuring.hidden` says so; None: not computed, or not sound.
        usable: Usable information: of the output as scores, or of a hidden layer as a ridge classifier or regression
            reads it (`usable.method` is then "ridge"). None: not computed, or the output has no shape of scores.
    """

    name: str
    estimate: Estimate
    decoder: Estimate | None
    width: int
    neighbours: Estimate | None = None
    usable: Estimate | None = None


@dataclass(frozen=True)
class Measurement:
    """What one measurement of a model found.

    Attributes:
        layers: Information by layer name, in the order in which the layers ran. The last is "output", which is always
            there.
        reference: I(X;Y) in nats, the most that there is to learn. None for continuous targets if no reference was
            given and `Probe.reference` has not been called.
        seconds: Time the measurement took.
        warnings: The warnings of the estimators, each with the layer's name, and what is in `left_out`.
        left_out: The layers that were asked for and could not be measured, each with the reason; see
            `Measuring.strict`.
    """

    layers: dict[str, LayerInformation]
    reference: float | None
    seconds: float
    warnings: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> LayerInformation:
        """The model's output."""
        return self.layers["output"]

    def __getitem__(self, layer: str) -> LayerInformation:
        return self.layers[layer]


def chosen(measuring: Measuring | None, changes: dict[str, Any]) -> Measuring:
    """The options of one measurement: those of `measuring`, or the defaults, with some changed."""
    if measuring is None:
        measuring = Measuring()
    elif not isinstance(measuring, Measuring):
        raise TypeError(f"measuring must be Measuring(...), got {shown(measuring)}")
    return measuring.replace(**changes) if changes else measuring


def _layers(wanted: object) -> str | tuple[str, ...]:
    names = (wanted,) if isinstance(wanted, str) else wanted
    if isinstance(names, Sequence) and names and all(isinstance(name, str) for name in names):
        alone = isinstance(wanted, str) or set(names) == {"output"}
        return names[0] if alone else tuple(names)
    raise ValueError(f"layers must be 'output', 'all' or names of layers, got {shown(wanted)}")


def _reference(wanted: object) -> str | float:
    if not isinstance(wanted, str):
        return positive("reference", wanted, "number of nats")
    if wanted not in REFERENCES:
        raise ValueError(f"reference must be 'auto', 'entropy', 'ksg' or a number, got {shown(wanted)}")
    return wanted
