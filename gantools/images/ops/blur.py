"""Blur kernels: read from files, brought to sum 1, applied to images.

A kernel is a small image of how one point of light is smeared; its middle pixel is where the point was.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch

from gantools.errors import DataError
from gantools.files import expanded
from gantools.images.image import Pixels

Kernel: TypeAlias = npt.NDArray[np.float32]

MAX_SIDE_PX = 511

_FAST_LENGTH = 16  # of a Fourier transform: long prime lengths are slow
_HDF5_VERSION = b"MATLAB 7.3"


def read_kernels(path: str | os.PathLike[str]) -> tuple[Kernel, ...]:
    """Every kernel of a file: ``.npy`` (h × w, or n × h × w) or MATLAB's ``.mat`` (matrices, and cells of them).

    Shapes: [H, W] float32 each, odd sides, sum 1.
    Raises DataError naming the file: unreadable, of no known format, no kernel in it, all zero, negative or not finite.
    """
    place = expanded(path)
    suffix = place.suffix.lower()
    if suffix not in (".npy", ".mat"):
        raise DataError(f"'{place}': a kernel file ends in .npy or .mat")
    if not place.is_file():
        raise DataError(f"'{place}': no such kernel file")
    try:
        arrays = _read_npy(place) if suffix == ".npy" else _read_mat(place)
    except DataError:
        raise
    except Exception as error:  # whatever a decoder raises on foreign bytes
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"'{place}': holds no blur kernel that can be read ({reason})") from error
    if not arrays:
        raise DataError(f"'{place}': holds no blur kernel: no matrix of at most {MAX_SIDE_PX}×{MAX_SIDE_PX} numbers")
    labels = (f"'{place}', kernel {number} of {len(arrays)}" for number in range(1, len(arrays) + 1))
    return tuple(_checked(array, label) for array, label in zip(arrays, labels, strict=True))


def read_kernel(spec: str) -> Kernel:
    """The one kernel of a file, or the N-th of ``FILE#N``. Raises DataError as ``read_kernels`` does."""
    name, _, number = spec.rpartition("#")
    chosen = int(number) if name and number.isdecimal() and not Path(spec).exists() else None
    kernels = read_kernels(spec if chosen is None else name)
    if chosen is None and len(kernels) > 1:
        raise DataError(f"'{spec}': holds {len(kernels)} kernels; choose one: '{spec}#1' to '{spec}#{len(kernels)}'")
    if chosen is not None and not 1 <= chosen <= len(kernels):
        raise DataError(f"'{spec}': no kernel {chosen}, the file holds {len(kernels)}")
    return kernels[(chosen or 1) - 1]


def normalised(kernel: npt.NDArray[Any]) -> Kernel:
    """The kernel with sum 1 and odd sides, so that it has a middle. Shapes: [H, W] → [H | 1, W | 1]."""
    height, width = kernel.shape
    odd = np.pad(kernel.astype(np.float64), ((0, 1 - height % 2), (0, 1 - width % 2)))
    return np.asarray(odd / odd.sum(), np.float32)


