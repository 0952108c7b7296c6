"""Drawn apples and oranges on tables, cloths and lawns: two domains without pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from gantools.data.synthetic.canvas import Canvas, Colour, Field, Points, hsv, noise, smooth, soft


@dataclass(frozen=True)
class Place:
    """Where one fruit lies."""

    x: float
    y: float
    radius: float

    @property
    def centre(self) -> Points:
        return np.array([self.x, self.y])


def apples(rng: np.random.Generator, side_px: int) -> npt.NDArray[np.uint8]:
    """An image of one to five apples. Shapes: (side_px, side_px, 3) uint8."""
    canvas = _table(rng, side_px)
    skin = _apple_skin(rng)
    for place in _places(rng):
        _cast_shadow(canvas, place)
        _apple(canvas, place, skin, rng)
    return canvas.finish()


def oranges(rng: np.random.Generator, side_px: int) -> npt.NDArray[np.uint8]:
    """An image of one to five oranges. Shapes: (side_px, side_px, 3) uint8."""
    canvas = _table(rng, side_px)
    for place in _places(rng):
        _cast_shadow(canvas, place)
        _orange(canvas, place, rng)
    return canvas.finish()


def _places(rng: np.random.Generator) -> list[Place]:
    """One large fruit or several smaller ones, the nearest (lowest) last."""
    count = int(rng.choice([1, 1, 1, 2, 3, 4, 5]))
    radius = float(rng.uniform(0.27, 0.40)) if count == 1 else float(rng.uniform(0.15, 0.23))
    spread = 0.06 if count == 1 else 0.26
    found = [
        Place(0.5 + float(rng.uniform(-spread, spread)), 0.54 + float(rng.uniform(-spread, spread)), radius * scale)
        for scale in rng.uniform(0.9, 1.1, count)
    ]
    return sorted(found, key=lambda place: place.y)


def _table(rng: np.random.Generator, side_px: int) -> Canvas:
    """A canvas with one of five backgrounds."""
    canvas = Canvas(side_px, (1.0, 1.0, 1.0))
    painters = (_studio, _wood, _lawn, _cloth, _wall)
    painters[int(rng.integers(len(painters)))](canvas, rng)
    return canvas


def _studio(canvas: Canvas, rng: np.random.Generator) -> None:
    tone = hsv(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.75, 1.0))
    canvas.pixels *= np.asarray(tone, np.float32) * (1.05 - 0.2 * canvas.y)[..., None]


def _wood(canvas: Canvas, rng: np.random.Generator) -> None:
    tone = np.asarray(hsv(rng.uniform(0.05, 0.1), rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.75)), np.float32)
    warp = 0.03 * noise(rng, canvas.fine_px, 4) + canvas.y
    grain = 0.06 * np.sin(warp * float(rng.uniform(60, 140))) + 0.05 * noise(rng, canvas.fine_px, 12)
    planks = 1 - 0.35 * (np.abs((canvas.y * float(rng.uniform(3, 6))) % 1 - 0.5) > 0.48)
    canvas.pixels[...] = tone * ((1 + grain) * planks)[..., None]


def _lawn(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.pixels[...] = hsv(rng.uniform(0.22, 0.33), 0.7, rng.uniform(0.25, 0.5))
    for _ in range(70):
        foot = rng.random(2)
        blade = np.array([foot, foot + rng.normal(0, 0.04, 2) - [0, 0.08], foot + rng.normal(0, 0.07, 2) - [0, 0.16]])
        green = hsv(rng.uniform(0.2, 0.33), rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.75))
        canvas.pixels[canvas.stroke(blade, width=rng.uniform(0.006, 0.02)) > 0.5] = green


def _cloth(canvas: Canvas, rng: np.random.Generator) -> None:
    tones = [np.asarray(hsv(rng.random(), rng.uniform(0.1, 0.7), v), np.float32) for v in (0.9, rng.uniform(0.4, 0.8))]
    cells = float(rng.uniform(3, 9))
    checks = ((canvas.x * cells % 1 > 0.5).astype(np.float32) + (canvas.y * cells % 1 > 0.5)) / 2
    folds = 1 + 0.08 * noise(rng, canvas.fine_px, 3)
    canvas.pixels[...] = (tones[0] + checks[..., None] * (tones[1] - tones[0])) * folds[..., None]


def _wall(canvas: Canvas, rng: np.random.Generator) -> None:
    """A blurred room behind the edge of a table."""
    wall, table = (np.asarray(hsv(rng.random(), rng.uniform(0, 0.5), v), np.float32) for v in rng.uniform(0.3, 0.9, 2))
    edge = np.clip((canvas.y - np.float32(rng.uniform(0.4, 0.7))) * 60, 0, 1)[..., None]
    blur = 1 + 0.15 * noise(rng, canvas.fine_px, 3)[..., None]
    canvas.pixels[...] = wall * blur * (1 - edge) + table * edge


def _cast_shadow(canvas: Canvas, place: Place) -> None:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    flat = np.stack([np.cos(turn) * 1.05, 0.3 * np.sin(turn)], 1) * place.radius
    mask = canvas.shape(place.centre + np.array([0.06, 0.85]) * place.radius + flat)
    canvas.light(soft(mask, 0.03), -0.5)


def _ball(canvas: Canvas, place: Place) -> tuple[Field, Field]:
    """Brightness of a ball lit from the upper left, and how directly it reflects the lamp."""
    u, v = (canvas.x - place.x) / place.radius, (canvas.y - place.y) / place.radius
    depth = np.sqrt(np.clip(1.1 - u * u - v * v, 0, None))
    facing = np.clip(-0.45 * u - 0.6 * v + 0.66 * depth, 0, 1)
    fourth = (facing * facing) ** 2
    sharp = fourth * fourth * (facing * facing) * facing
    return np.asarray(0.32 + 0.78 * facing, np.float32), np.asarray(sharp * sharp, np.float32)


def _apple_skin(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Main colour and the colour of the streaks: red, green, or yellow with a red cheek."""
    kind = int(rng.choice(3, p=[0.55, 0.27, 0.18]))
    main = (
        partial(hsv, rng.uniform(-0.02, 0.02) % 1, rng.uniform(0.8, 0.95), rng.uniform(0.55, 0.85)),
        partial(hsv, rng.uniform(0.19, 0.26), rng.uniform(0.6, 0.85), rng.uniform(0.6, 0.85)),
        partial(hsv, rng.uniform(0.12, 0.15), rng.uniform(0.6, 0.75), rng.uniform(0.8, 0.95)),
    )[kind]()
    streak = (
        hsv(rng.uniform(0.1, 0.2), 0.6, 0.9)
        if kind == 0
        else hsv(0.18, 0.4, 0.95)
        if kind == 1
        else hsv(0.0, 0.8, 0.75)
    )
    return main, streak


