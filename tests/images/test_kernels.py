"""Kernel files and the convolution with a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gantools.errors import DataError
from gantools.images.ops.blur import MAX_SIDE_PX, convolve, normalised, read_kernel, read_kernels

LEVIN_SIDES_PX = [19, 17, 15, 27, 13, 21, 23, 23]


def saved(folder: Path, array: Any) -> Path:
    path = folder / "kernel.npy"
    np.save(path, np.asarray(array))
    return path


def test_npy_kernels_come_with_sum_1_and_odd_sides(tmp_path: Path) -> None:
    (kernel,) = read_kernels(saved(tmp_path, [[1, 2], [3, 2]]))
    assert (kernel.shape, kernel.dtype) == ((3, 3), np.float32)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel[:2, :2], np.array([[1, 2], [3, 2]]) / 8)
    several = read_kernels(saved(tmp_path, np.ones((4, 3, 5))))
    assert [one.shape for one in several] == [(3, 5)] * 4


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 3)), "is all zeros"),
        (np.full((3, 3), np.nan), "NaN or infinite"),
        (np.array([[1.0, np.inf]]), "NaN or infinite"),
        (-np.eye(3), "negative"),
        (np.ones(5), "a kernel is a matrix of numbers"),
        (np.ones((2, 3, 3, 3)), "a kernel is a matrix of numbers"),
        (np.array([["a", "b"]]), "a kernel is a matrix of numbers"),
        (np.array([[None, 1]]), "cannot be read|Object arrays"),
        (np.ones((1, 1)), "holds no blur kernel"),
        (np.ones((1, MAX_SIDE_PX + 1)), "holds no blur kernel"),
    ],
    ids=lambda value: "" if isinstance(value, np.ndarray) else value,
)
def test_arrays_that_are_no_kernels_are_refused(array: Any, said: str, tmp_path: Path) -> None:
    path = saved(tmp_path, array)
    with pytest.raises(DataError, match=said) as caught:
        read_kernels(path)
    assert str(caught.value).startswith(f"'{path}'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kernel.png", b"", "ends in .npy or .mat"),
        ("kernel.npy", b"rubbish", "holds no blur kernel that can be read"),
        ("kernel.npy", b"", "holds no blur kernel that can be read"),
        ("kernel.mat", b"rubbish", "holds no blur kernel that can be read"),
    ],
)
def test_files_that_hold_no_kernels_are_refused(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    if name.endswith(".mat"):
        pytest.importorskip("scipy.io")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_kernels(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such kernel file"):
        read_kernels(tmp_path / "absent.npy")


def test_mat_files_need_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, package in ((b"MATLAB 5.0 MAT-file", "scipy"), (b"MATLAB 7.3 MAT-file", "h5py")):
        (tmp_path / "kernel.mat").write_bytes(content)
        monkeypatch.setitem(__import__("sys").modules, "scipy.io" if package == "scipy" else package, None)
        with pytest.raises(DataError, match=rf"needs {package}: pip install 'gantools\[mat\]'"):
            read_kernels(tmp_path / "kernel.mat")


def test_mat_variables_and_cells_are_found(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    cells = np.empty((1, 2), object)
    cells[0] = [np.eye(3), np.ones((5, 5))]
    io.savemat(tmp_path / "kernels.mat", {"kernels": cells, "plain": np.ones((7, 3)), "name": "text", "scale": 3.0})
    assert [kernel.shape for kernel in read_kernels(tmp_path / "kernels.mat")] == [(3, 3), (5, 5), (7, 3)]


def test_the_kernels_of_kair(shared_data: Path) -> None:
    pytest.importorskip("scipy.io")
    kernels = read_kernels(shared_data / "blur_kernels" / "kernels_12.mat")
    assert [kernel.shape for kernel in kernels] == [(25, 25)] * 12
    assert [float(kernel.sum()) for kernel in kernels] == pytest.approx([1] * 12)


def test_levins_kernels(shared_data: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = shared_data / "blur_kernels" / "Levin09.mat"
    kernels = read_kernels(path)
    assert [kernel.shape for kernel in kernels] == [(side, side) for side in LEVIN_SIDES_PX]
    with h5py.File(path) as stored:
        np.testing.assert_allclose(kernels[0], stored[stored["kernels"][0, 0]][()].T, atol=1e-6)


def test_one_kernel_of_several_is_chosen_by_number(tmp_path: Path) -> None:
    several = saved(tmp_path, [np.eye(3), np.ones((3, 3))])
    np.testing.assert_allclose(read_kernel(f"{several}#2"), 1 / 9)
    with pytest.raises(DataError, match="holds 2 kernels; choose one"):
        read_kernel(str(several))
    for number in (0, 3):
        with pytest.raises(DataError, match=f"no kernel {number}, the file holds 2"):
            read_kernel(f"{several}#{number}")
    odd_name = tmp_path / "a#1.npy"
    np.save(odd_name, np.ones((3, 3)))
    np.testing.assert_allclose(read_kernel(str(odd_name)), 1 / 9)


@pytest.mark.parametrize("shape", [(40, 31), (5, 6), (1, 1), (3, 50)])
def test_convolution_is_opencvs_with_the_kernel_turned(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), np.uint8)
    kernel = normalised(rng.random((7, 5)))
    turned = np.ascontiguousarray(kernel[::-1, ::-1])
    expected = cv2.filter2D(pixels.astype(np.float32), -1, turned, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(convolve(pixels, kernel), expected, atol=1e-3)


def test_a_point_becomes_the_kernel() -> None:
    kernel = normalised(np.arange(1, 16).reshape(5, 3))
    point = np.zeros((11, 11, 3), np.uint8)
    point[5, 5] = 255
    np.testing.assert_allclose(convolve(point, kernel)[3:8, 4:7, 1], 255 * kernel, atol=1e-4)
