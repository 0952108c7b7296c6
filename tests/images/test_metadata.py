"""What only some formats have a place for: kept where they have it, else named in one warning."""

from __future__ import annotations

import io
import struct
import warnings
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

IIM = b"\x1c\x02\x00\x00\x02\x00\x04" + b"\x1c\x02\x78\x00\x0bK\xc3\xb6ln \xa9 2024" + b"\x1c\x02\x50\x00\x03Ada"
EVERY = ("png", "jpeg", "webp", "tiff", "bmp", "ppm")


def said(action):
    """What an action returns, and what it warned of."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        made = action()
    return made, [str(each.message) for each in heard]


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


def segments_of(content):
    """The segments of a JPEG before its samples."""
    at, found = 2, []
    while content[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", content, at + 2)
        found.append((content[at + 1], content[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


# Colour without a profile.

GAMMA = struct.pack(">I", 100_000)
WIDE = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
COLOURS = {
    "gamma": [(b"gAMA", GAMMA)],
    "gamma and primaries": [(b"gAMA", GAMMA), (b"cHRM", WIDE)],
    "P3": [(b"cICP", bytes((12, 13, 0, 1)))],
    "PQ": [(b"cICP", bytes((9, 16, 0, 1))), (b"cLLI", struct.pack(">II", 10_000_000, 4_000_000))],
    "sRGB": [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45455)), (b"cHRM", SRGB_PRIMARIES)],
    "as sRGB": [(b"gAMA", struct.pack(">I", 45455)), (b"cHRM", SRGB_PRIMARIES)],
    "sRGB by code": [(b"cICP", bytes((1, 13, 0, 1)))],
}


def coloured(make, name, dtype=np.uint8, channels=3):
    extra = b"".join(make.chunk(kind, body) for kind, body in COLOURS[name])
    return make.png(make.noise(16, 24, channels, dtype), {1: 0, 3: 2, 4: 6}[channels], extra)


@pytest.mark.parametrize("banded", [False, True])
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (4, np.uint8), (3, np.uint16)])
@pytest.mark.parametrize("name", COLOURS)
def test_colour_chunks_stay_in_a_png(make, monkeypatch, name, channels, dtype, banded):
    data = coloured(make, name, dtype, channels)
    image = read(data)
    plain = make.png(make.noise(16, 24, channels, dtype), {1: 0, 3: 2, 4: 6}[channels])
    np.testing.assert_array_equal(image.pixels, read(plain).pixels)
    if banded:
        monkeypatch.setattr(encoders, "BAND_BYTES", 100)
    content, heard = said(lambda: encode(image, "png"))
    chunks = chunks_of(content)
    assert heard == []
    for each in COLOURS[name]:
        assert each in chunks
        assert [kind for kind, _ in chunks].index(each[0]) < [kind for kind, _ in chunks].index(b"IDAT")


@pytest.mark.parametrize("kind", ["jpeg", "webp", "tiff", "bmp", "ppm"])
@pytest.mark.parametrize("name", COLOURS)
def test_other_formats_say_that_colours_change(make, tmp_path, name, kind):
    image = read(coloured(make, name))
    _, heard = said(lambda: save(image, tmp_path / f"out.{kind}", format=kind))
    if "sRGB" in name:
        assert heard == []
        return
    assert len(heard) == 1
    assert f"out.{kind}': a {kind.upper()} has no place for colour (" in heard[0]
    assert COLOURS[name][0][0].decode() in heard[0]


def test_a_profile_says_what_the_chunks_say(make, srgb_profile):
    profile = make.chunk(b"iCCP", b"x\0\0" + zlib.compress(srgb_profile))
    data = make.png(make.noise(4, 6, 3), 2, profile + make.chunk(b"gAMA", GAMMA))
    content, heard = said(lambda: encode(read(data), "jpeg"))
    assert heard == []
    assert read(content).metadata.icc == srgb_profile
    kinds = [kind for kind, _ in chunks_of(encode(read(data), "png"))]
    assert (kinds.count(b"iCCP"), kinds.count(b"gAMA")) == (1, 1)


# Texts, comments, press data.


def texts(make):
    """Text chunks of every kind that PNG knows."""
    return [
        (b"tEXt", b"Copyright\0\xa9 Ada"),
        (b"tEXt", b"prompt\0" + b'{"3": {"inputs": {}}}' * 50),
        (b"zTXt", b"parameters\0\0" + zlib.compress(b"steps: 20, " * 40)),
        (b"iTXt", b"Title\0\0\0de\0Titel\0" + "Köln, 写真".encode()),
        (b"iTXt", b"Author\0\1\0\0\0" + zlib.compress("Ünal".encode())),
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_texts_stay_in_a_png(make, dtype):
    wanted = texts(make)
    data = make.png(make.noise(16, 24, 3, dtype), 2, b"".join(make.chunk(*each) for each in wanted))
    content, heard = said(lambda: encode(read(data), "png"))
    assert heard == []
    assert [each for each in chunks_of(content) if each[0] in (b"tEXt", b"zTXt", b"iTXt")] == wanted


@pytest.mark.parametrize("kind", ["jpeg", "webp", "tiff", "bmp", "ppm"])
def test_png_texts_are_missed_once_elsewhere(make, kind):
    data = make.png(make.noise(16, 24, 3), 2, b"".join(make.chunk(*each) for each in texts(make)))
    image = read(data)
    _, heard = said(lambda: encode(image, kind))
    assert len(heard) == 1
    for name in ("Copyright", "prompt", "parameters", "Title", "Author"):
        assert f"text '{name}'" in heard[0]
    _, heard = said(lambda: encode(image, kind, metadata="strip"))
    assert heard == []


def jpeg_with(make, *segments):
    plain = make.saved(PillowImage.fromarray(make.blocks()), "JPEG", quality=95)
    made = b"".join(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content for marker, content in segments)
    return plain[:20] + made + plain[20:]


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
        found = [body for marker, body in segments_of(content) if marker == 0xED]
        return found[0][found[0].index(b"\x1c") :][: len(IIM)] if found else None
    if kind == "tiff":
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            return bytes(file.pages[0].tags[33723].value)
    with PillowImage.open(io.BytesIO(content)) as image:
        image.load()
        return bytes.fromhex("".join(image.text["Raw profile type iptc"].split("\n")[3:]))


@pytest.mark.parametrize("last", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("first", ["png", "jpeg", "tiff"])
def test_press_data_goes_from_format_to_format(make, first, last):
    image = read(jpeg_with(make, (0xED, PRESS)))
    once, heard = said(lambda: encode(image, first))
    twice, again = said(lambda: encode(read(once), last))
    assert heard + again == []
    assert press_of(once, first) == IIM
    assert press_of(twice, last) == IIM
    assert b"THUMBNAIL" not in once


def test_press_data_may_lie_in_two_segments_and_in_photoshops_tag(make):
    split = PRESS[14:]
    pieces = (0xED, b"Photoshop 3.0\0" + split[:40]), (0xED, b"Photoshop 3.0\0" + split[40:])
    assert press_of(encode(read(jpeg_with(make, *pieces)), "jpeg"), "jpeg") == IIM
    stream = io.BytesIO()
    given = [(34377, 1, len(split), split, True)]
    tifffile.imwrite(stream, make.blocks(), photometric="rgb", metadata=None, extratags=given)
    assert press_of(encode(read(stream.getvalue()), "jpeg"), "jpeg") == IIM


@pytest.mark.parametrize("kind", ["webp", "bmp", "ppm"])
def test_press_data_is_missed_once_elsewhere(make, kind):
    _, heard = said(lambda: encode(read(jpeg_with(make, (0xED, PRESS))), kind))
    assert len(heard) == 1
    assert "IPTC" in heard[0]


@pytest.mark.parametrize("damage", [b"8BIM\x04\x04\xff", b"8BIM\x04\x04\0\0\xff\xff\xff\xff", b"nothing", b"8BIM"])
def test_damaged_resources_cost_only_themselves(make, damage):
    image = read(jpeg_with(make, (0xED, b"Photoshop 3.0\0" + damage)))
    assert image.width == 80
    assert encode(image, "jpeg")


COMMENTS = (b"made by hand", "Größe, 写真".encode(), "Größe".encode("latin-1"))


@pytest.mark.parametrize("comment", COMMENTS)
def test_comments_stay_in_a_jpeg_and_become_a_pngs_text(make, comment):
    image = read(jpeg_with(make, (0xFE, comment), (0xFE, b"another")))
    content, heard = said(lambda: encode(image, "jpeg"))
    assert heard == []
    assert [body for marker, body in segments_of(content) if marker == 0xFE] == [comment, b"another"]
    as_png = encode(image, "png")
    kinds = {b"tEXt": b"Comment\0", b"iTXt": b"Comment\0\0\0\0\0"}
    assert [body.removeprefix(kinds[kind]) for kind, body in chunks_of(as_png) if kind in kinds] == [
        comment,
        b"another",
    ]
    back = encode(read(as_png), "jpeg")
    assert [body for marker, body in segments_of(back) if marker == 0xFE] == [comment, b"another"]
    for kind in ("webp", "tiff"):
        _, heard = said(lambda kind=kind: encode(image, kind))
        assert len(heard) == 1
        assert "comment" in heard[0]


def test_everything_is_stripped(make):
    image = read(jpeg_with(make, (0xED, PRESS), (0xFE, b"secret")))
    for kind in EVERY:
        content, heard = said(lambda kind=kind: encode(image, kind, metadata="strip"))
        assert heard == []
        assert IIM not in content
        assert b"secret" not in content
    assert {kind for kind, _ in chunks_of(encode(image, "png", metadata="strip"))} == {b"IHDR", b"IDAT", b"IEND"}
    imaged = read(coloured(make, "P3"))
    assert b"cICP" not in encode(imaged, "png", metadata="strip")


@pytest.mark.parametrize("kind", ["bmp", "ppm"])
def test_formats_without_metadata_say_what_they_lose(make, srgb_profile, kind):
    data = make.saved(
        PillowImage.fromarray(make.blocks()), "JPEG", icc_profile=srgb_profile, exif=make.exif_block(1, artist="A")
    )
    _, heard = said(lambda: encode(read(data), kind))
    assert len(heard) == 1
    assert f"a {kind.upper()} has no place for EXIF, ICC; left out" in heard[0]


# Maps.


def placed(make, order="<", point=False, **layout):
    keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 2 if point else 1, 2048, 0, 1, 4326)
    given = [
        (33550, "d", 3, (0.5, 0.25, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 7.0, 51.0, 0.0), True),
        (34735, "H", len(keys), keys, True),
        (34737, "s", 0, "WGS 84|", True),
        (42113, "s", 0, "-9999", True),
    ]
    if layout.pop("matrix", False):
        given[:2] = [(34264, "d", 16, (0.5, 0, 0, 7.0, 0, -0.25, 0, 51.0, 0, 0, 0, 0, 0, 0, 0, 1.0), True)]
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, make.noise(10, 20, 3), photometric="rgb", metadata=None, byteorder=order, extratags=given, **layout
    )
    return stream.getvalue()


def geo_of(content):
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags.values() if tag.code > 33000}


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("matrix", [False, True])
def test_a_map_keeps_its_place(make, matrix, order, big):
    if big and order == ">":
        return
    data = placed(make, order, matrix=matrix, bigtiff=big)
    content, heard = said(lambda: encode(read(data), "tiff"))
    assert heard == []
    assert geo_of(content) == geo_of(data)


def where(tags, column, row):
    """The place on the map of a place in the raster, by GeoTIFF's definition."""
    if 34264 in tags:
        matrix = np.array(tags[34264]).reshape(4, 4)
        return tuple((matrix @ (column, row, 0, 1))[:2])
    scale, tie = tags[33550], tags[33922]
    return tie[3] + (column - tie[0]) * scale[0], tie[4] - (row - tie[1]) * scale[1]


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("point", [False, True])
def test_an_enlarged_map_lies_where_it_lay(make, point, matrix):
    data = placed(make, point=point, matrix=matrix)
    image = read(data)
    large = Image(np.repeat(np.repeat(image.pixels, 4, 0), 4, 1), metadata=image.metadata)
    before, after = geo_of(data), geo_of(encode(large, "tiff"))
    half = 0.5 if point else 0.0  # whole numbers are the middles of pixels
    for column, row in ((0, 0), (20, 10), (3, 7)):
        expected = where(before, column - half, row - half)
        assert where(after, 4 * column - half, 4 * row - half) == pytest.approx(expected)
    assert after[34735] == before[34735]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp"])
