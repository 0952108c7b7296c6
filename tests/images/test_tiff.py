"""TIFFs of every layout: right samples, or a line that says what the file is."""

from __future__ import annotations

import io
import struct
import time
import warnings

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from gantools.errors import ImageError
from gantools.images.io.reader import probe, read, read_rgb8

H, W = 37, 51


def written(samples, **layout):
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, **layout)
    return stream.getvalue()


def planar(samples, **layout):
    """A TIFF whose channels lie one behind the other."""
    channels = samples.shape[2]
    kind = {2: "minisblack", 3: "rgb", 4: "rgb"}[channels]
    extra = ["unassalpha"] if channels in (2, 4) else None
    planes = np.ascontiguousarray(samples.transpose(2, 0, 1))
    given = {"photometric": kind, "planarconfig": "separate", "extrasamples": extra}
    return written(planes, **(given | layout))


LAYOUTS = {
    "plain": {},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
    "deflate": {"compression": "zlib", "rowsperstrip": 7},
    "predictor": {"compression": "zlib", "predictor": True},
    "predicted tiles": {"compression": "zlib", "predictor": True, "tile": (16, 32)},
}


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("channels", "dtype"), [(3, np.uint16), (4, np.uint16), (3, np.uint8), (4, np.uint8), (2, np.uint8)]
)
def test_planes_are_put_together(make, channels, dtype, layout, order, big):
    if big and order == ">":
        return  # refused, below
    stored = make.noise(H, W, channels, dtype)
    data = planar(stored, byteorder=order, bigtiff=big, **LAYOUTS[layout])
    image = read(data)
    colour = stored[..., :3] if channels > 2 else np.dstack([stored[..., 0]] * 3)
    assert image.pixels.dtype == dtype
    np.testing.assert_array_equal(image.pixels, colour)
    if channels in (2, 4):
        np.testing.assert_array_equal(image.alpha, stored[..., -1])
    assert (probe(data).width, probe(data).height) == (W, H)
    assert read_rgb8(data).shape == (H, W, 3)


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [2, 4])
def test_planes_with_premultiplied_alpha_are_those_that_lie_together(make, channels, order, tiled):
    stored = make.noise(H, W, channels)
    stored[..., :-1] = stored[..., :-1].astype(int) * stored[..., -1:] // 255
    layout = {"extrasamples": ["assocalpha"], "byteorder": order} | ({"tile": (16, 32)} if tiled else {})
    expected = read(written(stored, photometric="rgb" if channels == 4 else "minisblack", **layout))
    image = read(planar(stored, **layout))
    np.testing.assert_array_equal(image.pixels, expected.pixels)
    np.testing.assert_array_equal(image.alpha, expected.alpha)


def test_planes_in_a_compression_of_one_decoder_are_read(make, monkeypatch):
    """As zstd and LZMA, of which OpenCV knows nothing."""
    stored = make.noise(H, W, 3, np.uint16)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    for order in "<>":
        np.testing.assert_array_equal(read(planar(stored, byteorder=order)).pixels, stored)


@pytest.mark.parametrize("turn", range(1, 9))
def test_planes_are_turned_upright(make, turn):
    stored = make.noise(5, 7, 3, np.uint16)
    data = planar(stored, extratags=[(274, "H", 1, turn, True)])
    image = read(data)
    np.testing.assert_array_equal(image.pixels, make.upright(stored, turn))
    assert (probe(data).width, probe(data).height) == (image.width, image.height)


def test_planes_of_print_colours_are_those_that_lie_together(make):
    inks = make.noise(H, W, 4, np.uint16)
    together = written(inks, photometric="separated")
    with pytest.warns(UserWarning, match="approximate"):
        expected = read(together).pixels
    with pytest.warns(UserWarning, match="approximate"):
        np.testing.assert_array_equal(read(planar(inks, photometric="separated", extrasamples=None)).pixels, expected)


