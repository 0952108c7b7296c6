"""What each recipe is measured by unless something else is asked for. No torch."""

from __future__ import annotations

from collections.abc import Mapping

OF_PAIRS = ("psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y", "l1_percent")
"""Metrics of two folders, whatever made them."""

_OF_RECIPES: Mapping[str, tuple[str, ...]] = {
    "srgan": ("psnr_y", "ssim_y", "psnr_rgb"),
    "deblur": ("psnr_rgb", "ssim_rgb"),
    "restore": ("psnr_rgb", "ssim_rgb", "ab_l1", "colorfulness"),
    "pix2pix": ("l1_percent", "psnr_rgb", "ab_l1", "colorfulness"),
    "context_encoder": ("hole_psnr", "hole_l1_percent", "l1_percent"),
    "cyclegan": ("l1_percent", "colorfulness"),
}
_WITH_FEATURES: Mapping[str, tuple[str, ...]] = {"cyclegan": ("frechet_distance",)}


NEED_MORE_THAN_PAIRS = ("context_encoder", "cyclegan")
"""Recipes whose own metrics need a hole, or sets of pictures."""


def names(recipe: str | None, *, features: bool) -> tuple[str, ...]:
    """The metrics of a recipe (None: of two folders), with that of the feature network where one is given."""
    own = OF_PAIRS if recipe is None else _OF_RECIPES.get(recipe, OF_PAIRS)
    more = _WITH_FEATURES.get(recipe or "", ("feature_distance",)) if features else ()
    return (*own, *more)
