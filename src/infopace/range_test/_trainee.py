"""A model that can be set back, trained for some steps at a learning rate, and evaluated."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from infopace.model.forward import as_found, call, hooked, map_tensors, tensors_of
from infopace.model.layers import unwrap, weight_layers
from infopace.model.random_state import generators_of, seed_generators
from infopace.model.snapshot import Buffers, Weights, with_state
from infopace.probe import LayerInformation, Measuring, Probe
from infopace.probe.batches import Unpack, batch_of
from infopace.probe.outputs import scores_of
from infopace.range_test._records import Evaluation
from infopace.range_test._result import RangeTestError
from infopace.scheduler._groups import ParameterGroups

# Parts of the probe's examples whose spread gives the error of the mean loss.
_PARTS = 10


class Crashed(ArithmeticError):
    """The loss is not finite; the message says where."""


class Trainee:
    """What candidates train: `begin` a trial, `start` a candidate, `train` some steps, `evaluate`.

    A candidate is a pure function of (seed, trial, learning rates): `start` sets back the weights, empties the
    optimizer, and seeds every random number from (seed, trial). All candidates of a trial have the same batches and
    the same dropout, so that they differ in the learning rate alone. Wrap its use in `restored`.

    Attributes:
        factors: Per parameter group, its initial learning rate / the largest one. A candidate's rate is that of the
            group with the largest, and the ratios are kept, as by `MutualInformationLR`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss: Callable[[Any, Tensor], Tensor],
        batches: Any,
        probe: Probe,
        *,
        measuring: Measuring,
        fresh: Callable[[], nn.Module] | None = None,
        precision: torch.dtype | None = None,
        scaler: Any = None,
        seed: int = 0,
        attribute: str = "loss",
        unpack: Unpack | None = None,
    ) -> None:
        self.model, self.optimizer, self.loss = model, optimizer, loss
        # A copy: measuring moves its examples to the model's device.
        self.batches, self.probe = batches, copy.copy(probe)
        # Bounds are made from error bars.
        self._measuring = measuring.replace(std_error=True)
        try:
            self.steps_per_epoch = len(batches)
        except TypeError:
            kind = type(batches).__name__
            raise ValueError(
                f"batches must have a length, as a data loader or a list has, got {kind}"
            ) from None
        if self.steps_per_epoch < 1:
            raise ValueError("batches must hold at least one batch, got none")
        self.step, self._batch_loss, self.first_batch_loss = 0, math.nan, math.nan
        self._fresh, self._precision, self._scaler, self._seed = fresh, precision, scaler, seed
        self._device = next(model.parameters()).device
        self._given = Weights(model.parameters()), Buffers(model)
        self._weights = self._given
        self._settings = [
            {name: value for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]
        # How far steps of learning rate 1 go depends on the momentum; see `Clock`.
        group = optimizer.param_groups[0]
        self.momentum, self.nesterov = float(group.get("momentum", 0.0)), bool(group.get("nesterov", False))
        self.factors = _factors(self._settings)
        self._scaler_state = None if scaler is None else scaler.state_dict()
        self._trial, self._attribute, self._unpack = 0, attribute, unpack
        self._generators = generators_of(batches, model, loss)
        self._like: Tensor | None = None  # a target as the batches have it
        self._stream: Iterator[Any] = iter(())

    @torch.no_grad()
    def silent(self, layers: Collection[str]) -> list[str]:
        """Those of the layers that no example of the probe runs through. The model is left as found."""
        model, ran = unwrap(self.model), set[str]()
        asked = {name: module for name, module in weight_layers(model).items() if name in layers}
        hooks = {module: lambda *_, name=name: ran.add(name) for name, module in asked.items()}
        with as_found(model), self._autocast(), hooked(hooks):
            for part in self._parts():
                call(model, self._inputs(part))
        return [name for name in asked if name not in ran]

    def rates(self, lr: float) -> list[float]:
        """The rate of each parameter group for a candidate."""
        return [lr * factor for factor in self.factors]

    def rates_of_layer(self, lr: float, layer: str, others: float) -> list[float]:
        """The rate of each parameter group where one layer is raced alone.

        `lr` is the rate of the layer's group with the largest, `others` is the candidate that all other layers keep.
        """
        share = self.share_of(layer)
        return [
            lr * (factor / share) if group["layer"] == layer else others * factor
            for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True)
        ]

    def share_of(self, layer: str) -> float:
        """The largest factor among a layer's groups; 1 where they are all 0 and have no ratio to the others."""
        groups = zip(self.optimizer.param_groups, self.factors, strict=True)
        return max(factor for group, factor in groups if group["layer"] == layer) or 1.0

    def untrained(self) -> Evaluation:
        """The evaluation before any training, for which no learning rate is to blame.

        Raises:
            ValueError: outputs that have no such attribute; inputs that are not finite.
            RangeTestError: the model crashes.
        """
        try:
            found = self.evaluate()
        except Crashed as error:
            _check_finite("the probe", self.probe.inputs, self.probe.targets)
            raise RangeTestError(
                "crashed",
                f"the model crashes before training: {error}; check the model, the loss and the probe",
            ) from error
        if self._attribute == "accuracy" and found.accuracy is None:
            raise ValueError(
                "attribute 'accuracy' needs outputs (n, C), one score a class, got more an example; "
                "take 'information' or 'loss'"
            )
        return found

    def begin(self, trial: int) -> None:
        """New weights for a trial: those of a freshly built model, or else the ones that were given."""
        self._trial = trial
        if self._like is None:
            self._like = next((self._split(batch)[1][:1] for batch in self.batches), None)
        if self._fresh is None:
            self._weights = self._given
            return
        for part in self._given:
            part.put_back()  # a buffer that the first pass makes is none in a fresh model
        self._seed_all(0)
        model = self._fresh()
        if not isinstance(model, nn.Module):
            raise ValueError(f"fresh must build a model, got {type(model).__name__}")
        built, mine = _named(model), _named(self.model)
        for name in [*mine, *built]:
            wanted, got = (list(found[name].shape) if name in found else None for found in (mine, built))
            if wanted != got:
                raise ValueError(
                    f"fresh must build a model like the one given, got {name} of shape {got}, not {wanted}"
                )
        with torch.no_grad():
            for name, value in mine.items():
                if not torch.equal(
                    value, built[name].to(value.device)
                ):  # an expanded one cannot be written to
                    value.copy_(built[name])
        self._weights = Weights(self.model.parameters()), Buffers(self.model)

    def start(self, lrs: list[float]) -> None:
        """Set the model back to the trial's weights, with an empty optimizer and a learning rate a group."""
        for part in self._weights:
            part.put_back()
        for inside in with_state(self.optimizer):
            inside.state = defaultdict(dict)
        for group, settings, lr in zip(self.optimizer.param_groups, self._settings, lrs, strict=True):
            group.update(settings)
            group["lr"] = lr
        if self._scaler is not None:
            self._scaler.load_state_dict(self._scaler_state)
        self._seed_all(1)
        self._stream = self._endless()
        self.step, self._batch_loss, self.first_batch_loss = 0, math.nan, math.nan

    def train(self, steps: int) -> None:
        """Train for some optimizer steps.

        Raises:
            Crashed: the loss is not finite.
            ValueError: the batch is not finite either.
            RangeTestError: the loss of that batch was not finite before training either.
        """
        began = self.step
        self.model.train()
        losses: list[Tensor] = []
        for _ in range(steps):
            inputs, targets = next(self._stream)
            self.optimizer.zero_grad(set_to_none=True)
            _, loss = self._forward(inputs, targets)
            if self._scaler is None:
                loss.backward()
                self.optimizer.step()
            else:
                self._scaler.scale(loss).backward()
                self._scaler.step(self.optimizer)
                self._scaler.update()
            self.step += 1
            losses.append(loss.detach().double())
            # Waiting for each loss would hold up a GPU; once nan, the weights and so the losses stay nan.
            if self.step % 8 == 0 and not math.isfinite(float(losses[-1])):
                break
        found = torch.stack(losses) if losses else torch.zeros(0)
        if not bool(torch.isfinite(found).all()):
            self._check_untrained(began + int((~torch.isfinite(found)).nonzero()[0]))
            raise Crashed(f"the loss is not finite within {self.step} steps")
        if losses:
            if self.step == steps:
                self.first_batch_loss = float(found[0])
            self._batch_loss = float(found[len(found) // 2 :].mean())

    @torch.no_grad()
    def evaluate(self, *, information: bool = True) -> Evaluation:
        """Loss, accuracy and, where asked for, information on the probe.

        The loss is the mean over ten parts of the examples, whose spread gives its error.

        Raises:
            Crashed: an output or the loss is not finite.
        """
        n = self.probe.n
        targets = self.probe.targets.to(self._device)
        as_trained = self._as_trained(targets)
        outputs, losses, sizes = [], [], []
        with as_found(self.model), self._autocast():
            for part in self._parts():
                outputs.append(scores_of(call(self.model, self._inputs(part)), as_trained[part]).float())
                losses.append(float(self._loss(outputs[-1], as_trained[part])))
                sizes.append(part.stop - part.start)
        whole = torch.cat(outputs)
        loss = math.fsum(mean * size for mean, size in zip(losses, sizes, strict=True)) / n
        if not bool(torch.isfinite(whole).all()):
            raise Crashed(f"an output is not finite after {self.step} steps")
        if not math.isfinite(loss):
            raise Crashed(f"the loss is not finite after {self.step} steps")
        labelled = not targets.is_floating_point() and targets.numel() == n
        accuracy = _accuracy(whole, targets) if labelled else None
        layers = self._layers(whole) if information else {}
        return Evaluation(
            self.step,
            loss,
            tuple(losses),
            accuracy,
            {name: layer.estimate.nats for name, layer in layers.items()},
            layers["output"].estimate.std_error if layers else math.nan,
            n,
            self._batch_loss,
        )

    def _forward(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs for a batch, and its loss."""
        # A copy: the model may begin in place, and a list of batches is the caller's data.
        inputs = map_tensors(inputs, lambda tensor: tensor.to(self._device, non_blocking=True, copy=True))
        with self._autocast():
            targets = targets.to(self._device)
            outputs = scores_of(call(self.model, inputs), targets)
            return outputs, self._loss(outputs, targets)

    @torch.no_grad()
    def _check_untrained(self, number: int) -> None:
        """Refuse a batch of the candidate's first epoch whose loss is not finite with the trial's weights either."""
        if number >= self.steps_per_epoch:
            return
        for part in self._weights:
            part.put_back()
        self._seed_all(1)
        inputs, targets = next(itertools.islice(self._endless(), number, None))
        outputs, loss = self._forward(inputs, targets)
        if bool(torch.isfinite(loss)):
            return
        _check_finite(f"batch {number} of the training data", inputs, targets)
        what = "the loss" if bool(torch.isfinite(outputs).all()) else "an output"
        raise RangeTestError(
            "crashed",
            f"{what} is not finite before training, on batch {number}, whose inputs and targets are; no learning rate "
            f"is to blame: check the {'loss' if what == 'the loss' else 'model'}",
        )

    def _split(self, batch: Any) -> tuple[Any, Tensor]:
        return batch_of(batch, (self.probe.inputs, self.probe.targets), self._unpack)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss = self.loss(outputs, targets)
        if not (isinstance(loss, Tensor) and loss.numel() == 1):
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(
                f"loss must return one number as a tensor, the mean over the examples, got {got}"
            )
        return loss.reshape(())

    def _as_trained(self, targets: Tensor) -> Tensor:
        """The probe's labels in the shape and the type that the batches have, as the loss expects them."""
        if self._like is None or targets.is_floating_point() or self._like[0].numel() != 1:
            return targets
        return targets.reshape(-1, *self._like.shape[1:]).to(self._like.dtype)

    def _parts(self) -> Iterator[slice]:
        # Two examples or more in each: one alone may lose its dimension in the model.
        for examples in torch.arange(self.probe.n).tensor_split(min(_PARTS, max(self.probe.n // 2, 1))):
            yield slice(int(examples[0]), int(examples[-1]) + 1)

    def _inputs(self, part: slice) -> Any:
        return map_tensors(self.probe.inputs, lambda tensor: tensor[part].to(self._device, copy=True))

    def _layers(self, outputs: Tensor) -> dict[str, LayerInformation]:
        try:
            if self._measuring.layers == "output":
                return {"output": self.probe.of_output(outputs, self._measuring)}
            with self._autocast():
                return self.probe.measure(self.model, self._measuring).layers
        except ValueError as error:
            raise Crashed(str(error)) from error

    def _endless(self) -> Iterator[Any]:
        while True:
            empty = True
            for batch in self.batches:
                empty = False
                yield self._split(batch)
            if empty:
                # An iterator gives its batches once only; going on would wait for ever.
                kind = type(self.batches).__name__
                raise ValueError(
                    f"batches must give batches each time they are iterated, got none from {kind}"
                )

    def _seed_all(self, stream: int) -> None:
        draw = int(np.random.SeedSequence([self._seed, self._trial, stream]).generate_state(1, np.uint64)[0])
        torch.manual_seed(draw >> 1)
        random.seed(draw)
        np.random.seed(draw % 2**32)
        seed_generators(self._generators, self._seed, self._trial, stream)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self._precision is None:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, self._precision)


def _factors(settings: list[dict[str, Any]]) -> list[float]:
    """The factor of each parameter group, by the scheduler's rule: of a stand-in, as that notes initial rates in it."""
    initial = [float(group.get("initial_lr", group["lr"])) for group in settings]
    groups: list[dict[str, Any]] = [{"params": [torch.zeros(())], "lr": lr} for lr in initial]
    return ParameterGroups(torch.optim.SGD(groups), one_scale=True).factors


def _named(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and all buffers, also those that a state_dict leaves out and that training changes all the same."""
    model = unwrap(model)
    return dict([*model.named_parameters(), *model.named_buffers()])


def _accuracy(outputs: Tensor, labels: Tensor) -> float | None:
    """Of class scores (n, C); one column is the logit of label 1 of two, as in `decoder_bound`."""
    if outputs.ndim == 1 or outputs.shape[1:].numel() == 1:
        found = (outputs.reshape(-1) > 0).long()
    elif outputs.shape[2:].numel() == 1:
        found = outputs.flatten(1).argmax(1)
    else:
        return None  # more scores for an example than one a class
    return float((found == labels).double().mean())


def _check_finite(what: str, inputs: Any, targets: Tensor) -> None:
    for name, parts in (("inputs", tensors_of(inputs)), ("targets", [targets])):
        for part in parts:
            odd = ~torch.isfinite(part)
            if bool(odd.any()):
                example = int(odd.nonzero()[0][0])
                raise ValueError(
                    f"{what} must hold finite numbers, got {part[odd][0].item()} in the {name} of example {example}; "
                    "no learning rate is to blame"
                )