@pytest.mark.parametrize("layout", ["plain", "deflate", "tiles"])
def test_planes_that_are_cut_short_are_refused(make, layout):
    data = planar(make.noise(H, W, 3, np.uint16), **LAYOUTS[layout])
    for length in (len(data) // 2, len(data) - 9):
        with pytest.raises(ImageError, match=r"^'cut\.tif': damaged or truncated"):
            read(data[:length], name="cut.tif")


def test_a_wrong_16_bit_decode_is_refused(make, monkeypatch):
    """The guard of the whole kind: what OpenCV decodes must be what Pillow decodes, but for rounding."""
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: np.roll(decode(data, flags), 1, axis=0))
    deep = make.noise(H, W, 3, np.uint16)
    ppm = b"P6 %d %d 65535\n" % (W, H) + deep.astype(">u2").tobytes()
    for data in (make.tiff(deep), make.png(deep, 2), ppm, make.png(deep[..., 0], 0), make.tiff(deep[..., 0])):
        with pytest.raises(ImageError, match=r"this kind of 16-bit .* cannot be decoded"):
            read(data)


UNREAD = {
    "3 channels of 32-bit float": {"dtype": np.float32, "channels": 3},
    "3 channels of 32-bit samples": {"dtype": np.uint32, "channels": 3},
    "3 channels of 16-bit signed": {"dtype": np.int16, "channels": 3},
    "1 channel of 8-bit signed": {"dtype": np.int8, "channels": 1},
    "1 channel of 16-bit float": {"dtype": np.float16, "channels": 1},
    "5 channels of 8-bit": {"dtype": np.uint8, "channels": 5, "photometric": "minisblack"},
    "5 channels of 16-bit": {"dtype": np.uint16, "channels": 5},
    "2 channels of 16-bit": {"dtype": np.uint16, "channels": 2},
}


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("words", UNREAD)
def test_whole_files_of_another_kind_are_called_what_they_are(words, separate):
    case = dict(UNREAD[words])
    channels, dtype = case.pop("channels"), case.pop("dtype")
    if separate and channels == 1:
        return
    samples = np.zeros((H, W, channels), dtype) if channels > 1 else np.zeros((H, W), dtype)
    kind = {"photometric": "rgb" if channels > 2 else "minisblack", "planarconfig": "contig"} | case
    kind["extrasamples"] = {2: ["unassalpha"], 5: ["unspecified"] * (2 if kind["photometric"] == "rgb" else 4)}.get(
        channels
    )
    if separate:
        samples, kind["planarconfig"] = np.ascontiguousarray(samples.transpose(2, 0, 1)), "separate"
    if channels == 1:
        kind["planarconfig"] = None
    data = written(samples, **kind)
    for reads in (read, probe):
        with pytest.raises(ImageError, match=r"^'x\.tif': ") as caught:
            reads(data, name="x.tif")
        assert words in str(caught.value)
        assert "damaged" not in str(caught.value)
        assert "store it" in str(caught.value)


def bits_of(bits, channels):
    """A TIFF of so many bits a sample, by hand."""
    samples = bytes((W * channels * bits + 7) // 8 * H)
    tags = {256: (3, W), 257: (3, H), 258: (3, bits), 259: (3, 1), 262: (3, 1 if channels == 1 else 2)}
    tags |= {273: (4, 300), 277: (3, channels), 278: (3, H), 279: (4, len(samples))}
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags.items()))
    if channels > 1:
        table = table.replace(struct.pack("<HHII", 258, 3, 1, bits), struct.pack("<HHII", 258, 3, channels, 200))
    head = (b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + table + bytes(4)).ljust(200, b"\0")
    return (head + struct.pack(f"<{channels}H", *[bits] * channels)).ljust(300, b"\0") + samples


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [6, 10, 12, 14])
def test_other_depths_are_named(bits, channels):
    with pytest.raises(ImageError, match=rf"^'x': a TIFF of {channels} channels? of {bits}-bit samples is not read"):
        read(bits_of(bits, channels), name="x")


def test_inverted_gray_of_16_bits_is_read_or_named(make):
    deep = make.noise(H, W, 1, np.uint16)
    np.testing.assert_array_equal(read(written(deep, photometric="miniswhite")).pixels[..., 0], 65535 - deep)
    with pytest.raises(ImageError, match=r"^'x': a TIFF of 1 channel of 16-bit samples is not read"):
        read(written(deep, photometric="miniswhite", byteorder=">"), name="x")


