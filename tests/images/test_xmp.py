"""XMP is kept as it is, but for what is no longer true: the video, the gain map, the data behind the image."""

from __future__ import annotations

import io
import re
import warnings
from xml.etree import ElementTree

import pytest
import tifffile
from PIL import Image

from gantools.images.io import xmp
from gantools.images.io.reader import read
from gantools.images.io.writer import encode

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

LIES = {
    "motion photo": (
        f'{CAMERA} GCamera:MotionPhoto="1" GCamera:MotionPhotoPresentationTimestampUs="6"',
        "",
    ),
    "motion photo as elements": (CAMERA, "<GCamera:MotionPhoto>1</GCamera:MotionPhoto>"),
    "micro video": (f'{CAMERA} GCamera:MicroVideo="1" GCamera:MicroVideoOffset="4712"', ""),
    "another maker's": (
        'xmlns:OpCamera="http://ns.oplus.com/photos/1.0/camera/" OpCamera:MotionPhotoOwner="oplus"', ""
    ),
    "container": (CONTAINER.format(c="Container", i="Item"), DIRECTORY.format(c="Container", i="Item")),
    "container by another name": (CONTAINER.format(c="GCont", i="GItem"), DIRECTORY.format(c="GCont", i="GItem")),
    "gain map": (
        'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMax="3.2"',
        "<hdrgm:Gamma><rdf:Seq><rdf:li>1.0</rdf:li></rdf:Seq></hdrgm:Gamma>",
    ),
    "apple's gain map": (
        'xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="65536"', ""
    ),
    "extended": (
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"', ""
    ),
    "depth": (
        'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Mime="image/png"', ""
    ),
}  # fmt: skip
GONE = re.compile(
    rb"MotionPhoto|MicroVideo|Container|Directory|hdrgm|hdr-gain-map|HDRGainMap|HasExtendedXMP|GDepth|4712"
)


def packet(name):
    attributes, elements = LIES[name]
    return WRAPPED.format(attributes=attributes, elements=elements).encode()


def file_with(make, form, content):
    options = {"lossless": True} if form == "WEBP" else {}
    if form == "TIFF":
        stream = io.BytesIO()
        tags = [(700, "B", len(content), content, True)]
        tifffile.imwrite(stream, make.blocks(), photometric="rgb", metadata=None, extratags=tags)
        return stream.getvalue()
    if form == "PNG":
        return make.png(make.blocks(), 2, make.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + content))
    return make.saved(Image.fromarray(make.blocks()), form, xmp=content, **options)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("name", LIES)
def test_what_lies_behind_the_image_is_not_spoken_of(make, name, form):
    with pytest.warns(UserWarning, match=r"^'phone\.x': a video, gain map or other data") as heard:
        image = read(file_with(make, form, packet(name)), name="phone.x")
    assert len(heard) == 1
    for kind in ("jpeg", "png", "webp", "tiff"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read(encode(image, kind)).metadata.xmp
        assert GONE.search(found) is None
        assert "Köln &amp; 写真".encode() in found
        root = ElementTree.fromstring(found.strip())
        (described,) = root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
        assert described.get("{http://ns.adobe.com/xap/1.0/}Rating") == "5"
        assert found.startswith(b"<?xpacket begin=")
        assert found.rstrip().endswith(b'<?xpacket end="w"?>')


def test_all_of_it_at_once_is_one_warning(make):
    both = [" ".join(dict.fromkeys(LIES[name][0] for name in ("motion photo", "gain map", "extended", "container")))]
    elements = LIES["container"][1] + LIES["gain map"][1]
    content = WRAPPED.format(attributes=both[0], elements=elements).encode()
    with pytest.warns(UserWarning, match="behind the image") as heard:
        assert GONE.search(read(file_with(make, "JPEG", content)).metadata.xmp) is None
    assert len(heard) == 1


@pytest.mark.filterwarnings("error")
def test_every_other_packet_is_kept_byte_by_byte(make):
    for extra in ("", f'{CAMERA} GCamera:BurstID="7"', 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'):
        content = WRAPPED.format(attributes=extra, elements="<!-- as it was -->").encode()
        assert read(encode(read(file_with(make, "JPEG", content)), "png")).metadata.xmp == content


def test_what_else_a_camera_says_stays(make):
    content = WRAPPED.format(attributes=f'{CAMERA} GCamera:MotionPhoto="1" GCamera:BurstID="7"', elements="").encode()
    kept, said = xmp.cleaned(content)
    assert b'GCamera:BurstID="7"' in kept
    assert b"MotionPhoto" not in kept
    assert said


@pytest.mark.parametrize("damage", [b"</x:xmpmeta>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>"])
def test_a_packet_that_cannot_be_cleaned_is_left_out(make, damage):
    content = packet("motion photo").replace(b"<x:xmpmeta", damage + b"<x:xmpmeta")
    with pytest.warns(UserWarning, match=r"^'x': its XMP is damaged and was left out$"):
        assert read(file_with(make, "JPEG", content), name="x").metadata.xmp is None
