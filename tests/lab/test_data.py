"""Image data sets in the hub's parquet layout: read once, cached, and a clear line where they are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from infopace.lab import data
from infopace.lab.data import load_images, load_large_images
from infopace.lab.errors import InputError
from infopace.lab.lazy_images import in_turn
from infopace.lab.workload import Data
from infopace.lab.workloads.cifar10 import STANDARDISE, load_cifar10
from infopace.lab.workloads.mnist import MNIST_LENET


def pixels(rows: int, channels: int, seed: int) -> np.ndarray:
    shape = (rows, 5, 6, channels) if channels > 1 else (rows, 5, 6)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_parquet(path: Path, images: np.ndarray, labels: list[int], column: str = "image") -> None:
    """A parquet file as the hub has them: encoded images, class labels, and the features in its metadata."""
    import datasets
    from PIL import Image

    def png(image: np.ndarray) -> dict[str, object]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        return {"bytes": buffer.getvalue(), "path": None}

    features = datasets.Features({column: datasets.Image(), "label": datasets.ClassLabel(num_classes=3)})
    rows = {column: [png(image) for image in images], "label": labels}
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(path))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """INFOPACE_DATA and the cache, both of the test's own."""
    import datasets

    datasets.disable_progress_bars()
    monkeypatch.setenv("INFOPACE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("INFOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub-cache")
    return tmp_path / "data"


def test_grey_images(root: Path) -> None:
    train, test = pixels(7, 1, 0), pixels(4, 1, 1)
    write_parquet(root / "small" / "train-00000-of-00001.parquet", train, [0, 1, 2, 0, 1, 2, 0])
    write_parquet(root / "small" / "test-00000-of-00001.parquet", test, [2, 1, 0, 2])
    read = load_images("small", hub_name="somebody/small")
    assert read.train_inputs[:].dtype == torch.uint8
    assert torch.equal(read.train_inputs[:], torch.from_numpy(train)[:, None])
    assert torch.equal(read.test_inputs[:], torch.from_numpy(test)[:, None])
    assert read.train_targets.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert read.test_targets.tolist() == [2, 1, 0, 2]
    assert read.test_targets.dtype == torch.int64


def test_colour_images_in_shards_with_the_hubs_other_column_name(root: Path) -> None:
    train, test = pixels(6, 3, 0), pixels(2, 3, 1)
    write_parquet(root / "colour" / "train-00000-of-00002.parquet", train[:3], [0, 1, 2], column="img")
    write_parquet(root / "colour" / "train-00001-of-00002.parquet", train[3:], [2, 1, 0], column="img")
    write_parquet(root / "colour" / "test-00000-of-00001.parquet", test, [0, 1], column="img")
    read = load_images("colour", hub_name="somebody/colour")
    assert torch.equal(read.train_inputs[:], torch.from_numpy(train.transpose(0, 3, 1, 2).copy()))
    assert read.train_targets.tolist() == [0, 1, 2, 2, 1, 0]


def test_decoded_once_and_again_where_a_file_was_replaced_or_the_cache_is_torn(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pixels(4, 1, 0)
    for split in ("train", "test"):
        write_parquet(root / "small" / f"{split}-00000-of-00001.parquet", images, [0, 1, 2, 0])
    decoded: list[str] = []
    decode = data._decode
    monkeypatch.setattr(data, "_decode", lambda source: decoded.append(source.name) or decode(source))
    first = load_images("small", hub_name="somebody/small")
    assert load_images("small", hub_name="somebody/small").digest() == first.digest()
    assert len(decoded) == 1

    (cached,) = (tmp_path / "cache").glob("small-*.pt")
    cached.write_bytes(cached.read_bytes()[:300])
    assert load_images("small", hub_name="somebody/small").digest() == first.digest()
    assert len(decoded) == 2

    write_parquet(root / "small" / "train-00000-of-00001.parquet", images[::-1], [0, 2, 1, 0])
    replaced = load_images("small", hub_name="somebody/small")
    assert len(decoded) == 3
    assert torch.equal(replaced.train_inputs[:], torch.from_numpy(images[::-1].copy())[:, None])


def test_a_folder_that_is_not_there_or_empty_says_where_it_looked_and_how_to_get_the_data(root: Path) -> None:
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            load_images("small", hub_name="somebody/small")
        message = str(caught.value)
        assert str(root / "small") in message
        assert f"INFOPACE_DATA = {root}" in message
        assert "somebody/small" in message
        assert "\n" not in message
        (root / "small").mkdir(parents=True, exist_ok=True)


def test_a_file_that_is_not_parquet_is_one_line(root: Path) -> None:
    (root / "small").mkdir(parents=True)
    (root / "small" / "train-00000-of-00001.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(
        InputError, match=r"cannot read data set 'small' from .*small.*point INFOPACE_DATA"
    ) as caught:
        load_images("small", hub_name="somebody/small")
    assert "\n" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def no_answer(path: str) -> None:
        raise ConnectionError(f"cannot reach the hub\nfor {path}")

    monkeypatch.delenv("INFOPACE_DATA")
    monkeypatch.setattr(datasets, "load_dataset", no_answer)
    with pytest.raises(InputError) as caught:
        load_images("small", hub_name="somebody/small")
    message = str(caught.value)
    assert "INFOPACE_DATA is not set, so it was looked for on the hub" in message
    assert "cannot reach the hub for somebody/small" in message
    assert "\n" not in message


def write_folder(folder: Path, images: dict[str, np.ndarray]) -> None:
    """Images by "split/class/file"."""
    from PIL import Image

    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_folder_of_images(root: Path, test: str) -> None:
    grey, colour = pixels(3, 1, 0), pixels(2, 3, 1)
    write_folder(
        root / "own",
        {
            "train/b test/1.png": grey[0],  # names that other loaders take for a split
            "train/b test/2.png": colour[0],
            "train/a/train.png": grey[1],
            f"{test}/b test/1.png": grey[2],
            f"{test}/b test/2.png": colour[1],
        },
    )
    (root / "own" / "train" / "a" / "notes.txt").write_text("not an image")
    read = load_images("own", hub_name="somebody/own")
    assert read.train_targets.tolist() == [0, 1, 1]  # classes in the order of their names
    assert read.test_targets.tolist() == [1, 1]
    expected = [np.stack(3 * [grey[1]], axis=2), np.stack(3 * [grey[0]], axis=2), colour[0]]
    assert torch.equal(
        read.train_inputs[:], torch.from_numpy(np.stack(expected).transpose(0, 3, 1, 2).copy())
    )
    assert read.test_inputs[:].shape == (2, 3, 5, 6)


def test_a_folder_of_images_that_does_not_fit_is_one_line(root: Path) -> None:
    def complaint() -> str:
        with pytest.raises(InputError) as caught:
            load_images("own", hub_name="somebody/own")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    images = pixels(4, 1, 0)
    write_folder(root / "own", {"train/a/1.png": images[0], "train/b/1.png": images[1]})
    assert "nor images" in complaint()
    write_folder(root / "own", {"test/c/1.png": images[2]})
    assert "must have training images of every class, got none of ['c']" in complaint()
    write_folder(root / "own", {"train/c/1.png": images[2][:4]})
    assert "the images must all have one size, got 6 x 4 and 6 x 5 pixels" in complaint()
    (root / "own" / "train" / "c" / "1.png").write_bytes(b"no image")
    assert "train/c/1.png) cannot be decoded: cannot identify image file" in complaint()


def test_columns_and_splits_that_are_missing_are_named(root: Path) -> None:
    write_parquet(root / "small" / "train-00000-of-00001.parquet", pixels(2, 1, 0), [0, 1], column="photo")
    with pytest.raises(InputError, match=r"the splits must be train and test or validation, got \['train'\]"):
        load_images("small", hub_name="somebody/small")
    write_parquet(root / "small" / "test-00000-of-00001.parquet", pixels(2, 1, 0), [0, 1], column="photo")
    with pytest.raises(InputError, match=r"a column of images and one of labels, got \['photo', 'label'\]"):
        load_images("small", hub_name="somebody/small")


def large(root: Path) -> Data:
    """Four training and two test images of several sizes, wanted at 8 x 8."""
    ramp = np.add.outer(4 * np.arange(16), 6 * np.arange(24)).astype(np.uint8)
    write_folder(
        root / "big",
        {
            "train/a/1.png": pixels(1, 3, 0)[0].repeat(2, 0).repeat(2, 1)[:8],
            "train/a/2.png": np.stack([ramp, ramp, ramp], axis=2),
            "train/b/1.png": np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8),
            "train/b/2.png": np.full((30, 11), 77, dtype=np.uint8),
            "validation/a/1.png": np.zeros((9, 9, 3), dtype=np.uint8),
            "validation/b/1.png": np.full((9, 9, 3), 255, dtype=np.uint8),
            "test/a/1.png": np.full((9, 9, 3), 99, dtype=np.uint8),
        },
    )
    return load_large_images("big", hub_name="somebody/big", size=8, test_splits=("validation",))


def test_images_too_large_for_memory_are_decoded_when_indexed(root: Path) -> None:
    from PIL import Image

    read = large(root)
    images, test = read.train_inputs, read.test_inputs
    assert (len(images), len(test)) == (4, 2)
    assert read.train_targets.tolist() == [0, 0, 1, 1]
    everything = images[:]
    assert (everything.dtype, everything.shape) == (torch.uint8, (4, 3, 8, 8))
    # 8 pixels high and 12 wide: the middle, as it is
    first = np.asarray(Image.open(root / "big" / "train" / "a" / "1.png"))
    assert torch.equal(everything[0], torch.from_numpy(first[:, 2:10].transpose(2, 0, 1).copy()))
    # a ramp of 16 x 24 scaled to 8 x 12: still a ramp, twice as steep, from its middle
    steps = everything[1, 0].int().diff(dim=0)[1:-1], everything[1, 0].int().diff(dim=1)[:, 1:-1]
    assert ((steps[0] - 8).abs() <= 1).all() and ((steps[1] - 12).abs() <= 1).all()
    assert abs(everything[1, 0].float().mean().item() - (4 * 7.5 + 6 * 11.5)) < 1
    assert (everything[3] == 77).all()
    assert torch.equal(test[:], torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 8, 8))

    index = torch.tensor([2, 0, 2])
    assert torch.equal(images[index], everything[index])
    assert images[4:].shape == (0, 3, 8, 8)
    batches = [torch.tensor([3, 1]), slice(0, 2), torch.tensor([2])]
    for batch, ahead in zip(batches, in_turn(images, batches), strict=True):
        assert torch.equal(ahead, everything[batch])
    assert list(in_turn(images, [])) == []


