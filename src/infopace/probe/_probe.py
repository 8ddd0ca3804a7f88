"""Fixed examples on which the information in a model's layers is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import check_seed, shown, whole
from infopace.estimators import Estimate, OutOfRangeError, decoder_bound, entropy, mutual_information
from infopace.model.forward import check_layer_output, layer_outputs, map_tensors
from infopace.model.layers import check_model, pick_layers, unwrap
from infopace.probe._measuring import LayerInformation, Measurement, Measuring, chosen
from infopace.probe._reference import ksg_reference
from infopace.probe._sampling import as_examples, count_examples, draw, stratified

# Examples per forward pass if only the output is kept. Larger batches are no faster (measured on a small LeNet, CPU).
_OUTPUT_BATCH = 256


class Probe:
    """Fixed examples on which the information in a model's layers is measured.

    The examples are the same every time, so a change between two measurements comes from the model. What is measured,
    and how, is said when measuring: see `measure` and `Measuring`.

    Args:
        inputs: What the model is called with for n examples: a tensor (n, ...), a tuple of tensors (passed as
            arguments) or a dict of tensors (passed as keywords). They are copied, as are the targets.
        targets: (n,) integer labels or (n, ...) floating targets.

    Attributes:
        inputs: The inputs.
        targets: The targets.
        n: The number of examples.

    Raises:
        ValueError: inputs and targets that do not fit, targets that are nan or inf, one class only.
    """

    def __init__(self, inputs: Any, targets: Any) -> None:
        inputs, targets = as_examples(inputs, targets)
        # Copies, so that the caller may change the originals.
        self.inputs, self.targets = map_tensors(inputs, torch.clone), targets.clone()
        self.n = len(self.targets)
        if not bool(torch.isfinite(self.targets).all()):
            raise ValueError(f"targets must be finite, got {self.targets[~torch.isfinite(self.targets)][0]}")
        self._labelled = not self.targets.is_floating_point()
        if self._labelled and int(self.targets.min()) == int(self.targets.max()):
            raise ValueError(
                f"the probe needs at least 2 classes, got only class {int(self.targets[0])} in {self.n} examples"
            )
        # Nearest neighbours: the estimators of the paper, and fast enough for every epoch.
        self._estimator = "ross" if self._labelled else "ksg1"
        self._entropy = entropy(self.targets) if self._labelled else math.inf
        # References that were computed, by k and norm.
        self._ksg: dict[tuple[int, str], float] = {}
        # By k, norm and layer: how far below the value the interval began when an error bar was last computed.
        self._margins: dict[tuple[int, str, str], float] = {}

    @classmethod
    def sample(
        cls,
        data: Any,
        n: int = 1000,
        *,
        seed: int = 0,
        unpack: Callable[[Any], tuple[Any, Any]] | None = None,
    ) -> Probe:
        """Draw n examples of a data set and fix them.

        Args:
            data: (inputs, targets), or a map-style data set. Its items are pairs (input, target). Longer tuples work
                too, if what follows the target is text or a whole number that differs in every item. So do dicts with
                the target as "labels", "label", "targets", "target" or "y", and the rest as the input or as keywords.
                Random transforms of a data set are applied once, with the given seed.
            n: Number of examples. Each class gets its share, rounded to the nearest.
            seed: Equal seeds draw equal examples, even if items are made with random numbers. The random states of
                torch (CPU), numpy, Python and the data set's own generators are left as they were.
            unpack: item -> (input, target), for a data set with other items.

        Raises:
            ValueError: n larger than the data set, items with an unclear target, and all that `Probe` refuses.
        """
        count = count_examples(data)
        n, seed = whole("n", n), check_seed(seed)
        if not 2 <= n <= count:
            raise ValueError(f"n must be in 2..{count}, the examples of the data set, got n = {n}")
        return cls(*draw(data, stratified(data, count, n, seed, unpack), seed, unpack))

    @property
    def classes(self) -> list[int] | None:
        """The labels that occur, ascending; None if the targets are continuous."""
        return self.targets.unique().tolist() if self._labelled else None

    def to(self, device: torch.device | str) -> Probe:
        """Move the examples to a device; returns the probe.

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
    def measure(self, model: nn.Module, measuring: Measuring | None = None, **changes: Any) -> Measurement:
        """Measure the information in layers of a model, in evaluation mode, in one forward pass.

        The model is left exactly as found: training mode of every module, buffers, hooks, random state. A compiled or
        wrapped model is measured as the plain module inside. The pass runs on the model's device and under the caller's
        autocast.

            probe.measure(model)
            probe.measure(model, layers="all", std_error=False)

        Args:
            model: The model.
            measuring: What to measure, and how; None: `Measuring()`.
            **changes: Other values for fields of `Measuring`: layers, k, norm, reference, decoder, std_error,
                batch_size, strict.

        Raises:
            TypeError: not a torch module, or an unknown field.
            ValueError: a model on the meta device; a layer that is unknown, did not run, or has an output without
                one row per example; nan or inf in an output; an output that does not fit the targets; a k of n or more.
        """
        began = time.perf_counter()
        measuring = chosen(measuring, changes)
        check_model(model)
        reference = self._known_reference(measuring)
        model = unwrap(model)
        picked = pick_layers(model, measuring.layers)
        picked.pop("output", None)
        device = next((parameter.device for parameter in model.parameters()), self.targets.device)
        if device.type == "meta":
            raise ValueError("the model must have weights to be measured, got them on the meta device")
        self.to(device)
        found: dict[str, LayerInformation] = {}
        above: dict[str, str] = {}

        def measure_layer(name: str, values: Tensor) -> None:
            found[name] = self._measure_layer(name, values, measuring)
            estimate = found[name].estimate
            if reference is not None and self._is_above(reference, name, estimate, values, measuring):
                above[name] = f"{estimate.nats:.3g} nats are above the reference of {reference:.3g}"

        strict = measuring.layers != "all" if measuring.strict is None else measuring.strict
        left_out = layer_outputs(
            model,
            self.inputs,
            self.n,
            picked,
            measuring.batch_size or (None if picked else _OUTPUT_BATCH),
            measure_layer,
            strict=strict,
        )
        if left_out and strict:
            raise ValueError(
                f"layer {next(iter(left_out))!r} must run in the forward pass to be measured, got no output from it"
            )
        found["output"] = found.pop("output")
        warnings = [f"{name}: {text}" for name, layer in found.items() for text in layer.estimate.warnings]
        warnings += [
            f"{name}: {above[name]}, which is too low; give a number" for name in found if name in above
        ]
        warnings += [f"{name}: {reason}" for name, reason in left_out.items()]
        return Measurement(found, reference, time.perf_counter() - began, tuple(warnings), left_out)

    def of_output(
        self, outputs: Tensor, measuring: Measuring | None = None, **changes: Any
    ) -> LayerInformation:
        """The information that `measure` finds at the output, from outputs (n, ...) that were computed elsewhere.

        Raises:
            TypeError: not a tensor, or an unknown field.
            ValueError: nan or inf, outputs that do not fit the targets, a k of n or more.
        """
        measuring = chosen(measuring, changes)
        if not isinstance(outputs, Tensor):
            raise TypeError(f"outputs must be a tensor, got {type(outputs).__name__}")
        self._check_neighbours(measuring)
        check_layer_output("output", outputs, self.n)
        self.targets = self.targets.to(outputs.device)
        return self._measure_layer("output", outputs, measuring)

    @torch.no_grad()
    def reference(self, measuring: Measuring | None = None, **changes: Any) -> float:
        """I(X;Y) in nats, the most that there is to learn from the inputs; see `Measuring.reference`.

        For continuous targets it is a nearest-neighbour estimate, which is computed once and kept. It grows with the
        square of the number of examples and may be too low; `measure` warns when it is.

        Raises:
            TypeError: an unknown field.
            ValueError: "entropy" without labels; "ksg" if the inputs are not one tensor of floating numbers or pixels,
                or if the estimate is not positive; a k of n or more.
        """
        measuring = chosen(measuring, changes)
        self._check_neighbours(measuring)
        if not isinstance(measuring.reference, str):
            return measuring.reference
        if measuring.reference == "entropy" and not self._labelled:
            raise ValueError("reference 'entropy' needs integer labels, got floating targets")
        if self._labelled and measuring.reference != "ksg":
            return self._entropy
        key = measuring.k, measuring.norm
        if key not in self._ksg:
            self._ksg[key] = ksg_reference(self.inputs, self.targets, *key)
        return self._ksg[key]

    def _known_reference(self, measuring: Measuring) -> float | None:
        """The reference, but no estimate that nobody has asked for."""
        if measuring.reference == "auto" and not self._labelled:
            self._check_neighbours(measuring)
            return self._ksg.get((measuring.k, measuring.norm))
        return self.reference(measuring)

    def _check_neighbours(self, measuring: Measuring) -> None:
        if measuring.k >= self.n:
            raise ValueError(f"k must be in 1..n-1, got k = {measuring.k} with n = {self.n}")

    def _measure_layer(self, name: str, values: Tensor, measuring: Measuring) -> LayerInformation:
        # An output with more dimensions than the classes' holds no class scores.
        is_scores = values.ndim < 3 or values.shape[1] == values[0].numel()
        decodes = name == "output" and measuring.decoder and self._labelled and is_scores
        values = values.reshape(len(values), -1)
        try:
            # The pass may run under autocast; the estimate must not.
            with torch.autocast(values.device.type, enabled=False):
                estimate = self._estimate(values, measuring, measuring.std_error)
                decoder = decoder_bound(values, self.targets) if decodes else None
        except ValueError as error:
            what = "the output" if name == "output" else f"layer {name!r}"
            kind = OutOfRangeError if isinstance(error, OutOfRangeError) else ValueError
            raise kind(f"{what} does not fit the probe: {error}") from error
        return LayerInformation(name, estimate, decoder, values.shape[1])

    def _estimate(self, values: Tensor, measuring: Measuring, std_error: bool) -> Estimate:
        return mutual_information(
            values,
            self.targets,
            k=measuring.k,
            norm=measuring.norm,
            estimator=self._estimator,
            std_error=std_error,
        )

    def _is_above(
        self, reference: float, name: str, estimate: Estimate, values: Tensor, measuring: Measuring
    ) -> bool:
        """Whether a layer has significantly more information than the reference, which then is too low."""
        # No estimate is above H(Y) by more than its error.
        if estimate.nats <= reference or self._entropy <= reference:
            return False
        # An error bar takes four times as long as the estimate and hardly changes between epochs. A value that is
        # above by more than twice the last error bar is above, without another error bar.
        if not measuring.std_error:
            key = measuring.k, measuring.norm, name
            if estimate.nats - reference > 2 * self._margins.get(key, math.inf):
                return True
            with torch.autocast(values.device.type, enabled=False):
                estimate = self._estimate(values.reshape(len(values), -1), measuring, True)
            self._margins[key] = estimate.nats - estimate.interval[0]
        return estimate.interval[0] > reference
