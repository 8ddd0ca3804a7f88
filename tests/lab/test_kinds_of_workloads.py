"""Workloads with targets of other kinds: what their data are, and that they are loss, metric and held out as such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infopace.lab.batches import Batches, held_out_examples
from infopace.lab.errors import InputError
from infopace.lab.tasks import IGNORED
from infopace.lab.workloads import WORKLOADS
from infopace.lab.workloads._text import load_texts, numbered, vocabulary
from infopace.lab.workloads._transformer import Block
from infopace.lab.workloads.california_housing import FILE as HOUSING
from infopace.lab.workloads.california_housing import read_housing
from infopace.lab.workloads.clinc150 import FILES, RequestNet
from infopace.lab.workloads.digit_scenes import overlaid, scenes
from infopace.lab.workloads.movie_polarity import FILES as POLARITY
from infopace.lab.workloads.movie_polarity import SentenceNet
from infopace.lab.workloads.small_cifar10 import ResidualBlock, SmallViT
from infopace.lab.workloads.tinyshakespeare import FILE as SHAKESPEARE
from infopace.lab.workloads.tinyshakespeare import LENGTH, SmallGPT, read_windows

TEXTS = ["How do I say pasta", "say it, please: pasta!", "What's pasta?"]


def test_rare_words_are_unknown_and_the_end_is_padded() -> None:
    known = vocabulary(TEXTS, fewest=2, numbers=100)
    assert known == {"pasta": 2, "say": 3}
    found = numbered(TEXTS, known, words=20)
    assert found.shape == (3, 20)
    assert found[:, :6].tolist() == [[1, 1, 1, 3, 2, 0], [3, 1, 1, 2, 0, 0], [1, 2, 0, 0, 0, 0]]
    assert not found[:, 6:].any()
    assert numbered(["say " * 30], known, words=20).tolist() == [[3] * 20]
    assert vocabulary(TEXTS, fewest=3, numbers=100) == {"pasta": 2}
    # The commonest words are kept, and no number reaches the size of an embedding.
    assert vocabulary(TEXTS, fewest=1, numbers=3) == {"pasta": 2}
    assert numbered(TEXTS, known, words=2).tolist() == [[1, 1], [3, 1], [1, 2]]


def test_padding_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the model says of a request does not depend on the request that fills the rest of the batch."""
    torch.manual_seed(0)
    model = RequestNet(9).eval()
    short = torch.zeros(1, 20, dtype=torch.int64)
    short[0, :3] = torch.tensor([4, 2, 3])
    with torch.no_grad():
        before = model(short)
        model.place.weight[3:] += 100.0
        model.embed.weight[0] += 100.0
        after = model(short)
        empty = model(torch.zeros(1, 20, dtype=torch.int64))
    assert torch.allclose(before, after, atol=1e-5)
    assert bool(torch.isfinite(empty).all())


def test_padding_has_no_part_in_the_class_of_a_sentence() -> None:
    torch.manual_seed(0)
    model = SentenceNet(9).eval()
    short = torch.zeros(2, 12, dtype=torch.int64)
    short[:, :5] = torch.tensor([4, 2, 3, 8, 5])
    with torch.no_grad():
        alone, padded = model(short[:, :5]), model(short)
        empty = model(torch.zeros(2, 12, dtype=torch.int64))
    assert padded.shape == (2, 2)
    assert torch.allclose(alone, padded, atol=1e-6)
    assert not torch.allclose(model(short.flip(1)), padded, atol=1e-4)  # the order of the words counts
    assert empty.tolist() == [[0.0, 0.0]] * 2


def test_only_training_texts_make_the_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas

    texts = {"train.parquet": ["Good film", "bad film!", "a good one"], "test.parquet": ["new new good film"]}
    for file, of_file in texts.items():
        pandas.DataFrame({"text": of_file, "label": range(len(of_file))}).to_parquet(tmp_path / file)
    monkeypatch.setenv("INFOPACE_DATA", str(tmp_path))
    data = load_texts("mine", ("train.parquet", "test.parquet"), "two files", words=4, fewest=2, numbers=100)
    assert data.train_inputs[:].tolist() == [[3, 2, 0, 0], [1, 2, 0, 0], [1, 3, 1, 0]]
    assert data.test_inputs[:].tolist() == [[1, 1, 3, 2]]
    assert data.train_targets.tolist() == [0, 1, 2] and data.test_targets.tolist() == [0]


