"""The whole examination, put together."""

from __future__ import annotations

import platform
import sys
from typing import Any

from gantools import __version__
from gantools.doctor import computer, imports, packages, storage
from gantools.doctor.report import Finding, Report


def examine() -> Report:
    """Look at everything. Broken packages are imported in processes of their own, so this survives them."""
    probed = imports.probe_all()
    facts: dict[str, Any] = {
        "gantools": {"version": __version__},
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "packages": packages.versions(),
        "computer": computer.facts(),
        "device": imports.device_facts(probed),
        "storage": storage.facts(),
        "weights": storage.weights_facts(),
    }
    return Report(facts, tuple(_findings(probed)))


def _findings(probed: imports.Probed) -> list[Finding]:
    return [
        *packages.findings(),
        *imports.findings(probed),
        *computer.findings(probed["torch"].facts.get("threads")),
        *storage.findings(),
    ]
