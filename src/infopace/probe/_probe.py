"""A model and a fixed sample -> the information in each layer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import check_seed, positive, shown, whole
from infopace.estimators import Estimate, OutOfRangeError, decoder_bound, entropy, mutual_information
from infopace.model.forward import check_layer_output, layer_outputs, map_tensors
from infopace.model.layers import check_model, pick_layers, unwrap
from infopace.probe._sampling import as_arrays, count_rows, draw, stratified

# Rows run at once where only the output is kept: larger batches are no faster (measured on a small LeNet, CPU).
_OUTPUT_BATCH = 256


@dataclass(frozen=True)
class LayerInformation:
    """Information in one layer.

    Attributes:
        name: The layer's name in the model, or "output".
        estimate: I(T;Y) of the layer's output T, flattened, and the targets Y.
        decoder: The decoder bound H(Y) - cross-entropy, at the output of a classifier only.
        width: Numbers a row in T.
    """

    name: str
    estimate: Estimate
    decoder: Estimate | None
    width: int


@dataclass(frozen=True)
class Measurement:
    """What one look at the model found.

    Attributes:
        layers: Information by layer name, in the order in which the layers ran; "output", the last, is always there.
        reference: I(X;Y) in nats, the most that there is to learn.
        seconds: Time the measurement took.
        warnings: What the estimators had to say, with the layer's name.
    """

    layers: dict[str, LayerInformation]
    reference: float
    seconds: float
    warnings: tuple[str, ...]

    @property
    def output(self) -> LayerInformation:
        """The model's output."""
        return self.layers["output"]

    def __getitem__(self, layer: str) -> LayerInformation:
        return self.layers[layer]


