"""Two images over each other, and a slider that says how much of each is seen: HTML for pages without a network."""

from __future__ import annotations

import html

STYLE = """.slider { display: grid; max-width: 60rem }
.slider img { grid-area: 1 / 1; width: 100%; height: auto } .slider img + img { clip-path: inset(0 0 0 var(--at)) }
.slider input { grid-row: 2; width: 100%; margin: .4rem 0 }
"""


def slider(before: str, after: str, names: tuple[str, str], *, enlarged: bool = False) -> str:
    """``before`` at the left and ``after`` at the right, both data URIs of images of one shape, with their names.

    ``enlarged``: without smoothing.
    """
    look = ' class="small"' if enlarged else ""
    images = "".join(
        f'<img{look} src="{uri}" alt="{html.escape(name)}">' for uri, name in zip((before, after), names, strict=True)
    )
    label = html.escape(f"how much of {names[0]} is seen before {names[1]}")
    move = "this.parentNode.style.setProperty('--at', this.value + '%')"
    return (
        f'<div class="slider" style="--at: 50%">{images}'
        f'<input type="range" min="0" max="100" value="50" aria-label="{label}" oninput="{move}"></div>'
    )
