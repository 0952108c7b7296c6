"""What can be set on each loss: the constructor arguments, their defaults and where the numbers come from."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gantools.config.options import Options, setting

LayerNames: TypeAlias = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

_REAL_LABEL = "target of the discriminator for real images; below 1 smooths one side (Salimans 2016)"


class VanillaOptions(Options):
    """Binary cross-entropy on logits, non-saturating for the generator (Goodfellow 2014)."""

    name: Literal["vanilla"] = "vanilla"
    real_label: float = setting(1.0, _REAL_LABEL + "; 0.9 in the deblurring chapter", gt=0.5, le=1, paper=1.0)


class LeastSquaresOptions(Options):
    """Squared distance of the logits to 1 and 0 (Mao 2017)."""

    name: Literal["lsgan"] = "lsgan"
    real_label: float = setting(1.0, _REAL_LABEL, gt=0.5, le=1, paper=1.0, source=1.0)


class HingeOptions(Options):
    """Hinge objective (Lim and Ye 2017)."""

    name: Literal["hinge"] = "hinge"


class WassersteinOptions(Options):
    """Wasserstein distance estimate (Arjovsky 2017); needs a gradient penalty or another Lipschitz bound."""

    name: Literal["wasserstein"] = "wasserstein"


class RelativisticOptions(Options):
    """Relativistic average of another objective (Jolicoeur-Martineau 2018): real logits relative to the mean fake."""

    name: Literal["relativistic"] = "relativistic"
    objective: Literal["vanilla", "lsgan", "hinge"] = setting(
        "vanilla", "the objective that is made relative (ESRGAN: vanilla, DeblurGAN-v2: lsgan)"
    )


class L1Options(Options):
    """Mean absolute error."""

    name: Literal["l1"] = "l1"


class MseOptions(Options):
    """Mean squared error."""

    name: Literal["mse"] = "mse"


class CharbonnierOptions(Options):
    """A differentiable mean absolute error, √(d² + ε²) (Charbonnier 1994)."""

    name: Literal["charbonnier"] = "charbonnier"
    epsilon: float = setting(1e-3, "width of the rounded tip, on the [-1, 1] scale", gt=0, paper=1e-3)


class PsnrOptions(Options):
    """Logarithm of each image's error: good inputs count as much as bad ones (HINet, Chen 2021)."""

    name: Literal["psnr"] = "psnr"
    epsilon: float = setting(0.01, "error below which nothing is gained; on the scale that the loss sees", gt=0)


class PerceptualOptions(Options):
    """Distance of two images in the feature space of a frozen ImageNet network."""

    network: Literal["vgg16", "vgg19", "squeezenet1_0"] = setting("vgg19", "the feature network", paper="vgg19")
    layers: LayerNames | Literal["feature_distance"] | None = setting(
        None,
        "relu5_4, conv3_3, pool2 or features.N; null: relu5_4 (vgg19), relu3_3 (vgg16), feature_distance (squeezenet)",
        paper="relu5_4",
    )
    weights: str | None = setting(
        None,
        "a .safetensors or .pth file; null: the downloaded file of that network; random: untrained, for dry runs",
        local=True,
    )
    criterion: Literal["mse", "l1"] = setting("mse", "distance between two layers' features", paper="mse")
    feature_scale: float | None = setting(
        None, "factor on the features; null: 1/12.75 for a VGG, 1 for normalised channels", gt=0, paper=1 / 12.75
    )
    normalise_channels: bool | None = setting(
        None, "unit-length feature vectors, summed over channels (LPIPS); null: on for squeezenet only", paper=False
    )
    shift_px: int = setting(
        0,
        "rows and columns randomly cropped from both images, against artifacts aligned with the network's strides",
        paper=0,
        ge=0,
        le=64,
    )
    normalise_input: bool = setting(
        True,
        "normalise images by ImageNet's mean and deviation; false: leave them in [-1, 1] (DeblurGAN's code)",
        paper=True,
    )


AdversarialOptions: TypeAlias = Annotated[
    VanillaOptions | LeastSquaresOptions | HingeOptions | WassersteinOptions | RelativisticOptions,
    Field(discriminator="name"),
]
ReconstructionOptions: TypeAlias = Annotated[
    L1Options | MseOptions | CharbonnierOptions | PsnrOptions, Field(discriminator="name")
]
