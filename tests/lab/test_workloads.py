"""The recipes: their networks' sizes, one step of each on made data, and workloads that a user brings."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from infopace import Bounds
from infopace.lab.augment import CropAndFlip, ResizedCropAndFlip
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.data import stratified_subset
from infopace.lab.errors import InputError
from infopace.lab.training import Training
from infopace.lab.workload import Data
from infopace.lab.workloads import WORKLOADS, find_workload, load_workload
from infopace.lab.workloads.california_housing import FILE as HOUSING_FILE
from infopace.lab.workloads.california_housing import NUMBERS_OF
from infopace.lab.workloads.clinc150 import FILES as CLINC150_FILES
from infopace.lab.workloads.movie_polarity import FILES as POLARITY_FILES
from infopace.lab.workloads.tinyshakespeare import FILE as SHAKESPEARE_FILE
from infopace.probe import Measuring

# Literature: All-CNN-C 1.37 million, WRN-28-10 36.5, ResNet-50 25.56; VGG-16 has 14.71 million in its convolutions.
PARAMETERS = {
    "mnist-lenet": 1_663_370,
    "mnist-10k": 1_663_370,
    # Convolutions, a scale and a shift for each of their channels, and a linear layer. The identity has no weights.
    "cifar10-resnet": 9 * (3 * 16 + 2 * 16**2 + 16 * 32 + 32**2 + 32 * 64 + 64**2)
    + 2 * (3 * 16 + 2 * 32 + 2 * 64)
    + 650,
    # Patches, places, two blocks of 12 w^2 + 13 w weights, a norm and a linear layer, of width 32.
    "cifar10-vit": (3 * 16 + 1) * 32 + 64 * 32 + 2 * (12 * 32**2 + 13 * 32) + 2 * 32 + 330,
    "cifar10-allconv": 1_369_738,
    "cifar10-vgg16": 14_714_688 + 2 * (512 * 512 + 512) + 512 * 10 + 10,
    "cifar100-wrn28-10": 36_536_884,
    "imagenet-resnet50": 25_557_032,
}
INPUTS = {
    "mnist-lenet": ((1, 28, 28), 10),
    "mnist-10k": ((1, 28, 28), 10),
    "cifar10-small": ((3, 32, 32), 10),
    "cifar10-resnet": ((3, 32, 32), 10),
    "cifar10-vit": ((3, 32, 32), 10),
    "cifar10-allconv": ((3, 32, 32), 10),
    "cifar10-vgg16": ((3, 32, 32), 10),
    "cifar100-wrn28-10": ((3, 32, 32), 100),
    "imagenet-resnet50": ((3, 224, 224), 1000),
}


@pytest.mark.parametrize("name", INPUTS)
def test_networks_have_the_size_that_the_literature_gives(name: str) -> None:
    shape, classes = INPUTS[name]
    with torch.device("meta"):  # shapes without numbers
        model = WORKLOADS[name].build_model()
        outputs = model(torch.empty(2, *shape))
    assert outputs.shape == (2, classes)
    if name in PARAMETERS:
        assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", INPUTS)
def test_a_row_of_the_probe_has_as_many_neighbours_in_its_class_as_are_counted(name: str) -> None:
    classes = INPUTS[name][1]
    k = Measuring().k
    assert WORKLOADS[name].probe_size >= (k + 1) * classes


def test_recipes_are_those_of_the_paper() -> None:
    recipes = {
        name: (w.batch_size, w.epochs, w.sgd.weight_decay, w.augment, w.bounds)
        for name, w in WORKLOADS.items()
        if name.startswith(("cifar10-allconv", "cifar10-vgg16", "cifar100", "imagenet"))
    }
    assert recipes == {
        "cifar10-allconv": (256, 350, 0.0, None, Bounds(0.00075, 0.04)),
        "cifar10-vgg16": (256, 200, 5e-4, CropAndFlip(4), Bounds(0.0003, 0.07, 0.01, 0.00048)),
        "cifar100-wrn28-10": (128, 200, 5e-4, CropAndFlip(4, "reflect"), Bounds(0.0003, 0.07)),
        "imagenet-resnet50": (256, 100, 1e-4, ResizedCropAndFlip(224), Bounds(0.0005, 0.1)),
    }


def test_vgg16_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    convolutions = [
        m for m in WORKLOADS["cifar10-vgg16"].build_model().modules() if isinstance(m, torch.nn.Conv2d)
    ]
    assert len(convolutions) == 13
    for conv in convolutions[1:]:
        assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * conv.out_channels)), rel=0.02)
        assert conv.bias is not None and not conv.bias.any()


def encoded(shape: tuple[int, ...], seed: int, kind: str = "PNG") -> bytes:
    from PIL import Image

    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format=kind)
    return buffer.getvalue()


def make_parquet(
    folder: Path, rows: int, shape: tuple[int, ...], image: str, label: str, tests: int = 10
) -> None:
    """Training and test files as the hub has them: ten images in turn, ten classes."""
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({image: datasets.Image(), label: datasets.ClassLabel(num_classes=10)})
    pictures = [{"bytes": encoded(shape, seed), "path": None} for seed in range(10)]
    folder.mkdir(parents=True)
    for split, count in (("train", rows), ("test", tests)):
        columns = {image: [pictures[i % 10] for i in range(count)], label: [i % 10 for i in range(count)]}
        made = datasets.Dataset.from_dict(columns, features=features)
        made.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))


def make_folders(folder: Path) -> None:
    """A folder of JPEG images of many sizes, two classes."""
    for split, count in (("train", 2), ("val", 1)):
        for c, name in enumerate(("cat", "test dog")):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                picture = encoded((260 + 30 * i, 300 + 40 * c, 3), 10 * c + i, "JPEG")
                (folder / split / name / f"{i}.jpg").write_bytes(picture)


MADE: dict[str, Any] = {
    "mnist-lenet": lambda root: make_parquet(root / "mnist", 10, (28, 28), "image", "label"),
    "mnist-10k": lambda root: make_parquet(root / "mnist", 10_050, (28, 28), "image", "label"),
    **dict.fromkeys(
        ("cifar10-small", "cifar10-resnet", "cifar10-vit"),
        lambda root: make_parquet(root / "cifar10", 10_050, (32, 32, 3), "img", "label"),
    ),
    "cifar10-allconv": lambda root: make_parquet(root / "cifar10", 10, (32, 32, 3), "img", "label"),
    "cifar10-vgg16": lambda root: make_parquet(root / "cifar10", 10, (32, 32, 3), "img", "label"),
    "cifar100-wrn28-10": lambda root: make_parquet(root / "cifar100", 10, (32, 32, 3), "img", "fine_label"),
    "imagenet-resnet50": lambda root: make_folders(root / "imagenet"),
}


def make_requests(root: Path) -> None:
    """CLINC150's two files: four requests of each class to train, one to test."""
    import pandas

    (root / "clinc150").mkdir(parents=True)
    for file, count in zip(CLINC150_FILES, (4, 1), strict=True):
        texts = [f"word{label} of request {i}" for i in range(count) for label in range(150)]
        table = pandas.DataFrame({"text": texts, "label": [*range(150)] * count})
        table.to_parquet(root / file)


