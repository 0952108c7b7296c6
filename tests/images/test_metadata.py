"""What only some formats have a place for is kept where they have it, else named in one warning."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from gantools.errors import ImageError
from gantools.images.image import Image
from gantools.images.io import encoders
from gantools.images.io.reader import read, read_rgb8
from gantools.images.io.writer import encode, save
from tests.images import make

FORMATS = ("png", "jpeg", "webp", "tiff", "bmp", "ppm")
IIM = b"\x1c\x02\x00\x00\x02\x00\x04" + b"\x1c\x02\x78\x00\x0bK\xc3\xb6ln \xa9 2024" + b"\x1c\x02\x50\x00\x03Ada"


def encoded(image, kind, **options):
    """The encoded image, of which nothing is lost."""
    with make.warned() as warnings:
        content = encode(image, kind, **options)
    assert warnings == []
    return content


def chunks_of(content):
    """The chunks of a PNG, of which every checksum is right."""
    at, found = 8, []
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", content, at + 8 + length)[0] == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + length
    return found


def segments_of(content, wanted):
    """The contents of a JPEG's segments of one marker."""
    at, found = 2, []
    while content[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", content, at + 2)
        found += [content[at + 4 : at + 2 + length]] * (content[at + 1] == wanted)
        at += 2 + length
    return found


def png_with(*chunks):
    return make.png(make.noise(16, 24, 3), 2, b"".join(make.chunk(kind, body) for kind, body in chunks))


def jpeg_with(*segments):
    plain = make.saved(PillowImage.fromarray(make.blocks()), "JPEG", quality=95)
    made = b"".join(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content for marker, content in segments)
    return plain[:20] + made + plain[20:]


def tiff_with(tags, samples=None, **layout):
    stream = io.BytesIO()
    samples = make.blocks() if samples is None else samples
    tifffile.imwrite(stream, samples, photometric="rgb", metadata=None, extratags=tags, **layout)
    return stream.getvalue()


# Colour without a profile

GAMMA = (b"gAMA", struct.pack(">I", 100_000))
SRGB_GAMMA = (b"gAMA", struct.pack(">I", 45455))
WIDE = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
SRGB_PRIMARIES = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
COLOURS = {
    "gamma": [GAMMA],
    "gamma and primaries": [GAMMA, WIDE],
    "P3": [(b"cICP", bytes((12, 13, 0, 1)))],
    "PQ": [(b"cICP", bytes((9, 16, 0, 1))), (b"cLLI", struct.pack(">II", 10_000_000, 4_000_000))],
    "sRGB": [(b"sRGB", b"\0"), SRGB_GAMMA, SRGB_PRIMARIES],
    "as sRGB": [SRGB_GAMMA, SRGB_PRIMARIES],
    "sRGB by code": [(b"cICP", bytes((1, 13, 0, 1)))],
}


@pytest.mark.parametrize("banded", [False, True])
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (4, np.uint8), (3, np.uint16)])
@pytest.mark.parametrize("name", COLOURS)
def test_colour_chunks_stay_in_a_png_before_its_samples(monkeypatch, name, channels, dtype, banded):
    samples, colour_type = make.noise(16, 24, channels, dtype), {1: 0, 3: 2, 4: 6}[channels]
    extra = b"".join(make.chunk(kind, body) for kind, body in COLOURS[name])
    image = read(make.png(samples, colour_type, extra))
    np.testing.assert_array_equal(image.pixels, read(make.png(samples, colour_type)).pixels)
    if banded:
        monkeypatch.setattr(encoders, "BAND_BYTES", 100)
    chunks = chunks_of(encoded(image, "png"))
    before = chunks[: [kind for kind, _ in chunks].index(b"IDAT")]
    assert all(each in before for each in COLOURS[name])


def test_a_profile_says_what_the_chunks_say():
    image = read(png_with((b"iCCP", b"x\0\0" + zlib.compress(make.srgb_profile())), GAMMA))
    assert read(encoded(image, "jpeg")).metadata.icc == make.srgb_profile()
    kinds = [kind for kind, _ in chunks_of(encoded(image, "png"))]
    assert (kinds.count(b"iCCP"), kinds.count(b"gAMA")) == (1, 1)


