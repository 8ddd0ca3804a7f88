"""From what was read to one HTML page, with charts, script and styles inside and nothing to load."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Sequence
from importlib import resources
from string import Template

from infopace.lab.environment import versions
from infopace.lab.report.charts import Chart, Entry
from infopace.lab.report.comparison_table import comparison_table
from infopace.lab.report.curves import experiment_charts, legend
from infopace.lab.report.diagnosed import Inside
from infopace.lab.report.inside_charts import inside_charts, inside_legend, last_table
from infopace.lab.report.markup import Markup, joined, script_data, tag, text
from infopace.lab.report.range_curves import layer_table, range_test_charts
from infopace.lab.report.range_tests import RangeTest
from infopace.lab.report.reading import Contents, Experiment
from infopace.lab.report.scoreboards import Scoreboard, profile_chart, scoreboard_table
from infopace.lab.report.sections import Comparison
from infopace.lab.report.tables import provenance, reasons, results, swatch
from infopace.pictures import COLOURS, COLOURS_ON_DARK

GENERATOR = '<meta name="generator" content="infopace report">'
_SCRIPTS = ("scales.js", "report.js")
_GROUNDS = {
    "light": {
        "ground": "#ffffff",
        "raised": "#f8fafc",
        "ink": "#1b2430",
        "quiet": "#5b6675",
        "rule": "#e3e7ec",
    },
    "dark": {
        "ground": "#12161c",
        "raised": "#1b212a",
        "ink": "#e6eaf0",
        "quiet": "#9aa6b5",
        "rule": "#2c3440",
    },
}


class _Charts:
    """Collects the charts of the page and numbers them."""

    def __init__(self) -> None:
        self.all: list[Chart] = []

    def figure(self, chart: Chart) -> Markup:
        """The place where a chart is drawn, with its description and its values as a table."""
        number = len(self.all)
        self.all.append(chart)
        plot = tag(
            "div",
            tag("svg", role="img", aria_label=chart.summary),
            class_="plot",
            id=f"plot{number}",
            data_chart=number,
            tabindex=0,
            role="group",
            aria_label=f"{chart.title}: read values with the arrow keys",
        )
        values = tag(
            "details",
            tag("summary", "Values as a table"),
            tag("div", tag("table"), class_="scroll", tabindex=0),
            data_chart=number,
        )
        note = tag("p", chart.note) if chart.note else ""
        unit = tag("span", f", {chart.y_axis.unit}", class_="quiet") if chart.y_axis.unit else ""
        return tag("figure", tag("h3", chart.title, unit), plot, tag("figcaption", note, values))


def page(contents: Contents) -> str:
    """The whole HTML document."""
    charts = _Charts()
    of = {name: f"{name}: " if len(_workloads(contents)) > 1 else "" for name in _workloads(contents)}
    sections = [
        *([_refused_section(contents.refused)] if contents.refused else []),
        *(_scoreboard_section(found, charts) for found in contents.scoreboards),
        *(_comparison_section(found, of[found.workload]) for found in contents.comparisons),
        *(_experiment_section(found, of[found.workload], charts) for found in contents.experiments),
        *(
            _inside_section(method.name, inside, of[found.workload], charts)
            for found in contents.experiments
            for method in found.methods
            if (inside := Inside.of(method.runs[0].rows)) is not None
        ),
        *(_range_test_section(found, of[found.workload], charts) for found in contents.range_tests),
    ]
    script = "".join(_resource(name) for name in _SCRIPTS)
    # Only this script may run and nothing may be loaded, so the page is safe to pass on.
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    return Template(_resource("template.html")).substitute(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        title=text(", ".join([*(found.suite for found in contents.scoreboards), *_workloads(contents)])),
        lead=text(_lead(contents)),
        palette=_palette(),
        style=_resource("report.css"),
        sections=joined(sections),
        footer=f"Made by infopace report, version {text(versions()['infopace'])}. This file needs no network.",
        data=script_data([chart.to_json() for chart in charts.all]),
        script=script,
    )


def _resource(name: str) -> str:
    return resources.files("infopace.lab.report").joinpath(name).read_text(encoding="utf-8")


def _palette() -> str:
    """Colours as CSS variables: light, or dark where the system or the button asks for it."""
    rules = {}
    for ground, colours in (("light", COLOURS), ("dark", COLOURS_ON_DARK)):
        variables = {**_GROUNDS[ground], **{f"c{i}": colour for i, colour in enumerate(colours)}}
        rules[ground] = (
            " ".join(f"--{name}: {value};" for name, value in variables.items()) + f" color-scheme: {ground};"
        )
    return (
        f":root {{ {rules['light']} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {rules['dark']} }} }}\n"
        f":root[data-theme=dark] {{ {rules['dark']} }}"
    )


def _workloads(contents: Contents) -> list[str]:
    found = (*contents.experiments, *contents.comparisons, *contents.range_tests)
    return list(dict.fromkeys(part.workload for part in found))


def _lead(contents: Contents) -> str:
    runs = sum(len(method.runs) for found in contents.experiments for method in found.methods)
    parts = [f"{runs} training run{'s' * (runs != 1)}"] if runs else []
    others = (
        (len(contents.range_tests), "range test"),
        (len(contents.comparisons), "comparison"),
        (len(contents.scoreboards), "scoreboard"),
    )
    for count, what in others:
        parts += [f"{count} {what}{'s' * (count != 1)}"] if count else []
    return f"{', '.join(parts)}. Learning rates set from mutual information." if runs else ", ".join(parts)


# Sections


def _heading(of: str, what: str) -> str:
    return f"{of}{what}" if of else what.capitalize()


def _refused_section(refused: Sequence[str]) -> Markup:
    return tag("section", tag("h2", "Not shown"), tag("ul", *(tag("li", line) for line in refused)))


def _experiment_section(experiment: Experiment, of: str, charts: _Charts) -> Markup:
    return tag(
        "section",
        tag("h2", _heading(of, "training runs")),
        results(experiment),
        _legend(legend(experiment)),
        *(charts.figure(chart) for chart in experiment_charts(experiment)),
        reasons(experiment),
        provenance(experiment),
        data_charts="",
    )


def _inside_section(method: str, found: Inside, of: str, charts: _Charts) -> Markup:
    return tag(
        "section",
        tag("h2", _heading(of, f"inside {method}")),
        last_table(found),
        _legend(inside_legend(found)),
        *(charts.figure(chart) for chart in inside_charts(found)),
        data_charts="",
    )


def _legend(entries: Sequence[Entry]) -> Markup:
    """A button for each entry. A method and its layers stay together."""
    methods = itertools.groupby(entries, key=lambda entry: entry.key.partition(".")[0])
    groups = (tag("div", *(_button(entry) for entry in group)) for _, group in methods)
    return tag("div", *groups, class_="legend", role="group", aria_label="Curves: show or hide")


def _button(entry: Entry) -> Markup:
    return tag(
        "button",
        swatch(entry),
        tag("span", entry.label),
        type="button",
        class_="layer" if "." in entry.key else "method",
        aria_pressed="true",
        data_key=entry.key,
    )


def _range_test_section(found: RangeTest, of: str, charts: _Charts) -> Markup:
    shown = {**{name: f"{lr:.3g}" for name, lr in found.bounds.items()}, **found.facts}
    return tag(
        "section",
        tag("h2", _heading(of, "range test")),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in shown.items())),
        *(charts.figure(chart) for chart in range_test_charts(found)),
        layer_table(found),
        data_charts="",
    )


def _comparison_section(found: Comparison, of: str) -> Markup:
    return tag("section", tag("h2", _heading(of, "comparison")), comparison_table(found))


def _scoreboard_section(found: Scoreboard, charts: _Charts) -> Markup:
    chart = profile_chart(found)
    entries = [Entry(series.key, series.label, series.colour, series.dash) for series in chart.series]
    return tag(
        "section",
        tag("h2", f"Scoreboard: {found.suite}"),
        _legend(entries),
        charts.figure(chart),
        scoreboard_table(found),
        data_charts="",
    )
