"""Networks that are none of ours, through the library spandrel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gantools.checkpoint.weights import Export
from gantools.errors import ModelFileError
from gantools.importing.found import Family, Found, State
from gantools.importing.networks import stored_tensor
from gantools.models.generators.spandrel import SpandrelNetwork, knows

PURPOSES: Mapping[str, str] = {
    "SR": "super-resolution",
    "FaceSR": "faces",
    "Inpainting": "inpainting",
    "Restoration": "restoration",
}
ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    "ATD": ("Apache-2.0", "LabShuHangGU/Adaptive-Token-Dictionary"),
    "AuraSR": ("CC-BY-SA-4.0", "fal-ai/aura-sr"),
    "Compact": ("BSD-3-Clause", "xinntao/Real-ESRGAN"),
    "CRAFT": ("Apache-2.0", "AVC2-UESTC/CRAFT-SR"),
    "DAT": ("Apache-2.0", "zhengchen1999/DAT"),
    "DCTLSA": ("Apache-2.0", "zengkun301/DCTLSA"),
    "DITN": ("Apache-2.0", "yongliuy/DITN"),
    "DnCNN": ("MIT", "cszn/DPIR"),
    "DRCT": ("MIT", "ming053l/DRCT"),
    "DRUNet": ("MIT", "cszn/DPIR"),
    "ESRGAN": ("Apache-2.0", "xinntao/ESRGAN"),
    "FBCNN": ("Apache-2.0", "jiaxi-jiang/FBCNN"),
    "FDAT": ("MIT", "stinkybread/FDAT"),
    "FFTformer": ("MIT", "kkkls/FFTformer"),
    "GFPGAN": ("Apache-2.0; parts of third parties: NVIDIA, non-commercial", "TencentARC/GFPGAN"),
    "GRL": ("MIT", "ofsoundof/GRL-Image-Restoration"),
    "HAT": ("Apache-2.0", "XPixelGroup/HAT"),
    "HVICIDNet": ("MIT", "Fediory/HVI-CIDNet"),
    "IPT": ("Apache-2.0", "huawei-noah/Pretrained-IPT"),
    "KBNet": ("MIT", "zhangyi-3/KBNet"),
    "LaMa": ("Apache-2.0", "advimman/lama"),
    "MixDehazeNet": ("MIT", "AmeryXiong/MixDehazeNet"),
    "MMRealSR": ("BSD-3-Clause", "TencentARC/MM-RealSR"),
    "MoESR": ("MIT", "umzi2/MoESR"),
    "MoSR": ("MIT", "umzi2/MoSR"),
    "NAFNet": ("MIT AND Apache-2.0", "megvii-research/NAFNet"),
    "OmniSR": ("Apache-2.0", "Francis0625/Omni-SR"),
    "PLKSR": ("MIT", "dslisleedh/PLKSR"),
    "RCAN": ("none stated", "yulunzhang/RCAN"),
    "RealCUGAN": ("MIT", "bilibili/ailab"),
    "RestoreFormer": ("Apache-2.0", "wzhouxiff/RestoreFormer"),
    "RetinexFormer": ("MIT", "caiyuanhao1998/Retinexformer"),
    "RGT": ("Apache-2.0", "zhengchen1999/RGT"),
    "SAFMN": ("Apache-2.0", "sunny2109/SAFMN"),
    "SAFMNBCIE": ("Apache-2.0", "sunny2109/SAFMN"),
    "SCUNet": ("Apache-2.0", "cszn/SCUNet"),
    "SeemoRe": ("Apache-2.0", "eduardzamfir/seemoredetails"),
    "SPAN": ("Apache-2.0", "hongyuanyu/SPAN"),
    "SwiftSRGAN": ("CC0-1.0", "Koushik0901/Swift-SRGAN"),
    "Swin2SR": ("Apache-2.0", "mv-lab/swin2sr"),
    "SwinIR": ("Apache-2.0", "JingyunLiang/SwinIR"),
    "Uformer": ("MIT", "ZhendongWang6/Uformer"),
}
"""What spandrel calls each architecture: the licence of its authors' code, and their repository."""


def recognise(state: State) -> tuple[Family, Found] | None:
    """The family and network of these tensors; None where spandrel knows none. Raises ModelFileError."""
    name = knows({key: stored.shape for key, stored in state.items()})
    if name is None:
        return None
    try:
        network = SpandrelNetwork({key: stored.read().float() for key, stored in state.items()})
    except Exception as error:  # whatever tensors that only look like its own lead spandrel to
        why = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"looks like {name}, but spandrel cannot load it: {type(error).__name__}: {why}"
        ) from error
    tensors = {key: stored_tensor(value) for key, value in network.state_dict().items()}
    found = Found(_export(network), lambda: network, tensors)
    licence, origin = ARCHITECTURES.get(network.architecture, ("unknown", "chaiNNer-org/spandrel"))
    terms = f"{licence} (code); weights: ask those who trained them"
    return Family(f"{name} ({PURPOSES[network.purpose]})", origin, terms, "imported", lambda _: None), found


def _export(network: SpandrelNetwork) -> Export:
    options = {
        "name": "spandrel",
        "architecture": network.architecture,
        "in_channels": network.in_channels,
        "out_channels": network.out_channels,
        "supports_bf16": network.supports_bf16,
        "supports_fp16": network.supports_fp16,
    }
    takes: Literal["masked", "picture"] = "masked" if network.fills else "picture"
    return Export("generator", options, network.scale, network.size_multiple, network.minimum_size_px, takes=takes)