def make_sentences(root: Path) -> None:
    """Sentence polarity's two files: 200 sentences to train, half of them for the movie, and ten to test."""
    import pandas

    (root / "movie-review-polarity").mkdir(parents=True)
    for file, count in zip(POLARITY_FILES, (200, 10), strict=True):
        texts = [f"a {('bad', 'good')[i % 2]} movie number {i}" for i in range(count)]
        pandas.DataFrame({"text": texts, "label": [i % 2 for i in range(count)]}).to_parquet(root / file)


def make_text(root: Path) -> None:
    """A text with all characters of Shakespeare's, and others of no use."""
    (root / "tinyshakespeare").mkdir(parents=True)
    characters = [chr(48 + i * i % 65) for i in range(20_000)]
    (root / SHAKESPEARE_FILE).write_text("".join(characters))


def make_blocks(root: Path) -> None:
    """A table of made blocks of houses."""
    import pandas

    draws = np.random.default_rng(0)
    columns = {name: draws.uniform(1, 9, 500) for name in NUMBERS_OF}
    columns["median_house_value"] = 20_000 * columns["median_income"] + draws.uniform(1, 9, 500)
    table = pandas.DataFrame({**columns, "ocean_proximity": ["INLAND"] * 500})
    (root / "california-housing").mkdir(parents=True)
    table.to_csv(root / HOUSING_FILE, index=False)


