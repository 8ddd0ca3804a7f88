"""Plans of 60 to 350 optimizer steps on data that scikit-learn ships; see README.md. Rows: results/short_plans.jsonl"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from sklearn import datasets
from torch import Tensor, nn

from infopace import HoldAndDecay, MutualInformationLR, Probe
from infopace.lab.environment import set_determinism
from studies.shared.rows import RESULTS, read

NAME = "short_plans"
STEPS = (60, 150, 350)
SEEDS, TUNING_SEEDS = range(6), range(4)
# The share of the examples that is trained on, and of the planned steps in which the tuned rate rises and falls.
_TRAINED, _WARMUP, _DECAY = 0.75, 0.05, 0.5


class Kind(NamedTuple):
    """An optimizer, the rate that our runs begin with, and the rates that the tuned one chooses from."""

    build: Callable[..., torch.optim.Optimizer]
    first: float
    rates: tuple[float, ...]


OPTIMIZERS = {
    "SGD": Kind(torch.optim.SGD, 0.1, (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)),
    "SGD, momentum .9": Kind(
        functools.partial(torch.optim.SGD, momentum=0.9), 0.01, (0.003, 0.01, 0.03, 0.1, 0.3)
    ),
    "AdamW": Kind(torch.optim.AdamW, 1e-3, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
}


def mlp(inputs: int, outputs: int, layers: int = 2) -> nn.Sequential:
    """Hidden layers of 64 ReLU units."""
    widths = [inputs, *[64] * layers]
    hidden = [part for pair in itertools.pairwise(widths) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(64, outputs))


def batch_norm() -> nn.Sequential:
    """One hidden layer with batch norm."""
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))


def convolutions() -> nn.Sequential:
    """Two convolutions."""
    return nn.Sequential(
        *(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 9, 10)),
    )


def digits() -> tuple[Tensor, Tensor]:
    """Images of 8 x 8 pixels, ten classes."""
    pixels, labels = datasets.load_digits(return_X_y=True)
    return torch.tensor(pixels / 16).float(), torch.tensor(labels).long()


def standard(load: Callable[..., Any], **options: Any) -> tuple[Tensor, Tensor]:
    """Columns of mean 0 and variance 1; so are targets that are quantities."""
    inputs, targets = (torch.tensor(part) for part in load(**options))
    if targets.is_floating_point():
        return scaled(inputs), scaled(targets)[:, None]
    return scaled(inputs), targets.long()


def scaled(values: Tensor) -> Tensor:
    values = values.float()
    return (values - values.mean(0)) / values.std(0).clamp_min(1e-6)


TASKS: dict[str, tuple[Callable[[], tuple[Tensor, Tensor]], Callable[[], nn.Sequential]]] = {
    "digits": (digits, lambda: mlp(64, 10)),
    "digits, batch norm": (digits, batch_norm),
    "digits, convolutions": (digits, convolutions),
    "digits, five layers": (digits, lambda: mlp(64, 10, 5)),
    "cancer": (lambda: standard(datasets.load_breast_cancer, return_X_y=True), lambda: mlp(30, 2)),
    "wine": (lambda: standard(datasets.load_wine, return_X_y=True), lambda: mlp(13, 3)),
    "moons": (
        lambda: standard(datasets.make_moons, n_samples=1500, noise=0.2, random_state=0),
        lambda: mlp(2, 2),
    ),
    "diabetes": (lambda: standard(datasets.load_diabetes, return_X_y=True), lambda: mlp(10, 1)),
}


def main() -> None:
    """Make the rows that are missing: ours, and a grid of rates with warm-up and linear decay."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    set_determinism(1, torch.device("cpu"))
    path = RESULTS / f"{NAME}.jsonl"
    done = {(row["task"], row["optimizer"], row["steps"], row["rate"], row["seed"]) for row in read(path)}
    for task, (name, kind), steps in itertools.product(TASKS, OPTIMIZERS.items(), STEPS):
        ours = [(None, seed) for seed in SEEDS]
        for rate, seed in [*ours, *itertools.product(kind.rates, TUNING_SEEDS)]:
            if (task, name, steps, rate, seed) in done:
                continue
            row = {"task": task, "optimizer": name, "steps": steps, "rate": rate, "seed": seed}
            row |= one(task, kind, steps, rate, seed)
            with open(path, "a") as file:
                file.write(json.dumps(row) + "\n")


def one(task: str, kind: Kind, steps: int, rate: float | None, seed: int) -> dict[str, Any]:
    """A run: the test value, accuracy or R2 down to -1, and the rate that was found. `rate`: None for ours."""
    load, build = TASKS[task]
    inputs, targets = load()
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    inputs, targets = inputs[order], targets[order]
    n = int(_TRAINED * len(inputs))
    torch.manual_seed(seed)
    model = build()
    optimizer = kind.build(model.parameters(), lr=kind.first if rate is None else rate)
    size = max(8, min(64, n // 10))
    a_epoch = n // size
    epochs = max(round(steps / a_epoch), 3)
    loss = nn.functional.mse_loss if targets.is_floating_point() else nn.functional.cross_entropy
    draws = torch.Generator().manual_seed(seed)
    scheduler = None
    if rate is None:
        probe = Probe.sample((inputs[:n], targets[:n]))
        scheduler = MutualInformationLR(
            optimizer, model, probe, policy=HoldAndDecay(epochs), steps_per_epoch=a_epoch
        )
    taken = 0
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(n, generator=draws).split(size)[:a_epoch]:
            if rate is not None:
                share = taken / (epochs * a_epoch)
                rising = (taken + 1) / (_WARMUP * epochs * a_epoch)
                optimizer.param_groups[0]["lr"] = rate * min(1, rising) * min(1, (1 - share) / _DECAY)
            optimizer.zero_grad()
            loss(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
            taken += 1
        if scheduler is not None:
            scheduler.observe()
            scheduler.step()
            if scheduler.finished:
                break
    model.eval()
    with torch.no_grad():
        value = tested(model(inputs[n:]), targets[n:])
    found = None
    if scheduler is not None and scheduler.bounds is not None:
        found = float(f"{scheduler.bounds.lr_max:.4g}")  # pyright: ignore[reportAttributeAccessIssue]
    return {"value": round(value, 5), "found": found, "taken": taken}


def tested(scores: Tensor, targets: Tensor) -> float:
    """Accuracy, or R2, which is at least -1."""
    if not targets.is_floating_point():
        return (scores.argmax(1) == targets).double().mean().item()
    left = float((scores - targets).square().mean() / targets.var())
    return max(-1.0, 1 - left) if left == left else -1.0


if __name__ == "__main__":
    main()
