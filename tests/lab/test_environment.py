"""Freed memory is kept: the system gives each page once."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from infopace.lab import environment

FAULTS = """
import resource, sys
from infopace.lab.environment import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = bytearray(64 << 20)
    block[:: 4096] = b"x" * len(block[:: 4096])
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_pages_are_asked_for_once() -> None:
    faults = {
        way: int(subprocess.run([sys.executable, "-c", FAULTS, way], capture_output=True, check=True).stdout)
        for way in ("keep", "give back")
    }
    assert faults["keep"] < faults["give back"] / 5


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not environment.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(environment.ctypes, "CDLL", lambda name: object())
    assert not environment.keep_freed_memory()
