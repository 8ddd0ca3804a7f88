"""The environment of a run: versions, hardware and commit, which are recorded, and how freed memory is kept."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

# Options of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def versions() -> dict[str, str]:
    """The versions that the last bits depend on."""
    try:
        own = metadata.version("infopace")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        own = "unknown"
    return {
        "infopace": own,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # torch's own class of string, which a checkpoint must not hold
        "numpy": np.__version__,
    }


def hardware(device: torch.device) -> dict[str, str | int]:
    """The CPU, and the GPU if one is used."""
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
    """The commit of infopace's source tree, with a '+' if files differ from it; None outside a git checkout."""
    source = Path(__file__).resolve().parents[3]
    if not (source / ".git").exists():  # installed, perhaps inside the checkout of another project
        return None
    try:
        head = _git(source, "rev-parse", "HEAD")
        return f"{head}+" if _git(source, "status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory for the next batch, for the whole process; returns whether it will.

    Without this, large blocks are mapped and unmapped in each batch, and the system clears every page of them.
    [measured] A training step of LeNet on one thread takes 0.48 ms an image instead of 0.62. The memory of a process
    stays at its peak. With another allocator nothing changes.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(
        mallopt(option, value) == 1 for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1))
    )


def set_determinism(threads: int, device: torch.device) -> None:
    """Fix what changes the last bits: the number of threads, and CUDA kernels that differ from call to call."""
    torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)


def seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed dropout and the like; return the generator of the epoch's order, a stream of its own."""
    draws = np.random.SeedSequence([seed, epoch]).generate_state(2, np.uint64)
    torch.manual_seed(int(draws[0]) >> 1)
    return torch.Generator().manual_seed(int(draws[1]) >> 1)