def test_a_residual_block_without_convolutions_keeps_every_pixel_of_its_stride() -> None:
    block = ResidualBlock(2, 3, 2).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.rand(1, 2, 4, 6)
    found = block(x)
    assert torch.equal(found[:, :2], x[:, :, ::2, ::2])
    assert found.shape == (1, 3, 2, 3) and not found[:, 2].any()


def test_a_vision_transformer_knows_where_a_patch_is() -> None:
    """Two patches that change places are another image, and only because of the places."""
    torch.manual_seed(0)
    model, image = SmallViT().eval(), torch.randn(1, 3, 32, 32)
    moved = image.clone()
    moved[..., :4, :4], moved[..., 8:12, 20:24] = image[..., 8:12, 20:24], image[..., :4, :4]
    with torch.no_grad():
        assert not torch.allclose(model(image), model(moved), atol=1e-5)
        model.place.zero_()
        assert torch.allclose(model(image), model(moved), atol=1e-5)


def test_a_causal_block_does_not_see_what_comes() -> None:
    torch.manual_seed(0)
    block, x = Block(8, 2, causal=True), torch.randn(2, 5, 8)
    changed = x.clone()
    changed[:, 3:] = torch.randn(2, 2, 8)
    assert torch.allclose(block(x)[:, :3], block(changed)[:, :3], atol=1e-6)
    assert not torch.allclose(block(x)[:, 3:], block(changed)[:, 3:], atol=1e-2)
    both = Block(8, 2)
    assert not torch.allclose(both(x)[:, :3], both(changed)[:, :3], atol=1e-4)


def test_windows_of_a_text_have_the_next_characters_as_targets(tmp_path: Path) -> None:
    text = "".join(chr(97 + (i * i + i // 7) % 26) for i in range(3_000))
    (tmp_path / "text.txt").write_text(text)
    data = read_windows(tmp_path / "text.txt")
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor)
    assert data.train_inputs.shape[1] == LENGTH and data.train_targets.shape == data.train_inputs.shape
    numbers = torch.tensor([sorted(set(text)).index(c) for c in text], dtype=torch.uint8)
    assert torch.equal(data.train_inputs[3], numbers[24 : 24 + LENGTH])
    assert torch.equal(data.train_targets[3], numbers[25 : 25 + LENGTH])
    assert torch.equal(data.test_inputs[1], numbers[2_700 + LENGTH : 2_700 + 2 * LENGTH])
    # No character of the test part is in a training window.
    assert 8 * (len(data.train_inputs) - 1) + LENGTH + 1 <= 2_700
    (tmp_path / "text.txt").write_text(text[:600])
    with pytest.raises(InputError, match="must have more than 640 characters, got 600"):
        read_windows(tmp_path / "text.txt")


def test_an_epoch_of_many_examples_draws_some_of_them(tiny: Any) -> None:
    data = tiny.workload.load()
    tiny.change(epoch_examples=40, batch_size=16)
    torch.manual_seed(0)
    batches = Batches(torch.arange(120)[:, None], data.train_targets, tiny.workload)
    passes = [torch.cat([inputs for inputs, _ in batches]).flatten().tolist() for _ in range(2)]
    assert len(batches) == 3
    assert [len(set(one)) for one in passes] == [40, 40]
    assert set(passes[0]) != set(passes[1])


def test_a_run_with_few_examples_an_epoch_resumes_bit_for_bit(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path
) -> None:
    tiny.change(epoch_examples=40)
    tiny.run(tmp_path / "whole")
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(4))
    tiny.run(tmp_path / "cut")
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")
    tiny.change(epoch_examples=60)
    with pytest.raises(InputError, match="epoch_examples is 40 there and 60 here"):
        tiny.run(tmp_path / "whole")


def images() -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (40, 1, 28, 28), generator=draws, dtype=torch.uint8)
    return pixels, torch.arange(40) % 10


def test_two_digits_lie_over_each_other() -> None:
    pixels, labels = images()
    pictures, targets = overlaid(pixels, labels, 30, torch.Generator().manual_seed(5))
    assert pictures.shape == (30, 1, 32, 32) and pictures.dtype == torch.uint8
    assert targets.shape == (30, 10) and targets.sum(1).tolist() == [2.0] * 30
    # One digit over itself in two places: every picture has that digit's pixels, moved.
    alone = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    alone[0, 0, 5, 7], alone[1, 0, 20, 20] = 200, 100
    pictures, _ = overlaid(alone, torch.tensor([3, 4]), 10, torch.Generator().manual_seed(0))
    for picture in pictures[:, 0]:
        (bright,), (dark,) = (picture == 200).nonzero().tolist(), (picture == 100).nonzero().tolist()
        assert 5 <= bright[0] <= 9 and 7 <= bright[1] <= 11
        assert 20 <= dark[0] <= 24 and 20 <= dark[1] <= 24
        assert int((picture > 0).sum()) == 2


