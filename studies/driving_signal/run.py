"""Our rule driven by other signals than information: python -m studies.driving_signal.run WORKLOAD

    information             nearest neighbours, at the output, on the probe: what the rule is driven by
    decoder                 the decoder bound there
    training-loss           the mean loss of the epoch's batches, which costs nothing: reference - loss, so in nats
    training-accuracy       on the probe
    validation-information  on a tenth of the training set that is kept out of training
    validation-accuracy     on the same tenth

The same bounds, constants and seeds for all, with the number of epochs known and without. epsilon, the relative noise
of the value, is the range test's for all. Rows go to results/policy_ablation.jsonl; those that are there are not made
again.

Expected, written before the first run: with the number of epochs known no signal differs from information by more
than .1 points of the mean: the rate, not the moment at which it begins to fall, makes the difference. Without it the
training loss holds longest (it falls long after everything is known), accuracies end the hold soonest (they are the
noisiest), and kept-out rows cost accuracy, for they are missing in training.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

from infopace import HoldAndDecay
from infopace.lab.workloads import find_workload
from studies.shared.driven import SIGNALS, train
from studies.shared.rows import Setting, make_missing, tested_bounds


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="Our rule, driven by other signals")
    parser.add_argument("workload")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(3000, 3010)))
    parser.add_argument("--signals", nargs="+", default=list(SIGNALS), choices=list(SIGNALS))
    arguments = parser.parse_args()
    workload, epochs = arguments.workload, find_workload(arguments.workload).epochs

    def run(setting: Setting) -> dict[str, Any]:
        rule = HoldAndDecay(epochs if setting["horizon"] == "known" else None)
        return train(workload, setting["seed"], rule, tested_bounds(workload), signal=setting["signal"])

    make_missing(
        "policy_ablation",
        (
            {"workload": workload, "signal": signal, "horizon": horizon, "seed": seed}
            for seed, signal, horizon in itertools.product(
                arguments.seeds, arguments.signals, ("known", "free")
            )
        ),
        run,
    )


if __name__ == "__main__":
    main()