def test_a_big_endian_bigtiff_is_named(make):
    data = written(make.noise(H, W, 3), photometric="rgb", byteorder=">", bigtiff=True)
    with pytest.raises(ImageError, match=r"^'x': a big-endian BigTIFF is not read"):
        read(data, name="x")


@pytest.mark.parametrize("bits", [12, 16])
def test_jpegs_of_other_depths_are_named(make, bits):
    data = make.saved(Image.fromarray(make.blocks()), "JPEG")
    at = data.index(b"\xff\xc0")
    with pytest.raises(ImageError, match=rf"^'x': a JPEG of {bits}-bit samples is not read; store it"):
        read(data[: at + 4] + bytes([bits]) + data[at + 5 :], name="x")


def test_other_jpegs_are_named():
    frame = struct.pack(">HBHHB", 11, 8, 4, 4, 1) + b"\x01\x11\0"
    for marker, words in ((b"\xff\xf7", "a JPEG-LS file"), (b"\xff\xc3", "a lossless JPEG")):
        with pytest.raises(ImageError, match=f"^'x': {words} is not read; store it"):
            read(b"\xff\xd8" + marker + frame + bytes(40) + b"\xff\xd9", name="x")


def test_other_bmps_are_named(make):
    data = make.saved(Image.fromarray(make.noise(4, 4, 3)), "BMP")
    with pytest.raises(ImageError, match=r"^'x': a BMP of compression 4 is not read; store it"):
        read(data[:30] + b"\4\0\0\0" + data[34:], name="x")


def paged(*pages, bits=np.uint8):
    """A TIFF of pages (samples, its new subfile type)."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as out:
        for samples, kind in pages:
            out.write(samples.astype(bits), photometric="rgb", subfiletype=kind, metadata=None)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("whole_at", [0, 1, 2])
def test_thumbnail_pages_are_no_pages(make, whole_at, dtype):
    whole = make.noise(H, W, 3, dtype)
    pages = [(make.noise(6, 8, 3, dtype, seed=1), 1), (make.noise(9, 5, 3, dtype, seed=2), 1)]
    pages.insert(whole_at, (whole, 0))
    data = paged(*pages, bits=dtype)
    for first in (False, True):
        np.testing.assert_array_equal(read(data, first_frame=first).pixels, whole)
    assert not probe(data).several_frames
    assert (probe(data).width, probe(data).height) == (W, H)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_first_frame_is_the_first_whole_page(make, dtype):
    first, second = make.noise(H, W, 3, dtype), make.noise(H, W, 3, dtype, seed=4)
    data = paged((make.noise(6, 8, 3, dtype, seed=1), 1), (first, 0), (second, 0), bits=dtype)
    with pytest.raises(ImageError, match="several frames or pages"):
        read(data)
    np.testing.assert_array_equal(read(data, first_frame=True).pixels, first)


def test_pages_that_are_all_thumbnails_are_pages(make):
    first = make.noise(6, 8, 3)
    data = paged((first, 1), (make.noise(3, 4, 3), 1))
    np.testing.assert_array_equal(read(data, first_frame=True).pixels, first)
    with pytest.raises(ImageError, match="several frames or pages"):
        read(data)


def test_a_forged_directory_is_not_read_over_and_over(make):
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


def test_no_warning_of_a_tiff_goes_without_its_name(make):
    """A tag that Pillow complains about: its value lies beyond the end of the file."""
    notice = [(33432, "s", 0, "nobody's " * 9, True)]
    data = bytearray(written(make.noise(H, W, 3), photometric="rgb", extratags=notice))
    at = bytes(data).index(struct.pack("<HH", 33432, 2))
    data[at + 8 : at + 12] = struct.pack("<I", 1 << 30)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert read(bytes(data), name="x.tif").width == W
        probe(bytes(data), name="x.tif")
        read_rgb8(bytes(data))
    assert [str(each.message) for each in heard if "x.tif" not in str(each.message)] == []