# Texts, comments, press data

TEXTS = [
    (b"tEXt", b"Copyright\0\xa9 Ada"),
    (b"tEXt", b"prompt\0" + b'{"3": {"inputs": {}}}' * 50),
    (b"zTXt", b"parameters\0\0" + zlib.compress(b"steps: 20, " * 40)),
    (b"iTXt", b"Title\0\0\0de\0Titel\0" + "Köln, 写真".encode()),
    (b"iTXt", b"Author\0\1\0\0\0" + zlib.compress("Ünal".encode())),
    (b"tEXt", b"long\0" + b"x" * (3 << 20)),
    # what ImageMagick keeps beside EXIF and XMP
    (b"zTXt", b"Raw profile type generic\0\0" + zlib.compress(b"\ngeneric\n       3\n616263\n")),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_texts_stay_in_a_png(dtype):
    extra = b"".join(make.chunk(*each) for each in TEXTS)
    content = encoded(read(make.png(make.noise(16, 24, 3, dtype), 2, extra)), "png")
    assert [each for each in chunks_of(content) if each[0] in (b"tEXt", b"zTXt", b"iTXt")] == TEXTS


def photoshop(*resources):
    """An APP13 segment of resources (number, name, content)."""
    body = b""
    for number, name, content in resources:
        named = bytes([len(name)]) + name
        body += b"8BIM" + struct.pack(">H", number) + named + bytes(len(named) % 2)
        body += struct.pack(">I", len(content)) + content + bytes(len(content) % 2)
    return b"Photoshop 3.0\0" + body


PRESS = photoshop(
    (0x03ED, b"", bytes(16)), (0x040C, b"thumb", b"THUMBNAIL"), (0x0404, b"odd", IIM), (0x0425, b"", bytes(16))
)


def press_of(content, kind):
    """The press data of a file, taken out of it by other means than the reader's."""
    if kind == "jpeg":
        (found,) = segments_of(content, 0xED)
        return found[found.index(b"\x1c") :][: len(IIM)]
    if kind == "tiff":
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            return bytes(file.pages[0].tags[33723].value)
    with PillowImage.open(io.BytesIO(content)) as image:
        image.load()
        return bytes.fromhex("".join(image.text["Raw profile type iptc"].split("\n")[3:]))


@pytest.mark.parametrize("last", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("first", ["png", "jpeg", "tiff"])
def test_press_data_goes_from_format_to_format(first, last):
    once = encoded(read(jpeg_with((0xED, PRESS))), first)
    assert press_of(once, first) == press_of(encoded(read(once), last), last) == IIM
    assert b"THUMBNAIL" not in once


def test_press_data_may_lie_in_two_segments_and_in_photoshops_tag():
    split = PRESS[14:]
    pieces = (0xED, b"Photoshop 3.0\0" + split[:40]), (0xED, b"Photoshop 3.0\0" + split[40:])
    for data in (jpeg_with(*pieces), tiff_with([(34377, 1, len(split), split, True)])):
        assert press_of(encode(read(data), "jpeg"), "jpeg") == IIM


@pytest.mark.parametrize("damage", [b"8BIM\x04\x04\xff", b"8BIM\x04\x04\0\0\xff\xff\xff\xff", b"nothing", b"8BIM"])
def test_damaged_press_data_costs_only_itself(damage):
    assert read(encode(read(jpeg_with((0xED, b"Photoshop 3.0\0" + damage))), "jpeg")).width == 80


@pytest.mark.parametrize("comment", [b"made by hand", "Größe, 写真".encode(), "Größe".encode("latin-1")])
def test_comments_stay_in_a_jpeg_and_become_a_pngs_text(comment):
    image = read(jpeg_with((0xFE, comment), (0xFE, b"another")))
    as_png = encoded(image, "png")
    kinds = {b"tEXt": b"Comment\0", b"iTXt": b"Comment\0\0\0\0\0"}
    texts = [body.removeprefix(kinds[kind]) for kind, body in chunks_of(as_png) if kind in kinds]
    assert texts == [comment, b"another"]
    for content in (encoded(image, "jpeg"), encoded(read(as_png), "jpeg")):
        assert segments_of(content, 0xFE) == [comment, b"another"]


# Maps


def placed(order="<", point=False, matrix=False, **layout):
    """A GeoTIFF of 20×10 px, placed by a scale or by a matrix; ``point``: whole numbers are the middles of pixels."""
    keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 2 if point else 1, 2048, 0, 1, 4326)
    scale = [(33550, "d", 3, (0.5, 0.25, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 7.0, 51.0, 0.0), True)]
    turned = [(34264, "d", 16, (0.5, 0, 0, 7.0, 0, -0.25, 0, 51.0, 0, 0, 0, 0, 0, 0, 0, 1.0), True)]
    rest = [(34735, "H", len(keys), keys, True), (34737, "s", 0, "WGS 84|", True), (42113, "s", 0, "-9999", True)]
    return tiff_with([*(turned if matrix else scale), *rest], make.noise(10, 20, 3), byteorder=order, **layout)


def geo_of(content):
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags.values() if tag.code > 33000}


