"""Tensors of any kind of value -> two tables of features, or an error that echoes what was wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._checks import shown
from infopace._typing import Float, Shaped

# An estimate from fewer pairs says nothing, and unbiased HSIC is not defined for fewer.
_LEAST = 4


def features(name: str, value: Shaped[Tensor, "*shape"], width: int | None = None) -> Float[Tensor, "n d"]:
    """(n, d) numbers of n examples: all axes after the first flattened, class labels one-hot.

    Labels are whole numbers of shape (n,). They get one column for each of `width` classes, or for each class that the
    batch has. Half precision becomes float32.

    Raises:
        TypeError: not a tensor, or complex numbers.
        ValueError: fewer than 4 examples, values that are not finite, another width than `width`, an unknown label.

    >>> features("y", torch.tensor([7, 3, 7, 3])).tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {shown(value)}")
    if value.is_complex():
        raise TypeError(f"{name} must hold real numbers, got {value.dtype}")
    if value.ndim == 0 or len(value) < _LEAST or value.numel() == 0:
        raise ValueError(f"{name} must have {_LEAST} examples or more, got shape {tuple(value.shape)}")
    if value.is_floating_point():
        table = value.reshape(len(value), -1)
        table = table if table.dtype.itemsize >= 4 else table.float()
        if not bool(table.isfinite().all()):
            first = table[~table.isfinite()][0].item()
            raise ValueError(f"{name} must be finite, got {first}")
    elif value.ndim == 1:
        table = _one_hot(name, value, width)
    else:
        table = value.reshape(len(value), -1).to(torch.get_default_dtype())
    if width is not None and table.shape[1] != width:
        raise ValueError(f"{name} must have {width} features an example, got shape {tuple(value.shape)}")
    return table


def feature_pair(
    x: Shaped[Tensor, "*one"],
    y: Shaped[Tensor, "*two"],
    widths: tuple[int | None, int | None] = (None, None),
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n e"]]:
    """The features of n pairs, of one type.

    Raises:
        TypeError, ValueError: as `features`; ValueError too if x and y differ in their number of examples.
    """
    one, two = features("x", x, widths[0]), features("y", y, widths[1])
    if len(one) != len(two):
        raise ValueError(f"x and y must have the same number of examples, got {len(one)} and {len(two)}")
    dtype = torch.promote_types(one.dtype, two.dtype)
    return one.to(dtype), two.to(dtype)


def _one_hot(name: str, labels: Tensor, classes: int | None) -> Tensor:
    if classes is None:
        found, labels = labels.unique(return_inverse=True)
        classes = len(found)
    labels = labels.long()
    outside = (labels < 0) | (labels >= classes)
    if bool(outside.any()):
        raise ValueError(f"{name} must have labels in 0..{classes - 1}, got {int(labels[outside][0])}")
    return torch.nn.functional.one_hot(labels, classes).to(torch.get_default_dtype())
