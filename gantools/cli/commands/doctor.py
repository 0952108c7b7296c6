"""``gantools doctor``: what is installed, what is wrong with it, the line that mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli.output import console

if TYPE_CHECKING:
    from gantools.doctor.report import Report


@console.guarded
def doctor(json_lines: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False) -> None:
    """Look over this installation: versions, device, room; every problem comes with the line that mends it.

    Exit code: 0 when gantools can work here, 1 when something stops it.
    """
    from gantools.doctor.examination import examine

    report = examine()
    if json_lines:
        findings = [asdict(finding) for finding in report.findings]
        console.result_json({"ok": report.sound, "facts": report.facts, "findings": findings})
    else:
        _print(report)
    if not report.sound:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    for topic, facts in report.facts.items():
        console.result(topic)
        for name, value in facts.items():
            console.result(f"  {name.replace('_', ' '):<24}{console.quoted(_text(value))}")
    for finding in report.findings:
        console.result(f"{finding.level}: {console.quoted(finding.what)}")
        console.result(f"  mend it: {console.quoted(finding.mend)}")
    console.result(_verdict(report))


def _verdict(report: Report) -> str:
    if not report.findings:
        return "everything is in order"
    count = {level: sum(one.level == level for one in report.findings) for level in ("problem", "warning")}
    said = [f"{number} {level}{'s' if number > 1 else ''}" for level, number in count.items() if number]
    return f"{', '.join(said)}: see the lines above"


def _text(value: Any) -> str:
    """A fact on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
