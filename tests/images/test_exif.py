"""EXIF is kept byte for byte from format to format, except orientation, size and thumbnail."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image as PillowImage

from gantools.images.image import Image
from gantools.images.io import exif, tiff
from gantools.images.io.reader import probe, read, read_rgb8
from gantools.images.io.writer import encode
from tests.images import make

EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
FORMATS = ("png", "jpeg", "webp", "tiff")
NOTE = b"Maker\0\xff\x00\x80" * 5
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 129: 1}


def tags(order):
    """Texts in every encoding that cameras write, and types that few readers know. Tag → (type, content)."""
    first = {
        0x010E: (2, "Straße nach Köln — café\0".encode()),
        0x010F: (2, "caméra\0".encode("latin-1")),
        0x013B: (2, "山田太郎\0".encode("shift-jis")),
        0x8298: (2, "© 2024 Ünal\0\u00c5ngström\0".encode()),
        0x9C9B: (1, "Größe\0".encode("utf-16-le")),
    }
    inner = {
        0x9003: (2, b"2020:01:02 03:04:05\0"),
        0x9286: (7, b"UNICODE\0" + "é 写真 ©".encode("utf-16-le")),
        0x927C: (7, NOTE),
        0xA430: (129, "José Núñez\0".encode()),
        0xA434: (129, b"abc\0"),
        0xA432: (5, struct.pack(order + "4I", 24, 1, 70, 1)),
    }
    place = {
        0x0001: (2, b"N\0"),
        0x001B: (7, "ASCII\0\0\0näh".encode()),
        0x0002: (5, struct.pack(order + "6I", *[7, 1] * 3)),
    }
    return first, inner, place


def entries(contents):
    return {tag: tiff.Entry(kind, len(content) // SIZES[kind], content) for tag, (kind, content) in contents.items()}


def block(order, orientation=6):
    """An EXIF block with all of it, the image's size and an orientation."""
    first, inner, place = tags(order)
    sides = {0xA002: tiff.entry(tiff.SHORT, order, 9999), 0xA003: tiff.entry(tiff.LONG, order, 8888)}
    below = {**entries(inner), **sides, INTEROPERABILITY: entries({1: (2, b"R03\0")})}
    turn = {0x0112: tiff.entry(tiff.SHORT, order, orientation)}
    return exif.block_of({**entries(first), **turn, EXIF: below, GPS: entries(place)}, order)


def holding(form, exif_block):
    """A file of a format with this block, written without the code under test."""
    if form == "png":
        return make.png(make.blocks(), 2, make.chunk(b"eXIf", exif_block[6:]))
    lossless = {"lossless": True} if form == "webp" else {}
    return make.saved(PillowImage.fromarray(make.blocks()), form, exif=exif_block, **lossless)


def found_in(content, kind):
    """The TIFF structure that holds the EXIF of a file: its bytes, its header and its first directory."""
    if kind != "tiff":
        image = PillowImage.open(io.BytesIO(content))
        image.load()
        content = image.info["exif"].removeprefix(b"Exif\0\0")
    header = tiff.header_of(content)
    return content, header, tiff.directory_at(content, header, header.first)[0]


def below(held, header, directory, tag):
    (place,) = tiff.numbers(directory, tag, header.order)
    return tiff.directory_at(held, header, place)[0]


def assert_kept(content, kind, order, sides=(80, 48)):
    held, header, directory = found_in(content, kind)
    assert header.order == order
    inner, place = (below(held, header, directory, tag) for tag in (EXIF, GPS))
    for wanted, found in zip(tags(order), (directory, inner, place), strict=True):
        assert {tag: (found[tag].kind, found[tag].content) for tag in wanted} == wanted
    assert below(held, header, inner, INTEROPERABILITY)[1].content == b"R03\0"
    assert (*tiff.numbers(inner, 0xA002, order), *tiff.numbers(inner, 0xA003, order)) == sides
    assert tiff.numbers(directory, 0x0112, order) == (1,)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("last", FORMATS)
@pytest.mark.parametrize("first", ["png", "jpeg", "webp"])
def test_every_byte_is_kept(first, last, order):
    image = read(holding(first, block(order, 1)))
    once = encode(image, last)
    assert_kept(once, last, order)
    assert_kept(encode(read(once), first), first, order)
    assert_kept(encode(read(once), "tiff"), "tiff", order)


@pytest.mark.parametrize("last", FORMATS)
def test_orientation_and_size_become_those_of_the_result(last):
    image = read(holding("jpeg", block(">", 6)))
    assert (image.width, image.height) == (48, 80)
    content = encode(Image(image.pixels.repeat(2, 0).repeat(2, 1), metadata=image.metadata), last)
    assert_kept(content, last, ">", (96, 160))
    assert read(content).pixels.shape == (160, 96, 3)


