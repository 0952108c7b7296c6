"""TIFFs of every layout are read right; files of other kinds are named as what they are."""

from __future__ import annotations

import io
import struct
import time

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from gantools.errors import ImageError
from gantools.images.io.reader import probe, read, read_rgb8
from tests.images import make

H, W = 37, 51


def written(samples, **layout):
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, **layout)
    return stream.getvalue()


def planar(samples, **layout):
    """A TIFF whose channels lie one behind the other."""
    channels = samples.shape[2]
    given = {
        "photometric": "minisblack" if channels == 2 else "rgb",
        "planarconfig": "separate",
        "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
    }
    return written(np.ascontiguousarray(samples.transpose(2, 0, 1)), **(given | layout))


LAYOUTS = {
    "plain": {},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
    "deflate": {"compression": "zlib", "rowsperstrip": 7},
    "predictor": {"compression": "zlib", "predictor": True},
    "predicted tiles": {"compression": "zlib", "predictor": True, "tile": (16, 32)},
}


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("channels", "dtype"), [(3, np.uint16), (4, np.uint16), (3, np.uint8), (4, np.uint8), (2, np.uint8)]
)
def test_planes_are_put_together(channels, dtype, layout, order, big):
    stored = make.noise(H, W, channels, dtype)
    data = planar(stored, byteorder=order, bigtiff=big, **LAYOUTS[layout])
    image = read(data)
    assert image.pixels.dtype == dtype
    colour = stored[..., :3] if channels > 2 else np.dstack([stored[..., 0]] * 3)
    np.testing.assert_array_equal(image.pixels, colour)
    if channels in (2, 4):
        np.testing.assert_array_equal(image.alpha, stored[..., -1])
    assert (probe(data).width, probe(data).height) == (W, H)
    assert read_rgb8(data).shape == (H, W, 3)


