"""``gantools compare``: models side by side on a page or in one image."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.io import reader, writer


@pytest.fixture
def small_images(here):
    """Small images, and the larger ones that are wanted."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        large = np.kron(rng.integers(0, 255, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
        for folder, pixels in (("low", large[::4, ::4]), ("high", large)):
            (here / folder).mkdir(exist_ok=True)
            writer.write(Image(np.ascontiguousarray(pixels)), here / folder / f"{name}.png")


class Page(HTMLParser):
    """What a page holds: tags, addresses, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data):
        self.text += data


def test_a_page_needs_no_network_and_no_script(gantools, small_images, here):
    done = gantools("compare", "srgan", "srgan/psnr", "low", "--truth", "high", "-o", "c.html")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[1:4]] == ["bicubic", "srgan", "srgan/psnr"]
    page = Page((here / "c.html").read_text())
    assert "script" not in page.tags
    assert page.tags.count("img") == 2 * (5 + 4 * 2)  # the tiles, and the first one beside each other one
    assert (here / "c.html").read_text().count('<input type="range"') == 2 * 4
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not re.search(r"https?://", (here / "c.html").read_text())
    for word in ("srgan/psnr", "truth", "psnr_y", "32×24", "a.png"):
        assert word in page.text or word == "32×24"
    assert "64×48" in page.text


def test_it_says_at_what_size_each_model_sees_images(gantools, small_images, here):
    done = gantools("compare", "pix2pix", "restore", "low", "-o", "c.png")
    assert done.code == 0, done.err
    assert (
        "pix2pix sees images with a short side of 64 px, restore sees images at their own size; --scale-to" in done.err
    )
    native = gantools("compare", "pix2pix", "low", "-o", "native.png", "--scale-to", "native")
    assert "pix2pix sees images at their own size" in native.err
    assert gantools("compare", "srgan", "low", "-o", "d.png", "--scale-to", "0").code == 2


def test_blends_stand_beside_the_model(gantools, small_images, here):
    blends = ("--blend", "0", "--blend", "0.5")
    done = gantools("compare", "srgan", "deblur", "low", "-o", "c.html", *blends)
    assert done.code == 0, done.err
    page = Page((here / "c.html").read_text())
    titles = [f"srgan --blend {share}" for share in ("0", "0.5")]
    assert all(title in page.text for title in titles)
    other = gantools("compare", "srgan/psnr", "low", "-o", "psnr.html")
    assert other.code == 0
    sources = [address for address in page.addresses if address.startswith("data:image/png")]
    psnr = [address for address in Page((here / "psnr.html").read_text()).addresses if "image/png" in address]
    assert sources[3] == psnr[2], "0 is srgan/psnr"
    assert len(set(sources[2:5])) == 3, "0.5 lies between"
    assert gantools("compare", "deblur", "low", "-o", "d.png", "--blend", "0.5").code == 2


def test_one_image_of_all(gantools, small_images, here):
    done = gantools("compare", "srgan", "srgan/psnr", "low", "-o", "c.png")
    drawn = reader.read_rgb8(here / "c.png")
    assert done.out.splitlines() == ["c.png"]
    assert drawn.shape[0] > 2 * 48
    assert 16 + 3 * 64 < drawn.shape[1] < 16 + 3 * 64 + 6 * 8, "input, bicubic, two models"


def test_the_first_images_of_many_and_what_failed(gantools, small_images, here):
    (here / "low" / "c.png").write_bytes(b"\x89PNG no more")
    done = gantools("compare", "srgan", "low", "-o", "c.png", "--most", "1")
    assert done.code == 0
    assert "the first 1 images of 3" in done.err
    broken = gantools("compare", "srgan", "low", "-o", "c.html")
    assert broken.code == 3
    assert "low/c.png" in broken.err
    assert "low/c.png" in Page((here / "c.html").read_text()).text
    alone = gantools("compare", "srgan", "low/c.png", "-o", "none.html")
    assert (alone.code, (here / "none.html").exists()) == (1, False)


def test_a_truth_that_is_missing_is_a_failure(gantools, small_images, here):
    (here / "high" / "b.png").unlink()
    done = gantools("compare", "srgan", "low", "--truth", "high", "-o", "c.html", "--metrics", "l1")
    assert done.code == 3
    assert "no images called 'b'" in done.err
    assert done.out.splitlines()[0].split() == ["l1_percent", "↓"]


def test_inputs_are_made_of_photos(gantools, here):
    writer.write(Image(np.random.default_rng(0).integers(0, 255, (100, 200, 3), np.uint8)), here / "photo.png")
    done = gantools("compare", "srgan", "photo.png", "--inputs", "realistic", "-o", "c.html", "--metrics", "psnr_y")
    assert done.code == 0, done.err
    assert "inputs: realistic 1: cut to multiples of 4 px" in done.err
    page = Page((here / "c.html").read_text())
    assert page.tags.count("img") == 4 + 3 * 2
    for text in ("50×25", "200×100", "bicubic", "truth", "inputs: realistic 1", "All images at full size"):
        assert text in page.text.replace("\n", " ")
    done = gantools("compare", "restore", "photo.png", "--inputs", "realistic", "-o", "r.html", "--metrics", "psnr")
    assert done.code == 0, done.err
    page = Page((here / "r.html").read_text())
    assert page.tags.count("img") == 5 * (3 + 2 * 2)
    assert "photo.png, JPEG 15" in page.text


def test_models_of_different_inputs_are_not_compared(gantools, small_images, here):
    for words, said in (
        (("srgan", "restore", "high"), "srgan and restore take different inputs"),
        (("pix2pix", "high"), "only for models that enlarge or restore"),
        (("srgan", "high", "--truth", "high"), "leave out --truth and --mask"),
    ):
        done = gantools("compare", *words, "--inputs", "realistic", "-o", "c.html", "--metrics", "psnr_y")
        assert done.code == 2
        assert said in done.err
        assert not (here / "c.html").exists()
