"""Image data sets: from INFOPACE_DATA or the hub, decoded once to uint8 tensors and cached."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.workload import Data

_PARTS = ("train_inputs", "train_targets", "test_inputs", "test_targets")


def data_folder() -> Path | None:
    """The folder INFOPACE_DATA names, or None: then data sets come from the hub."""
    named = os.environ.get("INFOPACE_DATA", "").strip()
    return Path(named).expanduser() if named else None


def cache_folder() -> Path:
    """INFOPACE_CACHE, or infopace/ in the user's cache folder."""
    named = os.environ.get("INFOPACE_CACHE", "").strip()
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infopace"


def load_images(name: str, *, hub_name: str) -> Data:
    """An image classification data set as uint8 tensors (n, channels, height, width) and integer labels.

    Read from INFOPACE_DATA/<name>/*.parquet (the hub's layout) or, where INFOPACE_DATA is not set, from
    the hub under `hub_name`. Raises InputError that says where it looked and how to get the data.
    """
    root = data_folder()
    source, identity = hub_name, f"hub:{hub_name}"
    if root is not None:
        files = sorted((root / name).glob("**/*.parquet"))
        if not files:
            raise InputError(
                f"no data set {name!r}: looked for {root / name}/*.parquet (INFOPACE_DATA = {root});"
                f" put the parquet files of {hub_name!r} from the Hugging Face hub there,"
                " or unset INFOPACE_DATA to download them"
            )
        source = str(root / name)
        # name, size and time of each file: cheap, and a replaced file gets a new cache entry
        stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        identity = repr(stats)
    cached = cache_folder() / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.pt"
    data = _read_cache(cached)
    if data is None:
        data = _decode(name, source, hub_name, root)
        _write_cache(cached, data)
    return data


def _read_cache(path: Path) -> Data | None:
    """The cached tensors, or None where there are none or they cannot be read: then they are made again."""
    try:
        parts = torch.load(path, weights_only=True)
        return Data(*(parts[p] for p in _PARTS))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _write_cache(path: Path, data: Data) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(max_size=1 << 30) as buffer:
            torch.save(dict(zip(_PARTS, data.parts(), strict=True)), buffer)
            buffer.seek(0)
            write_atomically(path, buffer.read())
    except OSError:
        pass  # a cache that cannot be written costs time, never a run


def _decode(name: str, source: str, hub_name: str, root: Path | None) -> Data:
    import datasets

    where = (
        f"INFOPACE_DATA = {root}" if root is not None else "INFOPACE_DATA is not set, so the hub was asked"
    )
    bars_were_on = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        splits: Any = datasets.load_dataset(source)
        train, test = splits["train"], splits["test"]
        return Data(*_tensors(train), *_tensors(test))
    except Exception as error:  # the loader raises whatever its transport or file format raises
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"cannot read data set {name!r} from {source!r} ({where}): {reason};"
            f" point INFOPACE_DATA to a folder that holds {name}/ with the parquet files of {hub_name!r}"
        ) from error
    finally:
        if bars_were_on:
            datasets.enable_progress_bars()


def _tensors(split: Any) -> tuple[torch.Tensor, torch.Tensor]:
    import datasets

    label = next(c for c in split.column_names if c in ("label", "fine_label", "labels"))
    image = next(c for c in split.column_names if c in ("image", "img"))
    decoded = split.cast_column(image, datasets.Image())
    pixels = np.stack([np.asarray(row[image]) for row in decoded])
    if pixels.ndim == 3:  # grey images come without a channel
        pixels = pixels[..., None]
    inputs = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    return inputs, torch.tensor(split[label][:], dtype=torch.int64)
