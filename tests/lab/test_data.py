"""Image data sets in the hub's parquet layout: read once, cached, and a clear line where they are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from infopace.lab import data
from infopace.lab.data import load_images
from infopace.lab.errors import InputError
from infopace.lab.workloads.mnist_lenet import MNIST_LENET


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
    assert read.train_inputs.dtype == torch.uint8
    assert torch.equal(read.train_inputs, torch.from_numpy(train)[:, None])
    assert torch.equal(read.test_inputs, torch.from_numpy(test)[:, None])
    assert read.train_targets.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert read.test_targets.tolist() == [2, 1, 0, 2]
    assert read.test_targets.dtype == torch.int64


def test_colour_images_in_shards_with_the_hubs_other_column_name(root: Path) -> None:
    train, test = pixels(6, 3, 0), pixels(2, 3, 1)
    write_parquet(root / "colour" / "train-00000-of-00002.parquet", train[:3], [0, 1, 2], column="img")
    write_parquet(root / "colour" / "train-00001-of-00002.parquet", train[3:], [2, 1, 0], column="img")
    write_parquet(root / "colour" / "test-00000-of-00001.parquet", test, [0, 1], column="img")
    read = load_images("colour", hub_name="somebody/colour")
    assert torch.equal(read.train_inputs, torch.from_numpy(train.transpose(0, 3, 1, 2).copy()))
    assert read.train_targets.tolist() == [0, 1, 2, 2, 1, 0]


def test_decoded_once_and_again_where_a_file_was_replaced_or_the_cache_is_torn(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pixels(4, 1, 0)
    for split in ("train", "test"):
        write_parquet(root / "small" / f"{split}-00000-of-00001.parquet", images, [0, 1, 2, 0])
    decoded: list[str] = []
    decode = data._decode
    monkeypatch.setattr(data, "_decode", lambda *a: decoded.append(a[0]) or decode(*a))
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
    assert torch.equal(replaced.train_inputs, torch.from_numpy(images[::-1].copy())[:, None])


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

    def no_answer(source: str) -> None:
        raise ConnectionError(f"cannot reach the hub\nfor {source}")

    monkeypatch.delenv("INFOPACE_DATA")
    monkeypatch.setattr(datasets, "load_dataset", no_answer)
    with pytest.raises(InputError) as caught:
        load_images("small", hub_name="somebody/small")
    message = str(caught.value)
    assert "INFOPACE_DATA is not set, so the hub was asked" in message
    assert "cannot reach the hub for somebody/small" in message
    assert "\n" not in message


@pytest.mark.needs_data
def test_all_of_mnist() -> None:
    mnist = MNIST_LENET.load()
    assert mnist.train_inputs.shape == (60_000, 1, 28, 28)
    assert mnist.test_inputs.shape == (10_000, 1, 28, 28)
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
    assert round(mnist.train_inputs.float().mean().item() / 255, 4) == 0.1307
