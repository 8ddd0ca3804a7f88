"""Random numbers that leave no trace."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator

import numpy as np
import torch


@contextlib.contextmanager
def random_state_kept(devices: Iterable[torch.device] = (), *, seed: int | None = None) -> Iterator[None]:
    """Afterwards the random states of Python, numpy and torch (the CPU's and these CUDA devices') are as before.

    With a seed, all three begin there; the devices do not.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device.index for device in devices]):
        try:
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed % 2**32)
                # torch.manual_seed would seed every GPU as well.
                torch.default_generator.manual_seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
