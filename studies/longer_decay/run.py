"""Decays that are longer than the hold, with random labels; see README.md. Rows: results/policy_label_noise.jsonl"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from infopace import Decision, Policy
from infopace.lab.config import HELD_OUT
from infopace.lab.workloads.small_images import NOISY_MLP, relabelled_digits
from infopace.policies import Observed
from studies.shared.rows import Setting, make_missing, tested_bounds, trained

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2)
# On noisy-mlp the rule ends nearly every hold after four epochs.
HELD, ENDS, SEEDS = 4, (8, 12, 16, 20), range(3000, 3003)

# A workload is found by the name of a variable.
CLEAN, SHARE_05, SHARE_10, SHARE_15, SHARE_20 = (
    dataclasses.replace(NOISY_MLP, name=f"noisy-mlp-{share:g}", load=partial(relabelled_digits, share))
    for share in SHARES
)
_NAMES = dict(zip(SHARES, ("CLEAN", "SHARE_05", "SHARE_10", "SHARE_15", "SHARE_20"), strict=True))


@dataclass(frozen=True)
class HeldForFour(Policy):
    """Holds for four epochs, then decays to the last, whatever is measured."""

    epochs: int
    # The examples are held out until the decay begins, as with the default rule.
    reads_held_out: ClassVar[bool] = True

    def decide(self, observed: Observed) -> Decision:
        """See `Policy.decide`."""
        epoch, bounds = observed.epoch, observed.bounds
        held = min(max(bounds.lr_top**0.5 * bounds.lr_max**0.5, bounds.lr_top), bounds.lr_max)
        if epoch <= HELD:
            return Decision(bounds.lr_top if epoch == 1 else held, "hold", "as planned")
        if epoch > self.epochs:
            return Decision(bounds.lr_min, "finished", "as planned")
        lr = held * (self.epochs - epoch + 0.5) / (self.epochs - HELD)
        return Decision(max(lr, bounds.lr_min), "decay", "as planned")


def main() -> None:
    """Run what is missing."""
    settings = (
        {"share": share, "epochs": epochs, "seed": seed}
        for seed, share, epochs in itertools.product(SEEDS, SHARES, ENDS)
    )
    make_missing("policy_label_noise", settings, _run)


def _run(setting: Setting) -> dict[str, Any]:
    rows = trained(
        f"{__file__}:{_NAMES[setting['share']]}",
        tested_bounds("noisy-mlp"),
        HeldForFour(setting["epochs"]),
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
