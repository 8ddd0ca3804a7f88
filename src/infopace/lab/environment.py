"""What a run was computed with: versions, hardware, commit. Recorded, because bits depend on it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import torch


def versions() -> dict[str, str]:
    """The versions that the numbers depend on."""
    try:
        own = metadata.version("infopace")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        own = "unknown"
    return {
        "infopace": own,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a class of its own, which a checkpoint must not hold
        "numpy": np.__version__,
    }


def hardware(device: torch.device) -> dict[str, str | int]:
    """The CPU, and the GPU where one is used."""
    found: dict[str, str | int] = {
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
        found["cuda"] = torch.version.cuda or "unknown"
    return found


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def commit() -> str | None:
    """The commit of infopace's source tree, '+' behind it where files differ; None outside a git checkout."""
    source = Path(__file__).resolve().parents[3]
    if not (source / ".git").exists():  # installed, perhaps inside a checkout of somebody else's project
        return None
    try:
        head = _git(source, "rev-parse", "HEAD")
        return f"{head}+" if _git(source, "status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
