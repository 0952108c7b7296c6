"""A comparison as one HTML file that needs no network and no script."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template

from gantools.evaluation.comparison import Shown
from gantools.evaluation.result import Evaluation, Failure, Row
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.metrics.protocols import MetricProtocol

LOSSLESS_PIXELS = 200_000
"""Pictures up to this size lie in the page without loss."""

SMALL_PX = 320
"""Pictures of less width are enlarged without smoothing: their pixels are what is looked at."""

_QUALITY = 92


class Gallery:
    """Takes pictures one at a time and keeps only their compressed form."""

    def __init__(self) -> None:
        self._sections: list[str] = []

    def add(self, shown: Shown) -> None:
        """Append one picture's tiles, each with its figures."""
        figures = "".join(self._figure(title, pixels, shown.rows.get(title)) for title, pixels in shown.tiles.items())
        self._sections.append(f'<h2>{_text(shown.name)}</h2><div class="row">{figures}</div>')

    def _figure(self, title: str, pixels: Pixels, row: Row | None) -> str:
        number = f"{len(self._sections)}-{title}"
        figures = row.figures.items() if row else ()
        told = "".join(f"<span>{_text(name)} {value:.4f}</span>" for name, value in figures)
        height, width = pixels.shape[:2]
        look = "small" if width < SMALL_PX else "large"
        return (
            f'<figure><input type="checkbox" id="{_text(number)}"><label for="{_text(number)}">'
            f'<img class="{look}" src="{data_uri(pixels)}" width="{width}" height="{height}" alt="{_text(title)}">'
            f"</label><figcaption><b>{_text(title)}</b><span>{width}×{height}</span>"
            f"{told}</figcaption></figure>"
        )

    def page(self, title: str, evaluation: Evaluation | None, failures: Iterable[Failure]) -> str:
        """The whole page; with an evaluation, a table of means above the pictures and the protocol below."""
        template = Template(Path(__file__).with_name("gallery.html").read_text(encoding="utf-8"))
        return template.substitute(
            title=_text(title),
            table=_table(evaluation.means(), evaluation.metrics, evaluation.pictures) if evaluation else "",
            failures=_items("ul", [f"{failure.picture}: {failure.error}" for failure in failures]),
            pictures="\n".join(self._sections),
            protocol=_items("ol", evaluation.protocol) if evaluation else "",
        )


def data_uri(pixels: Pixels) -> str:
    """A picture as text: PNG, or WebP where that would be large."""
    small = pixels.shape[0] * pixels.shape[1] <= LOSSLESS_PIXELS
    kind, quality = ("png", 100) if small else ("webp", _QUALITY)
    content = writer.encode(Image(pixels), kind, quality=quality)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _table(means: Mapping[str, Mapping[str, float]], metrics: Sequence[MetricProtocol], pictures: int) -> str:
    heads = "".join(f"<th>{_text(metric.name)}</th>" for metric in metrics)
    rows = "".join(
        f"<tr><td>{_text(name)}</td>{''.join(_cell(name, metric, means) for metric in metrics)}</tr>" for name in means
    )
    note = f'<p class="hint">Mean of {pictures} pictures; the best figure of each column stands out.</p>'
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{rows}</table></div>{note}'


def _cell(name: str, metric: MetricProtocol, means: Mapping[str, Mapping[str, float]]) -> str:
    best = ' class="best"' if metric.best_of(means) == name else ""
    value = means[name].get(metric.name)
    return f"<td{best}>{'' if value is None else f'{value:.4f}'}</td>"


def _items(kind: str, lines: Sequence[str]) -> str:
    return f"<{kind}>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</{kind}>" if lines else ""


def _text(value: object) -> str:
    return html.escape(f"{value}")
