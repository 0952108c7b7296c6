"""ImageNet weights for the encoder of a U-Net."""

from __future__ import annotations

import torch

from gantools.errors import ModelFileError, UsageError
from gantools.files import expanded
from gantools.models.encoders import STANDARD_CHANNELS, EncoderName, ResNetEncoder
from gantools.pretrained.feature_weights import find_feature_weights, read_state


def load_encoder_weights(encoder: ResNetEncoder, name: EncoderName, weights: str | None) -> None:
    """Give ``encoder`` its first weights: of a FILE in torchvision's layout, of the fetched file (None), or ``random``.

    Raises UsageError where there is no file, ModelFileError for an unfit one. Encoders on the meta device stay empty.
    """
    if weights == "random":
        return
    if encoder.channels[0] != STANDARD_CHANNELS:
        raise UsageError(
            f"encoder weights: ImageNet's are for base_channels {STANDARD_CHANNELS}, not {encoder.channels[0]};"
            " set `encoder_weights: random`"
        )
    path = find_feature_weights(name, "encoder_weights") if weights is None else expanded(weights)
    state = read_state(path, "encoder weights")
    if next(encoder.parameters()).is_meta:
        return
    try:
        with torch.no_grad():
            encoder.load_imagenet(state)
    except KeyError as error:
        raise ModelFileError(f"{path}: no tensor {error.args[0]}; need torchvision's {name}") from error
    except RuntimeError as error:
        raise ModelFileError(f"{path}: shapes are not those of torchvision's {name}") from error