# Small workloads: those whose data come with a package, and those that take a part of another's.
FROM_PACKAGES = ("digits-mlp", "cancer-mlp", "diabetes", "flipped", "friedman-300", "friedman-2k")
ON_SUBSETS: dict[str, Any] = {
    **dict.fromkeys(("mnist-mlp", "deep-mlp", "noisy-mlp", "mnist-1k"), MADE["mnist-10k"]),
    "turned": lambda root: make_parquet(root / "mnist", 10_050, (28, 28), "image", "label", tests=2_000),
    "cifar-plain": MADE["cifar10-small"],
    "clinc150": make_requests,
    "movie-polarity": make_sentences,
    "tinyshakespeare": make_text,
    **dict.fromkeys(("two-digits", "digit-pixels"), MADE["mnist-lenet"]),
    "california-housing": make_blocks,
    "spike-mnist": lambda root: make_parquet(root / "mnist", 4_050, (28, 28), "image", "label"),
    "handwritten-symbols": lambda root: make_parquet(root / "mnist", 16_800, (28, 28), "image", "label"),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """INFOPACE_DATA and the caches, all of the test's own."""
    monkeypatch.setenv("INFOPACE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("INFOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub-cache")
    return tmp_path / "data"


# An epoch of these takes some seconds, of others of their kind less.
SLOW = ("two-digits", "digit-pixels", "tinyshakespeare", "cifar-plain", "deep-mlp", "turned")


def test_every_recipe_has_a_smoke_test() -> None:
    """digits needs no data and is trained in tests/test_cli.py; the regression reads a file of its own."""
    assert set(MADE) | {"digits", "uci-temperature", *FROM_PACKAGES, *ON_SUBSETS} == set(WORKLOADS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in (*FROM_PACKAGES, *ON_SUBSETS)
    ],
)
def test_one_epoch_of_a_small_recipe(name: str, root: Path) -> None:
    if name in ON_SUBSETS:
        ON_SUBSETS[name](root)
    workload = WORKLOADS[name]
    data = workload.load()
    assert isinstance(data.train_inputs, torch.Tensor) and isinstance(data.test_inputs, torch.Tensor)
    some = slice(0, 200)
    data = Data(
        data.train_inputs[some], data.train_targets[some], data.test_inputs[:50], data.test_targets[:50]
    )
    training = Training(resolve(TrainConfig(workload=name, held_out=0.0, threads=1)), data)
    row = training.run_epoch(1, lambda done, total: None)
    assert math.isfinite(row["train_loss"]) and math.isfinite(row["test"])
    assert math.isfinite(row["information"]["output"]["nats"])


# One step of these takes some seconds.
LARGE = ("imagenet-resnet50", "cifar100-wrn28-10")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in MADE]
)
def test_one_step_of_the_recipe_on_made_data(name: str, root: Path) -> None:
    MADE[name](root)
    workload = dataclasses.replace(WORKLOADS[name], batch_size=4, probe_size=4)
    data = workload.load()
    if name in ("mnist-10k", "cifar10-small", "cifar10-resnet", "cifar10-vit"):
        assert torch.bincount(data.train_targets).tolist() == 10 * [1000]
    if isinstance(data.train_inputs, torch.Tensor) and isinstance(data.test_inputs, torch.Tensor):
        # Twice two classes: the information in their labels is ln 2.
        index = torch.cat([torch.nonzero(data.train_targets == c)[:1].flatten() for c in (0, 1)]).repeat(2)
        data = Data(
            data.train_inputs[index], data.train_targets[index], data.test_inputs[:2], data.test_targets[:2]
        )
    training = Training(
        dataclasses.replace(resolve(TrainConfig(workload=name, threads=1)), workload=workload), data
    )
    before = [p.detach().clone() for p in training.model.parameters()]
    row = training.run_epoch(1, lambda done, total: None)
    assert row["train_loss"] == pytest.approx(math.log(INPUTS[name][1]), rel=0.5)
    assert row["reference"] == pytest.approx(math.log(2))
    assert math.isfinite(row["information"]["output"]["nats"])
    assert row["test"] in (0.0, 0.5, 1.0)
    moved = [not torch.equal(p, q) for p, q in zip(before, training.model.parameters(), strict=True)]
    assert all(moved)


