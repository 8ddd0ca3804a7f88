"""Sections of docs/results.md about our own rule: what changes, other signals and other constants do to it."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from comparison_section import workload_of
from page import ROOT, read, section, table

from infopace.lab.config import HELD_OUT
from infopace.lab.workload import ACCURACY, Metric
from infopace.policies import _hold_and_anneal

Rows = list[dict[str, Any]]
_PROBE_SIZE = 1000  # the paper's, and the workloads'
_STANDARD = {
    name: getattr(_hold_and_anneal, f"_{name.upper()}") for name in ("visible", "window", "longest", "middle")
}
_HELD_OUT_STANDARD = {
    "held_out": HELD_OUT,
    "visible": _hold_and_anneal._VISIBLE,
    "fewest_held_out": _hold_and_anneal._FEWEST_HELD_OUT,
}


def policy_sections() -> str:
    """All that have rows."""
    made = {
        "policy_held_out": held_out_constants,
        "policy_label_noise": label_noise,
        "policy_changes": changes,
        "policy_ablation": ablation,
        "policy_constants": constants,
        "policy_probe_size": probe_sizes,
        "policy_reference_ends": reference_ends,
        "layer_clocks": clocks,
    }
    here = [name for name in made if (ROOT / "results" / f"{name}.jsonl").exists()]
    return "\n".join(made[name](read(name)) for name in here)


def changes(rows: Rows) -> str:
    """With and without an eye for what changes."""
    out = []
    for (workload, change), some in _grouped(rows, "workload", "change").items():
        finals = _finals(some, lambda setting: setting["rule"])
        sees = [row for row in some if row["setting"]["rule"] == "sees"]
        again = [row["causes"].index("restart") + 1 for row in sees if "restart" in row["causes"]]
        out.append(
            [
                workload,
                change,
                len(sees),
                f"{len(again)} of {len(sees)}"
                + (f", in epoch {statistics.median(again):g}" if again else ""),
                _mean(finals["sees"], _metric(workload)),
                _mean(finals["blind"], _metric(workload)),
                _difference(finals["sees"], finals["blind"], _metric(workload)),
            ]
        )
    head = [
        "workload",
        "change, half-way",
        "seeds",
        "held again",
        "final",
        "blind to changes",
        "difference",
    ]
    text = (
        "`classes`: half of the classes alone for half of the epochs, then all; `batch`: twice the batch size; "
        "`augmentation`: shifted and mirrored images. Means with standard errors; the difference is paired by seed."
    )
    return section(
        "Our rule when something changes in mid-training",
        "`python benchmarks/policies/changes.py WORKLOAD`",
        f"{text}\n\n{table(head, out)}",
    )


def ablation(rows: Rows) -> str:
    """Other signals than information."""
    out = []
    for (workload, horizon), some in _grouped(rows, "workload", "horizon").items():
        finals = _finals(some, lambda setting: setting["signal"])
        for signal, values in finals.items():
            own = [row for row in some if row["setting"]["signal"] == signal]
            holds = [_hold(row) for row in own]
            out.append(
                [
                    workload,
                    horizon,
                    signal,
                    len(values),
                    _mean(values, _metric(workload)),
                    ""
                    if signal == "information"
                    else _difference(values, finals["information"], _metric(workload)),
                    f"{statistics.fmean(holds):.1f}",
                    f"{statistics.fmean(row['epochs'] for row in own):.1f}",
                ]
            )
    head = [
        "workload",
        "epochs",
        "driven by",
        "seeds",
        "final",
        "less information's",
        "held",
        "epochs in all",
    ]
    return section(
        "Our rule driven by other signals",
        "`python benchmarks/policies/ablation.py WORKLOAD`",
        "Held: epochs before the anneal. Validation signals are of a tenth of the training set that is kept out of "
        f"training.\n\n{table(head, out)}",
    )


def constants(rows: Rows) -> str:
    """Each constant of the rule moved alone."""
    return section(
        "Our rule with other constants",
        "`python benchmarks/policies/constants.py WORKLOAD`",
        "Visible 1.96, window 1/2, longest 1/2 and middle 1/2, one of them moved at a time; differences are paired by "
        f"seed, with standard errors.\n\n{_moved_alone(rows, _STANDARD)}",
    )


def held_out_constants(rows: Rows) -> str:
    """Each constant of held-out rows moved alone."""
    text = (
        "A tenth held out, visible 1.96 standard errors, a line through three values at least; one of them moved at "
        "a time, differences paired by seed, with standard errors."
    )
    return section(
        "Held-out rows with other constants",
        "`python benchmarks/policies/held_out.py WORKLOAD`",
        f"{text}\n\n{_moved_alone(rows, _HELD_OUT_STANDARD)}",
    )


def label_noise(rows: Rows) -> str:
    """Anneals longer than the hold, with more and more of the labels random."""
    out = []
    for share in sorted({row["setting"]["share"] for row in rows}):
        some = [row for row in rows if row["setting"]["share"] == share]
        finals = _finals(some, lambda setting: setting["epochs"])
        shortest, *longer = sorted(finals)
        out.append(
            [
                f"{100 * share:g} %",
                len(finals[shortest]),
                f"{statistics.fmean(row['odds'] for row in some):.1f}",
                _mean(finals[shortest], ACCURACY),
                *(_difference(finals[epochs], finals[shortest], ACCURACY) for epochs in longer),
            ]
        )
    ends = sorted({row["setting"]["epochs"] for row in rows})
    head = ["labels redrawn", "seeds", "known / left", f"{ends[0]} epochs", *(f"{end}" for end in ends[1:])]
    text = (
        "noisy-mlp, held for four epochs and then annealed until the last; final accuracy, and what a longer anneal "
        "adds to it (points, paired by seed, standard errors). Known / left: J / (H(Y) - J) of the held-out rows when "
        "the hold ends, how many times more is known of them than is left to be memorized. Expected was that clean "
        "labels gain a little by a longer anneal: they gain nothing. With a twentieth of them random every longer one "
        "loses, though that ratio is still six."
    )
    return section(
        "May an anneal be longer than the hold?",
        "`python benchmarks/policies/label_noise.py`",
        f"{text}\n\n{table(head, out)}",
    )


def _moved_alone(rows: Rows, usual: dict[str, float]) -> str:
    out = []
    for (workload, horizon), some in _grouped(rows, "workload", "horizon").items():
        metric = _metric(workload)
        finals = _finals(some, lambda setting: tuple(setting[name] for name in usual))
        standard = finals[tuple(usual.values())]
        for values in sorted(finals, key=lambda values: _moved(values, usual)):
            name, value = _moved(values, usual)
            own = [row for row in some if tuple(row["setting"][name] for name in usual) == values]
            out.append(
                [
                    workload,
                    horizon,
                    f"{name} = {value:g}" if name else "as they are",
                    len(finals[values]),
                    _mean(finals[values], metric),
                    _difference(finals[values], standard, metric) if name else "",
                    f"{statistics.fmean(_hold(row) for row in own):.1f}",
                    f"{statistics.fmean(row['epochs'] for row in own):.1f}",
                ]
            )
    head = ["workload", "epochs", "constants", "seeds", "final", "less standard's", "held", "epochs in all"]
    return table(head, out)


def probe_sizes(rows: Rows) -> str:
    """Probes of other sizes."""
    out = []
    for (workload,), some in _grouped(rows, "workload").items():
        finals = _finals(some, lambda setting: setting["probe_size"])
        for size in sorted(finals):
            own = [row for row in some if row["setting"]["probe_size"] == size]
            less = (
                ""
                if size == _PROBE_SIZE
                else _difference(finals[size], finals[_PROBE_SIZE], _metric(workload))
            )
            held = f"{statistics.fmean(_hold(row) for row in own):.1f}"
            out.append([workload, size, len(own), _mean(finals[size], _metric(workload)), less, held])
    head = ["workload", "probe, rows", "seeds", "final", f"less {_PROBE_SIZE}'s", "held"]
    return section(
        "Our rule with probes of other sizes",
        "`python benchmarks/policies/probe_size.py WORKLOAD`",
        f"The same bounds for all; differences are paired by seed, with standard errors.\n\n{table(head, out)}",
    )


def reference_ends(rows: Rows) -> str:
    """A rule that was dropped."""
    out = []
    for (workload,), some in _grouped(rows, "workload").items():
        finals = _finals(some, lambda setting: setting["rule"])
        for rule, values in finals.items():
            own = [row for row in some if row["setting"]["rule"] == rule]
            epochs = f"{statistics.fmean(row['epochs'] for row in own):.1f}"
            learned = f"{statistics.fmean(max(row['values']) for row in own):.2f}"
            out.append(
                [workload, rule, len(values), f"{statistics.median(values.values()):.3f}", epochs, learned]
            )
    head = ["workload", "the hold ends", "seeds", "final", "epochs in all", "most information, nats"]
    return section(
        "Dropped: the hold ends where information passes the reference",
        "`python benchmarks/policies/reference_ends.py`",
        f"Mean absolute error, the median of the runs.\n\n{table(head, out)}",
    )


def clocks(rows: Rows) -> str:
    """How long each layer was held."""
    groups: dict[tuple[str, ...], Rows] = defaultdict(list)
    for row in rows:
        groups[row["workload"], row["method"], row["layer"]].append(row)
    out = []
    for (workload, method, layer), own in groups.items():
        held = [row["held"] for row in own]
        out.append(
            [
                workload,
                "each layer" if method.endswith("layer-wise") else "one",
                layer,
                len(own),
                f"{statistics.fmean(held):.1f} ({min(held)} to {max(held)})",
                sum(row["held_again"] > 0 for row in own),
                f"{statistics.fmean(row['nats'] for row in own):.3f}",
            ]
        )
    head = [
        "workload",
        "rate for",
        "driven by",
        "runs",
        "epochs held",
        "runs that held again",
        "nats at the end",
    ]
    return section(
        "The clocks of the layers",
        "`python benchmarks/policies/layer_clocks.py FOLDER`, of a comparison's folder",
        f"Our rule, one rate for all layers or one for each; accuracies are in the comparison.\n\n{table(head, out)}",
    )


def _moved(values: tuple[float, ...], usual: dict[str, float]) -> tuple[str, float]:
    """The constant that differs from the usual, and its value; nothing where none does."""
    pairs = zip(usual.items(), values, strict=True)
    return next(((name, value) for (name, standard), value in pairs if value != standard), ("", 0.0))


def _grouped(rows: Rows, *names: str) -> dict[tuple[str, ...], Rows]:
    found: dict[tuple[str, ...], Rows] = defaultdict(list)
    for row in rows:
        found[tuple(row["setting"][name] for name in names)].append(row)
    return dict(found)


def _finals(rows: Rows, key: Callable[[dict[str, Any]], Any]) -> dict[Any, dict[int, float]]:
    """Final values by key and seed; of a run that diverged, nan."""
    found: dict[Any, dict[int, float]] = defaultdict(dict)
    for row in rows:
        setting = row["setting"]
        by_itself = (
            setting.get("horizon") == "free" or setting.get("rule") == "reference" or setting.get("held_out")
        )
        ended = row["epochs"] == row["planned"] or by_itself
        value = row["test"][-1] if row["test"] and ended else math.nan
        found[key(row["setting"])][row["setting"]["seed"]] = value
    return found


def _hold(row: dict[str, Any]) -> int:
    return row["causes"].index("anneal") if "anneal" in row["causes"] else row["epochs"]


def _metric(workload: str) -> Metric:
    return workload_of([{"workload": workload}]).metric


def _mean(values: dict[int, float], metric: Metric) -> str:
    return _with_error(list(values.values()), metric.scale, "")


def _difference(these: dict[int, float], those: dict[int, float], metric: Metric) -> str:
    return _with_error([these[seed] - those[seed] for seed in these if seed in those], metric.scale, "+")


def _with_error(values: list[float], scale: float, sign: str) -> str:
    digits = 2 if scale == 100 else 3
    value = f"{scale * statistics.fmean(values):{sign}.{digits}f}"
    if len(values) == 1:
        return value
    error = scale * statistics.stdev(values) / math.sqrt(len(values))
    return f"{value} ± {error:.{digits}f}"
