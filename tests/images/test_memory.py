"""What reading and writing a large image takes beside its samples, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.io import writer

WIDTH, HEIGHT = 6000, 4000
ALLOWED_MB = 48

MEASURE = """
import sys
from pathlib import Path
import numpy as np
from gantools.images.io import reader, writer
from gantools.images.image import Image

def peak_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

def warm(kind):
    writer.save(Image(np.zeros((9, 9, 3), np.uint8)), Path(sys.argv[2]), format=kind)
    reader.read(sys.argv[2])
"""


def measured(script: str, *arguments: object) -> float:
    """Peak memory, in MB above what it was before, that the last lines of ``script`` added."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE + script, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def gradient() -> Image:
    down, across = np.arange(HEIGHT)[:, None, None], np.arange(WIDTH)[:, None]
    return Image(((down // 3 + across // np.array([5, 7, 9])) % 256).astype(np.uint8))


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.parametrize(("kind", "copies"), [("png", 0), ("tiff", 0), ("ppm", 0), ("jpeg", 1)])
def test_writing_needs_few_copies_of_the_image(tmp_path: Path, kind: str, copies: int) -> None:
    script = f"""
warm({kind!r})
image = Image(np.full(({HEIGHT}, {WIDTH}, 3), 7, np.uint8))
image.pixels[::2, ::3] = 200
before = peak_mb()
writer.save(image, Path(sys.argv[1]), format={kind!r})
print(peak_mb() - before)
"""
    added = measured(script, tmp_path / "out", tmp_path / "small")
    assert added < copies * WIDTH * HEIGHT * 3 / 2**20 + ALLOWED_MB


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp"])
def test_reading_needs_the_decoders_copy_and_no_other(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"in.{kind}"
    writer.save(gradient(), path, format=kind)
    script = f"""
warm({kind!r})
before = peak_mb()
image = reader.read(sys.argv[1])
print(peak_mb() - before)
"""
    added = measured(script, path, tmp_path / "small")
    samples_mb, decoder_mb, file_mb = (
        WIDTH * HEIGHT * 3 / 2**20,
        WIDTH * HEIGHT * 4 / 2**20,
        path.stat().st_size / 2**20,
    )
    assert added < samples_mb + decoder_mb + file_mb + ALLOWED_MB