def where(tags, column, row):
    """The place on the map of a place in the raster, by GeoTIFF's definition."""
    if 34264 in tags:
        return tuple((np.array(tags[34264]).reshape(4, 4) @ (column, row, 0, 1))[:2])
    scale, tie = tags[33550], tags[33922]
    return tie[3] + (column - tie[0]) * scale[0], tie[4] - (row - tie[1]) * scale[1]


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("point", [False, True])
@pytest.mark.parametrize("matrix", [False, True])
def test_a_map_keeps_its_place_also_enlarged(matrix, point, order, big):
    data = placed(order, point, matrix, bigtiff=big)
    image, before = read(data), geo_of(data)
    assert geo_of(encoded(image, "tiff")) == before
    after = geo_of(encoded(Image(image.pixels.repeat(4, 0).repeat(4, 1), metadata=image.metadata), "tiff"))
    half = 0.5 if point else 0.0
    for column, row in ((0, 0), (20, 10), (3, 7)):
        expected = where(before, column - half, row - half)
        assert where(after, 4 * column - half, 4 * row - half) == pytest.approx(expected)
    assert after[34735] == before[34735]


# What is lost

EXIF_AND_ICC = make.saved(
    PillowImage.fromarray(make.blocks()), "JPEG", icc_profile=make.srgb_profile(), exif=make.exif_block(1, artist="A")
)
LOST = [
    *((png_with(*COLOURS[name]), FORMATS[1:], "colour (", COLOURS[name][0][0].decode()) for name in [*COLOURS][:4]),
    *((png_with(*COLOURS[name]), (), "", "") for name in [*COLOURS][4:]),
    (png_with(*TEXTS[:5]), FORMATS[1:], *(f"text '{each[1].split(bytes(1))[0].decode()}'" for each in TEXTS[:5])),
    (jpeg_with((0xED, PRESS)), ("webp", "bmp", "ppm"), "IPTC"),
    (jpeg_with((0xFE, b"secret")), ("webp", "tiff", "bmp", "ppm"), "comment"),
    (placed(), ("png", "jpeg", "webp", "bmp", "ppm"), "GeoTIFF"),
    (EXIF_AND_ICC, ("bmp", "ppm"), "EXIF, ICC; left out"),
]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("case", range(len(LOST)))
def test_what_a_format_has_no_place_for_is_named_once_and_all_can_be_stripped(tmp_path, case, kind):
    data, lost_in, *words = LOST[case]
    image = read(data)
    with make.warned() as warnings:
        save(image, tmp_path / f"out.{kind}", format=kind)
    if kind in lost_in:
        (warning,) = warnings
        assert f"out.{kind}': a {kind.upper()} has no place for " in warning
        assert all(word in warning for word in words)
    else:
        assert warnings == []
    stripped = encoded(image, kind, metadata="strip")
    assert not any(secret in stripped for secret in (IIM, b"secret", b"WGS 84", b"prompt"))
    assert kind != "png" or {name for name, _ in chunks_of(stripped)} == {b"IHDR", b"IDAT", b"IEND"}


