"""Short texts as numbers of words, for classes of texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from infopace.lab.data import data_file
from infopace.lab.workload import Data

PADDING, UNKNOWN = 0, 1
_WORD = re.compile(r"[a-z0-9']+")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; digits and apostrophes belong to them.

    >>> words_of("What's the Spanish word for pasta?")
    ["what's", 'the', 'spanish', 'word', 'for', 'pasta']
    """
    return _WORD.findall(text.lower())


def vocabulary(texts: Sequence[str], *, fewest: int, numbers: int) -> dict[str, int]:
    """The numbers of the words that occur `fewest` times or more, from 2 on, by frequency and then by the alphabet.

    `numbers` are there at most, 0 and 1 among them; the words of the others are unknown.
    """
    counts = Counter(word for text in texts for word in words_of(text))
    kept = sorted((word for word, n in counts.items() if n >= fewest), key=lambda word: (-counts[word], word))
    first = UNKNOWN + 1
    return {word: number for number, word in enumerate(kept[: numbers - first], first)}


def numbered(texts: Sequence[str], known: dict[str, int], *, words: int) -> Tensor:
    """(n, words) the numbers of the words; 0 after the last word, 1 for a word that is not known.

    The words after the first `words` are left out.
    """
    found = torch.full((len(texts), words), PADDING)
    for example, text in enumerate(texts):
        numbers = [known.get(word, UNKNOWN) for word in words_of(text)][:words]
        found[example, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    return found


def load_texts(
    workload: str, files: tuple[str, str], what: str, *, words: int, fewest: int, numbers: int
) -> Data:
    """Texts and labels of two parquet files under INFOPACE_DATA, for training and for testing.

    The inputs are (n, words) word numbers. Only the training texts make the vocabulary.

    Args:
        workload: Its name, for the error.
        files: The training file and the test file, with the columns text and label.
        what: What the files are, for the error.
        words: As for `numbered`.
        fewest: As for `vocabulary`.
        numbers: As for `vocabulary`.

    Raises:
        InputError: A file is not there.
    """
    import pandas

    train, test = (pandas.read_parquet(data_file(name, workload, what)) for name in files)
    known = vocabulary(train["text"].tolist(), fewest=fewest, numbers=numbers)
    labels = [torch.tensor(part["label"].to_numpy()) for part in (train, test)]
    inputs = [numbered(part["text"].tolist(), known, words=words) for part in (train, test)]
    return Data(inputs[0], labels[0], inputs[1], labels[1])
