"""Fixtures shared by every test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["GANTOOLS_MEASURE"] = "0"  # no test depends on what is faster on this machine
os.environ.pop("PYTHONUNBUFFERED", None)  # users rarely set it, and it hides what fails when stdout is written out
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
    signal.signal(signal.SIGHUP, lambda *_: None)  # ignored here, and children have what is usual

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_IMAGES = Path(os.environ.get("GANTOOLS_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
NO_REAL_IMAGES = f"no real images at {REAL_IMAGES}; set GANTOOLS_TEST_DATA"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout (``GANTOOLS_TEST_DATA`` overrides); skips where it is absent."""
    if not REAL_IMAGES.is_dir():
        pytest.skip(NO_REAL_IMAGES)
    return REAL_IMAGES


@pytest.fixture(autouse=True)
def _as_at_the_start() -> Iterator[None]:
    """Random numbers, and what ``-q`` or ``--debug`` set in this process, are each test's own, in any order."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    yield
    if console := sys.modules.get("gantools.cli.output.console"):
        console.Settings.debug = console.Settings.quiet = console.Settings.verbose = False
        console.Settings.color = True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines how many tests were skipped for want of real images."""
    skipped = sum(NO_REAL_IMAGES in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ()))
    if skipped:
        terminalreporter.write_line(f"{skipped} skipped: {NO_REAL_IMAGES}")


@pytest.fixture
def real_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for it where measuring itself is tested."""
    monkeypatch.delenv("GANTOOLS_MEASURE")
