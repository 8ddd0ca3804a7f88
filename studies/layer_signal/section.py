"""The section of the results page."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from studies.layer_signal.run import CHECKPOINTS, NAME, NETWORKS
from studies.layer_signal.signals import QUICK, SLOW
from studies.shared.page import read, section, table

Rows = list[dict[str, Any]]
# Networks in which each layer's outputs are computed from those of the one before and nothing else.
_CHAINS = ("cifar-plain", "california-housing")
# The layer-by-layer table shows the papers' reading, the chosen signal and the best in few columns.
_SHOWN = ("neighbours", "components", "ridge")
_HEAD = [
    "network",
    "signal",
    "seeds",
    "rank correlation, hidden layers (least)",
    "output",
    "span / noise",
    "span / noise of changes",
    "deeper has more",
    "shuffled",
    "training less held out",
    "seconds",
]


def text() -> str:
    """The section of the results page."""
    rows = read(NAME)
    found = _collected(rows)
    lines = [
        [network, signal, *_judged(network, found[network, signal])]
        for network, signal in itertools.product(NETWORKS, QUICK)
        if (network, signal) in found
    ]
    return section(
        "What a hidden layer knows",
        "`python -m studies.layer_signal.run` and `--slow`",
        "Rank correlation with the test value over the checkpoints after 0, 1, 2, 4 and 8 epochs, mean over hidden "
        "layers and seeds. Span: range over training. Noise: standard deviation of one probe, from two disjoint ones; "
        "that of changes is about the mean of each probe over training. Deeper has more: how often a layer has "
        "significantly more than the one before, in networks that are chains. Shuffled: with shuffled targets after "
        "the last epoch, least and most. Training less held out: after the last epoch, hidden layers. Seconds of "
        "processor an estimate. What has no row was not run.\n\n"
        f"{table(_HEAD, lines)}\n\n"
        "Nats by layer after 0, 1, 2, 4 and 8 epochs, mean over two probes and the seeds, in the network of three "
        f"convolutions:\n\n{_by_layer(found)}\n\n"
        "Beside held-out logistic regression, the slow reference, on one probe of the first seed:\n\n"
        f"{_beside_slow(rows)}\n\n"
        "Memory above that of the outputs, and seconds of processor, for 1,000 examples of ten classes:\n\n"
        f"{_memory()}",
    )


def _collected(rows: Rows) -> dict[tuple[str, str], Rows]:
    """The rows of each network and signal whose seeds have all checkpoints."""
    epochs: dict[tuple[str, str, int], Rows] = defaultdict(list)
    for row in rows:
        epochs[row["network"], row["signal"], row["seed"]].append(row)
    found: dict[tuple[str, str], Rows] = defaultdict(list)
    for (network, signal, _), some in epochs.items():
        if sorted(row["epoch"] for row in some) == sorted(CHECKPOINTS):
            found[network, signal] += sorted(some, key=lambda row: row["epoch"])
    return found


def _traces(network: str, rows: Rows, probe: str) -> dict[tuple[int, str], list[float]]:
    """By seed and layer, nats over the checkpoints where the probe was measured; layers in their order."""
    found: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in rows:
        for one in row["found"]:
            if one["probe"] == probe and NETWORKS[network].measures(one["layer"]):
                found[row["seed"], one["layer"]].append(one["nats"])
    return found


def _judged(network: str, rows: Rows) -> list[str]:
    first, second = (_traces(network, rows, probe) for probe in ("first", "second"))
    shuffled, training = (_traces(network, rows, probe) for probe in ("shuffled", "training"))
    seeds = sorted({seed for seed, _ in first})
    sign = -1.0 if network == "california-housing" else 1.0
    test = {seed: [sign * row["test"] for row in rows if row["seed"] == seed] for seed in seeds}
    means = {key: _mean(first[key], second.get(key, first[key])) for key in first}
    hidden = [key for key in first if key[1] != "output"]
    ranks = {key: _rank_correlation(means[key], test[key[0]]) for key in first}
    span = statistics.fmean(max(means[key]) - min(means[key]) for key in hidden)
    noise = changes = None
    if second:
        pairs = [(first[key], second[key]) for key in hidden]
        noise = _noise(itertools.chain(*(zip(*pair, strict=True) for pair in pairs)))
        changes = _noise(itertools.chain(*(zip(*map(_centred, pair), strict=True) for pair in pairs)))
        changes *= math.sqrt(len(CHECKPOINTS) / (len(CHECKPOINTS) - 1))
    over = [
        training[key][-1] - means[key][-1] for key in hidden if len(training.get(key, ())) == len(CHECKPOINTS)
    ]
    least = [value for values in shuffled.values() for value in values]
    seconds = [
        one["seconds"] for row in rows for one in row["found"] if NETWORKS[network].measures(one["layer"])
    ]
    return [
        str(len(seeds)),
        f"{statistics.fmean(ranks[key] for key in hidden):.2f} ({min(ranks[key] for key in hidden):.2f})",
        f"{statistics.fmean(ranks[key] for key in first if key[1] == 'output'):.2f}",
        f"{span:.3f} / {noise:.3f} = {span / noise:.1f}" if noise else f"{span:.3f}",
        f"{span / changes:.1f}" if changes else "",
        _order(first, second) if network in _CHAINS and second else "",
        f"{min(least):.3f} to {max(least):.3f}" if least else "",
        f"{statistics.fmean(over):+.3f}" if over else "",
        f"{statistics.fmean(seconds):.3f}",
    ]


def _order(first: dict[tuple[int, str], list[float]], second: dict[tuple[int, str], list[float]]) -> str:
    """How often a layer has significantly more than the one before, of all pairs of neighbours and checkpoints."""
    rises: list[tuple[float, float]] = []
    for (seed, layer), (other, deeper) in itertools.pairwise(first):
        if seed == other:
            pairs = ((probe[seed, deeper], probe[seed, layer]) for probe in (first, second))
            one, two = ([b - a for b, a in zip(*pair, strict=True)] for pair in pairs)
            rises += zip(one, two, strict=True)
    error = _noise(rises) / math.sqrt(2)
    return f"{sum((one + two) / 2 > 2 * error for one, two in rises)} of {len(rises)}"


def _by_layer(found: dict[tuple[str, str], Rows]) -> str:
    network = _CHAINS[0]
    out = []
    for signal in _SHOWN:
        rows = found[network, signal]
        first, second = (_traces(network, rows, probe) for probe in ("first", "second"))
        for layer in dict.fromkeys(layer for _, layer in first):
            traces = [_mean(first[key], second[key]) for key in first if key[1] == layer]
            over = [f"{statistics.fmean(values):.2f}" for values in zip(*traces, strict=True)]
            width = next(one["width"] for one in rows[0]["found"] if one["layer"] == layer)
            out.append([signal, layer, str(width), " ".join(over)])
    return table(["signal", "layer", "columns", "nats"], out)


def _beside_slow(rows: Rows) -> str:
    """Layers that the linear probe has measured, and what `ridge` says of the same examples."""
    by_place: dict[tuple[str, int, str], dict[str, tuple[float, float]]] = defaultdict(dict)
    for row in rows:
        for one in row["found"]:
            if row["seed"] == 0 and one["probe"] == "first" and row["signal"] in (SLOW, "ridge"):
                place = row["network"], row["epoch"], one["layer"]
                by_place[place][row["signal"]] = one["nats"], one["seconds"]
    out = [
        [
            network,
            layer,
            str(epoch),
            *(f"{value:.3f}" for value in (own[0], slow[0])),
            f"{own[1]:.2f}",
            f"{slow[1]:.2f}",
        ]
        for (network, epoch, layer), found in by_place.items()
        if (slow := found.get(SLOW)) is not None and (own := found.get("ridge")) is not None
    ]
    if not out:
        return "Not run."
    return table(["network", "layer", "epoch", "ridge", "linear probe", "seconds", "seconds"], out)


def _memory() -> str:
    rows = read("layer_signal_memory")
    widths = list(dict.fromkeys(row["width"] for row in rows))
    out = []
    for signal in dict.fromkeys(row["signal"] for row in rows):
        own = {row["width"]: row for row in rows if row["signal"] == signal}
        cells = [
            f"{own[w]['megabytes']:.0f} MB, {own[w]['seconds']:.2f} s" if w in own else "" for w in widths
        ]
        out.append([signal, *cells])
    return table(["signal", *(f"{width:,} columns" for width in widths)], out)


def _mean(one: list[float], other: list[float]) -> list[float]:
    return [(a + b) / 2 for a, b in zip(one, other, strict=True)]


def _centred(values: Iterable[float]) -> list[float]:
    values = list(values)
    return [value - statistics.fmean(values) for value in values]


def _noise(pairs: Iterable[tuple[float, float]]) -> float:
    """Standard deviation of one probe, from pairs of disjoint probes."""
    return math.sqrt(statistics.fmean((a - b) ** 2 / 2 for a, b in pairs))


def _rank_correlation(one: list[float], other: list[float]) -> float:
    """Spearman's; 0 where one is constant."""
    if len(set(one)) == 1 or len(set(other)) == 1:
        return 0.0
    return statistics.correlation(_ranks(one), _ranks(other))


def _ranks(values: list[float]) -> list[float]:
    """Ranks, the mean of them for ties."""
    order = sorted(values)
    return [order.index(value) + (order.count(value) - 1) / 2 for value in values]
