"""Arrays in .npy and .npz files: numbers or text, never Python objects, and never larger than the file."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from infopace.lab.errors import InputError

_NO_OBJECTS = "must hold numbers, got Python objects, which only pickle reads, and that can run code"
# Deflate needs a bit for 129 bytes at least. A member that claims to shrink more was never packed.
_MOST_SHRUNK = 1032
# numpy parses the header as Python source, and raises what that raises.
_OF_A_HEADER = (
    ValueError,
    TypeError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
)


def read_npy(path: Path) -> np.ndarray:
    """The array of one .npy file."""
    with open(path, "rb") as file:
        return _read(file, path.stat().st_size, str(path), ".npy")


def names_in(path: Path) -> list[str]:
    """The names of the arrays in an .npz file, without reading them."""
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no readable .npz file: it is not a zip archive")
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is no readable .npz file: {error}") from error


def read_member(path: Path, name: str) -> np.ndarray:
    """One array of an .npz file. The others are not read."""
    source = f"{path}[{name}]"
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
            if entry.file_size > _MOST_SHRUNK * (entry.compress_size + 1):
                raise InputError(
                    f"{source} is no readable .npz file: {entry.compress_size} bytes cannot hold {entry.file_size}"
                )
            with archive.open(entry) as file:
                return _read(file, entry.file_size, source, ".npz")
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{source} is no readable .npz file: {error}") from error


def _read(file: Any, size: int, source: str, suffix: str) -> np.ndarray:
    """The array. Its header is checked against the size of the file before anything is allocated."""
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:  # only the names of fields need a later one
            raise InputError(
                f"{source} must hold numbers, got format {version[0]}.{version[1]}, for named fields"
            )
        if dtype.hasobject:
            raise InputError(f"{source} {_NO_OBJECTS}")
        if dtype.kind not in "biufcUS" or not dtype.itemsize:
            raise InputError(f"{source} must hold numbers or labels, got dtype {dtype}")
        needed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
        if min(shape, default=0) < 0 or needed > there:
            raise InputError(
                f"{source} is no readable {suffix} file: its header names {needed} bytes, shape {shape}, and"
                f" {there} are there"
            )
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except _OF_A_HEADER as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source} is no readable {suffix} file: {reason}") from error
