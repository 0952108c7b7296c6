"""Settings of the data sets. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import DataSection
from gantools.data.folders import pairing
from gantools.data.folders.pairing import PARTNER_SYNTAX
from gantools.data.options.blur import BlurOptions
from gantools.data.options.degradations import CRAPPIFY, Degradation, depends_on_whole, require_ordered
from gantools.data.options.masks import CenterMask, MaskOptions

Direction = Literal["a2b", "b2a"]
Fit = Literal["stretch", "crop", "pad"]
LayoutName = Literal["auto", "photos", "folders", "ab"]
PARTNER_MEANS = f"how the names of the two files of a pair differ: {PARTNER_SYNTAX}"
Share = Annotated[float, Field(gt=0, le=1)]


class ShardOptions(Options):
    """How sets written by ``gantools data pack --stream`` are read: shard by shard."""

    at_once: int = setting(
        16,
        "shards read at a time, whose images are mixed; where this is a multiple of the number of ranks, each reads "
        "only its part of the shards",
        ge=1,
        le=512,
    )
    folder: str | None = setting(
        None, "where shards of s3:// and others are kept, for all processes; null: ~/.cache/gantools/shards", local=True
    )
    gigabytes: float = setting(16.0, "most that is kept there; those used least recently make room", gt=0)


class DataOptions(DataSection):
    """What every data set has: where it lies, how it is split, how it is loaded."""

    name: str
    dir: str | tuple[str, ...] | None = setting(
        None,
        "folder or folders of training images (the command line's --data); s3://… of sets packed with --stream",
        local=True,
    )
    validation_share: float = setting(
        0.2, "share of the images kept aside for validation when there is no validation folder", source=0.2, ge=0, lt=1
    )
    validation_dir: str | None = setting(
        None,
        "folder of validation images; without it a val, validation or test folder beside train is taken, else a share",
        local=True,
    )
    split_seed: int = setting(2, "seed of the split into training and validation", source=2, ge=0)
    cache_megabytes: int = setting(
        512, "memory for decoded images, over all workers together; the rest is decoded each time", ge=0
    )
    max_unreadable_share: float = setting(
        0.001, "stop when more than this share of the images cannot be read", ge=0, le=1
    )
    shards: ShardOptions = setting(ShardOptions(), "how sets of `data pack --stream` are read")


class EdgeOptions(Options):
    """How an outline drawing with dabs of colour is made from a photo."""

    canny_low: float = setting(45.0, "lower hysteresis threshold of Canny's edge detector", source=45, ge=0)
    canny_high: float = setting(100.0, "upper hysteresis threshold of Canny's edge detector", source=100, ge=0)
    bilateral_px: int = setting(5, "diameter of the bilateral filter that smooths before the detector", source=5, ge=1)
    bilateral_sigma_color: float = setting(50.0, "bilateral filter's sigma over gray levels", source=50, gt=0)
    bilateral_sigma_space: float = setting(50.0, "bilateral filter's sigma over pixels", source=50, gt=0)
    edges_at: Literal["original", "resized"] = setting(
        "original", "detect edges at the photo's own size, or after resizing to load_px", source="original"
    )
    hints: Literal["fixed", "random"] = setting(
        "fixed",
        "'fixed': always max_hints dabs of colour; 'random': min_hints to max_hints, so that bare outlines work",
        source="fixed",
    )
    max_hints: int = setting(300, "most dabs of colour on one outline", source=300, ge=0)
    min_hints: int = setting(0, "fewest dabs of colour where their number is random", ge=0)
    hint_radius_px: int = setting(2, "a dab is a square of 2 * radius - 1 pixels a side", source=2, ge=1)
    white_threshold: float = setting(
        2.75, "a pixel whose channel sum on [-1, 1] is below this is not background, so it may give a dab", source=2.75
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.canny_low > self.canny_high:
            raise ValueError("canny_low: must not exceed canny_high")
        if self.min_hints > self.max_hints:
            raise ValueError("min_hints: must not exceed max_hints")
        return self


class PairedData(DataOptions):
    """Pairs of one image in two domains: made from photos, from two folders, or from A|B images."""

    name: Literal["paired"] = "paired"
    layout: LayoutName = setting(
        "auto",
        "photos: inputs are made from photos; folders: two folders of same-named files; ab: left and right halves",
    )
    source_dir: str | None = setting(None, "folder of input images, instead of data.dir; needs target_dir", local=True)
    target_dir: str | None = setting(None, "folder of wanted images, instead of data.dir; needs source_dir", local=True)
    partner: str | None = setting(None, PARTNER_MEANS)
    ab_any_shape: bool = setting(False, "take A|B images that are not about twice as wide as high, too")
    direction: Direction = setting("a2b", "a2b: A (left, source) is the input; b2a: B is; photos have no direction")
    make: Literal["edges", "gray"] = setting(
        "edges", "what is made from photos: outlines with dabs of colour, or the photos without their colours"
    )
    edges: EdgeOptions = setting(EdgeOptions(), "how outlines and dabs of colour are made from photos")
    load_px: int = setting(256, "training images are resized to this square", paper=286, source=256, ge=1)
    crop_px: int = setting(256, "random square of it that is trained on; validation is resized to it", source=256, ge=1)
    fit: Fit = setting(
        "stretch",
        "make an image square by stretching, by cutting its middle out, or by a white border",
        source="stretch",
    )
    flip: bool = setting(
        True,
        "mirror half of the samples",
        paper=True,
        source=False,
        why="a drawing may face either way, and photos are few",
    )
    batch_images: int = setting(32, "images in a batch", paper=1, source=32, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop_px > self.load_px:
            raise ValueError("crop_px: must not exceed load_px")
        if (self.source_dir is None) != (self.target_dir is None):
            raise ValueError("source_dir: source_dir and target_dir are given together or not at all")
        if self.partner is not None:
            pairing.sides(self.partner)
        return self


class DistillableData(DataOptions):
    """Data of which a teacher's results can be learned instead of, or beside, the originals."""

    teacher_share: float = setting(
        1.0,
        "of folders made by `gantools data distill`: share of samples whose target is the teacher's result",
        ge=0,
        le=1,
    )