def test_a_side_that_needs_more_bits_gets_them():
    wide = Image(np.zeros((1, 70_000, 3), np.uint8), metadata=read(holding("png", block("<", 1))).metadata)
    held, header, directory = found_in(encode(wide, "png"), "png")
    assert tiff.numbers(below(held, header, directory, EXIF), 0xA002, "<") == (70_000,)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("trailing", [b"", b"more that is pointed to"])
def test_a_makers_note_stays_in_its_place_and_the_thumbnail_goes(order, trailing):
    thumbnail = make.saved(PillowImage.new("RGB", (8, 8), (255, 0, 0)), "JPEG")
    whole = block(order)
    content = bytearray(whole[6:])
    (count,) = struct.unpack_from(order + "H", content, 8)
    second = len(content) + len(content) % 2
    content = content.ljust(second, b"\0")
    struct.pack_into(order + "I", content, 10 + 12 * count, second)
    own = {0x0201: tiff.entry(tiff.LONG, order, second + 30), 0x0202: tiff.entry(tiff.LONG, order, len(thumbnail))}
    content += tiff.written(own, order, second) + thumbnail + trailing
    kept = read(holding("jpeg", b"Exif\0\0" + bytes(content))).metadata.exif
    assert kept.index(NOTE) == whole.index(NOTE)
    assert thumbnail[:40] not in kept
    assert kept.endswith(trailing)
    assert not tiff.directory_at(kept[6:], tiff.header_of(kept[6:]), 8)[1]


def test_exif_in_imagemagicks_text_is_exif():
    raw = block("<", 6)
    digits = raw.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = make.chunk(b"tEXt", b"Raw profile type exif\0" + f"\nexif\n{len(raw):8d}\n{lines}\n".encode())
    data = make.png(make.blocks(), 2, text)
    assert (probe(data).width, read(data).width, read_rgb8(data).shape[1]) == (48, 48, 48)
    content = encode(read(data), "png")
    assert_kept(content, "png", "<", (48, 80))
    assert b"Raw profile" not in content


ADA = {0x010F: tiff.Entry(2, 4, b"Ada\0")}


def test_the_resolution_of_a_jpeg_without_jfif_is_that_of_its_exif():
    resolution = {tag: tiff.entry(tiff.RATIONAL, ">", 3000, 10) for tag in (0x011A, 0x011B)}
    described = exif.block_of({**resolution, 0x0128: tiff.entry(tiff.SHORT, ">", 2), **ADA}, ">")
    for exif_block, dpi in ((described, (300, 300)), (block("<", 1), None)):
        data = holding("jpeg", exif_block)
        jfif = data.index(b"\xff\xe0")
        assert read(data[:jfif] + data[jfif + 18 :]).metadata.dpi == dpi


DAMAGED = {
    "no directory": b"Exif\0\0II*\0\xff\xff\0\0" + bytes(40),
    "table too long": b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(200)),
    "no TIFF": b"Exif\0\0nothing like it at all",
    "cut": block("<")[:40],
}
LOOP = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x010F, 2, 4, 0x616441) + b"\x08\0\0\0"
HARMLESS = {
    "value beyond the end": exif.block_of({**ADA, 0x0110: tiff.Entry(2, 9, b"long text")}, "<")[:-4],
    "unknown type": exif.block_of({**ADA, 0xEA1C: tiff.Entry(77, 4, b"abcd")}, "<"),
    "directory in a loop": LOOP,
    "sub-directory beyond the end": exif.block_of({**ADA, EXIF: tiff.entry(tiff.LONG, "<", 1 << 30)}, "<"),
}


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("case", [*DAMAGED, *HARMLESS])
def test_an_image_with_damaged_exif_is_read_and_warnings_name_it(form, case):
    data = holding(form, (DAMAGED | HARMLESS)[case])
    with make.warned() as warnings:
        image = read(data, name="camera.x")
        read_rgb8(data)
        probe(data, name="camera.x")
        contents = [encode(image, kind) for kind in FORMATS]
    assert image.pixels.shape == make.blocks().shape
    assert all("'camera.x'" in text for text in warnings)
    assert bool(warnings) == (image.metadata.exif is None) == (case in DAMAGED)
    assert [read(content).width for content in contents] == [80] * 4


def test_an_orientation_alone_is_no_metadata():
    only = exif.block_of({0x0112: tiff.entry(tiff.SHORT, "<", 6)}, "<")
    assert read(holding("jpeg", only)).metadata.exif is None
