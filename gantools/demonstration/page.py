"""The demo's page."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path

from gantools.api import TrainingRun


def render(training: TrainingRun, shoes: Path, photos: Path, mended: Mapping[str, Path], drawings: int) -> str:
    """The page as HTML: pictures in its own folder, no network. ``mended``: sheets by what the worn photos are."""
    figures = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{value:.2f}</td></tr>" for name, value in training.validation.items()
    )
    sheets = sorted((training.path / "samples").glob("*.png"))
    strip = "".join(
        f'<figure><img src="run/samples/{sheet.name}" alt=""><figcaption>step {int(sheet.stem)}</figcaption></figure>'
        for sheet in sheets
    )
    worn = "".join(
        f"<figure><figcaption><code>gantools infer {name}</code></figcaption>"
        f'<img src="{sheet.name}" alt="worn, mended, truth"></figure>'
        for name, sheet in mended.items()
    )
    return _TEMPLATE.format(
        steps=training.step,
        drawings=drawings,
        figures=figures,
        shoes=shoes.name,
        photos=photos.name,
        worn=worn,
        strip=strip,
    )


_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>gantools demo</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
img {{ max-width: 100%; height: auto }} .strip {{ display: flex; gap: 1rem; overflow-x: auto }}
figure {{ margin: 0 }} figcaption, td {{ font-size: .9rem }} td {{ padding-right: 1.5rem }}
.shoes img {{ width: 36rem; image-rendering: pixelated }} .strip img {{ width: 16rem; max-width: none }}
.worn {{ display: flex; flex-wrap: wrap; gap: 1.5rem }} .worn figure {{ flex: 1 1 26rem }} .worn img {{ width: 100% }}
</style></head><body>
<h1>gantools demo</h1>
<h2>Super-resolution with the shipped weights</h2>
<p>Left: enlarged four times by bicubic interpolation. Right: by <code>gantools infer srgan</code>.</p>
<p><img src="{photos}" alt="bicubic beside srgan"></p>
<h2>Worn photos, with the other shipped weights</h2>
<p>Left: what was done to a photo. Middle: what the weights make of it. Right: the photo.</p>
<div class="worn">{worn}</div>
<h2>An outline becomes a shoe</h2>
<p>A pix2pix trained just now for {steps} steps on {drawings} drawn shoes. These six are from another seed.</p>
<p class="shoes"><img src="{shoes}" alt="outline, generated, truth"></p>
<table>{figures}</table>
<h2>How it learnt</h2>
<div class="strip">{strip}</div>
</body></html>
"""