def test_a_probe_and_a_digest_of_images_that_are_decoded_as_they_come(root: Path) -> None:
    from infopace import Probe

    read = large(root)
    drawn = Probe.sample(read.train_set(), n=4, seed=0)
    assert torch.equal(drawn.inputs, read.train_inputs[:])
    same = Probe.sample((read.train_inputs[:], read.train_targets), n=2, seed=3)
    assert torch.equal(Probe.sample(read.train_set(), n=2, seed=3).inputs, same.inputs)
    digest = read.digest()
    assert large(root).digest() == digest
    (root / "big" / "train" / "b" / "2.png").unlink()
    assert large_without_writing().digest() != digest


def large_without_writing() -> Data:
    return load_large_images("big", hub_name="somebody/big", size=8, test_splits=("validation",))


def test_an_image_that_cannot_be_decoded_is_named(root: Path) -> None:
    read = large(root)
    (root / "big" / "train" / "a" / "2.png").write_bytes(b"no image at all")
    with pytest.raises(InputError, match=r"image 1 \(.*train/a/2\.png\) cannot be decoded: ") as caught:
        list(in_turn(read.train_inputs, [slice(0, 2)]))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.needs_data
def test_all_of_cifar10_and_the_numbers_that_standardise_it() -> None:
    cifar = load_cifar10()
    assert cifar.train_inputs[:].shape == (50_000, 3, 32, 32)
    assert torch.bincount(cifar.train_targets).tolist() == 10 * [5000]
    assert torch.bincount(cifar.test_targets).tolist() == 10 * [1000]
    levels = torch.arange(256).double() / 255
    for channel in range(3):
        shares = torch.zeros(256, dtype=torch.float64)
        for part in cifar.train_inputs[:].split(10_000):
            shares += torch.bincount(part[:, channel].flatten(), minlength=256) / part[:, channel].numel() / 5
        mean = (shares * levels).sum()
        std = (shares * (levels - mean) ** 2).sum().sqrt()
        assert round(mean.item(), 4) == STANDARDISE.mean[channel]
        assert round(std.item(), 4) == STANDARDISE.std[channel]


@pytest.mark.slow
@pytest.mark.needs_data
def test_all_of_mnist() -> None:
    mnist = MNIST_LENET.load()
    assert mnist.train_inputs[:].shape == (60_000, 1, 28, 28)
    assert mnist.test_inputs[:].shape == (10_000, 1, 28, 28)
    # LeCun's class counts, and his first training image, a five.
    assert torch.bincount(mnist.test_targets).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert int(mnist.train_targets[0]) == 5
    assert round(mnist.train_inputs[:].float().mean().item() / 255, 4) == 0.1307
