"""One table of every policy, histories to try them on, and what their decisions do."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from infopace import Bounds, Decision, HoldAndDecay, Policy, Vasudevan2020
from infopace.policies import Vasudevan2018, Wang2024

BOUNDS = Bounds(lr_min=1e-4, lr_max=0.2, lr_top=0.05, epsilon=0.01)
REFERENCE = 2.3

EVERY: dict[str, Policy] = {
    "Vasudevan2020": Vasudevan2020(epochs=12),
    "Vasudevan2020, printed, signed": Vasudevan2020(epochs=12, decay="printed", saturation="signed"),
    "Vasudevan2020, no decay, by information": Vasudevan2020(decay="none", first_lr="information"),
    "Vasudevan2018, A": Vasudevan2018(),
    "Vasudevan2018, B": Vasudevan2018(variant="B"),
    "Wang2024, cycles of 2": Wang2024(cycle=2),
    "Wang2024, triangles of 3": Wang2024(cycle=3, triangle=True),
    "HoldAndDecay": HoldAndDecay(epochs=12),
    "HoldAndDecay, no horizon": HoldAndDecay(),
}

information = st.floats(-0.2, 2.6)
anything = st.lists(information, min_size=1, max_size=40)
# Traces that settle: most steps are tiny, so that every branch is taken.
settling = st.lists(st.one_of(st.floats(-0.02, 0.02), st.floats(-0.5, 0.5)), min_size=1, max_size=40).map(
    lambda steps: [1.0 + sum(steps[: i + 1]) for i in range(len(steps))]
)
traces = st.one_of(anything, settling)
all_bounds = st.tuples(st.floats(1e-6, 1), st.floats(1, 1e3), st.floats(0, 1), st.floats(1e-4, 0.5)).map(
    lambda drawn: Bounds(
        lr_min=drawn[0],
        lr_max=drawn[0] * drawn[1],
        lr_top=min(max(drawn[0] * drawn[1] ** drawn[2], drawn[0]), drawn[0] * drawn[1]),
        epsilon=drawn[3],
    )
)


def moves(decisions: list[Decision]) -> list[str]:
    """What each decision does to the rate: in a hold, again in one after a decay, in a decay, at the end."""
    found = ["start"]
    for before, now in pairwise(decisions):
        if now.phase != "hold":
            found.append("decay" if now.phase == "decay" else "finished")
        elif before.phase != "hold":
            found.append("again")
        elif now.lr == before.lr:
            found.append("held")
        else:
            found.append("raised" if now.lr > before.lr else "lowered")
    return found
