"""Defects that show in plain areas: texture that the truth has not (worms, dots, ringing), and lattices."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.ops.color import luma
from gantools.metrics.pixels import cut_borders

WINDOW_PX, SIGMA_PX = 11, 2.0
FLAT_STD = 2.0
"""Spread of brightness (16 to 235) in a window up to which an area is flat."""
LEAST_SHARE, MOST_SHARE = 0.05, 0.3
ROUNDING = 1 / 12
"""Variance of rounding to whole numbers: the texture of an area of one colour counts as no less."""

PERIOD_PX, BLOCK_PX = 4, 64
FAINT = 0.5
"""Variance of noise that is not seen: a plain block counts as having it, or the rounding of a ramp were a lattice."""
_NEIGHBOURS = (-5, -4, -3, 3, 4, 5)


def flat_texture(a: Pixels, b: Pixels) -> float:
    """Energy of fine texture of ``a`` where ``b``, the truth, is flat, divided by the truth's own there.

    1: as much as the truth; more: worms, dots, ringing, noise or blocks; less: smoother. The texture is the brightness
    (Y, 16 to 235, not rounded) minus its Gaussian mean (σ 2 px), its energy the RMS over the flat pixels, at least that
    of rounding. A pixel is flat where the truth's standard deviation in the 11×11 px around it is at most 2, but at
    least the flattest 5 % of the image are taken and at most the flattest 30 %. An edge is thus 6 px away or more.
    Shapes: uint8 [H, W, 3], equal, 11 px or more a side.
    """
    made, truth = (luma(image) for image in cut_borders(a, b, 0, WINDOW_PX))
    mean, mean_square = (cv2.blur(values, (WINDOW_PX, WINDOW_PX)) for values in (truth, truth * truth))
    spread = np.sqrt(np.maximum(mean_square - mean**2, 0))
    least, most = np.quantile(spread, (LEAST_SHARE, MOST_SHARE))
    flat = spread <= min(most, max(least, FLAT_STD))

    def energy(values: npt.NDArray[np.float64]) -> float:
        fine = (values - cv2.GaussianBlur(values, (0, 0), SIGMA_PX))[flat]
        return float(np.sqrt(np.square(fine).mean() + ROUNDING))

    return energy(made) / energy(truth)


def lattice(image: Pixels) -> float:
    """Strength in dB of patterns that repeat every 4 or 2 px, such as checkerboards and dots: 0 where there are none.

    Blocks of 64×64 px of the brightness, half overlapping, under a Hann window: in the sum of their power spectra the
    mean ratio of the 15 multiples of 1/4 cycle per pixel to what lies 3 to 5 of 64 steps beside them (for those on an
    axis along it). Each block counts alike, whatever its contrast, but is taken to have no less than noise of σ 0.7.
    Photos and their bicubic enlargements have less than 0.4 dB, single dots of 2 of 255 15 dB. Blocks of a JPEG at the
    image's own size count too: their period of 8 px has 4 px as its first overtone.
    Shapes: uint8 [H, W, 3]. Raises ImageError below 64 px a side.
    """
    if min(image.shape[:2]) < BLOCK_PX:
        raise ImageError(f"lattice: an image of less than {BLOCK_PX} px a side is too small; leave the metric out")
    values = luma(image)
    rows = range(0, len(values) - BLOCK_PX + 1, BLOCK_PX // 2)
    peaks, beside = np.sum([_peaks(values[row : row + BLOCK_PX]) for row in rows], axis=0)
    return max(0.0, 10 * math.log10(float((peaks / beside).mean())))


def _peaks(band: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The power at 15 peaks and beside them, summed over a row of blocks. Shapes: [64, W] → [15] twice."""
    line = np.hanning(BLOCK_PX + 1)[:-1]
    window = np.outer(line, line)
    blocks = np.lib.stride_tricks.sliding_window_view(band, BLOCK_PX, axis=1)[:, :: BLOCK_PX // 2].swapaxes(0, 1)
    spectra = np.fft.fft2((blocks - blocks.mean((1, 2), keepdims=True)) * window)
    power = np.square(np.abs(spectra)) / np.square(window).sum() + FAINT
    down, across = (sum(np.roll(power, step, axis) for step in _NEIGHBOURS) / len(_NEIGHBOURS) for axis in (1, 2))
    beside = (down + across) / 2
    beside[:, 0], beside[:, :, 0] = across[:, 0], down[:, :, 0]
    every = BLOCK_PX // PERIOD_PX
    at_peaks, around = (each[:, ::every, ::every].reshape(len(each), -1)[:, 1:] for each in (power, beside))
    contrast = around.mean(1, keepdims=True)
    return (at_peaks / contrast).sum(0), (around / contrast).sum(0)
