"""What a pacer needs of copies of a network: one from before the unit of time that runs, one of the best."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Snapshot(Protocol):
    """What training changes in a unit of time, as it was when the unit began; for the roll-back of a `Pacer`."""

    @property
    def known(self) -> bool:
        """Whether there is something to put back: training steps since `keep`."""
        ...

    def divergence(self) -> str | None:
        """How training has diverged since `keep`, in words, such as "a weight is not finite"; None: it has not."""
        ...

    def keep(self) -> None:
        """A unit begins: keep all that it will change, now or before its first step."""
        ...

    def put_back(self) -> None:
        """Put back what was kept; a unit begins."""
        ...


@runtime_checkable
class Best(Protocol):
    """The best network so far, as `HoldAndDecay` has it; false where none is kept."""

    def __bool__(self) -> bool: ...

    def keep(self) -> None:
        """Keep it as it is now, instead of what was kept."""
        ...

    def put_back(self) -> None:
        """Put back what was kept."""
        ...

    def forget(self) -> None:
        """It is not needed any more."""
        ...

    def state(self) -> Any:
        """What is kept, in a form that can be saved."""
        ...

    def check(self, state: Any) -> None:
        """Raise ValueError for what `state` gave of another network."""
        ...

    def load(self, state: Any) -> None:
        """Keep what `state` gave."""
        ...
