from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["gantools.images", "gantools.metrics"])
def test_the_package_itself_imports_nothing_heavy(package):
    probe = f"import sys, {package}; print([m for m in ('torch', 'numpy', 'cv2', 'PIL') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_reading_and_measuring_leave_torchvision_alone():
    probe = "import sys, gantools.images.io.reader, gantools.images.io.writer, gantools.metrics.feature_distance as _; "
    probe += "print('torchvision' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