def test_a_map_is_missed_once_elsewhere(make, kind):
    _, heard = said(lambda: encode(read(placed(make)), kind))
    assert len(heard) == 1
    assert "GeoTIFF" in heard[0]


# PNGs with what decoders do not like.


def broken(make, kind, content):
    """A chunk whose checksum is wrong."""
    return make.chunk(kind, content)[:-4] + b"\0\0\0\0"


LARGE = b"x" * (3 << 20)


def disliked(make):
    profile = zlib.compress(b"\0" * 16 + b"RGB " + np.random.default_rng(0).bytes(2 << 20))
    noise = np.random.default_rng(1).bytes(2 << 20)
    return {
        "long text": make.chunk(b"tEXt", b"prompt\0" + LARGE),
        "long packed text": make.chunk(b"zTXt", b"prompt\0\0" + zlib.compress(noise.hex().encode())),
        "long international text": make.chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(LARGE)),
        "text that unpacks to too much": make.chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(100 << 20), 9)),
        "many texts": make.chunk(b"tEXt", b"prompt\0" + LARGE[: 1 << 20]) * 70,
        "large profile": make.chunk(b"iCCP", b"x\0\0" + profile),
        "text checksum": broken(make, b"tEXt", b"Title\0text"),
        "profile checksum": broken(make, b"iCCP", b"x\0\0" + profile),
        "profile that is none": make.chunk(b"iCCP", b"x\0\0not deflated"),
        "resolution checksum": broken(make, b"pHYs", struct.pack(">IIB", 1, 1, 1)),
        "time checksum": broken(make, b"tIME", bytes(7)),
        "exif checksum": broken(make, b"eXIf", b"II*\0\x08\0\0\0\0\0"),
        "private chunk": broken(make, b"prVt", b"anything"),
        "text without a name": make.chunk(b"tEXt", b""),
        "packed text that is none": make.chunk(b"zTXt", b"Title\0\0no"),
    }


