"""Fixed examples on which the information in a model's layers is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import check_seed, shown
from infopace.estimators import Estimate
from infopace.model.forward import as_found, check_layer_output, map_tensors, tensors_of
from infopace.model.layers import check_model, pick_layers, unwrap
from infopace.model.processes import ALONE, Processes, digest, processes_of
from infopace.probe._constant import ConstantSignal
from infopace.probe._estimates import by_neighbours, by_neighbours_in_layer, of_layer, of_output
from infopace.probe._measuring import LayerInformation, Measurement, Measuring, chosen
from infopace.probe._pass import Scored, by_position, layers_and_scores, targets_of, thinned
from infopace.probe._reference import ksg_reference
from infopace.probe._sampling import as_batch, as_examples, count, drawn, drawn_whole, in_common
from infopace.probe._signal import unread, without_distance
from infopace.probe._targets import Kind, Targets
from infopace.probe.outputs import Forward, Plain, check_forward, plain_forward


class Probe:
    """Fixed examples on which the information in a model's layers is measured.

    The examples are the same every time, so a change between two measurements comes from the model. What is measured,
    and how, is said when measuring: see `measure` and `Measuring`.

    The scores for the targets are what the model returns, its `logits`, or the one tensor in what it returns that has
    the shape of scores. Where several have, `forward` says which:

        Probe.sample(data, forward=lambda model, batch: (model(batch["pixels"])[1], batch["class"]))

    Targets of the value -100 at positions do not count, as in torch's cross-entropy. Labels that equal the input tokens
    (where they count) are those of a language model, as Hugging Face has them: scores at a position are then compared
    with the label at the next. Tokens that are shifted already stay as they are.

    Args:
        inputs: What the model is called with for n examples: a tensor (n, ...), a tuple of tensors (passed as
            arguments) or a dict of tensors (passed as keywords). They are copied, as are the targets.
        targets: (n,) integer labels; (n, T) or (n, H, W) integer labels at positions; (n, C) booleans, or numbers 0 and
            1, for several labels of yes or no; (n, C) soft labels, which sum to 1; or (n, ...) floating targets.
        forward: (model, (inputs, targets)) -> (scores, targets) or (scores, targets, mask) of some of the examples, on
            the model's device. The mask has the shape of the targets and is true where a target counts. None: as above.

    Attributes:
        n: The number of examples.

    Raises:
        TypeError: a forward that is no function.
        ValueError: inputs and targets that do not fit, targets that are nan or inf, one class only.
    """

    def __init__(self, inputs: Any, targets: Any, *, forward: Forward | None = None) -> None:
        if forward is None:
            inputs, values = as_examples(inputs, targets)
            plain = plain_forward(inputs, values)
            self._begin((inputs, values), len(values), plain)
            values = self.targets
            # A language model never predicts the first position.
            self._targets = Targets.of(values[:, 1:] if plain.next_token else values)
        else:
            self._begin(*as_batch(inputs, targets), forward)

    def _begin(self, examples: Any, n: int, forward: Forward) -> None:
        check_forward(forward)
        # Copies, so that the caller may change the originals.
        self._examples, self.n, self._forward = map_tensors(examples, torch.clone), n, forward
        # None until the first measurement, if forward makes them.
        self._targets: Targets | None = None
        self._ksg: dict[tuple[int, str], float] = {}  # references that were computed, by k and norm
        # By k, norm and layer: how far below the value the interval began when an error bar was last computed.
        self._margins: dict[tuple[int, str, str], float] = {}
        self._constant = ConstantSignal()

    @classmethod
    def sample(
        cls,
        data: Any,
        n: int | None = None,
        *,
        forward: Forward | None = None,
        seed: int = 0,
        unpack: Callable[[Any], tuple[Any, Any]] | None = None,
    ) -> Probe:
        """Draw n examples of a data set and fix them.

        No more than n items are read. Where labels are known without reading, each class gets its share, rounded to
        the nearest: those of a pair, of `tensors` or `targets`, of a list, or a column of the package `datasets`, also
        inside of Subset and ConcatDataset. Else the n examples are drawn at random. Of an iterable or a stream the
        first n are read, so shuffle it before; an iterator has n items less afterwards.

        Args:
            data: (inputs, targets), a map-style data set, a data loader or an iterable of items. Items are pairs
                (input, target). Longer tuples work too, if what follows the target is text or a whole number that
                differs in every item. So do dicts with the target as "labels", "label", "targets", "target" or "y", and
                the rest as the input or as keywords. Random transforms of a data set are applied once, with the given
                seed. Of a data loader the data set is drawn from, and its `collate_fn` makes the examples of n items;
                so it can pad.
            n: Number of examples; None: 1,000, or all where there are fewer.
            forward: (model, batch) -> (scores, targets) or (scores, targets, mask). The batch is some of the examples
                as a data loader gives them, on the model's device; items may have any structure. None: as for `Probe`.
            seed: Equal seeds draw equal examples, even if items are made with random numbers. The random states of
                torch (CPU), numpy, Python and the data set's own generators are left as they were.
            unpack: item -> (input, target), for a data set with other items; of a loader with its own `collate_fn`,
                batch -> (inputs, targets).

        Raises:
            TypeError: a forward that is no function.
            ValueError: n larger than the data set, items with an unclear target or of several shapes, and all that
                `Probe` refuses.
        """
        n, seed = count(n), check_seed(seed)
        if forward is None:
            return cls(*drawn(data, n, seed, unpack))
        check_forward(forward)
        if unpack is not None:
            raise ValueError("unpack must be left out where forward is given, which gets the whole batch")
        probe = cls.__new__(cls)
        probe._begin(*drawn_whole(data, n, seed), forward)
        return probe

    @property
    def inputs(self) -> Any:
        """The inputs; the whole examples, if they were drawn for a `forward`."""
        examples = self._examples
        return examples[0] if isinstance(examples, tuple) and len(examples) == 2 else examples

    @property
    def targets(self) -> Tensor:
        """The targets; ValueError if `forward` makes them, and nothing was measured yet."""
        return self._examples[1] if self.forward is None else self._known_targets().values

    @property
    def forward(self) -> Forward | None:
        """The forward pass that was given; None: the usual one."""
        return None if isinstance(self._forward, Plain) else self._forward

    @property
    def classes(self) -> list[int] | None:
        """The labels that occur, ascending; None if there is not one label an example, or none known yet."""
        labels = self._targets is not None and self._targets.kind is Kind.LABELS
        return self._targets.values.unique().tolist() if labels and self._targets is not None else None

    @property
    def has_distance(self) -> bool:
        """Whether neighbours are sound for the targets: one label an example, or continuous ones."""
        return self._targets is not None and not without_distance(self._targets)

    def to(self, device: torch.device | str) -> Probe:
        """Move the examples to a device; returns the probe.

        Raises:
            ValueError: a device that torch does not know.
        """
        try:
            device = torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"device must be one of torch's, such as 'cuda', got {shown(device)}") from error
        self._examples = map_tensors(self._examples, lambda tensor: tensor.to(device))
        if self._targets is not None:
            self._targets = self._targets.to(device)
        return self

    @torch.no_grad()
    def measure(
        self, model: nn.Module, measuring: Measuring | None = None, *, together: bool = False, **changes: Any
    ) -> Measurement:
        """Measure the information in layers of a model, in evaluation mode, in one forward pass.

        The model is left exactly as found: training mode of every module, buffers, hooks, random state. A compiled or
        wrapped model is measured as the plain module inside. The pass runs on the model's device and under the caller's
        autocast.

            probe.measure(model, layers="all", std_error=False)

        Args:
            model: The model.
            measuring: What to measure, and how; None: `Measuring()`.
            together: Whether all processes that train the model measure as one: each runs its share of the batches,
                and all get what rank 0 finds. All must call it then. They must always where `fully_shard` has split the
                weights.
            **changes: Other values for fields of `Measuring`.

        Raises:
            TypeError: not a torch module, or an unknown field.
            ProcessError: the measurement failed on another process.
            ValueError: a model on the meta device; a layer that is unknown, did not run, or has an output without
                one row per example; nan or inf in an output; an output that does not fit the targets; a k of n or more.
        """
        measuring = chosen(measuring, changes)
        check_model(model)
        processes = processes_of(model)
        model = unwrap(model)
        if not (processes.several and (together or processes.in_step)):
            return self._measure(model, measuring, ALONE)
        with as_found(model, processes):
            return processes.from_first(
                "the measurement", lambda: self._measure(model, measuring, processes), on_all=True
            )

    def _measure(self, model: nn.Module, measuring: Measuring, processes: Processes) -> Measurement:
        began = time.perf_counter()
        reference = self._reference_so_far(measuring)
        picked = pick_layers(model, measuring.layers)
        picked.pop("output", None)
        device = next((parameter.device for parameter in model.parameters()), self._device)
        if device.type == "meta":
            raise ValueError("the model must have weights to be measured, got them on the meta device")
        self.to(device)
        if picked and not self._knows_targets:
            self._run(model, {}, measuring, processes)
            reference = self._reference_so_far(measuring)
        warnings, unsound = list[str](), dict[str, str]()
        if picked and (why := unread(self._known_targets(), measuring.signal, measuring.hidden)):
            reason = f"not measured, because {why}"
            unsound, picked = dict.fromkeys(picked, reason), {}
            warnings.append(f"hidden layers: {reason}")
        found: dict[str, LayerInformation] = {}
        above, out_of_place = dict[str, str](), dict[str, str]()  # without the positions of the targets

        def measure_layer(name: str, values: Tensor) -> None:
            if name == "output":
                return
            one = of_layer(name, values, self._known_targets(), measuring, self._shifted)
            if isinstance(one, str):
                out_of_place[name] = one
                return
            found[name] = one
            note(name, values)

        def note(name: str, values: Tensor) -> None:
            estimate = found[name].estimate
            if reference is not None and self._is_above(reference, name, estimate, values, measuring):
                what = f"{estimate.nats:.3g} nats are above the reference of {reference:.3g}"
                above[name] = f"{name}: {what}, which is too low; give a number"

        left_out, output = self._run(model, picked, measuring, processes, measure_layer)
        if left_out and measuring.is_strict:
            raise ValueError(
                f"layer {next(iter(left_out))!r} must run in the forward pass to be measured, got no output from it"
            )
        reference = self._reference_so_far(measuring)
        found["output"] = self._measure_output(output, measuring)
        note("output", output.scores)
        self._constant.check(model, output.scores, found["output"].estimate.nats)
        warnings += [f"{name}: {text}" for name, layer in found.items() for text in layer.estimate.warnings]
        warnings += [above[name] for name in found if name in above]
        left_out |= {name: why for name, why in out_of_place.items() if name not in found}
        warnings += [f"{name}: {reason}" for name, reason in left_out.items()]
        return Measurement(found, reference, time.perf_counter() - began, tuple(warnings), left_out | unsound)

    def of_output(
        self, outputs: Tensor, measuring: Measuring | None = None, **changes: Any
    ) -> LayerInformation:
        """The information that `measure` finds at the output, from outputs (n, ...) that were computed elsewhere.

        Raises:
            TypeError: not a tensor, or an unknown field.
            ValueError: nan or inf, outputs that do not fit the targets, a k of n or more, a probe whose `forward` makes
                the targets.
        """
        measuring = chosen(measuring, changes)
        if not isinstance(outputs, Tensor):
            raise TypeError(f"outputs must be a tensor, got {type(outputs).__name__}")
        if not isinstance(self._forward, Plain):
            raise ValueError(
                "of_output needs a probe with targets of its own, got one with a forward; measure the model"
            )
        check_layer_output("output", outputs, self.n)
        self.to(outputs.device)
        scores, values = self._forward.compared(outputs, self._examples[1])
        self._learn(lambda: Targets.of(values, None, scores))
        return self._measure_output(thinned(by_position(scores, values, None), self.n), measuring)

    @torch.no_grad()
    def reference(self, measuring: Measuring | None = None, **changes: Any) -> float:
        """I(X;Y) in nats, the most that there is to learn from the inputs; see `Measuring.reference`.

        For continuous targets it is a nearest-neighbour estimate, computed once and kept, which may be too low;
        `measure` warns when it is.

        Raises:
            TypeError: an unknown field.
            ValueError: "entropy" for continuous targets; "ksg" if the inputs are not one tensor of floating numbers or
                pixels, or if the estimate is not positive; a k of n or more; targets that a `forward` makes, before the
                first measurement.
        """
        measuring = chosen(measuring, changes)
        self._check_neighbours(measuring)
        if not isinstance(measuring.reference, str):
            return measuring.reference
        targets = self._known_targets()
        if measuring.reference == "entropy" and targets.kind is Kind.NUMBERS:
            raise ValueError("reference 'entropy' needs integer labels, got floating targets")
        if targets.kind is not Kind.NUMBERS and measuring.reference != "ksg":
            return targets.entropy
        key = measuring.k, measuring.norm
        if key not in self._ksg:
            self._ksg[key] = ksg_reference(self.inputs, targets, *key)
        return self._ksg[key]

    @property
    def digest(self) -> str:
        """A short text that differs between probes with other examples."""
        return digest(self._examples)

    def in_common(self, other: Probe) -> int:
        """How many examples of the other probe are in this one too."""
        return in_common(self._examples, self.n, other._examples, other.n)

    @property
    def _device(self) -> torch.device:
        return next((one.device for one in tensors_of(self._examples)), torch.device("cpu"))

    @property
    def _knows_targets(self) -> bool:
        return self._targets is not None and self._targets.kind is not None

    @property
    def _shifted(self) -> bool:
        """Whether scores at a position are for the target at the next."""
        return isinstance(self._forward, Plain) and self._forward.next_token

    def _known_targets(self) -> Targets:
        if self._targets is None or self._targets.kind is None:
            what = "made by forward" if self._targets is None else "numbers 0 and 1 in several columns"
            raise ValueError(
                f"the targets are {what} and known after the first measurement; measure first, or give a number as "
                "reference"
            )
        return self._targets

    def _learn(self, found: Callable[[], Targets]) -> None:
        """Keep the targets: those of a `forward` each time, others once."""
        if not (isinstance(self._forward, Plain) and self._knows_targets):
            self._targets = found()

    def _run(
        self,
        model: nn.Module,
        layers: dict[str, nn.Module],
        measuring: Measuring,
        processes: Processes,
        receive: Callable[[str, Tensor], None] = lambda name, values: None,
    ) -> tuple[dict[str, str], Scored]:
        """One forward pass: the layers that were left out, with the reasons, and the output."""
        left_out, output, parts = layers_and_scores(
            model, self._forward, self._examples, self.n, layers, measuring, receive, processes
        )
        self._learn(lambda: targets_of(parts, output.scores))
        return left_out, output

    def _reference_so_far(self, measuring: Measuring) -> float | None:
        """The reference, but no estimate that nobody has asked for, and none of targets that are not known yet."""
        if not isinstance(measuring.reference, str):
            return self.reference(measuring)
        if not self._knows_targets:
            return None
        if measuring.reference == "auto" and self._known_targets().kind is Kind.NUMBERS:
            self._check_neighbours(measuring)
            return self._ksg.get((measuring.k, measuring.norm))
        return self.reference(measuring)

    def _check_neighbours(self, measuring: Measuring) -> None:
        targets = self._targets
        if targets is not None and without_distance(targets):
            return
        if measuring.k >= self.n:
            raise ValueError(f"k must be in 1..n-1, got k = {measuring.k} with n = {self.n}")

    def _measure_output(self, output: Scored, measuring: Measuring) -> LayerInformation:
        self._check_neighbours(measuring)
        note = "; scores are compared with the next token, because the labels are the inputs"
        return of_output(output, self._known_targets(), measuring, note if self._shifted else "")

    def _is_above(
        self, reference: float, name: str, estimate: Estimate, values: Tensor, measuring: Measuring
    ) -> bool:
        """Whether a layer has significantly more information than the reference, which then is too low."""
        # No estimate is above H(Y) by more than its error.
        if estimate.nats <= reference or self._known_targets().entropy <= reference:
            return False
        # An error bar takes four times as long as the estimate and hardly changes between epochs. A value that is
        # above by more than twice the last error bar is above, without another error bar. Usable information has one.
        if not measuring.std_error and math.isnan(estimate.std_error):
            key = measuring.k, measuring.norm, name
            if estimate.nats - reference > 2 * self._margins.get(key, math.inf):
                return True
            again = by_neighbours if name == "output" else by_neighbours_in_layer
            with torch.autocast(values.device.type, enabled=False):
                estimate = again(values.reshape(len(values), -1), self._known_targets(), measuring, True)
            self._margins[key] = estimate.nats - estimate.interval[0]
        return estimate.interval[0] > reference
