"""Measurements of speed that a test decides, instead of those of this machine."""

from __future__ import annotations

from typing import Any

import pytest

from gantools import speed


def measuring(monkeypatch: pytest.MonkeyPatch, **ratios: float) -> list[list[str]]:
    """Let every measurement give these ratios; what was measured then stands in the list."""
    asked: list[list[str]] = []

    def given(contenders: dict[str, Any], **_: Any) -> dict[str, float]:
        asked.append(list(contenders))
        return {name: ratios.get(name.replace(" ", "_"), 1.0) for name in contenders}

    monkeypatch.setattr(speed, "ratios", given)
    return asked
