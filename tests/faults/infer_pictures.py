"""The row of what is kept of a picture: every kind of samples, in every format, however it is turned."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.faults import ground
from tests.faults.damage import encoded, saved
from tests.faults.harness import Outcome, Row, Trial
from tests.images.make import chunk, noise, png, printer_profile, tiff, upright

SIZES = ((1, 1), (2, 3), (17, 33), (40, 24), (64, 1))
TURNED = {
    "png": ("1", "L", "LA", "P", "P+alpha", "RGB", "RGBA", "L16", "LA16", "RGB16", "RGBA16"),
    "tif": ("1", "L", "P", "RGB", "RGBA", "CMYK", "L16", "RGB16", "RGBA16"),
    "webp": ("RGB", "RGBA", "lossy"),
    "jpg": ("L", "RGB", "CMYK", "CMYK+profile"),
}
UPRIGHT = {"bmp": ("1", "L", "P", "RGB", "RGBA"), "ppm": ("1", "L", "RGB", "L16", "RGB16")}
LOSSY = frozenset({"webp", "jpg"})
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_DESCRIPTION, _ORIENTATION = 0x010E, 0x0112


@dataclass(frozen=True)
class Cell:
    """One file: what its samples are, its format, how it is turned, and its stored width and height."""

    mode: str
    suffix: str
    orientation: int
    size: tuple[int, int]

    @property
    def name(self) -> str:
        mode = self.mode.replace("+", "-")
        return f"{self.suffix}-{mode}-{self.orientation}-{self.size[0]}x{self.size[1]}.{self.suffix}"

    @property
    def turns(self) -> bool:
        return self.suffix in TURNED


@dataclass(frozen=True)
class Seen:
    """Upright samples as another program sees them: colour [H, W, 1 or 3] and alpha [H, W] or None."""

    colour: np.ndarray
    alpha: np.ndarray | None

    def equals(self, other: Seen) -> bool:
        """Same samples, same depth, same transparency; gray equals the gray that is stored three times."""
        if (self.alpha is None) != (other.alpha is None) or self.colour.dtype != other.colour.dtype:
            return False
        alike = self.alpha is None or np.array_equal(self.alpha, other.alpha)
        return alike and np.array_equal(_three(self.colour), _three(other.colour))

    def resembles(self, other: Seen) -> bool:
        """Same size, transparency and number of colours, as after an encoder that loses something."""
        shapes = (self.colour.shape[:2], self.alpha is None) == (other.colour.shape[:2], other.alpha is None)
        return shapes and np.abs(_three(self.colour).astype(float) - _three(other.colour)).mean() < 64


def _three(colour: np.ndarray) -> np.ndarray:
    return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour


def cells() -> list[Cell]:
    """Every cell of the table."""
    turned = [(mode, suffix, turn) for suffix, modes in TURNED.items() for mode in modes for turn in range(1, 9)]
    plain = [(mode, suffix, 1) for suffix, modes in UPRIGHT.items() for mode in modes]
    return [Cell(*cell, SIZES[number % len(SIZES)]) for number, cell in enumerate(turned + plain)]


def made(cell: Cell) -> tuple[bytes, Seen]:
    """A cell's file, made without the code under test, and what there is to see in it."""
    if cell.mode.endswith("16"):
        return _deep(cell)
    image, known = _image(cell)
    content = _saved(cell, image)
    if known is None:
        with Image.open(io.BytesIO(content)) as stored:
            plain = stored if stored.mode in ("L", "RGB") else _from_print(stored)
            known = np.asarray(plain)
        if cell.suffix == "tif":  # Pillow turns a TIFF itself
            return content, _parted(known)
    return content, _seen(known, cell)


def _deep(cell: Cell) -> tuple[bytes, Seen]:
    samples = noise(cell.size[1], cell.size[0], _CHANNELS[cell.mode[:-2]], np.uint16)
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if cell.suffix == "png":
        content = png(samples, _COLOUR_TYPE[channels], chunk(b"eXIf", _exif(cell).removeprefix(b"Exif\0\0")))
    elif cell.suffix == "tif":
        content = tiff(samples, cell.orientation)
    else:
        header = f"P{5 if channels == 1 else 6}\n{cell.size[0]} {cell.size[1]}\n65535\n".encode()
        content = header + samples.astype(">u2").tobytes()
    return content, _seen(samples, cell)


def _image(cell: Cell) -> tuple[Image.Image, np.ndarray | None]:
    """A picture of the cell's mode and its samples as stored, or None where only a decoder can tell."""
    width, height = cell.size
    if cell.mode == "1":
        bits = noise(height, width, 1) > 127
        return Image.fromarray(bits), bits * np.uint8(255)
    if cell.mode.startswith("P"):
        return _palette(cell)
    if cell.mode.startswith("CMYK"):
        return Image.fromarray(noise(height, width, 4), "CMYK"), None
    samples = noise(height, width, _CHANNELS.get(cell.mode, 3))
    return Image.fromarray(samples), samples if cell.suffix != "jpg" and cell.mode != "lossy" else None


