"""What can be set on the networks that start from a latent vector."""

from __future__ import annotations

from typing import Literal, TypeAlias

from gantools.config.options import Options, setting

Augmentation: TypeAlias = tuple[Literal["color", "translation", "cutout"], ...]
AUGMENTATION = setting(
    (), "what is done at random to images before a discriminator sees them (DiffAugment); for few images", paper=()
)


class MlpOptions(Options):
    """Fully connected layers (Goodfellow 2014)."""

    name: Literal["mlp"] = "mlp"
    latent_size: int = setting(100, "values of the latent vector", paper=100, ge=1)
    variant: Literal["paper", "everyday"] = setting(
        "everyday",
        "paper: 1200, 1200, ReLU; discriminator maxout 240 × 5 with dropout | everyday: 128 to 1024, LeakyReLU and "
        "BatchNorm; discriminator 512, 256",
        paper="paper",
    )


class DcganOptions(Options):
    """Transposed convolutions, each doubling the sides (Radford 2016)."""

    name: Literal["dcgan"] = "dcgan"
    latent_size: int = setting(100, "values of the latent vector", paper=100, ge=1)
    start: tuple[int, int] = setting((4, 4), "height and width of the first map; images are start · 2^k", paper=(4, 4))
    base_channels: int = setting(
        64,
        "channels before the image, doubled at each halving of the sides",
        paper=128,
        ge=1,
        why="pytorch/examples, whose figures are the ones people compare with, has 64",
    )


class DenseConvOptions(Options):
    """Two dense layers and two convolutions a side (conditional DCGAN's and InfoGAN's MNIST networks)."""

    name: Literal["dense_conv"] = "dense_conv"
    noise_size: int = setting(100, "values of noise in the latent vector; codes come on top", ge=1)
    dense_units: int = setting(1024, "units of the first dense layer", source=1024, ge=1)
    channels: tuple[int, ...] = setting((128, 64), "the generator's channels; the discriminator has them mirrored")
    kernel_px: Literal[4, 5] = setting(5, "side of the convolutions: 5 in dcgan_code, 4 in InfoGAN")


class LaplacianOptions(Options):
    """One generator a level of a Laplacian pyramid (Denton 2015)."""

    name: Literal["laplacian"] = "laplacian"
    noise_size: int = setting(100, "values of noise of the coarsest image", paper=100, ge=1)
    levels: int = setting(3, "sizes; each is half of the next", paper=3, ge=1, le=5)
    units: int = setting(1200, "hidden units of the coarsest level", ge=1)
    features: int = setting(64, "channels of the convolutions", paper=64, ge=1)
    batch_norm: bool = setting(False, "BatchNorm in the generators: trains faster with Adam", paper=False)


class ProgressiveOptions(Options):
    """Networks that grow from 4 px (Karras 2018)."""

    name: Literal["progressive"] = "progressive"
    latent_size: int = setting(512, "values of the latent vector", paper=512, ge=1)
    channel_base: int = setting(8192, "channels at side s: 2 · base / s, at most max_channels", paper=8192, ge=8)
    max_channels: int = setting(512, "upper bound of the channels", paper=512, ge=1)
    group_images: int = setting(4, "images whose deviation the discriminator sees", paper=16, source=4, ge=1)


class StackOptions(Options):
    """Two stages that read a sentence (Zhang 2017)."""

    name: Literal["stack"] = "stack"
    noise_size: int = setting(100, "values of noise", paper=100, ge=1)
    first_doublings: int = setting(4, "the sketch has 4 · 2^this px", paper=4, ge=1)
    second_doublings: int = setting(4, "the image has 2^(first + second) px; 0: no second stage", paper=4, ge=0)
    base_channels: int = setting(128, "channels of the generators (COCO: 192)", paper=128, ge=4)
    discriminator_channels: int = setting(64, "channels of the discriminators (COCO: 96)", paper=64, ge=1)
    residual_blocks: int = setting(4, "residual blocks of the second stage", paper=4, ge=0)


class StyleOptions(Options):
    """A mapping network to styles and a synthesis network that they modulate (Karras 2020)."""

    name: Literal["style"] = "style"
    latent_size: int = setting(512, "values of the latent vector", paper=512, ge=1)
    style_size: int = setting(512, "values of a style", paper=512, ge=1)
    mapping_layers: int = setting(8, "dense layers from the latent vector to a style", paper=8, ge=1, le=16)
    channel_base: int | None = setting(
        None,
        "channels at side s: base / s, at most max_channels; null: 32768 from 512 px, else 16384",
        paper=32768,
        ge=8,
    )
    max_channels: int = setting(512, "upper bound of the channels", paper=512, ge=1)
    clamp: float | None = setting(
        None, "largest feature, so that float16 does not overflow; null: none", source=256, gt=0
    )
