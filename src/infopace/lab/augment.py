"""Augmentation of a batch of uint8 images on its device, with random numbers from the epoch's generator.

The numbers are drawn on the CPU, so that a run on a GPU has the same crops as one on a CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class CropAndFlip:
    """Pad every side, cut out the old size at a random place, mirror half of the images.

    Attributes:
        padding: Pixels added on each side.
        mode: "zeros", black pixels, or "reflect", the image mirrored at its border pixels.
    """

    padding: int
    mode: Literal["zeros", "reflect"] = "zeros"

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(n, channels, height, width) uint8 -> the same shape, every image moved and perhaps mirrored.

        Raises:
            ValueError: The padding is too large to reflect the image.
        """
        n, _, height, width = images.shape
        if self.mode == "reflect" and self.padding >= min(height, width):
            raise ValueError(
                f"padding must be below the image's {min(height, width)} pixels to reflect, got {self.padding}"
            )
        draws = [
            torch.randint(high, (n, 1), generator=generator) for high in 2 * [2 * self.padding + 1] + [2]
        ]
        top, left, mirrored = torch.stack(draws).to(images.device)
        rows = top - self.padding + torch.arange(height, device=images.device)
        columns = left - self.padding + torch.arange(width, device=images.device)
        columns = torch.where(mirrored.bool(), columns.flip(1), columns)
        if self.mode == "reflect":
            return _pick(images, _reflect(rows, height), _reflect(columns, width))
        moved = _pick(images, rows.clamp(0, height - 1), columns.clamp(0, width - 1))
        outside = _outside(rows, height)[:, :, None] | _outside(columns, width)[:, None, :]
        return moved.masked_fill_(outside[:, None], 0)


@dataclass(frozen=True)
class ResizedCropAndFlip:
    """Cut out a random part of each image, stretch it to one size (bilinear), mirror half of them.

    A part has a share of the area drawn uniformly from `area` and a width to height drawn uniformly on a log
    scale from `ratio`; of ten draws the first that fits the image is taken (Szegedy 2015, as commonly read).

    Attributes:
        size: Height and width of the result.
        area: Smallest and largest share of the image's area.
        ratio: Smallest and largest ratio of width to height.
    """

    size: int
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(n, channels, height, width) uint8 -> (n, channels, size, size) uint8."""
        n, _, height, width = images.shape
        tops, lefts, heights, widths = self.boxes(n, height, width, generator)
        mirrored = torch.randint(2, (n,), generator=generator).bool()
        # Where each pixel's middle lies in the image, whose own pixels' middles are at .5, 1.5, ...
        middles = (torch.arange(self.size) + 0.5) / self.size
        y = tops[:, None] + heights[:, None] * middles
        x = lefts[:, None] + widths[:, None] * torch.where(mirrored[:, None], middles.flip(0), middles)
        x, y = (2 * x / width - 1).to(images.device), (2 * y / height - 1).to(images.device)
        grid = torch.stack(
            [x[:, None, :].expand(-1, self.size, -1), y[:, :, None].expand(-1, -1, self.size)], dim=3
        )
        cut = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
        return cut.round_().clamp_(0, 255).to(torch.uint8)

    def boxes(
        self, n: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Top, left, height and width of n parts in whole pixels, each (n,)."""
        tries = (n, 10)
        low, high = self.area
        areas = height * width * (low + (high - low) * torch.rand(tries, generator=generator))
        low, high = (math.log(value) for value in self.ratio)
        ratios = torch.exp(low + (high - low) * torch.rand(tries, generator=generator))
        widths, heights = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
        fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
        first = fits.int().argmax(1, keepdim=True)
        # The clamp is for the rare image for which none of the ten draws fits.
        widths = widths.gather(1, first).squeeze(1).clamp(1, width)
        heights = heights.gather(1, first).squeeze(1).clamp(1, height)
        tops = (torch.rand(n, generator=generator) * (height - heights + 1)).floor()
        lefts = (torch.rand(n, generator=generator) * (width - widths + 1)).floor()
        return tops, lefts, heights, widths


def _pick(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels of each image at its own rows (n, height) and columns (n, width)."""
    n, channels, _, width = images.shape
    places = (rows[:, :, None] * width + columns[:, None, :]).reshape(n, 1, -1)
    picked = images.flatten(2).gather(2, places.expand(-1, channels, -1))
    return picked.view(n, channels, rows.shape[1], columns.shape[1])


def _reflect(places: Tensor, size: int) -> Tensor:
    """Places outside of 0..size-1, mirrored at the first and the last pixel without repeating these."""
    return (size - 1) - (size - 1 - places.abs()).abs()


def _outside(places: Tensor, size: int) -> Tensor:
    return (places < 0) | (places >= size)
