"""The page: one HTML file that needs no network; its script only adds a slider over the samples."""

from __future__ import annotations

import base64
import html
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import cv2
import numpy as np

from gantools.config.describe import Difference, shown
from gantools.config.schema import TrainOptions
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.report import curves
from gantools.report.run_log import Panel, RunLog
from gantools.report.slider import STYLE, slider

FACTS = {
    "status": "status",
    "started": "started",
    "device": "device",
    "precision": "precision",
    "host": "computer",
    "seed": "seed",
    "python": "Python",
    "data": "data fingerprint",
}
ENDINGS = {"limit": "stopped at a limit", "interrupted": "stopped by a signal"}
OPEN_PANELS = ("validation", "losses", "health")
"""Panels that are shown; the others are folded."""

MOST_SHEETS = 12
STRIP_BYTES, FINAL_BYTES = 2_000_000, 1_800_000
"""How much of a page all sample sheets of the strip, and the last one at full size, may take."""

STRIP_WIDTH_PX, SMALL_PX = 900, 480
"""Largest width in the strip; sheets that fit into the second twice or more are enlarged, without smoothing."""

DEFAULT_OPTIONS = TrainOptions()


def render(run: RunLog, recipe: str, differences: Sequence[Difference], train: TrainOptions = DEFAULT_OPTIONS) -> str:
    """A run as HTML. ``differences`` are the settings that are not the paper's, ``train`` those of its loop."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    opened, sheets = _opened(run), strip(run.samples)
    folded = [panel for panel in run.panels if panel not in opened]
    facts = {label: run.facts[key] for key, label in FACTS.items() if run.facts.get(key) is not None}
    facts |= dict(run.facts.get("versions") or {})
    return template.substitute(
        title=html.escape(f"{recipe}: {run.path.name}"),
        curves_style=curves_style(),
        slider_style=STYLE,
        summary=_summary(run),
        warnings=_messages("Warnings", run.warnings),
        advice=_messages("Advice", run.advice),
        curves=draw_curves(run),
        more_curves="".join(_panel(panel, run.stages) for panel in folded),
        validation="" if run.latest else f'<p class="hint">{_why_no_validation(run, train.validate_every_steps)}</p>',
        stages=_stages(run),
        strip="".join(
            f"<figure>{_image(sheet, '')}<figcaption>step {sheet.step}</figcaption></figure>" for sheet in sheets
        ),
        before_after=_before_after(sheets),
        final=_final(run),
        differences=_differences(differences),
        config=html.escape(run.config_text),
        environment="".join(f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in facts.items()),
        reproduce=html.escape(_commands(run, recipe)),
    )


def draw_curves(run: RunLog) -> str:
    """The curves that are looked at first, as HTML for an element of class ``curves``; styled by ``curves_style``."""
    return "".join(_panel(panel, run.stages) for panel in _opened(run))


def curves_style() -> str:
    """The style sheet of curves."""
    return Path(__file__).with_name("curves.css").read_text(encoding="utf-8")


def _opened(run: RunLog) -> list[Panel]:
    return [panel for panel in run.panels if panel.title.startswith(OPEN_PANELS)]


@dataclass(frozen=True)
class Sheet:
    """One sample sheet: the step it was made at, its image as a data URI, its size in px."""

    step: int
    uri: str
    width: int
    height: int


def strip(samples: Sequence[Path]) -> list[Sheet]:
    """At most ``MOST_SHEETS`` sample sheets, evenly from the first to the last, shrunk to ``STRIP_WIDTH_PX``."""
    chosen = list(samples)
    if len(chosen) > MOST_SHEETS:
        chosen = [chosen[round(place)] for place in np.linspace(0, len(chosen) - 1, MOST_SHEETS)]
    sheets = []
    for path in chosen:
        pixels = reader.read_rgb8(path)
        height, width = pixels.shape[:2]
        if width > STRIP_WIDTH_PX:
            pixels = _resized(pixels, STRIP_WIDTH_PX, max(1, round(height * STRIP_WIDTH_PX / width)))
        sheets.append(_sheet(path, pixels, STRIP_BYTES // len(chosen)))
    return sheets


def _sheet(path: Path, pixels: Pixels, most_bytes: int) -> Sheet:
    """The image as WebP in the best quality that fits; halved until one does."""
    for quality in (90, 80, 65, 45):
        content = writer.encode(Image(pixels), "webp", quality=quality)
        if len(content) <= most_bytes:
            uri = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
            return Sheet(int(path.stem), uri, pixels.shape[1], pixels.shape[0])
    return _sheet(path, _resized(pixels, max(1, pixels.shape[1] // 2), max(1, pixels.shape[0] // 2)), most_bytes)


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _image(sheet: Sheet, alt: str) -> str:
    times = max(1, SMALL_PX // sheet.width)
    look = "small" if times > 1 else "large"
    size = f'width="{times * sheet.width}" height="{times * sheet.height}"'
    return f'<img class="{look}" src="{sheet.uri}" {size} alt="{alt}">'


def _before_after(sheets: Sequence[Sheet]) -> str:
    """The first and the last sheet under a slider; nothing where they cannot lie over each other."""
    if len(sheets) < 2 or (sheets[0].width, sheets[0].height) != (sheets[-1].width, sheets[-1].height):
        return ""
    first, last = sheets[0], sheets[-1]
    names = (f"step {first.step}", f"step {last.step}")
    shown = slider(first.uri, last.uri, names, enlarged=first.width < SMALL_PX)
    return f"<details><summary>The first and the last under a slider</summary>{shown}</details>"


def _final(run: RunLog) -> str:
    """The last sample sheet, enlarged by a check box, or why there is none."""
    if run.samples:
        sheet = _sheet(run.samples[-1], reader.read_rgb8(run.samples[-1]), FINAL_BYTES)
        image = _image(sheet, f"samples at step {sheet.step}")
        return (
            f'<input type="checkbox" id="zoom"><label for="zoom">{image}</label>'
            f'<p class="hint">Step {sheet.step}. Click to enlarge, click again to shrink.</p>'
        )
    if run.validation_images == 0:
        return "<p>No sample sheets: the run has no validation images.</p>"
    return f"<p>No sample sheets yet: the run {'ended' if run.has_stopped else 'is'} at step {run.step:,}.</p>"


def _why_no_validation(run: RunLog, every_steps: int | None) -> str:
    if run.validation_images == 0:
        return "No validation: the run has no validation images."
    first = "the end of its first stage" if every_steps is None else f"step {every_steps:,}"
    if every_steps is not None and run.step >= every_steps:
        return "No validation values were logged."
    return f"No validation yet: the run {'stopped before' if run.has_stopped else 'has not reached'} {first}."


def _summary(run: RunLog) -> str:
    status = run.facts.get("status", "unknown")
    started = str(run.facts.get("started", "unknown")).replace("T", " ")[:16] + " UTC"
    rows = [("status", ENDINGS.get(status, status)), ("step", run.step), ("started", started)]
    rows += [(name, curves.number(value)) for name, value in run.latest.items()]
    return "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in rows)


def _messages(title: str, messages: Sequence[tuple[int, str]]) -> str:
    """The run's messages, each with its step; nothing where there were none."""
    if not messages:
        return ""
    items = "".join(f"<li>step {step}: {_text(text)}</li>" for step, text in messages)
    return f'<section class="messages {title.lower()}"><h2>{title}</h2><ul>{items}</ul></section>'


