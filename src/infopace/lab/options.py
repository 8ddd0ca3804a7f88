"""Checks of options that several commands have."""

from __future__ import annotations

import math

import torch

from infopace.lab.errors import InputError

# More threads than any machine gains by. The machine that resumes a run may have fewer cores than the first one.
_MOST_THREADS = 1024


def check_common(epochs: int, seed: int, threads: int | None) -> None:
    """Raise InputError for numbers that no command can use."""
    if epochs < 1:
        raise InputError(f"epochs must be >= 1, got epochs = {epochs}")
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be in 0..2^63-1, got seed = {seed}")
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise InputError(f"threads must be in 1..{_MOST_THREADS}, got threads = {threads}")


def check_budget(budget: int | None, method: str, may_go_on: bool, epochs: int) -> None:
    """Raise InputError for a budget that is no part of the epochs, or of a method that ends with its plan."""
    if budget is None:
        return
    if not may_go_on:
        raise InputError(
            f"budget is an option of baselines that can go on after a plan, not of {method}, got budget = {budget}"
        )
    if not 1 <= budget <= epochs:
        raise InputError(f"budget must be in 1..{epochs}, the epochs, got budget = {budget}")


def check_every(every: str | None) -> None:
    """Raise InputError for a cadence that is neither a number of steps nor auto."""
    number = every is not None and every.isascii() and every.isdigit() and int(every) >= 1
    if not (every is None or every == "auto" or number):
        raise InputError(f"every must be a number of steps of at least 1, or auto, got every = {every}")


def check_noise(noise: float | None) -> None:
    """Raise InputError for noise that no information plane can have."""
    if noise is not None and not (math.isfinite(noise) and noise > 0):
        raise InputError(f"diagnostics must be the positive size of the noise, got diagnostics = {noise:g}")


def find_device(name: str) -> torch.device:
    """The device called `name`; InputError where there is none."""
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise InputError(f"device must be cpu, cuda or cuda:<index>, got device = {name!r}")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise InputError(
                f"device = {name!r} needs a GPU, and torch {torch.__version__} finds none; use --device cpu"
            )
        count = torch.cuda.device_count()
        if index and int(index) >= count:
            raise InputError(f"device index must be in 0..{count - 1}, got device = {name!r}")
    return torch.device(name)
