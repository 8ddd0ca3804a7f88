"""May an anneal be longer than the hold where the number of epochs allows it? python -m studies.longer_decay.run

noisy-mlp with none, a twentieth, a tenth, .. of its training labels drawn anew from all ten. A tenth of the rows is
held out, the rate is held for four epochs, which is where the rule ends the hold in nearly all trainings of noisy-mlp,
and then annealed until epoch 8, as long as the hold was, or 12, 16 or 20.

Beside the accuracy a row has what could tell the two cases apart when the hold ends: how many times more of the
targets is known of held-out rows than is left to be memorized, J / (H(Y) - J).

Rows go to results/policy_label_noise.jsonl; those that are there are not made again.

Expected: with clean labels every longer anneal is a little better, with a fifth of them random every one is worse, as
in the comparisons; in between the length that is best changes with J / (H(Y) - J), and an anneal as many times longer
than the hold as that says is never worse than one as long as the hold. (A first look at three seeds came before this
was written.)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from functools import partial
from typing import Any
from unittest.mock import patch

from infopace import HoldAndDecay
from infopace.lab.config import HELD_OUT, OURS, PACED
from infopace.lab.workloads.small_images import NOISY_MLP, relabelled_digits
from studies.shared.rows import Setting, make_missing, tested_bounds, trained

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2)
HELD, ENDS, SEEDS = 4, (8, 12, 16, 20), range(3000, 3003)

# A workload is found by the name of a variable.
CLEAN, SHARE_05, SHARE_10, SHARE_15, SHARE_20 = (
    dataclasses.replace(NOISY_MLP, name=f"noisy-mlp-{share:g}", load=partial(relabelled_digits, share))
    for share in SHARES
)
_NAMES = dict(zip(SHARES, ("CLEAN", "SHARE_05", "SHARE_10", "SHARE_15", "SHARE_20"), strict=True))


class HeldForFour(HoldAndDecay):
    """Holds for four epochs, then anneals to the last, whatever is measured."""

    def _held(self, phase: Any, done: int, *measured: Any, **told: Any) -> Any:
        if done < HELD:
            return phase
        return dataclasses.replace(phase, anneal=done, end=self.epochs, why="as planned")


def main() -> None:
    """Run what is missing."""
    settings = (
        {"share": share, "epochs": epochs, "seed": seed}
        for seed, share, epochs in itertools.product(SEEDS, SHARES, ENDS)
    )
    make_missing("policy_label_noise", settings, _run)


def _run(setting: Setting) -> dict[str, Any]:
    planned = {OURS: lambda epochs, **switches: HeldForFour(epochs)}
    with patch.dict(PACED, planned):
        rows = trained(
            f"{__file__}:{_NAMES[setting['share']]}",
            tested_bounds("noisy-mlp"),
            held_out=HELD_OUT,
            epochs=setting["epochs"],
            seed=setting["seed"],
        )
    known = [row["held_out"]["output"] for row in rows if "held_out" in row][HELD]
    return {
        "planned": setting["epochs"],
        "epochs": len(rows) - 1,
        "test": [row["test"] for row in rows[1:]],
        "known": known,
        "odds": known / (math.log(10) - known),
    }


if __name__ == "__main__":
    main()
