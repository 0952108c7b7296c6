"""The page: one HTML file that needs no network and, but for comfort, no script."""

from __future__ import annotations

import html
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

from gantools.config.describe import Difference, shown
from gantools.config.schema import TrainOptions
from gantools.report import curves, pictures
from gantools.report.pictures import Sheet
from gantools.report.story import Panel, Story

_FACTS = (
    ("status", "status"),
    ("started", "started"),
    ("device", "device"),
    ("precision", "precision"),
    ("host", "computer"),
    ("seed", "seed"),
    ("python", "Python"),
    ("data", "data fingerprint"),
)
_ENDINGS = {"limit": "stopped at a limit", "interrupted": "stopped by a signal"}
_SMALL_PX = 480
"""Sheets that fit into this width twice or more are drawn that many times as large, pixel by pixel."""

_DEFAULT_OPTIONS = TrainOptions()

_OPENED = ("validation", "losses", "health")


def render(story: Story, recipe: str, differences: Sequence[Difference], train: TrainOptions = _DEFAULT_OPTIONS) -> str:
    """A run as HTML. ``differences`` are the settings that are not the paper's, ``train`` those of its loop."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    final = pictures.final(story.samples)
    return template.substitute(
        title=html.escape(f"{recipe}: {story.path.name}"),
        summary=_summary(story),
        warnings=_lines("Warnings", story.warnings),
        advice=_lines("Advice", story.advice),
        curves="".join(_panel(panel, story.stages) for panel in story.panels if _leads(panel)),
        more_curves="".join(_panel(panel, story.stages) for panel in story.panels if not _leads(panel)),
        validation="" if story.latest else f'<p class="hint">{_unvalidated(story, train.validate_every_steps)}</p>',
        stages=_stages(story),
        strip=_strip(pictures.strip(story.samples)),
        final=_final(final) if final else f"<p>{_without_sheets(story)}</p>",
        differences=_differences(differences),
        config=html.escape(story.config_text),
        environment=_environment(story),
        reproduce=html.escape(_reproduce(story, recipe)),
    )


def _leads(panel: Panel) -> bool:
    return panel.title.startswith(_OPENED)


def _summary(story: Story) -> str:
    status = story.facts.get("status", "unknown")
    rows = [("status", _ENDINGS.get(status, status)), ("step", story.step), ("started", _started(story))]
    figures = [(name, curves.figure(value)) for name, value in story.latest.items()]
    return "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in [*rows, *figures])


def _started(story: Story) -> str:
    """``2026-11-21 10:31 UTC``, as far as the folder says."""
    return str(story.facts.get("started", "unknown")).replace("T", " ")[:16] + " UTC"


def _lines(title: str, said: Sequence[tuple[int, str]]) -> str:
    """What the run was told, each with its step; nothing where it was told nothing."""
    if not said:
        return ""
    items = "".join(f"<li>step {step}: {_text(text)}</li>" for step, text in said)
    return f'<section class="said {title.lower()}"><h2>{title}</h2><ul>{items}</ul></section>'


def _panel(panel: Panel, stages: Sequence[tuple[int, str]]) -> str:
    return (
        f"<figure><figcaption>{_text(panel.title)}</figcaption>{curves.svg(panel, stages)}"
        f"<ul>{curves.legend(panel)}</ul></figure>"
    )


def _unvalidated(story: Story, every_steps: int | None) -> str:
    """Why there are no validation values."""
    if story.validation_images == 0:
        return "No validation: the run has no validation images."
    first = "the end of its first stage" if every_steps is None else f"step {every_steps:,}"
    if every_steps is not None and story.step >= every_steps:
        return "No validation values were logged."
    stands = f"stopped before {first}" if story.has_stopped else f"has not come to {first}"
    return f"No validation yet: the run {stands}."


def _without_sheets(story: Story) -> str:
    if story.validation_images == 0:
        return "No sample sheets: the run has no validation images."
    return f"No sample sheets yet: the run {'ended' if story.has_stopped else 'stands'} at step {story.step:,}."


def _stages(story: Story) -> str:
    if len(story.stages) < 2:
        return ""
    told = ", ".join(f"<b>{_text(name)}</b> from step {step}" for step, name in story.stages)
    return f"<p>Stages (dashed lines): {told}.</p>"


def _strip(sheets: Sequence[Sheet]) -> str:
    return "".join(
        f"<figure>{_image(sheet, '')}<figcaption>step {sheet.step}</figcaption></figure>" for sheet in sheets
    )


def _final(sheet: Sheet) -> str:
    """A check box without a script lets the picture grow to its full size."""
    return (
        f'<input type="checkbox" id="zoom"><label for="zoom">{_image(sheet, f"samples at step {sheet.step}")}</label>'
        f'<p class="hint">Step {sheet.step}. Click to enlarge, click again to shrink.</p>'
    )


def _image(sheet: Sheet, told: str) -> str:
    times = max(1, _SMALL_PX // sheet.width)
    look = "small" if times > 1 else "large"
    size = f'width="{times * sheet.width}" height="{times * sheet.height}"'
    return f'<img class="{look}" src="{sheet.uri}" {size} alt="{told}">'


def _differences(differences: Sequence[Difference]) -> str:
    if not differences:
        return "<p>Every value that the paper states is the paper's.</p>"
    rows = "".join(
        f'<tr><td><code>{_text(one.key)}</code></td><td data-is="here">{_text(shown(one.value))}</td>'
        f'<td data-is="paper">{_text(shown(one.paper))}</td><td data-is="why">{_text(one.why or "")}</td></tr>'
        for one in differences
    )
    return f"<table><tr><th>option</th><th>here</th><th>paper</th><th>why</th></tr>{rows}</table>"


def _environment(story: Story) -> str:
    rows = [*_known(story.facts), *dict(story.facts.get("versions") or {}).items()]
    return "".join(f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in rows)


def _known(facts: Any) -> Iterator[tuple[str, Any]]:
    for key, label in _FACTS:
        if facts.get(key) is not None:
            yield label, facts[key]


def _reproduce(story: Story, recipe: str) -> str:
    """The line that trains the same again, and the one that was typed."""
    lines = [f"gantools train {recipe} --config {shlex.quote(str(story.path / 'config.yaml'))}"]
    command = story.facts.get("command")
    if isinstance(command, list) and command:
        lines += ["", "# typed at first:", shlex.join(["gantools", *map(str, command[1:])])]
    return "\n".join(lines)


def _text(value: object) -> str:
    return html.escape(f"{value}")