DISLIKED = (
    "long text", "long packed text", "long international text", "text that unpacks to too much", "many texts",
    "large profile", "text checksum", "profile checksum", "profile that is none", "resolution checksum",
    "time checksum", "exif checksum", "private chunk", "text without a name", "packed text that is none",
)  # fmt: skip


@pytest.fixture(scope="module")
def bad_chunks(make):
    found = disliked(make)
    assert set(found) == set(DISLIKED)
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("case", DISLIKED)
def test_a_chunk_that_nobody_needs_costs_no_image(make, bad_chunks, case, dtype):
    samples = make.noise(16, 24, 3, dtype)
    plain = make.png(samples, 2)
    for data in (make.png(samples, 2, bad_chunks[case]), plain[:-12] + bad_chunks[case] + plain[-12:]):
        for allowed in (False, True):
            image = read(data, allow_truncated=allowed)
            np.testing.assert_array_equal(image.pixels, samples)
        np.testing.assert_array_equal(read_rgb8(data), read_rgb8(plain))
        np.testing.assert_array_equal(read(encode(image, "png")).pixels, samples)


def test_what_is_left_out_is_named(make):
    data = make.png(make.noise(4, 6, 3), 2, broken(make, b"tEXt", b"Title\0text") + broken(make, b"pHYs", bytes(9)))
    _, heard = said(lambda: read(data, name="x.png"))
    assert heard == ["'x.png': damaged and left out: tEXt, pHYs"]


