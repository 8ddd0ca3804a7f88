"""The next character of Shakespeare's plays with a small GPT: a target for each token."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from infopace import Bounds
from infopace.lab.data import data_file
from infopace.lab.errors import InputError
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.tasks import TOKENS
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads._transformer import Block

FILE = "tinyshakespeare/input.txt"
LENGTH = 64
# A training window begins at every eighth character, so that all of them fit in a few megabytes.
_EVERY = 8
_TEST_WINDOWS = 500


def load_shakespeare() -> Data:
    """Windows of 64 characters; the targets are the characters after each. Test: 500 windows of the last 10 %."""
    what = "the plays of Shakespeare as one text of 1,115,394 characters, the data set tiny_shakespeare of the hub,"
    return read_windows(data_file(FILE, "tinyshakespeare", what))


def read_windows(path: Path) -> Data:
    """The windows of a text. The last tenth of its characters is for testing, by windows that do not overlap.

    Raises InputError for a text that is too short.
    """
    text = path.read_text(encoding="utf-8")
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    numbers = torch.tensor([known[character] for character in text], dtype=torch.uint8)
    split = len(numbers) * 9 // 10
    if len(numbers) - split <= LENGTH:
        raise InputError(f"{path} must have more than {10 * LENGTH} characters, got {len(numbers)}")
    train, test = _windows(numbers[:split], _EVERY), _windows(numbers[split:], LENGTH)
    spread = torch.linspace(0, len(test) - 1, min(_TEST_WINDOWS, len(test))).long()
    test = test[spread]
    return Data(train[:, :-1], train[:, 1:], test[:, :-1], test[:, 1:])


def _windows(numbers: Tensor, every: int) -> Tensor:
    """(n, 65) the windows of 64 characters with the one that follows."""
    return numbers.unfold(0, LENGTH + 1, every)


class SmallGPT(nn.Module):
    """Embeddings of characters and places, two causal blocks of width 64, one linear layer: 112,577 parameters."""

    def __init__(self, characters: int = 65) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, 64)
        self.place = nn.Embedding(LENGTH, 64)
        self.blocks = nn.ModuleList([Block(64, 4, causal=True), Block(64, 4, causal=True)])
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, characters)

    def forward(self, characters: Tensor) -> Tensor:
        """(n, 64) numbers of characters -> (n, 64, 65) logits of the next ones."""
        x = self.embed(characters) + self.place.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def as_numbers(batch: Tensor) -> Tensor:
    """(n, 64) uint8 -> int64, as an embedding needs it."""
    return batch.long()


TINYSHAKESPEARE = Workload(
    name="tinyshakespeare",
    summary="the next character of Shakespeare's plays, GPT of two blocks, 20 epochs of 50 batches",
    load=load_shakespeare,
    build_model=SmallGPT,
    task=TOKENS,
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.00001, lr_max=0.027, lr_top=0.007),
    optimizer=AdamWRecipe(betas=(0.9, 0.95)),
    epochs=20,
    batch_size=32,
    epoch_examples=1_600,
    prepare=as_numbers,
    probe_size=500,
    threads=1,
)
