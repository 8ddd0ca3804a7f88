"""The metric of a model on the test set."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from infopace.lab.batches import spans
from infopace.lab.errors import NotFinite
from infopace.lab.lazy_images import in_turn
from infopace.lab.tasks import Metric
from infopace.lab.workload import Data

_EVALUATION_BATCH = 250  # [measured] 1,000 images through LeNet, one CPU thread: 0.27 s, in one go 0.47 s


@torch.no_grad()
def value_on_test_set(
    model: nn.Module,
    data: Data,
    metric: Metric,
    cast: Callable[[Tensor], Tensor],
    autocast: Callable[[], contextlib.AbstractContextManager[object]],
) -> float:
    """The metric on the test set, in eval mode; `cast` makes a batch of stored inputs the model's.

    Raises NotFinite if the value, or an output, is not finite.
    """
    device = data.test_targets.device
    total, count = torch.zeros((), dtype=torch.float64, device=device), 0
    odd = torch.zeros((), dtype=torch.bool, device=device)
    model.eval()
    batches = spans(len(data.test_targets), _EVALUATION_BATCH)
    for batch, inputs in zip(batches, in_turn(data.test_inputs, batches), strict=True):
        with autocast():
            outputs = model(cast(inputs))
        scores = metric.score(outputs.float(), data.test_targets[batch])
        total += scores.sum()
        count += scores.numel()
        odd |= outputs.isnan().any()
    # argmax of outputs that are nan is a class, so the metric alone does not show them.
    if bool(odd):
        raise NotFinite("an output on the test set is nan")
    value = float(total) / count
    if not math.isfinite(value):
        raise NotFinite(f"the test {metric.name} is {value}")
    return value


@contextlib.contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Within it a model that is in train mode is in eval mode, and no gradients are recorded."""
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()
