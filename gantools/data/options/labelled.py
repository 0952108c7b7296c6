"""Settings of images with a class, a caption or neither. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from typing import Literal

from gantools.config.options import setting
from gantools.data.options.datasets import DataOptions, Fit

Wanted = Literal["auto", "required", "none"]


class LabelledData(DataOptions):
    """Images with a class, captions or neither: folders, class folders, ZIP files, MNIST's idx files."""

    name: Literal["labelled"] = "labelled"
    image_px: tuple[int, int] = setting((64, 64), "height and width of the images that are trained on")
    channels: Literal[1, 3] = setting(3, "1: gray, 3: RGB")
    fit: Fit = setting("crop", "how images are brought to that shape: stretch | crop the middle | pad")
    pad_value: int = setting(255, "samples of the padding", ge=0, le=255)
    flip: bool = setting(False, "mirror half of the samples")
    labels: Wanted = setting(
        "auto",
        "classes from dataset.json (StyleGAN2-ADA's), class folders or idx files, if there are any; required; none",
    )
    classes: tuple[str, ...] | None = setting(
        None, "only these classes, in the order of the one-hot label; null: all, sorted; written into a run's config"
    )
    captions: Wanted = setting(
        "auto",
        "captions from captions.csv (file,caption) or a .txt beside each image, if there are any; required; none",
    )
    vocabulary: tuple[str, ...] | None = setting(
        None, "words of the captions; null: all that occur; written into a run's config"
    )
    batch_images: int = setting(64, "images in a batch", ge=1, plausible=(1, 1024))
