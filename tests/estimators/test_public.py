"""What the room offers: each public name once on its page, and each caution and estimator where a reader chooses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infopace import estimators
from infopace.estimators import Caution
from infopace.estimators._mutual_information import ESTIMATORS

DOCS = Path(__file__).parents[2] / "docs"


def public() -> list[str]:
    # jaxtyping puts its own name into modules that it checks.
    return sorted(name for name in vars(estimators) if not name.startswith("_") and name != "jaxtyping")


def test_the_page_has_every_public_name_once() -> None:
    page = (DOCS / "api" / "estimators.md").read_text()
    assert (
        sorted(re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)$", page, re.MULTILINE)) == public()
    )


@pytest.mark.parametrize("name", public())
def test_every_public_name_has_a_docstring(name: str) -> None:
    assert vars(estimators)[name].__doc__


def test_the_guide_has_every_estimator_and_every_caution() -> None:
    guide = (DOCS / "which-estimator.md").read_text()
    kinds = re.findall(r'"([a-z-]+)"', str(Caution.__doc__))
    assert len(kinds) == 12
    assert [word for word in (*ESTIMATORS[1:], *kinds) if f'`"{word}"`' not in guide] == []
    source = "".join(path.read_text() for path in Path(str(estimators.__file__)).parent.rglob("*.py"))
    assert sorted(set(re.findall(r'Caution\(\s*"([a-z-]+)"', source))) == sorted(kinds)
