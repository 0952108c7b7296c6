"""XMP is kept as it is, except what it says of a video, gain map or other data behind the image."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import pytest
import tifffile
from PIL import Image

from gantools.images.io.reader import read
from gantools.images.io.writer import encode
from tests.images import make

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
WRAPPED = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 5.1.0-jc003">
  <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
      xmp:Rating="5" {attributes}>
      <dc:title><rdf:Alt><rdf:li xml:lang="x-default">Köln &amp; 写真</rdf:li></rdf:Alt></dc:title>
      {elements}
    </rdf:Description>
  </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

CAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
CONTAINER = (
    'xmlns:{c}="http://ns.google.com/photos/1.0/container/" xmlns:{i}="http://ns.google.com/photos/1.0/container/item/"'
)
DIRECTORY = """<{c}:Directory><rdf:Seq>
  <rdf:li rdf:parseType="Resource"><{c}:Item {i}:Mime="image/jpeg" {i}:Semantic="Primary" {i}:Length="0"/></rdf:li>
  <rdf:li rdf:parseType="Resource"><{c}:Item {i}:Mime="video/mp4" {i}:Length="4712"/></rdf:li>
</rdf:Seq></{c}:Directory>"""

GONE = {
    "motion photo": (f'{CAMERA} GCamera:MotionPhoto="1" GCamera:MotionPhotoPresentationTimestampUs="6"', ""),
    "motion photo as elements": (CAMERA, "<GCamera:MotionPhoto>1</GCamera:MotionPhoto>"),
    "micro video": (f'{CAMERA} GCamera:MicroVideo="1" GCamera:MicroVideoOffset="4712"', ""),
    "another maker's": ('xmlns:Op="http://ns.oplus.com/photos/1.0/camera/" Op:MotionPhotoOwner="oplus"', ""),
    "container": (CONTAINER.format(c="Container", i="Item"), DIRECTORY.format(c="Container", i="Item")),
    "container by another name": (CONTAINER.format(c="GCont", i="GItem"), DIRECTORY.format(c="GCont", i="GItem")),
    "gain map": (
        'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMax="3.2"',
        "<hdrgm:Gamma><rdf:Seq><rdf:li>1.0</rdf:li></rdf:Seq></hdrgm:Gamma>",
    ),
    "apple's gain map": ('xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:Version="65536"', ""),
    "extended": ('xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="0123456789ABCDEF"', ""),
    "depth": ('xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Mime="image/png"', ""),
}
TRACE = re.compile(rb"MotionPhoto|MicroVideo|Container|Directory|hdrgm|hdr-gain-map|HDRGainMap|Extended|GDepth|4712")


def packet(attributes, elements=""):
    return WRAPPED.format(attributes=attributes, elements=elements).encode()


def file_with(form, content):
    if form == "TIFF":
        stream = io.BytesIO()
        tags = [(700, "B", len(content), content, True)]
        tifffile.imwrite(stream, make.blocks(), photometric="rgb", metadata=None, extratags=tags)
        return stream.getvalue()
    if form == "PNG":
        return make.png(make.blocks(), 2, make.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + content))
    return make.saved(Image.fromarray(make.blocks()), form, xmp=content)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("name", GONE)
def test_xmp_of_data_behind_the_image_is_removed_with_one_warning(name, form):
    with make.warned() as warnings:
        image = read(file_with(form, packet(*GONE[name])), name="phone.x")
    (warning,) = warnings
    assert warning.startswith("'phone.x': a video, gain map or other data behind the image")
    with make.warned() as warnings:
        found = [read(encode(image, kind)).metadata.xmp for kind in ("jpeg", "png", "webp", "tiff")]
    assert warnings == []
    assert len(set(found)) == 1
    assert TRACE.search(found[0]) is None
    assert "Köln &amp; 写真".encode() in found[0]
    (described,) = ElementTree.fromstring(found[0].strip()).iter(f"{{{RDF}}}Description")
    assert described.get("{http://ns.adobe.com/xap/1.0/}Rating") == "5"
    assert found[0].startswith(b"<?xpacket begin=")
    assert found[0].rstrip().endswith(b'<?xpacket end="w"?>')


def test_all_of_it_at_once_is_one_warning_and_other_words_of_the_camera_stay():
    attributes = [GONE[name][0] for name in ("motion photo", "gain map", "extended", "container")]
    elements = GONE["container"][1] + GONE["gain map"][1]
    content = packet(" ".join([*attributes, 'GCamera:BurstID="7"']), elements)
    with pytest.warns(UserWarning, match="behind the image") as warnings:
        kept = read(file_with("JPEG", content)).metadata.xmp
    assert len(warnings) == 1
    assert TRACE.search(kept) is None
    assert b'GCamera:BurstID="7"' in kept


@pytest.mark.filterwarnings("error")
def test_every_other_packet_is_kept_byte_by_byte():
    for extra in ("", f'{CAMERA} GCamera:BurstID="7"', 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'):
        content = packet(extra, "<!-- as it was -->")
        assert read(encode(read(file_with("JPEG", content)), "png")).metadata.xmp == content


@pytest.mark.parametrize("damage", [b"</x:xmpmeta>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>"])
def test_a_packet_that_cannot_be_cleaned_is_left_out(damage):
    content = packet(*GONE["motion photo"]).replace(b"<x:xmpmeta", damage + b"<x:xmpmeta")
    with pytest.warns(UserWarning, match=r"^'x': its XMP is damaged and was left out$"):
        assert read(file_with("JPEG", content), name="x").metadata.xmp is None
