"""A comparison as one HTML file that needs no network; its sliders are one line of script each."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template

from gantools.evaluation.comparison import ComparedImage
from gantools.evaluation.result import Evaluation, Failure, Row
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.images.ops.resize import resized
from gantools.report.slider import STYLE, slider

LOSSLESS_PIXELS = 200_000
"""Images up to this size are embedded without loss."""

SMALL_PX = 320
"""Images narrower than this are enlarged without smoothing: their pixels are what is looked at."""

WEBP_QUALITY = 92
SLIDER_PX, SLIDER_QUALITY = 960, 80
"""Largest width of the images under sliders, which are there for the second time, and their quality."""


class Gallery:
    """Takes images one at a time and keeps only their compressed form."""

    def __init__(self) -> None:
        self._sections: list[str] = []

    @property
    def count(self) -> int:
        """How many images were added."""
        return len(self._sections)

    def add(self, image: ComparedImage) -> None:
        """Append one image's tiles, each with its metrics."""
        tiles = "".join(
            _tile(f"{self.count}-{title}", title, pixels, image.rows.get(title))
            for title, pixels in image.tiles.items()
        )
        self._sections.append(f'<h2>{_text(image.name)}</h2><div class="row">{tiles}</div>{_sliders(image.tiles)}')

    def page(self, title: str, evaluation: Evaluation | None, failures: Iterable[Failure]) -> str:
        """The whole page; with an evaluation, a table of means above the images and the protocol below."""
        template = Template(Path(__file__).with_name("gallery.html").read_text(encoding="utf-8"))
        return template.substitute(
            title=_text(title),
            slider_style=STYLE,
            table=_table(evaluation) if evaluation else "",
            failures=_items("ul", [f"{failure.image}: {failure.error}" for failure in failures]),
            images="\n".join(self._sections),
            protocol=_items("ol", [f"inputs: {evaluation.inputs}", *evaluation.protocol]) if evaluation else "",
        )


def data_uri(pixels: Pixels) -> str:
    """An image as text: PNG, or WebP where that would be large."""
    small = pixels.shape[0] * pixels.shape[1] <= LOSSLESS_PIXELS
    kind, quality = ("png", 100) if small else ("webp", WEBP_QUALITY)
    return _uri(pixels, kind, quality)


def _uri(pixels: Pixels, kind: str, quality: int) -> str:
    content = writer.encode(Image(pixels), kind, quality=quality)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _sliders(tiles: Mapping[str, Pixels]) -> str:
    """The first tile beside each of the others under a slider, folded."""
    (first, before), *others = tiles.items()
    if not others:
        return ""
    enlarged, uri = before.shape[1] < SMALL_PX, _small_uri(before)
    shown = "".join(
        f"<p>{_text(first)} | {_text(name)}</p>{slider(uri, _small_uri(pixels), (first, name), enlarged=enlarged)}"
        for name, pixels in others
    )
    return f"<details><summary>Before and after</summary>{shown}</details>"


def _small_uri(pixels: Pixels) -> str:
    height, width = pixels.shape[:2]
    if width > SLIDER_PX:
        pixels = resized(pixels, (max(1, round(height * SLIDER_PX / width)), SLIDER_PX))
    return _uri(pixels, "webp", SLIDER_QUALITY)


def _tile(number: str, title: str, pixels: Pixels, row: Row | None) -> str:
    metrics = row.metrics.items() if row else ()
    values = "".join(f"<span>{_text(name)} {value:.4f}</span>" for name, value in metrics)
    height, width = pixels.shape[:2]
    look = "small" if width < SMALL_PX else "large"
    return (
        f'<figure><input type="checkbox" id="{_text(number)}"><label for="{_text(number)}">'
        f'<img class="{look}" src="{data_uri(pixels)}" width="{width}" height="{height}" alt="{_text(title)}">'
        f"</label><figcaption><b>{_text(title)}</b><span>{width}×{height}</span>{values}</figcaption></figure>"
    )


def _table(evaluation: Evaluation) -> str:
    means, metrics = evaluation.means(), evaluation.metrics
    best = {metric.name: metric.best_of(means) for metric in metrics}
    heads = "".join(f"<th>{_text(metric.name)}</th>" for metric in metrics)
    rows = ""
    for name, values in means.items():
        cells = ""
        for metric in (metric.name for metric in metrics):
            text = f"{values[metric]:.4f}" if metric in values else ""
            mark = ' class="best"' if best[metric] == name else ""
            cells += f"<td{mark}>{text}</td>"
        rows += f"<tr><td>{_text(name)}</td>{cells}</tr>"
    note = f'<p class="hint">Mean of {evaluation.images} images; the best value of each column is highlighted.</p>'
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{rows}</table></div>{note}'


def _items(kind: str, lines: Sequence[str]) -> str:
    return f"<{kind}>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</{kind}>" if lines else ""


def _text(value: object) -> str:
    return html.escape(f"{value}")
