"""The section of docs/results.md on whole trainings of the paper's recipes, beside its column."""

from __future__ import annotations

from typing import Any

from page import read, section, table

from infopace.lab.pacing import PAPER

# [paper] Vasudevan 2020, best test value of 3 seeds, its rivals at the best of about ten learning rates.
_PUBLISHED = {
    ("mnist-lenet", PAPER, False): "99.27 %",
    ("mnist-lenet", PAPER, True): "99.39 %",
    ("mnist-lenet", "adam", False): "99.53 %",
    ("mnist-lenet", "rmsprop", False): "99.53 %",
    ("mnist-lenet", "lars", False): "99.43 %",
    ("uci-temperature", PAPER, False): "1.32 °C",
}
_RATES = (
    "The paper tuned its rivals over about ten learning rates. Ten trainings of mnist-lenet take three hours of a CPU, "
    "so here a rival has the rate that is best on mnist-10k, the same network and 10,000 of the images (RMSprop, which "
    "was not compared there, Adam's)."
)
_HEAD = [
    "workload",
    "method",
    "rate",
    "seed",
    "format",
    "epochs",
    "after the last epoch",
    "at its best epoch",
    "paper, best of 3",
]


def whole_trainings() -> str:
    """Final and best test values of the runs that `collect_runs.py` kept."""
    return section(
        "Whole trainings, beside the paper's column",
        "`infopace train WORKLOAD --method METHOD --seed S --threads 1 [--lr RATE] [--layer-wise] [--held-out 0] "
        "[--bf16]` and `benchmarks/collect_runs.py`; the rule of Vasudevan 2020 with `--bounds workload`",
        f"{_RATES}\n\n{table(_HEAD, map(_row, sorted(read('train_runs'), key=_order)))}",
    )


def _order(run: dict[str, Any]) -> tuple[Any, ...]:
    settings = run["settings"]
    return settings["workload"], _method(settings), settings.get("layer_wise", False), settings["seed"]


def _method(settings: dict[str, Any]) -> str:
    # Rows from before there were others do not name it.
    return settings.get("method", PAPER)


def _row(run: dict[str, Any]) -> list[Any]:
    settings, metric = run["settings"], run["metric"]
    method = _method(settings)
    rate = settings.get("lr", "each layer's" if settings.get("layer_wise") else "paced")
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
        _PUBLISHED.get((settings["workload"], method, settings.get("layer_wise", False)), ""),
    ]