def convolve(pixels: Pixels, kernel: Kernel) -> npt.NDArray[np.float32]:
    """Blur an image, mirrored at the border. By Fourier transform: four times faster than OpenCV's filter here.

    Shapes: [H, W, C] → float32 [H, W, C], not rounded.
    """
    margin_y, margin_x = kernel.shape[0] // 2, kernel.shape[1] // 2
    wide = cv2.copyMakeBorder(pixels, margin_y, margin_y, margin_x, margin_x, cv2.BORDER_REFLECT_101)
    size = [-(-side // _FAST_LENGTH) * _FAST_LENGTH for side in wide.shape[:2]]
    planes = torch.from_numpy(wide).permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format)
    spectrum = torch.fft.rfft2(planes, size) * torch.fft.rfft2(torch.from_numpy(kernel), size)
    inner = torch.fft.irfft2(spectrum, size)[:, 2 * margin_y : wide.shape[0], 2 * margin_x : wide.shape[1]]
    return np.asarray(inner.permute(1, 2, 0).numpy(), np.float32)


def _checked(array: npt.NDArray[Any], label: str) -> Kernel:
    if not np.isfinite(array).all():
        raise DataError(f"{label}: has NaN or infinite values, so it is no blur kernel")
    if (array < 0).any():
        raise DataError(f"{label}: has negative values, so it is no blur kernel")
    if not array.any():
        raise DataError(f"{label}: is all zeros, so it is no blur kernel")
    return normalised(array)


def _read_npy(path: Path) -> list[npt.NDArray[Any]]:
    stored = np.load(path, allow_pickle=False)
    if stored.ndim not in (2, 3) or stored.dtype.kind not in "biuf":
        raise DataError(f"'{path}': a kernel is a matrix of numbers, this is {stored.dtype} {stored.shape}")
    return [kernel for kernel in stored.reshape(-1, *stored.shape[-2:]) if _plausible(kernel)]


def _read_mat(path: Path) -> list[npt.NDArray[Any]]:
    """The matrices of a MATLAB file; those of MATLAB 7.3 are HDF5, transposed, cells as references."""
    with path.open("rb") as stream:
        is_hdf5 = stream.read(len(_HDF5_VERSION)) == _HDF5_VERSION
    try:
        if is_hdf5:
            import h5py
        else:
            from scipy.io import loadmat
    except ImportError as error:
        raise DataError(
            f"'{path}': reading .mat files needs {'h5py' if is_hdf5 else 'scipy'}: pip install 'gantools[mat]', "
            "or store it as .npy"
        ) from error
    if not is_hdf5:
        named = [value for name, value in loadmat(path).items() if not name.startswith("__")]
        return [kernel for value in named for kernel in _matrices(value)]
    with h5py.File(path) as stored:
        variables = [value[()] for value in stored.values() if isinstance(value, h5py.Dataset)]
        cells = [value for value in variables if value.dtype == object]
        plain = [value for value in variables if value.dtype != object]
        inner = [stored[reference][()] for value in cells for reference in value.ravel()]
    return [kernel.T for value in (*inner, *plain) for kernel in _matrices(value)]


def _matrices(value: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The matrices of numbers in a variable, however deep its cells."""
    if value.dtype == object:
        return [kernel for cell in value.ravel() if isinstance(cell, np.ndarray) for kernel in _matrices(cell)]
    return [value] if _plausible(value) else []


def _plausible(value: npt.NDArray[Any]) -> bool:
    """Whether this can be a kernel: a matrix of numbers that is more than one of them and not huge."""
    return value.ndim == 2 and value.dtype.kind in "biuf" and value.size > 1 and max(value.shape) <= MAX_SIDE_PX


Plane: TypeAlias = npt.NDArray[np.float64]

BALANCE = 0.01
ITERATIONS = 20

_EPSILON = 1e-6


def wiener(pixels: Pixels, kernel: Kernel, balance: float = BALANCE) -> Pixels:
    """Divide by the blur where it left something, hold back where it did not (a Laplacian prior, as Hunt 1973).

    ``balance`` weighs smoothness against sharpness: too low amplifies noise, too high leaves the blur.
    Shapes: [H, W, C] → the same, same dtype.
    """

    def restore(plane: Plane) -> Plane:
        blur = _transfer(kernel, plane.shape)
        roughness = _transfer(np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32), plane.shape)
        inverse = blur.conj() / (np.abs(blur) ** 2 + balance * np.abs(roughness) ** 2 + _EPSILON)
        return np.fft.irfft2(np.fft.rfft2(plane) * inverse, plane.shape)

    return _per_channel(pixels, kernel, restore)


def richardson_lucy(pixels: Pixels, kernel: Kernel, iterations: int = ITERATIONS) -> Pixels:
    """Correct an estimate by what its blurred version lacks, again and again (Richardson 1972, Lucy 1974).

    More ``iterations`` are sharper and noisier. Shapes: [H, W, C] → the same, same dtype.
    """

    def restore(plane: Plane) -> Plane:
        blur = _transfer(kernel, plane.shape)
        estimate = plane.clip(_EPSILON)
        for _ in range(iterations):
            again = np.fft.irfft2(np.fft.rfft2(estimate) * blur, plane.shape)
            lacking = plane / again.clip(_EPSILON)
            estimate = estimate * np.fft.irfft2(np.fft.rfft2(lacking) * blur.conj(), plane.shape).clip(0)
        return estimate

    return _per_channel(pixels, kernel, restore)


def _per_channel(pixels: Pixels, kernel: Kernel, restore: Callable[[Plane], Plane]) -> Pixels:
    """Restore each channel on [0, 1], mirrored far beyond its border: what the Fourier transform wraps around is cut.

    A channel's restoration is clipped and rounded once.
    """
    margin_y, margin_x = (2 * side for side in kernel.shape)
    largest = int(np.iinfo(pixels.dtype).max)
    height, width = pixels.shape[:2]
    restored = np.empty_like(pixels)
    for channel in range(pixels.shape[2]):
        wide = np.pad(pixels[..., channel] / largest, ((margin_y, margin_y), (margin_x, margin_x)), mode="symmetric")
        made = restore(wide)[margin_y : margin_y + height, margin_x : margin_x + width]
        restored[..., channel] = np.floor(made.clip(0, 1) * largest + 0.5)
    return restored


def _transfer(kernel: Kernel, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The kernel's Fourier transform with its middle at the origin."""
    wide = np.zeros(shape)
    wide[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.fft.rfft2(np.roll(wide, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), axis=(0, 1)))
