"""Fixtures shared by every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout (``GANTOOLS_TEST_DATA`` overrides); skips where it is absent."""
    folder = Path(os.environ.get("GANTOOLS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}; set GANTOOLS_TEST_DATA")
    return folder