@pytest.mark.parametrize("layout", ["plain", "tiles"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [2, 4])
def test_planes_with_premultiplied_alpha_are_those_that_lie_together(channels, order, layout):
    stored = make.noise(H, W, channels)
    stored[..., :-1] = stored[..., :-1].astype(int) * stored[..., -1:] // 255
    given = {"extrasamples": ["assocalpha"], "byteorder": order} | LAYOUTS[layout]
    expected = read(written(stored, photometric="rgb" if channels == 4 else "minisblack", **given))
    image = read(planar(stored, **given))
    np.testing.assert_array_equal(image.pixels, expected.pixels)
    np.testing.assert_array_equal(image.alpha, expected.alpha)


def test_planes_of_print_colours_are_those_that_lie_together():
    inks = make.noise(H, W, 4, np.uint16)
    with pytest.warns(UserWarning, match="approximate"):
        expected = read(written(inks, photometric="separated")).pixels
    with pytest.warns(UserWarning, match="approximate"):
        np.testing.assert_array_equal(read(planar(inks, photometric="separated", extrasamples=None)).pixels, expected)


def test_planes_in_a_compression_of_one_decoder_are_read(monkeypatch):
    """As zstd and LZMA, of which OpenCV knows nothing."""
    stored = make.noise(H, W, 3, np.uint16)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    for order in "<>":
        np.testing.assert_array_equal(read(planar(stored, byteorder=order)).pixels, stored)


@pytest.mark.parametrize("turn", range(1, 9))
def test_planes_are_turned_upright(turn):
    stored = make.noise(5, 7, 3, np.uint16)
    data = planar(stored, extratags=[(274, "H", 1, turn, True)])
    image = read(data)
    np.testing.assert_array_equal(image.pixels, make.upright(stored, turn))
    assert (probe(data).width, probe(data).height) == (image.width, image.height)


@pytest.mark.parametrize("layout", ["plain", "deflate", "tiles"])
def test_planes_that_are_cut_short_are_refused(layout):
    data = planar(make.noise(H, W, 3, np.uint16), **LAYOUTS[layout])
    for length in (len(data) // 2, len(data) - 9):
        with pytest.raises(ImageError, match=r"^'cut\.tif': damaged or truncated"):
            read(data[:length], name="cut.tif")


@pytest.mark.parametrize("wrong", [lambda made: np.roll(made, 1, axis=0), lambda made: made.astype(np.uint8), None])
def test_a_wrong_16_bit_decode_is_refused(monkeypatch, wrong):
    """What OpenCV decodes must be what Pillow decodes, but for rounding."""
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: wrong and wrong(decode(data, flags)))
    deep = make.noise(H, W, 3, np.uint16)
    ppm = b"P6 %d %d 65535\n" % (W, H) + deep.astype(">u2").tobytes()
    for data in (make.tiff(deep), make.png(deep, 2), ppm, make.png(deep[..., 0], 0), make.tiff(deep[..., 0])):
        with pytest.raises(ImageError, match=r"this kind of 16-bit .* cannot be decoded"):
            read(data)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("words", "channels", "dtype", "photometric"),
    [
        ("1 channel of 8-bit signed", 1, np.int8, "minisblack"),
        ("1 channel of 16-bit float", 1, np.float16, "minisblack"),
        ("2 channels of 16-bit", 2, np.uint16, "minisblack"),
        ("3 channels of 16-bit signed", 3, np.int16, "rgb"),
        ("3 channels of 32-bit samples", 3, np.uint32, "rgb"),
        ("3 channels of 32-bit float", 3, np.float32, "rgb"),
        ("5 channels of 8-bit", 5, np.uint8, "minisblack"),
        ("5 channels of 16-bit", 5, np.uint16, "rgb"),
    ],
)
def test_whole_tiffs_of_another_kind_are_named(words, channels, dtype, photometric, separate):
    shape = (H, W) if channels == 1 else (channels, H, W) if separate else (H, W, channels)
    extra = channels - (3 if photometric == "rgb" else 1)
    layout = {
        "planarconfig": None if channels == 1 else "separate" if separate else "contig",
        "extrasamples": ["unassalpha" if channels == 2 else "unspecified"] * extra or None,
    }
    data = written(np.zeros(shape, dtype), photometric=photometric, **layout)
    for reads in (read, probe):
        with pytest.raises(ImageError, match=r"^'x\.tif': ") as caught:
            reads(data, name="x.tif")
        assert words in str(caught.value)
        assert "damaged" not in str(caught.value)
        assert "store it" in str(caught.value)


def tiff_of_bits(bits, channels):
    """A TIFF of so many bits a sample, by hand."""
    samples = bytes((W * channels * bits + 7) // 8 * H)
    tags = {256: (3, W), 257: (3, H), 258: (3, bits), 259: (3, 1), 262: (3, 1 if channels == 1 else 2)}
    tags |= {273: (4, 300), 277: (3, channels), 278: (3, H), 279: (4, len(samples))}
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags.items()))
    if channels > 1:
        table = table.replace(struct.pack("<HHII", 258, 3, 1, bits), struct.pack("<HHII", 258, 3, channels, 200))
    head = (b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + table + bytes(4)).ljust(200, b"\0")
    return (head + struct.pack(f"<{channels}H", *[bits] * channels)).ljust(300, b"\0") + samples


def jpeg_of_bits(bits):
    data = make.saved(Image.fromarray(make.blocks()), "JPEG")
    at = data.index(b"\xff\xc0")
    return data[: at + 4] + bytes([bits]) + data[at + 5 :]


def jpeg_of_frame(marker):
    frame = struct.pack(">HBHHB", 11, 8, 4, 4, 1) + b"\x01\x11\0"
    return b"\xff\xd8\xff" + marker + frame + bytes(40) + b"\xff\xd9"


