"""Peak memory and imports of reading and writing, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.io import writer

linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")

WIDTH, HEIGHT = 6000, 4000
SAMPLES_MB, DECODER_MB, ALLOWED_MB = WIDTH * HEIGHT * 3 / 2**20, WIDTH * HEIGHT * 4 / 2**20, 48
MEASURE = f"""
import sys
from pathlib import Path
import numpy as np
from gantools.images.io import reader, writer
from gantools.images.image import Image

def peak_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

do, kind, path, small = sys.argv[1:]
writer.save(Image(np.zeros((9, 9, 3), np.uint8)), Path(small), format=kind)
reader.read(small)
if do == "write":
    image = Image(np.full(({HEIGHT}, {WIDTH}, 3), 7, np.uint8))
    image.pixels[::2, ::3] = 200
before = peak_mb()
image = reader.read(path) if do == "read" else writer.save(image, Path(path), format=kind)
print(peak_mb() - before)
"""


def added_mb(do, kind, path):
    """Peak memory above what it was before."""
    command = [sys.executable, "-c", MEASURE, do, kind, str(path), f"{path}-small"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@linux
@pytest.mark.parametrize(("kind", "copies"), [("png", 0), ("tiff", 0), ("ppm", 0), ("jpeg", 1)])
def test_writing_needs_few_copies_of_the_image(tmp_path, kind, copies):
    assert added_mb("write", kind, tmp_path / "out") < copies * SAMPLES_MB + ALLOWED_MB


@linux
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp"])
def test_reading_needs_the_decoders_copy_and_no_other(tmp_path, kind):
    path = tmp_path / "in"
    down, across = np.arange(HEIGHT)[:, None, None], np.arange(WIDTH)[:, None]
    writer.save(Image(((down // 3 + across // np.array([5, 7, 9])) % 256).astype(np.uint8)), path, format=kind)
    assert added_mb("read", kind, path) < SAMPLES_MB + DECODER_MB + path.stat().st_size / 2**20 + ALLOWED_MB


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("gantools.images, gantools.metrics", {"torch", "numpy", "cv2", "PIL"}),
        ("gantools.data, gantools.data.options.datasets, gantools.data.prepare.options", {"torch", "numpy", "cv2"}),
        ("gantools.images.io.reader, gantools.images.io.writer, gantools.metrics.feature_distance", {"torchvision"}),
    ],
)
def test_what_is_not_needed_is_not_imported(modules, heavy):
    code = f"import sys, {modules}; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
