"""``gantools doctor``: check the installation; print a fix for every problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli.output import console

if TYPE_CHECKING:
    from gantools.doctor import Report


@console.guarded
def doctor(json_lines: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False) -> None:
    """Check this installation: versions, device, disk space. Every problem comes with a command that fixes it.

    Exit code: 0 when gantools can work here, 1 when something stops it.
    """
    from gantools import api

    report = api.check_installation()
    if json_lines:
        findings = [{"level": one.level, "what": one.what, "mend": one.fix} for one in report.findings]
        console.result_json({"ok": report.ok, "facts": report.facts, "findings": findings})
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    for topic, facts in report.facts.items():
        console.result(topic)
        for name, value in facts.items():
            console.result(f"  {name.replace('_', ' '):<24}{console.quoted(_text(value))}")
    for finding in report.findings:
        console.result(f"{finding.level}: {console.quoted(finding.what)}")
        console.result(f"  fix: {console.quoted(finding.fix)}")
    count = {level: sum(one.level == level for one in report.findings) for level in ("problem", "warning")}
    found = [f"{number} {level}{'s' if number > 1 else ''}" for level, number in count.items() if number]
    console.result(f"{', '.join(found)}: see the lines above" if found else "OK")


def _text(value: Any) -> str:
    """A fact on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
