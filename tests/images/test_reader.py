from __future__ import annotations

import io
import struct
import time
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from gantools.errors import ImageError
from gantools.images.formats import webp_size
from gantools.images.io.reader import probe, read, read_rgb8

ORIENTATIONS = range(1, 9)


def rgb_of(samples):
    """What an image with these samples must be read as: three channels and alpha."""
    if samples.ndim == 2:
        return np.dstack([samples] * 3), None
    if samples.shape[2] == 2:
        return np.dstack([samples[..., 0]] * 3), samples[..., 1]
    return samples[..., :3], samples[..., 3] if samples.shape[2] == 4 else None


def assert_reads_as(data, samples):
    image = read(data)
    colour, alpha = rgb_of(samples)
    assert image.pixels.dtype == samples.dtype
    assert np.array_equal(image.pixels, colour)
    assert image.gray == (samples.ndim == 2 or samples.shape[2] == 2)
    assert (image.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.array_equal(image.alpha, alpha)
    return image


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_png_matrix(make, channels, colour_type, dtype, orientation):
    stored = make.noise(5, 7, channels, dtype)
    exif = make.chunk(b"eXIf", make.exif_block(orientation)[6:])
    data = make.png(stored, colour_type, exif)
    image = assert_reads_as(data, make.upright(stored, orientation))
    assert image.format == "png"
    assert (probe(data).width, probe(data).height) == (image.width, image.height)
    assert probe(data).bits == stored.itemsize * 8


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(
    ("channels", "dtype"),
    [(1, np.uint8), (2, np.uint8), (3, np.uint8), (4, np.uint8), (1, np.uint16), (3, np.uint16), (4, np.uint16)],
)
def test_tiff_matrix(make, channels, dtype, orientation):
    stored = make.noise(5, 7, channels, dtype)
    data = make.tiff(stored, orientation)
    image = assert_reads_as(data, make.upright(stored, orientation))
    assert image.format == "tiff"
    assert (probe(data).width, probe(data).height) == (image.width, image.height)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_matrix(make, mode, orientation):
    stored = make.noise(5, 7, len(mode))
    exif = make.exif_block(orientation)
    data = make.saved(Image.fromarray(stored, mode), "WEBP", lossless=True, exact=True, exif=exif)
    assert assert_reads_as(data, make.upright(stored, orientation)).format == "webp"


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_matrix(make, mode, orientation):
    pillow = Image.fromarray(make.blocks()).convert(mode)
    stored = np.array(pillow)
    data = make.saved(pillow, "JPEG", quality=100, subsampling=0, exif=make.exif_block(orientation))
    image = read(data)
    expected = rgb_of(make.upright(stored, orientation))[0]
    assert image.gray == (mode == "L")
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels.astype(int) - expected).max() <= 3
    assert (probe(data).width, probe(data).height) == (image.width, image.height)


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (33, 17)])
@pytest.mark.parametrize(("form", "channels"), [("BMP", 1), ("BMP", 3), ("PPM", 1), ("PPM", 3)])
def test_formats_without_orientation(make, form, channels, size):
    stored = make.noise(*size, channels)
    assert_reads_as(make.saved(Image.fromarray(stored), form), stored)


def test_bmp_with_alpha(make):
    stored = make.noise(17, 33, 4)
    assert_reads_as(cv2.imencode(".bmp", cv2.cvtColor(stored, cv2.COLOR_RGBA2BGRA))[1].tobytes(), stored)


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


def palette_image(make):
    image = Image.fromarray(make.noise(6, 9, 1) % 16, "P")
    image.putpalette(make.noise(16, 1, 3, seed=5).tobytes())
    return image


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_palette_becomes_rgb(make, form):
    image = palette_image(make)
    assert_reads_as(make.saved(image, form), np.array(image.convert("RGB")))