def test_what_imagemagick_keeps_beside_exif_and_xmp_stays(make):
    text = (b"zTXt", b"Raw profile type generic\0\0" + zlib.compress(b"\ngeneric\n       3\n616263\n"))
    data = make.png(make.noise(4, 6, 3), 2, make.chunk(*text))
    assert text in chunks_of(encode(read(data), "png"))


def test_a_long_text_is_kept(make):
    data = make.png(make.noise(4, 6, 3), 2, make.chunk(b"tEXt", b"prompt\0" + LARGE))
    assert (b"tEXt", b"prompt\0" + LARGE) in chunks_of(encode(read(data), "png"))


def test_what_is_needed_is_not_left_out(make):
    """Header and transparent colour change the image, so their damage is damage."""
    gray = make.noise(4, 6, 1)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read(make.png(gray, 0, broken(make, b"tRNS", struct.pack(">H", 3))))
    plain = make.png(gray, 0)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read(plain[:29] + bytes(4) + plain[33:])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_whose_checksum_is_wrong_are_refused(make, dtype):
    """Pillow does not look at it, and not every changed bit disturbs the decompression."""
    samples = (np.arange(40)[:, None, None] * 3 + np.arange(56)[:, None] * 2 + [0, 30, 60]).clip(0, 255).astype(dtype)
    data = make.png(samples, 2)
    start = data.index(b"IDAT") + 4
    for at in range(start, len(data) - 12):
        with pytest.raises(ImageError, match=r"^'x\.png': damaged or truncated"):
            read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], name="x.png")
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_rgb8(data[:start] + bytes([data[start] ^ 255]) + data[start + 1 :])
