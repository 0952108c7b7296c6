"""Networks that are downloaded: ImageNet's for losses, metrics and encoders, a face detector, and well-known weights of
other codes. Where they come from, and how they are installed.
"""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from gantools import files
from gantools.errors import GantoolsError, ModelFileError, UsageError
from gantools.registry import did_you_mean

ADDRESS = "https://download.pytorch.org/models"
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class FeatureNetwork:
    """Weights in torchvision's layout, whose publisher puts the first eight digits of their sha256 into their name.

    ``sha256`` is all of it; of squeezenet1_0 only those eight digits are known. ``address`` is that of a file from
    elsewhere, with its own ``suffix``, and ``licence`` its licence.
    """

    name: str
    sha256: str
    megabytes: float
    used_for: str
    published_as: str | None = None
    kind: str = "feature network"
    suffix: str = ".pth"
    address: str | None = None
    licence: str | None = None

    @property
    def url(self) -> str:
        return self.address or f"{ADDRESS}/{self.published_as or self.name}-{self.sha256[:8]}{self.suffix}"


FEATURE_NETWORKS = {
    network.name: network
    for network in (
        FeatureNetwork(
            "vgg16",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            528,
            "perceptual loss, lpips_vgg",
        ),
        FeatureNetwork(
            "vgg19",
            "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
            548,
            "perceptual loss; SRGAN's VGG54",
        ),
        FeatureNetwork("squeezenet1_0", "b66bff10", 4.8, "perceptual loss, feature_distance"),
        FeatureNetwork(
            "squeezenet1_1", "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b", 4.7, "lpips_squeeze"
        ),
        FeatureNetwork(
            "alexnet",
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            233,
            "lpips_alex",
            published_as="alexnet-owt",
        ),
        FeatureNetwork(
            "resnet18", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 44.7, "encoder of a U-Net"
        ),
        FeatureNetwork(
            "resnet34", "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f", 83.3, "encoder of a U-Net"
        ),
        FeatureNetwork(
            "yunet",
            "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            0.2,
            "data align",
            kind="face detector",
            suffix=".onnx",
            # the repository of those who trained it; OpenCV's, with the same file, keeps it in Git LFS
            address="https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
            "0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/yunet_s_640_640.onnx",
        ),
    )
}


_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download"


def _public(name: str, sha256: str, megabytes: float, used_for: str, address: str, licence: str) -> FeatureNetwork:
    suffix = Path(address).suffix
    return FeatureNetwork(name, sha256, megabytes, used_for, None, "weights of others", suffix, address, licence)


PUBLIC_WEIGHTS = {
    weights.name: weights
    for weights in (
        _public(
            "realesrgan-x4plus",
            "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            67.0,
            "enlarge photos ×4",
            f"{_REALESRGAN}/v0.1.0/RealESRGAN_x4plus.pth",
            "BSD-3-Clause",
        ),
        _public(
            "realesrgan-x2plus",
            "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
            67.1,
            "enlarge photos ×2",
            f"{_REALESRGAN}/v0.2.1/RealESRGAN_x2plus.pth",
            "BSD-3-Clause",
        ),
        _public(
            "realesrgan-x4plus-anime",
            "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
            17.9,
            "enlarge drawings ×4",
            f"{_REALESRGAN}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
            "BSD-3-Clause",
        ),
        _public(
            "realesr-general-x4v3",
            "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
            4.9,
            "enlarge photos ×4, fast; --blend with realesr-general-wdn-x4v3 keeps more grain",
            f"{_REALESRGAN}/v0.2.5.0/realesr-general-x4v3.pth",
            "BSD-3-Clause",
        ),
        _public(
            "realesr-general-wdn-x4v3",
            "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
            4.9,
            "enlarge photos ×4 and keep their noise, fast",
            f"{_REALESRGAN}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
            "BSD-3-Clause",
        ),
        _public(
            "realesr-animevideov3",
            "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
            2.5,
            "enlarge frames of drawn films ×4, fast",
            f"{_REALESRGAN}/v0.2.5.0/realesr-animevideov3.pth",
            "BSD-3-Clause",
        ),
        _public(
            "big-lama",
            "344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
            205.7,
            "fill in what a mask leaves out; needs spandrel",
            "https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",
            "Apache-2.0",
        ),
        _public(
            "gfpgan-1.4",
            "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
            348.6,
            "restore an aligned face of 512 px; needs spandrel",
            "https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth",
            "Apache-2.0; parts of third parties: see GFPGAN's LICENSE",
        ),
    )
}
"""Well-known weights of other codes, by the sha256 that several of those who use them publish."""


def find(name: str) -> FeatureNetwork:
    """The network called ``name``. Raises UsageError with the nearest name."""
    known = {**FEATURE_NETWORKS, **PUBLIC_WEIGHTS}
    if name not in known:
        raise UsageError(f"unknown network {name!r}{did_you_mean(name, known)}")
    return known[name]


def installed_file(network: FeatureNetwork, folder: Path) -> Path | None:
    """The network's file in ``folder``, where there is one."""
    candidates = (folder / f"{network.name}{suffix}" for suffix in (".safetensors", network.suffix))
    return next((path for path in candidates if path.is_file()), None)


def fetch(network: FeatureNetwork, folder: Path, *, progress: bool = False) -> Path:
    """Download the network's weights into ``folder`` unless an intact file is there. ``progress``: a bar on stderr.

    Raises GantoolsError when the server cannot be reached, ModelFileError when another file came.
    """
    target = _target(network, folder)
    if target.is_file() and files.sha256(target).startswith(network.sha256):
        return target
    from torch.hub import download_url_to_file

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        with files.staged_file(target) as staged:
            download_url_to_file(network.url, str(staged), network.sha256, progress)
    except RuntimeError as error:  # torch's, for another hash
        raise ModelFileError(
            f"{network.url}: the download is incomplete or another file ({error}); try again"
        ) from error
    except OSError as error:
        raise GantoolsError(
            f"{network.url}: {error}; with the file from elsewhere: gantools weights fetch {network.name} --from FILE"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return target


def install(network: FeatureNetwork, file: Path, folder: Path) -> Path:
    """Copy a file that is already at hand into ``folder``. Raises UsageError or ModelFileError for any other file."""
    if not file.is_file():
        raise UsageError(f"--from {file}: no such file")
    if not files.sha256(file).startswith(network.sha256):
        others = "" if network.address else "; other weights can be named in a configuration as `weights: FILE`"
        raise ModelFileError(f"--from {file}: its sha256 is not {network.sha256}, so it is not {network.url}{others}")
    target = _target(network, folder)
    with files.staged_file(target) as staged:
        shutil.copyfile(file, staged)
    return target


def _target(network: FeatureNetwork, folder: Path) -> Path:
    return folder / f"{network.name}{network.suffix}"