def _palette(cell: Cell) -> tuple[Image.Image, np.ndarray]:
    width, height = cell.size
    palette, index = noise(16, 4, 1), noise(height, width, 1) % 16
    colours = noise(16, 3, 1, seed=5)
    image = Image.fromarray(index, "P")
    image.putpalette(colours.tobytes())
    if cell.mode == "P":
        return image, colours[index]
    image.info["transparency"] = bytes(palette[:, 0])
    return image, np.dstack([colours[index], palette[index, 0]])


def _saved(cell: Cell, image: Image.Image) -> bytes:
    form = {"tif": "TIFF", "jpg": "JPEG"}.get(cell.suffix, cell.suffix.upper())
    options: dict[str, object] = {}
    if (cell.suffix, cell.mode) == ("bmp", "RGBA"):  # Pillow's has no transparency
        return encoded(".bmp", np.asarray(image)[..., [2, 1, 0, 3]])
    if cell.suffix == "tif":
        options["tiffinfo"] = {_ORIENTATION: cell.orientation, _DESCRIPTION: "a cell"}
    elif cell.turns:
        options["exif"] = _exif(cell)
    if cell.suffix == "webp":
        options |= {"lossless": cell.mode != "lossy", "exact": True}
    if cell.mode == "CMYK+profile":
        options["icc_profile"] = printer_profile()
    if "transparency" in image.info:
        options["transparency"] = image.info["transparency"]
    return saved(image, form, **options)


def _exif(cell: Cell) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION], exif[_DESCRIPTION] = cell.orientation, "a cell"
    return exif.tobytes()


def _from_print(image: Image.Image) -> Image.Image:
    """Print colours as their profile says: the profile here makes every ink gray and black black."""
    if "icc_profile" not in image.info:
        return image.convert("RGB")
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")


def _seen(stored: np.ndarray, cell: Cell) -> Seen:
    """Stored samples turned upright pixel by pixel, from EXIF's definition."""
    return _parted(upright(stored, cell.orientation))


def _parted(samples: np.ndarray) -> Seen:
    channels = samples if samples.ndim == 3 else samples[..., None]
    colours = 1 if channels.shape[2] < 3 else 3
    return Seen(channels[..., :colours], channels[..., -1] if channels.shape[2] in (2, 4) else None)


def look(path: Path) -> Seen:
    """What OpenCV sees of 16 bits, and Pillow of 8. Fails for a result that is still to be turned."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    with Image.open(path) as image:
        assert image.getexif().get(_ORIENTATION, 1) == 1, "orientation is left to the viewer"
        if stored.dtype == np.uint8:
            return _parted(np.asarray(image))
    if stored.ndim == 2:
        return _parted(stored)
    order = [2, 1, 0, 3][: stored.shape[2]]
    pixels = stored[..., order]
    with path.open("rb") as stream:
        gray_alpha = path.suffix == ".png" and stream.read(26)[25] == 4
    return _parted(pixels[..., 2:] if gray_alpha else pixels)


def matrix(trial: Trial) -> Outcome:
    """A network that changes nothing changes nothing: samples, depth, transparency; turned upright once."""
    outcome, wanted = Outcome(), {}
    (trial.folder / "in").mkdir()
    for cell in cells():
        content, wanted[cell] = made(cell)
        (trial.folder / "in" / cell.name).write_bytes(content)
    weights = ground.identity(trial.folder)
    same = ("infer", weights, "in", "--json")
    kept = ground.gantools(*same, "-o", "kept", folder=trial.folder)
    as_png = ground.gantools(*same, "-o", "png", "--format", "png", folder=trial.folder)
    for run in (kept, as_png):
        outcome.case(run.code == 0, f"exit {run.code}: {run.err[-300:]}")
    exact: Counter[str] = Counter()
    for cell, seen in wanted.items():
        found = _look(trial.folder / "png" / Path(cell.name).with_suffix(".png"))
        outcome.case(found is not None and seen.equals(found), f"{cell.name} as PNG")
        found = _look(trial.folder / "kept" / cell.name)
        close = found is not None and (seen.resembles(found) if cell.suffix in LOSSY else seen.equals(found))
        outcome.case(close, f"{cell.name} in its own format")
        exact[cell.suffix, cell.mode] += close
    outcome.figures["cells"] = str(len(wanted))
    outcome.details += _table(exact)
    return outcome


def _look(path: Path) -> Seen | None:
    try:
        return look(path)
    except (AssertionError, AttributeError, OSError):
        return None


def _table(exact: Counter[str]) -> Iterator[str]:
    """Formats against kinds of samples: how many of the ways to be turned were right."""
    formats = TURNED | UPRIGHT
    modes = list(dict.fromkeys(mode for found in formats.values() for mode in found))
    yield f"{'':6}" + "".join(f"{mode:>13}" for mode in modes)
    for suffix, found in formats.items():
        yield f"{suffix:6}" + "".join(f"{_count(exact, suffix, mode, found):>13}" for mode in modes)


def _count(exact: Counter[str], suffix: str, mode: str, found: Iterable[str]) -> str:
    return f"{exact[suffix, mode]}/{8 if suffix in TURNED else 1}" if mode in found else ""


ROWS = (Row("matrix", "kinds × formats × EXIF 1–8: exact where the format is", matrix),)
