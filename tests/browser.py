"""A headless browser that opens pages."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


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

    def wait(self, script: str, seconds: float = 20.0) -> Any:
        """What a script returns, as soon as that is something."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds).until(lambda _: self.run(script))
