"""Every colour mode and orientation is read right; damage, bombs and foreign files are one line with their name."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from gantools.errors import ImageError
from gantools.images.formats import webp_size
from gantools.images.io.reader import probe, read, read_rgb8
from tests.images import make

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM")
PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def assert_reads_as(data, samples, tolerance=0):
    """The image of a file has these samples: [H, W] or [H, W, C], with alpha in the 2nd or 4th channel."""
    image = read(data)
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    planes = samples.reshape(*samples.shape[:2], channels)
    colour = planes[..., :3] if channels > 2 else planes[..., :1].repeat(3, 2)
    assert (image.pixels.dtype, image.pixels.shape) == (samples.dtype, colour.shape)
    assert np.abs(image.pixels.astype(int) - colour).max() <= tolerance
    assert image.gray == (channels < 3)
    if channels in (2, 4):
        np.testing.assert_array_equal(image.alpha, planes[..., -1])
    else:
        assert image.alpha is None
    header = probe(data)
    assert (header.width, header.height, header.format) == (image.width, image.height, image.format)
    assert header.bits == samples.itemsize * 8
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "channels", "dtype"),
    [
        *(("png", channels, dtype) for channels in (1, 2, 3, 4) for dtype in (np.uint8, np.uint16)),
        *(("tiff", channels, dtype) for channels in (1, 3, 4) for dtype in (np.uint8, np.uint16)),
        ("tiff", 2, np.uint8),
        *(("webp", 3, np.uint8), ("webp", 4, np.uint8), ("jpeg", 1, np.uint8), ("jpeg", 3, np.uint8)),
    ],
)
def test_every_colour_mode_is_read_upright(form, channels, dtype, orientation):
    stored, exif = make.noise(5, 7, channels, dtype), make.exif_block(orientation)
    if form == "png":
        data = make.png(stored, PNG_COLOUR_TYPE[channels], make.chunk(b"eXIf", exif[6:]))
    elif form == "tiff":
        data = make.tiff(stored, orientation)
    elif form == "webp":
        data = make.saved(Image.fromarray(stored), form, lossless=True, exact=True, exif=exif)
    else:
        image = Image.fromarray(make.blocks()).convert("L" if channels == 1 else "RGB")
        stored, data = np.array(image), make.saved(image, form, quality=100, subsampling=0, exif=exif)
    found = assert_reads_as(data, make.upright(stored, orientation), tolerance=3 if form == "jpeg" else 0)
    assert found.format == form


def palette_image():
    image = Image.fromarray(make.noise(6, 9, 1) % 16, "P")
    image.putpalette(make.noise(16, 1, 3, seed=5).tobytes())
    return image


MODES = {
    "one pixel": (Image.fromarray(make.noise(1, 1, 3)), ("BMP", "PPM"), "RGB"),
    "gray": (Image.fromarray(make.noise(17, 33, 1)), ("BMP", "PPM"), "L"),
    "RGB": (Image.fromarray(make.noise(33, 17, 3)), ("BMP", "PPM"), "RGB"),
    "one bit": (Image.fromarray(make.noise(9, 13, 1) > 127), ("PNG", "TIFF", "BMP", "PPM"), "L"),
    "palette": (palette_image(), ("PNG", "TIFF", "BMP"), "RGB"),
}


@pytest.mark.parametrize("mode", MODES)
def test_other_modes_become_gray_or_rgb(mode):
    image, forms, wanted = MODES[mode]
    for form in forms:
        assert_reads_as(make.saved(image, form), np.array(image.convert(wanted)))


@pytest.mark.parametrize("maximum", [100, 255, 1023, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_ppm_of_any_maximum_fills_the_range(channels, maximum):
    values = np.array([0, maximum // 2, maximum]).astype(">u2" if maximum > 255 else np.uint8).repeat(channels)
    data = b"P%d\n# made by hand\n3 1\n%d\n" % (5 if channels == 1 else 6, maximum) + values.tobytes()
    image = read(data)
    top = 255 if maximum < 256 else 65535
    assert image.pixels.dtype == (np.uint8 if maximum < 256 else np.uint16)
    assert image.pixels[0, :, 0] == pytest.approx(np.array([0, maximum // 2, maximum]) * top / maximum, abs=1)
    assert image.pixels[0, [0, 2], 1].tolist() == [0, top]


@pytest.mark.parametrize("transparent", [3, bytes(range(0, 160, 10))])
def test_a_palette_with_transparency_becomes_rgba(transparent):
    image = palette_image()
    table = list(transparent) if isinstance(transparent, bytes) else [255] * 3 + [0] + [255] * 12
    expected = np.dstack([np.array(image.convert("RGB")), np.array(table, np.uint8)[np.array(image)]])
    assert_reads_as(make.saved(image, "PNG", transparency=transparent), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_transparent_colour_becomes_alpha(dtype, channels):
    samples = make.noise(4, 6, channels, dtype)
    key = np.atleast_1d(samples[1, 2])
    chosen = (samples.reshape(4, 6, channels) == key).all(axis=2)
    data = make.png(samples, PNG_COLOUR_TYPE[channels], make.chunk(b"tRNS", struct.pack(f">{channels}H", *key)))
    assert_reads_as(data, np.dstack([samples, np.where(chosen, 0, np.iinfo(dtype).max).astype(dtype)]))


@pytest.mark.parametrize(
    ("profile", "colour", "warning"),
    [
        (None, (0, 255, 255), "has no colour profile"),
        (make.srgb_profile(), (0, 255, 255), "has an unusable colour profile"),
        (make.printer_profile(), (119, 119, 119), None),
    ],
    ids=["no profile", "foreign profile", "printer profile"],
)
@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile_or_with_a_warning(form, profile, colour, warning):
    data = make.saved(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), form, icc_profile=profile)
    with make.warned() as texts:
        image = read(data, name="print.x")
    assert [text.startswith(f"'print.x': the CMYK image {warning}") for text in texts] == [True] * bool(warning)
    assert np.abs(image.pixels.astype(int) - colour).max() <= 4
    assert np.ptp(image.pixels[..., 0]) <= 4
    assert (image.gray, image.metadata.icc) == (False, None)


def every_format():
    image = Image.fromarray(make.noise(40, 56, 3))
    deep = make.noise(40, 56, 3, np.uint16)
    files = [make.saved(image, form) for form in FORMATS]
    files += [make.saved(image, "JPEG", progressive=True), make.saved(image, "TIFF", compression="tiff_adobe_deflate")]
    return [*files, make.png(deep, 2), make.tiff(deep), b"P6 56 40 65535\n" + deep.tobytes()]


def test_a_cut_file_is_refused_or_whole_and_half_a_file_refused():
    for data in every_format():
        whole = read(data).pixels
        for missing in (1, 3, 12, 30, len(data) // 4, len(data) - 40, len(data) - 9):
            try:
                np.testing.assert_array_equal(read(data[:-missing]).pixels, whole)
            except ImageError:
                continue
        with pytest.raises(ImageError, match=r"^'half\.x': damaged or truncated \(.+\)$"):
            read(data[: len(data) // 2], name="half.x")
        with pytest.raises(ImageError):
            read_rgb8(data[: len(data) // 2])


def test_part_of_a_jpeg_is_accepted_on_request():
    data = make.saved(Image.fromarray(make.noise(64, 64, 3)), "JPEG", quality=95)
    part = data[: len(data) * 3 // 4]
    image = read(part, allow_truncated=True)
    assert image.pixels.shape == (64, 64, 3)
    assert np.array_equal(image.pixels[:16], read(data).pixels[:16])
    with pytest.raises(ImageError):
        read(part)


@pytest.mark.filterwarnings("ignore")
def test_random_damage_is_an_image_error_and_nothing_else():
    random = np.random.default_rng(1)
    files, messages = every_format(), []
    for number in range(440):
        damaged = np.frombuffer(files[number % len(files)], np.uint8).copy()
        where = random.integers(2, random.choice([len(damaged), 60]), 4)
        damaged[where] = random.integers(0, 256, 4)
        try:
            read(damaged.tobytes(), max_pixels=10**6)
        except ImageError as error:
            messages.append(str(error))
    assert 40 < len(messages) < 440
    assert not any("\n" in text for text in messages)


def test_a_chunk_longer_than_the_file_is_not_allocated():
    data = bytearray(make.png(make.noise(40, 56, 3, np.uint16), 2))
    data[33] = 0x8D
    with pytest.raises(ImageError, match="a chunk is longer than the file"):
        read(bytes(data))


def huge_headers():
    """Small files whose headers promise thousands of megapixels."""
    png = bytearray(make.png(make.noise(2, 2, 3), 2))
    png[8:33] = make.chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    jpeg, webp, bmp = (make.saved(Image.new("RGB", (4, 4)), form) for form in ("JPEG", "WEBP", "BMP"))
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16382).to_bytes(3, "little") * 2
    width, huge = (struct.pack("<HHII", 256, 4, 1, value) for value in (2, 10**9))
    return {
        "png": bytes(png),
        "webp": b"RIFF" + struct.pack("<I", len(webp) + 10) + b"WEBP" + canvas + webp[12:],
        "bmp": bmp[:18] + struct.pack("<ii", 60000, 60000) + bmp[26:],
        "ppm": b"P6 60000 60000 255\n",
        "jpeg": jpeg.replace(struct.pack(">BHH", 8, 4, 4), b"\x08\xff\xff\xff\xff"),
        "tiff": make.tiff(make.noise(2, 2, 3)).replace(width, huge),
    }


def test_bombs_are_refused_by_their_header():
    for data in huge_headers().values():
        for reads in (read, read_rgb8):
            with pytest.raises(ImageError, match="pixels, over the limit"):
                reads(data)


@pytest.mark.parametrize("form", FORMATS)
def test_only_our_own_limit_counts_and_is_exact(monkeypatch, form):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = make.saved(Image.fromarray(make.noise(100, 50, 3)), form)
    assert read(data, max_pixels=5000).width == read_rgb8(data).shape[1] == 50
    assert Image.MAX_IMAGE_PIXELS == 1000
    message = r"^'big': 50×100 is 5,000 pixels, over the limit of 4,999; .*--max-pixels$"
    with pytest.raises(ImageError, match=message):
        read(data, max_pixels=4999, name="big")


def test_a_webp_states_its_size_before_it_is_opened():
    image = Image.fromarray(make.noise(33, 17, 3))
    for options in ({}, {"lossless": True}, {"exif": make.exif_block(1)}):
        assert webp_size(make.saved(image, "WEBP", **options)[:30]) == (17, 33)
    assert webp_size(b"RIFF") == (0, 0)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_many_frames_are_refused_unless_the_first_is_wanted(form):
    frames = [Image.fromarray(make.noise(6, 8, 3, seed=seed)) for seed in range(3)]
    options = {"lossless": True} if form == "WEBP" else {}
    data = make.saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert probe(data).several_frames
    message = r"^'pages': holds several frames or pages; take the first with --frames first$"
    with pytest.raises(ImageError, match=message):
        read(data, name="pages")
    assert np.array_equal(read(data, first_frame=True).pixels, np.array(frames[0]))


def test_a_photo_with_a_second_image_inside_is_one_photo():
    """Phones store a depth or gain map behind the photo (MPO); the photo is not a page of a document."""
    frames = [Image.fromarray(make.blocks()), Image.fromarray(make.blocks()[:16])]
    data = make.saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert (read(data).format, read(data).width) == ("jpeg", 80)


def test_the_content_decides_and_not_the_suffix(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(make.png(make.noise(3, 4, 3), 2))
    assert read(path).format == read(str(path)).format == "png"
    for content in (b"hello\n", b"GIF89a" + bytes(20), b"%PDF-1.7", b"P7\nWIDTH 1", b"RIFF1234WAVE"):
        path.write_bytes(content)
        for reads in (read, read_rgb8, probe):
            with pytest.raises(ImageError) as caught:
                reads(path)
            assert str(caught.value) == f"{str(path)!r}: not a PNG, JPEG, WebP, TIFF, BMP or PPM image"


def test_messages_name_the_file(tmp_path):
    for source, name, message in (
        (b"text", "notes.txt", r"^'notes\.txt': not a PNG"),
        (b"", "a\n\x1b[31mb", r"^'a\\n\\x1b\[31mb': the file is empty$"),
        (tmp_path / "missing.png", None, r"missing\.png': .*No such file"),
        (tmp_path, None, r"cannot be read: Is a directory"),
    ):
        with pytest.raises(ImageError, match=message):
            read(source, name=name)


def test_training_images_are_upright_rgb8_on_white():
    deep = make.noise(5, 7, 3, np.uint16)
    assert np.abs(read_rgb8(make.png(deep, 2)).astype(float) - deep / 257).max() <= 0.5
    gray = make.noise(5, 7, 1)
    assert np.array_equal(read_rgb8(make.png(gray, 0)), np.dstack([gray] * 3))
    colour = make.noise(5, 7, 3)
    turned = make.png(colour, 2, make.chunk(b"eXIf", make.exif_block(6)[6:]))
    assert np.array_equal(read_rgb8(turned), make.upright(colour, 6))
    transparent = np.dstack([np.full((1, 3, 3), 100, np.uint8), np.array([[0, 128, 255]], np.uint8)])
    assert read_rgb8(make.png(transparent, 6))[0, :, 0].tolist() == [255, 177, 100]


def test_orientation_may_stand_in_xmp_and_nonsense_is_ignored():
    colour = make.noise(5, 7, 3)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    image = read(make.saved(Image.fromarray(colour), "WEBP", lossless=True, xmp=xmp))
    assert np.array_equal(image.pixels, make.upright(colour, 6))
    assert b'tiff:Orientation="1"' in image.metadata.xmp
    nonsense = make.chunk(b"eXIf", make.exif_block(9)[6:])
    assert np.array_equal(read(make.png(colour, 2, nonsense)).pixels, colour)