class ResolutionData(DistillableData):
    """Photos and their small versions, made by MATLAB-like bicubic down-scaling."""

    name: Literal["resolution"] = "resolution"
    scale: int = setting(4, "how many times larger the result is", paper=4, source=4, ge=1, le=16)
    crop_px: int = setting(96, "side of the square cut from the large photo for training", paper=96, ge=1)
    downscale: tuple[Share, ...] = setting(
        (1.0,),
        "factors, one drawn per sample, by which the large photo is shrunk first",
        paper=(1.0,),
        min_length=1,
    )
    degradations: tuple[Degradation, ...] = setting(
        (),
        "what is done to the small version in training; with input_size among it, to the large photo before",
        paper=(),
    )
    flip: bool = setting(True, "mirror half of the samples")
    rotate: bool = setting(True, "turn half of the samples by 90 degrees; with flip all eight positions occur")
    batch_images: int = setting(16, "images in a batch", paper=16, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _sound(self) -> Self:
        require_ordered(self.degradations)
        if self.crop_px % self.scale:
            raise ValueError(f"crop_px: must be a multiple of scale ({self.scale})")
        return self


class MaskedData(DataOptions):
    """Photos and what is missing from them."""

    name: Literal["masked"] = "masked"
    mask: MaskOptions = setting(CenterMask(), "what is missing")
    fill: Literal["mean", "telea", "ns"] = setting(
        "mean",
        "what the network sees in missing pixels: mean, the mean colour of ImageNet | telea or ns, OpenCV's inpainting",
        paper="mean",
        source="mean",
    )
    load_px: int = setting(128, "the short side of every photo is resized to this", paper=350, source=128, ge=1)
    crop_px: int = setting(128, "square of the resized photo that is trained on", paper=128, source=128, ge=8)
    crop: Literal["random", "center"] = setting(
        "random", "where training takes that square; validation takes the middle", paper="random", source="center"
    )
    zoom: float = setting(
        1.0, "crops are up to this many times as large and then shrunk: more variety from few photos", paper=1.0, ge=1
    )
    flip: bool = setting(True, "mirror half of the samples", paper=True, source=False, why="photos are few")
    batch_images: int = setting(64, "images in a batch", paper=64, source=64, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop_px > self.load_px:
            raise ValueError("crop_px: must not exceed load_px")
        if self.zoom > 1 and self.crop == "center":
            raise ValueError("zoom: belongs to random crops; set crop to random")
        return self


class BlurredData(DistillableData):
    """Photos that are blurred by the loader, or real pairs of a blurred and a sharp image."""

    name: Literal["blurred"] = "blurred"
    layout: LayoutName = setting(
        "auto", "photos: blurred by the loader; folders: real pairs (blur/sharp, …); ab: left blurred, right sharp"
    )
    degraded_dir: str | None = setting(
        None, "folder of blurred images, instead of data.dir; needs clean_dir", local=True
    )
    clean_dir: str | None = setting(None, "folder of sharp images, instead of data.dir; needs degraded_dir", local=True)
    partner: str | None = setting(None, PARTNER_MEANS)
    ab_any_shape: bool = setting(False, "take A|B images that are not about twice as wide as high, too")
    blur: BlurOptions = setting(BlurOptions(), "how photos are blurred; of real pairs only sharp_share applies")
    degradations: tuple[Degradation, ...] = setting((), "what is done to a photo that was blurred here", paper=())
    crop_px: int = setting(256, "side of the random square that is trained on", paper=256, ge=1)
    downscale: tuple[Share, ...] = setting(
        (1.0,), "factors, one drawn per sample, by which a photo is shrunk before it is blurred", min_length=1
    )
    validation_px: int | None = setting(
        None, "longest side for validation, the middle of larger images is taken; null: whole images", ge=1
    )
    flip: bool = setting(True, "mirror half of the samples", paper=True)
    rotate: bool = setting(False, "turn half of the samples by 90 degrees; with flip all eight positions occur")
    batch_images: int = setting(1, "images in a batch", paper=1, source=2, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _two_folders(self) -> Self:
        if (self.degraded_dir is None) != (self.clean_dir is None):
            raise ValueError("degraded_dir: degraded_dir and clean_dir are given together or not at all")
        if self.partner is not None:
            pairing.sides(self.partner)
        require_ordered(self.degradations)
        if depends_on_whole(self.degradations):
            raise ValueError("degradations: low_resolution depends on the whole photo; resize does not")
        return self


class UnpairedData(DataOptions):
    """Images of two domains that do not correspond (Zhu 2017)."""

    name: Literal["unpaired"] = "unpaired"
    a: str | None = setting(None, "folder of domain A, instead of data.dir; needs b", local=True)
    b: str | None = setting(None, "folder of domain B, instead of data.dir; needs a", local=True)
    load_px: int = setting(286, "training images are resized to this side", paper=286, source=340, ge=1)
    crop_px: int = setting(
        256, "random square of it that is trained on; validation is resized to it", paper=256, source=256, ge=1
    )
    fit: Literal["stretch", "cover", "crop", "pad"] = setting(
        "stretch",
        "stretch: square of load_px | cover: the short side is load_px | crop: its middle square | pad: a white border",
        paper="stretch",
        source="cover",
    )
    flip: bool = setting(True, "mirror half of the images", paper=True, source=True)
    batch_images: int = setting(1, "images of each domain in a batch", paper=1, source=1, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop_px > self.load_px:
            raise ValueError("crop_px: must not exceed load_px")
        if (self.a is None) != (self.b is None):
            raise ValueError("a: a and b are given together or not at all")
        if self.a is not None and self.a == self.b:
            raise ValueError("a: a and b are the same folder; there is nothing to learn")
        return self


class RestorationData(DistillableData):
    """Photos, degraded by the loader."""

    name: Literal["restoration"] = "restoration"
    degradations: tuple[Degradation, ...] = setting(
        CRAPPIFY, "what is done to a photo, in this order", source=["low_resolution", "text", "jpeg"], min_length=1
    )
    load_px: int = setting(256, "photos are resized to this shorter side, then degraded", ge=1)
    downscale: tuple[Share, ...] = setting(
        (1.0,), "factors, one drawn per training sample, by which a photo is shrunk before it is degraded", min_length=1
    )
    crop_px: int = setting(
        128, "side of the squares trained on; validation takes middles of multiples of it", source=128
    )
    largest_region_px: int | None = setting(
        None, "training squares are cut from crop_px up to this side and shrunk (zoom); null: crop_px, as they are"
    )
    flip: bool = setting(True, "mirror half of the samples", source=True)
    rotate: bool = setting(
        False, "turn half of the samples by 90 degrees; with flip all eight positions occur", source=False
    )
    validation_share: float = setting(
        0.1, "share of the images kept aside for validation when there is no validation folder", source=0.1, ge=0, lt=1
    )
    split_seed: int = setting(42, "seed of the split into training and validation", source=42, ge=0)
    batch_images: int = setting(32, "images in a batch", source=32, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not 1 <= self.crop_px <= (self.largest_region_px or self.load_px) <= self.load_px:
            raise ValueError("largest_region_px: must lie between crop_px and load_px, and crop_px not exceed load_px")
        if self.downscale != (1.0,) and depends_on_whole(self.degradations):
            raise ValueError("downscale: not with low_resolution, which shrinks to a side of its own; resize does not")
        require_ordered(self.degradations)
        return self
