"""Augmentation against an obvious loop over images and pixels, and that only training batches are augmented."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from infopace.lab.augment import CropAndFlip, ResizedCropAndFlip
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.steps import PacedSteps
from infopace.lab.training import Training
from infopace.lab.workload import Data, Standardise, pixels_to_unit


def images(n: int, height: int = 7, width: int = 5, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, 256, (n, channels, height, width), generator=generator).to(torch.uint8)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crop_slowly(image: Tensor, top: int, left: int, mirrored: bool, padding: int, mode: str) -> Tensor:
    """One image, pixel by pixel: pad it, cut a window of the old size at (top, left), mirror it."""
    _, height, width = image.shape
    out = torch.zeros_like(image)
    for i in range(height):
        for j in range(width):
            row, column = top + i - padding, left + j - padding
            if mode == "reflect":
                row = -row if row < 0 else 2 * (height - 1) - row if row >= height else row
                column = -column if column < 0 else 2 * (width - 1) - column if column >= width else column
            if 0 <= row < height and 0 <= column < width:
                out[:, i, width - 1 - j if mirrored else j] = image[:, row, column]
    return out


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize("padding", [0, 2, 4])
def test_crop_and_flip_is_the_slow_one(padding: int, mode: Literal["zeros", "reflect"]) -> None:
    n = 40
    batch = images(n)
    got = CropAndFlip(padding, mode)(batch, seeded(3))
    draws = seeded(3)
    top, left, mirrored = (
        torch.randint(high, (n, 1), generator=draws).flatten().tolist()
        for high in (2 * padding + 1, 2 * padding + 1, 2)
    )
    for i in range(n):
        want = crop_slowly(batch[i], top[i], left[i], bool(mirrored[i]), padding, mode)
        assert torch.equal(got[i], want), f"image {i} at {top[i]}, {left[i]}"
    assert got.dtype == torch.uint8
    assert set(mirrored) == {0, 1}
    assert set(top) == set(left) == set(range(2 * padding + 1))


def test_padding_modes_agree_with_torch() -> None:
    """The corner window of a padded image: torch pads floating-point images only, hence a reference of its own."""
    batch = images(30)
    modes: dict[Literal["zeros", "reflect"], str] = {"zeros": "constant", "reflect": "reflect"}
    for mode, name in modes.items():
        padded = torch.nn.functional.pad(batch.float(), (2, 2, 2, 2), mode=name).to(torch.uint8)
        windows = padded.unfold(2, 7, 1).unfold(3, 5, 1)
        got = CropAndFlip(2, mode)(batch, seeded(0))
        for i in range(len(batch)):
            places = windows[i].flatten(1, 2).transpose(0, 1)
            assert any(torch.equal(got[i], p) or torch.equal(got[i], p.flip(2)) for p in places)


def test_reflection_needs_enough_pixels() -> None:
    with pytest.raises(ValueError, match="padding must be below the image's 5 pixels to reflect, got 5"):
        CropAndFlip(5, "reflect")(images(1), seeded(0))


def resized_slowly(image: Tensor, box: tuple[float, ...], mirrored: bool, size: int) -> Tensor:
    """One image: bilinear between the four nearest pixel middles, border pixels repeated outside."""
    channels, height, width = image.shape
    top, left, box_height, box_width = box
    out = torch.zeros(channels, size, size)
    for i in range(size):
        for j in range(size):
            y = top + box_height * (i + 0.5) / size - 0.5
            x = left + box_width * ((size - 1 - j if mirrored else j) + 0.5) / size - 0.5
            y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
            y0, x0 = math.floor(y), math.floor(x)
            y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
            upper = image[:, y0, x0] * (1 - x + x0) + image[:, y0, x1] * (x - x0)
            lower = image[:, y1, x0] * (1 - x + x0) + image[:, y1, x1] * (x - x0)
            out[:, i, j] = upper * (1 - y + y0) + lower * (y - y0)
    return out


def test_resized_crop_is_the_slow_one() -> None:
    n, size = 12, 6
    batch, augment = images(n, 9, 11), ResizedCropAndFlip(size)
    got = augment(batch, seeded(5))
    draws = seeded(5)
    boxes = torch.stack(augment.boxes(n, 9, 11, draws), dim=1).tolist()
    mirrored = torch.randint(2, (n,), generator=draws).tolist()
    for i in range(n):
        want = resized_slowly(batch[i].float(), boxes[i], bool(mirrored[i]), size)
        assert (got[i].float() - want).abs().max() <= 0.51, f"image {i}, box {boxes[i]}"
    assert set(mirrored) == {0, 1}
    assert (got.dtype, got.shape) == (torch.uint8, (n, 3, size, size))


def test_boxes_lie_inside_and_have_the_shares_and_ratios_asked_for() -> None:
    top, left, height, width = ResizedCropAndFlip(224).boxes(4000, 256, 256, seeded(0))
    for start, extent in ((top, height), (left, width)):
        assert float(start.min()) >= 0 and float((start + extent).max()) <= 256
    share, ratio = height * width / 256**2, width / height
    assert 0.075 < float(share.min()) < 0.1 and 0.95 < float(share.max()) <= 1
    assert 0.73 < float(ratio.min()) < 0.77 and 1.30 < float(ratio.max()) < 1.36
    assert abs(float(ratio.log().mean())) < 0.02  # as often wide as high


@pytest.mark.parametrize("augment", [CropAndFlip(2), CropAndFlip(2, "reflect"), ResizedCropAndFlip(6)])
def test_equal_seeds_give_equal_images_and_the_batch_is_left_alone(augment: Any) -> None:
    batch = images(16)
    before = batch.clone()
    one, same, other = (augment(batch, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(batch, before)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("augment", [CropAndFlip(2), CropAndFlip(2, "reflect")])
def test_a_gpu_sees_the_same_crops(augment: CropAndFlip) -> None:
    batch = images(16)
    assert torch.equal(augment(batch.cuda(), seeded(0)).cpu(), augment(batch, seeded(0)))


def test_standardise() -> None:
    batch = images(2, 6, 6)
    whole = Standardise((0.5, 0.25, 0.0), (0.5, 0.25, 1.0))(batch)
    assert torch.allclose(whole[:, 1], (batch[:, 1] / 255 - 0.25) / 0.25)
    middle = Standardise((0.5, 0.25, 0.0), (0.5, 0.25, 1.0), size=4)(batch)
    assert torch.equal(middle, whole[:, :, 1:5, 1:5])


@pytest.fixture
def pictures(tiny: Any) -> Any:
    """The tiny workload on images, augmented, and the batches that its augmentation saw."""
    data = images(60, 6, 6, 1)
    labels = torch.arange(60) % 3
    crop = CropAndFlip(2)
    tiny.seen = []

    def augment(batch: Tensor, generator: torch.Generator) -> Tensor:
        result = crop(batch, generator)
        tiny.seen.append((batch, result))
        return result

    tiny.change(
        load=lambda: Data(data[:40], labels[:40], data[40:], labels[40:]),
        build_model=lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3)),
        prepare=pixels_to_unit,
        augment=augment,
        probe_size=30,
    )
    return tiny


def test_only_training_batches_are_augmented(pictures: Any) -> None:
    data = pictures.workload.load()
    training = Training(resolve(TrainConfig(workload="tiny", threads=1)), data)
    training.evaluate()
    assert pictures.seen == []
    assert isinstance(training.steps, PacedSteps)
    probe = training.steps.scheduler._pacer._subject.probe.inputs
    assert all((pixels_to_unit(data.train_inputs) == row).flatten(1).all(1).any() for row in probe)
    training.train_epoch(1, lambda done, total: None)
    assert sum(len(batch) for batch, _ in pictures.seen) == 40
    assert any(not torch.equal(batch, result) for batch, result in pictures.seen)
    training.steps.scheduler.observe()
    training.evaluate()
    assert len(pictures.seen) == 3  # 40 images in batches of 16


def test_epochs_differ_and_seeds_decide(pictures: Any) -> None:
    def seen(seed: int, epoch: int) -> list[Tensor]:
        pictures.seen.clear()
        training = Training(
            resolve(TrainConfig(workload="tiny", threads=1, seed=seed)), pictures.workload.load()
        )
        training.train_epoch(epoch, lambda done, total: None)
        return [result for _, result in pictures.seen]

    first = seen(0, 1)
    assert all(torch.equal(a, b) for a, b in zip(first, seen(0, 1), strict=True))
    assert not torch.equal(first[0], seen(0, 2)[0])
    assert not torch.equal(first[0], seen(1, 1)[0])


def test_an_augmented_run_resumes_bit_for_bit(
    pictures: Any, stop_at: Any, stopped: Any, tmp_path: Any
) -> None:
    pictures.run(tmp_path / "whole")
    with pytest.raises(stopped):
        pictures.run(tmp_path / "cut", stop_at(3))
    pictures.run(tmp_path / "cut")
    pictures.assert_same_ending(tmp_path / "whole", tmp_path / "cut")
