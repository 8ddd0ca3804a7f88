"""HTML from values. Everything that comes from outside is escaped here."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any


class Markup(str):
    """Text that is already HTML. Any other string is escaped."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as HTML: escaped, unless it is Markup."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value), quote=True))


def tag(name: str, *content: object, **attributes: object) -> Markup:
    """An element. `class_` stands for class, `data_key` for data-key. An attribute that is None is left out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{shown}>{''.join(text(part) for part in content)}</{name}>")


def joined(parts: Iterable[object], between: str = "\n") -> Markup:
    """Parts one after another."""
    return Markup(between.join(text(part) for part in parts))


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], caption: object = None, **attributes: object
) -> Markup:
    """A table that scrolls by itself on a narrow screen. The first cell of a row is its heading.

    A cell that is already a `td` element stays as it is.
    """
    top = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = joined(
        tag("tr", tag("th", first, scope="row"), *(_cell(cell) for cell in rest)) for first, *rest in rows
    )
    # Above the table, not in it: a caption inside would be as wide as the table and scroll with it.
    above = tag("p", caption, class_="quiet") if caption else Markup()
    whole = tag("table", tag("thead", top), tag("tbody", body), **attributes)
    return joined([above, tag("div", whole, class_="scroll", tabindex=0)])


def _cell(cell: object) -> Markup:
    return cell if isinstance(cell, Markup) and cell.startswith("<td") else tag("td", cell)


def script_data(content: Any) -> str:
    """JSON that is safe inside a <script>: plain ASCII, with nothing that could end the element or begin another."""
    dumped = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
