"""The documentation site: Sphinx, Markdown by MyST, the furo theme. Built by `make docs`; a warning is an error."""

from __future__ import annotations

import inspect
import os
import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

os.environ["KERAS_BACKEND"] = "torch"  # the adapter imports Keras
_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())[
    "project"
]

project, author, release = (
    _PROJECT["name"],
    _PROJECT["authors"][0]["name"],
    _PROJECT["version"],
)
project_copyright = author
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "infopace"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

highlight_language = "none"  # what names no language is a formula or a command
# A single backtick is code, as in the docstrings.
default_role = "code"
# A name that is linked must be there; those of other packages are not linked.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(torch|collections|numpy)\..*")]
autodoc_typehints = "none"  # signatures show them; the docstrings say what they mean
autodoc_member_order = "bysource"
maximum_signature_line_length = 60  # a phone breaks a longer one within words
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar, napoleon_use_rtype = True, False

# |x| is an absolute value here, and a substitution in reStructuredText.
_BARS = re.compile(r"\|(?=\S)")
_NAMES = re.compile(r"^:(?:ivar|param) \w+(?:, \w+)+:")
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")


def show_formulas(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Indented formulas and examples of a docstring are literal blocks: reStructuredText would fold their lines."""
    found: list[str] = []
    literal = section = False
    for line in lines:
        if line and not line[0].isspace():
            literal, section = False, bool(_SECTION.match(line)) or section
        elif (
            line.strip()
            and not literal
            and not section
            and (not found or not found[-1].strip())
        ):
            found += ["::", ""]
            literal = True
        found.append(line if literal else _BARS.sub(r"\|", line))
    lines[:] = found


def leave_properties(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Napoleon reads "Whether it is over: .." of a property as a type, and Sphinx the first of two names as one."""
    if what == "property" and isinstance(thing, property):
        lines[:] = (inspect.getdoc(thing) or "").splitlines()
    lines[:] = [
        _NAMES.sub(lambda names: names[0].replace(", ", ","), line) for line in lines
    ]


def setup(app: Sphinx) -> None:
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = (
                "Attributes"  # as the docstrings call them; Sphinx says "Variables"
            )
    app.connect(
        "autodoc-process-docstring", show_formulas, priority=400
    )  # before napoleon, which has 500
    app.connect("autodoc-process-docstring", leave_properties, priority=600)
