from __future__ import annotations

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import JpegImagePlugin

from gantools import files
from gantools.errors import ImageError, UsageError
from gantools.images.formats import ALPHA, FORMATS, SUFFIXES, format_of
from gantools.images.image import Image, Metadata
from gantools.images.io import encoders
from gantools.images.io.reader import read
from gantools.images.io.writer import encode, save, write

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf/></x:xmpmeta>'


def image_of(make, size=(17, 33), *, gray=False, alpha=False, dtype=np.uint8, metadata=None):
    pixels = make.noise(*size, 3, dtype)
    if gray:
        pixels = np.dstack([pixels[..., 0]] * 3)
    veil = make.noise(*size, 1, dtype, seed=9) if alpha else None
    return Image(pixels, veil, gray, metadata or Metadata())


def assert_same(left, right):
    assert left.pixels.dtype == right.pixels.dtype
    assert np.array_equal(left.pixels, right.pixels)
    assert left.gray == right.gray
    assert (left.alpha is None) == (right.alpha is None)
    assert left.alpha is None or np.array_equal(left.alpha, right.alpha)


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (600, 400)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_png_and_tiff_keep_every_sample(make, kind, gray, alpha, dtype, size):
    image = image_of(make, size, gray=gray, alpha=alpha, dtype=dtype)
    back = read(encode(image, kind))
    deep_gray_alpha = kind == "tif" and gray and alpha and dtype == np.uint16
    assert_same(back, Image(image.pixels, image.alpha, gray and not deep_gray_alpha))


@pytest.mark.parametrize("size", [(1, 1), (17, 33)])
@pytest.mark.parametrize(
    ("kind", "gray", "alpha"), [("bmp", 0, 0), ("bmp", 1, 0), ("bmp", 0, 1), ("ppm", 0, 0), ("ppm", 1, 0)]
)
def test_bmp_and_ppm_keep_every_sample(make, kind, gray, alpha, size):
    image = image_of(make, size, gray=bool(gray), alpha=bool(alpha))
    assert_same(read(encode(image, kind)), image)


def test_ppm_keeps_16_bits(make):
    for gray in (False, True):
        image = image_of(make, gray=gray, dtype=np.uint16)
        assert_same(read(encode(image, "ppm")), image)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_pillow_reads_what_is_written(make, kind):
    for gray in (False, True):
        for alpha in (False, True):
            image = image_of(make, gray=gray, alpha=alpha)
            pillow = PillowImage.open(io.BytesIO(encode(image, kind)))
            assert pillow.mode == ("L" if gray else "RGB") + "A" * (alpha and 1) if not (gray and alpha) else "LA"
            assert np.array_equal(np.array(pillow.convert("RGB")), image.pixels)


def test_jpeg_is_95_without_colour_subsampling(make):
    image = Image(make.blocks())
    pillow = PillowImage.open(io.BytesIO(encode(image, "jpg")))
    reference = PillowImage.open(io.BytesIO(make.saved(PillowImage.fromarray(make.blocks()), "JPEG", quality=95)))
    assert JpegImagePlugin.get_sampling(pillow) == 0
    assert pillow.quantization == reference.quantization
    assert np.abs(np.array(pillow).astype(int) - make.blocks()).max() <= 6


def test_gray_stays_gray_in_jpeg_even_from_a_colourful_network():
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


def test_depth_is_changed_on_request(make):
    shallow, deep = image_of(make, alpha=True), image_of(make, alpha=True, dtype=np.uint16)
    widened = read(encode(shallow, "png", depth=16))
    assert np.array_equal(widened.pixels, shallow.pixels.astype(np.uint16) * 257)
    assert np.array_equal(read(encode(widened, "png", depth=8)).pixels, shallow.pixels)
    assert read(encode(deep, "tif", depth=8)).alpha.dtype == np.uint8


@pytest.mark.parametrize("kind", ["jpeg", "ppm"])
def test_real_transparency_is_never_lost_in_silence(make, tmp_path, kind):
    image = image_of(make, alpha=True)
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
    with pytest.raises(
        ImageError, match=rf"^'.*long': {width}×1 is more than {kind.upper()} can hold \(\d+ px a side\)"
    ):
        write(long, tmp_path / "long", format=kind)
    assert read(encode(Image(np.zeros((1, width - 1, 3), np.uint8)), kind)).width == width - 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", ["false", "exception"])
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp"])
def test_an_encoder_that_gives_up_is_an_error(make, monkeypatch, kind, answer):
    def give_up(*_arguments):
        if answer == "exception":
            raise cv2.error("no")
        return False, np.empty(0, np.uint8)

    monkeypatch.setattr(cv2, "imencode", give_up)
    monkeypatch.setattr(cv2, "imencodeWithMetadata", give_up)
    with pytest.raises(ImageError, match="encoder refused 33×17 px"):
        encode(image_of(make), kind)


def test_a_failed_write_leaves_nothing(make, tmp_path, monkeypatch):
    path = tmp_path / "out.png"

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ImageError, match=r"out\.png': cannot be written: No space left on device$"):
        write(image_of(make), path)
    assert list(tmp_path.iterdir()) == []


