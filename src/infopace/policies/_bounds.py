"""The range of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass, fields

from infopace._checks import positive


@dataclass(frozen=True)
class Bounds:
    """The range of the learning rate, and the change of information that counts as none.

    Attributes:
        lr_min: Floor of the learning rate.
        lr_max: Ceiling of the learning rate.
        lr_top: Learning rate of the first epoch; lr_max where not given. `HoldAndDecay` then holds one between the two.
        epsilon: A relative change of information below this counts as none. The default, 0.01, is the relative standard
            error of a neighbour estimate of about 2.2 nats at n = 1000, measured for this project. That of usable
            information is smaller there, 0.006.

    Raises:
        ValueError: a value that is not a positive number, or out of order.
    """

    lr_min: float
    lr_max: float
    lr_top: float = None  # pyright: ignore[reportAssignmentType] - lr_max, filled in at construction
    epsilon: float = 0.01

    def __post_init__(self) -> None:
        if self.lr_top is None:
            object.__setattr__(self, "lr_top", self.lr_max)
        for field in fields(self):
            object.__setattr__(self, field.name, positive(field.name, getattr(self, field.name)))
        if self.lr_min > self.lr_max:
            raise ValueError(
                f"lr_min must be <= lr_max, got lr_min = {self.lr_min} with lr_max = {self.lr_max}"
            )
        if not self.lr_min <= self.lr_top <= self.lr_max:
            raise ValueError(
                f"lr_top must be in lr_min..lr_max, got lr_top = {self.lr_top} with {self.lr_min}..{self.lr_max}"
            )
