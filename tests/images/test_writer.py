"""What a format can hold is kept, what it cannot is refused or named; WebP without loss stays so."""

from __future__ import annotations

import io
import os
from itertools import product

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import JpegImagePlugin

from gantools import files
from gantools.errors import ImageError, UsageError
from gantools.images import formats
from gantools.images.formats import FORMATS, SUFFIXES, format_of
from gantools.images.image import Image, Metadata
from gantools.images.io import encoders
from gantools.images.io.reader import read
from gantools.images.io.writer import encode, save, write
from tests.images import make

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf/></x:xmpmeta>'


def image_of(size=(17, 33), *, gray=False, alpha=False, dtype=np.uint8, **metadata):
    pixels = make.noise(*size, 3, dtype)
    if gray:
        pixels = np.dstack([pixels[..., 0]] * 3)
    return Image(pixels, make.noise(*size, 1, dtype, seed=9) if alpha else None, gray, Metadata(**metadata))


def full_metadata():
    exif = make.exif_block(1, description="a shoe", artist="Ada")
    return {"exif": exif, "icc": make.srgb_profile(), "xmp": XMP, "dpi": (300.0, 150.0)}


HELD = [
    *product(("png", "tiff"), (False, True), (False, True), (np.uint8, np.uint16)),
    *product(("ppm",), (False, True), (False,), (np.uint8, np.uint16)),
    *(("bmp", False, False, np.uint8), ("bmp", True, False, np.uint8), ("bmp", False, True, np.uint8)),
]
"""Format, whether it holds gray images and alpha, depth."""


@pytest.mark.parametrize("banded", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (331, 101)])
@pytest.mark.parametrize(("kind", "gray", "alpha", "dtype"), HELD)
def test_formats_without_loss_keep_every_sample(monkeypatch, kind, gray, alpha, dtype, size, banded):
    image = image_of(size, gray=gray, alpha=alpha, dtype=dtype)
    if banded:
        monkeypatch.setattr(encoders, "BAND_BYTES", 64 * 101 * 3)
        monkeypatch.setattr(encoders, "_STRIP_BYTES", 64 * 101 * 3)
    content = encode(image, kind)
    back = read(content)
    assert back.pixels.dtype == dtype
    np.testing.assert_array_equal(back.pixels, image.pixels)
    np.testing.assert_array_equal(back.alpha, image.alpha)
    assert back.gray == (gray and not (kind == "tiff" and alpha and dtype == np.uint16))
    if dtype == np.uint8 and kind != "bmp":
        pillow = PillowImage.open(io.BytesIO(content))
        assert pillow.mode == ("L" if gray else "RGB") + "A" * alpha
        np.testing.assert_array_equal(np.array(pillow.convert("RGB")), image.pixels)


def test_jpeg_is_95_without_colour_subsampling():
    pillow = PillowImage.open(io.BytesIO(encode(Image(make.blocks()), "jpg")))
    reference = PillowImage.open(io.BytesIO(make.saved(PillowImage.fromarray(make.blocks()), "JPEG", quality=95)))
    assert JpegImagePlugin.get_sampling(pillow) == 0
    assert pillow.quantization == reference.quantization
    assert np.abs(np.array(pillow).astype(int) - make.blocks()).max() <= 6


def test_a_gray_image_stays_gray_in_jpeg_whatever_colours_a_network_gave_it():
    tinted = Image(np.full((8, 8, 3), (100, 150, 200), np.uint8), gray=True)
    image = PillowImage.open(io.BytesIO(encode(tinted, "jpeg")))
    assert image.mode == "L"
    assert abs(np.array(image).mean() - (0.299 * 100 + 0.587 * 150 + 0.114 * 200)) < 1


@pytest.mark.parametrize("kind", ["jpeg", "webp", "bmp"])
def test_16_bits_become_8_where_the_format_has_no_more(kind):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    deep = Image(np.dstack([np.tile(ramp, (16, 1))] * 3))
    back = read(encode(deep, kind))
    assert back.pixels.dtype == np.uint8
    assert np.abs(back.pixels.astype(float) - deep.pixels / 257).max() <= 4
    with pytest.raises(UsageError, match="holds no 16-bit samples"):
        encode(deep, kind, depth=16)


