"""What can be set on each network: the constructor arguments, their defaults and where the numbers come from."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from gantools.config.options import Options, setting

Norm: TypeAlias = Literal["batch", "instance", "group", "none"]
Initialization: TypeAlias = Literal["normal", "xavier", "kaiming", "orthogonal", "default"]

Counts: TypeAlias = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=6)]

_BIAS = "convolution bias; null: on unless the norm has a shift of its own (off with batch and group)"
_OR_A_MASK = ", or in_channels one more, for a mask"
_SPECTRAL = "divide every convolution's weight by its largest singular value (Miyato 2018)"


def _require_added_input(name: str, in_channels: int, out_channels: int) -> None:
    if in_channels not in (1, out_channels):
        raise ValueError(f"{name} adds its enlarged input to the output: make in_channels and out_channels equal")


class UNetOptions(Options):
    """U-Net of 4×4 stride-2 convolutions with a skip at every scale (Isola 2017)."""

    name: Literal["unet"] = "unet"
    in_channels: int = setting(3, "channels of the input image", ge=1)
    out_channels: int = setting(3, "channels of the output image", ge=1)
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
        "relu", "activation of skips and of the bottleneck before the decoder", paper="relu", source="leaky_relu"
    )
    dropout: float = setting(0.5, "probability of every dropout below", ge=0, lt=1, paper=0.5, source=0.5)
    dropout_downs_from: int | None = setting(
        None, "dropout from this down on, counted from 1; null: none in the encoder", ge=1, source=4
    )
    dropout_ups: int = setting(3, "how many innermost ups have dropout", ge=0, paper=3, source=4)
    dropout_ups_from: int = setting(1, "the first of them, counted from 1; 2: the authors' PyTorch code", ge=1, paper=1)
    bias: bool | None = setting(None, _BIAS + "; the last layer always has one", source=False)


class ResNetOptions(Options):
    """Two downs, residual blocks, two ups (Johnson 2016, as in CycleGAN and DeblurGAN)."""

    name: Literal["resnet"] = "resnet"
    in_channels: int = setting(3, "channels of the input image", ge=1)
    out_channels: int = setting(3, "channels of the output image", ge=1)
    base_channels: int = setting(64, "channels of the stem, doubled at each down", ge=1)
    downs: int = setting(2, "halvings before the blocks", ge=1, le=4)
    blocks: int = setting(9, "residual blocks (the paper takes 6 at 128 px, 9 from 256 px on)", ge=1, paper=9, source=9)
    norm: Norm = setting("instance", "normalisation after every convolution but the last", paper="instance")
    downsampling: Literal["strided", "blurred"] = setting(
        "strided", "strided: 3×3 stride 2 | blurred: 3×3, then half the side after a blur (CUT)", paper="strided"
    )
    upsampling: Literal["transposed", "resize", "bilinear"] = setting(
        "transposed",
        "transposed 3×3 stride 2 | resize: nearest ×2 and 3×3, no checkerboard | bilinear: bilinear ×2 and 3×3 (CUT)",
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
    in_channels: int = setting(3, "channels of the input image", ge=1)
    out_channels: int = setting(3, "channels of the output image", ge=1)
    scale: Literal[1, 2, 4, 8] = setting(4, "output side / input side", paper=4, source=4)
    channels: int = setting(64, "feature channels", ge=1, le=4096, paper=64)
    blocks: int = setting(16, "residual blocks", ge=1, le=1024, paper=16, source=16)
    norm: Norm = setting("batch", "normalisation in the blocks and after them", paper="batch")
    tanh: bool = setting(False, "squash the output; off: linear, unbounded", paper=False, source=True)
    unit_input: bool = setting(True, "map the input from [-1, 1] to [0, 1] first", paper=True)
    imagenet_input: bool = setting(
        False, "map the input to [0, 1] and to ImageNet's statistics instead (RGB); some public weights", source=True
    )
    body_end: Literal["norm", "prelu"] = setting(
        "norm", "what follows the convolution after the blocks; prelu: widespread public weights", paper="norm"
    )
    bias: bool | None = setting(None, _BIAS + "; convolutions outside the blocks always have one where no norm follows")
    channel_slopes: bool = setting(False, "a PReLU slope for each channel instead of one for all; some public weights")

    @model_validator(mode="after")
    def _statistics_fit(self) -> Self:
        if self.imagenet_input and self.in_channels != 3:
            raise ValueError("imagenet_input: ImageNet's statistics are of RGB; make in_channels 3")
        return self


class RRDBOptions(Options):
    """Super-resolution by residual groups of dense blocks (ESRGAN, Wang 2018; Real-ESRGAN, Wang 2021)."""

    name: Literal["rrdb"] = "rrdb"
    in_channels: int = setting(3, "channels of the input image", ge=1, le=64)
    out_channels: int = setting(3, "channels of the output image", ge=1, le=64)
    scale: Literal[1, 2, 4, 8, 16] = setting(4, "output side / input side", paper=4)
    channels: int = setting(64, "feature channels", ge=1, le=1024, paper=64)
    growth_channels: int = setting(32, "channels that each convolution of a dense block adds", ge=1, le=512, paper=32)
    blocks: int = setting(23, "residual groups of three dense blocks (Real-ESRGAN's anime: 6)", ge=1, le=128, paper=23)
    unshuffle: Literal[1, 2, 4] = setting(
        1, "side of the cells folded into channels first; Real-ESRGAN: 2 for scale 2, 4 for scale 1"
    )


class MSRResNetOptions(Options):
    """An SRResNet without norm that learns the residual to bilinear enlargement (BasicSR)."""

    name: Literal["msrresnet"] = "msrresnet"
    in_channels: int = setting(3, "channels of the input image", ge=1, le=64)
    out_channels: int = setting(3, "channels of the output image; as many as the input has unless it is gray", ge=1)
    scale: Literal[2, 3, 4] = setting(4, "output side / input side")
    channels: int = setting(64, "feature channels", ge=1, le=1024)
    blocks: int = setting(16, "residual blocks", ge=1, le=512)

    @model_validator(mode="after")
    def _enlargement_fits(self) -> Self:
        _require_added_input(self.name, self.in_channels, self.out_channels)
        return self


class SRVGGOptions(Options):
    """A plain row of convolutions that learns the residual to repeated pixels (Real-ESRGAN's SRVGGNetCompact)."""

    name: Literal["srvgg"] = "srvgg"
    in_channels: int = setting(3, "channels of the input image", ge=1, le=64)
    out_channels: int = setting(3, "channels of the output image; as many as the input has unless it is gray", ge=1)
    scale: int = setting(4, "output side / input side", ge=1, le=16)
    channels: int = setting(64, "feature channels", ge=1, le=1024)
    blocks: int = setting(16, "convolutions between the first and the last (general ×4: 32)", ge=1, le=512)
    activation: Literal["prelu", "relu", "leaky_relu"] = setting("prelu", "after every convolution but the last")

    @model_validator(mode="after")
    def _enlargement_fits(self) -> Self:
        _require_added_input(self.name, self.in_channels, self.out_channels)
        return self


class CompactSROptions(Options):
    """A small super-resolution network without norm that learns the residual to bilinear enlargement."""

    name: Literal["compact_sr"] = "compact_sr"
    in_channels: int = setting(3, "channels of the input image", ge=1)
    out_channels: int = setting(3, "channels of the output image; as many as the input has unless it is gray", ge=1)
    scale: Literal[1, 2, 3, 4, 8] = setting(4, "output side / input side")
    channels: int = setting(48, "feature channels", ge=1)
    blocks: int = setting(10, "residual blocks", ge=1)
    activation: Literal["prelu", "relu", "leaky_relu"] = setting("prelu", "non-linearity inside the blocks")
    upsampling_channels: int | None = setting(
        None, "feature channels after the first enlargement, halved by each further one; null: all in one step", ge=1
    )

    @model_validator(mode="after")
    def _enlargement_fits(self) -> Self:
        _require_added_input(self.name, self.in_channels, self.out_channels)
        return self


class ResNetUNetOptions(Options):
    """A U-Net on a ResNet encoder, for restoration (fastai's DynamicUnet). RGB only."""

    name: Literal["resnet_unet"] = "resnet_unet"
    in_channels: Literal[3] = setting(3, "channels of the input image")
    out_channels: Literal[3] = setting(3, "channels of the output image")
    encoder: Literal["resnet18", "resnet34"] = setting("resnet34", "depth of the encoder", source="resnet34")
    base_channels: int = setting(64, "channels of the first scale; only 64 has ImageNet weights", source=64, ge=8)
    blur: bool = setting(True, "a 2×2 mean after every PixelShuffle but the last", source=True)
    self_attention: bool = setting(True, "attention over all positions at 1/8 of the sides", source=True)
    weight_norm: bool = setting(True, "weight norm on the decoder's convolutions", source=True)
    output_range: tuple[float, float] = setting(
        (-3.0, 3.0), "what the last sigmoid is stretched to, on ImageNet's statistics", source=(-3.0, 3.0)
    )


class CompactRestorationOptions(Options):
    """A small network of several scales without norm that learns the residual to a degraded image."""

    name: Literal["compact_restoration"] = "compact_restoration"
    in_channels: int = setting(3, "channels of the input image; one more than out_channels: the mask, too", ge=1)
    out_channels: int = setting(3, "channels of the output image; as many as the input has unless it is gray", ge=1)
    channels: Counts = setting((32, 64, 128), "feature channels at 1/2, 1/4, … of the side; as many scales as numbers")
    scale_blocks: Counts = setting(
        (2, 3, 6), "residual blocks at each scale, on the way down and (but the last) up again"
    )
    activation: Literal["prelu", "relu", "leaky_relu"] = setting("relu", "non-linearity inside the blocks")
    gate: bool = setting(False, "learn where to change nothing, so that good images come back as they are")

    @model_validator(mode="after")
    def _scales_fit(self) -> Self:
        if len(self.channels) != len(self.scale_blocks):
            raise ValueError("channels and scale_blocks: give one number per scale, so as many of each")
        if max(self.scale_blocks) > 64:
            raise ValueError("scale_blocks: at most 64 at a scale")
        if self.in_channels not in (1, self.out_channels, self.out_channels + 1):
            raise ValueError(
                "compact_restoration adds its input to the output: make in_channels and out_channels equal" + _OR_A_MASK
            )
        return self


class FPNOptions(Options):
    """A feature pyramid over an encoder of five scales (DeblurGAN-v2, Kupyn 2019)."""

    name: Literal["fpn"] = "fpn"
    in_channels: int = setting(3, "channels of the input image", ge=1)
    out_channels: int = setting(3, "channels of the output image; as many as the input has unless it is gray", ge=1)
    encoder: Literal["strided", "mobilenet_v2", "inception_resnet_v2"] = setting(
        "strided",
        "strided: own convolutions, as the next three say | mobilenet_v2, inception_resnet_v2: of RGB, random at first",
        paper="inception_resnet_v2",
        why="an encoder of its own needs no foreign weights",
    )
    base_channels: int = setting(64, "channels of the strided encoder at half size, doubled at each scale", ge=1)
    max_channels: int = setting(512, "upper bound of the doubling", ge=1)
    blocks: int = setting(2, "residual blocks at each of the strided encoder's five scales", ge=0)
    pyramid_channels: int = setting(256, "channels of the pyramid", ge=1, paper=256)
    head_channels: int = setting(128, "channels of each head, halved before the output", ge=2, paper=128)
    norm: Norm = setting("instance", "normalisation in pyramid and strided encoder", paper="instance")
    bias: bool | None = setting(None, _BIAS)

    @model_validator(mode="after")
    def _residual_fits(self) -> Self:
        if self.in_channels not in (1, self.out_channels):
            raise ValueError("fpn adds its input to the output: make in_channels and out_channels equal")
        if self.encoder != "strided" and self.in_channels != 3:
            raise ValueError(f"{self.encoder} sees RGB: make in_channels 3, or the encoder strided")
        return self


class PatchGanOptions(Options):
    """Classifies overlapping patches (Isola 2017). Output: one logit per patch, no sigmoid."""

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
    crop_px: int = setting(96, "side of the square it takes", ge=16, paper=96)
    base_channels: int = setting(64, "channels of the first layer, doubled three times", ge=1, paper=64)
    dense_units: int = setting(1024, "units of the dense layer", ge=1, paper=1024, source=1024)
    norm: Norm = setting("batch", "normalisation, except in the first layer", paper="batch")
    spectral_norm: bool = setting(False, _SPECTRAL)


class SrganFullyConvolutionalOptions(Options):
    """The SRGAN discriminator for any image size: 1×1 convolutions take the dense layers' place."""

    name: Literal["srgan_fully_convolutional"] = "srgan_fully_convolutional"
    pooling: Literal["mean", "none"] = setting("mean", "mean: one logit per image | none: one per 16 px cell")
    base_channels: int = setting(64, "channels of the first layer, doubled three times", ge=1, paper=64)
    dense_units: int = setting(1024, "channels of the 1×1 layer", ge=1, paper=1024)
    norm: Norm = setting("batch", "normalisation, except in the first layer", paper="batch")
    spectral_norm: bool = setting(False, _SPECTRAL)


class CriticOptions(Options):
    """A Wasserstein critic: strided convolutions without BatchNorm, one unbounded score per image."""

    name: Literal["critic"] = "critic"
    downs: int = setting(4, "4×4 stride-2 layers", ge=1, le=7)
    base_channels: int = setting(64, "channels of the first layer, doubled at each one", ge=1)
    max_channels: int = setting(512, "upper bound of the doubling", ge=1)
    norm: Literal["instance", "layer", "none"] = setting(
        "instance",
        "no batch norm: a penalty per sample needs independent samples",
        paper="layer",
        why="DeblurGAN's critic has InstanceNorm",
    )
    dropout: float = setting(0.0, "dropout after every layer but the last (fastai's critic: 0.15)", ge=0, lt=1)
    spectral_norm: bool = setting(False, _SPECTRAL)


class ContextEncoderOptions(Options):
    """Encoder, bottleneck, decoder: fills missing parts from their surroundings (Pathak 2016)."""

    name: Literal["context_encoder"] = "context_encoder"
    in_channels: int = setting(3, "channels of the input image; one more than out_channels: the mask, too", ge=1)
    out_channels: int = setting(3, "channels of the output image", ge=1)
    region: Literal["center", "full"] = setting(
        "center", "center: predicts the middle, half the side | full: predicts every pixel", paper="center"
    )
    overlap_px: int = setting(
        4, "known border inside the middle that is predicted too (center)", ge=0, paper=4, source=4
    )
    downs: int = setting(
        5, "halvings; trained on images of 4 * 2^downs: 4: 64, 5: 128, 6: 256 px", ge=2, le=8, paper=5, source=5
    )
    base_channels: int = setting(64, "channels of the first two scales, doubled at each one after", ge=1, paper=64)
    max_channels: int = setting(512, "upper bound of the doubling", ge=1, paper=512)
    bottleneck_channels: int = setting(4000, "channels of the bottleneck", ge=1, paper=4000, source=4000)
    norm: Literal["batch", "group", "none"] = setting(
        "batch", "normalisation, except in the first layer and the last", paper="batch", source="batch"
    )
    residual: bool = setting(
        False,
        "predict the residual to the smoothest continuation of the known pixels, instead of the colours (center)",
        paper=False,
    )
    skips: bool = setting(False, "the decoder also sees the encoder's features (full)", paper=False)

    @model_validator(mode="after")
    def _same_channels(self) -> Self:
        if self.in_channels not in (self.out_channels, self.out_channels + 1):
            raise ValueError(
                "context_encoder inserts its output into its input: make in_channels and out_channels equal"
                + _OR_A_MASK
            )
        if self.residual and self.region == "full":
            raise ValueError("residual: the full network does not know where the mask is; it belongs to center")
        if self.skips and self.region == "center":
            raise ValueError("skips: the middle lies elsewhere than the image's features; they belong to full")
        return self


class RegionDiscriminatorOptions(Options):
    """Classifies a whole region with one logit, no sigmoid (Pathak 2016, after DCGAN)."""

    name: Literal["region"] = "region"
    downs: int = setting(4, "4×4 stride-2 layers; one logit for 4 * 2^downs px: 3: 32, 4: 64, 5: 128", ge=1, paper=4)
    base_channels: int = setting(64, "channels of the first layer, doubled at each one", ge=1, paper=64, source=64)
    max_channels: int = setting(512, "upper bound of the doubling", ge=1, paper=512, source=512)
    norm: Norm = setting("batch", "normalisation, except in the first and last layer", paper="batch", source="batch")
    spectral_norm: bool = setting(False, _SPECTRAL)


class NoGanCriticOptions(Options):
    """fastai's critic: strided convolutions with spectral norm, dropout and attention. One logit per patch."""

    name: Literal["nogan"] = "nogan"
    base_channels: int = setting(
        128, "channels of the first layer, doubled by its dense block and each down", source=128, ge=1
    )
    downs: int = setting(3, "halvings after the first; sides must be at least 4 · 2^(downs + 1)", source=3, ge=1, le=6)
    dropout: float = setting(
        0.15, "channels left out before each down; half of it after the first", source=0.15, ge=0, lt=1
    )
    self_attention: bool = setting(True, "attention over all positions after the second halving", source=True)


class SpandrelOptions(Options):
    """A network of another code, run by spandrel: what its file says of itself. It can be run, not trained."""

    name: Literal["spandrel"] = "spandrel"
    architecture: str = setting(..., "what spandrel calls it")
    in_channels: int = setting(3, "channels of the input image", ge=1)
    out_channels: int = setting(3, "channels of the output image", ge=1)
    supports_bf16: bool = setting(True, "whether it can be computed in bf16")
    supports_fp16: bool = setting(False, "whether it can be computed in fp16")


class OnnxOptions(Options):
    """A network in another program's ONNX file: what its graph shows. It can be run, not trained."""

    name: Literal["onnx"] = "onnx"
    in_channels: int = setting(3, "channels of the input image", ge=1)
    out_channels: int = setting(3, "channels of the output image", ge=1)


GeneratorOptions: TypeAlias = Annotated[
    UNetOptions
    | ResNetOptions
    | SRResNetOptions
    | RRDBOptions
    | MSRResNetOptions
    | SRVGGOptions
    | CompactSROptions
    | ContextEncoderOptions
    | ResNetUNetOptions
    | CompactRestorationOptions
    | FPNOptions,
    Field(discriminator="name"),
]
InpaintingOptions: TypeAlias = Annotated[ContextEncoderOptions | CompactRestorationOptions, Field(discriminator="name")]
"""Generators that can be told what is missing: a mask as one channel more, 1 where pixels are missing, else -1."""
RunnableOptions: TypeAlias = Annotated[GeneratorOptions | SpandrelOptions | OnnxOptions, Field(discriminator="name")]
"""What weights can be of: our own generators, and those of other codes."""
DiscriminatorOptions: TypeAlias = Annotated[
    PatchGanOptions
    | SrganDiscriminatorOptions
    | SrganFullyConvolutionalOptions
    | CriticOptions
    | RegionDiscriminatorOptions
    | NoGanCriticOptions,
    Field(discriminator="name"),
]
