"""Image data sets from INFOPACE_DATA or the hub: decoded once and cached as uint8, or decoded batch by batch."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.lazy_images import LazyImages, pixels
from infopace.lab.workload import Data

_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# Folders of test images, and the split that each is.
_TEST_FOLDERS = {"test": "test", "val": "validation", "validation": "validation"}
TEST_SPLITS = ("test", "validation")
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


def data_file(name: str, workload: str, what: str) -> Path:
    """INFOPACE_DATA/<name>. Raises InputError that says how to get the file, which is `what`, if it is not there."""
    root = data_folder()
    how = f"put {what} at <folder>/{name}"
    if root is None:
        raise InputError(
            f"{workload} needs INFOPACE_DATA, which is not set; {how} and set INFOPACE_DATA=<folder>"
        )
    if not (root / name).is_file():
        raise InputError(f"no file {root / name} (INFOPACE_DATA = {root}); {how}")
    return root / name


@dataclass(frozen=True)
class _Source:
    """A data set: the arguments with which `datasets` loads it, and its files if they are on this machine."""

    name: str
    hub_name: str
    root: Path | None
    arguments: dict[str, Any]
    files: tuple[Path, ...] = ()

    def cache(self) -> Path:
        """The file of the decoded tensors. A source file with another name, size or time gives another one."""
        stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in self.files]
        identity = repr(stats) if stats else f"hub:{self.hub_name}"
        return cache_folder() / f"{self.name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.pt"


def load_images(name: str, *, hub_name: str) -> Data:
    """An image classification data set as uint8 tensors (n, channels, height, width) and integer labels.

    Read from INFOPACE_DATA/<name>/: *.parquet (the hub's layout), or images train/<class>/*.png and
    test/<class>/ or val/<class>/; or, where INFOPACE_DATA is not set, from the hub under `hub_name`. The images
    become RGB unless all are grey. Raises InputError that names the places searched and how to get the data.
    """
    source = _find(name, hub_name)
    cached = source.cache()
    data = _read_cache(cached)
    if data is None:
        with _reading(source):
            data = _decode(source)
        _write_cache(cached, data)
    return data


def load_large_images(
    name: str, *, hub_name: str, size: int, test_splits: Sequence[str] = TEST_SPLITS
) -> Data:
    """A data set that does not fit in memory, found as by `load_images` and decoded batch by batch.

    The inputs are LazyImages (n, 3, size, size). The test set is the first of `test_splits` that exists.
    """
    source = _find(name, hub_name, test_splits)
    with _reading(source):
        (train, column, labels), (test, test_column, test_labels) = _splits(source, test_splits)
    return Data(LazyImages(train, column, size), labels, LazyImages(test, test_column, size), test_labels)


def stratified_subset(data: Data, n: int, *, tests: int | None = None) -> Data:
    """n training images, stratified by class and the same for every seed, and the first `tests` test images.

    None: all test images. Raises InputError for too few training images, or if they cannot be stratified.
    """
    from sklearn.model_selection import train_test_split

    if not isinstance(data.train_inputs, Tensor):
        raise InputError("a subset needs images in memory, got images that are decoded batch by batch")
    there = len(data.train_targets)
    if n > there:
        raise InputError(f"the training set must have at least {n} images for this workload, got {there}")
    picked = np.arange(there)
    if n < there:
        labels = data.train_targets.numpy()
        try:
            picked, _ = train_test_split(picked, train_size=n, stratify=labels, random_state=0)
        except ValueError as error:  # a class of one image, or fewer images left than classes
            raise InputError(
                f"{n} of {there} images cannot be chosen stratified by class: {error}"
            ) from error
    index = torch.from_numpy(np.sort(picked))
    test_inputs, test_targets = data.test_inputs[:tests], data.test_targets[:tests]
    return Data(data.train_inputs[index], data.train_targets[index], test_inputs, test_targets)


def _find(name: str, hub_name: str, test_splits: Sequence[str] = TEST_SPLITS) -> _Source:
    """INFOPACE_DATA/<name> as parquet files or as folders of images, or the hub."""
    root = data_folder()
    if root is None:
        return _Source(name, hub_name, None, {"path": hub_name})
    folder = root / name
    parquet = tuple(sorted(folder.glob("**/*.parquet")))
    if parquet:
        return _Source(name, hub_name, root, {"path": str(folder)}, parquet)
    train = _images(folder / "train")
    tests = {split: _images(folder / sub) for sub, split in _TEST_FOLDERS.items() if _images(folder / sub)}
    test = next((split for split in test_splits if split in tests), None)
    if not train or test is None:
        raise InputError(
            f"no data set {name!r}: found neither {folder}/*.parquet nor images {folder}/train/<class>/* and"
            f" test/<class>/* or val/<class>/* (INFOPACE_DATA = {root});"
            f" put the parquet files of {hub_name!r} from the Hugging Face hub there,"
            " or unset INFOPACE_DATA to download them"
        )
    unknown = {file.parent.name for file in tests[test]} - {file.parent.name for file in train}
    if unknown:
        raise InputError(f"{folder} must have training images of every class, got none of {sorted(unknown)}")
    files = {"train": [str(f) for f in train], test: [str(f) for f in tests[test]]}
    # The names of the folders are the labels, even words like "test", which `datasets` would read as a split.
    arguments = {"path": "imagefolder", "data_files": files, "drop_labels": False}
    return _Source(name, hub_name, root, arguments, (*train, *tests[test]))


def _images(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(f for f in folder.glob("*/*") if f.suffix.lower() in _EXTENSIONS))


@contextlib.contextmanager
def _reading(source: _Source) -> Iterator[None]:
    """Within it `datasets` shows no bars, and any error becomes one line that says how to get the data set."""
    import datasets

    bars_were_on = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    except InputError:  # it already names the image
        raise
    except Exception as error:  # the loader raises the errors of its transport and file formats
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        origin, where = source.hub_name, "INFOPACE_DATA is not set, so it was looked for on the hub"
        if source.root is not None:
            origin, where = str(source.root / source.name), f"INFOPACE_DATA = {source.root}"
        raise InputError(
            f"cannot read data set {source.name!r} from {origin!r} ({where}): {reason}; point INFOPACE_DATA to a"
            f" folder that holds {source.name}/ with the parquet files of {source.hub_name!r}"
        ) from error
    finally:
        if bars_were_on:
            datasets.enable_progress_bars()


def _splits(source: _Source, test_splits: Sequence[str]) -> list[tuple[Any, str, Tensor]]:
    """The training and the test split: rows with the encoded image, the name of that column, and the labels."""
    import datasets

    splits: Any = datasets.load_dataset(**source.arguments)
    test = next((split for split in test_splits if split in splits), None)
    if "train" not in splits or test is None:
        raise ValueError(f"the splits must be train and {' or '.join(test_splits)}, got {[*splits]}")
    found = []
    for split in (splits["train"], splits[test]):
        columns = split.column_names
        image = next((c for c in columns if c in ("image", "img")), None)
        label = next((c for c in columns if c in ("label", "fine_label", "labels")), None)
        if image is None or label is None:
            raise ValueError(f"there must be a column of images and one of labels, got {columns}")
        rows = split.cast_column(image, datasets.Image(decode=False))
        found.append((rows, image, torch.tensor(split[label][:], dtype=torch.int64)))
    return found


def _decode(source: _Source) -> Data:
    """All images as tensors: grey if all are grey, else RGB."""
    (train, train_column, train_labels), (test, test_column, test_labels) = _splits(source, TEST_SPLITS)
    arrays = [
        [_pixels(row[column], number) for number, row in enumerate(rows)]
        for rows, column in ((train, train_column), (test, test_column))
    ]
    shapes = Counter(array.shape for part in arrays for array in part)
    if len({shape[:2] for shape in shapes}) > 1:
        got = " and ".join(f"{w} x {h}" for h, w in sorted({shape[:2] for shape in shapes})[:3])
        raise ValueError(f"the images must all have one size, got {got} pixels")
    channels = max(shape[2] for shape in shapes)
    inputs = []
    for part in arrays:
        stacked = np.stack([np.broadcast_to(array, (*array.shape[:2], channels)) for array in part])
        inputs.append(torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))))
    return Data(inputs[0], train_labels, inputs[1], test_labels)


def _pixels(encoded: Any, number: int) -> np.ndarray:
    try:
        return pixels(encoded)
    except Exception as error:  # Pillow can raise anything
        where = f" ({encoded['path']})" if encoded.get("path") else ""
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"image {number}{where} cannot be decoded: {reason}") from error


def _read_cache(path: Path) -> Data | None:
    """The cached tensors, or None if there are none or they cannot be read."""
    try:
        parts = torch.load(path, weights_only=True)
    except Exception:  # an unpickler can raise anything
        return None
    if not isinstance(parts, dict) or not all(isinstance(parts.get(name), Tensor) for name in _PARTS):
        return None
    data = Data(*(parts[name] for name in _PARTS))
    pairs = ((data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets))
    return data if all(_are_images(inputs, labels) for inputs, labels in pairs) else None


def _are_images(inputs: Any, labels: Tensor) -> bool:
    kinds = (
        inputs.dtype == torch.uint8 and inputs.ndim == 4 and labels.dtype == torch.int64 and labels.ndim == 1
    )
    return kinds and 0 < len(inputs) == len(labels)


def _write_cache(path: Path, data: Data) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(max_size=1 << 30) as buffer:
            torch.save(dict(zip(_PARTS, data.parts(), strict=True)), buffer)
            buffer.seek(0)
            write_atomically(path, buffer.read())
    except OSError:
        pass  # without a cache the next run takes longer