def test_depth_is_changed_on_request():
    shallow, deep = image_of(alpha=True), image_of(alpha=True, dtype=np.uint16)
    widened = read(encode(shallow, "png", depth=16))
    assert np.array_equal(widened.pixels, shallow.pixels.astype(np.uint16) * 257)
    assert np.array_equal(read(encode(widened, "png", depth=8)).pixels, shallow.pixels)
    assert read(encode(deep, "tif", depth=8)).alpha.dtype == np.uint8


@pytest.mark.parametrize("kind", ["jpeg", "ppm"])
def test_real_transparency_is_never_lost_in_silence(tmp_path, kind):
    image = image_of(alpha=True)
    path = tmp_path / f"x.{kind}"
    with pytest.raises(UsageError, match=rf"^'.*x\.{kind}': .* --alpha drop or --format png$"):
        write(image, path)
    assert list(tmp_path.iterdir()) == []
    write(image, path, alpha="drop")
    assert read(path).alpha is None
    opaque = Image(image.pixels, np.full(image.alpha.shape, 255, np.uint8))
    assert read(encode(opaque, kind)).alpha is None
    assert read(encode(opaque, "png")).alpha is not None
    assert read(encode(image, "png", alpha="drop")).alpha is None


@pytest.mark.parametrize(("kind", "width"), [("jpeg", 65501), ("webp", 16384)])
def test_format_limits_are_named(tmp_path, kind, width):
    long = Image(np.zeros((1, width, 3), np.uint8))
    message = rf"^'.*long': {width}×1 is more than {kind.upper()} can hold \(\d+ px a side\)"
    with pytest.raises(ImageError, match=message):
        write(long, tmp_path / "long", format=kind)
    assert read(encode(Image(np.zeros((1, width - 1, 3), np.uint8)), kind)).width == width - 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["bmp", "tiff"])
