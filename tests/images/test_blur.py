"""Kernel files, convolution with a kernel, and classical deconvolution."""

from __future__ import annotations

import sys
from functools import partial

import cv2
import numpy as np
import pytest

from gantools.data.synthetic import drawing
from gantools.errors import DataError
from gantools.images.ops import blur
from gantools.images.ops.blur import convolve, normalised, read_kernel, read_kernels
from gantools.metrics.pixels import psnr_rgb

LEVIN_SIDES_PX = [19, 17, 15, 27, 13, 21, 23, 23]
KERNEL = normalised(np.triu(np.tril(np.ones((7, 7)), 1)) * np.linspace(1, 2, 7))


def saved(folder, array, name="kernel.npy"):
    np.save(folder / name, np.asarray(array))
    return folder / name


def test_npy_kernels_come_with_sum_1_and_odd_sides(tmp_path):
    (kernel,) = read_kernels(saved(tmp_path, [[1, 2], [3, 2]]))
    assert (kernel.shape, kernel.dtype) == ((3, 3), np.float32)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel[:2, :2], np.array([[1, 2], [3, 2]]) / 8)
    several = read_kernels(saved(tmp_path, np.ones((4, 3, 5))))
    assert [one.shape for one in several] == [(3, 5)] * 4


@pytest.mark.parametrize(
    ("content", "message"),
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
        (np.ones((1, blur.MAX_SIDE_PX + 1)), "holds no blur kernel"),
        (b"rubbish", "holds no blur kernel that can be read"),
        (b"", "holds no blur kernel that can be read"),
        (None, "no such kernel file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_without_a_usable_kernel_are_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "kernel.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        saved(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_kernels(path)
    assert str(caught.value).startswith(f"'{path}'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "module", "package"),
    [(b"MATLAB 5.0 MAT-file", "scipy.io", "scipy"), (b"MATLAB 7.3 MAT-file", "h5py", "h5py")],
)
def test_mat_files_need_an_extra(tmp_path, monkeypatch, content, module, package):
    (tmp_path / "kernel.mat").write_bytes(content)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=rf"needs {package}: pip install 'gantools\[mat\]'"):
        read_kernels(tmp_path / "kernel.mat")


def test_kernels_are_found_in_mat_variables_and_cells(tmp_path):
    io = pytest.importorskip("scipy.io")
    cells = np.empty((1, 2), object)
    cells[0] = [np.eye(3), np.ones((5, 5))]
    io.savemat(tmp_path / "kernels.mat", {"kernels": cells, "plain": np.ones((7, 3)), "name": "text", "scale": 3.0})
    assert [kernel.shape for kernel in read_kernels(tmp_path / "kernels.mat")] == [(3, 3), (5, 5), (7, 3)]
    (tmp_path / "broken.mat").write_bytes(b"rubbish")
    (tmp_path / "kernel.png").touch()
    for name, message in (
        ("broken.mat", "holds no blur kernel that can be read"),
        ("kernel.png", "ends in .npy or .mat"),
    ):
        with pytest.raises(DataError, match=message):
            read_kernels(tmp_path / name)


def test_published_kernel_files_are_read(shared_data):
    """Those of KAIR (MATLAB 5) and of Levin et al. 2009 (MATLAB 7.3, transposed)."""
    pytest.importorskip("scipy.io")
    h5py = pytest.importorskip("h5py")
    assert [kernel.shape for kernel in read_kernels(shared_data / "blur_kernels" / "kernels_12.mat")] == [(25, 25)] * 12
    path = shared_data / "blur_kernels" / "Levin09.mat"
    kernels = read_kernels(path)
    assert [kernel.shape for kernel in kernels] == [(side, side) for side in LEVIN_SIDES_PX]
    with h5py.File(path) as stored:
        np.testing.assert_allclose(kernels[0], stored[stored["kernels"][0, 0]][()].T, atol=1e-6)


def test_one_kernel_of_several_is_chosen_by_number(tmp_path):
    several = saved(tmp_path, [np.eye(3), np.ones((3, 3))])
    odd_name = saved(tmp_path, np.ones((3, 3)), "a#1.npy")
    for given in (f"{several}#2", str(odd_name)):
        np.testing.assert_allclose(read_kernel(given), 1 / 9)
    for given, message in (
        (several, "holds 2 kernels; choose one"),
        (f"{several}#0", "no kernel 0, the file holds 2"),
        (f"{several}#3", "no kernel 3, the file holds 2"),
    ):
        with pytest.raises(DataError, match=message):
            read_kernel(str(given))


@pytest.mark.parametrize("shape", [(40, 31), (5, 6), (1, 1), (3, 50)])
def test_convolution_is_opencvs_with_the_kernel_turned(shape):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), np.uint8)
    kernel = normalised(rng.random((7, 5)))
    turned = np.ascontiguousarray(kernel[::-1, ::-1])
    expected = cv2.filter2D(pixels.astype(np.float32), -1, turned, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(convolve(pixels, kernel), expected, atol=1e-3)


@pytest.fixture(scope="module")
def photo():
    return drawing.draw_image("scenes", 0, 96, seed=1)


@pytest.fixture(scope="module")
def blurred(photo):
    noisy = convolve(photo, KERNEL) + np.random.default_rng(0).normal(0, 1, photo.shape)
    return (noisy + 0.5).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("restore", [blur.wiener, blur.richardson_lucy])
def test_deconvolution_undoes_a_known_blur(restore, photo, blurred):
    made = restore(blurred, KERNEL)
    assert (made.shape, made.dtype) == (blurred.shape, np.uint8)
    assert psnr_rgb(made, photo) > psnr_rgb(blurred, photo) + 1.5
    for shape in ((1, 1), (2, 30), (30, 3)):  # smaller than the kernel
        flat = np.full((*shape, 3), 77, np.uint8)
        np.testing.assert_allclose(restore(flat, KERNEL), flat, atol=1)


def test_wiener_is_scikit_images_on_a_mirrored_image(blurred):
    restoration = pytest.importorskip("skimage.restoration")
    wide = np.pad(blurred, ((14, 14), (14, 14), (0, 0)), mode="symmetric") / 255
    theirs = [restoration.wiener(wide[..., channel], KERNEL, 0.1, clip=False) for channel in range(3)]
    expected = 255 * np.stack(theirs, axis=-1)[14:-14, 14:-14].clip(0, 1)
    assert np.abs(blur.wiener(blurred, KERNEL, balance=0.1) - expected).max() <= 0.6


def test_richardson_lucy_is_scikit_images_away_from_the_border(blurred):
    """They start from a flat image, we from the blurred one: the two meet."""
    restoration = pytest.importorskip("skimage.restoration")
    made = blur.richardson_lucy(blurred, KERNEL, iterations=60)[..., 0]
    theirs = 255 * restoration.richardson_lucy(blurred[..., 0] / 255, KERNEL, num_iter=60)
    assert np.abs(made - theirs)[30:-30, 30:-30].mean() < 3


@pytest.mark.parametrize("restore", [partial(blur.wiener, balance=0.0), partial(blur.richardson_lucy, iterations=3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_deconvolution_without_blur_changes_nothing(restore, dtype, photo):
    deep = photo.astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    made = restore(deep, normalised(np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])))
    assert made.dtype == dtype
    assert np.abs(made.astype(int) - deep).max() <= np.iinfo(dtype).max // 255
