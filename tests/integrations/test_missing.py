"""An adapter without its framework says in one line what to install, and the library needs none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"


def without(*modules: str, script: str) -> str:
    """What a process says to which some modules do not exist."""
    absent = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    ran = subprocess.run(
        [sys.executable, "-c", absent + script],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ran.stdout + ran.stderr.strip().rpartition("\n")[2]


def test_a_missing_framework_is_named_with_what_to_install() -> None:
    names = ("accelerate", "keras", "lightning", "transformers")
    script = """
import importlib, infopace.integrations
for name in ("accelerate", "keras", "lightning", "transformers"):
    try:
        importlib.import_module("infopace.integrations." + name)
    except ImportError as error:
        print(error)
"""
    said = without(*names, script=script).splitlines()
    assert said == [
        f"infopace.integrations.{name} needs {name if name != 'transformers' else 'accelerate'}: "
        f'pip install "infopace[{name}]"'
        for name in names
    ]


def test_keras_on_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    from infopace.integrations.keras import MutualInformationCallback

    from .plain import small_probe

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND must be torch, got jax"):
        MutualInformationCallback(small_probe())