def test_a_subset_keeps_the_shares_of_the_classes_and_is_always_the_same() -> None:
    labels = torch.tensor(60 * [0] + 30 * [1] + 10 * [2])
    data = Data(torch.arange(100), labels, torch.arange(7), torch.zeros(7))
    part, again = stratified_subset(data, 20), stratified_subset(data, 20)
    assert torch.bincount(part.train_targets).tolist() == [12, 6, 2]
    assert part.digest() == again.digest()
    assert torch.equal(labels[part.train_inputs[torch.arange(20)]], part.train_targets)
    assert len(part.test_targets) == 7
    assert stratified_subset(data, 100).digest() == data.digest()
    with pytest.raises(
        InputError, match="the training set must have at least 101 images for this workload, got 100"
    ):
        stratified_subset(data, 101)
    with pytest.raises(InputError, match="99 of 100 images cannot be chosen stratified by class: "):
        stratified_subset(data, 99)


OWN = """
from infopace.lab.workloads import WORKLOADS
from beside import NAME
import dataclasses
MINE = dataclasses.replace(WORKLOADS["digits"], name=NAME)
OTHER = 3
"""


def test_a_workload_of_ones_own_from_a_file_and_from_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_workload_file.py").write_text(OWN)
    (tmp_path / "beside.py").write_text("NAME = 'mine'")
    assert load_workload(f"{tmp_path}/own_workload_file.py:MINE").name == "mine"
    assert find_workload(f"{tmp_path}/own_workload_file.py:MINE").name == "mine"
    monkeypatch.chdir(tmp_path)
    assert load_workload("own_workload_file:MINE").name == "mine"
    assert load_workload("own_workload_file.py:MINE").name == "mine"
    same = load_workload("infopace.lab.workloads.digits:DIGITS")
    assert same.code and dataclasses.replace(same, code="") == WORKLOADS["digits"]


def test_a_change_of_equal_length_within_a_second_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    own = tmp_path / "quickly.py"
    text = OWN.replace("from beside import NAME", "NAME = 'mine'")
    for number, name in enumerate(("mine", "ours")):
        own.write_text(text.replace("mine", name))
        os.utime(own, (1_000_000, 1_000_000 + number / 4))  # whole seconds are all that Python compares
        assert load_workload(f"{own}:MINE").name == name


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("own.py", "must be module:object or path/to/file.py:object, got 'own.py'"),
        (":MINE", "must be module:object or path/to/file.py:object, got ':MINE'"),
        ("own.py:not a name", "must be module:object or path/to/file.py:object, got 'own.py:not a name'"),
        ("else/where.py:MINE", "no file else/where.py"),
        ("no_such:MINE", "no module 'no_such', neither installed nor in "),
        ("json.no_such:MINE", "no module 'json.no_such', neither installed nor in "),
        (
            "no/such:MINE",
            "a module's name must be words joined by points, or a file ending in .py, got 'no/such'",
        ),
        ("own.py:MINNE", "own.py has no 'MINNE'; did you mean 'MINE'?"),
        ("own.py:WHAT", "own.py has no 'WHAT'; its workloads are: MINE"),
        ("json:WHAT", "json has no 'WHAT'; it holds no Workload"),
        ("own.py:OTHER", "own.py:OTHER must be an infopace.lab.workload.Workload, got int"),
        ("torn.py:MINE", "torn.py cannot be imported: SyntaxError: "),
        ("raises.py:MINE", "raises.py cannot be imported: KeyError: 'no such thing'"),
        ("needs.py:MINE", "needs.py imports 'no_such_package', which is not installed"),
    ],
)
def test_what_cannot_be_a_workload_is_one_line(
    spec: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN.replace("from beside import NAME", "NAME = 'mine'"))
    (tmp_path / "torn.py").write_text("MINE = (")
    (tmp_path / "raises.py").write_text("{}['no such thing']")
    (tmp_path / "needs.py").write_text("import no_such_package")
    with pytest.raises(InputError) as caught:
        load_workload(spec)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
