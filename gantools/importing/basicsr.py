"""Networks of BasicSR, ESRGAN and Real-ESRGAN as ours: RRDBNet, MSRResNet and SRVGGNetCompact.

Names of tensors: XPixelGroup/BasicSR (archs), xinntao/ESRGAN (RRDBNet_arch.py, and architecture.py before it),
xinntao/Real-ESRGAN (archs), cszn/KAIR (network_msrresnet.py). They take and give RGB in [0, 1]; our networks of the
same layers bring [-1, 1] to that and back.
"""

from __future__ import annotations

import re
from math import isqrt

from gantools.errors import ModelFileError
from gantools.importing.found import Family, Found, Names, State
from gantools.importing.generators import by_names, count_of, found_generator, options_of, require_images, shape_of
from gantools.models.options import MSRResNetOptions, RRDBOptions, SRVGGOptions


def rrdb(state: State) -> Found | None:
    """An RRDBNet by BasicSR's names or by either of ESRGAN's; None for other networks, ESRGAN+ among them.

    Raises ModelFileError for one that upsamples by PixelShuffle or has other channels than images.
    """
    tensors = _by_new_names(state)
    if not all(
        len(shape_of(tensors, f"{key}.weight")) == 4 for key in ("conv_first", "body.0.rdb1.conv1", "conv_last")
    ):
        return None
    if any("conv1x1" in key for key in tensors):
        return None
    blocks, doublings = count_of(tensors, r"body\.(\d+)\..*"), count_of(tensors, r"conv_up(\d+)\.weight")
    channels, inputs = shape_of(tensors, "conv_first.weight")[:2]
    outputs, growth = shape_of(tensors, "conv_last.weight")[0], shape_of(tensors, "body.0.rdb1.conv1.weight")[0]
    unshuffle = isqrt(inputs // outputs) if outputs and inputs in (4 * outputs, 16 * outputs) else 1
    if 2**doublings < unshuffle or doublings > 4:
        raise ModelFileError(f"looks like an RRDBNet, but has {doublings} doublings after cells of {unshuffle}")
    require_images("an RRDBNet", inputs // unshuffle**2, outputs)
    options = options_of(
        RRDBOptions,
        "an RRDBNet",
        in_channels=inputs // unshuffle**2,
        out_channels=outputs,
        scale=2**doublings // unshuffle,
        channels=channels,
        growth_channels=growth,
        blocks=blocks,
        unshuffle=unshuffle,
    )
    names: Names = (
        (r"conv_first\.(.+)", "head.1.{}".format),
        (r"body\.(\d+)\.rdb([123])\.conv([1-5])\.(.+)", _dense_layer),
        (r"conv_body\.(.+)", f"body.body.{blocks}.{{}}".format),
        (r"conv_up(\d+)\.(.+)", lambda number, part: f"ups.{3 * int(number) - 2}.{part}"),
        (r"conv_hr\.(.+)", "last.0.{}".format),
        (r"conv_last\.(.+)", "last.2.{}".format),
    )
    return found_generator(options, by_names(names, tensors))


def _dense_layer(group: str, block: str, layer: str, part: str) -> str:
    inner = "last" if layer == "5" else f"layers.{int(layer) - 1}.0"
    return f"body.body.{group}.blocks.{int(block) - 1}.{inner}.{part}"


def _by_new_names(state: State) -> State:
    """An RRDBNet's tensors by BasicSR's names. Raises ModelFileError for an ESRGAN with other layers than ours."""
    if "model.1.sub.0.RDB1.conv1.0.weight" not in state:
        names: Names = (
            (r"RRDB_trunk\.(\d+)\.RDB(\d)\.(.+)", "body.{}.rdb{}.{}".format),
            (r"trunk_conv\.(.+)", "conv_body.{}".format),
            (r"upconv(\d+)\.(.+)", "conv_up{}.{}".format),
            (r"HRconv\.(.+)", "conv_hr.{}".format),
        )
        return by_names(names, state)
    places = sorted(int(match[1]) for key in state if (match := re.fullmatch(r"model\.(\d{1,3})\.weight", key)))
    doublings = max(0, len(places) - 3)
    last = 3 * doublings + 2
    if places != [0, *range(3, last, 3), last, last + 2]:
        raise ModelFileError(f"looks like an ESRGAN, but has its convolutions at {places}; PixelShuffle is not known")
    layers = {0: "conv_first", last: "conv_hr", last + 2: "conv_last"}
    layers |= {3 * number: f"conv_up{number}" for number in range(1, doublings + 1)}
    names = (
        (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(.+)", "body.{}.rdb{}.conv{}.{}".format),
        (r"model\.1\.sub\.\d+\.(weight|bias)", "conv_body.{}".format),
        *((rf"model\.{place}\.(.+)", f"{layer}.{{}}".format) for place, layer in layers.items()),
    )
    return by_names(names, state)


def msrresnet(state: State) -> Found | None:
    """An MSRResNet by BasicSR's names or by KAIR's; None for other networks, such as EDSR, which has no conv_hr."""
    older: Names = (
        (r"recon_trunk\.(\d+)\.(.+)", "body.{}.{}".format),
        (r"HRconv\.(.+)", "conv_hr.{}".format),
    )
    tensors = by_names(older, state)
    layers = ("conv_first", "body.0.conv1", "body.0.conv2", "conv_hr", "conv_last")
    if not all(len(shape_of(tensors, f"{key}.weight")) == 4 for key in layers):
        return None
    channels, inputs = shape_of(tensors, "conv_first.weight")[:2]
    widened = sum(shape_of(tensors, "upconv1.weight")[:1]) // max(1, channels)
    scales = {(1, 4): 2, (1, 9): 3, (2, 4): 4}
    found = (count_of(tensors, r"upconv(\d+)\.weight"), widened)
    if found not in scales:
        raise ModelFileError(f"looks like an MSRResNet, but its {found[0]} enlargements widen {found[1]} times")
    outputs = shape_of(tensors, "conv_last.weight")[0]
    require_images("an MSRResNet", inputs, outputs)
    options = options_of(
        MSRResNetOptions,
        "an MSRResNet",
        in_channels=inputs,
        out_channels=outputs,
        scale=scales[found],
        channels=channels,
        blocks=count_of(tensors, r"body\.(\d+)\..*"),
    )
    names: Names = (
        (r"conv_first\.(.+)", "head.0.{}".format),
        (r"body\.(\d+)\.conv([12])\.(.+)", lambda block, one, part: f"body.{block}.body.{2 * int(one) - 2}.{part}"),
        (r"upconv(\d+)\.(.+)", lambda number, part: f"ups.{3 * int(number) - 3}.{part}"),
        (r"conv_hr\.(.+)", "last.0.{}".format),
        (r"conv_last\.(.+)", "last.2.{}".format),
    )
    return found_generator(options, by_names(names, tensors))


def srvgg(state: State) -> Found | None:
    """An SRVGGNetCompact. Raises ModelFileError for one without PReLU, whose file does not tell its activation."""
    numbers = [int(match[1]) for key in state if (match := re.fullmatch(r"body\.(\d{1,4})\.weight", key))]
    last = max(numbers, default=0)
    if any(not re.fullmatch(r"body\.\d{1,4}\.(weight|bias)", key) for key in state) or last < 4:
        return None
    if len(shape_of(state, "body.0.weight")) != 4 or len(shape_of(state, f"body.{last}.weight")) != 4 or last % 2:
        return None
    if not any(number % 2 for number in numbers):
        raise ModelFileError("holds an SRVGGNetCompact without PReLU; such a file does not tell ReLU from LeakyReLU")
    channels, inputs = shape_of(state, "body.0.weight")[:2]
    samples = shape_of(state, f"body.{last}.weight")[0]
    scale = isqrt(samples // max(1, inputs))
    if scale**2 * inputs != samples:
        raise ModelFileError(f"looks like an SRVGGNetCompact, but makes {samples} samples of {inputs} channels")
    require_images("an SRVGGNetCompact", inputs, inputs)
    options = options_of(
        SRVGGOptions,
        "an SRVGGNetCompact",
        in_channels=inputs,
        out_channels=inputs,
        scale=scale,
        channels=channels,
        blocks=last // 2 - 1,
    )
    return found_generator(options, state)


_REALESRGAN = "BSD-3-Clause (xinntao/Real-ESRGAN), Apache-2.0 (XPixelGroup/BasicSR, xinntao/ESRGAN)"

FAMILIES: tuple[Family, ...] = (
    Family("RRDBNet", "ESRGAN or Real-ESRGAN", _REALESRGAN, "srgan", rrdb),
    Family("MSRResNet", "BasicSR or KAIR", "Apache-2.0 (XPixelGroup/BasicSR), MIT (cszn/KAIR)", "srgan", msrresnet),
    Family("SRVGGNetCompact", "Real-ESRGAN", _REALESRGAN, "srgan", srvgg),
)