def _apple(canvas: Canvas, place: Place, skin: tuple[Colour, Colour], rng: np.random.Generator) -> None:
    """The body with its shoulders, streaks from the stem downwards, highlight, stem and sometimes a leaf."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    dip = 0.20 * np.exp(-(((angle - np.pi / 2 + np.pi) % (2 * np.pi) - np.pi) ** 2) / 0.10)
    foot = 0.07 * np.exp(-(((angle - 3 * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi) ** 2) / 0.06)
    reach = (1 + 0.05 * np.cos(2 * angle) + 0.06 * np.sin(angle) - dip - foot) * place.radius
    body = canvas.shape(place.centre + np.stack([np.cos(angle) * reach, -np.sin(angle) * reach], 1))
    light, gloss = _ball(canvas, place)
    canvas.paint(body, _streaks(canvas, place, skin, rng), light)
    canvas.light(gloss * body, 0.75)
    top = place.centre - np.array([0, 0.80]) * place.radius
    canvas.light(soft(canvas.disc(top, 0.16 * place.radius), 0.05 * place.radius) * body, -0.55)
    _stem(canvas, top, place.radius, rng)


def _streaks(canvas: Canvas, place: Place, skin: tuple[Colour, Colour], rng: np.random.Generator) -> Field:
    """Skin colours: streaks that run from the stem downwards, and a cheek."""
    around = np.arctan2(canvas.x - place.x, canvas.y - place.y + 1.1 * place.radius)
    phase = float(rng.uniform(0, 7))
    wave = np.sin(around * 23 + phase) + np.sin(around * 41 + 2 * phase) + 0.8 * noise(rng, canvas.fine_px, 10)
    cheek = 0.5 * noise(rng, canvas.fine_px, 2)
    amount = np.clip(0.16 * wave + cheek, 0, 0.7)[..., None]
    return np.asarray(np.asarray(skin[0]) * (1 - amount) + np.asarray(skin[1]) * amount, np.float32)


def _stem(canvas: Canvas, top: Points, radius: float, rng: np.random.Generator) -> None:
    lean = float(rng.uniform(-0.15, 0.2)) * radius
    line = smooth(
        [tuple(top), (top[0] + lean / 3, top[1] - 0.2 * radius), (top[0] + lean, top[1] - 0.4 * radius)], closed=False
    )
    canvas.paint(canvas.stroke(line, width=0.08 * radius), (0.30, 0.20, 0.10))
    if rng.random() < 0.4:
        tip = line[len(line) // 2]
        leaf = np.array([[0, 0], [0.22, -0.2], [0.55, -0.18], [0.4, 0.0], [0.2, 0.05]]) * radius
        mask = canvas.shape(tip + smooth(leaf))
        canvas.paint(mask, hsv(rng.uniform(0.24, 0.34), 0.75, rng.uniform(0.35, 0.6)))


def _orange(canvas: Canvas, place: Place, rng: np.random.Generator) -> None:
    """A ball with dimples, a highlight spread by them, and the star where the stem was."""
    body = canvas.disc(place.centre, place.radius)
    light, gloss = _ball(canvas, place)
    dimples = noise(rng, canvas.fine_px, max(8, int(canvas.side_px * 0.4)))
    dots = np.clip(dimples - 0.5, 0, 1)
    main = hsv(rng.uniform(0.065, 0.10), rng.uniform(0.88, 1.0), rng.uniform(0.88, 1.0))
    canvas.paint(body, main, light * (1 - 0.14 * dots + 0.02 * dimples))
    canvas.light(gloss * body * np.clip(0.8 - 0.5 * dots, 0, 1), 0.55)
    if rng.random() < 0.6:
        turn = np.linspace(0, 2 * np.pi, 10, endpoint=False) + float(rng.random())
        reach = np.where(np.arange(10) % 2, 0.05, 0.12) * place.radius
        spot = place.centre + np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.75, -0.4)]) * place.radius
        canvas.light(soft(canvas.disc(spot, 0.16 * place.radius), 0.05 * place.radius), -0.2)
        canvas.paint(
            canvas.shape(spot + np.stack([np.cos(turn) * reach, 0.6 * np.sin(turn) * reach], 1)), (0.35, 0.45, 0.15)
        )
