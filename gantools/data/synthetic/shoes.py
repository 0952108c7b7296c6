"""Drawn shoes in side view on white: outline and colours vary, as in the photos that edges → shoes is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gantools.data.synthetic.canvas import Canvas, Colour, Field, Points, hsv, noise, rounded, smooth, soft

WHITE = (1.0, 1.0, 1.0)
GROUND = 0.80


@dataclass(frozen=True)
class Last:
    """The proportions of one shoe: unit lengths, heel at the left, toe at the right."""

    collar: float  # height of the opening above the sole
    instep: float  # x of the front of the opening
    toe: float  # height of the toe box
    sole: float  # thickness of the sole
    lift: float  # height of the heel above flat
    heel: float  # width of a separate heel, 0 for a flat sole
    slope: float  # how far the shaft narrows towards its top

    def base(self, x: Points | float) -> Points:
        """y of the upper's lower edge: flat, with a toe spring and the heel's lift."""
        rise = np.clip((0.62 - np.asarray(x)) / 0.42, 0, 1)
        spring = np.clip((np.asarray(x) - 0.70) / 0.24, 0, 1)
        return np.asarray(GROUND - self.sole - self.lift * rise * rise * (3 - 2 * rise) - 0.025 * spring**2)


KINDS = ("sneaker", "high-top", "boot", "loafer", "pump")
NAMED_COLOURS: dict[str, tuple[float, float, float]] = {
    "black": (0.12, 0.12, 0.12),
    "white": (0.93, 0.93, 0.93),
    "gray": (0.55, 0.55, 0.56),
    "red": (0.82, 0.13, 0.14),
    "orange": (0.95, 0.52, 0.10),
    "yellow": (0.94, 0.82, 0.18),
    "green": (0.16, 0.55, 0.24),
    "blue": (0.14, 0.32, 0.78),
    "purple": (0.48, 0.22, 0.66),
    "pink": (0.95, 0.55, 0.70),
    "brown": (0.45, 0.27, 0.14),
}
SOLES = {"white": (0.90, 0.90, 0.90), "black": (0.14, 0.14, 0.14), "tan": (0.72, 0.52, 0.33)}
_JITTER = 0.03
"""How far each channel of a named colour varies."""


@dataclass(frozen=True)
class Attributes:
    """What a drawn shoe is, in words: its kind, the colours of its parts, and whether it has a separate heel."""

    kind: str
    main: str
    sole: str
    accent: str
    heel: bool

    def caption(self) -> str:
        """A sentence: ``a red boot with blue details, a white sole and a heel``."""
        article = "an" if self.main[0] in "aeiou" else "a"
        parts = (
            f"{self.accent} details, a {self.sole} sole and a heel"
            if self.heel
            else (f"{self.accent} details and a {self.sole} sole")
        )
        return f"{article} {self.main} {self.kind} with {parts}"


def draw(rng: np.random.Generator, side_px: int) -> npt.NDArray[np.uint8]:
    """One shoe. Shapes: (side_px, side_px, 3) uint8."""
    kind = str(rng.choice(KINDS, p=[0.42, 0.16, 0.16, 0.14, 0.12]))
    last = _last(kind, rng)
    return _facing(_drawn(kind, last, _scheme(rng), side_px, rng), rng)


def draw_described(rng: np.random.Generator, side_px: int) -> tuple[npt.NDArray[np.uint8], Attributes]:
    """One shoe whose colours have names, and its attributes. All kinds and colours are equally frequent.

    All face one way, as in a catalogue: heels to the left. So an attribute is seen at the same place in all of them.
    """
    kind, main, accent = (str(rng.choice(names)) for names in (KINDS, list(NAMED_COLOURS), list(NAMED_COLOURS)))
    sole = str(rng.choice(list(SOLES)))
    last = _last(kind, rng)
    named = {"main": NAMED_COLOURS[main], "accent": NAMED_COLOURS[accent], "sole": SOLES[sole]}
    colours: dict[str, Colour] = {
        part: np.clip(np.asarray(colour) + rng.uniform(-_JITTER, _JITTER, 3), 0, 1) for part, colour in named.items()
    }
    colours["lining"] = np.asarray(colours["main"]) * 0.35
    return _drawn(kind, last, colours, side_px, rng), Attributes(kind, main, sole, accent, last.heel > 0)


def _drawn(
    kind: str, last: Last, colours: dict[str, Colour], side_px: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    canvas = Canvas(side_px, WHITE)
    upper = canvas.shape(_upper_outline(last))
    _shadow(canvas, last)
    _sole(canvas, last, colours, rng)
    _opening(canvas, last, colours)
    _upper(canvas, upper, colours, rng)
    _toe_and_heel(canvas, last, upper, colours, rng)
    if kind in ("sneaker", "high-top"):
        _side_mark(canvas, last, upper, colours, rng)
    if kind in ("sneaker", "high-top", "boot"):
        _laces(canvas, last, upper, colours, rng)
    else:
        _trim(canvas, last, upper, colours)
    return _centred(canvas.finish())


def _last(kind: str, rng: np.random.Generator) -> Last:
    ranges: dict[str, tuple[tuple[float, float], ...]] = {
        "sneaker": ((0.24, 0.31), (0.40, 0.47), (0.11, 0.14), (0.055, 0.10), (0.0, 0.02), (0.0, 0.0), (0.0, 0.03)),
        "high-top": ((0.40, 0.50), (0.40, 0.45), (0.11, 0.14), (0.055, 0.09), (0.0, 0.01), (0.0, 0.0), (0.0, 0.04)),
        "boot": ((0.46, 0.60), (0.39, 0.45), (0.10, 0.14), (0.035, 0.07), (0.02, 0.07), (0.18, 0.24), (-0.03, 0.04)),
        "loafer": ((0.17, 0.22), (0.52, 0.60), (0.09, 0.12), (0.02, 0.035), (0.015, 0.04), (0.20, 0.26), (0.0, 0.02)),
        "pump": ((0.15, 0.20), (0.66, 0.74), (0.065, 0.09), (0.012, 0.02), (0.13, 0.24), (0.03, 0.10), (0.0, 0.02)),
    }
    return Last(*(float(rng.uniform(low, high)) for low, high in ranges[kind]))


def _scheme(rng: np.random.Generator) -> dict[str, Colour]:
    """Colours that go together: a main one, a second one, the sole's and the lining's."""
    hue = float(rng.random())
    main = _leather(rng) if rng.random() < 0.35 else hsv(hue, rng.uniform(0.25, 0.95), rng.uniform(0.35, 0.95))
    second_hue = (hue + float(rng.choice([0.08, 0.33, 0.5, 0.92]))) % 1
    second = rng.uniform(0.03, 0.2) if rng.random() < 0.3 else rng.uniform(0.8, 0.95)
    accent = np.full(3, second) if rng.random() < 0.45 else hsv(second_hue, rng.uniform(0.4, 1), rng.uniform(0.4, 0.95))
    soles = [np.full(3, 0.90), np.full(3, 0.14), np.array([0.72, 0.52, 0.33]), accent]
    sole = soles[int(rng.choice(4, p=[0.4, 0.3, 0.18, 0.12]))]
    return {"main": main, "accent": accent, "sole": sole, "lining": np.asarray(main) * 0.35}


def _leather(rng: np.random.Generator) -> Colour:
    return hsv(rng.uniform(0.03, 0.1), rng.uniform(0.1, 0.75), rng.uniform(0.1, 0.75))


def _upper_outline(last: Last) -> Points:
    """The closed outline of the upper, from the heel over opening, instep and toe back along the sole."""
    back, front = 0.11, 0.93
    top = float(last.base(back)) - last.collar
    throat = _throat(last)
    above = [
        (back, float(last.base(back))),
        (back - 0.015, float(last.base(back)) - 0.35 * last.collar),
        (back + last.slope, top + 0.02),
        (back + last.slope + 0.025, top),
        ((back + last.instep) / 2, top + 0.035 * (last.collar < 0.35) + 0.3 * max(0.0, throat - top)),
        (last.instep - last.slope - 0.02, throat - 0.005),
        _instep(last)[0],
    ]
    above += [
        *_instep(last)[1:],
        (0.90, float(last.base(0.90)) - 0.78 * last.toe),
        (front + 0.012, float(last.base(front)) - 0.35 * last.toe),
    ]
    along = np.linspace(front, back, 14)
    return np.vstack([smooth(above, closed=False), np.stack([along, last.base(along) + 0.004], 1)])


def _throat(last: Last) -> float:
    """y of the front end of the opening."""
    return float(last.base(last.instep)) - last.collar * (1.0 if last.collar > 0.35 else 0.80)


def _instep(last: Last) -> list[tuple[float, float]]:
    """The line from the opening down to the toe: a slope on low shoes, a shaft and a bend on high ones."""
    throat, toe_top = _throat(last) + 0.02, float(last.base(0.82)) - last.toe
    if last.collar < 0.35:
        bend = last.instep + 0.42 * (0.82 - last.instep)
        return [(last.instep, throat), (bend, throat + 0.62 * (toe_top - throat)), (0.82, toe_top)]
    ankle = min(toe_top - 0.07, throat + 0.72 * (toe_top - throat))
    return [
        (last.instep, throat),
        (last.instep + 0.015, (throat + ankle) / 2),
        (last.instep + 0.07, ankle),
        (0.64, toe_top - 0.025),
        (0.82, toe_top),
    ]


def _shadow(canvas: Canvas, last: Last) -> None:
    line = np.array([[0.14, GROUND + 0.012], [0.88, GROUND + 0.008]])
    canvas.light(soft(canvas.stroke(line, width=0.015), 0.012), -0.28 if last.lift < 0.1 else -0.15)


def _sole(canvas: Canvas, last: Last, colours: dict[str, Colour], rng: np.random.Generator) -> None:
    """The sole under the upper, and a heel under it where the shoe has one."""
    x = np.linspace(0.095, 0.945, 40)
    lower = (
        np.minimum(last.base(x) + last.sole, GROUND)
        if last.heel
        else np.where(x > 0.8, last.base(x) + last.sole, GROUND)
    )
    top = np.stack([x, last.base(x) - 0.012 * (last.heel == 0)], 1)
    mask = canvas.shape(np.vstack([top, np.stack([x, lower], 1)[::-1]]))
    canvas.paint(mask, colours["sole"], 0.78 + 0.22 * rounded(mask, 0.03))
    if last.heel:
        _heel(canvas, last, colours["sole"])
    elif rng.random() < 0.6:
        y = last.base(x) + float(rng.uniform(0.25, 0.75)) * last.sole
        canvas.paint(canvas.stroke(np.stack([x, y], 1), width=0.010) * mask, colours["accent"])


def _heel(canvas: Canvas, last: Last, colour: Colour) -> None:
    left, right = 0.10, 0.10 + max(last.heel, 0.12)
    foot = left + (0.02 if last.heel > 0.12 else 0.04)
    corners = [(left, float(last.base(left))), (right, float(last.base(right)) + last.sole)]
    corners += [(foot + last.heel, GROUND), (foot, GROUND)]
    mask = canvas.shape(np.array(corners))
    canvas.paint(mask, np.asarray(colour) * 0.9, 0.7 + 0.3 * rounded(mask, 0.03))


def _opening(canvas: Canvas, last: Last, colours: dict[str, Colour]) -> None:
    """The far side of the opening with its lining, seen behind the near edge."""
    left, right = 0.115 + last.slope, last.instep - last.slope
    top = float(last.base(0.11)) - last.collar
    throat = _throat(last)
    height = 0.022
    rim = [(left, top + 0.02), ((left + right) / 2, (top + throat) / 2 - height), (right, throat + 0.01)]
    below = [((left + right) / 2, (top + throat) / 2 + 0.09), (left + 0.03, top + 0.06)]
    mask = canvas.shape(smooth(rim + below))
    canvas.paint(mask, colours["lining"], 0.8 + 0.3 * rounded(mask, 0.03))


def _upper(canvas: Canvas, upper: Field, colours: dict[str, Colour], rng: np.random.Generator) -> None:
    """The upper in its main colour: round towards its edges, lit from above, with a slight texture."""
    light = 0.62 + 0.38 * rounded(upper, float(rng.uniform(0.07, 0.13)))
    grain = 1 + float(rng.uniform(0.01, 0.05)) * noise(rng, canvas.fine_px, int(rng.integers(30, 90)))
    canvas.paint(upper, colours["main"], light * (1.12 - 0.25 * canvas.y) * grain)
    glow = soft(canvas.disc(np.array([rng.uniform(0.6, 0.75), 0.62]), 0.05), 0.045) * upper
    canvas.light(glow, float(rng.uniform(0.1, 0.45)))


def _toe_and_heel(
    canvas: Canvas, last: Last, upper: Field, colours: dict[str, Colour], rng: np.random.Generator
) -> None:
    """Toe cap and heel counter, each with its seam."""
    if rng.random() < 0.6:
        edge = float(rng.uniform(0.74, 0.84))
        seam = smooth(
            [(edge + 0.03, 0.3), (edge - 0.005, 0.60), (edge + 0.02, 0.72), (edge + 0.07, 0.85)], closed=False
        )
        _panel(canvas, np.vstack([seam, [(1.0, 0.85), (1.0, 0.3)]]), seam, upper, colours, rng)
    if rng.random() < 0.6:
        edge = float(rng.uniform(0.19, 0.27))
        height = float(last.base(0.11)) - last.collar * float(rng.uniform(0.45, 1.1))
        seam = smooth([(0.05, height), (edge - 0.04, height + 0.05), (edge, 0.66), (edge + 0.05, 0.85)], closed=False)
        _panel(canvas, np.vstack([seam, [(0.0, 0.85), (0.0, height)]]), seam, upper, colours, rng)


def _panel(
    canvas: Canvas,
    outline: Points,
    seam: Points,
    upper: Field,
    colours: dict[str, Colour],
    rng: np.random.Generator,
) -> None:
    """A piece sewn onto the upper, in the second colour or a shade of the first."""
    colour = colours["accent"] if rng.random() < 0.6 else np.asarray(colours["main"]) * rng.uniform(0.6, 0.85)
    mask = canvas.shape(outline) * upper
    canvas.paint(mask, colour, 0.65 + 0.35 * rounded(upper, 0.09))
    canvas.light(canvas.stroke(seam, width=0.006) * upper, -0.45)


def _side_mark(canvas: Canvas, last: Last, upper: Field, colours: dict[str, Colour], rng: np.random.Generator) -> None:
    """Slanted stripes, a curved wave, or nothing."""
    style = int(rng.integers(3))
    shade = 0.7 + 0.3 * rounded(upper, 0.09)
    if style == 0:
        count, lean = int(rng.integers(2, 5)), float(rng.uniform(0.04, 0.12))
        for x in 0.36 + 0.062 * np.arange(count):
            top = float(last.base(x)) - 0.62 * last.collar * (1.0 if last.collar < 0.35 else 0.5)
            line = np.array([[x + lean, top], [x, float(last.base(x)) - 0.005]])
            canvas.paint(canvas.stroke(line, width=0.026) * upper, colours["accent"], shade)
    elif style == 1:
        y = float(last.base(0.5))
        over = [(0.22, y - 0.13), (0.33, y - 0.055), (0.48, y - 0.06), (0.72, y - 0.14)]
        under = [(0.50, y - 0.028), (0.34, y - 0.015), (0.25, y - 0.05)]
        canvas.paint(canvas.shape(smooth(over + under)) * upper, colours["accent"], shade)


def _laces(canvas: Canvas, last: Last, upper: Field, colours: dict[str, Colour], rng: np.random.Generator) -> None:
    """Lace bars across the instep, on a stay of their own shade."""
    line = smooth(_instep(last), closed=False)
    line = line[: int(len(line) * (0.68 if last.collar > 0.35 else 0.72))]
    along = np.gradient(line, axis=0)
    inward = np.stack([-along[:, 1], along[:, 0]], 1) / np.hypot(*along.T)[:, None]
    stay = np.vstack([line, (line + 0.06 * inward)[::-1]])
    canvas.paint(canvas.shape(stay) * upper, np.asarray(colours["main"]) * 0.7, 0.7 + 0.3 * rounded(upper, 0.09))
    colour = np.full(3, 0.95) if rng.random() < 0.6 else colours["accent"]
    count = int(rng.integers(4, 7)) + 3 * (last.collar > 0.35)
    rows = np.linspace(1, len(line) - 3, count).astype(int)
    bars = [np.array([line[at] - 0.008 * inward[at], line[at + 2] + 0.05 * inward[at]]) for at in rows]
    canvas.light(canvas.stroke(*(bar + 0.004 for bar in bars), width=0.016), -0.35)
    canvas.paint(canvas.stroke(*bars, width=0.013), colour)


def _trim(canvas: Canvas, last: Last, upper: Field, colours: dict[str, Colour]) -> None:
    """A strap across the instep and a seam along the sole: loafers and pumps."""
    x = np.linspace(0.1, 0.95, 30)
    canvas.light(canvas.stroke(np.stack([x, last.base(x) - 0.012], 1), width=0.005) * upper, -0.4)
    if last.lift < 0.1:
        start, foot = last.instep + 0.03, float(last.base(last.instep))
        strap = np.array([[start, foot - 0.3], [start + 0.05, foot - 0.3], [start + 0.02, foot], [start - 0.05, foot]])
        mask = canvas.shape(strap) * upper
        canvas.paint(mask, colours["accent"], 0.65 + 0.35 * rounded(upper, 0.07))


def _centred(shoe: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The same shoe half-way between top and bottom, as in a catalogue."""
    rows = np.flatnonzero((shoe < 250).any(axis=(1, 2)))
    return np.roll(shoe, (shoe.shape[0] - 1 - rows[0] - rows[-1]) // 2, axis=0)


def _facing(shoe: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(shoe[:, ::-1]) if rng.random() < 0.5 else shoe