def full_metadata(make, profile):
    return Metadata(make.exif_block(1, description="a shoe", artist="Ada"), profile, XMP, (300.0, 150.0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("last", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("first", ["png", "jpg", "webp", "tif"])
def test_metadata_survives_two_formats(make, srgb_profile, first, last, dtype):
    source = image_of(make, metadata=full_metadata(make, srgb_profile), dtype=dtype)
    once = read(encode(source, first))
    content = encode(once, last)
    found = read(content).metadata
    assert found.icc == srgb_profile
    assert found.xmp == XMP
    if "webp" not in (first, last):
        assert found.dpi == pytest.approx((300, 150), abs=0.02)
    exif = PillowImage.Exif()
    exif.load(found.exif)
    assert (exif[0x010E], exif[0x013B], exif[0x0112]) == ("a shoe", "Ada", 1)
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert (exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003]) == (33, 17)
    seen = PillowImage.open(io.BytesIO(content))
    seen.load()
    assert seen.getexif()[0x010E] == "a shoe"
    assert seen.info["icc_profile"] == srgb_profile
    assert seen.info["xmp"] == XMP


def test_bmp_keeps_the_resolution(make):
    image = image_of(make, metadata=Metadata(dpi=(300.0, 150.0)))
    assert read(encode(image, "bmp")).metadata.dpi == pytest.approx((300, 150), abs=0.02)


def gray_profile():
    return b"\0" * 16 + b"GRAY" + b"\0" * 108


def test_a_profile_of_another_colour_model_is_left_out(make, srgb_profile):
    colour = image_of(make, metadata=Metadata(icc=gray_profile()))
    assert read(encode(colour, "png")).metadata.icc is None
    gray = image_of(make, gray=True, metadata=Metadata(icc=srgb_profile))
    assert read(encode(gray, "png")).metadata.icc is None
    gray = image_of(make, gray=True, metadata=Metadata(icc=gray_profile()))
    assert read(encode(gray, "png")).metadata.icc == gray_profile()
    assert read(encode(gray, "webp")).metadata.icc is None


def test_a_large_profile_is_split_over_jpeg_segments(make, srgb_profile):
    large = srgb_profile + bytes(200_000)
    found = read(encode(image_of(make, metadata=Metadata(icc=large)), "jpeg"))
    assert found.metadata.icc == large


def test_exif_too_large_for_jpeg_is_left_out_with_a_warning(make):
    exif = make.exif_block(1, description="x" * 70_000)
    image = image_of(make, metadata=Metadata(exif=exif))
    with pytest.warns(UserWarning, match="EXIF of .* does not fit into a JPEG"):
        content = encode(image, "jpeg")
    assert read(content).metadata.exif is None
    assert len(read(encode(image, "png")).metadata.exif) > 70_000


def test_formats_are_named_by_suffix(make, tmp_path):
    assert {format_of(f"x.{suffix.upper()}") for suffix in FORMATS} == set(SUFFIXES)
    assert all(FORMATS[suffix[1:]] == kind for kind, suffix in SUFFIXES.items())
    with pytest.raises(UsageError, match=r"^'.*x\.gif': no format is known by 'gif'; known: png, jpg"):
        write(image_of(make), tmp_path / "x.gif")
    with pytest.raises(UsageError, match="no format is called 'gif'"):
        encode(image_of(make), "gif")
    with pytest.raises(UsageError, match="quality 0"):
        encode(image_of(make), "jpg", quality=0)


def test_an_image_checks_itself():
    pixels = np.zeros((4, 5, 3), np.uint8)
    for wrong in (np.zeros((4, 5), np.uint8), pixels.astype(float), np.zeros((4, 5, 4), np.uint8)):
        with pytest.raises(ValueError, match="pixels must be"):
            Image(wrong)
    with pytest.raises(ValueError, match="does not cover"):
        Image(pixels, np.zeros((5, 4), np.uint8))
    with pytest.raises(ValueError, match="alpha is uint16"):
        Image(pixels, np.zeros((4, 5), np.uint16))


KINDS = ("png", "jpeg", "tiff", "bmp", "ppm", "webp")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("kind", ["png", "tiff", "ppm"])
def test_bands_decode_to_what_the_whole_does(make, monkeypatch, srgb_profile, kind, gray, alpha, dtype):
    image = image_of(make, (331, 101), gray=gray, alpha=alpha, dtype=dtype, metadata=full_metadata(make, srgb_profile))
    whole = read(encode(image, kind, alpha="keep" if kind in ALPHA else "drop"))
    monkeypatch.setattr(encoders, "BAND_BYTES", 64 * 101 * 3)
    bands = read(encode(image, kind, alpha="keep" if kind in ALPHA else "drop"))
    assert_same(bands, whole)
    assert bands.metadata == whole.metadata


@pytest.mark.parametrize("kind", KINDS)
def test_saving_writes_the_bytes_of_encoding(make, tmp_path, srgb_profile, kind):
    image = image_of(make, metadata=full_metadata(make, srgb_profile))
    events = []
    with files.observed(lambda event, _path: events.append(event)):
        save(image, tmp_path / "out", format=kind)
    assert (tmp_path / "out").read_bytes() == encode(image, kind)
    assert events == ["create", "write", "sync", "rename", "sync folder"]


@pytest.mark.parametrize("kind", ["bmp", "tiff"])
def test_more_than_a_format_can_address_is_refused(make, monkeypatch, tmp_path, kind):
    monkeypatch.setattr(encoders, "_LARGEST_BYTES", 1000)
    with pytest.raises(ImageError, match=rf"33×17 is more than {kind.upper()} can hold \(4 GB\)"):
        save(image_of(make), tmp_path / "out", format=kind)
    assert list(tmp_path.iterdir()) == []
