"""Sentences of movie reviews (Pang, Lee 2005), for or against, with separable convolutions.

The data are split here as their folder has them, 9,596
for training and 1,066 for testing; `rotten_tomatoes` on the hub is another split of the same sentences.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads._text import PADDING, load_texts

FILES = (
    "movie-review-polarity/train-00000-of-00001.parquet",
    "movie-review-polarity/test-00000-of-00001.parquet",
)
# [measured] Of the sentences, 1 % are longer; the words after these are left out.
WORDS = 40
# Rarer words are unknown. [measured] 6,706 words are left, of 18,506.
FEWEST = 3
# Numbers of words, with those of padding and of unknown words. A data set with more words loses the rarest.
NUMBERS = 6_708


def load_polarity() -> Data:
    """9,596 training and 1,066 test sentences, (n, 40) word numbers; label 1 is for the movie."""
    what = "the parquet files of the sentence polarity data (Pang, Lee 2005)"
    return load_texts("movie-polarity", FILES, what, words=WORDS, fewest=FEWEST, numbers=NUMBERS)


class SeparableConv(nn.Module):
    """A convolution of each channel by itself, then a linear map of the channels at each place (Chollet 2017).

    Args:
        channels: Of the input.
        out: Channels of the output.
        size: Words that a filter spans, an odd number.
    """

    def __init__(self, channels: int, out: int, size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, size, padding=size // 2, groups=channels, bias=False)
        self.pointwise = nn.Conv1d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, words) -> (n, out, words)."""
        return self.pointwise(self.depthwise(x))


class SentenceNet(nn.Module):
    """Embedding, two separable convolutions, a convolution with a filter for each class, the mean over the words.

    [reading] of the abstract of Solovyeva 2021, which names these layers but not their sizes. Padding changes nothing.
    438,658 parameters.

    Args:
        words: Numbers of words, those of padding and of unknown words among them.
        width: Numbers a word, and channels.
    """

    def __init__(self, words: int = NUMBERS, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=PADDING)
        self.convs = nn.ModuleList([SeparableConv(width, width, 5), SeparableConv(width, width, 5)])
        self.dropout = nn.Dropout1d(0.5)
        self.classes = nn.Conv1d(width, 2, 3, padding=1)

    def forward(self, words: Tensor) -> Tensor:
        """(n, 40) word numbers -> (n, 2) logits."""
        there = (words != PADDING)[:, None]
        x = self.embed(words).transpose(1, 2)
        for conv in self.convs:
            x = F.relu(conv(x)) * there
        found = self.classes(self.dropout(x)) * there
        return found.sum(2) / there.sum(2).clamp(min=1)


MOVIE_POLARITY = Workload(
    name="movie-polarity",
    summary="sentences of movie reviews, for or against, separable convolutions, 30 epochs of 50 batches",
    load=load_polarity,
    build_model=SentenceNet,
    task=CLASSES,
    # [measured] by infopace range-test with one trial and seed 1000, rounded
    bounds=Bounds(lr_min=0.0023, lr_max=0.02, lr_top=0.009),
    optimizer=AdamWRecipe(),
    epochs=30,
    batch_size=64,
    epoch_examples=3_200,
    threads=1,
)
