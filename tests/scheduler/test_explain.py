"""What explain() returns: a text that a notebook and rich show as a table."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pandas
import pytest
import rich
from rich.console import Console

from infopace.policies import Decision
from infopace.scheduler import Explanation
from infopace.scheduler._explain import Line

from ..small_run import trained


def line(of: str = "", **changes: Any) -> Line:
    usual: dict[str, Any] = {
        "group": 0,
        "first_unit": 1,
        "last_unit": 3,
        "of": of,
        "first": 0.1,
        "last": 0.1,
        "share": "",
        "decision": Decision(0.1, "hold", "a <b> & [bold]c[/bold]"),
        "as_decided": True,
        "warming_up": False,
    }
    return Line(**{**usual, **changes})


def explained(*lines: Line, found: tuple[str, ...] = ()) -> Explanation:
    return Explanation.of(found, lines, lambda first, last: f"epochs {first} to {last}")


def printed(explanation: Explanation) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(explanation)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_it_is_the_text() -> None:
    explanation = explained(line(), found=("found lr 0.1",))
    assert isinstance(explanation, str)
    assert f"{explanation}" == "found lr 0.1\nepochs 1 to 3: lr 0.1: a <b> & [bold]c[/bold]"
    assert explanation.splitlines()[0] == "found lr 0.1"
    assert type(str(explanation)) is str


def test_a_notebook_has_a_table_in_which_nothing_is_markup() -> None:
    table = explained(line("conv<1>"), line("fc", last=0.2))._repr_html_()
    assert table.count("<tr>") == 3 and table.count("<th ") == 5
    assert "conv&lt;1&gt;" in table and "a &lt;b&gt; &amp; [bold]c[/bold]" in table
    assert "0.1 → 0.2" in table


def test_one_layer_needs_no_column() -> None:
    table = explained(line(), found=("found lr 0.1",))._repr_html_()
    assert table.count("<th ") == 4 and "layer" not in table
    assert "search" in table


def test_rich_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    explanation = explained(line("conv1"), line("fc", warming_up=True, first=0.01))
    shown = printed(explanation)
    assert "learning rate" in shown and "a <b> & [bold]c[/bold]" in shown
    assert "0.01 → 0.1 with a warm-up" in shown
    rich.print(explanation)
    assert "learning rate" in capsys.readouterr().out


def test_what_other_code_has_set_is_said() -> None:
    (row,) = explained(line(as_decided=False, first=0.3, last=0.3, share=", 0.5 of the layer's")).rows
    assert row[2] == "0.3"
    assert row[4].startswith("set by other code; decided: 0.1, 0.5 of the layer's, a <b>")


def test_a_run_has_as_many_rows_as_lines_of_text() -> None:
    explanation = trained(True, None)[0].scheduler.explain()
    assert isinstance(explanation, Explanation)
    assert len(explanation.rows) == len(explanation.splitlines()) > 3
    assert {row[1] for row in explanation.rows} == {"0", "3"}
    table = pandas.DataFrame(explanation.rows, columns=pandas.Index(explanation.head))
    assert next(iter(table["time"])) == "epoch 1"


def test_it_is_copied_and_pickled_with_its_table() -> None:
    explanation = explained(line())
    for other in (copy.deepcopy(explanation), pickle.loads(pickle.dumps(explanation))):
        assert other == explanation and other.rows == explanation.rows


def test_an_empty_one_is_empty() -> None:
    assert explained() == "" and explained()._repr_html_().count("<tr>") == 1
