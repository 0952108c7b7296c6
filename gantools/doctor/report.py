"""What an examination finds."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["problem", "warning"]


@dataclass(frozen=True)
class Finding:
    """Something wrong and the command that mends it: a ``problem`` stops gantools, a ``warning`` hampers it."""

    level: Level
    what: str
    mend: str


@dataclass(frozen=True)
class Report:
    """Facts by topic, and the findings."""

    facts: Mapping[str, Mapping[str, Any]]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """True when nothing stops gantools (warnings do not)."""
        return all(finding.level == "warning" for finding in self.findings)


def pip(arguments: str) -> str:
    """The command line that runs this Python's pip."""
    return f"{shlex.quote(sys.executable)} -m pip {arguments}"
