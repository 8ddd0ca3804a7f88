"""The workloads by name."""

from __future__ import annotations

import difflib

from infopace.lab.errors import InputError
from infopace.lab.workload import Workload
from infopace.lab.workloads.digits import DIGITS
from infopace.lab.workloads.mnist_lenet import MNIST_LENET
from infopace.lab.workloads.uci_temperature import UCI_TEMPERATURE

WORKLOADS: dict[str, Workload] = {w.name: w for w in (DIGITS, MNIST_LENET, UCI_TEMPERATURE)}


def find_workload(name: str) -> Workload:
    """The workload called `name`; InputError with the near names if there is none."""
    if name in WORKLOADS:
        return WORKLOADS[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), WORKLOADS, n=2, cutoff=0.4)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ";"
    raise InputError(f"unknown workload {name!r}{hint} The workloads are: {', '.join(WORKLOADS)}")
