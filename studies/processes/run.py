"""Runs by several processes, with and without the scheduler's exchange; see README.md. Rows: results/processes.jsonl"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe, Vasudevan2020
from infopace.lab.workloads import find_workload
from studies.shared.rows import Setting, make_missing

NAME = "processes"
EPOCHS, BATCH, PROBE = 8, 64, 500
FITTING, TOO_HIGH = Bounds(1e-3, 0.1), Bounds(1e-3, 5.0)


@dataclass(frozen=True)
class Case:
    """A policy, its bounds, and the epoch in which all gradients explode, if any."""

    policy: type[Vasudevan2020] | type[HoldAndDecay]
    bounds: Bounds
    ruined: int | None = None


CASES = {
    "paper's rule": Case(Vasudevan2020, FITTING),
    "default, bounds too high": Case(HoldAndDecay, TOO_HIGH),
    "default, an epoch ruined": Case(HoldAndDecay, FITTING, 4),
}


def main() -> None:
    """Make the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(20)))
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--name", default=NAME)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for count in arguments.counts:
        cases = itertools.product(arguments.seeds, arguments.cases, (True, False))
        settings = [
            {"processes": count, "seed": seed, "case": case, "exchange": exchange}
            for seed, case, exchange in cases
        ]
        with tempfile.TemporaryDirectory() as folder:
            meeting = f"file://{Path(folder) / 'meeting'}"
            mp.spawn(_work, (count, meeting, settings, arguments.name), nprocs=count)


def _work(rank: int, count: int, meeting: str, settings: list[Setting], name: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    workload = find_workload("digits")
    data = workload.load()
    sets: list[Tensor] = []
    for part in data.parts():
        assert isinstance(part, Tensor), "digits are in memory"
        sets.append(workload.prepare(part).flatten(1) if part.ndim > 2 else part)
    done: list[list[Setting]] = [settings]
    if rank == 0:  # the others must run the same
        from studies.shared.rows import RESULTS, read

        there = [row["setting"] for row in read(RESULTS / f"{name}.jsonl")]
        done = [[setting for setting in settings if setting not in there]]
    dist.broadcast_object_list(done)
    if rank == 0:
        make_missing(name, done[0], lambda setting: run(setting, sets))
    else:
        for setting in done[0]:
            run(setting, sets)
    dist.destroy_process_group()


def run(setting: Setting, sets: list[Tensor]) -> dict[str, Any]:
    """Train on this process's part of the examples, and compare what all processes did."""
    rank, count, seed = dist.get_rank(), dist.get_world_size(), setting["seed"]
    inputs, labels, test_inputs, test_labels = sets
    torch.manual_seed(seed)
    plain = nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Linear(64, 10),
    )  # fmt: skip
    model = nn.parallel.DistributedDataParallel(plain)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    probe = Probe.sample((inputs, labels), PROBE, seed=seed)
    case = CASES[setting["case"]]
    policy = case.policy(EPOCHS)
    rates: list[list[float]] = []
    with _alone(not setting["exchange"]):
        scheduler = MutualInformationLR(optimizer, model, probe, case.bounds, policy)
    own = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[rank::count]
    own = own[: len(labels) // count]
    draws = torch.Generator().manual_seed(1000 * seed + rank)
    for epoch in range(1, EPOCHS + 1):
        scale = 1e30 if epoch == case.ruined else 1.0
        rates.append([group["lr"] for group in optimizer.param_groups])
        for batch in own[torch.randperm(len(own), generator=draws)].split(BATCH):
            if len(batch) < 2:
                continue
            optimizer.zero_grad()
            (scale * nn.functional.cross_entropy(model(inputs[batch]), labels[batch])).backward()
            optimizer.step()
        with _alone(not setting["exchange"]):
            scheduler.observe()
            scheduler.step()
    plain.eval()
    with torch.no_grad():
        accuracy = float((plain(test_inputs).argmax(1) == test_labels).double().mean())
    weights = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in plain.parameters())).hexdigest()
    mine = {
        "rates": rates,
        "rolled_back": scheduler.rolled_back,
        "history": scheduler.history["output"],
        "weights": weights[:16],
        "test": accuracy,
    }
    gathered: list[Any] = [None] * count
    dist.all_gather_object(gathered, mine)
    return {
        "rates_equal": all(one["rates"] == gathered[0]["rates"] for one in gathered),
        "information_equal": all(one["history"] == gathered[0]["history"] for one in gathered),
        "weights_equal": len({one["weights"] for one in gathered}) == 1,
        "rolled_back": [one["rolled_back"] for one in gathered],
        "rates": [one["rates"] for one in gathered],
        "test": [one["test"] for one in gathered],
        "epochs": EPOCHS,
    }


def _alone(alone: bool) -> contextlib.AbstractContextManager[object]:
    """For the control: a scheduler that does not see that there are other processes."""
    if alone:
        return mock.patch("torch.distributed.is_initialized", return_value=False)
    return contextlib.nullcontext()


if __name__ == "__main__":
    main()
