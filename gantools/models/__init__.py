"""Networks: the tables of generators and discriminators. Reading a table imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantools.registry import Registry

if TYPE_CHECKING:
    from torch import nn

GENERATORS: Registry[nn.Module] = Registry(
    "generator",
    {
        "unet": "gantools.models.generators.unet:UNet",
        "resnet": "gantools.models.generators.resnet:ResNet",
        "srresnet": "gantools.models.generators.srresnet:SRResNet",
        "rrdb": "gantools.models.generators.rrdb:RRDBNet",
        "msrresnet": "gantools.models.generators.msrresnet:MSRResNet",
        "srvgg": "gantools.models.generators.srvgg:SRVGGNet",
        "compact_sr": "gantools.models.generators.compact_sr:CompactSR",
        "compact_restoration": "gantools.models.generators.compact_restoration:CompactRestoration",
        "fpn": "gantools.models.generators.fpn:FPN",
        "context_encoder": "gantools.models.generators.context_encoder:ContextEncoder",
        "resnet_unet": "gantools.models.generators.resnet_unet:ResNetUNet",
    },
)

DISCRIMINATORS: Registry[nn.Module] = Registry(
    "discriminator",
    {
        "patchgan": "gantools.models.discriminators.patchgan:PatchGan",
        "srgan": "gantools.models.discriminators.srgan:SrganDiscriminator",
        "srgan_fully_convolutional": "gantools.models.discriminators.srgan:SrganFullyConvolutional",
        "critic": "gantools.models.discriminators.critic:Critic",
        "region": "gantools.models.discriminators.region:RegionDiscriminator",
        "nogan": "gantools.models.discriminators.nogan:NoGanCritic",
    },
)

LATENT_GENERATORS: Registry[nn.Module] = Registry(
    "latent generator",
    {
        "mlp": "gantools.models.latent.mlp:MlpGenerator",
        "dcgan": "gantools.models.latent.dcgan:DcganGenerator",
        "dense_conv": "gantools.models.latent.dense_conv:DenseConvGenerator",
        "laplacian": "gantools.models.latent.laplacian:LaplacianGenerator",
        "progressive": "gantools.models.latent.progressive:ProgressiveGenerator",
        "stack": "gantools.models.latent.stack:StackGenerator",
        "style": "gantools.models.latent.style:StyleGenerator",
    },
)
"""Networks from a latent vector, and a condition where they read one, to an image."""
