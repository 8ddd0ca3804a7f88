"""Whether range tests find the same bounds again, and the right ones; see README.md.

`grid` trains at each constant learning rate, three seeds of their own. `finders` runs, for each seed, our default test,
torch-lr-finder's "steepest" suggestion and Lightning's Tuner, each with its own defaults.
Rows: results/range_repeatability.jsonl; rows that exist are not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from infopace import Bounds, RangeTestError
from infopace.lab.batches import Batches, caster
from infopace.lab.bounds import bounds_of_plan
from infopace.lab.range_config import RangePlan
from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload
from infopace.range_test import Algorithm2, Race

WORKLOADS = {
    "digits-mlp": find_workload("digits-mlp"),
    "digits-cnn": dataclasses.replace(find_workload("digits"), name="digits-cnn"),
    "cancer-mlp": find_workload("cancer-mlp"),
}
RESULTS = Path(__file__).resolve().parents[2] / "results" / "range_repeatability.jsonl"
GRID_SEEDS = (1000, 1001, 1002)
RATES = Algorithm2(rates=tuple(float(f"{m}e{e}") for e in (-4, -3, -2, -1, 0) for m in (1, 2, 5))).rates


def trained(workload: Workload, lr: float, seed: int) -> dict[str, Any]:
    """Test accuracy after a whole run at a constant learning rate."""
    torch.manual_seed(seed)
    model, data, cast = workload.build_model(), workload.load(), caster(workload)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=lr, momentum=workload.sgd.momentum, nesterov=workload.sgd.nesterov
    )
    batches = Batches(data.train_inputs, data.train_targets, workload)
    for _ in range(workload.epochs):
        for inputs, targets in batches:
            optimizer.zero_grad()
            workload.task.loss(model(inputs), targets).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        scores = workload.metric.score(model(cast(data.test_inputs[:])), data.test_targets)
    return {"lr": lr, "test": float(scores.mean())}


def ours(workload: Workload, seed: int) -> dict[str, Any]:
    import tempfile

    plan = RangePlan(
        workload,
        workload.optimizer,
        workload.epochs,
        Race(),
        "auto",
        False,
        seed,
        torch.device("cpu"),
        bf16=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = bounds_of_plan(plan, workload.load(), Path(folder))
        except RangeTestError as error:
            return {"refused": f"{error.kind}: {error}"}

    def plain(bounds: Bounds | None) -> dict[str, float] | None:
        return bounds and vars(bounds)

    return {
        **(plain(found.bounds) or {}),
        "trials": [plain(own) for own in found.trial_bounds],
        "steps": found.steps,
        "share": found.cost,
    }


def lr_finder(workload: Workload, seed: int) -> dict[str, Any]:
    """torch-lr-finder with its defaults: 100 steps up to 10, smoothed, the steepest fall."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.use("agg")
    from torch_lr_finder import LRFinder  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    model = workload.build_model()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1e-7, momentum=workload.sgd.momentum, nesterov=workload.sgd.nesterov
    )
    finder = LRFinder(model, optimizer, workload.task.loss, device="cpu")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder.range_test(_loader(workload), end_lr=10, num_iter=100)
        _, suggested = finder.plot(suggest_lr=True, ax=Figure().subplots())
    return {"lr_top": float(suggested), "steps": len(finder.history["lr"])}


def lightning_tuner(workload: Workload, seed: int) -> dict[str, Any]:
    """Lightning's Tuner.lr_find with its defaults: 100 steps from 1e-8 to 1, the steepest fall."""
    import lightning
    from lightning.pytorch.tuner.tuning import Tuner

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.lr = workload.build_model(), 0.1

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return workload.task.loss(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(
                self.parameters(), lr=self.lr, momentum=workload.sgd.momentum, nesterov=workload.sgd.nesterov
            )

    torch.manual_seed(seed)
    module = Module()
    trainer = lightning.Trainer(
        max_epochs=workload.epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = Tuner(trainer).lr_find(module, train_dataloaders=_loader(workload))
    assert found is not None, "lr_find has run"
    suggested = found.suggestion()
    return (
        {"lr_top": suggested, "steps": len(found.results["lr"])}
        if suggested
        else {"refused": "no suggestion"}
    )


def _loader(workload: Workload) -> torch.utils.data.DataLoader:
    data, cast = workload.load(), caster(workload)
    pairs = torch.utils.data.TensorDataset(cast(data.train_inputs[:]), data.train_targets)
    return torch.utils.data.DataLoader(pairs, batch_size=workload.batch_size, shuffle=True)


FINDERS: dict[str, Callable[[Workload, int], dict[str, Any]]] = {
    "infopace": ours,
    "torch-lr-finder": lr_finder,
    "Lightning Tuner": lightning_tuner,
}


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="Repeatability of range tests")
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--what", nargs="+", choices=["grid", "finders"], default=["grid", "finders"])
    parser.add_argument("--methods", nargs="+", choices=list(FINDERS), default=list(FINDERS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    there = (
        [json.loads(line) for line in arguments.out.read_text().splitlines()]
        if arguments.out.exists()
        else []
    )
    done = {(row["workload"], row["method"], row["seed"], row.get("lr")) for row in there}

    def keep(
        workload: Workload, method: str, seed: int, lr: float | None, run: Callable[[], dict[str, Any]]
    ) -> None:
        if (workload.name, method, seed, lr) in done:
            return
        began = time.perf_counter()
        row = {"workload": workload.name, "method": method, "seed": seed} | run()
        row["seconds"] = round(time.perf_counter() - began, 3)
        print(row, flush=True)
        with arguments.out.open("a") as file:
            file.write(json.dumps(row) + "\n")

    for workload in (WORKLOADS[name] for name in arguments.workloads):
        if "finders" in arguments.what:
            for seed in range(arguments.seeds):
                for method in arguments.methods:
                    keep(workload, method, seed, None, lambda m=method, s=seed, w=workload: FINDERS[m](w, s))
        if "grid" in arguments.what:
            for lr in RATES:
                for seed in GRID_SEEDS:
                    keep(workload, "constant", seed, lr, lambda r=lr, s=seed, w=workload: trained(w, r, s))


if __name__ == "__main__":
    main()