def test_each_pixel_belongs_to_its_digit_or_to_the_background_or_does_not_count() -> None:
    pixels = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    pixels[:, :, 4:24, 4:14] = 250  # the left half of the middle
    labels = torch.tensor([0, 6, 9])
    pictures, targets = scenes(pixels, labels, 50, torch.Generator().manual_seed(1))
    assert pictures.shape == (50, 1, 28, 28) and targets.shape == (50, 28, 28)
    assert set(targets.unique().tolist()) <= {IGNORED, 0, 1, 7, 10}
    for picture, target in zip(pictures[:, 0], targets, strict=True):
        assert (target[picture <= 25] == 0).all()
        assert (target[picture >= 100] > 0).all()
        assert (target[(picture > 25) & (picture < 100)] == IGNORED).all()
        cells = [target[y : y + 14, x : x + 14] for y in (0, 14) for x in (0, 14)]
        found = [set(cell[cell > 0].tolist()) for cell in cells]
        assert all(len(digits) <= 1 for digits in found)
        assert any(found)


HEAD = "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,households,median_income"
BLOCK = "-122.23,37.88,{age},880.0,{rooms},322.0,126.0,8.3252,{value},NEAR BAY"


def housing(path: Path, blocks: int = 20, **cells: Any) -> Path:
    lines = [f"{HEAD},median_house_value,ocean_proximity"]
    for i in range(blocks):
        filled = {
            "age": 10 + i,
            "rooms": 100 + 7 * i,
            "value": 100_000 + 1_000 * i,
            **(cells if i == 3 else {}),
        }
        lines.append(BLOCK.format(**filled).replace("-122.23", str(-122 - i)).replace("37.88", str(37 + i)))
        lines[-1] = lines[-1].replace("880.0", str(800 + i)).replace("322.0", str(300 + i))
        lines[-1] = lines[-1].replace("126.0", str(120 + i)).replace("8.3252", str(8 + i))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_blocks_of_houses_are_standardised_by_the_training_examples(tmp_path: Path) -> None:
    data = read_housing(housing(tmp_path / "housing.csv", rooms=""))
    assert isinstance(data.train_inputs, Tensor)
    assert data.train_inputs.shape == (16, 13) and data.test_targets.shape == (4, 1)
    assert torch.allclose(data.train_inputs[:, :8].mean(0), torch.zeros(8), atol=1e-5)
    assert torch.allclose(data.train_inputs[:, :8].std(0, correction=0), torch.ones(8), atol=1e-5)
    assert data.train_inputs[:, 8:].tolist() == [[0, 0, 0, 1, 0]] * 16
    values = sorted([*data.train_targets.flatten().tolist(), *data.test_targets.flatten().tolist()])
    assert values == pytest.approx([1 + i / 100 for i in range(20)])


def test_a_table_of_houses_that_is_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold numbers in all columns but ocean_proximity: "):
        read_housing(housing(tmp_path / "housing.csv", age="old"))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"must have the columns longitude, .*, got \['a', 'b'\]"):
        read_housing(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("clinc150", FILES[0]),
        ("movie-polarity", POLARITY[0]),
        ("tinyshakespeare", SHAKESPEARE),
        ("california-housing", HOUSING),
    ],
)
def test_data_that_are_not_there_are_one_line(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFOPACE_DATA", raising=False)
    with pytest.raises(
        InputError, match=f"^{name} needs INFOPACE_DATA, which is not set; put .* at <folder>/{file}"
    ):
        WORKLOADS[name].load()
    monkeypatch.setenv("INFOPACE_DATA", str(tmp_path))
    with pytest.raises(InputError, match=f"^no file {tmp_path}/{file} "):
        WORKLOADS[name].load()


def test_targets_with_many_labels_an_example_are_held_out_from_the_end() -> None:
    tokens = torch.arange(40).reshape(20, 2) % 3
    kept = held_out_examples(tokens, 0.25)
    assert kept.nonzero()[:, 0].tolist() == [15, 16, 17, 18, 19]


def test_a_model_of_characters_has_a_score_for_each() -> None:
    torch.manual_seed(0)
    batch = torch.randint(7, (3, LENGTH))
    assert SmallGPT(7)(batch).shape == (3, LENGTH, 7)