def _panel(panel: Panel, stages: Sequence[tuple[int, str]]) -> str:
    return (
        f"<figure><figcaption>{_text(panel.title)}</figcaption>{curves.svg(panel, stages)}"
        f"<ul>{curves.legend(panel)}</ul></figure>"
    )


def _stages(run: RunLog) -> str:
    names = ", ".join(f"<b>{_text(name)}</b> from step {step}" for step, name in run.stages)
    return f"<p>Stages (dashed lines): {names}.</p>" if len(run.stages) > 1 else ""


def _differences(differences: Sequence[Difference]) -> str:
    if not differences:
        return "<p>Every value that the paper states is the paper's.</p>"
    rows = "".join(
        f'<tr><td><code>{_text(one.key)}</code></td><td data-is="here">{_text(shown(one.value))}</td>'
        f'<td data-is="paper">{_text(shown(one.paper))}</td><td data-is="why">{_text(one.why or "")}</td></tr>'
        for one in differences
    )
    return f"<table><tr><th>option</th><th>here</th><th>paper</th><th>why</th></tr>{rows}</table>"


def _commands(run: RunLog, recipe: str) -> str:
    """The command that trains the same again, and the one that was typed."""
    lines = [f"gantools train {recipe} --config {shlex.quote(str(run.path / 'config.yaml'))}"]
    command = run.facts.get("command")
    if isinstance(command, list) and command:
        lines += ["", "# the command of this run:", shlex.join(["gantools", *map(str, command[1:])])]
    return "\n".join(lines)


def _text(value: object) -> str:
    return html.escape(f"{value}")
