"""What can be set on each network: the constructor arguments, their defaults and where the numbers come from."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from gantools.config.options import Options, setting

Norm: TypeAlias = Literal["batch", "instance", "group", "none"]
Initialization: TypeAlias = Literal["normal", "xavier", "kaiming", "orthogonal", "default"]

_BIAS = "convolution bias; null: on unless the norm has a shift of its own (off with batch and group)"
_SPECTRAL = "divide every convolution's weight by its largest singular value (Miyato 2018)"


class UNetOptions(Options):
    """U-Net of 4×4 stride-2 convolutions with a skip at every scale (Isola 2017)."""

    name: Literal["unet"] = "unet"
    in_channels: int = setting(3, "channels of the input picture", ge=1)
    out_channels: int = setting(3, "channels of the output picture", ge=1)
    downs: int = setting(8, "halvings; sides must be multiples of 2^downs (8: 256, 7: 128)", ge=2, le=10)
    base_channels: int = setting(64, "channels of the first scale, doubled at each one", ge=1)
    max_channels: int = setting(512, "upper bound of the doubling", ge=1)
    norm: Norm = setting("batch", "normalisation, except at the outermost and innermost down", source="instance")
    upsampling: Literal["transposed", "source", "resize"] = setting(
        "transposed",
        "transposed 4×4 | source: the last one nearest ×2, padded (1, 0, 1, 0), 4×4 | resize: all nearest ×2 and 3×3",
        paper="transposed",
        source="source",
    )
    skip_activation: Literal["relu", "leaky_relu"] = setting(
        "relu", "what the decoder sees of a skip and of the bottleneck", paper="relu", source="leaky_relu"
    )
    dropout: float = setting(0.5, "probability of every dropout below", ge=0, lt=1, paper=0.5, source=0.5)
    dropout_downs_from: int | None = setting(
        None, "dropout from this down on, counted from 1; null: none in the encoder", ge=1, source=4
    )
    dropout_ups: int = setting(3, "how many innermost ups have dropout", ge=0, paper=3, source=4)
    bias: bool | None = setting(None, _BIAS + "; the last layer always has one", source=False)


class ResNetOptions(Options):
    """Two downs, residual blocks, two ups (Johnson 2016, as in CycleGAN and DeblurGAN)."""

    name: Literal["resnet"] = "resnet"
    in_channels: int = setting(3, "channels of the input picture", ge=1)
    out_channels: int = setting(3, "channels of the output picture", ge=1)
    base_channels: int = setting(64, "channels of the stem, doubled at each down", ge=1)
    downs: int = setting(2, "halvings before the blocks", ge=1, le=4)
    blocks: int = setting(9, "residual blocks (the paper takes 6 at 128 px, 9 from 256 px on)", ge=1, paper=9, source=9)
    norm: Norm = setting("instance", "normalisation after every convolution but the last", paper="instance")
    upsampling: Literal["transposed", "resize"] = setting(
        "transposed",
        "transposed 3×3 stride 2 | resize: nearest ×2 and 3×3, no checkerboard",
        paper="transposed",
        source="resize",
    )
    dropout: float = setting(0.0, "dropout inside each block (DeblurGAN: 0.5)", ge=0, lt=1, paper=0.0)
    global_residual: bool = setting(False, "output = clamp(input + G(input)), for restoration (DeblurGAN)")
    bias: bool | None = setting(None, _BIAS)

    @model_validator(mode="after")
    def _residual_fits(self) -> Self:
        if self.global_residual and self.in_channels not in (1, self.out_channels):
            raise ValueError("global_residual adds the input to the output: make in_channels and out_channels equal")
        return self


class SRResNetOptions(Options):
    """Super-resolution by residual blocks at low resolution, then PixelShuffle (Ledig 2017)."""

    name: Literal["srresnet"] = "srresnet"
    in_channels: int = setting(3, "channels of the input picture", ge=1)
    out_channels: int = setting(3, "channels of the output picture", ge=1)
    scale: Literal[1, 2, 4, 8] = setting(4, "output side / input side", paper=4, source=4)
    channels: int = setting(64, "feature channels", ge=1, paper=64)
    blocks: int = setting(16, "residual blocks", ge=1, paper=16, source=16)
    norm: Norm = setting("batch", "normalisation in the blocks and after them", paper="batch")
    tanh: bool = setting(False, "squash the output; off: linear, unbounded", paper=False, source=True)
    unit_input: bool = setting(True, "map the input from [-1, 1] to [0, 1] first", paper=True)
    body_end: Literal["norm", "prelu"] = setting(
        "norm", "what follows the convolution after the blocks; prelu: widespread public weights", paper="norm"
    )
    bias: bool | None = setting(None, _BIAS + "; convolutions outside the blocks always have one where no norm follows")


class CompactSROptions(Options):
    """A small super-resolution network without norm that learns what bilinear enlargement lacks."""

    name: Literal["compact_sr"] = "compact_sr"
    in_channels: int = setting(3, "channels of the input picture", ge=1)
    out_channels: int = setting(3, "channels of the output picture; as many as the input has unless it is gray", ge=1)
    scale: Literal[1, 2, 3, 4, 8] = setting(4, "output side / input side")
    channels: int = setting(48, "feature channels", ge=1)
    blocks: int = setting(10, "residual blocks", ge=1)
    activation: Literal["prelu", "relu", "leaky_relu"] = setting("prelu", "non-linearity inside the blocks")

    @model_validator(mode="after")
    def _enlargement_fits(self) -> Self:
        if self.in_channels not in (1, self.out_channels):
            raise ValueError(
                "compact_sr adds its enlarged input to the output: make in_channels and out_channels equal"
            )
        return self


class PatchGanOptions(Options):
    """Judges overlapping patches (Isola 2017). Output: one logit per patch, no sigmoid."""

    name: Literal["patchgan"] = "patchgan"
    layout: Literal["paper", "source"] = setting(
        "paper", "paper: one more 4×4 stride-1 layer | source: padded (1, 0, 1, 0), straight to the logits"
    )
    downs: int = setting(
        3, "stride-2 layers; paper layout: 0 → 1×1, 1 → 16, 2 → 34, 3 → 70, 4 → 142, 5 → 286 px", ge=0, le=6, source=4
    )
    base_channels: int = setting(64, "channels of the first layer, doubled at each one", ge=1)
    max_channels: int = setting(512, "upper bound of the doubling", ge=1)
    norm: Norm = setting("batch", "normalisation, except in the first and last layer", source="instance")
    spectral_norm: bool = setting(False, _SPECTRAL)
    bias: bool | None = setting(None, _BIAS + "; first and last layer always have one, but the source's last")


class SrganDiscriminatorOptions(Options):
    """Eight 3×3 convolutions and two dense layers on a crop of fixed size (Ledig 2017). One logit, no sigmoid."""

    name: Literal["srgan"] = "srgan"
    crop_px: int = setting(96, "side of the square it judges", ge=16, paper=96)
    base_channels: int = setting(64, "channels of the first layer, doubled three times", ge=1, paper=64)
    dense_units: int = setting(1024, "units of the dense layer", ge=1, paper=1024, source=1024)
    norm: Norm = setting("batch", "normalisation, except in the first layer", paper="batch")
    spectral_norm: bool = setting(False, _SPECTRAL)


class SrganFullyConvolutionalOptions(Options):
    """The SRGAN discriminator for any picture size: 1×1 convolutions take the dense layers' place."""

    name: Literal["srgan_fully_convolutional"] = "srgan_fully_convolutional"
    pooling: Literal["mean", "none"] = setting("mean", "mean: one logit per picture | none: one per 16 px cell")
    base_channels: int = setting(64, "channels of the first layer, doubled three times", ge=1, paper=64)
    dense_units: int = setting(1024, "channels of the 1×1 layer", ge=1, paper=1024)
    norm: Norm = setting("batch", "normalisation, except in the first layer", paper="batch")
    spectral_norm: bool = setting(False, _SPECTRAL)


class CriticOptions(Options):
    """A Wasserstein critic: strided convolutions without BatchNorm, one unbounded score per picture."""

    name: Literal["critic"] = "critic"
    downs: int = setting(4, "4×4 stride-2 layers", ge=1, le=7)
    base_channels: int = setting(64, "channels of the first layer, doubled at each one", ge=1)
    max_channels: int = setting(512, "upper bound of the doubling", ge=1)
    norm: Literal["instance", "layer", "none"] = setting(
        "instance",
        "no batch: a penalty per sample needs samples that do not see each other",
        paper="layer",
        why="DeblurGAN's critic has InstanceNorm",
    )
    dropout: float = setting(0.0, "dropout after every layer but the last (fastai's critic: 0.15)", ge=0, lt=1)
    spectral_norm: bool = setting(False, _SPECTRAL)


GeneratorOptions: TypeAlias = Annotated[
    UNetOptions | ResNetOptions | SRResNetOptions | CompactSROptions, Field(discriminator="name")
]
DiscriminatorOptions: TypeAlias = Annotated[
    PatchGanOptions | SrganDiscriminatorOptions | SrganFullyConvolutionalOptions | CriticOptions,
    Field(discriminator="name"),
]