@pytest.mark.parametrize("transparent", [3, bytes(range(0, 160, 10))])
def test_palette_with_transparency_becomes_rgba(make, transparent):
    image = palette_image(make)
    data = make.saved(image, "PNG", transparency=transparent)
    indices = np.array(image)
    table = [0 if index == 3 else 255 for index in range(16)] if transparent == 3 else list(transparent)
    expected = np.dstack([np.array(image.convert("RGB")), np.array(table, np.uint8)[indices]])
    assert_reads_as(data, expected)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit_becomes_gray(make, form):
    bits = make.noise(9, 13, 1) > 127
    assert_reads_as(make.saved(Image.fromarray(bits), form), bits.astype(np.uint8) * 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_transparent_colour_becomes_alpha(make, dtype):
    gray, colour = make.noise(4, 6, 1, dtype), make.noise(4, 6, 3, dtype)
    top = np.iinfo(dtype).max
    gray_key = make.chunk(b"tRNS", struct.pack(">H", gray[1, 2]))
    assert_reads_as(make.png(gray, 0, gray_key), np.dstack([gray, np.where(gray == gray[1, 2], 0, top).astype(dtype)]))
    colour_key = make.chunk(b"tRNS", struct.pack(">3H", *colour[1, 2]))
    opaque = np.where((colour == colour[1, 2]).all(axis=2), 0, top).astype(dtype)
    assert_reads_as(make.png(colour, 2, colour_key), np.dstack([colour, opaque]))


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_without_profile_is_converted_with_a_warning(make, form):
    pillow = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    with pytest.warns(UserWarning, match=r"^'print\.x': the CMYK image has no colour profile"):
        image = read(make.saved(pillow, form), name="print.x")
    assert np.abs(image.pixels.astype(int) - (0, 255, 255)).max() <= 3
    assert not image.gray


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(make, form, cmyk_profile):
    pillow = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read(make.saved(pillow, form, icc_profile=cmyk_profile))
    assert np.ptp(image.pixels) <= 4
    assert abs(int(image.pixels.mean()) - 119) <= 4
    assert image.metadata.icc is None


def test_cmyk_with_a_foreign_profile_is_converted_with_a_warning(make, srgb_profile):
    data = make.saved(Image.new("CMYK", (8, 8)), "JPEG", icc_profile=srgb_profile)
    with pytest.warns(UserWarning, match="unusable colour profile"):
        assert (read(data).pixels > 250).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_samples_of_32_bits_are_refused(make, dtype):
    with pytest.raises(ImageError, match=r"^'depth\.tif': 32-bit, signed and float samples are not read"):
        read(make.tiff(np.zeros((4, 4), dtype)), name="depth.tif")


def every_format(make):
    image = Image.fromarray(make.noise(40, 56, 3))
    forms = {form: make.saved(image, form) for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM")}
    forms["progressive JPEG"] = make.saved(image, "JPEG", progressive=True)
    forms["deflated TIFF"] = make.saved(image, "TIFF", compression="tiff_adobe_deflate")
    forms["16-bit PNG"] = make.png(make.noise(40, 56, 3, np.uint16), 2)
    forms["16-bit TIFF"] = make.tiff(make.noise(40, 56, 3, np.uint16))
    forms["16-bit PPM"] = b"P6 56 40 65535\n" + make.noise(40, 56, 3, np.uint16).tobytes()
    return forms


def test_half_a_file_is_never_an_image(make):
    for data in every_format(make).values():
        with pytest.raises(ImageError, match=r"^'half\.x': damaged or truncated \(.+\)$"):
            read(data[: len(data) // 2], name="half.x")
        with pytest.raises(ImageError):
            read_rgb8(data[: len(data) // 2])


def test_a_cut_file_is_refused_or_whole(make):
    for data in every_format(make).values():
        whole = read(data).pixels
        for missing in (1, 3, 12, 30, len(data) // 4, len(data) - 40, len(data) - 9):
            try:
                image = read(data[:-missing])
            except ImageError:
                continue
            assert np.array_equal(image.pixels, whole)


def test_half_a_jpeg_is_accepted_on_request(make):
    data = make.saved(Image.fromarray(make.noise(64, 64, 3)), "JPEG", quality=95)
    image = read(data[: len(data) * 3 // 4], allow_truncated=True)
    assert image.pixels.shape == (64, 64, 3)
    assert np.array_equal(image.pixels[:16], read(data).pixels[:16])
    with pytest.raises(ImageError):
        read(data[: len(data) * 3 // 4])


def outcome(data):
    """The image's size, or the message of the error."""
    try:
        return read(data, max_pixels=10**6).pixels.shape
    except ImageError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore")
def test_random_damage_is_an_image_error_and_nothing_else(make):
    random = np.random.default_rng(1)
    forms = list(every_format(make).values())
    outcomes = []
    for number in range(440):
        damaged = np.frombuffer(forms[number % len(forms)], np.uint8).copy()
        where = random.integers(2, random.choice([len(damaged), 60]), 4)
        damaged[where] = random.integers(0, 256, 4)
        outcomes.append(outcome(damaged.tobytes()))
    messages = [text for text in outcomes if isinstance(text, str)]
    assert 40 < len(messages) < 440
    assert not any("\n" in text for text in messages)


def test_a_chunk_longer_than_the_file_is_not_allocated(make):
    data = bytearray(make.png(make.noise(40, 56, 3, np.uint16), 2))
    data[33] = 0x8D
    with pytest.raises(ImageError, match="a chunk is longer than the file"):
        read(bytes(data))


def huge_headers(make):
    png = bytearray(make.png(make.noise(2, 2, 3), 2))
    png[8:33] = make.chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    webp = make.saved(Image.new("RGB", (4, 4)), "WEBP")
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16382).to_bytes(3, "little") * 2
    bmp = bytearray(make.saved(Image.new("RGB", (4, 4)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    return {
        "png": bytes(png),
        "webp": b"RIFF" + struct.pack("<I", len(webp) + 10) + b"WEBP" + canvas + webp[12:],
        "bmp": bytes(bmp),
        "ppm": b"P6 60000 60000 255\n",
        "jpeg": make.saved(Image.new("RGB", (4, 4)), "JPEG").replace(
            struct.pack(">BHH", 8, 4, 4), b"\x08\xff\xff\xff\xff"
        ),
        "tiff": make.tiff(make.noise(2, 2, 3)).replace(
            struct.pack("<HHII", 256, 4, 1, 2), struct.pack("<HHII", 256, 4, 1, 10**9)
        ),
    }


@pytest.mark.parametrize("form", ["png", "webp", "bmp", "ppm", "jpeg", "tiff"])
def test_bombs_are_refused_by_their_header(make, form):
    data = huge_headers(make)[form]
    started = time.process_time()
    with pytest.raises(ImageError, match="pixels"):
        read(data)
    with pytest.raises(ImageError, match="pixels"):
        read_rgb8(data)
    assert time.process_time() - started < 5


def test_the_pixel_limit_is_exact_and_named(make):
    data = make.png(make.noise(10, 20, 3), 2)
    assert read(data, max_pixels=200).width == 20
    with pytest.raises(ImageError, match=r"^'big\.png': 20×10 is 200 pixels, over the limit of 199; .*--max-pixels$"):
        read(data, max_pixels=199, name="big.png")


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_many_frames_are_refused_unless_the_first_is_wanted(make, form):
    frames = [Image.fromarray(make.noise(6, 8, 3, seed=seed)) for seed in range(3)]
    options = {"lossless": True} if form == "WEBP" else {}
    data = make.saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert probe(data).several_frames
    with pytest.raises(
        ImageError, match=r"^'pages': holds several frames or pages; take the first with --frames first$"
    ):
        read(data, name="pages")
    assert np.array_equal(read(data, first_frame=True).pixels, np.array(frames[0]))


@pytest.mark.parametrize("content", [b"hello\n", b"GIF89a" + bytes(20), b"%PDF-1.7", b"P7\nWIDTH 1", b"RIFF1234WAVE"])
def test_other_files_are_refused_by_content(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for reader in (read, read_rgb8, probe):
        with pytest.raises(ImageError) as caught:
            reader(path)
        assert str(caught.value) == f"{str(path)!r}: not a PNG, JPEG, WebP, TIFF, BMP or PPM image"


def test_the_name_in_messages(tmp_path):
    with pytest.raises(ImageError, match=r"^'notes\.txt': not a PNG, JPEG, WebP, TIFF, BMP or PPM image$"):
        read(b"text", name="notes.txt")
    with pytest.raises(ImageError, match=r"^'a\\n\\x1b\[31mb': the file is empty$"):
        read(b"", name="a\n\x1b[31mb")
    with pytest.raises(ImageError, match=r"No such file"):
        read(tmp_path / "missing.png")
    with pytest.raises(ImageError, match=r"cannot be read: Is a directory"):
        read(tmp_path)


def test_the_content_decides_and_not_the_suffix(make, tmp_path):
    path = tmp_path / "disguised.jpg"
    path.write_bytes(make.png(make.noise(3, 4, 3), 2))
    assert read(path).format == "png"
    assert read(str(path)).width == 4


def test_training_images_are_rgb8(make, tmp_path):
    deep = make.noise(5, 7, 3, np.uint16)
    assert np.abs(read_rgb8(make.png(deep, 2)).astype(float) - deep / 257).max() <= 0.5
    gray = make.noise(5, 7, 1)
    assert np.array_equal(read_rgb8(make.png(gray, 0)), np.dstack([gray] * 3))
    path = tmp_path / "turned.png"
    colour = make.noise(5, 7, 3)
    path.write_bytes(make.png(colour, 2, make.chunk(b"eXIf", make.exif_block(6)[6:])))
    assert np.array_equal(read_rgb8(path), make.upright(colour, 6))


def test_training_images_have_white_where_they_were_transparent(make):
    colour = np.full((1, 3, 3), 100, np.uint8)
    alpha = np.array([[0, 128, 255]], np.uint8)
    flat = read_rgb8(make.png(np.dstack([colour, alpha]), 6))
    assert flat[0, :, 0].tolist() == [255, 177, 100]


def test_orientation_may_stand_in_xmp_and_nonsense_is_ignored(make):
    colour = make.noise(5, 7, 3)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    data = make.saved(Image.fromarray(colour), "WEBP", lossless=True, xmp=xmp)
    image = read(data)
    assert np.array_equal(image.pixels, make.upright(colour, 6))
    assert b'tiff:Orientation="1"' in image.metadata.xmp
    nonsense = make.chunk(b"eXIf", make.exif_block(9)[6:])
    assert np.array_equal(read(make.png(colour, 2, nonsense)).pixels, colour)


def test_a_photo_with_a_second_image_inside_is_one_photo(make):
    """Phones store a depth or gain map behind the photo (MPO); the photo is not a page of a document."""
    frames = [Image.fromarray(make.blocks()), Image.fromarray(make.blocks()[:16])]
    data = make.saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    image = read(data)
    assert (image.format, image.width) == ("jpeg", 80)


def test_a_known_photo_is_read_as_opencv_reads_it(shared_data):
    path = sorted((shared_data / "photos_kodak24").glob("*.png"))[0]
    expected = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert np.array_equal(read(path).pixels, expected)
    assert np.array_equal(read_rgb8(path), expected)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff", "bmp", "ppm"])
def test_only_our_own_limit_counts(make, monkeypatch, kind):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    content = make.saved(Image.fromarray(make.noise(100, 50, 3)), kind)
    assert read(content).width == read_rgb8(content).shape[1] == 50
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(ImageError, match="over the limit of 4,999"):
        read(content, max_pixels=4999)


def test_a_webp_states_its_size_before_it_is_opened(make):
    image = Image.fromarray(make.noise(33, 17, 3))
    for options in ({}, {"lossless": True}, {"exif": make.exif_block(1)}):
        assert webp_size(make.saved(image, "WEBP", **options)[:30]) == (17, 33)
    assert webp_size(b"RIFF") == (0, 0)
