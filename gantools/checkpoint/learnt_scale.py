"""The scale that networks learn, from a run's ``data`` section. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def learnt_scale(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an ``Export`` that follow from how training images were prepared; none where this is not known.

    ``data`` is the section as JSON, so that weights from before these fields, which hold their configuration, get the
    same ones. Only resized images give a network a scale: what is cut from images at their own size (``resolution``,
    ``blurred``) does not.
    """
    name = data.get("name")
    if name == "paired":
        return {"resized_px": data.get("crop_px"), "applied_at": "trained", **_made_from_photos(data)}
    if name == "unpaired":
        return {"resized_px": data.get("crop_px"), "applied_at": "trained"}
    if name == "restoration":
        return {"resized_px": data.get("load_px"), **_degraded(data)}
    if name == "masked":
        return {"resized_px": data.get("load_px"), "fill": data.get("fill", "mean")}
    return {}


def _made_from_photos(data: Mapping[str, Any]) -> dict[str, Any]:
    """Pairs made from photos: gray and coloured, or lines of one pixel and the photo."""
    if data.get("layout") not in ("photos", "auto"):
        return {}
    if data.get("make") == "gray":
        return {"luminance": "kept"}
    edges = data.get("edges") or {}
    return {"shrunk_by": "darkest"} if edges.get("edges_at") == "resized" else {}


def _degraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Colours depend on what an image shows as a whole; damage is as large as it is in the image given."""
    names = [one.get("name") for one in data.get("degradations") or ()]
    if "gray" not in names:
        return {}
    return {"applied_at": "trained", "luminance": "kept" if set(names) == {"gray"} else "made"}
