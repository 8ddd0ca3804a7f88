"""Information against the number of examples, for pixels and for a network's outputs; see README.md.

The pixels are those of the training set of MNIST and CIFAR-10. The outputs are the logits of LeNet (mnist-10k, 3
epochs) and of the small conv net (cifar10-small, 5 epochs), trained by SGD with momentum at a constant learning rate
of 0.02, for held-out images of the training set. Samples are drawn as the probe draws them: 20 of each size up to
1,000, 10 of 2,000 and 5 of 5,000. Rows: results/sample_size.jsonl; rows that exist are not made again. One thread.
"""

from __future__ import annotations

import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from infopace import Estimate, Probe, mutual_information
from infopace.estimators import decoder_bound, entropy
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.data import cache_folder
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.files import write_atomically
from infopace.lab.training import Training
from infopace.lab.workload import Data
from infopace.lab.workloads import find_workload
from infopace.pictures import COLOURS, GREY
from studies.sample_size.section import expectations

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "sample_size.jsonl"
FIGURE = ROOT / "docs" / "images" / "sample_size.png"
DRAWS = {100: 20, 200: 20, 500: 20, 1000: 20, 2000: 10, 5000: 5}
DATA: dict[str, Callable[[], Data]] = {
    "MNIST": find_workload("mnist-lenet").load,
    "CIFAR-10": find_workload("cifar10-allconv").load,
}
NETWORKS = {"MNIST": ("mnist-10k", 3), "CIFAR-10": ("cifar10-small", 5)}
LR = 0.02
ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Estimate]] = {
    "neighbours": mutual_information,
    "decoder": decoder_bound,
}
CURVES = {"pixels": ("neighbours",), "outputs": ("neighbours", "decoder")}

Population = tuple[Tensor, Tensor]


def main() -> None:
    """Measure what is missing, draw, and check the expectations."""
    set_determinism(1, torch.device("cpu"))
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    done = {(row["data"], row["of"], row["estimator"], row["n"]) for row in rows}
    for of, estimators in CURVES.items():
        for data in DATA:
            wanted = [(e, n) for e in estimators for n in DRAWS if (data, of, e, n) not in done]
            if not wanted:
                continue
            population, facts = pixels(data) if of == "pixels" else outputs(data)
            for estimator, n in wanted:
                row = {"data": data, "of": of, **facts, **measure(estimator, n, population)}
                rows.append(row)
                with open(RESULTS, "a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{data} {of}, {estimator}, n = {n}: {statistics.fmean(row['nats']):.3f}", flush=True)
    draw(rows)
    for claim, found, holds in expectations(rows):
        print(f"{'holds' if holds else 'REFUTED'}: {claim}: {found}")


def measure(estimator: str, n: int, population: Population) -> dict[str, Any]:
    """One point of a curve: the value of every draw, in nats."""
    started, found = time.process_time(), []
    for seed in range(DRAWS[n]):
        sample = Probe.sample(population, n=n, seed=seed)
        found.append(ESTIMATORS[estimator](sample.inputs.flatten(1).float(), sample.targets))
    return {
        "estimator": estimator,
        "n": n,
        "nats": [estimate.nats for estimate in found],
        "std_error": [estimate.std_error for estimate in found],
        "entropy": entropy(population[1]),
        "population": len(population[1]),
        "processor_seconds": time.process_time() - started,
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),
    }


def pixels(name: str) -> tuple[Population, dict[str, Any]]:
    """The images of the training set."""
    data = DATA[name]()
    assert isinstance(data.train_inputs, Tensor), "both data sets fit in memory"
    return (data.train_inputs, data.train_targets), {}


def outputs(name: str) -> tuple[Population, dict[str, Any]]:
    """The logits of a trained network for held-out images. It is trained once, and then comes from the cache."""
    workload, epochs = NETWORKS[name]
    cached = cache_folder() / f"sample-size-{workload}-{epochs}-epochs.pt"
    if not cached.exists():
        buffer = io.BytesIO()
        torch.save(trained(workload, epochs, name), buffer)
        write_atomically(cached, buffer.getvalue())
    kept = torch.load(cached, weights_only=True)
    facts = {
        "network": workload,
        "epochs": epochs,
        "lr": LR,
        "test": kept["test"],
        "training_seconds": kept["seconds"],
    }
    return (kept["outputs"], kept["labels"]), facts


@torch.no_grad()
def logits(training: Training, images: Tensor) -> Tensor:
    """The network's outputs in eval mode."""
    training.model.eval()
    prepare = training.plan.workload.prepare
    return torch.cat([training.model(prepare(batch)).float() for batch in images.split(250)])


def trained(workload: str, epochs: int, name: str) -> dict[str, Any]:
    """Train a workload at a constant learning rate. Returns its outputs for the held-out images of the training set."""
    config = TrainConfig(workload=workload, method="sgd-constant", lr=LR, epochs=epochs, seed=0, threads=1)
    plan = resolve(config)
    started = time.process_time()
    training = Training(plan, plan.workload.load())
    for epoch in range(1, epochs + 1):
        loss = training.train_epoch(epoch, lambda done, total: None)
        print(f"{workload}, epoch {epoch}: loss {loss:.3f}", flush=True)
    (images, labels), _ = pixels(name)
    assert isinstance(training.data.train_inputs, Tensor), "data in memory"
    trained_on = {image.numpy().tobytes() for image in training.data.train_inputs}
    held_out = torch.tensor([image.numpy().tobytes() not in trained_on for image in images])
    return {
        "outputs": logits(training, images[held_out]),
        "labels": labels[held_out],
        "test": training.evaluate()["test"],
        "seconds": time.process_time() - started,
    }


def draw(rows: list[dict[str, Any]]) -> None:
    """Two panels, mean and standard deviation of the draws against n."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    styles = {"neighbours": ("o", "-"), "decoder": ("s", "--")}
    for axes, of in zip(figure.subplots(1, 2, sharey=True), CURVES, strict=True):
        axes.axhline(
            max(row["entropy"] for row in rows), color=GREY, linewidth=1.3, linestyle=":", label="H(Y)"
        )
        for colour, data in zip(COLOURS, DATA, strict=False):
            for estimator in CURVES[of]:
                curve = [r for r in rows if (r["data"], r["of"], r["estimator"]) == (data, of, estimator)]
                curve.sort(key=lambda row: row["n"])
                marker, line = styles[estimator]
                axes.errorbar(
                    [row["n"] for row in curve],
                    [statistics.fmean(row["nats"]) for row in curve],
                    [statistics.stdev(row["nats"]) for row in curve],
                    color=colour,
                    marker=marker,
                    linestyle=line,
                    markersize=4,
                    capsize=3,
                    label=data + (", decoder bound" if estimator == "decoder" else ""),
                )
        axes.set_xscale("log")
        axes.set_xticks(list(DRAWS), [f"{n:,}" for n in DRAWS])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("examples")
        axes.set_title("pixels" if of == "pixels" else "outputs of a trained network", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(fontsize=8.5, frameon=False)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    figure.axes[0].set_ylabel("information about the label, nats")
    FIGURE.parent.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    write_atomically(FIGURE, buffer.getvalue())


if __name__ == "__main__":
    main()
