"""Draw each policy into docs/images, from results/policy_traces.jsonl; see README.md"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from infopace import Bounds, HoldAndDecay, Policy, Vasudevan2020
from infopace.lab.workloads import find_workload
from infopace.pictures import COLOURS, GREY
from infopace.policies import Vasudevan2018, Wang2024, simulate
from studies.shared.page import ROOT, read

EPOCHS = 30  # of the runs that the traces are from
PICTURES: dict[str, dict[str, Policy]] = {
    "hold-and-decay": {
        "epochs=30": HoldAndDecay(EPOCHS),
        "epochs=30, stop_early=True": HoldAndDecay(EPOCHS, stop_early=True),
        "no horizon": HoldAndDecay(),
    },
    "vasudevan2020": {
        'decay="linear"': Vasudevan2020(EPOCHS),
        'decay="none"': Vasudevan2020(decay="none"),
    },
    "vasudevan2018": {"A": Vasudevan2018("A"), "B": Vasudevan2018("B")},
    "wang2024": {"cycle=5": Wang2024(), "cycle=5, triangle=True": Wang2024(triangle=True)},
}
TITLES = {
    "fast": "settles fast",
    "slow": "rises slowly, settles short",
    "jump": "five more classes after epoch 15",
}


def main() -> None:
    """Draw them."""
    traces = read("policy_traces")
    bounds = find_workload("digits").bounds
    for name, policies in PICTURES.items():
        draw(policies, traces, bounds).savefig(ROOT / "docs" / "images" / f"policy-{name}.png", dpi=110)


def draw(policies: dict[str, Policy], traces: list[dict[str, Any]], bounds: Bounds) -> Figure:
    """One column per trace: its information, and below it the learning rates of the policies."""
    figure = Figure(figsize=(9.6, 4.6), layout="constrained", facecolor="white")
    axes = figure.subplots(2, len(traces), sharex=True, sharey="row", height_ratios=(1, 1.6), squeeze=False)
    dotted: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (1, 2))}
    for trace, information, rate in zip(traces, *axes, strict=True):
        nats, reference = trace["nats"], trace["reference"]
        epochs = range(len(nats))
        information.axhline(reference, color=GREY, linewidth=1.2, linestyle="--", label="reference I(X;Y)")
        information.plot(epochs, nats, color="black", linewidth=1.4, label="I(T;Y) at the output")
        information.set_title(TITLES[trace["trace"]], fontsize=10.5, loc="left")
        for limit in (bounds.lr_min, bounds.lr_max):
            rate.axhline(limit, **dotted)
        for i, (label, policy) in enumerate(policies.items()):
            lrs = [d.lr for d in simulate(policy, nats[:-1], reference=reference, bounds=bounds)]
            # The learning rate of epoch e is drawn from e - 1 to e, where its information is.
            rate.step(
                epochs,
                [*lrs, lrs[-1]],
                where="post",
                color=COLOURS[i],
                linewidth=2.1 - 0.7 * i,
                label=label,
            )
        rate.set_yscale("log")
        rate.set_ylim(bounds.lr_min / 1.3, bounds.lr_max * 1.3)
        rate.set_xlabel("epoch")
        for each in (information, rate):
            each.spines[["top", "right"]].set_visible(False)
            each.set_axisbelow(True)
    axes[0][0].set_ylabel("nats")
    axes[1][0].set_ylabel("learning rate")
    axes[0][0].legend(fontsize=8.5, frameon=False, loc="lower right")
    axes[1][0].legend(fontsize=8.5, frameon=False, loc="upper right", bbox_to_anchor=(1, 0.92))
    return figure


if __name__ == "__main__":
    main()
