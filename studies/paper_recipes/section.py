"""The section of the results page."""

from __future__ import annotations

from typing import Any

from infopace.lab.config import PAPER
from studies.shared.page import read, section, table

# [paper] Vasudevan 2020: best test value of 3 seeds, baselines at the best of about ten learning rates.
_PUBLISHED = {
    ("mnist-lenet", PAPER, False): "99.27 %",
    ("mnist-lenet", PAPER, True): "99.39 %",
    ("mnist-lenet", "adam", False): "99.53 %",
    ("mnist-lenet", "rmsprop", False): "99.53 %",
    ("mnist-lenet", "lars", False): "99.43 %",
    ("uci-temperature", PAPER, False): "1.32 °C",
    ("cifar10-allconv", PAPER, False): "88.86 %",
    ("cifar10-allconv", PAPER, True): "87.77 %",
    ("cifar10-allconv", "adam", False): "87.84 %",
    ("cifar10-allconv", "rmsprop", False): "88.13 %",
    ("cifar10-allconv", "lars", False): "77.03 %",
    ("cifar10-vgg16", PAPER, False): "92.21 %",
    ("cifar10-vgg16", "sgd-step", False): "92.58 %",
    ("cifar10-vgg16", "adam", False): "89.62 %",
    ("cifar10-vgg16", "rmsprop", False): "87.17 %",
    ("cifar100-wrn28-10", PAPER, False): "81.25 %",
    ("cifar100-wrn28-10", "sgd-step", False): "81.76 %",
    ("cifar100-wrn28-10", "adam", False): "75.02 %",
    ("cifar100-wrn28-10", "rmsprop", False): "74.74 %",
    ("imagenet-resnet50", PAPER, False): "76.05 %",
    ("imagenet-resnet50", "sgd-step", False): "75.57 %",
    ("imagenet-resnet50", "adam", False): "69.82 %",
}
_RATES = (
    "The paper tuned its baselines over about ten learning rates. Ten runs of mnist-lenet take three hours of a "
    "CPU. So here each baseline has the learning rate that is best on mnist-10k, the same network with 10,000 of "
    "the images. RMSprop was not compared there and has Adam's. What needs a GPU is not run."
)
_HEAD = [
    "workload",
    "method",
    "learning rate",
    "seed",
    "format",
    "epochs",
    "after the last epoch",
    "best epoch",
    "paper, best of 3",
]


def text() -> str:
    """Final and best test values of whole runs."""
    runs = sorted(read("train_runs"), key=lambda run: (*_key(run["settings"]), run["settings"]["seed"]))
    run_at_all = {_key(run["settings"]) for run in runs}
    rows = [_row(run) for run in runs] + [_not_run(key) for key in _PUBLISHED if key not in run_at_all]
    return section(
        "Whole runs beside the paper's numbers",
        "`infopace train WORKLOAD --method METHOD --seed S --threads 1 [--lr RATE] [--layer-wise] [--held-out 0] "
        "[--bf16]` and `studies/paper_recipes/run.py`; the rule of Vasudevan 2020 with `--bounds workload`",
        f"{_RATES}\n\n{table(_HEAD, rows)}",
    )


def _key(settings: dict[str, Any]) -> tuple[str, str, bool]:
    return settings["workload"], _method(settings), settings.get("layer_wise", False)


def _not_run(key: tuple[str, str, bool]) -> list[Any]:
    workload, method, layer_wise = key
    rate = "one a layer" if layer_wise else ""
    return [workload, method, rate, "", "", "", "not run", "", _PUBLISHED[key]]


def _method(settings: dict[str, Any]) -> str:
    # The first rows were made when there was one method, and do not name it.
    return settings.get("method", PAPER)


def _row(run: dict[str, Any]) -> list[Any]:
    settings, metric = run["settings"], run["metric"]
    method = _method(settings)
    rate = settings.get("lr", "one a layer" if settings.get("layer_wise") else "paced")
    digits = 2 if metric["scale"] == 100 else 3
    final, best = (
        f"{run[which] * metric['scale']:.{digits}f} {metric['unit']}" for which in ("final", "best")
    )
    return [
        settings["workload"],
        f"{method}, a tenth held out" if settings.get("held_out") else method,
        rate,
        settings["seed"],
        "bf16" if settings["bf16"] else "f32",
        len(run["test"]) - 1,
        final,
        f"{best}, epoch {run['best_epoch']}",
        _PUBLISHED.get(_key(settings), ""),
    ]