# PNGs with what decoders do not like

LARGE = b"x" * (3 << 20)


def broken(kind, content):
    """A chunk whose checksum is wrong."""
    return make.chunk(kind, content)[:-4] + b"\0\0\0\0"


def noise(seed, size):
    return np.random.default_rng(seed).bytes(size)


def profile():
    return b"x\0\0" + zlib.compress(b"\0" * 16 + b"RGB " + noise(0, 2 << 20))


DISLIKED = {
    "long text": lambda: make.chunk(b"tEXt", b"prompt\0" + LARGE),
    "long packed text": lambda: make.chunk(b"zTXt", b"prompt\0\0" + zlib.compress(noise(1, 2 << 20).hex().encode())),
    "long international text": lambda: make.chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(LARGE)),
    "text that unpacks to too much": lambda: make.chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(100 << 20), 9)),
    "many texts": lambda: make.chunk(b"tEXt", b"prompt\0" + LARGE[: 1 << 20]) * 70,
    "large profile": lambda: make.chunk(b"iCCP", profile()),
    "text checksum": lambda: broken(b"tEXt", b"Title\0text"),
    "profile checksum": lambda: broken(b"iCCP", profile()),
    "profile that is none": lambda: make.chunk(b"iCCP", b"x\0\0not deflated"),
    "resolution checksum": lambda: broken(b"pHYs", struct.pack(">IIB", 1, 1, 1)),
    "time checksum": lambda: broken(b"tIME", bytes(7)),
    "exif checksum": lambda: broken(b"eXIf", b"II*\0\x08\0\0\0\0\0"),
    "private chunk": lambda: broken(b"prVt", b"anything"),
    "text without a name": lambda: make.chunk(b"tEXt", b""),
    "packed text that is none": lambda: make.chunk(b"zTXt", b"Title\0\0no"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", DISLIKED)
def test_a_chunk_that_nobody_needs_costs_no_image(case):
    extra = DISLIKED[case]()
    for dtype in (np.uint8, np.uint16):
        samples = make.noise(16, 24, 3, dtype)
        plain = make.png(samples, 2)
        for data in (make.png(samples, 2, extra), plain[:-12] + extra + plain[-12:]):
            for allowed in (False, True):
                image = read(data, allow_truncated=allowed)
                np.testing.assert_array_equal(image.pixels, samples)
            np.testing.assert_array_equal(read_rgb8(data), read_rgb8(plain))
            np.testing.assert_array_equal(read(encode(image, "png")).pixels, samples)


def test_what_is_left_out_is_named():
    data = make.png(make.noise(4, 6, 3), 2, broken(b"tEXt", b"Title\0text") + broken(b"pHYs", bytes(9)))
    with make.warned() as warnings:
        read(data, name="x.png")
    assert warnings == ["'x.png': damaged and left out: tEXt, pHYs"]


def test_damage_that_changes_the_image_is_refused():
    """Of the header, of the transparent colour."""
    gray = make.noise(4, 6, 1)
    plain = make.png(gray, 0)
    for data in (make.png(gray, 0, broken(b"tRNS", struct.pack(">H", 3))), plain[:29] + bytes(4) + plain[33:]):
        with pytest.raises(ImageError, match="damaged or truncated"):
            read(data)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_whose_checksum_is_wrong_are_refused(dtype):
    """Pillow does not look at it, and not every changed bit disturbs the decompression."""
    samples = (np.arange(40)[:, None, None] * 3 + np.arange(56)[:, None] * 2 + [0, 30, 60]).clip(0, 255).astype(dtype)
    data = make.png(samples, 2)
    start = data.index(b"IDAT") + 4
    for at in range(start, len(data) - 12):
        with pytest.raises(ImageError, match=r"^'x\.png': damaged or truncated"):
            read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], name="x.png")
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_rgb8(data[:start] + bytes([data[start] ^ 255]) + data[start + 1 :])
