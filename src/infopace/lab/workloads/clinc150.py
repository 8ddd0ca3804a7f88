"""CLINC150 (Larson et al. 2019): short English requests, 150 classes of what the user wants, a small Transformer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from infopace import Bounds
from infopace.lab.data import data_file
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads._transformer import Block

FILES = ("clinc150/train-00000-of-00001.parquet", "clinc150/test-00000-of-00001.parquet")
PADDING, UNKNOWN = 0, 1
# [measured] Of the requests, 0.4 % are longer; the words after these are left out.
WORDS = 20
# Rarer words are unknown: a word of one example says nothing about others. [measured] 2,849 words are left, of 5,219.
_FEWEST = 2
_WORD = re.compile(r"[a-z0-9']+")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; digits and apostrophes belong to them.

    >>> words_of("What's the Spanish word for pasta?")
    ["what's", 'the', 'spanish', 'word', 'for', 'pasta']
    """
    return _WORD.findall(text.lower())


def vocabulary(texts: Sequence[str]) -> dict[str, int]:
    """The numbers of the words that occur twice or more, from 2 on, by frequency and then by the alphabet."""
    counts = Counter(word for text in texts for word in words_of(text))
    kept = sorted(
        (word for word, n in counts.items() if n >= _FEWEST), key=lambda word: (-counts[word], word)
    )
    return {word: number for number, word in enumerate(kept, UNKNOWN + 1)}


def numbered(texts: Sequence[str], known: dict[str, int]) -> Tensor:
    """(n, 20) the numbers of the words; 0 after the last word, 1 for a word that is not known."""
    found = torch.full((len(texts), WORDS), PADDING)
    for example, text in enumerate(texts):
        numbers = [known.get(word, UNKNOWN) for word in words_of(text)][:WORDS]
        found[example, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    return found


def load_clinc150() -> Data:
    """15,000 training and 4,500 test examples, (n, 20) word numbers. Only the training texts make the vocabulary."""
    import pandas

    what = "the parquet files of CLINC150 (Larson et al. 2019) without out-of-scope requests"
    train, test = (pandas.read_parquet(data_file(name, "clinc150", what)) for name in FILES)
    known = vocabulary(train["text"].tolist())
    labels = [torch.tensor(part["label"].to_numpy()) for part in (train, test)]
    inputs = [numbered(part["text"].tolist(), known) for part in (train, test)]
    return Data(inputs[0], labels[0], inputs[1], labels[1])


class RequestNet(nn.Module):
    """Embeddings of words and places, two blocks of width 48, mean over the words, a linear layer: 201,798 parameters.

    Padding is neither attended to nor in the mean.
    """

    def __init__(self, words: int = 2851) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, 48, padding_idx=PADDING)
        self.place = nn.Embedding(WORDS, 48)
        self.blocks = nn.ModuleList([Block(48, 4), Block(48, 4)])
        self.norm = nn.LayerNorm(48)
        self.head = nn.Linear(48, 150)

    def forward(self, words: Tensor) -> Tensor:
        """(n, 20) word numbers -> (n, 150) logits."""
        # A request without a known character has no words; it attends to its first padding.
        seen = words != PADDING
        seen[:, 0] = True
        x = self.embed(words) + self.place.weight
        for block in self.blocks:
            x = block(x, seen)
        shares = seen / seen.sum(1, keepdim=True)
        return self.head((self.norm(x) * shares[..., None]).sum(1))


CLINC150 = Workload(
    name="clinc150",
    summary="CLINC150, 150 classes of requests, Transformer of two blocks",
    load=load_clinc150,
    build_model=RequestNet,
    task=CLASSES,
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.00015, lr_max=0.02, lr_top=0.014),
    optimizer=AdamWRecipe(),
    epochs=10,
    batch_size=64,
    # Ten examples of each class.
    probe_size=1_500,
    threads=1,
)
