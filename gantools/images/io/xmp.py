"""XMP packets: kept as they are, but for what is no longer true of the image alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.dom import minidom
from xml.parsers.expat import ExpatError

_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>))([1-8])")
_GONE_SPACES = (
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/",
    "http://ns.apple.com/pixeldatainfo/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/dd/1.0/",
)
"""Namespaces that describe what lies behind an image in its file: gain map, video, depth, sound."""

_GONE_NAMES = ("MotionPhoto", "MicroVideo", "HasExtendedXMP")
_SIGNS = tuple(each.encode() for each in (*_GONE_SPACES, *_GONE_NAMES))
_DECLARES = "http://www.w3.org/2000/xmlns/"


def orientation_of(packet: bytes | None) -> int | None:
    """The orientation that a packet states."""
    found = _ORIENTATION.search(packet or b"")
    return None if found is None else int(found[2])


def cleaned(packet: bytes | None) -> tuple[bytes | None, str | None]:
    """The packet upright and without what lies behind the image and is not kept; also what to say about that."""
    if not packet:
        return None, None
    content = _ORIENTATION.sub(rb"\g<1>1", packet)
    if not any(sign in content for sign in _SIGNS):
        return content, None
    try:
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise ValueError("entities")
        document = minidom.parseString(content.strip(b"\0"))  # which some writers add
    except (ExpatError, ValueError, AssertionError):
        return None, "its XMP is damaged and was left out"
    root = document.documentElement
    if root is None or not _cut(root):
        return content, None
    kept = "".join(node.toxml() for node in document.childNodes).encode()
    return kept, "a video, gain map or other data behind the image is not kept, nor what its XMP says of it"


def _cut(root: minidom.Element) -> bool:
    """Take out every element and attribute that is gone, and the declarations that nothing uses any more."""
    touched = set[str]()
    for element in list(_elements(root)):
        attributes = [each for each in _attributes(element) if _gone(each)]
        children = [each for each in element.childNodes if each.nodeType == each.ELEMENT_NODE and _gone(each)]
        touched |= {each.namespaceURI or "" for each in (*attributes, *children)}
        for attribute in attributes:
            element.removeAttributeNode(attribute)
        for child in children:
            element.removeChild(child)
    used = {each.namespaceURI for element in _elements(root) for each in (element, *_attributes(element))}
    for element in _elements(root):
        for each in _attributes(element):
            if each.namespaceURI == _DECLARES and (each.value in touched - used or each.value.startswith(_GONE_SPACES)):
                element.removeAttributeNode(each)
    return bool(touched)


def _elements(root: minidom.Element) -> Iterator[minidom.Element]:
    yield root
    yield from root.getElementsByTagName("*")


def _attributes(element: minidom.Element) -> list[minidom.Attr]:
    return list(element.attributes.values())


def _gone(node: minidom.Element | minidom.Attr) -> bool:
    space, name = node.namespaceURI or "", node.localName or ""
    return space != _DECLARES and (space.startswith(_GONE_SPACES) or name.startswith(_GONE_NAMES))
