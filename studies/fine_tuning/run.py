"""Fine-tuning at a rate that the run finds, at usual rates and at a tuned one; see README.md.

Rows: results/fine_tuning.jsonl.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

import infopace
from infopace.lab.tasks import Metric
from studies.fine_tuning.cases import BATCH, CASES, Case, Pairs, Parts, pretrained
from studies.fine_tuning.lora import add_lora
from studies.shared.rows import RESULTS, read

NAME = "fine_tuning"
ROWS = RESULTS / f"{NAME}.jsonl"
MODES = ("full", "LoRA")
STEPS, WARMUP, EVERY = 500, 50, 20
# The rate that the optimizer is made with: AdamW's own, and a usual one of fine-tuning.
STARTS = (1e-3, 5e-5)
USUAL = (1e-5, 5e-5, 3e-4)
GRID = tuple(float(f"{3e-5 * 10 ** (k / 3):.2g}") for k in range(10))
TUNING_SEED = 1000
INFOPACE, LINEAR, HELD = "infopace", "linear", "held"
# A limit on the norm of the gradient, as in the Trainer of transformers, for every method.
CLIP = 1.0
Setting = dict[str, Any]


def main() -> None:
    """Tune, then make the missing rows, seed by seed."""
    parser = argparse.ArgumentParser(description="Fine-tuning at a rate that the run finds")
    parser.add_argument("cases", nargs="*", default=list(CASES), help="default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--why", action="store_true", help="also plain schedules at the rate that was found")
    parser.add_argument("--scratch", type=Path, default=Path("runs") / NAME)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = {name: CASES[name].load() for name in arguments.cases}
    places = list(itertools.product(arguments.cases, MODES))
    folder = arguments.scratch
    parts = {name: CASES[name].load() for name in arguments.cases}
    places = list(itertools.product(arguments.cases, MODES))
    first, other = ({"method": INFOPACE, "lr": rate} for rate in STARTS)
    for name, mode in places:
        place = {"case": name, "mode": mode}
        _make(({**place, "seed": TUNING_SEED, **how} for how in _rates(GRID)), parts[name], folder)
        rates = (tuned(read(ROWS), name, mode), USUAL[-1])
        for seed in range(arguments.seeds):
            _make(({**place, "seed": seed, **how} for how in (first, *_rates(rates))), parts[name], folder)
        for seed in range(arguments.seeds if arguments.why else 0):
            rate = held_rate(read(ROWS), name, mode)
            _make([{**place, "seed": seed, "method": HELD, "lr": rate}], parts[name], folder)
            _make([{**place, "seed": seed, "method": LINEAR, "lr": rate}], parts[name], folder)
    for seed, (name, mode) in itertools.product(range(arguments.seeds), places):
        place = {"case": name, "mode": mode, "seed": seed}
        _make(({**place, **how} for how in (other, *_rates(USUAL[:-1]))), parts[name], folder)


def held_rate(rows: list[dict[str, Any]], case: str, mode: str, start: float = STARTS[0]) -> float:
    """The geometric mean of the rates that infopace held at half of the plan, seed by seed, to two digits."""
    place = {"case": case, "mode": mode, "method": INFOPACE, "lr": start}
    own = [
        row["rates"] for row in rows if all(row["setting"][name] == value for name, value in place.items())
    ]
    return float(f"{statistics.geometric_mean(rates[len(rates) // 2 - 1] for rates in own):.2g}")


def tuned(rows: list[dict[str, Any]], case: str, mode: str) -> float:
    """The rate of the grid with the best validation value at the tuning seed, the lowest of equals."""
    place = {"case": case, "mode": mode, "seed": TUNING_SEED, "method": LINEAR}
    found = [row for row in rows if all(row["setting"][name] == value for name, value in place.items())]
    found.sort(key=lambda row: row["setting"]["lr"])
    best = CASES[case].task.metric.best([row["validation"] for row in found])
    return found[best]["setting"]["lr"]


def _rates(rates: tuple[float, ...]) -> list[Setting]:
    return [{"method": LINEAR, "lr": rate} for rate in rates]


def _make(wanted: Iterable[Setting], parts: Parts, scratch: Path) -> None:
    """Make the rows of these settings that are missing."""
    done = [row["setting"] for row in read(ROWS)]
    for setting in wanted:
        if setting not in done:
            row = {"setting": setting, **one(setting, parts, scratch)}
            with open(ROWS, "a") as file:
                file.write(json.dumps(row) + "\n")
            print(setting, row["test"], row["seconds"], flush=True)


def one(setting: Setting, parts: Parts, scratch: Path) -> dict[str, Any]:
    """Fine-tune once."""
    case = CASES[setting["case"]]
    model = pretrained(setting["case"], parts, scratch)
    torch.manual_seed(setting["seed"])
    if case.classes:
        assert isinstance(model.head, nn.Linear), "what is pretrained has a head"
        model.head = nn.Linear(model.head.in_features, case.classes)
    if setting["mode"] == "LoRA":
        add_lora(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=setting["lr"], fused=True)
    begin = time.perf_counter()
    scheduler = None
    if setting["method"] == INFOPACE:
        scheduler = infopace.MutualInformationLR(
            optimizer,
            model,
            infopace.Probe.sample(parts.train, n=case.probe, seed=setting["seed"]),
            policy=infopace.HoldAndDecay(steps=STEPS),
            every=EVERY,
            held_out=infopace.Probe.sample(parts.validation, n=case.probe, seed=setting["seed"]),
        )
        curves = trained(model, optimizer, case, parts.train, setting["seed"], lambda: scheduler.finished)
    else:
        schedule = LambdaLR(optimizer, linear if setting["method"] == LINEAR else held)
        curves = trained(
            model, optimizer, case, parts.train, setting["seed"], lambda: schedule.step() is not None
        )
    row = {**curves, "seconds": round(time.perf_counter() - begin, 2)}
    for name, pairs in (("validation", parts.validation), ("test", parts.test)):
        row[name], row[f"{name}_loss"] = valued(model, pairs, case.task.metric)
    if scheduler is not None:
        row["put_back"] = scheduler.state_dict()["finding"]["wasted"]
        row["explain"] = scheduler.explain()
    return row


def linear(step: int) -> float:
    """The share of the rate that a step takes: warm-up, then linear decay to zero, as in transformers."""
    return step / WARMUP if step < WARMUP else (STEPS - step) / (STEPS - WARMUP)


def held(step: int) -> float:
    """The share of the rate with warm-up, a hold until half of the steps, and linear decay to zero."""
    return min(step / WARMUP, 1.0, (STEPS - step) / (STEPS / 2))


def trained(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    case: Case,
    pairs: Pairs,
    seed: int,
    after: Callable[[], bool],
) -> dict[str, Any]:
    """Fine-tune; the mean loss of each 20 steps, and the rate of each step.

    `after` is called after each step, and says whether to stop.
    """
    inputs, targets = pairs
    draws = torch.Generator().manual_seed(seed)
    order, losses, rates = torch.empty(0, dtype=torch.int64), [], []
    model.train()
    for _ in range(STEPS):
        if len(order) < BATCH:
            order = torch.randperm(len(targets), generator=draws)
        batch, order = order[:BATCH], order[BATCH:]
        optimizer.zero_grad()
        loss = case.task.loss(model(inputs[batch]), targets[batch])
        loss.backward()
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], CLIP)
        optimizer.step()
        losses.append(loss.detach())
        rates.append(float(optimizer.param_groups[0]["lr"]))
        if after():
            break
    means = [float(torch.stack(losses[at : at + EVERY]).mean()) for at in range(0, len(losses), EVERY)]
    return {
        "steps": len(losses),
        "losses": [round(loss, 4) for loss in means],
        "rates": [float(f"{rate:.3g}") for rate in rates[:: EVERY // 4]],
    }


@torch.no_grad()
def valued(model: nn.Module, pairs: Pairs, metric: Metric) -> tuple[float, float]:
    """The metric, and the mean cross-entropy."""
    model.eval()
    outputs = torch.cat([model(inputs) for inputs in pairs[0].split(250)])
    scores = outputs.flatten(0, -2).double()
    loss = nn.functional.cross_entropy(scores, pairs[1].flatten())
    return round(float(metric.score(outputs, pairs[1]).mean()), 6), round(float(loss), 4)


if __name__ == "__main__":
    main()
