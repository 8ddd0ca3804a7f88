"""CLINC150 (Larson et al. 2019): short English requests, 150 classes of what the user wants, a small Transformer."""

from __future__ import annotations

from torch import Tensor, nn

from infopace import Bounds
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads._text import PADDING, load_texts
from infopace.lab.workloads._transformer import Block

FILES = ("clinc150/train-00000-of-00001.parquet", "clinc150/test-00000-of-00001.parquet")
# [measured] Of the requests, 0.4 % are longer; the words after these are left out.
WORDS = 20
# Rarer words are unknown: a word of one example says nothing about others. [measured] 2,849 words are left, of 5,219.
FEWEST = 2
# Numbers of words, with those of padding and of unknown words. A data set with more words loses the rarest.
NUMBERS = 2_851


def load_clinc150() -> Data:
    """15,000 training and 4,500 test examples, (n, 20) word numbers. Only the training texts make the vocabulary."""
    what = "the parquet files of CLINC150 (Larson et al. 2019) without out-of-scope requests"
    return load_texts("clinc150", FILES, what, words=WORDS, fewest=FEWEST, numbers=NUMBERS)


class RequestNet(nn.Module):
    """Embeddings of words and places, two blocks of width 48, mean over the words, a linear layer: 201,798 parameters.

    Padding is neither attended to nor in the mean.
    """

    def __init__(self, words: int = NUMBERS) -> None:
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
