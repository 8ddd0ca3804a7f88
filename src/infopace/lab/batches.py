"""The training examples of a run: which are held out, the batches of the rest, and how a batch is cast."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from infopace.lab.errors import InputError
from infopace.lab.lazy_images import LazyImages, in_turn
from infopace.lab.workload import Data, Rows, Workload

# A neighbour estimate with k = 3 needs 4 examples, one within classes 2 of each class.
_FEWEST, _FEWEST_OF_CLASS = 4, 2


def caster(workload: Workload) -> Callable[[Tensor], Tensor]:
    """The function from a batch of stored inputs to the inputs of the workload's model."""

    def cast(batch: Tensor) -> Tensor:
        inputs = workload.prepare(batch)
        return inputs.contiguous(memory_format=torch.channels_last) if workload.channels_last else inputs

    return cast


def spans(n: int, size: int) -> list[slice]:
    """The batches of n examples in order, all of `size` except the last.

    A single example that is left joins the batch before: batch norm cannot train on it alone, and some models lose
    their first dimension. Batches of one are made only if `size` is 1.
    """
    starts = list(range(0, n, size))
    if size > 1 and n > size and n % size == 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], n], strict=False)]


def in_batches(order: Tensor, size: int) -> list[Tensor]:
    """The indices of examples (n,), split as `spans` says."""
    return [order[span] for span in spans(len(order), size)]


def examples_of_an_epoch(workload: Workload, n: int) -> int:
    """Number of examples that an epoch trains on, of the n there are."""
    return n if workload.epoch_examples is None else min(n, workload.epoch_examples)


def batches_of_an_epoch(workload: Workload, n: int) -> int:
    """Number of batches of an epoch, of n examples."""
    return len(spans(examples_of_an_epoch(workload, n), workload.batch_size))


def drawn_batches(
    workload: Workload, n: int, draws: torch.Generator | None = None, most: int | None = None
) -> list[Tensor]:
    """The batches of an epoch as indices of n examples, in a random order; None draws from torch's generator.

    `most` is the largest number of examples; None: what the workload says.
    """
    order = torch.randperm(n, generator=draws)[: examples_of_an_epoch(workload, n)][:most]
    return in_batches(order, workload.batch_size)


class Batches:
    """A training set in augmented batches, as an iterable like a data loader; each pass has a new random order.

    The order and the augmentation are drawn from torch's global generator.
    """

    def __init__(self, inputs: Tensor | LazyImages, targets: Tensor, workload: Workload) -> None:
        self._inputs, self._targets, self._workload = inputs, targets, workload
        self._cast = caster(workload)

    def __len__(self) -> int:
        return batches_of_an_epoch(self._workload, len(self._targets))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        augment = self._workload.augment
        device = self._targets.device
        batches = [batch.to(device) for batch in drawn_batches(self._workload, len(self._targets))]
        for batch, inputs in zip(batches, in_turn(self._inputs, batches), strict=True):
            images = inputs if augment is None else augment(inputs, torch.default_generator)
            yield self._cast(images), self._targets[batch]


def hold_out(data: Data, share: float) -> tuple[Data, Rows]:
    """(data without the held-out examples, the held-out examples), chosen by `held_out_examples`."""
    kept = held_out_examples(data.train_targets, share)
    return _part(data, ~kept), _part(data, kept).train_set()


def set_aside(data: Data, share: float, most: int) -> Data:
    """The data with this share of the training examples taken out, chosen by `held_out_examples`, as `validation`.

    At most `most` of them, evenly spread, score a run. The others are not used at all, because neighbours in time or in
    a text would be.
    """
    if not isinstance(data.train_inputs, Tensor):
        raise InputError("validation examples must be in memory, got images that are decoded batch by batch")
    kept = held_out_examples(data.train_targets, share, "validation")
    examples = kept.nonzero()[:, 0]
    spread = examples[torch.linspace(0, len(examples) - 1, min(most, len(examples))).long()]
    validation = data.train_inputs[spread], data.train_targets[spread]
    return dataclasses.replace(_part(data, ~kept), validation=validation)


def held_out_examples(targets: Tensor, share: float, option: str = "held_out") -> Tensor:
    """(n,) bool: the last `share` of the examples, of each class if an example has one label.

    They are the last and not random ones. If the data are in the order of time, a random example has a neighbour in
    time among those that are trained on, and overfitting would not show.

    Raises InputError, which names the option, if too few examples for a measurement would be held out, of a class or of
    all, or none left.
    """
    groups, fewest = [torch.arange(len(targets))], _FEWEST
    if not targets.is_floating_point() and targets.ndim == 1:
        groups, fewest = [(targets == label).nonzero()[:, 0] for label in targets.unique()], _FEWEST_OF_CLASS
    kept = torch.zeros(len(targets), dtype=torch.bool)
    for examples in groups:
        amount = round(share * len(examples))
        if not fewest <= amount < len(examples):
            of = "" if fewest == _FEWEST else f" of class {targets[examples[0]]}"
            raise InputError(
                f"{option} must take at least {fewest} examples{of} and leave some, "
                f"got {option} = {share:g} of {len(examples)} examples"
            )
        kept[examples[-amount:]] = True
    return kept


def _part(data: Data, chosen: Tensor) -> Data:
    inputs = data.train_inputs
    some = inputs.take(chosen) if isinstance(inputs, LazyImages) else inputs[chosen]
    return dataclasses.replace(data, train_inputs=some, train_targets=data.train_targets[chosen])


def some_batches(workload: Workload, data: Data, count: int, seed: int) -> Iterator[Tensor]:
    """The inputs of so many training batches, augmented; the same for the same seed."""
    draws = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data.train_targets), generator=draws).to(data.train_targets.device)
    batches = in_batches(order, workload.batch_size)[:count]
    for inputs in in_turn(data.train_inputs, batches):
        yield inputs if workload.augment is None else workload.augment(inputs, draws)