class Probe:
    """A fixed sample on which the information in a model's layers is measured.

    The same rows every time: what moves from one measurement to the next is the model.

    Args:
        inputs: What the model is called with for n rows: a tensor (n, ...), a tuple (passed as arguments) or a dict
            (passed as keywords) of tensors. They are copied, as are the targets.
        targets: (n,) integer labels or (n, ...) floating targets.
        layers: "output"; "all" (every layer with weights, see `weight_layers`, and the output); or names and
            shell patterns, to which the output is added. "output" is what the model puts out, also where a layer
            inside it has that name.
        k: Neighbours of the estimators.
        norm: "euclidean" or "chebyshev".
        reference: I(X;Y) in nats. "auto" takes "entropy" for labels, since they are a function of the input
            and I(X;Y) = H(Y), and "ksg" for continuous targets: KSG between these inputs and targets. Or a number.
        decoder: Whether to read the output as class scores and give the decoder bound; labels only, and not where the
            output has more dimensions than the classes'.
        std_error: Whether to compute the error bar of each estimate, most of the time that a measurement takes. No
            policy reads it. Without it `Estimate.std_error` and `Estimate.interval` are nan, and the caution
            "inside-noise", which rests on them, is not given.
        batch_size: Rows run at once. None runs 256 where only the output is measured, and all rows where layers are:
            each layer is then measured while it passes, so that never more than one is held. With a number the chosen
            layers' outputs are held until the last batch has run.

    Raises:
        ValueError: a target that does not fit, one class only, k outside 1..n-1, an unknown word, targets that are nan
            or inf.
    """

    def __init__(
        self,
        inputs: Any,
        targets: Any,
        *,
        layers: str | Sequence[str] = "output",
        k: int = 3,
        norm: str = "euclidean",
        reference: str | float = "auto",
        decoder: bool = True,
        std_error: bool = True,
        batch_size: int | None = None,
    ) -> None:
        inputs, targets = as_arrays(inputs, targets)
        # What the caller does with his own must not change the sample.
        self.inputs, self.targets = map_tensors(inputs, torch.clone), targets.clone()
        self.n = len(self.targets)
        names = [layers] if isinstance(layers, str) else list(layers) if isinstance(layers, Sequence) else []
        if not (names and all(isinstance(name, str) for name in names)):
            raise ValueError(f"layers must be 'output', 'all' or names of layers, got {shown(layers)}")
        self.layers = layers
        self.k, self.norm = whole("k", k, 1), norm
        if self.k >= self.n:
            raise ValueError(f"k must be in 1..n-1, got k = {k} with n = {self.n}")
        if not isinstance(norm, str) or norm not in ("euclidean", "chebyshev"):
            raise ValueError(f"norm must be 'euclidean' or 'chebyshev', got {shown(norm)}")
        self.decoder, self.std_error = decoder, std_error
        self.batch_size = None if batch_size is None else whole("batch_size", batch_size, 1)
        if not bool(torch.isfinite(self.targets).all()):
            raise ValueError(f"targets must be finite, got {self.targets[~torch.isfinite(self.targets)][0]}")
        self._labelled = not self.targets.is_floating_point()
        # Neighbours, cheap enough for every epoch, and what the paper measures with.
        self._estimator = "ross" if self._labelled else "ksg1"
        if self._labelled and int(self.targets.min()) == int(self.targets.max()):
            raise ValueError(
                f"the probe needs at least 2 classes, got only class {int(self.targets[0])} in {self.n} rows"
            )
        self.reference = self._reference(reference, self.inputs, self.targets)
        # I(T;Y) <= H(Y), whatever T is.
        self._most = entropy(self.targets) if self._labelled else math.inf
        # By layer, how far below the value its interval began when an error bar was last made.
        self._low_end: dict[str, float] = {}

    @classmethod
    def sample(
        cls,
        dataset: Any,
        n: int = 1000,
        *,
        seed: int = 0,
        reference: str | float = "auto",
        unpack: Callable[[Any], tuple[Any, Any]] | None = None,
        **options: Any,
    ) -> Probe:
        """Draw n rows of a data set and fix them.

        Args:
            dataset: (inputs, targets), or a map-style data set. Its items are (input, target); or longer tuples, where
                what follows the target is a text or a whole number of each example's own; or dicts with the target as
                "labels", "label", "targets", "target" or "y", and the rest as the input or as keywords. Random
                transforms of a data set are applied once, with the given seed.
            n: Rows. Where there are classes each gets its share, rounded to the nearest.
            seed: Equal seeds draw equal rows, also of items that are made with random numbers (torch's on the CPU,
                numpy's or Python's, or generators that the data set keeps), whose states are left as they were.
            reference: As for `Probe`; "ksg", the default for continuous targets, is measured on the whole data set.
            unpack: item -> (input, target), for a data set whose items are none of these.
            **options: Passed to `Probe`.

        Raises:
            ValueError: n larger than the data set, items of which it is not clear what is the target, and all that
                `Probe` refuses.
        """
        rows = count_rows(dataset)
        n, seed = whole("n", n), check_seed(seed)
        if not 2 <= n <= rows:
            raise ValueError(f"n must be in 2..{rows}, the rows of the data set, got n = {n}")
        index = stratified(dataset, rows, n, seed, unpack)
        inputs, targets = draw(dataset, index, seed, unpack)
        if targets.is_floating_point() and reference in ("auto", "ksg"):
            everything = draw(dataset, range(rows), seed, unpack)
            reference = _ksg_reference(*everything, options.get("k", 3), options.get("norm", "euclidean"))
        return cls(inputs, targets, reference=reference, **options)

    @property
    def classes(self) -> list[int] | None:
        """The labels that occur, ascending; None where the targets are continuous."""
        return self.targets.unique().tolist() if self._labelled else None

    def to(self, device: torch.device | str) -> Probe:
        """Move the sample; returns the probe.

        Raises:
            ValueError: a device that torch does not know.
        """
        try:
            device = torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"device must be one of torch's, such as 'cuda', got {shown(device)}") from error
        self.inputs = map_tensors(self.inputs, lambda tensor: tensor.to(device))
        self.targets = self.targets.to(device)
        return self

    @torch.no_grad()
    def measure(self, model: nn.Module) -> Measurement:
        """Information in the chosen layers of the model, in evaluation mode, in one forward pass.

        The model is left exactly as found: training mode of every module, buffers, hooks, random state. Compiled
        and wrapped models are measured as the plain module inside. The pass runs on the model's device and
        under the caller's autocast.

        Raises:
            TypeError: what is no torch module.
            ValueError: a model without weights, on the meta device; an unknown layer, a layer that was not run or
                whose output has no row a sample, nan or inf in an output, an output that does not fit the targets.
        """
        began = time.perf_counter()
        check_model(model)
        model = unwrap(model)
        picked = pick_layers(model, self.layers)
        picked.pop("output", None)
        device = next((parameter.device for parameter in model.parameters()), self.targets.device)
        if device.type == "meta":
            raise ValueError("the model must have weights to be measured, got them on the meta device")
        self.to(device)
        found: dict[str, LayerInformation] = {}
        above: dict[str, str] = {}

        def look(name: str, values: Tensor) -> None:
            found[name] = self._look(name, values)
            nats = found[name].estimate.nats
            if self._is_above_reference(name, found[name].estimate, values):
                above[name] = f"{nats:.3g} nats are above the reference of {self.reference:.3g}"

        silent = layer_outputs(
            model,
            self.inputs,
            self.n,
            picked,
            self.batch_size or (None if picked else _OUTPUT_BATCH),
            look,
        )
        if silent and self.layers != "all":
            raise ValueError(
                f"layer {silent[0]!r} must run in the forward pass to be measured, got no output from it"
            )
        found["output"] = found.pop("output")
        warnings = [f"{name}: {text}" for name, layer in found.items() for text in layer.estimate.warnings]
        warnings += [
            f"{name}: {above[name]}, which is too low; give a number" for name in found if name in above
        ]
        warnings += [f"{name}: did not run in the forward pass and was not measured" for name in silent]
        return Measurement(found, self.reference, time.perf_counter() - began, tuple(warnings))

    def of_output(self, outputs: Tensor) -> LayerInformation:
        """What `measure` finds at the output, from outputs (n, ...) of the probe's inputs that are there already.

        Raises:
            TypeError: what is no tensor.
            ValueError: nan or inf, or outputs that do not fit the targets.
        """
        if not isinstance(outputs, Tensor):
            raise TypeError(f"outputs must be a tensor, got {type(outputs).__name__}")
        check_layer_output("output", outputs, self.n)
        self.targets = self.targets.to(outputs.device)
        return self._look("output", outputs)

    def _look(self, name: str, values: Tensor) -> LayerInformation:
        decodes = self._decodes(name, values)
        values = values.reshape(len(values), -1)
        try:
            # The pass may run under autocast; the estimate must not.
            with torch.autocast(values.device.type, enabled=False):
                estimate = self._estimate(values, self.std_error)
                decoder = decoder_bound(values, self.targets) if decodes else None
        except ValueError as error:
            what = "the output" if name == "output" else f"layer {name!r}"
            kind = OutOfRangeError if isinstance(error, OutOfRangeError) else ValueError
            raise kind(f"{what} does not fit the probe: {error}") from error
        return LayerInformation(name, estimate, decoder, values.shape[1])

    def _estimate(self, values: Tensor, std_error: bool) -> Estimate:
        return mutual_information(
            values, self.targets, k=self.k, norm=self.norm, estimator=self._estimator, std_error=std_error
        )

    def _is_above_reference(self, name: str, estimate: Estimate, values: Tensor) -> bool:
        """A layer cannot know more than its input: then the reference is too low, which ends all pacing."""
        if estimate.nats <= self.reference or self._most <= self.reference:
            return False
        # Now the error bar is needed, to tell too much from noise. It takes four times as long as the estimate and
        # hardly moves from epoch to epoch: what is above by more than twice the last one is so without another.
        if not self.std_error:
            if estimate.nats - self.reference > 2 * self._low_end.get(name, math.inf):
                return True
            with torch.autocast(values.device.type, enabled=False):
                estimate = self._estimate(values.reshape(len(values), -1), True)
            self._low_end[name] = estimate.nats - estimate.interval[0]
        # The low end makes room for a value that is too high, and none for one that is too low.
        return estimate.interval[0] > self.reference

    def _decodes(self, name: str, values: Tensor) -> bool:
        scores = (
            values.ndim < 3 or values.shape[1] == values[0].numel()
        )  # else there is more to a row than its classes
        return name == "output" and self.decoder and self._labelled and scores

    def _reference(self, wanted: str | float, inputs: Any, targets: Tensor) -> float:
        if isinstance(wanted, str):
            if wanted not in ("auto", "entropy", "ksg"):
                raise ValueError(
                    f"reference must be 'auto', 'entropy', 'ksg' or a number, got {shown(wanted)}"
                )
            if wanted == "entropy" and not self._labelled:
                raise ValueError("reference 'entropy' needs integer labels, got floating targets")
            if self._labelled and wanted != "ksg":
                return entropy(targets)
            wanted = _ksg_reference(inputs, targets, self.k, self.norm)
        return positive("reference", wanted, "number of nats")


def _ksg_reference(inputs: Any, targets: Tensor, k: int, norm: str) -> float:
    if not isinstance(inputs, Tensor):
        raise ValueError(
            f"reference 'ksg' needs inputs in one tensor, got {type(inputs).__name__}; give a number"
        )
    if inputs.dtype == torch.uint8:  # pixels, which are numbers and no labels
        inputs = inputs.float()
    if not inputs.is_floating_point():
        kind = str(inputs.dtype).removeprefix("torch.")
        raise ValueError(f"reference 'ksg' needs floating inputs, got {kind}; give a number")
    estimator = "ksg1" if targets.is_floating_point() else "ross"
    return mutual_information(inputs, targets, k=k, norm=norm, estimator=estimator, std_error=False).nats
