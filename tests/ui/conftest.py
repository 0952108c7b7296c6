"""The page, served by a process of its own, and a headless Chromium that a test drives by mouse and keyboard."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS = 120
"""How long a page may take on a busy machine; nothing is measured by it."""

SHOWN = 0.87
"""How much of its height the editor shows an image at."""


class Served:
    """A running ``gantools ui``, started in ``folder``."""

    def __init__(self, folder: Path, *words: str) -> None:
        pytest.importorskip("gradio", reason="gradio is not installed")
        self.folder = folder
        temporary = folder / "temporary"
        temporary.mkdir()
        self.environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(temporary)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gantools", "ui", "--no-browser", *words],
            cwd=folder, env=self.environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        self.address = self.process.stderr.readline().split()[0]

    def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of what lies at a path."""
        request = urllib.request.Request(self.address.partition("/?")[0].rstrip("/") + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status, answer.read().decode(errors="replace"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace"), dict(error.headers)

    def end(self) -> int:
        """End it as Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page with the shipped weights and no runs yet."""
    page = Served(tmp_path_factory.mktemp("ui"))
    yield page
    page.process.kill()


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser; skips without one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed")
    profile = tmp_path_factory.mktemp("chromium")
    options = ["--headless=new", "--no-sandbox", "--no-first-run", "--disable-extensions", "--mute-audio"]
    process = subprocess.Popen(
        [program, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    file, deadline = profile / "DevToolsActivePort", time.monotonic() + SECONDS
    while not file.exists() or not file.read_text().count("\n"):
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.05)
    try:
        with playwright.sync_playwright() as running:
            yield running.chromium.connect_over_cdp(f"http://127.0.0.1:{file.read_text().split()[0]}")
    finally:
        process.terminate()
        process.wait()


class Tab:
    """A tab of the browser at a page. ``elsewhere`` are the addresses that it asked for on other computers."""

    def __init__(self, browser: Any, address: str) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(SECONDS * 1000)
        self.elsewhere: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.address = address

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.elsewhere.append(url)

    def open(self, model: str, button: str) -> None:
        """Show a model's page, until its button is there."""
        self.page.goto(f"{self.address}?model={model}")
        self.button(button).wait_for()

    def button(self, name: str) -> Any:
        """The button of this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def upload(self, path: Path, number: int = 0) -> None:
        """Give a file to the page's upload of this number."""
        self.page.locator("input[type=file]").nth(number).set_input_files(path)

    def download(self, name: str) -> bytes:
        """What a click on a result's link brings."""
        link = self.page.locator(f"a[download='{name}']").last
        link.wait_for()
        with self.page.expect_download() as waited:
            link.click()
        return Path(waited.value.path()).read_bytes()

    def canvas_of(self, name: str | None) -> None:
        """Wait until the editor can be painted in, and shows the image of this name where one is given."""
        if name is not None:
            self.page.locator(f"img[src$='{name}']").first.wait_for()
        self.button("Brush Size").wait_for()

    def choose_colour(self, number: int) -> None:
        """Take a colour of the brush's palette."""
        self.button("Color").click()
        self.page.locator("button.color").nth(number + 1).click()  # the first one mixes any colour
        self.button("Color").click()

    def drag(self, *points: tuple[float, float]) -> None:
        """Press the mouse at the first of these points of the canvas, in parts of the image's sides, and drag it on."""
        places = [self._on_canvas(*each) for each in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for each in places:
            self.page.mouse.move(*each)
        self.page.mouse.up()

    def _on_canvas(self, across: float, down: float) -> tuple[float, float]:
        """Where a point of the image lies: the editor shows a square as large as it says, in the middle."""
        box = self.page.locator("canvas").first.bounding_box()
        side = min(box["width"], box["height"]) * SHOWN
        return box["x"] + box["width"] / 2 + (across - 0.5) * side, box["y"] + box["height"] / 2 + (down - 0.5) * side


@pytest.fixture
def other_tab(chromium: Any, served: Served) -> Iterator[Tab]:
    """A second tab."""
    shown = Tab(chromium, served.address)
    yield shown
    shown.context.close()


@pytest.fixture
def tab(chromium: Any, served: Served) -> Iterator[Tab]:
    """A tab at the page; whatever a test does, it asks for nothing on other computers."""
    shown = Tab(chromium, served.address)
    yield shown
    shown.context.close()
    assert shown.elsewhere == []
