"""WebP without loss stays so, and is written so on request."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage

from gantools.errors import ImageError, UsageError
from gantools.images import formats
from gantools.images.image import Image, Metadata
from gantools.images.io.reader import read
from gantools.images.io.writer import encode, save


def webp(make, lossless, channels=3, **options):
    given = {"exact": True} if lossless else {}
    return make.saved(
        PillowImage.fromarray(make.noise(17, 33, channels)), "WEBP", lossless=lossless, **given, **options
    )


def is_lossless(content):
    return b"VP8L" in content and b"VP8 " not in content


@pytest.mark.parametrize("extra", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}, {"xmp": b"<x/>"}])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_stays_as_it_is_compressed(make, lossless, channels, extra):
    image = read(webp(make, lossless, channels, **extra))
    assert image.lossless == lossless
    content = encode(image, "webp")
    assert is_lossless(content) == lossless
    if lossless:
        back = read(content)
        np.testing.assert_array_equal(back.pixels, make.noise(17, 33, channels)[..., :3])  # also where alpha is 0
        assert (back.alpha is None) == (channels == 3)


def test_the_first_frame_of_an_animation_says_how_it_is_compressed(make):
    frames = [PillowImage.fromarray(make.noise(6, 8, 3, seed=seed)) for seed in range(2)]
    for lossless in (False, True):
        data = make.saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=lossless)
        assert read(data, first_frame=True).lossless == lossless
    assert not formats.webp_lossless(b"RIFF\0\0\0\0WEBP")


def test_it_can_be_asked_for(make, tmp_path, srgb_profile):
    image = read(make.png(make.noise(17, 33, 4), 6))
    assert not is_lossless(encode(image, "webp"))
    kept = Metadata(make.exif_block(1, artist="Ada"), srgb_profile, b"<x/>")
    wanted = Image(image.pixels, image.alpha, metadata=kept)
    save(wanted, tmp_path / "out.webp", lossless=True)
    back = read(tmp_path / "out.webp")
    np.testing.assert_array_equal(back.pixels, image.pixels)
    np.testing.assert_array_equal(back.alpha, image.alpha)
    assert (back.metadata.icc, back.metadata.xmp) == (srgb_profile, b"<x/>")
    assert b"Ada" in back.metadata.exif
    assert not is_lossless(encode(read(webp(make, True)), "webp", lossless=False))
    stripped = read(encode(wanted, "webp", lossless=True, metadata="strip")).metadata
    assert (stripped.exif, stripped.icc, stripped.xmp) == (None, None, None)


def test_formats_that_are_lossless_anyway_take_it_and_jpeg_does_not(make):
    image = Image(make.noise(4, 6, 3))
    for kind in ("png", "tiff", "bmp", "ppm"):
        np.testing.assert_array_equal(read(encode(image, kind, lossless=True)).pixels, image.pixels)
    with pytest.raises(UsageError, match="JPEG always loses a little"):
        encode(image, "jpeg", lossless=True)


def test_an_encoder_that_gives_up_is_an_error(make, monkeypatch):
    def give_up(*_given, **_options):
        raise OSError("no")

    monkeypatch.setattr(PillowImage.Image, "save", give_up)
    with pytest.raises(ImageError, match="encoder refused 6×4 px"):
        encode(Image(make.noise(4, 6, 3)), "webp", lossless=True)
