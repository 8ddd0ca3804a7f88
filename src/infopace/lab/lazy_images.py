"""Images of a data set that does not fit in memory: decoded when they are indexed, one batch ahead."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infopace.lab.errors import InputError

_DIGEST_ROWS = 256


class LazyImages:
    """Encoded images, indexed as a tensor (n, 3, size, size) of uint8 would be.

    An image is scaled until its shorter side has `size` pixels, and the middle square is kept. Decoding is
    deterministic and runs on all cores. Only the encoded bytes stay, which `datasets` maps from disk.

    Args:
        rows: A split of a data set, whose image column is not decoded: items hold "bytes" and "path".
        column: Name of the image column.
        size: Height and width of the images.
        places: The rows to use, in order, int64 (n,); None: all.
    """

    def __init__(
        self,
        rows: Any,
        column: str,
        size: int,
        device: torch.device | None = None,
        places: Tensor | None = None,
    ) -> None:
        self._rows, self._column, self._size = rows, column, size
        self._device = device or torch.device("cpu")
        self._places = torch.arange(len(rows)) if places is None else places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Images (len(index), 3, size, size). Raises InputError if one cannot be decoded."""
        places = self._chosen(index).tolist()
        if not places:
            return torch.empty(0, 3, self._size, self._size, dtype=torch.uint8, device=self._device)
        encoded = self._rows[places][self._column]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            decoded = list(pool.map(self._decode, encoded, places))
        images = torch.from_numpy(np.stack(decoded)).to(self._device)
        return images.permute(0, 3, 1, 2).contiguous()

    def to(self, device: torch.device) -> LazyImages:
        """The same images, moved to `device` batch by batch."""
        return LazyImages(self._rows, self._column, self._size, device, self._places)

    def take(self, index: Tensor) -> LazyImages:
        """Some of the images, by a mask (n,) or by their places. None is decoded."""
        return LazyImages(self._rows, self._column, self._size, self._device, self._chosen(index))

    def digest(self) -> bytes:
        """SHA-256 of the number of images and of 256 encoded ones, evenly spaced. Reading all takes too long."""
        places = torch.linspace(0, len(self) - 1, min(_DIGEST_ROWS, len(self))).long().tolist()
        sha = hashlib.sha256(f"{len(self)} images at {self._size}".encode())
        for encoded in self._rows[self._places[places].tolist()][self._column]:
            sha.update(_content(encoded))
        return sha.digest()

    def _chosen(self, index: Tensor | slice) -> Tensor:
        return self._places[index.cpu() if isinstance(index, Tensor) else index]

    def _decode(self, encoded: dict[str, Any], row: int) -> np.ndarray:
        from PIL import Image, ImageOps

        try:
            with Image.open(io.BytesIO(_content(encoded))) as image:
                # JPEG decodes at a half or a quarter of its size for a fraction of the time, where that is enough.
                image.draft("RGB", (self._size, self._size))
                square = ImageOps.fit(
                    image.convert("RGB"), (self._size, self._size), Image.Resampling.BILINEAR
                )
                return np.asarray(square)
        except Exception as error:  # a decoder raises whatever the bytes lead it to
            where = encoded.get("path") if isinstance(encoded, dict) else None
            raise InputError(f"image {row} ({where or 'in parquet'}) cannot be decoded: {error}") from error


class Pairs:
    """Images and targets as a map-style data set, of which a sample can be drawn without decoding the rest."""

    def __init__(self, images: LazyImages, targets: Tensor) -> None:
        self._images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self._images[slice(row, row + 1)][0], self.targets[row]


def in_turn(inputs: Tensor | LazyImages, batches: Sequence[Tensor | slice]) -> Iterator[Tensor]:
    """inputs[batch] for each batch. Lazy images are decoded while the batch before is in use."""
    if isinstance(inputs, Tensor):
        yield from (inputs[batch] for batch in batches)
        return
    ahead: Future[Tensor] | None = None
    with ThreadPoolExecutor(1) as reader:
        for batch in batches:
            ready, ahead = ahead, reader.submit(inputs.__getitem__, batch)
            if ready is not None:
                yield ready.result()
        if ahead is not None:
            yield ahead.result()


def pixels(encoded: dict[str, Any]) -> np.ndarray:
    """An encoded image, {"bytes", "path"}, as (height, width, channels) uint8: one channel if grey, else RGB."""
    from PIL import Image

    with Image.open(io.BytesIO(_content(encoded))) as image:
        grey = image.mode in ("1", "L")
        array = np.asarray(image.convert("L" if grey else "RGB"))
    return array[..., None] if grey else array


def _content(encoded: dict[str, Any]) -> bytes:
    return encoded["bytes"] if encoded.get("bytes") is not None else Path(encoded["path"]).read_bytes()
