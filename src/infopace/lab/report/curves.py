"""From the runs of one workload to three charts: learning rate, information by layer, test metric."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from infopace.lab.moves import moves_of
from infopace.lab.report.charts import Axis, Chart, Entry, Line, Number, Point, Series
from infopace.lab.report.reading import Experiment, Method, Run
from infopace.lab.run_folder import Row
from infopace.pictures import COLOURS, thinned

_MOST_VALUES = 20_000  # of all curves of a workload together: about 130 kB
_FEWEST_EPOCHS = 60  # shown of a longer run, however many curves there are
_MOST_MOVES = (4, 40)  # marked on a curve: with many curves, with few
_MOVES_TOGETHER = 400
_NAMED = 6  # curves that the description of a chart names one by one
_EPOCH = Axis("epoch", digits=0)

_NOTHING = {"nats": None, "std_error": None, "decoder": None}

Reader = Callable[[Row], Number | None]


def legend(experiment: Experiment) -> list[Entry]:
    """An entry for each method, and below a layer-wise method one for each layer. No two have the same line."""
    entries: list[Entry] = []

    def add(key: str, label: str) -> None:
        entries.append(Entry(key, label, len(entries) % len(COLOURS), len(entries) // len(COLOURS)))

    for m, method in enumerate(experiment.methods):
        add(f"m{m}", method.name)
        for i, layer in enumerate(_layers(method)):
            twin = layer == _twin(method)
            add(f"m{m}.{i}", f"{layer}, the output" if twin else layer)
    return entries


def experiment_charts(experiment: Experiment) -> list[Chart]:
    """The charts, one below the other over the same epochs."""
    epochs = _shown_epochs(experiment)
    rates: list[Series] = []
    information: list[Series] = []
    tests: list[Series] = []
    for m, method in enumerate(experiment.methods):
        key = f"m{m}"
        of_method = f"{method.name}, " if len(experiment.methods) > 1 else ""
        rates += _rates(key, of_method, method, epochs)
        information += _information(key, of_method, method, epochs)
        tests += _tests(key, method, epochs)
    entries = {entry.key: entry for entry in legend(experiment)}
    rates, information, tests = (
        [dataclasses.replace(s, colour=entries[s.key].colour, dash=entries[s.key].dash) for s in found]
        for found in (rates, information, tests)
    )
    metric = experiment.metric
    span = (0.0, float(experiment.epochs))
    every = f" Every {epochs[1]}th epoch is shown." if len(epochs) > 1 and epochs[1] > 1 else ""
    floors = {run.lr_min for run in _runs(experiment) if run.lr_min is not None}
    references = {
        float(f"{row['reference']:.4g}")
        for run in _runs(experiment)
        for row in run.rows[-1:]
        if row["information"] and row["reference"] is not None
    }
    charts = [
        Chart(
            "Learning rate",
            _summary("Learning rate", rates, "", 4),
            epochs,
            _EPOCH,
            Axis("learning rate", log=True),
            tuple(rates),
            tuple(Line(floor, "lr_min") for floor in sorted(floors) if len(floors) == 1),
            span,
            note="Hover, or use the arrow keys, to read why the rate moved." + every,
        ),
    ]
    if information:
        dotted = ["the decoder bound at the output"] if any(s.bound for s in information) else []
        dotted += ["held-out examples"] if any(s.dotted for s in information) else []
        bands = any(s.low for s in information)
        charts.append(
            Chart(
                "Information",
                _summary("Information", information, "nats", 3),
                epochs,
                _EPOCH,
                Axis("I(T;Y)", "nats"),
                tuple(information),
                tuple(
                    Line(r, f"reference I(X;Y), {r:.3f}") for r in sorted(references) if len(references) <= 2
                ),
                span,
                note=("Bands are standard errors. " if bands else "")
                + (f"Dotted: {' and '.join(dotted)}." if dotted else "")
                + every,
            )
        )
    charts.append(
        Chart(
            f"Test {metric.name}",
            _summary(f"Test {metric.name}", tests, metric.unit, metric.digits),
            epochs,
            _EPOCH,
            Axis(f"test {metric.name}", metric.unit, digits=metric.digits),
            tuple(tests),
            x_range=span,
            settled=experiment.epochs / 10,
            note="The star is the best epoch." + every if len(_runs(experiment)) == 1 else every.strip(),
        )
    )
    return charts


def _runs(experiment: Experiment) -> list[Run]:
    return [run for method in experiment.methods for run in method.runs]


def _shown_epochs(experiment: Experiment) -> list[int]:
    """All epochs, or every k-th and the last. The page stays small."""
    curves = sum(len(run.groups) + 3 * len(run.layers) + 2 for run in _runs(experiment))
    most = max(_MOST_VALUES // max(curves, 1), _FEWEST_EPOCHS)
    last = max((len(run.rows) for run in _runs(experiment)), default=1) - 1
    stride = max(1, math.ceil(last / most))
    ends = {len(run.rows) - 1 for run in _runs(experiment) if run.rows}
    return sorted({*range(0, max(last, 0) + 1, stride), *ends})


# Curves


def _rates(key: str, of_method: str, method: Method, epochs: list[int]) -> list[Series]:
    series: list[Series] = []
    groups = method.runs[0].groups
    curves = len(groups) * len(method.runs)
    most = min(max(_MOVES_TOGETHER // curves, _MOST_MOVES[0]), _MOST_MOVES[1])
    for g, group in enumerate(groups):
        own = f"{key}.{g}" if method.layer_wise else key
        label = f"{of_method}{group}" if method.layer_wise else method.name

        def rate(row: Row, g: int = g) -> Number | None:
            return row["lr"][g] if row["lr"] else None

        points = [_moves(run, g, most) for run in method.runs]
        series += _mean_and_seeds(own, label, method, epochs, rate, geometric=True, points=points)
    return series


def _moves(run: Run, group: int, most: int) -> tuple[Point, ...]:
    rows = [row for row in run.rows if row["decisions"] or not row["epoch"]]
    points = []
    for move in thinned(moves_of(rows, group), most):
        before = "" if move.before is None else f"{move.before:.3g} to "
        text = f"{before}{move.lr:.3g}. {move.reason}"
        points.append(Point(move.at + 1, move.lr, move.phase, text))
    return tuple(points)


def _information(key: str, of_method: str, method: Method, epochs: list[int]) -> list[Series]:
    series: list[Series] = []
    for i, layer in enumerate(_layers(method) or _measured(method)):
        own = f"{key}.{i}" if method.layer_wise else key
        label = f"{of_method}{layer}" if method.layer_wise else method.name

        def nats(row: Row, layer: str = layer) -> Number | None:
            return row["information"].get(layer, _NOTHING)["nats"]

        found = _mean_and_seeds(own, label, method, epochs, nats)
        if len(method.runs) == 1:
            low, high = _band(method.runs[0], layer, epochs)
            found = [Series(own, label, found[0].y, low, high)]
        series += found

        def held_out(row: Row, layer: str = layer) -> Number | None:
            return row["held_out"].get(layer)

        mean = _mean(method, epochs, held_out)
        if any(value is not None for value in mean):
            series.append(Series(own, f"{label}, held out", mean, dotted=True))
    if "output" in _measured(method):

        def decoder(row: Row) -> Number | None:
            return row["information"].get("output", _NOTHING)["decoder"]

        mean = _mean(method, epochs, decoder)
        if any(value is not None for value in mean):
            series.append(Series(key, f"{of_method}decoder bound", mean, bound=True))
    return series


def _band(run: Run, layer: str, epochs: list[int]) -> tuple[list[Number | None], list[Number | None]]:
    low: list[Number | None] = []
    high: list[Number | None] = []
    for epoch in epochs:
        if epoch < len(run.rows):
            found = run.rows[epoch]["information"].get(layer, _NOTHING)
            error = found["std_error"]
            low.append(None if error is None else found["nats"] - error)
            high.append(None if error is None else found["nats"] + error)
    return low, high


def _tests(key: str, method: Method, epochs: list[int]) -> list[Series]:
    metric = method.runs[0].metric

    def test(row: Row) -> Number | None:
        return (
            row["test"] * metric.scale if row["epoch"] else None
        )  # the value before training is far from the others

    points: list[tuple[Point, ...]] = [() for _ in method.runs]
    for r, run in enumerate(method.runs):
        if len(method.runs) == 1 and run.test:
            best = metric.best(run.test)
            text = f"best: {metric.show(run.test[best])}, epoch {best + 1}"
            points[r] = (Point(best + 1, run.test[best] * metric.scale, "best", text),)
    return _mean_and_seeds(key, method.name, method, epochs, test, points=points)


def _mean_and_seeds(
    key: str,
    label: str,
    method: Method,
    epochs: list[int],
    read: Reader,
    *,
    geometric: bool = False,
    points: Sequence[tuple[Point, ...]] = (),
) -> list[Series]:
    """For one run its curve. For several their mean, as far as all of them have come, with each run faint behind it."""
    marks = points or [() for _ in method.runs]
    curves = [_curve(run, epochs, read) for run in method.runs]
    if len(curves) == 1:
        return [Series(key, label, curves[0], step=geometric, points=marks[0])]
    faint = [
        Series(key, f"{label}, seed {run.seed}", curve, step=geometric, faint=True, points=own)
        for run, curve, own in zip(method.runs, curves, marks, strict=True)
    ]
    mean = Series(key, label, _mean(method, epochs, read, geometric), step=geometric)
    return [*faint, mean]


def _curve(run: Run, epochs: list[int], read: Reader) -> list[Number | None]:
    return [read(run.rows[epoch]) for epoch in epochs if epoch < len(run.rows)]


def _mean(method: Method, epochs: list[int], read: Reader, geometric: bool = False) -> list[Number | None]:
    means: list[Number | None] = []
    for values in zip(
        *(_curve(run, epochs, read) for run in method.runs), strict=False
    ):  # up to the end of the shortest
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            means.append(None)
        elif geometric:
            means.append(math.exp(sum(math.log(value) for value in known) / len(known)))
        else:
            means.append(sum(known) / len(known))
    return means


# Layers


def _measured(method: Method) -> list[str]:
    """The layers whose information was measured."""
    return list(max((run.layers for run in method.runs), key=len))


def _twin(method: Method) -> str | None:
    """The layer that is the output under another name, often the last. One curve is enough for both."""
    first = max(method.runs, key=lambda run: len(run.rows))
    if "output" not in first.layers:
        return None

    def trace(layer: str) -> list[float]:
        return [row["information"][layer]["nats"] for row in first.rows]

    output = trace("output")
    return next((layer for layer in first.layers if layer != "output" and trace(layer) == output), None)


def _layers(method: Method) -> list[str]:
    """The layers in the charts of a layer-wise method, and the output where it is not one of them."""
    if not method.layer_wise:
        return []
    groups = list(method.runs[0].groups)
    others = [layer for layer in _measured(method) if layer not in groups]
    return groups + [layer for layer in others if layer != "output" or not _twin(method)]


def _summary(what: str, series: list[Series], unit: str, digits: int) -> str:
    """The chart in words: where each curve begins and ends."""
    parts: list[str] = []
    shown = [s for s in series if not s.faint and not s.bound]
    for one in shown[:_NAMED]:
        values = [value for value in one.y if value is not None]
        if values:
            first, last = (
                f"{value:.{digits}g}" if not unit else f"{value:.{digits}f}"
                for value in (values[0], values[-1])
            )
            parts.append(f"{one.label} from {first} to {last} {unit}".rstrip())
    if not parts:
        return f"{what}: no epoch is finished yet."
    more = f"; and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return f"{what} by epoch: {'; '.join(parts)}{more}."