def test_more_than_a_format_can_address_is_refused(monkeypatch, tmp_path, kind):
    monkeypatch.setattr(encoders, "_LARGEST_BYTES", 1000)
    with pytest.raises(ImageError, match=rf"33×17 is more than {kind.upper()} can hold \(4 GB\)"):
        save(image_of(), tmp_path / "out", format=kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", ["false", "exception"])
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp", "lossless"])
def test_an_encoder_that_gives_up_is_an_error(monkeypatch, kind, answer):
    def give_up(*_arguments, **_options):
        if kind == "lossless":
            raise OSError("no")
        if answer == "exception":
            raise cv2.error("no")
        return False, np.empty(0, np.uint8)

    for owner, name in ((cv2, "imencode"), (cv2, "imencodeWithMetadata"), (PillowImage.Image, "save")):
        monkeypatch.setattr(owner, name, give_up)
    with pytest.raises(ImageError, match="encoder refused 33×17 px"):
        encode(image_of(), "webp" if kind == "lossless" else kind, lossless=kind == "lossless")


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ImageError, match=r"out\.png': cannot be written: No space left on device$"):
        write(image_of(), tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", SUFFIXES)
def test_saving_writes_the_bytes_of_encoding_at_once(tmp_path, kind):
    image = image_of(**full_metadata())
    events = []
    with files.observed(lambda event, _path: events.append(event)):
        save(image, tmp_path / "out", format=kind)
    assert (tmp_path / "out").read_bytes() == encode(image, kind)
    assert events == ["create", "write", "sync", "rename", "sync folder"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("last", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("first", ["png", "jpg", "webp", "tif"])
def test_metadata_survives_two_formats(first, last, dtype):
    once = read(encode(image_of(dtype=dtype, **full_metadata()), first))
    content = encode(once, last)
    found = read(content).metadata
    assert (found.icc, found.xmp) == (make.srgb_profile(), XMP)
    if "webp" not in (first, last):
        assert found.dpi == pytest.approx((300, 150), abs=0.02)
    exif = PillowImage.Exif()
    exif.load(found.exif)
    assert (exif[0x010E], exif[0x013B], exif[0x0112]) == ("a shoe", "Ada", 1)
    inner = exif.get_ifd(0x8769)
    assert (inner[0x9003], inner[0xA002], inner[0xA003]) == ("2020:01:02 03:04:05", 33, 17)
    seen = PillowImage.open(io.BytesIO(content))
    seen.load()
    assert seen.getexif()[0x010E] == "a shoe"
    assert (seen.info["icc_profile"], seen.info["xmp"]) == (make.srgb_profile(), XMP)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp"])
def test_an_image_without_a_resolution_gets_none(kind):
    assert read(encode(image_of(dpi=None), kind)).metadata.dpi is None


def test_bmp_keeps_the_resolution():
    assert read(encode(image_of(dpi=(300.0, 150.0)), "bmp")).metadata.dpi == pytest.approx((300, 150), abs=0.02)


def test_a_profile_of_another_colour_model_is_left_out():
    gray_profile = b"\0" * 16 + b"GRAY" + b"\0" * 108
    for kind, gray, profile, kept in (
        ("png", False, gray_profile, None),
        ("png", True, make.srgb_profile(), None),
        ("png", True, gray_profile, gray_profile),
        ("webp", True, gray_profile, None),
    ):
        assert read(encode(image_of(gray=gray, icc=profile), kind)).metadata.icc == kept


def test_what_is_too_long_for_a_jpeg_segment_is_split_or_left_out_with_a_warning():
    large = make.srgb_profile() + bytes(200_000)
    assert read(encode(image_of(icc=large), "jpeg")).metadata.icc == large
    image = image_of(exif=make.exif_block(1, description="x" * 70_000))
    with pytest.warns(UserWarning, match="EXIF of .* does not fit into a JPEG"):
        content = encode(image, "jpeg")
    assert read(content).metadata.exif is None
    assert len(read(encode(image, "png")).metadata.exif) > 70_000


def test_formats_are_named_by_suffix(tmp_path):
    assert {format_of(f"x.{suffix.upper()}") for suffix in FORMATS} == set(SUFFIXES)
    assert all(FORMATS[suffix[1:]] == kind for kind, suffix in SUFFIXES.items())
    with pytest.raises(UsageError, match=r"^'.*x\.gif': no format is known by 'gif'; known: png, jpg"):
        write(image_of(), tmp_path / "x.gif")
    with pytest.raises(UsageError, match="no format is called 'gif'"):
        encode(image_of(), "gif")
    with pytest.raises(UsageError, match="quality 0"):
        encode(image_of(), "jpg", quality=0)


def test_an_image_checks_its_arrays():
    pixels = np.zeros((4, 5, 3), np.uint8)
    for wrong in (np.zeros((4, 5), np.uint8), pixels.astype(float), np.zeros((4, 5, 4), np.uint8)):
        with pytest.raises(ValueError, match="pixels must be"):
            Image(wrong)
    with pytest.raises(ValueError, match="does not cover"):
        Image(pixels, np.zeros((5, 4), np.uint8))
    with pytest.raises(ValueError, match="alpha is uint16"):
        Image(pixels, np.zeros((4, 5), np.uint16))


# WebP without loss


def is_lossless(content):
    return b"VP8L" in content and b"VP8 " not in content


@pytest.mark.parametrize("extra", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}, {"xmp": b"<x/>"}])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_stays_as_it_is_compressed(lossless, channels, extra):
    samples = make.noise(17, 33, channels)
    image = read(make.saved(PillowImage.fromarray(samples), "WEBP", lossless=lossless, exact=lossless, **extra))
    content = encode(image, "webp")
    assert image.lossless == is_lossless(content) == lossless
    if lossless:
        back = read(content)
        np.testing.assert_array_equal(back.pixels, samples[..., :3])  # also where alpha is 0
        assert (back.alpha is None) == (channels == 3)
        assert not is_lossless(encode(image, "webp", lossless=False))


def test_the_first_frame_of_an_animation_says_how_it_is_compressed():
    frames = [PillowImage.fromarray(make.noise(6, 8, 3, seed=seed)) for seed in range(2)]
    for lossless in (False, True):
        data = make.saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=lossless)
        assert read(data, first_frame=True).lossless == lossless
    assert not formats.webp_lossless(b"RIFF\0\0\0\0WEBP")


def test_compression_without_loss_can_be_asked_for():
    image = image_of(alpha=True, **full_metadata())
    assert not is_lossless(encode(image, "webp"))
    for kind in ("webp", "png", "tiff"):
        back = read(encode(image, kind, lossless=True))
        np.testing.assert_array_equal(back.pixels, image.pixels)
        np.testing.assert_array_equal(back.alpha, image.alpha)
        assert (back.metadata.icc, back.metadata.xmp) == (make.srgb_profile(), XMP)
        assert b"Ada" in back.metadata.exif
        stripped = read(encode(image, kind, lossless=True, metadata="strip")).metadata
        assert (stripped.exif, stripped.icc, stripped.xmp) == (None, None, None)
    with pytest.raises(UsageError, match="JPEG always loses a little"):
        encode(image_of(), "jpeg", lossless=True)
