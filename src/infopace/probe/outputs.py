"""What a model returns -> scores for the targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import shown
from infopace.model.forward import call, check_layer_output, tensors_of
from infopace.probe._targets import IGNORED

# (model, batch) -> (scores, targets) or (scores, targets, mask).
Forward = Callable[[nn.Module, Any], Any]
HOW = "give forward=f, with f(model, batch) -> (scores, targets)"


def scores_of(result: Any, targets: Tensor) -> Tensor:
    """The scores for some targets in what a model returned.

    They are the result itself, its `logits`, or the one tensor inside that can be scores for such targets.

    Raises:
        ValueError: no tensor, or several that can be scores.
    """
    if isinstance(result, Tensor):
        return result
    logits = result.get("logits") if isinstance(result, Mapping) else getattr(result, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    found = tensors_of(result)
    if not found:
        raise ValueError("the output must hold a tensor to be measured, got none")
    fitting = [tensor for tensor in found if can_be_scores(tensor, targets)]
    if not fitting:  # the only tensor with numbers for each example, as if it had come alone
        fitting = [t for t in found if t.is_floating_point() and t.ndim and len(t) == len(targets)]
    if len(fitting) == 1:
        return fitting[0]
    shapes = " and ".join(str(tuple(tensor.shape)) for tensor in (fitting or found)[:4])
    raise ValueError(
        f"the output must hold one tensor that can be scores for targets {tuple(targets.shape)}, got "
        f"{len(fitting) or 'none'} in {type(result).__name__}, of shapes {shapes}; {HOW}"
    )


def can_be_scores(tensor: Tensor, targets: Tensor) -> bool:
    """Whether numbers have the shape of scores for these targets: a number for each class, or one for each target."""
    if not tensor.is_floating_point() or tensor.ndim == 0 or len(tensor) != len(targets):
        return False
    each = tensor.numel() == targets.numel()
    if targets.is_floating_point():
        return each
    top = int(targets.max())
    if each:
        return top <= 1
    if targets.numel() == len(targets):
        return tensor.shape[1] == tensor[0].numel() > top
    last = tensor.shape[:-1] == targets.shape and tensor.shape[-1] > top
    first = tensor.shape[:1] + tensor.shape[2:] == targets.shape and tensor.shape[1] > top
    return last or first


@dataclass(frozen=True)
class Plain:
    """The forward pass of examples (inputs, targets), unless another is given.

    Inputs in a tuple are arguments, those in a dict keywords. The model never gets the targets.

    Attributes:
        next_token: Whether the targets are the inputs of a language model: the scores at a position are then for the
            target at the next.
    """

    next_token: bool = False

    def __call__(self, model: nn.Module, batch: tuple[Any, Tensor]) -> tuple[Tensor, Tensor]:
        """(scores, targets) of some examples."""
        inputs, targets = batch
        return self.compared(scores_of(call(model, inputs), targets), targets)

    def compared(self, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and the targets that they are for.

        Raises:
            ValueError: scores that are not (n, T, V) for the tokens (n, T) of a language model.
        """
        if not self.next_token:
            return scores, targets
        if scores.ndim != 3 or scores.shape[:2] != targets.shape:
            raise ValueError(
                f"the output must be (n, T, V) for labels {tuple(targets.shape)} that are the inputs, "
                f"got shape {tuple(scores.shape)}; {HOW}"
            )
        return scores[:, :-1], targets[:, 1:]


def plain_forward(inputs: Any, targets: Tensor) -> Plain:
    """The forward pass for such examples: labels that equal the input tokens where they count are shifted by one."""
    parts = inputs.get("input_ids") if isinstance(inputs, Mapping) else inputs
    if not isinstance(parts, Tensor) or parts.is_floating_point() or targets.is_floating_point():
        return Plain()
    if targets.ndim != 2 or parts.shape != targets.shape or targets.shape[1] < 2:
        return Plain()
    counts = targets != IGNORED
    same = bool(((parts.to(targets.device) == targets) | ~counts).all())
    return Plain(next_token=same and bool(counts.any()))


def run(forward: Forward, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """(scores, targets, mask) of some examples.

    Raises:
        ValueError: a forward pass that returns something else, or scores and targets that do not fit.
    """
    found = forward(model, batch)
    if isinstance(forward, Plain):
        scores, targets = found
        return check_layer_output("output", scores, len(targets)), targets, None
    if not isinstance(found, tuple | list) or len(found) not in (2, 3) or not _tensors(found):
        got = ", ".join(type(part).__name__ for part in found) if isinstance(found, tuple | list) else None
        raise ValueError(
            "forward must return tensors (scores, targets) or (scores, targets, mask), "
            f"got {f'({got})' if got is not None else type(found).__name__}"
        )
    scores, targets = found[0].detach(), found[1].detach()
    mask = found[2] if len(found) == 3 else None
    if scores.ndim == 0 or targets.ndim == 0 or len(scores) != len(targets):
        raise ValueError(
            "forward must return scores and targets of equally many examples, "
            f"got shapes {tuple(scores.shape)} and {tuple(targets.shape)}"
        )
    if mask is None:
        return scores, targets, None
    if mask.numel() != targets.numel() or len(mask) != len(targets):
        raise ValueError(
            "forward must return a mask in the shape of the targets, "
            f"got {tuple(mask.shape)} for {tuple(targets.shape)}"
        )
    return scores, targets, mask.detach().to(targets.device, torch.bool)


def check_forward(forward: object) -> None:
    """Raise TypeError for what is no function."""
    if not callable(forward):
        raise TypeError(f"forward must be a function of (model, batch), got {shown(forward)}")


def _tensors(found: Any) -> bool:
    return all(isinstance(part, Tensor) for part in found[:2]) and (
        len(found) == 2 or found[2] is None or isinstance(found[2], Tensor)
    )