DEEP = make.noise(H, W, 1, np.uint16)
BMP = make.saved(Image.fromarray(make.noise(4, 4, 3)), "BMP")
UNREAD = {
    **{f"a TIFF of 1 channel of {bits}-bit samples": tiff_of_bits(bits, 1) for bits in (6, 10, 12, 14)},
    **{f"a TIFF of 3 channels of {bits}-bit samples": tiff_of_bits(bits, 3) for bits in (6, 10, 12, 14)},
    "a TIFF of 1 channel of 16-bit samples": written(DEEP, photometric="miniswhite", byteorder=">"),
    "a big-endian BigTIFF": written(make.noise(H, W, 3), photometric="rgb", byteorder=">", bigtiff=True),
    "a JPEG of 12-bit samples": jpeg_of_bits(12),
    "a JPEG of 16-bit samples": jpeg_of_bits(16),
    "a JPEG-LS file": jpeg_of_frame(b"\xf7"),
    "a lossless JPEG": jpeg_of_frame(b"\xc3"),
    "a BMP of compression 4": BMP[:30] + b"\4\0\0\0" + BMP[34:],
}


@pytest.mark.parametrize("words", UNREAD)
def test_rare_kinds_of_files_are_named(words):
    with pytest.raises(ImageError, match=rf"^'x': {words} is not read; store it"):
        read(UNREAD[words], name="x")


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_gray_samples_of_32_bits_are_named(dtype):
    with pytest.raises(ImageError, match=r"^'depth\.tif': 32-bit, signed and float samples are not read"):
        read(make.tiff(np.zeros((4, 4), dtype)), name="depth.tif")


def test_inverted_gray_of_16_bits_is_read():
    np.testing.assert_array_equal(read(written(DEEP, photometric="miniswhite")).pixels[..., 0], 65535 - DEEP)


def paged(*pages):
    """A TIFF of pages (samples, whether it is a thumbnail)."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as out:
        for samples, thumbnail in pages:
            out.write(samples, photometric="rgb", subfiletype=int(thumbnail), metadata=None)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_thumbnails_are_no_pages(dtype):
    whole, other = make.noise(H, W, 3, dtype), make.noise(H, W, 3, dtype, seed=4)
    small, smaller = make.noise(6, 8, 3, dtype, seed=1), make.noise(9, 5, 3, dtype, seed=2)
    for at in range(3):
        pages = [(small, True), (smaller, True)]
        pages.insert(at, (whole, False))
        data = paged(*pages)
        for first in (False, True):
            np.testing.assert_array_equal(read(data, first_frame=first).pixels, whole)
        header = probe(data)
        assert (header.width, header.height, header.several_frames) == (W, H, False)
    for first, pages in (
        (whole, [(small, True), (whole, False), (other, False)]),
        (small, [(small, True), (smaller, True)]),  # pages that are all thumbnails are pages
    ):
        with pytest.raises(ImageError, match="several frames or pages"):
            read(paged(*pages))
        np.testing.assert_array_equal(read(paged(*pages), first_frame=True).pixels, first)


def test_a_forged_directory_is_not_read_over_and_over():
    """Entries that all name the whole file as their value."""
    plain = make.tiff(make.noise(H, W, 3))
    size, count = 1 << 20, 20_000
    table = b"".join(struct.pack("<HHII", 40_000 + at, 1, size // 2, 0) for at in range(count))
    forged = b"II*\0" + struct.pack("<I", size) + plain[8:]
    forged = forged.ljust(size, b"\0") + struct.pack("<H", count) + table + bytes(4)
    started = time.process_time()
    with pytest.raises(ImageError):
        read(forged)
    assert time.process_time() - started < 5


def test_every_warning_of_a_tiff_names_it():
    """A tag that Pillow complains about: its value lies beyond the end of the file."""
    notice = [(33432, "s", 0, "nobody's " * 9, True)]
    data = bytearray(written(make.noise(H, W, 3), photometric="rgb", extratags=notice))
    at = bytes(data).index(struct.pack("<HH", 33432, 2))
    data[at + 8 : at + 12] = struct.pack("<I", 1 << 30)
    with make.warned() as warnings:
        assert read(bytes(data), name="x.tif").width == W
        probe(bytes(data), name="x.tif")
        read_rgb8(bytes(data))
    assert all("x.tif" in text for text in warnings)
