"""Run folders made by hand, and a headless browser that opens the reports made of them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MakeRun = Callable[..., Path]


def _row(epoch: int, layers: tuple[str, ...], shift: float) -> dict[str, Any]:
    """A run that learns fast, and whose rate falls at epochs 3 and 6."""
    learned = 1 - math.exp(-epoch / 2)
    nats = 2.3 * learned + shift
    lr = 0.1 if epoch < 3 else 0.03 if epoch < 6 else 0.01
    groups = range(max(len(layers), 1))
    return {
        "epoch": epoch,
        "lr": [lr / (1 + g) for g in groups] if epoch else [],
        "train_loss": 1 - learned if epoch else None,
        "test": 0.1 + 0.88 * learned + shift,
        "information": {
            name: {"nats": nats - 0.05 * i, "std_error": 0.02, "decoder": nats if name == "output" else None}
            for i, name in enumerate((*layers, "output"))
        },
        "reference": 2.3026,
        "warnings": [],
        "decisions": [
            {
                "layer": layers[g] if layers else "output",
                "lr": lr / (1 + g),
                "phase": {3: "decay", 6: "decay"}.get(epoch, "hold"),
                "reason": f"because of epoch {epoch}",
            }
            for g in groups
        ]
        if epoch
        else [],
        "seconds": {"train": 1.0, "evaluate": 0.1, "measure": 0.2},
    }


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run folder as `infopace train` does: its name, how many epochs are done, what differs."""

    def make(
        name: str = "run",
        *,
        done: int = 8,
        epochs: int = 8,
        layers: tuple[str, ...] = (),
        finished: bool = True,
        **settings: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        chosen = {
            "workload": "tiny",
            "layer_wise": bool(layers),
            "seed": 0,
            "lr_min": "range test",
            "epochs": epochs,
        }
        chosen |= settings
        record = {
            "settings": chosen,
            "groups": list(layers) or ["output"],
            "bounds": {"lr_min": 0.001, "lr_max": 0.1, "epsilon": 0.01, "lr_top": 0.1},
            "metric": {"name": "accuracy", "unit": "%", "scale": 100.0, "higher_is_better": True},
            "versions": {"infopace": "0.1.0", "torch": "2.13.0"},
            "hardware": {"cpu": "a processor"},
            "commit": "0123456789abcdef",
            "started": "2026-11-25T00:00:00+00:00",
            "threads": 1,
        }
        (folder / "run.json").write_text(json.dumps(record))
        rows = [_row(epoch, layers, 0.01 * chosen["seed"]) for epoch in range(done + 1)] if done >= 0 else []
        (folder / "epochs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        if finished:
            (folder / "summary.json").write_text(json.dumps({"final": 0.97}))
        return folder

    return make


@pytest.fixture
def range_test_json() -> dict[str, Any]:
    """What a range test writes; test_range_test_reports.py holds it against a real one."""

    def row(lr: float, accuracy: float, loss: float, nats: float, trials: int = 2) -> dict[str, Any]:
        means = {"final_accuracy": accuracy, "final_loss": loss, "final_information": nats}
        ends = {name: [value * 0.9, value * 1.05] for name, value in means.items()}
        return {"lr": lr, "trials": trials, "crashes": 2 - trials, **means, "range": ends}

    return {
        "workload": "tiny",
        "method": "race",
        "attribute": "accuracy",
        "bounds": {"lr_min": 0.002, "lr_max": 0.4, "lr_top": 0.1, "epsilon": 0.005},
        "layer_bounds": {
            "conv": {"lr_min": 0.004, "lr_max": 0.9, "lr_top": 0.2, "epsilon": 0.005},
            "fc": {"lr_min": 0.003, "lr_max": 0.8, "lr_top": 0.15, "epsilon": 0.005},
        },
        "trial_bounds": [None, None],
        "steps": 1234,
        "share_of_the_training": 0.104,
        "seconds": 61.7,
        "notes": ["the run is short"],
        "table": [
            row(0.001, 0.2, 2.0, 0.4),
            row(0.01, 0.605, 1.0, 1.2),
            row(0.1, 0.9, 0.3, 2.2),
            row(0.3, 0.8, 0.4, 2.0, trials=1),
        ],
        "crashes": [{"lr": 0.3, "trials": 1}, {"lr": 1.0, "trials": 2}],
    }


@pytest.fixture
def comparison_json() -> dict[str, Any]:
    """What a comparison will hand over."""
    return {
        "workload": "tiny",
        "metric": "accuracy",
        "unit": "%",
        "baseline": "SGD cosine",
        "caption": "30 epochs each.",
        "methods": [
            {"method": "paced", "n": 10, "mean": 98.1, "low": 97.9, "high": 98.3, "p": 0.0004},
            {"method": "SGD cosine", "n": 10, "mean": 97.5, "low": 97.25, "high": 97.75},
            {"method": "Adam", "n": 10, "mean": 97.6, "low": 97.3, "high": 97.9, "p": 0.21},
            {"method": "Prodigy", "note": "not installed"},
        ],
    }


class Browser:
    """A headless Chromium, with what the tests ask of it."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for flag in (
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "disable-dev-shm-usage",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "window-size=1000,900",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With the driver named, selenium downloads none.
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def open(self, page: Path, *, dark: bool = False, width: int = 1000) -> None:
        """Open a page under a system that is light or dark, on a screen of this width."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns, run after the page has drawn."""
        frames = "const done = arguments[arguments.length - 1];"
        wrapped = f"requestAnimationFrame(() => requestAnimationFrame(() => done((() => {{ {script} }})())));"
        return self.driver.execute_async_script(f"{frames} const given = arguments; {wrapped}", *arguments)

    def hover(self, plot: int, x: float, y: float) -> str:
        """Move the mouse to a place in a plot, in shares of its width and height; what the tooltip then says."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.by import By

        box = self.driver.find_elements(By.CSS_SELECTOR, ".plot")[plot]
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
        across, down = (x - 0.5) * box.size["width"], (y - 0.5) * box.size["height"]
        ActionChains(self.driver, duration=0).move_to_element_with_offset(
            box, int(across), int(down)
        ).perform()
        return self.run("const t = document.getElementById('tip'); return t.hidden ? '' : t.innerText")

    def complaints(self) -> list[str]:
        """What the console said since the last time."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()
