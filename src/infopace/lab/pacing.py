"""The policies by the names that the command line knows them by."""

from __future__ import annotations

from collections.abc import Callable

from infopace import HoldAndDecay, Policy, Vasudevan2020
from infopace.policies import Vasudevan2018, Wang2024

PAPER = "vasudevan-2020"
OURS = "hold-and-decay"
# Of the number of epochs, None where it is left open, and of the switches of the paper's rule.
PACED: dict[str, Callable[..., Policy]] = {
    OURS: lambda epochs, **switches: HoldAndDecay(epochs),
    PAPER: lambda epochs, **switches: Vasudevan2020(epochs, **switches),
    "vasudevan-2018-a": lambda epochs, **switches: Vasudevan2018("A"),
    "vasudevan-2018-b": lambda epochs, **switches: Vasudevan2018("B"),
    "wang-2024": lambda epochs, **switches: Wang2024(),
}
SWITCHES = ("decay", "saturation", "first_lr")
