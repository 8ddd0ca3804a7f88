"""When a range test says no."""

from __future__ import annotations


class RangeTestError(RuntimeError):
    """The test cannot answer, and says why in one line rather than guess.

    Attributes:
        kind: For programs: "narrow", "crashed", "nothing-learned", "disagreement" or "unfinished".
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
