"""Which rate is best after few steps, and which at the end; see README.md. Rows: results/few_steps.jsonl"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe
from infopace.estimators import OutOfRangeError
from infopace.lab.environment import set_determinism
from infopace.scheduler import RollBackError
from studies.few_steps.tasks import TASKS
from studies.shared.rows import RESULTS, read
from studies.short_plans.run import OPTIMIZERS, tested

NAME = "few_steps"
STEPS, SEEDS, AFTER = (150, 350, 1000), (0,), (4, 8, 16, 32)
# Rates are first * 10^(place / 4), as in the search.
PLACES = {"SGD": range(-4, 10, 2), "SGD, momentum .9": range(-4, 12, 2), "AdamW": range(-6, 12, 2)}
_TRAINED, _WARMUP = 0.75, 0.03
Setting = dict[str, Any]


@dataclass
class Run:
    """A network, its optimizer, and the order of its batches."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    inputs: Tensor
    targets: Tensor
    trained: int
    size: int

    @classmethod
    def of(cls, setting: Setting, rate: float) -> Run:
        """Built and initialised anew."""
        load, build = TASKS[setting["task"]]
        inputs, targets = load()
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(setting["seed"]))
        trained = int(_TRAINED * len(inputs))
        torch.manual_seed(setting["seed"])
        model = build()
        optimizer = OPTIMIZERS[setting["optimizer"]].build(model.parameters(), lr=rate)
        return cls(model, optimizer, inputs[order], targets[order], trained, max(8, min(64, trained // 10)))

    @property
    def an_epoch(self) -> int:
        """Steps in it."""
        return self.trained // self.size

    @property
    def probe(self) -> Probe:
        """The training examples, 1,000 at most."""
        return Probe.sample((self.inputs[: self.trained], self.targets[: self.trained]))

    def epoch(self, draws: torch.Generator) -> Iterator[Tensor]:
        """The batches of an epoch."""
        yield from torch.randperm(self.trained, generator=draws).split(self.size)[: self.an_epoch]

    def step(self, batch: Tensor, rate: float) -> None:
        """One optimizer step."""
        floating = self.targets.is_floating_point()
        loss = nn.functional.mse_loss if floating else nn.functional.cross_entropy
        self.model.train()
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss(self.model(self.inputs[batch]), self.targets[batch]).backward()
        self.optimizer.step()


def whole_run(setting: Setting) -> dict[str, Any]:
    """The test value of a run of the default rule within bounds, with a warm-up."""
    rate = rate_at(setting)
    run = Run.of(setting, rate)
    epochs = max(round(setting["steps"] / run.an_epoch), 3)
    policy = HoldAndDecay(epochs)
    scheduler = MutualInformationLR(
        run.optimizer, run.model, run.probe, Bounds(rate / 1000, rate, rate), policy, warmup=0
    )
    draws, taken = torch.Generator().manual_seed(setting["seed"]), 0
    warmup = max(int(_WARMUP * epochs * run.an_epoch), 1)
    for _ in range(epochs):
        decided = float(run.optimizer.param_groups[0]["lr"])
        for batch in run.epoch(draws):
            run.step(batch, decided * min((taken + 1) / warmup, 1.0))
            taken += 1
        run.optimizer.param_groups[0]["lr"] = decided
        try:
            scheduler.observe()
        except RollBackError:
            break
        scheduler.step()
        if scheduler.finished:
            break
    run.model.eval()
    with torch.no_grad():
        value = tested(run.model(run.inputs[run.trained :]), run.targets[run.trained :])
    return {"value": round(value, 4)}


def trials(setting: Setting) -> dict[str, Any]:
    """Information after few steps at each rate, with scores that may be softened only, and sharpened too."""
    first = OPTIMIZERS[setting["optimizer"]].first
    run = Run.of(setting, first)
    start = copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict()))
    draws, batches = torch.Generator().manual_seed(setting["seed"]), list[Tensor]()
    while len(batches) < max(AFTER):
        batches += run.epoch(draws)
    found = []
    for place, after in itertools.product(PLACES[setting["optimizer"]], AFTER):
        run.model.load_state_dict(start[0])
        run.optimizer.load_state_dict(copy.deepcopy(start[1]))
        rate = rate_at({**setting, "place": place})
        for step, batch in enumerate(batches[:after], 1):
            run.step(batch, rate * min(step / max(round(after / 2), 1), 1.0))
        found.append({"place": place, "after": after, **_measured(run)})
    return {"trials": found}


def _measured(run: Run) -> dict[str, float | None]:
    probe = run.probe
    try:
        nats = [
            probe.measure(run.model, signal="usable", sharpen=sharpen).output.estimate.nats
            for sharpen in (False, True)
        ]
    except OutOfRangeError:
        return {"softened": None, "sharpened": None}
    return {"softened": round(nats[0], 4), "sharpened": round(nats[1], 4)}


def rate_at(setting: Setting) -> float:
    """The rate at a place."""
    return OPTIMIZERS[setting["optimizer"]].first * 10 ** (setting["place"] / 4)


def settings() -> Iterator[Setting]:
    """All rows: trials first."""
    for seed, task, optimizer in itertools.product(SEEDS, TASKS, OPTIMIZERS):
        common = {"task": task, "optimizer": optimizer, "seed": seed}
        yield common
        for steps, place in itertools.product(STEPS, PLACES[optimizer]):
            yield {**common, "steps": steps, "place": place}


def main() -> None:
    """Make the rows that are missing."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    set_determinism(1, torch.device("cpu"))
    warnings.simplefilter("ignore", UserWarning)
    path = RESULTS / f"{NAME}.jsonl"
    done = {json.dumps(row["setting"]) for row in read(path)}
    for setting in settings():
        if json.dumps(setting) not in done:
            row = {"setting": setting, **(whole_run(setting) if "steps" in setting else trials(setting))}
            with open(path, "a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
